package engine

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/crosscheck"
)

// crossInterval is how often specs are compared around a live incident.
const crossInterval = 5 * time.Second

// crossCheck compares again, at most once in serviceSettle, what depends on the
// objects that changed, and around live incidents what their workloads are told
// with what exists. It derives an event of each contradiction that is new.
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
		if entity.Kind == tapio.KindService {
			out = append(out, e.crossService(entity, e.calledInVain(entity), e.now)...)
			continue
		}
		out = append(out, e.contradict(entity, crosscheck.Route(e.graph, entity), e.standingSince(entity))...)
	}
	for _, inc := range slices.Clone(e.live) {
		if inc.absorbedInto == nil && inc.status != tapio.StatusResolved && now.Sub(inc.compared) >= crossInterval &&
			(inc.subject.Kind.IsWorkload() || inc.subject.Kind == tapio.KindPod) {
			inc.compared = now
			out = append(out, e.crossIncident(inc)...)
		}
	}
	return out
}

// crossService compares a Service with its pods. What somebody complained of
// began at latest then.
func (e *Engine) crossService(svc tapio.Entity, hurt bool, complained time.Time) []tapio.Story {
	at := e.standingSince(svc)
	if hurt && complained.Before(at) {
		at = complained
	}
	return e.contradict(svc, append(crosscheck.Service(e.graph, svc, hurt), crosscheck.Absent(e.graph, svc, hurt)...), at)
}

// crossIncident compares what the incident's workload is told with what exists,
// and looks again at those whom it calls in vain.
func (e *Engine) crossIncident(inc *incident) []tapio.Story {
	subject := e.hurt(inc)
	facts := crosscheck.Workload(e.graph, subject)
	facts = append(facts, crosscheck.Proxies(e.graph, subject.Complaints)...)
	out := e.contradict(inc.subject, facts, inc.onset)
	for _, c := range subject.Complaints {
		if svc, ok := e.graph.Resolve(strings.ToLower(c.Host), c.Pod.Namespace); ok && svc != inc.subject {
			out = append(out, e.crossService(svc, true, inc.onset)...)
		}
	}
	return out
}

// hurt gathers what an incident's evidence says of its workload: whether it
// fails, whom it complains of, which of its probes fail.
func (e *Engine) hurt(inc *incident) crosscheck.Subject {
	s := crosscheck.Subject{Workload: inc.subject}
	for _, id := range slices.Sorted(maps.Keys(inc.findings)) {
		for _, ev := range inc.findings[id].Evidence {
			if e.graph.Workload(ev.Entity) != inc.subject {
				continue
			}
			switch ev.Type {
			case tapio.ContainerExit:
				s.Crashes = s.Crashes || ev.Reason == "Error"
			case tapio.PodNotReady:
				s.Crashes = true
			case tapio.AppError:
				c := crosscheck.Complaint{Pod: ev.Entity.Object(), Class: ev.Reason, Host: ev.Attrs[tapio.AttrPeer], Port: ev.Attrs[tapio.AttrPort]}
				if !c.Unreached() {
					s.Explained = true
					continue
				}
				if c.Host != "" && !slices.Contains(s.Complaints, c) && len(s.Complaints) < 10 {
					s.Complaints = append(s.Complaints, c)
				}
			case tapio.KubernetesEvent:
				kind, _, ok := strings.Cut(ev.Message, " probe ")
				if ev.Reason == "Unhealthy" && ok && ev.Entity.Container != "" && len(s.Probes) < 10 {
					s.Probes = append(s.Probes, crosscheck.Failed{Pod: ev.Entity, Kind: strings.ToLower(kind), Message: ev.Message})
				}
			}
		}
	}
	return s
}

// recheck notes what is to be compared again since a state was replaced.
func (e *Engine) recheck(s, old *tapio.State) {
	switch {
	case s.Deleted:
		delete(e.standing, s.Entity)
		delete(e.unchecked, s.Entity)
		if s.Entity.Kind == tapio.KindService {
			e.recheckRoutes(s.Entity.Namespace)
		}
	case s.Service != nil && (old == nil || !reflect.DeepEqual(old.Service, s.Service)):
		e.unchecked[s.Entity] = e.now.Add(serviceSettle)
		e.recheckRoutes(s.Entity.Namespace)
	case s.Route != nil:
		e.unchecked[s.Entity] = e.now.Add(serviceSettle)
	case s.Workload != nil && s.Workload.Replicas.Desired == 0 && s.Owner.IsZero() && (old == nil || old.Workload == nil || old.Workload.Replicas.Desired != 0):
		for _, svc := range e.graph.ServicesOf(s.Entity) {
			e.unchecked[svc] = e.now.Add(serviceSettle)
		}
	case s.Endpoints != nil: // other pods stand behind it
		svc := tapio.Entity{Kind: tapio.KindService, Namespace: s.Entity.Namespace, Name: s.Endpoints.Service}
		if e.graph.Exists(svc) {
			e.unchecked[svc] = e.now.Add(serviceSettle)
		}
	}
}

// recheckRoutes has the routes of a namespace looked at again.
func (e *Engine) recheckRoutes(namespace string) {
	for _, kind := range []tapio.Kind{tapio.KindIngress, tapio.KindHTTPRoute} {
		for _, r := range e.graph.All(kind, namespace) {
			e.unchecked[r.Entity] = e.now.Add(serviceSettle)
		}
	}
}

// contradict takes in what a check of the entity gave: what is new becomes an
// event of the given time, what is gone no longer stands.
func (e *Engine) contradict(checked tapio.Entity, facts []crosscheck.Fact, at time.Time) []tapio.Story {
	before := e.standing[checked]
	var now, fresh []*tapio.Event
	for i := range facts {
		f, at := &facts[i], at
		if j := slices.IndexFunc(before, func(ev *tapio.Event) bool {
			return ev.Type == f.Type && ev.Entity == f.Entity && ev.Reason == f.Reason && ev.Message == f.Message
		}); j >= 0 {
			if before[j].Attrs[tapio.AttrSaid] == f.Attrs[tapio.AttrSaid] {
				now = append(now, before[j])
				continue
			}
			at = e.now // it is surer now: a log has named it since
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
		case tapio.ServicePortMismatch, tapio.ServiceProtocolMismatch, tapio.RouteBroken, tapio.ScaledToZero, tapio.DNSDown:
			for _, list := range e.standing {
				if slices.Contains(list, ev) {
					return true
				}
			}
		}
	}
	return false
}

// tidyStanding forgets what was found around incidents that are over, and has
// what stands by itself looked at again.
func (e *Engine) tidyStanding() {
	for entity := range e.standing {
		if entity.Kind == tapio.KindService || entity.Kind == tapio.KindIngress || entity.Kind == tapio.KindHTTPRoute {
			e.unchecked[entity] = e.now
			continue
		}
		if !slices.ContainsFunc(e.live, func(inc *incident) bool {
			return inc.subject == entity && inc.absorbedInto == nil && inc.status != tapio.StatusResolved
		}) {
			delete(e.standing, entity)
		}
	}
}

// standingSince is when what a Service says came to be, as far as anything
// tells: when it was edited, or, found in a listing, when the younger of the
// Service and its oldest pod was made.
func (e *Engine) standingSince(svc tapio.Entity) time.Time {
	for _, typ := range []tapio.EventType{tapio.ServiceChanged, tapio.RouteChanged} {
		if c := e.lastChange(svc, typ); c != nil {
			return c.Time
		}
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
