package kernel

import (
	"fmt"
	"strconv"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/kernel/pressure"
)

const (
	// nearLimit is the share of its limit from which a container that meets the
	// limit is told of: file caches alone meet it all the time.
	nearLimit = 0.9
	// hardFor is how long a hardship is over until it would be told again.
	hardFor = time.Minute
)

// hardship is what was measured last of a container or the node.
type hardship struct {
	hits int64     // how often the limit was met
	last time.Time // when it was last hard
	seen time.Time
}

// measure reads how short of memory the node and its containers are, and tells
// where it became hard.
func (c *Collector) measure() {
	t := now()
	if s, err := c.psi.Node(); err == nil {
		hard := s.Some >= c.opts.Config.PressureSome
		if c.turned("", hard, 0, t) {
			e := c.event(tapio.MemoryPressure, severity(s, c.opts.Config.PressureSome), t)
			e.Entity = c.node()
			stalled(e, s)
			e.Message = fmt.Sprintf("work on the node waits for memory %.0f %% of the time", s.Some)
			c.send(e)
		}
	}
	list, left, err := c.psi.Containers()
	if err != nil {
		c.metrics.failed.WithLabelValues(ProbePressure).Inc()
		return
	}
	if left > 0 {
		c.full.Add(uint64(left))
	}
	for _, x := range list {
		m := x.Memory
		before, known := c.hard[x.ID]
		near := m.Limit > 0 && float64(m.WorkSet) >= nearLimit*float64(m.Limit)
		hard := near && (known && m.LimitHits > before.hits || m.HasStall && m.Stall.Some >= c.opts.Config.PressureSome)
		if !c.turned(x.ID, hard, m.LimitHits, t) {
			continue
		}
		e := c.event(tapio.MemoryPressure, tapio.SeverityMedium, t)
		noteContainer(x.Container, e)
		put(e, tapio.AttrMemoryLimit, quantity(m.Limit))
		put(e, tapio.AttrCharged, bytes(m.WorkSet))
		e.Message = fmt.Sprintf("the container uses %.0f %% of its memory limit and met it %d times", 100*float64(m.WorkSet)/float64(m.Limit), m.LimitHits-before.hits)
		if m.HasStall {
			stalled(e, m.Stall)
		}
		c.tell(x.ID, e)
	}
	for id, h := range c.hard {
		if t.Sub(h.seen) > hardFor {
			delete(c.hard, id) // the container is gone
		}
	}
}

// turned notes what was measured and reports whether it just became hard.
func (c *Collector) turned(id string, hard bool, hits int64, t time.Time) bool {
	h := c.hard[id]
	turned := hard && (h.last.IsZero() || t.Sub(h.last) > hardFor)
	if hard {
		h.last = t
	}
	h.hits, h.seen = hits, t
	c.hard[id] = h
	return turned
}

// severity is high where nothing at all goes on for half of the threshold.
func severity(s pressure.Stall, threshold float64) tapio.Severity {
	if s.Full >= threshold/2 {
		return tapio.SeverityHigh
	}
	return tapio.SeverityMedium
}

func stalled(e *tapio.Event, s pressure.Stall) {
	e.Attrs[tapio.AttrStallSome] = strconv.FormatFloat(s.Some, 'f', 2, 64)
	e.Attrs[tapio.AttrStallFull] = strconv.FormatFloat(s.Full, 'f', 2, 64)
}
