package kubernetes

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/yairfalse/tapio"
)

// queueCapacity is how many observations wait for a slow reader: some six
// seconds of the largest burst that the design point names (5,000 a second),
// which outlasts a compaction of the store. At about 1.5 KiB each, a full queue
// holds some 50 MiB.
const queueCapacity = 32768

// queue is the one way out of the collector. It keeps the order in which
// observations were put in and gives them to one reader.
//
// In steady state it never makes a writer wait. When it is full it enters
// overflow: events are dropped and counted; of states, the newest of each
// entity is kept aside, up to capacity of them, because a state replaces the
// last one and a lost deletion would leave a ghost in the topology. Overflow
// ends when the reader has emptied half of the queue: a gap that tells how
// much was dropped is put in, then the states kept aside, then whatever
// comes next. Gaps are never dropped; those of one resource are joined.
type queue struct {
	capacity int
	onDrop   func()
	onSend   func(*tapio.Observation)

	mu       sync.Mutex
	room     sync.Cond // wakes writers that may wait
	items    []tapio.Observation
	head     int
	overflow bool
	aside    []tapio.Observation // states and gaps of an overflow, in order of first arrival
	places   map[string]int      // key to index in aside
	dropped  int
	from     time.Time // of the first drop
	marks    []func()  // what to call where an empty observation is met, in order
	closed   bool

	ready chan struct{} // capacity 1: a wake-up that is already pending is enough
	last  time.Time     // of the observation given out last; the reader's own
}

// newQueue makes a queue. It calls onDrop for each observation that it drops,
// and onSend for each that was given out.
func newQueue(capacity int, onDrop func(), onSend func(*tapio.Observation)) *queue {
	q := &queue{
		capacity: capacity,
		onDrop:   onDrop,
		onSend:   onSend,
		places:   make(map[string]int),
		ready:    make(chan struct{}, 1),
	}
	q.room.L = &q.mu
	return q
}

// put adds observations without waiting. What finds no room is dropped.
func (q *queue) put(observations ...tapio.Observation) {
	if len(observations) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	for i := range observations {
		q.add(&observations[i])
	}
	q.wake()
}

// putWaiting adds observations and waits for room as long as it takes. It is
// for a first listing only: what waits then is the informer's own backlog,
// which holds the same objects as its cache.
func (q *queue) putWaiting(observations ...tapio.Observation) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range observations {
		for !q.closed && (q.overflow || q.length() >= q.capacity) {
			q.room.Wait()
		}
		if q.closed {
			return
		}
		q.add(&observations[i])
		q.wake()
	}
}

// mark has f called once everything that is in the queue now was given out.
func (q *queue) mark(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.marks = append(q.marks, f)
	if q.overflow {
		q.aside = append(q.aside, tapio.Observation{})
	} else {
		q.items = append(q.items, tapio.Observation{})
	}
	q.wake()
}

// marked removes the mark that was reached.
func (q *queue) marked() func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := q.marks[0]
	q.marks = q.marks[1:]
	return f
}

// add puts one observation where it belongs. The lock is held.
func (q *queue) add(o *tapio.Observation) {
	if !q.overflow && q.length() < q.capacity {
		q.items = append(q.items, *o)
		return
	}
	q.overflow = true
	switch {
	case o.Gap != nil:
		q.setAside("gap "+string(o.Gap.Source)+" "+o.Gap.Resource, o)
	case o.State != nil:
		// The UID is part of the key: of a pod that was replaced under the same
		// name, both the end of the old and the start of the new one are kept.
		q.setAside(o.State.Entity.String()+" "+o.State.UID, o)
	default:
		q.drop()
	}
}

func (q *queue) setAside(key string, o *tapio.Observation) {
	i, ok := q.places[key]
	switch {
	case ok && o.Gap != nil:
		joined := *o.Gap
		joined.From = q.aside[i].Gap.From
		joined.Dropped += q.aside[i].Gap.Dropped
		q.aside[i].Gap = &joined
	case ok:
		q.aside[i] = *o
	case o.Gap == nil && len(q.aside) >= q.capacity:
		q.drop()
	default:
		q.places[key] = len(q.aside)
		q.aside = append(q.aside, *o)
	}
}

func (q *queue) drop() {
	if q.dropped == 0 {
		q.from = now()
	}
	q.dropped++
	q.onDrop()
}

// length is how many observations wait in order. The lock is held.
func (q *queue) length() int { return len(q.items) - q.head }

// size is how many observations wait in all.
func (q *queue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.length() + len(q.aside)
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take removes the oldest observation.
func (q *queue) take() (tapio.Observation, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.overflow && q.length() <= q.capacity/2 {
		q.settle()
	}
	if q.length() == 0 {
		return tapio.Observation{}, false
	}
	o := q.items[q.head]
	q.items[q.head] = tapio.Observation{}
	q.head++
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > q.capacity {
			q.items = nil // an overflow made it larger than it should stay
		}
	case q.head >= q.capacity:
		q.items = append(q.items[:0:0], q.items[q.head:]...)
		q.head = 0
	}
	q.room.Broadcast()
	return o, true
}

// settle ends an overflow. The lock is held.
func (q *queue) settle() {
	if q.dropped > 0 {
		q.items = append(q.items, tapio.Observation{Gap: &tapio.Gap{
			Source: tapio.SourceKubernetes, From: q.from, To: now(), Dropped: q.dropped,
			Reason: fmt.Sprintf("queue full: %d observations dropped", q.dropped),
		}})
	}
	q.items = append(q.items, q.aside...)
	q.aside, q.dropped, q.from, q.overflow = nil, 0, time.Time{}, false
	clear(q.places)
}

// run gives observations to out until ctx ends. Each is stamped as it is given
// out, so times never go back, even when the wall clock does.
func (q *queue) run(ctx context.Context, out chan<- tapio.Observation) {
	defer q.close()
	for {
		o, ok := q.take()
		if !ok {
			select {
			case <-q.ready:
				continue
			case <-ctx.Done():
				return
			}
		}
		if o == (tapio.Observation{}) {
			q.marked()()
			continue
		}
		if t := now(); t.After(q.last) {
			q.last = t
		}
		o.Time = q.last
		select {
		case out <- o:
			q.onSend(&o)
		case <-ctx.Done():
			return
		}
	}
}

// close lets every waiting writer go. What is put in from now on is lost.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.items, q.head, q.aside = nil, 0, nil
	q.room.Broadcast()
}

// now is the wall clock in UTC, without the monotonic reading, which a
// recording can't hold.
func now() time.Time { return time.Now().UTC().Round(0) }
