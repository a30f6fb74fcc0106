package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/diagnosis"
)

// explains reports whether the parent's cause accounts for all that the child
// rests on: on the same objects, and not before it.
func (e *Engine) explains(parent, child *incident) bool {
	if parent.chosen == nil || child.chosen == nil || e.moot(parent) {
		return false
	}
	if parent.subject.Kind == tapio.KindComponent {
		if !e.during(parent, child) {
			return false
		}
		if e.governs(parent, child) {
			return true
		}
	}
	if p, c := parent.chosen, child.chosen; p.Template == c.Template && p.CauseEntity == c.CauseEntity && shared(c.CauseEntity.Kind) {
		// One object is at fault for both: the story that began first is told.
		return parent.onset.Before(child.onset) || parent.onset.Equal(child.onset) && parent.subject.Compare(child.subject) < 0
	}
	if sharesWords(parent, child) {
		return true
	}
	// A part of the API is missing because of the pods that should answer for it.
	if s := e.graph.State(child.subject); s != nil && s.APIService != nil && parent.subject.Kind != tapio.KindNode {
		return !parent.chosen.Template.IsSymptom() && e.serves(s.APIService.Service, parent)
	}
	// A Service without endpoints is a symptom of its pods' own trouble.
	if child.subject.Kind == tapio.KindService && parent.subject.Kind != tapio.KindNode && child.chosen.Template.IsSymptom() {
		return parent.subject.Kind != tapio.KindService && !parent.chosen.Template.IsSymptom() && e.serves(child.subject, parent)
	}
	return child.subject.Kind != tapio.KindNode && e.explainsFinding(parent, child.chosen)
}

// slack is how much earlier than the parent's onset a child's event may be: a
// deeper cause is often told well after it began to hurt.
const slack = 2 * time.Minute

// explainsFinding reports whether the parent's cause accounts for all that the
// finding must see: events of the kinds that its template explains, on objects
// that it reaches, and not before it began.
func (e *Engine) explainsFinding(parent *incident, f *diagnosis.Finding) bool {
	if parent.chosen == nil {
		return false
	}
	explained := false
	for _, ev := range f.Evidence {
		switch {
		case !f.Asked(ev), parent.subject.Kind == tapio.KindNode && e.ofAnother(parent.subject, ev) && !e.holds(ev):
		case e.accountsFor(parent, ev):
			explained = true
		case parent.subject.Kind != tapio.KindNode || !e.ofAnother(parent.subject, ev) || len(e.nodesBehind(ev)) == 0:
			return false
		}
	}
	return explained
}

// accountsFor reports whether the parent's cause explains the event.
func (e *Engine) accountsFor(parent *incident, ev *tapio.Event) bool {
	cause := parent.chosen.CauseEntity.Object()
	reached := e.calls(parent, cause, ev) || slices.ContainsFunc(parent.chosen.Template.Explains, func(x tapio.Explanation) bool {
		return x.Symptom == string(ev.Type) && e.reaches(parent, x.Over, ev)
	})
	return reached && !ev.Time.Before(parent.onset.Add(-slack)) && !e.afterwards(parent, ev)
}

// ofAnother reports whether the event is about a pod on another node.
func (e *Engine) ofAnother(node tapio.Entity, ev *tapio.Event) bool {
	if ev.Entity.Kind != tapio.KindPod || ev.Attrs[tapio.AttrNode] == node.Name {
		return false
	}
	on := e.graph.Node(ev.Entity)
	return !on.IsZero() && on != node
}

// nodesBehind returns the live stories of nodes that explain the event.
func (e *Engine) nodesBehind(ev *tapio.Event) []*incident {
	var out []*incident
	for _, inc := range e.live {
		if inc.subject.Kind == tapio.KindNode && inc.chosen != nil && inc.absorbedInto == nil && inc.status != tapio.StatusResolved && e.accountsFor(inc, ev) {
			out = append(out, inc)
		}
	}
	return out
}

// spreadAll spreads what was found before a second node had a story.
func (e *Engine) spreadAll() {
	nodes := 0
	for _, inc := range e.live {
		if inc.subject.Kind == tapio.KindNode && inc.status != tapio.StatusResolved {
			nodes++
		}
	}
	if nodes < 2 {
		return
	}
	for _, inc := range e.live {
		if top := e.top(inc); top.subject.Kind != tapio.KindNode || top.status == tapio.StatusResolved {
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(inc.findings)) {
			if f := inc.findings[id]; f.Subject.Kind != tapio.KindNode {
				e.spread(f)
			}
		}
	}
}

