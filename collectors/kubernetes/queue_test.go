package kubernetes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/yairfalse/tapio"
)

func event(id string) tapio.Observation { return tapio.Observation{Event: &tapio.Event{ID: id}} }

func state(name, phase string) tapio.Observation {
	return tapio.Observation{State: &tapio.State{
		Entity: tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: name}, UID: name, Pod: &tapio.PodState{Phase: phase},
	}}
}

func gapOf(resource string, from, to time.Time) tapio.Observation {
	return tapio.Observation{Gap: &tapio.Gap{Source: tapio.SourceKubernetes, Resource: resource, From: from, To: to}}
}

// words says in one word each what observations are.
func words(observations []tapio.Observation) []string {
	var out []string
	for _, o := range observations {
		switch {
		case o.Event != nil:
			out = append(out, o.Event.ID)
		case o.State != nil:
			out = append(out, o.State.Entity.Name+"="+o.State.Pod.Phase)
		case o.Gap != nil && o.Gap.Resource == "":
			out = append(out, fmt.Sprintf("dropped %d", o.Gap.Dropped))
		case o.Gap != nil:
			out = append(out, fmt.Sprintf("gap %s %s", o.Gap.Resource, o.Gap.To.Sub(o.Gap.From)))
		default:
			out = append(out, "mark")
		}
	}
	return out
}

func takeAll(q *queue) (all []tapio.Observation) {
	for {
		o, ok := q.take()
		if !ok {
			return all
		}
		all = append(all, o)
	}
}

func testQueue(capacity int) (*queue, *int) {
	drops := 0
	return newQueue(capacity, func() { drops++ }, func(*tapio.Observation) {}), &drops
}

func TestQueueOverflow(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name  string
		puts  []tapio.Observation
		want  []string
		drops int
	}{
		{"room for all", []tapio.Observation{event("a"), state("p", "Running"), event("b")},
			[]string{"a", "p=Running", "b"}, 0},
		{"events are dropped and counted", []tapio.Observation{event("a"), event("b"), event("c"), event("d"), event("e"), event("f")},
			[]string{"a", "b", "c", "d", "dropped 2"}, 2},
		{"of states the newest is kept, after the gap", []tapio.Observation{
			event("a"), event("b"), event("c"), event("d"),
			state("p", "Pending"), event("e"), state("q", "Running"), state("p", "Failed"),
		}, []string{"a", "b", "c", "d", "dropped 1", "p=Failed", "q=Running"}, 1},
		{"without a lost event there is no gap", []tapio.Observation{
			event("a"), event("b"), event("c"), event("d"), state("p", "Pending"), state("p", "Running"),
		}, []string{"a", "b", "c", "d", "p=Running"}, 0},
		{"states beyond the bound are dropped", []tapio.Observation{
			event("a"), event("b"), event("c"), event("d"),
			state("1", "R"), state("2", "R"), state("3", "R"), state("4", "R"), state("5", "R"),
		}, []string{"a", "b", "c", "d", "dropped 1", "1=R", "2=R", "3=R", "4=R"}, 1},
		{"gaps are kept and joined", []tapio.Observation{
			event("a"), event("b"), event("c"), event("d"),
			gapOf("pods", start, start.Add(20*time.Second)), gapOf("nodes", start, start.Add(30*time.Second)),
			gapOf("pods", start.Add(time.Minute), start.Add(2*time.Minute)),
		}, []string{"a", "b", "c", "d", "gap pods 2m0s", "gap nodes 30s"}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q, drops := testQueue(4)
			q.put(test.puts...)
			if diff := cmp.Diff(test.want, words(takeAll(q))); diff != "" {
				t.Errorf("given out (-want +got):\n%s", diff)
			}
			if *drops != test.drops {
				t.Errorf("%d drops counted, want %d", *drops, test.drops)
			}
			q.put(event("z"))
			if got := words(takeAll(q)); len(got) != 1 || got[0] != "z" {
				t.Errorf("after the overflow it gives %v, want z", got)
			}
		})
	}
}

// While a full queue is being emptied, what comes in stays behind what was kept
// aside, so no state is ever followed by an older one of the same entity.
func TestQueueOverflowLastsUntilHalfEmpty(t *testing.T) {
	q, _ := testQueue(4)
	q.put(event("a"), event("b"), event("c"), event("d"), state("p", "1"))
	var got []tapio.Observation
	next := func() {
		o, ok := q.take()
		if !ok {
			t.Fatal("nothing to take")
		}
		got = append(got, o)
	}
	next()
	q.put(state("p", "2"), event("lost"))
	next()
	next() // two are left: the overflow ends before this one
	q.put(state("p", "3"))
	got = append(got, takeAll(q)...)
	want := []string{"a", "b", "c", "d", "dropped 1", "p=2", "p=3"}
	if diff := cmp.Diff(want, words(got)); diff != "" {
		t.Errorf("given out (-want +got):\n%s", diff)
	}
}

