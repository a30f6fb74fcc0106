package kernel

import (
	"time"

	"github.com/yairfalse/tapio"
)

// waiting is an event whose container has no name yet, or that others may join.
type waiting struct {
	id    string // of the container
	event *tapio.Event
	ready time.Time // when to tell it
	due   time.Time // when to give up
}

// tell tells an event of the container now, or as soon as it has a name.
func (c *Collector) tell(id string, e *tapio.Event) {
	if !c.tellNow(id, e) {
		t := now()
		c.wait(waiting{id: id, event: e, ready: t, due: t.Add(patience)})
	}
}

// tellNow reports whether the container has a name.
func (c *Collector) tellNow(id string, e *tapio.Event) bool {
	entity, ok := c.opts.Find(id)
	if ok {
		e.Entity = entity
		c.send(e)
	}
	return ok
}

// send tells an event that is complete but for its ID.
func (c *Collector) send(e *tapio.Event) {
	e.SetID()
	c.metrics.told.WithLabelValues(string(e.Type)).Inc()
	c.put(tapio.Observation{Time: now(), Event: e})
}

// wait keeps an event for later. Beyond the bound it is lost.
func (c *Collector) wait(w waiting) {
	if len(c.waiting) >= maxWaiting {
		c.full.Add(1)
		return
	}
	c.waiting = append(c.waiting, w)
}

// settle tells what has waited long enough.
func (c *Collector) settle(t time.Time) {
	kept := c.waiting[:0]
	for _, w := range c.waiting {
		switch {
		case w.ready.After(t):
			kept = append(kept, w)
		case c.tellNow(w.id, w.event):
			delete(c.kills, w.id)
		case w.due.After(t):
			kept = append(kept, w)
		default:
			delete(c.kills, w.id)
			c.metrics.unknown.Inc()
		}
	}
	clear(c.waiting[len(kept):])
	c.waiting = kept
}
