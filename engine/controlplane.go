package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/diagnosis"
)

// The layers of the control plane, each of which stands on the ones above: what
// goes wrong in etcd goes wrong in the API server, and then in those that wait
// for it.
const (
	layerClients = iota + 1 // scheduler, controller manager
	layerAPI
	layerEtcd
)

// layer returns the part of the control plane that the cause is about, or 0.
func layer(c tapio.Cause) int {
	part, _, _ := strings.Cut(string(c), ".")
	switch part {
	case "etcd":
		return layerEtcd
	case "apiserver":
		return layerAPI
	case "scheduler", "controller_manager":
		return layerClients
	}
	return 0
}

// ofCluster reports whether the observation comes from the Kubernetes API: that
// one is in contact.
func ofCluster(o *tapio.Observation) bool {
	switch {
	case o.Event != nil:
		return o.Event.Source == tapio.SourceKubernetes
	case o.Gap != nil:
		return o.Gap.Source == tapio.SourceKubernetes
	}
	return o.State != nil && o.State.Entity.Kind != tapio.KindComponent
}

// component returns what is known of a part of the control plane, or nil.
func (e *Engine) component(name string) *tapio.ComponentState {
	c := tapio.Entity{Kind: tapio.KindComponent, Name: name}
	if s := e.graph.State(c); s != nil && e.graph.Exists(c) {
		return s.Component
	}
	return nil
}

// stands reports whether a problem of the reason stands against the component.
func stands(c *tapio.ComponentState, reason string) bool {
	if c == nil {
		return false
	}
	for _, p := range c.Problems {
		if p.Reason == reason {
			return true
		}
	}
	return false
}

// isDown reports whether the lease of a component is known to have expired.
func (e *Engine) isDown(component string) bool {
	return stands(e.component(component), "LeaseExpired")
}

// problemOf returns the problem that the event told of, while it stands.
func problemOf(c *tapio.ComponentState, ev *tapio.Event) *tapio.ComponentProblem {
	for i := range c.Problems {
		p := &c.Problems[i]
		named := p.Object == ev.Attrs[tapio.AttrObject] || ev.Type == tapio.WebhookFailing && p.Object == ev.Attrs[tapio.AttrDetail]
		if p.Type == ev.Type && p.Reason == ev.Reason && named {
			return p
		}
	}
	return nil
}

// during reports whether the child began while what the parent, a part of the
// control plane, suffers from went on: what comes before or after a hiccup is
// not its doing, even if something still waits for its effects to pass.
func (e *Engine) during(parent, child *incident) bool {
	healed := e.control.healed[parent.subject.Name] // zero while something stands against it
	return !child.onset.Before(parent.onset.Add(-slack)) && (healed.IsZero() || !child.onset.After(healed))
}

// noteComponent notes since when nothing stands against a part of the control
// plane.
func (e *Engine) noteComponent(s *tapio.State) {
	if s.Component == nil {
		return
	}
	since, known := e.control.healed[s.Entity.Name]
	switch {
	case len(s.Component.Problems) > 0:
		e.control.healed[s.Entity.Name] = time.Time{}
	case !known: // since before it was looked at
		e.control.healed[s.Entity.Name] = time.Unix(0, 0).UTC()
	case since.IsZero():
		e.control.healed[s.Entity.Name] = e.now
	}
}

// governs reports whether a fault of the control plane accounts for a story
// that is about the same part of it or about one that stands on it, or for a
// Service whose endpoints nobody keeps up to date.
func (e *Engine) governs(parent, child *incident) bool {
	p, c := parent.chosen, child.chosen
	at, below := layer(p.Template.Cause), layer(c.Template.Cause)
	if at == 0 { // a webhook
		return p.Template.Cause == c.Template.Cause && p.CauseEntity == c.CauseEntity
	}
	if len(p.Template.Explains) == 0 {
		return false // one member of several, say, holds up nobody
	}
	switch {
	case below > 0 && child.subject != parent.subject:
		return below <= at && at > layerClients && onlySays(c)
	case c.CauseEntity == tapio.Entity{Kind: tapio.KindService, Namespace: "default", Name: "kubernetes"}:
		return at >= layerAPI // it calls the API server in vain
	case child.subject.Kind == tapio.KindService && c.Template.IsSymptom():
		return (at > layerClients || p.CauseEntity.Name == controllerManager) && e.staleEndpoints(child.subject)
	}
	return false
}

