package loop_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/loop"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
)

// echo tells each event as one story and asks for one log; a tick at a full
// minute is a story too.
type echo struct{ messages []string }

func (e *echo) Observe(o *tapio.Observation) ([]tapio.Story, []tapio.Want) {
	e.messages = append(e.messages, o.Event.Message)
	return []tapio.Story{{ID: o.Event.Message}}, []tapio.Want{{Kind: tapio.WantLog, Entity: o.Event.Entity}}
}

func (e *echo) Tick(now time.Time) []tapio.Story {
	if now.Second() == 0 {
		return []tapio.Story{{ID: "minute"}}
	}
	return nil
}

type words struct{ err error }

func (w words) Tell(s *tapio.Story) error { s.Title = "told " + s.ID; return w.err }

func observation(message string) tapio.Observation {
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // where synctest's clock begins
	e := &tapio.Event{Type: tapio.ContainerExit, Time: at, Entity: tapio.Entity{Kind: tapio.KindPod, Name: "a"}, Message: message}
	e.SetID()
	return tapio.Observation{Time: at, Event: e}
}

// disk saves titles, unless it is full.
type disk struct {
	full  atomic.Bool
	saved []string
}

func (d *disk) save(ctx context.Context, stories []tapio.Story) error {
	if d.full.Load() {
		return errors.New("no space left on device")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, s := range stories {
		d.saved = append(d.saved, s.Title)
	}
	return nil
}

func full() *disk {
	d := &disk{}
	d.full.Store(true)
	return d
}

func newLoop(t *testing.T, d *disk, o loop.Options) *loop.Loop {
	t.Helper()
	if o.Engine == nil {
		o.Engine = &echo{}
	}
	if o.Narrator == nil {
		o.Narrator = words{}
	}
	o.Save, o.Log = d.save, slog.New(slog.NewTextHandler(t.Output(), nil))
	l, err := loop.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []tapio.Want
		d := &disk{}
		l := newLoop(t, d, loop.Options{
			Narrator: words{err: errors.New("template x: title")}, // its words fail; the story is saved all the same
			Ask:      func(_ context.Context, w tapio.Want) { asked = append(asked, w) },
		})
		in := make(chan tapio.Observation, 10)
		done := make(chan error)
		go func() { done <- l.Run(t.Context(), in) }()
		in <- observation("one")
		time.Sleep(61 * time.Second)
		in <- observation("two")
		close(in)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(d.saved, ", "); got != "told one, told minute, told two" {
			t.Errorf("saved %s", got)
		}
		if len(asked) != 2 {
			t.Errorf("asked %v", asked)
		}
	})
}

// TestStop feeds and saves what was waiting when the loop was told to stop.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		l := newLoop(t, d, loop.Options{})
		in := make(chan tapio.Observation, 10)
		in <- observation("one")
		in <- observation("two")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Run(ctx, in); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(d.saved, ", "); got != "told one, told two" {
			t.Errorf("saved %s", got)
		}
	})
}

func TestSavesAgainInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := full()
		l := newLoop(t, d, loop.Options{})
		in := make(chan tapio.Observation, 10)
		done := make(chan error)
		go func() { done <- l.Run(t.Context(), in) }()
		in <- observation("one")
		in <- observation("two")
		time.Sleep(5500 * time.Millisecond)
		if got := l.Lacking(); !strings.Contains(got, "no space left on device") {
			t.Errorf("lacking %q", got)
		}
		d.full.Store(false)
		time.Sleep(time.Second)
		if got := l.Lacking(); got != "" {
			t.Errorf("lacking %q", got)
		}
		close(in)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(d.saved, ", "); got != "told one, told two" {
			t.Errorf("saved %s", got)
		}
	})
}

func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(t, full(), loop.Options{})
		in := make(chan tapio.Observation, 10)
		in <- observation("one")
		begin := time.Now()
		err := l.Run(t.Context(), in)
		if err == nil || !strings.Contains(err.Error(), "failing for 10m0s: no space left on device") {
			t.Errorf("got %v", err)
		}
		if d := time.Since(begin).Round(10 * time.Second); d != 10*time.Minute {
			t.Errorf("gave up after %s", d)
		}
	})
}

// TestRecording judges what a replay will read, not what JSON can't carry.
func TestRecording(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var file bytes.Buffer
		w, err := recording.NewWriter(&file, recording.Header{}, false)
		if err != nil {
			t.Fatal(err)
		}
		live := &echo{}
		l := newLoop(t, &disk{}, loop.Options{Engine: live, Recording: w})
		in := make(chan tapio.Observation, 10)
		in <- observation("broken \xff")
		done := make(chan error)
		go func() { done <- l.Run(t.Context(), in) }()
		time.Sleep(2500 * time.Millisecond)
		close(in)
		if err := errors.Join(<-done, w.Close()); err != nil {
			t.Fatal(err)
		}
		r, err := recording.NewReader(&file)
		if err != nil {
			t.Fatal(err)
		}
		replayed := &echo{}
		ticks := 0
		for {
			s, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Observation == nil {
				ticks++
				continue
			}
			replayed.Observe(s.Observation)
		}
		if strings.Join(live.messages, "|") != strings.Join(replayed.messages, "|") || len(live.messages) != 1 || ticks != 2 {
			t.Errorf("live %q, replayed %q, %d ticks", live.messages, replayed.messages, ticks)
		}
	})
}