// Whatever is put and taken in whatever order: events keep their order, none is
// given out twice, what is missing is what the gaps count, and the last state
// given out of an entity is the last one put.
func TestQueueKeepsItsPromises(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		q, drops := testQueue(1 + r.IntN(16))
		var got []tapio.Observation
		last := map[string]string{}
		puts := 0
		for i := range 400 {
			switch n := r.IntN(10); {
			case n < 4:
				puts++
				q.put(event(fmt.Sprintf("%05d", i)))
			case n < 7:
				name := fmt.Sprintf("p%d", r.IntN(q.capacity)) // as many entities as can be kept aside
				last[name] = fmt.Sprint(i)
				q.put(state(name, last[name]))
			default:
				if o, ok := q.take(); ok {
					got = append(got, o)
				}
			}
		}
		got = append(got, takeAll(q)...)
		before, events, dropped := "", 0, 0
		for _, o := range got {
			switch {
			case o.Event != nil:
				if o.Event.ID <= before {
					t.Fatalf("seed %d: event %s after %s", seed, o.Event.ID, before)
				}
				before = o.Event.ID
				events++
			case o.State != nil:
				if o.State.Pod.Phase == last[o.State.UID] {
					delete(last, o.State.UID)
				}
			case o.Gap != nil:
				dropped += o.Gap.Dropped
			}
		}
		if events+dropped != puts || dropped != *drops {
			t.Fatalf("seed %d: %d events put, %d given out, gaps tell of %d, %d counted", seed, puts, events, dropped, *drops)
		}
		if len(last) != 0 {
			t.Fatalf("seed %d: the last states of %v were never given out", seed, last)
		}
	}
}

func TestQueueFirstListingWaitsAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, drops := testQueue(8)
		out := make(chan tapio.Observation)
		ctx, cancel := context.WithCancel(t.Context())
		go q.run(ctx, out)
		done := false
		go func() {
			for i := range 1000 {
				q.putWaiting(event(fmt.Sprintf("%04d", i)))
			}
			done = true
		}()
		synctest.Wait()
		if done || q.size() != 8 {
			t.Fatalf("writer done: %v, %d waiting; want a writer that waits with a full queue of 8", done, q.size())
		}
		var before tapio.Observation
		for i := range 1000 {
			o := <-out
			if want := fmt.Sprintf("%04d", i); o.Event.ID != want {
				t.Fatalf("got %s, want %s", o.Event.ID, want)
			}
			if o.Time.Before(before.Time) || o.Time.IsZero() {
				t.Fatalf("time %v after %v", o.Time, before.Time)
			}
			before = o
		}
		synctest.Wait()
		if !done || *drops != 0 {
			t.Errorf("writer done: %v, %d drops; want true and none", done, *drops)
		}
		cancel()
		synctest.Wait()
	})
}

func TestQueueEndReleasesWaitingWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := testQueue(1)
		ctx, cancel := context.WithCancel(t.Context())
		go q.run(ctx, make(chan tapio.Observation)) // nobody reads
		released := false
		go func() {
			q.putWaiting(event("a"), event("b"), event("c"), event("d"))
			released = true
		}()
		synctest.Wait()
		if released {
			t.Fatal("the writer did not wait")
		}
		cancel()
		synctest.Wait()
		if !released {
			t.Error("the writer still waits after the end")
		}
		q.put(event("late"))
		q.mark(func() { t.Error("a mark was reached after the end") })
		if q.size() != 0 {
			t.Errorf("%d observations kept after the end", q.size())
		}
	})
}

func TestQueueMarkComesLast(t *testing.T) {
	for _, capacity := range []int{3, 100} { // with and without an overflow
		synctest.Test(t, func(t *testing.T) {
			q, _ := testQueue(capacity)
			q.put(event("a"), event("b"), state("p", "1"), state("q", "1"))
			marked := false
			q.mark(func() { marked = true })
			q.put(state("r", "1"))
			out := make(chan tapio.Observation)
			ctx, cancel := context.WithCancel(t.Context())
			go q.run(ctx, out)
			for _, want := range []string{"a", "b", "p=1", "q=1", "r=1"} {
				synctest.Wait()
				if got := marked; got != (want == "r=1") {
					t.Errorf("capacity %d: before %s the mark was reached: %v", capacity, want, got)
				}
				if got := words([]tapio.Observation{<-out}); got[0] != want {
					t.Errorf("capacity %d: got %s, want %s", capacity, got[0], want)
				}
			}
			cancel()
			synctest.Wait()
		})
	}
}

func TestQueueTimeNeverGoesBack(t *testing.T) {
	q, _ := testQueue(4)
	ahead := now().Add(time.Hour) // the wall clock was set back by an hour since
	q.last = ahead
	out := make(chan tapio.Observation, 2)
	ctx, cancel := context.WithCancel(t.Context())
	q.put(event("a"), event("b"))
	q.mark(cancel)
	q.run(ctx, out)
	for range 2 {
		if o := <-out; !o.Time.Equal(ahead) {
			t.Errorf("time %v, want %v", o.Time, ahead)
		}
	}
}