// onlySays reports whether the finding rests on words about the control plane,
// or on what the API server says of etcd.
func onlySays(f *diagnosis.Finding) bool {
	for _, ev := range f.Evidence {
		if f.Asked(ev) && ev.Type != tapio.KubernetesEvent && ev.Type != tapio.ReplicaFailure && ev.Entity.Name != tapio.ComponentAPIServer {
			return false
		}
	}
	return true
}

// partOf reports whether a finding on a workload that a fault of the control
// plane accounts for already says nothing of its own: that it fails, or more
// words about the control plane.
func partOf(parent *incident, f *diagnosis.Finding) bool {
	return parent.subject.Kind == tapio.KindComponent && parent.well.IsZero() && (f.Template.IsSymptom() || layer(f.Template.Cause) > 0 && onlySays(f))
}

// staleEndpoints reports whether a Service has no ready endpoint although pods
// that it selects are ready: nobody has told its EndpointSlices.
func (e *Engine) staleEndpoints(svc tapio.Entity) bool {
	for _, p := range e.graph.Selected(svc) {
		if p.Pod.Ready && !p.Pod.Terminating {
			return true
		}
	}
	return false
}

// blindTo reports whether nothing can be seen of what the incident is about, as
// the API server can't be reached.
func (e *Engine) blindTo(inc *incident) bool {
	if inc.subject.Kind == tapio.KindComponent {
		// Its own end is known; what it did meanwhile is not, until the cluster
		// is heard of again.
		return inc.outage != nil && !inc.outage.back.IsZero() && !e.control.heard.After(inc.outage.back)
	}
	return stands(e.component(tapio.ComponentAPIServer), unreachable)
}

// unreachable is the reason of an API server that does not answer at all.
const unreachable = "Unreachable"

// findingsAfter is how long after an outage what is seen for the first time is
// counted as having happened meanwhile: watches are taken up again within 30 s.
const findingsAfter = 45 * time.Second

// foundBefore is how long before the API server is found well again what its
// watches bring is counted so too: it is looked at every 10 s, and one look may
// have waited in vain.
const foundBefore = 20 * time.Second

// maxUncounted bounds the events that wait for that.
const maxUncounted = 500

// maxMeanwhile bounds the lines that an outage adds to a story's timeline.
const maxMeanwhile = 12

// outage is a time without the API server.
type outage struct {
	back      time.Time // when it was reached again; zero while it is not
	counts    map[tapio.EventType]int
	lines     int
	uncounted []*tapio.Event // what came since its watches are back, and nobody has found it well yet
}

// meanwhile notes what happened while the API server could not be reached: it
// is seen afterwards.
func (e *Engine) meanwhile(ev *tapio.Event) {
	if _, again := e.seen[ev.ID]; again {
		return
	}
	for _, inc := range e.live {
		if inc.status != tapio.StatusOpen || inc.absorbedInto != nil || inc.subject.Kind != tapio.KindComponent {
			continue
		}
		switch o := inc.outage; {
		case ev.Type == tapio.APIServerUnhealthy && ev.Reason == unreachable && ev.Entity == inc.subject, o == nil && inc.lostAPI():
			if o == nil {
				inc.outage = &outage{counts: map[tapio.EventType]int{}}
			} else {
				o.back = time.Time{}
			}
		}
		o := inc.outage
		if o == nil {
			continue
		}
		if ev.Type == tapio.APIServerHealthy {
			o.back = ev.Time
			for _, x := range o.uncounted {
				if ev.Seen.Sub(x.Seen) <= foundBefore {
					e.found(inc, x)
				}
			}
			o.uncounted = nil
			continue
		}
		if ev.Source != tapio.SourceKubernetes || happenedWord(ev.Type, 1) == "" || !worthALine(ev) || ev.Time.Before(inc.onset) {
			continue
		}
		if o.back.IsZero() {
			if len(o.uncounted) == maxUncounted {
				o.uncounted = o.uncounted[1:]
			}
			o.uncounted = append(o.uncounted, ev)
			continue
		}
		e.found(inc, ev)
	}
}

