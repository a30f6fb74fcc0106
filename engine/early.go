package engine

import (
	"slices"
	"time"

	"github.com/yairfalse/tapio"
)

const (
	// earlyFor is how long an Event waits for the object that it is about:
	// Events and objects are watched apart, and without the object nobody knows
	// whose failure it is.
	earlyFor = 5 * time.Second
	// maxEarly bounds the Events that wait. Beyond it none does.
	maxEarly = 1000
)

// early is an Event about an object that was not known when it came.
type early struct {
	until time.Time
	event *tapio.Event
}

// isEarly reports whether the event waits for the object that it is about, and
// keeps it if so.
func (e *Engine) isEarly(ev *tapio.Event) bool {
	switch {
	case ev.Type != tapio.KubernetesEvent || ev.Listed || len(e.early) >= maxEarly:
		return false
	case ev.Entity.Kind != tapio.KindPod && ev.Entity.Kind != tapio.KindReplicaSet && ev.Entity.Kind != tapio.KindJob:
		return false // it stands for itself, whatever its object says
	case e.graph.State(ev.Entity) != nil:
		return false
	}
	e.early = append(e.early, early{e.now.Add(earlyFor), ev})
	return true
}

// arrived takes in the Events that waited for the object.
func (e *Engine) arrived(object tapio.Entity) []tapio.Story {
	return e.release(func(w early) bool { return w.event.Entity.Object() == object })
}

// checkEarly takes in the Events that waited until the given time: their
// objects may never be known.
func (e *Engine) checkEarly(at time.Time) []tapio.Story {
	return e.release(func(w early) bool { return !w.until.After(at) })
}

func (e *Engine) release(which func(early) bool) []tapio.Story {
	var due []early
	e.early = slices.DeleteFunc(e.early, func(w early) bool {
		if which(w) {
			due = append(due, w)
			return true
		}
		return false
	})
	var out []tapio.Story
	for _, w := range due {
		out = append(out, e.takeIn(w.event)...)
	}
	return out
}

// takeIn observes an event of which the object is known, as far as it will be.
func (e *Engine) takeIn(ev *tapio.Event) []tapio.Story {
	e.hear(ev)
	e.meanwhile(ev)
	return e.observeEvent(e.webhookNamed(ev))
}
