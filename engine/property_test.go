package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/yairfalse/tapio"
)

func scripts(t testing.TB) map[string][]scriptLine {
	t.Helper()
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	out := map[string][]scriptLine{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if tt, ok := t.(*testing.T); ok {
			out[filepath.Base(file)] = parseScript(tt, archive.Files[0].Data)
		}
	}
	return out
}

// outcome is what a reader is left with: the stories and how they ended.
func outcome(t *testing.T, lines []scriptLine) string {
	t.Helper()
	e := newEngine(t)
	last := map[string]string{}
	keep := func(stories []tapio.Story) {
		for _, s := range stories {
			last[s.ID] = fmt.Sprintf("%s %s %s %s %s %v %s", s.Subject, s.Status, s.Cause, s.CauseEntity, s.Timestamp, s.Affected, s.AffectedPods)
		}
	}
	now := start
	for _, l := range lines {
		for ; now.Before(l.at); now = now.Add(time.Second) {
			keep(e.Tick(now))
		}
		if l.obs != nil {
			stories, _ := e.Observe(l.obs)
			keep(stories)
		}
	}
	keep(e.Tick(now))
	var out []string
	for id, s := range last {
		out = append(out, id+" "+s)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// TestArrivalOrder lets events that lie less than two seconds apart arrive in
// any order: the stories stay the same.
func TestArrivalOrder(t *testing.T) {
	for name, lines := range scripts(t) {
		want := outcome(t, lines)
		for seed := range uint64(20) {
			rng := rand.New(rand.NewPCG(seed, 1))
			shuffled := slices.Clone(lines)
			for i := range shuffled {
				j := i + rng.IntN(3)
				if j >= len(shuffled) || shuffled[i].obs == nil || shuffled[j].obs == nil ||
					shuffled[i].obs.Event == nil || shuffled[j].obs.Event == nil || shuffled[j].at.Sub(shuffled[i].at) > 2*time.Second {
					continue
				}
				// They arrive in the other's place and keep their own time.
				a, b := *shuffled[i].obs, *shuffled[j].obs
				a.Time, b.Time = shuffled[j].at, shuffled[i].at
				shuffled[i].obs, shuffled[j].obs = &b, &a
			}
			if diff := cmp.Diff(want, outcome(t, shuffled)); diff != "" {
				t.Errorf("%s, seed %d: the order of arrival changes the stories:\n%s", name, seed, diff)
				break
			}
		}
	}
}

// TestRecordedIsLive writes every observation as a recording does, and reads it
// back: the revisions are the same.
func TestRecordedIsLive(t *testing.T) {
	for name, lines := range scripts(t) {
		back := make([]scriptLine, len(lines))
		for i, l := range lines {
			back[i].at = l.at
			if l.obs == nil {
				continue
			}
			b, err := json.Marshal(l.obs)
			if err != nil {
				t.Fatal(err)
			}
			if back[i].obs, err = tapio.DecodeObservation(b); err != nil {
				t.Fatalf("%s: %s: %v", name, b, err)
			}
		}
		if diff := cmp.Diff(play(t, lines), play(t, back)); diff != "" {
			t.Errorf("%s: a recording tells other stories:\n%s", name, diff)
		}
	}
}

// TestRestart stops the engine at every line of every scenario and goes on
// with a new one that is given the saved stories and a fresh listing: what was
// open is resolved under the same ID, and nothing is told twice.
func TestRestart(t *testing.T) {
	for name, lines := range scripts(t) {
		want := roots(t, lines, -1)
		for stop := range lines {
			got := roots(t, lines, stop)
			for subject, ids := range got {
				if len(ids) > max(1, len(want[subject])) {
					t.Errorf("%s, restarted at line %d: %s is told as %v, without a restart as %v", name, stop, subject, ids, want[subject])
				}
			}
			for subject := range want {
				if len(got[subject]) == 0 {
					t.Errorf("%s, restarted at line %d: the story of %s is lost", name, stop, subject)
				}
			}
		}
	}
}

// roots plays the lines, with a restart before line stop, and returns the IDs
// of the stories by subject. It fails the test where one is left open that
// would have been resolved.
func roots(t *testing.T, lines []scriptLine, stop int) map[tapio.Entity]map[string]bool {
	t.Helper()
	e := newEngine(t)
	saved := map[string]tapio.Story{}
	out := map[tapio.Entity]map[string]bool{}
	keep := func(stories []tapio.Story) {
		for _, s := range stories {
			b, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			var back tapio.Story
			if err := json.Unmarshal(b, &back); err != nil {
				t.Fatal(err)
			}
			if old, ok := saved[s.ID]; ok && old.Revision >= s.Revision {
				t.Fatalf("story %s: revision %d after %d", s.ID, s.Revision, old.Revision)
			}
			saved[s.ID] = back
			if out[s.Subject] == nil {
				out[s.Subject] = map[string]bool{}
			}
			out[s.Subject][s.ID] = true
		}
	}
	states := map[tapio.Entity]*tapio.State{}
	var events []*tapio.Event
	now := start
	for i, l := range lines {
		if i == stop {
			e = newEngine(t)
			var stories []tapio.Story
			for _, s := range saved {
				stories = append(stories, s)
			}
			if err := e.Restore(stories); err != nil {
				t.Fatal(err)
			}
			for _, entity := range slices.SortedFunc(maps.Keys(states), tapio.Entity.Compare) {
				s := *states[entity]
				s.Listed = true
				e.Observe(&tapio.Observation{Time: now, State: &s})
			}
			for _, ev := range events {
				again := *ev
				again.Listed = true
				stories, _ := e.Observe(&tapio.Observation{Time: now, Event: &again})
				keep(stories)
			}
		}
		for ; now.Before(l.at); now = now.Add(time.Second) {
			keep(e.Tick(now))
		}
		if l.obs == nil {
			continue
		}
		stories, _ := e.Observe(l.obs)
		keep(stories)
		if s := l.obs.State; s != nil {
			if s.Deleted {
				delete(states, s.Entity)
			} else {
				states[s.Entity] = s
			}
		}
		if l.obs.Event != nil {
			events = append(events, l.obs.Event)
		}
	}
	keep(e.Tick(now))
	return out
}

func FuzzObserve(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-01T12:00:00Z","event":{"id":"a","time":"2026-01-01T12:00:00Z","type":"container.exit","entity":{"kind":"Pod","namespace":"n","name":"p","container":"c"},"reason":"OOMKilled","attrs":{"exit_code":"137"}}}`))
	f.Add([]byte(`{"time":"2026-01-01T12:00:00Z","state":{"entity":{"kind":"Pod","namespace":"n","name":"p"},"owner":{"kind":"Pod","namespace":"n","name":"p"},"pod":{"phase":"Running"}}}`))
	f.Add([]byte(`{"time":"2026-01-01T12:00:00Z","state":{"entity":{"kind":"EndpointSlice","namespace":"n","name":"s"},"endpoints":{"service":"s"}}}`))
	f.Add([]byte(`{"time":"2026-01-01T12:00:00Z","gap":{"source":"k8s-api","from":"2026-01-01T12:00:00Z","to":"2026-01-01T12:00:00Z","reason":"x"}}`))
	compiled := newEngine(f)
	f.Fuzz(func(t *testing.T, line []byte) {
		e := assemble(compiled.opts, compiled.templates)
		for l := range strings.SplitSeq(string(line), "\n") {
			o, err := tapio.DecodeObservation([]byte(l))
			if err != nil || o.Time.Sub(start).Abs() > time.Hour {
				continue
			}
			for range 3 {
				e.Observe(o)
			}
			e.Tick(o.Time.Add(time.Minute))
		}
		for _, s := range e.Flush(start.Add(time.Hour)) {
			if err := s.Validate(); err != nil {
				t.Error(err)
			}
		}
	})
}
