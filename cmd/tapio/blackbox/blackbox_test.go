package blackbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/blackbox"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
)

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func pod(ns, name string) tapio.Entity {
	return tapio.Entity{Kind: tapio.KindPod, Namespace: ns, Name: name}
}

func seen(t testing.TB, b *blackbox.Box, after time.Duration, e tapio.Entity, deleted bool) {
	t.Helper()
	s := &tapio.State{Entity: e, UID: "u-" + e.Name, Deleted: deleted}
	if err := b.Observe(&tapio.Observation{Time: start.Add(after), State: s}); err != nil {
		t.Fatal(err)
	}
}

func exit(t testing.TB, b *blackbox.Box, after time.Duration, e tapio.Entity, message string) {
	t.Helper()
	ev := &tapio.Event{Time: start.Add(after), Seen: start.Add(after), Source: tapio.SourceKubernetes, Type: tapio.ContainerExit, Entity: e, Message: message}
	ev.SetID()
	if err := b.Observe(&tapio.Observation{Time: ev.Seen, Event: ev}); err != nil {
		t.Fatal(err)
	}
}

func all(*tapio.Observation) bool { return true }

func read(t testing.TB, b *blackbox.Box, from time.Time) (states, events, ticks, gaps int, first *tapio.Observation) {
	t.Helper()
	last := time.Time{}
	for s, err := range b.Steps(from, all) {
		if err != nil {
			t.Fatal(err)
		}
		if s.Time.Before(last) {
			t.Fatalf("%s comes after %s", s.Time, last)
		}
		last = s.Time
		switch o := s.Observation; {
		case o == nil:
			ticks++
		case o.Gap != nil:
			gaps++
		case o.State != nil:
			states++
			if first == nil {
				first = o
			}
		default:
			events++
		}
	}
	return states, events, ticks, gaps, first
}

func TestSteps(t *testing.T) {
	b := blackbox.New(blackbox.Options{})
	if s, e, n, g, _ := read(t, b, start); s+e+n+g != 0 {
		t.Error("an empty box holds something")
	}
	seen(t, b, 0, pod("shop", "a"), false)
	seen(t, b, 0, pod("shop", "b"), false)
	seen(t, b, time.Second, pod("shop", "b"), true)
	if err := b.Tick(start.Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	exit(t, b, 3*time.Second, pod("shop", "a"), "x")
	if s, e, n, g, _ := read(t, b, start); s != 3 || e != 1 || n != 1 || g != 0 {
		t.Errorf("%d states, %d events, %d ticks, %d gaps", s, e, n, g)
	}
	// From the middle, what was there before is listed and what was deleted is not.
	s, e, n, g, first := read(t, b, start.Add(2*time.Second))
	if s != 1 || e != 1 || n != 1 || g != 0 || !first.State.Listed || first.State.Entity.Name != "a" {
		t.Errorf("%d states, %d events, %d ticks, %d gaps, first %+v", s, e, n, g, first)
	}
}

// TestBounds fills the box many times over: steps fall out by bytes, the
// states of what is still there stay, up to their own bound.
func TestBounds(t *testing.T) {
	b := blackbox.New(blackbox.Options{Bytes: 200 << 10, States: 4 << 10})
	seen(t, b, 0, pod("shop", "kept"), false)
	noise := strings.Repeat("0123456789abcdef", 64)
	for i := range 20_000 {
		exit(t, b, time.Duration(i)*time.Second, pod("shop", "kept"), fmt.Sprint(i, noise))
	}
	s, e, _, g, first := read(t, b, start)
	if s != 1 || first.State.Entity.Name != "kept" || g != 0 {
		t.Errorf("%d states, %d gaps, first %+v", s, g, first)
	}
	if e == 0 || e > 10_000 {
		t.Errorf("%d events are remembered", e)
	}
	for i := range 5000 {
		seen(t, b, time.Duration(20_000+i)*time.Second, pod("shop", fmt.Sprint("p", i)), false)
		exit(t, b, time.Duration(20_000+i)*time.Second, pod("shop", fmt.Sprint("p", i)), noise)
	}
	if _, _, _, g, _ = read(t, b, start); g != 1 {
		t.Errorf("%d gaps where states were forgotten", g)
	}
}

func TestKeeper(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "kept")
	b := blackbox.New(blackbox.Options{})
	k := &blackbox.Keeper{Box: b, Folder: folder, Header: recording.Header{Cluster: "prod", Quiet: tapio.Duration(time.Minute)}}
	s := &tapio.Story{ID: "s1", Timestamp: start.Add(time.Minute), Subject: tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: "a"}}
	if err := k.Write(s, io.Discard); !errors.Is(err, blackbox.ErrNothing) {
		t.Errorf("an empty box: %v", err)
	}
	seen(t, b, 0, pod("shop", "a"), false)
	seen(t, b, 0, pod("other", "z"), false)
	seen(t, b, 0, tapio.Entity{Kind: tapio.KindNode, Name: "n1"}, false)
	exit(t, b, time.Minute, pod("shop", "a"), "login failed: password=hunter2hunter2")
	exit(t, b, time.Minute, pod("other", "z"), "not of this story")
	if err := k.Keep(s); err != nil {
		t.Fatal(err)
	}
	k.Box = blackbox.New(blackbox.Options{}) // a restart
	var out bytes.Buffer
	if err := k.Write(s, &out); err != nil {
		t.Fatal(err)
	}
	r, err := recording.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	if h, ok := r.Header(); !ok || h.Cluster != "prod" {
		t.Errorf("header %+v", h)
	}
	n := 0
	for {
		step, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
		if o := step.Observation; o != nil && o.Event != nil && (strings.Contains(o.Event.Message, "hunter2") || o.Event.Entity.Namespace != "shop") {
			t.Errorf("leaked %+v", o.Event)
		}
	}
	if n != 3 {
		t.Errorf("%d steps, want pod, node and exit", n)
	}
	for i := range 60 {
		s.ID = fmt.Sprint("x", i)
		k.Box = b
		if err := k.Keep(s); err != nil {
			t.Fatal(err)
		}
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 50 {
		t.Errorf("%d recordings are kept", len(entries))
	}
	s.ID = "../evil"
	if err := k.Keep(s); err == nil {
		t.Error("wrote outside of its folder")
	}
}

func BenchmarkObserve(bb *testing.B) {
	b := blackbox.New(blackbox.Options{})
	bb.ReportAllocs()
	for i := range bb.N {
		exit(bb, b, time.Duration(i)*time.Millisecond, pod("shop", "a"), "OOMKilled: exit code 137")
	}
}
