package main

import (
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/cases"
	"github.com/yairfalse/tapio/cmd/tapio/config"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
	"github.com/yairfalse/tapio/cmd/tapio/score"
	"github.com/yairfalse/tapio/narrate"
)

// TestLateWatches replays every recorded case with each watch late by its own
// time of up to 2 s, as watches are under load, and each log by as much again.
// What is told first is right all the same. A case may be left untold where its
// recording ends between two crashes: these are counted.
func TestLateWatches(t *testing.T) {
	const most = 2 * time.Second
	list, _, err := cases.Find([]string{"../../deploy/corpus/recordings"})
	if err != nil {
		t.Fatal(err)
	}
	templates, err := loadTemplates(nil, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	teller, err := newTeller(config.Config{}, templates)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(2) {
		var mu sync.Mutex
		untold, incidents := 0, 0
		var running sync.WaitGroup
		next := make(chan cases.Case)
		for range 2 {
			running.Go(func() {
				n, err := narrate.New(templates)
				if err != nil {
					t.Error(err)
				}
				for c := range next {
					v, err := tellLate(teller, c, n, seed, most)
					mu.Lock()
					switch incidents++; {
					case err != nil:
						t.Errorf("%s: %v", c.Name, err)
					case len(v.Told) == 0 && !v.Healthy:
						untold++
					case !v.First.Both:
						t.Errorf("%s, seed %d: want %s of %s; told %+v", c.Name, seed, v.Cause, v.Entity, v.Told)
					}
					mu.Unlock()
				}
			})
		}
		for _, c := range list {
			next <- c
		}
		close(next)
		running.Wait()
		t.Logf("seed %d: %d of %d untold", seed, untold, incidents)
		if incidents < 300 || untold*100 > 3*incidents {
			t.Errorf("seed %d: %d of %d untold, want 3 %% at most of 300", seed, untold, incidents)
		}
	}
}

func tellLate(t *teller, c cases.Case, n *narrate.Narrator, seed uint64, most time.Duration) (score.Verdict, error) {
	data, err := os.ReadFile(c.Recording)
	if err != nil {
		return score.Verdict{}, err
	}
	f, err := readFilm(data)
	if err != nil {
		return score.Verdict{}, err
	}
	objects := score.NewObjects()
	stories, _, err := t.replay(delay(f.steps, c.Name, seed, most), f.header, n, objects)
	return score.Judge(score.Result{Case: c, Stories: stories, Objects: objects}), err
}

// delayed are the steps of a recording, in another order.
type delayed []recording.Step

func (d *delayed) Next() (recording.Step, error) {
	if len(*d) == 0 {
		return recording.Step{}, io.EOF
	}
	step := (*d)[0]
	*d = (*d)[1:]
	return step, nil
}

// delay lets each watch be late by a time of its own.
func delay(steps []recording.Step, name string, seed uint64, most time.Duration) *delayed {
	out := delayed(slices.Clone(steps))
	for i, step := range out {
		o := step.Observation
		if o == nil || o.Gap != nil {
			continue
		}
		sum := fnv.New64()
		_, _ = io.WriteString(sum, name+"\x00"+watchOf(o))
		rng := rand.New(rand.NewPCG(seed, sum.Sum64()))
		by := time.Duration(rng.Int64N(int64(most)))
		if o.Event != nil && o.Event.Type == tapio.ContainerLog {
			by += time.Duration(rng.Int64N(int64(most)))
		}
		late := *o
		late.Time = o.Time.Add(by)
		if o.Event != nil {
			ev := *o.Event
			ev.Seen = ev.Seen.Add(by)
			late.Event = &ev
		}
		out[i] = recording.Step{Time: late.Time, Observation: &late}
	}
	slices.SortStableFunc(out, func(a, b recording.Step) int { return a.Time.Compare(b.Time) })
	return &out
}

// watchOf names what an observation comes by: the watch of its kind, that of the
// Events, or another source. Logs are asked for when the pods' watch says so.
func watchOf(o *tapio.Observation) string {
	switch {
	case o.State != nil:
		return string(o.State.Entity.Kind)
	case o.Event.Source != tapio.SourceKubernetes:
		return "from " + string(o.Event.Source)
	case o.Event.Type == tapio.KubernetesEvent:
		return "Events"
	case strings.HasPrefix(string(o.Event.Type), "endpoints."):
		return string(tapio.KindEndpointSlice)
	}
	return string(o.Event.Entity.Kind)
}
