package engine

import (
	"regexp"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// maxPreempted bounds the preemptions of which something is not known yet.
const maxPreempted = 1000

var (
	preemptor   = regexp.MustCompile(`(?i)preempted by (?:a )?pod ([0-9a-f]{8}-[0-9a-f-]{27})`)
	preemptedBy = regexp.MustCompile(`(?i)preempted by (?:pod )?([a-z0-9.-]+)/([a-z0-9.-]+)`)
)

// preemption is an event that says that a pod of the workload had to go.
type preemption struct {
	workload tapio.Entity
	event    *tapio.Event
}

// preemptions are those of which something is not known yet.
type preemptions struct {
	gone     map[tapio.Entity]*tapio.Event // by what has made the pod: nothing but its name is known
	nameless map[string][]preemption       // by the UID of the pod that was let in: its name is not known
	named    []preemption                  // now it is
}

func newPreemptions() preemptions {
	return preemptions{gone: map[tapio.Entity]*tapio.Event{}, nameless: map[string][]preemption{}}
}

// tidy forgets what nothing will come of any more.
func (p *preemptions) tidy(now time.Time) {
	for set, ev := range p.gone {
		if now.Sub(ev.Seen) > eventMemory {
			delete(p.gone, set)
		}
	}
	for uid, list := range p.nameless {
		if now.Sub(list[len(list)-1].event.Seen) > eventMemory {
			delete(p.nameless, uid)
		}
	}
}

// preempted tells of the workload of a pod that had to go. Of one that is gone
// for so long that nothing but its name is known, its successor tells.
func (e *Engine) preempted(ev *tapio.Event) []tapio.Story {
	if e.graph.State(ev.Entity) != nil {
		return e.makesRoom(e.graph.Workload(ev.Entity), ev)
	}
	set := setOf(ev.Entity)
	if len(e.preemptions.gone) < maxPreempted {
		e.preemptions.gone[set] = ev
	}
	for pod, said := range e.unscheduled {
		if setOf(pod) == set {
			e.blocked[pod] = blocked{e.now.Add(blockSettle), said}
		}
	}
	return nil
}

// succeeds tells of a preemption, where the pod that finds no place is in the
// place of one that had to go.
func (e *Engine) succeeds(pod tapio.Entity) []tapio.Story {
	ev, s := e.preemptions.gone[setOf(pod)], e.graph.State(pod)
	if ev == nil || s == nil || s.Pod == nil || s.Pod.Scheduled {
		return nil
	}
	delete(e.preemptions.gone, setOf(pod))
	return e.makesRoom(e.graph.Workload(pod), ev)
}

// setOf is what pods share that one controller has made: it names them after
// itself and five letters.
func setOf(pod tapio.Entity) tapio.Entity {
	pod = pod.Object()
	if at := len(pod.Name) - 6; at > 0 && pod.Name[at] == '-' {
		pod.Name = pod.Name[:at]
	}
	return pod
}

// makesRoom tells of the workload whose pod had to go. Pods and events are
// watched apart: the pod that was let in may be known only later.
func (e *Engine) makesRoom(workload tapio.Entity, ev *tapio.Event) []tapio.Story {
	o := e.preemptor(ev)
	if m := preemptor.FindStringSubmatch(ev.Message); m != nil && o.object == "" && len(e.preemptions.nameless) < maxPreempted {
		e.preemptions.nameless[m[1]] = append(e.preemptions.nameless[m[1]], preemption{workload, ev})
	}
	return e.derive(tapio.PodPreempted, workload, ev, o)
}

// namePreemptor notes the preemptions for a pod that is known only now.
func (e *Engine) namePreemptor(pod *tapio.State) {
	if list, ok := e.preemptions.nameless[pod.UID]; ok {
		delete(e.preemptions.nameless, pod.UID)
		e.preemptions.named = append(e.preemptions.named, list...)
	}
}

// checkNamed tells once more, and by name, of preemptions for pods that
// are known only now.
func (e *Engine) checkNamed() []tapio.Story {
	named := e.preemptions.named
	e.preemptions.named = nil
	var out []tapio.Story
	for _, p := range named {
		out = append(out, e.derive(tapio.PodPreempted, p.workload, p.event, e.preemptor(p.event))...)
	}
	return out
}

// preemptor names the pod that a pod had to go for.
func (e *Engine) preemptor(ev *tapio.Event) obstacle {
	o := obstacle{reason: "Preempted", detail: ev.Message}
	if kind, rest, ok := strings.Cut(ev.Attrs[tapio.AttrRelated], "/"); ok && kind == string(tapio.KindPod) {
		o.kind, o.object = tapio.KindPod, rest
		return o
	}
	if m := preemptor.FindStringSubmatch(ev.Message); m != nil {
		if p := e.graph.PodByUID(m[1]); !p.IsZero() {
			o.kind, o.object = tapio.KindPod, p.Namespace+"/"+p.Name
		}
		return o
	}
	if m := preemptedBy.FindStringSubmatch(ev.Message); m != nil {
		o.kind, o.object = tapio.KindPod, m[1]+"/"+m[2]
	}
	return o
}
