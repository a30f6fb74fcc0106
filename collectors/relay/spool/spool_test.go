package spool_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/relay/spool"
)

var begin = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func observation(n int) tapio.Observation {
	at := begin.Add(time.Duration(n) * time.Second)
	e := &tapio.Event{
		Time: at, Seen: at, Source: tapio.SourceCRI, Type: tapio.CRIContainerStarted, Severity: tapio.SeverityInfo,
		Entity: tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "web"}, Attrs: map[string]string{tapio.AttrContainerID: fmt.Sprint(n)},
	}
	e.SetID()
	return tapio.Observation{Time: at, Event: e}
}

// running opens a spool and runs it; stop ends it and waits.
func running(t *testing.T, o spool.Options) (s *spool.Spool, stop func()) {
	t.Helper()
	s, err := spool.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// numbers are what follows a number: the test's own numbers of events, and
// minus the number of dropped ones for a gap.
func numbers(t *testing.T, s *spool.Spool, after uint64) (own []int, last uint64) {
	t.Helper()
	list, err := s.After(after, 1000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		o, err := tapio.DecodeObservation(e.Observation)
		if err != nil {
			t.Fatal(err)
		}
		if o.Gap != nil {
			own = append(own, -o.Gap.Dropped)
			continue
		}
		own = append(own, o.Event.Int(tapio.AttrContainerID))
		last = e.Number
	}
	return own, last
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func TestSurvivesRestart(t *testing.T) {
	o := spool.Options{Dir: t.TempDir(), Node: "node-1"}
	s, stop := running(t, o)
	for n := range 5 {
		s.Put(observation(n))
	}
	stop()
	id := s.ID()
	s, stop = running(t, o)
	defer stop()
	if s.ID() != id {
		t.Errorf("the buffer is another one after a restart")
	}
	own, last := numbers(t, s, 0)
	if fmt.Sprint(own) != "[0 1 2 3 4]" || last != 5 {
		t.Errorf("got %v, the last number %d", own, last)
	}
	s.Put(observation(5))
	await(t, "the sixth", func() bool { own, _ := numbers(t, s, 5); return fmt.Sprint(own) == "[5]" })
}

func TestDropsOldestAndTells(t *testing.T) {
	s, stop := running(t, spool.Options{Dir: t.TempDir(), Node: "node-1", Entries: 10})
	defer stop()
	for n := range 10 {
		s.Put(observation(n))
	}
	await(t, "ten", func() bool { own, _ := numbers(t, s, 0); return len(own) == 10 })
	if err := s.Acknowledge("engine", 4); err != nil { // 0 to 3
		t.Fatal(err)
	}
	for n := range 7 {
		s.Put(observation(10 + n))
	}
	var own []int
	await(t, "the newest", func() bool {
		own, _ = numbers(t, s, 4)
		return len(own) > 7 && (own[len(own)-1] == 16 || own[len(own)-1] < 0)
	})
	// 0 to 3 were there; 4 to 6 were dropped untold.
	dropped, first := 0, 0
	for _, n := range own {
		if n < 0 {
			dropped -= n
		} else if first == 0 {
			first = n
		}
	}
	if dropped != 3 || first != 7 {
		t.Errorf("got %v: %d told as dropped, want 3; the first left is %d, want 7", own, dropped, first)
	}
	if _, n := s.Waiting(); n != 3 {
		t.Errorf("%d counted as dropped, want 3", n)
	}
}

func TestNewEngineIsToldAgain(t *testing.T) {
	o := spool.Options{Dir: t.TempDir(), Node: "node-1"}
	s, stop := running(t, o)
	for n := range 20 {
		s.Put(observation(n))
	}
	await(t, "twenty", func() bool { own, _ := numbers(t, s, 0); return len(own) == 20 })
	if err := s.Acknowledge("one", 15); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		engine  string
		through uint64
		since   time.Time
		want    uint64
	}{
		{"one", 15, begin, 15},                      // the line was cut
		{"one", 12, begin, 12},                      // and three receipts were of batches that it lost
		{"two", 0, begin.Add(10 * time.Second), 10}, // 10 to 14 are recent
		{"two", 0, begin.Add(time.Hour), 15},        // nothing is
		{"two", 0, begin.Add(-time.Hour), 0},        // all are
	} {
		got, err := s.Resume(tt.engine, tt.through, tt.since)
		if err != nil || got != tt.want {
			t.Errorf("engine %s at %d since %s: behind %d, %v; want %d", tt.engine, tt.through, tt.since.Format(time.TimeOnly), got, err, tt.want)
		}
	}
	stop()
	s, stop = running(t, o)
	defer stop()
	if got, err := s.Resume("one", 15, begin); err != nil || got != 15 {
		t.Errorf("after a restart of the agent: behind %d, %v; want 15", got, err)
	}
}

func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "spool.db"), []byte("this is no database, however long it may be"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, stop := running(t, spool.Options{Dir: dir, Node: "node-1"})
	defer stop()
	s.Put(observation(1))
	await(t, "a gap and the event", func() bool { own, _ := numbers(t, s, 0); return len(own) == 2 })
	if _, err := os.Stat(filepath.Join(dir, "spool.db.damaged")); err != nil {
		t.Error(err)
	}
}

func TestSecondAgent(t *testing.T) {
	dir := t.TempDir()
	_, stop := running(t, spool.Options{Dir: dir, Node: "node-1"})
	defer stop()
	if _, err := spool.Open(spool.Options{Dir: dir, Node: "node-1"}); err == nil {
		t.Error("two agents have one buffer")
	}
}