// found counts what happened while the API server could not be reached.
func (e *Engine) found(inc *incident, ev *tapio.Event) {
	o := inc.outage
	if inc.counted[ev.ID] || ev.Time.After(o.back.Add(findingsAfter)) || ev.Seen.After(o.back.Add(findingsAfter)) {
		return
	}
	o.counts[ev.Type]++
	if o.lines < maxMeanwhile {
		o.lines++
		e.record(inc, ev, tapio.RoleEffect)
	}
	inc.counted[ev.ID] = true
}

// lostAPI reports whether the incident is about an API server that can't be
// reached.
func (inc *incident) lostAPI() bool {
	for _, f := range inc.findings {
		for _, ev := range f.Evidence {
			if ev.Type == tapio.APIServerUnhealthy && ev.Reason == unreachable {
				return true
			}
		}
	}
	return false
}

// tellMeanwhile adds to the news what was found after an outage.
func (e *Engine) tellMeanwhile(inc *incident) {
	o := inc.outage
	if o == nil || o.back.IsZero() {
		return
	}
	var parts []string
	for _, typ := range meanwhileTypes {
		if n := o.counts[typ]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, happenedWord(typ, n)))
		}
	}
	text := strings.Join(parts, ", ")
	inc.addNews(tapio.News{
		Kind: tapio.NewsMeanwhile, Time: o.back, Was: inc.onset.UTC().Format("15:04:05") + " to " + o.back.UTC().Format("15:04:05"), Now: text,
	})
	inc.outage = nil
}

// meanwhileTypes are the events that are counted after an outage, in the order
// in which they are told.
var meanwhileTypes = []tapio.EventType{
	tapio.NodeNotReady, tapio.ContainerExit, tapio.PodFailed, tapio.PodEvicted, tapio.PodDeleted, tapio.EndpointsRemoved,
	tapio.JobFailed, tapio.WorkloadRollout, tapio.WorkloadScaled, tapio.ConfigChanged, tapio.ServiceChanged,
}

// happenedWord words what an event of the type is, for a count of them, or
// returns "" where it is not worth counting.
func happenedWord(typ tapio.EventType, n int) string {
	words := map[tapio.EventType][2]string{
		tapio.NodeNotReady:     {"node became unready", "nodes became unready"},
		tapio.ContainerExit:    {"container ended", "containers ended"},
		tapio.PodFailed:        {"pod failed", "pods failed"},
		tapio.PodEvicted:       {"pod was evicted", "pods were evicted"},
		tapio.PodDeleted:       {"pod was deleted", "pods were deleted"},
		tapio.EndpointsRemoved: {"Service lost its last endpoint", "Services lost their last endpoints"},
		tapio.JobFailed:        {"Job failed", "Jobs failed"},
		tapio.WorkloadRollout:  {"rollout", "rollouts"},
		tapio.WorkloadScaled:   {"scaling", "scalings"},
		tapio.ConfigChanged:    {"edit of a ConfigMap", "edits of ConfigMaps"},
		tapio.ServiceChanged:   {"edit of a Service", "edits of Services"},
	}[typ]
	if n == 1 {
		return words[0]
	}
	return words[1]
}

// webhookNamed returns an event about a webhook with the configuration that it
// stands in, which the API server's metrics don't name.
func (e *Engine) webhookNamed(ev *tapio.Event) *tapio.Event {
	if ev.Type != tapio.WebhookFailing {
		return ev
	}
	for _, kind := range []tapio.Kind{tapio.KindValidatingWebhook, tapio.KindMutatingWebhook} {
		for _, s := range e.graph.All(kind, "") {
			if s.Webhook == nil {
				continue
			}
			for _, h := range s.Webhook.Hooks {
				if h.Name == ev.Attrs[tapio.AttrObject] {
					named := *ev
					named.Attrs = map[string]string{tapio.AttrComponent: ev.Attrs[tapio.AttrComponent], tapio.AttrKind: string(kind), tapio.AttrObject: s.Entity.Name, tapio.AttrDetail: h.Name}
					return &named
				}
			}
		}
	}
	return ev
}