// spread writes what a finding rests on into the story of each node that
// explains it: the pods of one workload may be on several that fail.
func (e *Engine) spread(f *diagnosis.Finding) {
	for _, ev := range f.Evidence {
		for _, node := range e.nodesBehind(ev) {
			e.record(node, ev, tapio.RoleEffect)
			if ev.Entity.Kind == tapio.KindPod {
				node.addPod(ev.Entity)
				node.affected[e.graph.Workload(ev.Entity)] = true
			}
		}
	}
}

// reaches reports whether what the event is about stands in the relation to
// what is at fault.
func (e *Engine) reaches(parent *incident, over string, ev *tapio.Event) bool {
	cause := parent.chosen.CauseEntity.Object()
	switch over {
	case "node":
		return parent.subject.Kind == tapio.KindNode && e.onNode(parent, ev)
	case "selects":
		return e.behind(parent, cause, ev)
	case "references":
		return e.refersTo(cause, ev)
	case "component":
		return ev.Attrs[tapio.AttrComponent] == parent.subject.Name
	case "namespace":
		return ev.Entity.Namespace != "" && (ev.Entity.Namespace == cause.Namespace || cause.Kind == tapio.KindNamespace && ev.Entity.Namespace == cause.Name)
	case "cluster":
		return true
	}
	return false
}

// onNode reports whether the event is about the node's own pods, about a
// Service that stands before one of them, or about a pod that finds no place
// since its workload lost the node.
func (e *Engine) onNode(parent *incident, ev *tapio.Event) bool {
	node := parent.subject
	switch {
	case ev.Type == tapio.PodUnschedulable, ev.Type == tapio.PodBlocked:
		return parent.affected[e.graph.Workload(ev.Entity)] || ev.Attrs[tapio.AttrKind] == string(tapio.KindNode) && ev.Attrs[tapio.AttrObject] == node.Name
	case ev.Entity.Kind == tapio.KindPod:
		return e.graph.Node(ev.Entity) == node || ev.Attrs[tapio.AttrNode] == node.Name
	case ev.Entity.Kind == tapio.KindService:
		for _, p := range e.graph.Selected(ev.Entity) {
			if !p.Pod.Ready && p.Pod.Node == node.Name {
				return true
			}
		}
	}
	return false
}

// behind reports whether the event is about a pod or workload that the Service
// at fault stands before.
func (e *Engine) behind(parent *incident, cause tapio.Entity, ev *tapio.Event) bool {
	services := e.graph.ServicesOf(e.graph.Workload(ev.Entity))
	return slices.Contains(services, parent.subject) || slices.Contains(services, cause)
}

// calls reports whether the event names, as the peer that failed it, a Service
// that is at fault or stands before what is.
func (e *Engine) calls(parent *incident, cause tapio.Entity, ev *tapio.Event) bool {
	name := ev.Attrs[tapio.AttrPeerService]
	if name == "" {
		return false
	}
	namespace, name := splitName(name)
	svc := tapio.Entity{Kind: tapio.KindService, Namespace: namespace, Name: name}
	return svc == parent.subject || svc == cause || e.serves(svc, parent)
}

// refersTo reports whether the pods that the event is about name the object at
// fault: a volume claim, a ConfigMap, a Secret or a service account.
func (e *Engine) refersTo(cause tapio.Entity, ev *tapio.Event) bool {
	for _, p := range e.graph.Pods(e.graph.Workload(ev.Entity)) {
		if slices.Contains(p.Pod.References, cause) {
			return true
		}
	}
	return false
}

// sharesWords reports whether the parent holds the child's own words for the
// cause that it tells: the child's containers say why they fail.
func sharesWords(parent, child *incident) bool {
	for _, f := range parent.findings {
		if f.Subject == child.subject && f.Subject != parent.subject && says(f) && f.Template == parent.chosen.Template &&
			f.Template != child.chosen.Template && f.CauseEntity == parent.chosen.CauseEntity && f.Compare(child.chosen) < 0 {
			return true
		}
	}
	return false
}

// says reports whether the finding rests on an application's own words.
func says(f *diagnosis.Finding) bool {
	_, asked := f.Template.Requires(tapio.AppError)
	return asked
}
