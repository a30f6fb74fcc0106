package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// serviceSettle is how long after a change a Service is looked at: the
// EndpointSlice controller and the pods' own rollout need a moment.
const serviceSettle = 5 * time.Second

// checkServices looks at the Services that changed and derives two facts that
// no single object shows: a selector that takes in nothing, and, in a listing,
// a Service that nobody answers for.
func (e *Engine) checkServices(now time.Time) []tapio.Story {
	var due []tapio.Entity
	for svc, at := range e.services {
		if !at.After(now) {
			due = append(due, svc)
		}
	}
	slices.SortFunc(due, tapio.Entity.Compare)
	var out []tapio.Story
	for _, svc := range due {
		delete(e.services, svc)
		if ev := e.serviceFact(svc); ev != nil {
			ev.SetID()
			out = append(out, e.observeEvent(ev)...)
		}
	}
	return out
}

func (e *Engine) serviceFact(svc tapio.Entity) *tapio.Event {
	if !e.graph.Exists(svc) || e.graph.Health(svc).Healthy {
		return nil
	}
	s := e.graph.State(svc)
	ev := &tapio.Event{
		Time: e.now, Seen: e.now, Source: tapio.SourceKubernetes, Severity: tapio.SeverityHigh,
		Entity: svc, Listed: s.Listed,
		Attrs: map[string]string{tapio.AttrSelector: formatLabels(s.Service.Selector), tapio.AttrUID: s.UID},
	}
	pods := e.graph.Selected(svc)
	if len(pods) == 0 {
		nearest, ok := e.nearest(s)
		if !ok {
			return nil
		}
		ev.Type = tapio.ServiceSelectsNone
		ev.Message = "the selector " + ev.Attrs[tapio.AttrSelector] + " takes in no pod"
		ev.Attrs[tapio.AttrNearest] = nearest
		if c := e.lastChange(svc, tapio.ServiceChanged); c != nil {
			ev.Time = c.Time
		}
		return ev
	}
	if len(e.recent[svc]) > 0 {
		return nil // its loss was watched
	}
	if !s.Listed && e.allStart(pods) {
		e.services[svc] = e.now.Add(serviceSettle) // it has lost nobody yet
		return nil
	}
	ev.Type = tapio.EndpointsRemoved
	ev.Message = fmt.Sprintf("found with %d pods behind it, none of them ready", len(pods))
	ev.Attrs[tapio.AttrReadyAfter] = "0"
	for _, p := range pods {
		if e.graph.WasReady(p.Entity) && p.Pod.ReadySince.Before(ev.Time) {
			ev.Time = p.Pod.ReadySince
		}
	}
	return ev
}

// startGrace is how long the pods behind a Service may take to become ready for
// the first time.
const startGrace = 2 * time.Minute

// allStart reports whether all the pods are young and were never ready.
func (e *Engine) allStart(pods []*tapio.State) bool {
	return !slices.ContainsFunc(pods, func(p *tapio.State) bool { return !e.graph.Starting(p.Entity, e.now, startGrace) })
}

// afterwards reports whether the event came when the Service whose loss of
// endpoints the parent tells had some again: who cannot reach it then has
// another reason.
func (e *Engine) afterwards(parent *incident, ev *tapio.Event) bool {
	svc := parent.subject
	if svc.Kind != tapio.KindService || !parent.chosen.Template.IsSymptom() || !e.graph.Health(svc).Healthy {
		return false
	}
	for _, back := range slices.Backward(e.recent[svc]) {
		if back.Type == tapio.EndpointsAdded && worthALine(back) {
			return ev.Time.After(back.Time.Add(serviceSettle))
		}
	}
	return false
}

// nearest names the workload that a selector which takes in nothing most
// likely means: one of the Service's name, or the only one that shares a label
// with it. ok is false where nothing says that the Service ever meant a pod
// that exists: a leftover hurts nobody.
func (e *Engine) nearest(s *tapio.State) (name string, ok bool) {
	var sharing []string
	for _, w := range e.graph.Workloads(s.Entity.Namespace) {
		if w.Name == s.Entity.Name {
			return w.Name, true
		}
		if pods := e.graph.Pods(w); len(pods) > 0 && shares(s.Service.Selector, pods[0].Labels) {
			sharing = append(sharing, w.Name)
		}
	}
	if len(sharing) == 1 {
		return sharing[0], true
	}
	return "", e.lastChange(s.Entity, tapio.ServiceChanged) != nil || e.lastChange(s.Entity, tapio.EndpointsRemoved) != nil
}

func shares(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] == v {
			return true
		}
	}
	return false
}

func (e *Engine) lastChange(entity tapio.Entity, typ tapio.EventType) *tapio.Event {
	for _, ev := range slices.Backward(e.recent[entity]) {
		if ev.Type == typ {
			return ev
		}
	}
	return nil
}

func formatLabels(m map[string]string) string {
	parts := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+"="+m[k])
	}
	return strings.Join(parts, ",")
}
