package recording_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
)

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func exit(after time.Duration, message string) *tapio.Observation {
	e := &tapio.Event{
		Time: start.Add(after), Seen: start.Add(after), Source: tapio.SourceKubernetes, Type: tapio.ContainerExit,
		Entity:  tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "checkout-1", Container: "app"},
		Message: message, Attrs: map[string]string{tapio.AttrStartedAt: start.Format(time.RFC3339)},
	}
	e.SetID()
	return &tapio.Observation{Time: e.Seen, Event: e}
}

// write makes a recording of two observations with a tick between them.
func write(t testing.TB, compress bool) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := recording.NewWriter(&b, recording.Header{Cluster: "test", Quiet: tapio.Duration(time.Minute)}, compress)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range []*tapio.Observation{exit(0, "one"), exit(2*time.Second, "two \xff")} {
		seen, err := w.Observe(o)
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 && seen.Event.Message != "two \uFFFD" {
			t.Errorf("the engine would see %q, a replay not", seen.Event.Message)
		}
		if i == 0 {
			if _, err := w.Tick(start.Add(time.Second)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// steps reads to the end and returns what ended it.
func steps(in io.Reader) ([]recording.Step, error) {
	r, err := recording.NewReader(in)
	if err != nil {
		return nil, err
	}
	var out []recording.Step
	for {
		s, err := r.Next()
		if err != nil {
			return out, err
		}
		out = append(out, s)
	}
}

func TestRoundTrip(t *testing.T) {
	for name, compress := range map[string]bool{"plain": false, "gzip": true} {
		t.Run(name, func(t *testing.T) {
			r, err := recording.NewReader(bytes.NewReader(write(t, compress)))
			if err != nil {
				t.Fatal(err)
			}
			if h, ok := r.Header(); !ok || h.Cluster != "test" || h.Quiet != tapio.Duration(time.Minute) {
				t.Errorf("header %+v, %v", h, ok)
			}
			got, err := steps(bytes.NewReader(write(t, compress)))
			if err != io.EOF || len(got) != 3 {
				t.Fatalf("%d steps, then %v", len(got), err)
			}
			if d := cmp.Diff(exit(0, "one"), got[0].Observation); d != "" {
				t.Error(d)
			}
			if got[1].Observation != nil || !got[1].Time.Equal(start.Add(time.Second)) {
				t.Errorf("tick %+v", got[1])
			}
		})
	}
}

// TestCut cuts a recording at every byte: the whole lines are read, and the
// half one is named, never taken for an error in the middle.
func TestCut(t *testing.T) {
	for name, compress := range map[string]bool{"plain": false, "gzip": true} {
		t.Run(name, func(t *testing.T) {
			data := write(t, compress)
			for n := range len(data) {
				got, err := steps(bytes.NewReader(data[:n]))
				var half *recording.Truncated
				switch {
				case err == io.EOF, errors.As(err, &half), errors.Is(err, recording.ErrEmpty):
				case n < 10 && compress: // not even the header of gzip
				default:
					t.Fatalf("cut at %d of %d: %v", n, len(data), err)
				}
				if len(got) == 3 && n < len(data)-20 {
					t.Fatalf("cut at %d of %d: all three steps", n, len(data))
				}
			}
		})
	}
}

func TestBad(t *testing.T) {
	good := string(write(t, false))
	lines := strings.SplitAfter(good, "\n")
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "the recording is empty"},
		{"blank lines", "\n\n", "the recording is empty"},
		{"middle line", lines[0] + lines[1][:40] + "\n" + lines[2], "line 2: not a line of a recording"},
		{"no event, state or gap and no time", lines[0] + "{}\n", "line 2: not a line of a recording: it has no time"},
		{"unknown kind", lines[0] + `{"time":"2026-11-23T10:00:00Z","event":{"id":"x"}}` + "\n", "line 2: event x has no type"},
		{"two headers", good + lines[0], "line 5: a second header"},
		{"newer format", `{"recording":99}` + "\n", "line 1: the recording has format 99"},
		{"half last line", good + lines[1][:30], "line 5 is half-written and was left out"},
		{"another file", "apiVersion: v1\nkind: List\n", "line 1: not a line of a recording"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := steps(strings.NewReader(tt.in))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestWithoutHeader(t *testing.T) {
	line, err := json.Marshal(exit(0, "one"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := steps(bytes.NewReader(append(line, '\n')))
	if err != io.EOF || len(got) != 1 {
		t.Errorf("%d steps, then %v", len(got), err)
	}
}

func TestCreate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "r.jsonl.gz")
	w, err := recording.Create(name, recording.Header{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Observe(exit(0, "one")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := recording.Create(name, recording.Header{}); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("overwrote a recording: %v", err)
	}
	data, _ := os.ReadFile(name)
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		t.Error("a .gz file is not compressed")
	}
	r, err := recording.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Next(); err != nil {
		t.Error(err)
	}
}

// TestShiftMovesEveryTime fills every time.Time of the vocabulary and looks for
// one that Shift leaves behind.
func TestShiftMovesEveryTime(t *testing.T) {
	o := &tapio.Observation{
		Event: &tapio.Event{Attrs: map[string]string{tapio.AttrStartedAt: start.Format(time.RFC3339), tapio.AttrFirstSeen: start.Format(time.RFC3339)}},
		State: &tapio.State{Pod: &tapio.PodState{Containers: []tapio.ContainerState{{}}}, Node: &tapio.NodeState{}, Workload: &tapio.WorkloadState{}, Lease: &tapio.LeaseState{}},
		Gap:   &tapio.Gap{},
	}
	s := recording.Step{Time: start, Observation: o}
	times := 0
	eachTime(reflect.ValueOf(o), func(v reflect.Value) { v.Set(reflect.ValueOf(start)); times++ })
	if times < 9 {
		t.Fatalf("found only %d times", times)
	}
	recording.Shift(&s, time.Hour)
	eachTime(reflect.ValueOf(o), func(v reflect.Value) {
		if !v.Interface().(time.Time).Equal(start.Add(time.Hour)) {
			t.Error("a time was left behind")
		}
	})
	if got := o.Event.Attrs[tapio.AttrStartedAt]; got != "2026-11-23T11:00:00Z" {
		t.Errorf("started_at is %s", got)
	}
}

func eachTime(v reflect.Value, f func(reflect.Value)) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		f(v)
	case v.Kind() == reflect.Pointer && !v.IsNil():
		eachTime(v.Elem(), f)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			eachTime(v.Field(i), f)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			eachTime(v.Index(i), f)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(write(f, false))
	f.Add(write(f, true))
	f.Add([]byte("{\"recording\":1}\n{\"time\":\"2026-11-23T10:00:01Z\"}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := steps(bytes.NewReader(data))
		if err == nil {
			t.Error("a recording without an end")
		}
		for _, s := range got {
			if s.Time.IsZero() {
				t.Errorf("a step without a time: %+v", s)
			}
		}
	})
}
