package engine

import (
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

const (
	// maxWitnessed bounds the containers whose runtime's words are remembered:
	// at the design point some 5,000 end in the minutes that the kubelet takes.
	maxWitnessed = 20_000
	// witnessFor is how long they are remembered: as long as a listing may name
	// the last exit of a container that is looked at now.
	witnessFor = time.Hour
	// maxSaid is how much of one container is remembered: its end, and the limit
	// that was hit, by runtime and kernel.
	maxSaid = 4
	// sameEnd is how far apart the kubelet's and the runtime's time of one end
	// may be: the kubelet's is cut to the second.
	sameEnd = 2 * time.Second
)

// witnesses remembers what container runtimes and kernels said of containers, by
// container ID, and which incidents speak of them. The kubelet's word makes an
// exit; theirs, which is earlier and finer, stands beside it and never makes a
// second one.
type witnesses struct {
	said  map[string][]*tapio.Event
	order []string // container IDs, oldest first
}

// exit is one end of a container that an incident has on its timeline.
type exit struct {
	event *tapio.Event
	group tapio.Entity
}

// runOf returns the ID of the run of a container that an event speaks of, as the
// runtime gave it. Kubernetes puts the runtime's name before it.
func runOf(ev *tapio.Event) string {
	id := ev.Attrs[tapio.AttrContainerID]
	if _, bare, ok := strings.Cut(id, "://"); ok {
		return bare
	}
	return id
}

// witness takes in what a runtime or a kernel said of a container.
func (e *Engine) witness(ev *tapio.Event) {
	id := runOf(ev)
	switch ev.Type {
	case tapio.CRIContainerFailed, tapio.CRIContainerStopped, tapio.CRIResourceLimitHit:
	case tapio.OOMKill, tapio.ProcessExit:
		if ev.Attrs[tapio.AttrMain] == "" {
			return // the container goes on
		}
	default:
		return
	}
	w := &e.witnessed
	if id == "" || len(w.said[id]) >= maxSaid {
		return
	}
	if w.said == nil {
		w.said = map[string][]*tapio.Event{}
	}
	if w.said[id] == nil {
		if len(w.order) >= maxWitnessed {
			delete(w.said, w.order[0])
			w.order = w.order[1:]
		}
		w.order = append(w.order, id)
	}
	w.said[id] = append(w.said[id], ev)
	for _, inc := range e.live {
		if inc.absorbedInto == nil && inc.status != tapio.StatusResolved {
			if x, ok := inc.exits[id]; ok {
				e.corroborate(inc, x, ev)
			}
		}
	}
}

// recall adds to an exit that an incident has just taken in what its runtime
// said before.
func (e *Engine) recall(inc *incident, ev *tapio.Event) {
	id := runOf(ev)
	if ev.Type != tapio.ContainerExit || id == "" {
		return
	}
	if inc.exits == nil {
		inc.exits = map[string]exit{}
	}
	if len(inc.exits) < maxEvidence {
		inc.exits[id] = exit{ev, e.group(ev.Entity)}
	}
	for _, said := range e.witnessed.said[id] {
		e.corroborate(inc, exit{ev, e.group(ev.Entity)}, said)
	}
}

// corroborate cites what the runtime or the kernel said beside the line of the
// exit, and gives the line their time, which is the finer one.
func (e *Engine) corroborate(inc *incident, x exit, said *tapio.Event) {
	if inc.counted[said.ID] {
		return
	}
	inc.counted[said.ID] = true
	for i := range inc.timeline {
		t := &inc.timeline[i]
		reason, _ := t.Data["reason"].(string)
		if t.Type != tapio.ContainerExit || reason != x.event.Reason || e.group(t.Entity) != x.group {
			continue
		}
		// What is said of an end that is cited is cited too, however late it
		// comes, and of any end what a source says first.
		if inc.cited[x.event.ID] {
			inc.cite(said)
		}
		if !slices.Contains(t.Witnesses, said.Source) {
			t.Witnesses = append(slices.Clone(t.Witnesses), said.Source)
			slices.Sort(t.Witnesses)
			inc.cite(said)
		}
		if d := said.Time.Sub(x.event.Time).Abs(); d < sameEnd && said.Type != tapio.CRIResourceLimitHit {
			if t.Timestamp.Equal(x.event.Time) {
				t.Timestamp = said.Time
			}
			if t.Last.Truncate(coarseness(x.event)).Equal(x.event.Time) {
				t.Last = maxTime(t.Last, said.Time)
			}
		}
		break
	}
	e.sortTimeline(inc)
	inc.fresh = true
}

// tidy forgets what no listing can name any more.
func (w *witnesses) tidy(now time.Time) {
	n := 0
	for n < len(w.order) && now.Sub(w.said[w.order[n]][0].Seen) > witnessFor {
		delete(w.said, w.order[n])
		n++
	}
	w.order = w.order[n:]
}
