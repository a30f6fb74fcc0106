package engine

import (
	"reflect"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/crosscheck"
)

// crossCheck compares again, at most once in serviceSettle, what depends on the
// Services that changed, and derives an event of each contradiction that is new.
func (e *Engine) crossCheck(now time.Time) []tapio.Story {
	var due []tapio.Entity
	for entity, at := range e.unchecked {
		if !at.After(now) {
			due = append(due, entity)
		}
	}
	slices.SortFunc(due, tapio.Entity.Compare)
	var out []tapio.Story
	for _, entity := range due {
		delete(e.unchecked, entity)
		out = append(out, e.contradict(entity, crosscheck.Service(e.graph, entity, e.calledInVain(entity)), e.standingSince(entity))...)
	}
	return out
}

// recheck notes what is to be compared again since a state was replaced.
func (e *Engine) recheck(s, old *tapio.State) {
	switch {
	case s.Deleted:
		delete(e.standing, s.Entity)
		delete(e.unchecked, s.Entity)
	case s.Service != nil && (old == nil || !reflect.DeepEqual(old.Service, s.Service)):
		e.unchecked[s.Entity] = e.now.Add(serviceSettle)
	case s.Endpoints != nil: // other pods stand behind it
		svc := tapio.Entity{Kind: tapio.KindService, Namespace: s.Entity.Namespace, Name: s.Endpoints.Service}
		if e.graph.Exists(svc) {
			e.unchecked[svc] = e.now.Add(serviceSettle)
		}
	}
}

// contradict takes in what a check of the entity gave: what is new becomes an
// event of the given time, what is gone no longer stands.
func (e *Engine) contradict(checked tapio.Entity, facts []crosscheck.Fact, at time.Time) []tapio.Story {
	before := e.standing[checked]
	var now, fresh []*tapio.Event
	for i := range facts {
		f := &facts[i]
		if j := slices.IndexFunc(before, func(ev *tapio.Event) bool {
			return ev.Type == f.Type && ev.Entity == f.Entity && ev.Reason == f.Reason && ev.Message == f.Message
		}); j >= 0 {
			now = append(now, before[j])
			continue
		}
		ev := &tapio.Event{
			Time: at, Seen: e.now, Source: tapio.SourceKubernetes, Type: f.Type, Severity: f.Severity, Entity: f.Entity,
			Reason: f.Reason, Message: f.Message, Attrs: f.Attrs,
		}
		if s := e.graph.State(f.Entity); s != nil {
			ev.Listed = s.Listed
		}
		ev.SetID()
		now, fresh = append(now, ev), append(fresh, ev)
	}
	if len(now) == 0 {
		delete(e.standing, checked)
	} else {
		e.standing[checked] = now
	}
	var out []tapio.Story
	for _, ev := range fresh {
		out = append(out, e.observeEvent(ev)...)
	}
	return out
}

// stands reports whether the incident rests on a contradiction that is a
// failure by itself and still there, however well everything says it is.
func (e *Engine) stands(inc *incident) bool {
	for _, ev := range inc.chosen.Evidence {
		switch ev.Type {
		case tapio.ServicePortMismatch, tapio.ServiceProtocolMismatch:
			if slices.Contains(e.standing[ev.Entity], ev) {
				return true
			}
		}
	}
	return false
}

// standingSince is when what a Service says came to be, as far as anything
// tells: when it was edited, or, found in a listing, when the younger of the
// Service and its oldest pod was made.
func (e *Engine) standingSince(svc tapio.Entity) time.Time {
	if c := e.lastChange(svc, tapio.ServiceChanged); c != nil {
		return c.Time
	}
	s := e.graph.State(svc)
	if s == nil || !s.Listed {
		return e.now
	}
	var oldest time.Time
	for _, p := range e.graph.Selected(svc) {
		if oldest.IsZero() || p.Created.Before(oldest) {
			oldest = p.Created
		}
	}
	if at := maxTime(s.Created, oldest); !at.IsZero() && at.Before(e.now) {
		return at
	}
	return e.now
}

// calledInVain reports whether somebody says that it calls the Service in vain.
func (e *Engine) calledInVain(svc tapio.Entity) bool {
	name := svc.Namespace + "/" + svc.Name
	for _, inc := range e.live {
		if inc.status == tapio.StatusResolved || inc.absorbedInto != nil {
			continue
		}
		for _, f := range inc.findings {
			if slices.ContainsFunc(f.Evidence, func(ev *tapio.Event) bool { return ev.Attrs[tapio.AttrPeerService] == name }) {
				return true
			}
		}
	}
	return false
}
