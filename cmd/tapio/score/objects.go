package score

import (
	"slices"

	"github.com/yairfalse/tapio"
)

// Objects knows, of one case, who owns and who selects whom, so that an answer
// that names a pod can be held against a truth that names its Deployment.
type Objects struct {
	owner    map[tapio.Entity]tapio.Entity
	labels   map[tapio.Entity]map[string]string // of pods, and of the pods that workloads make
	selector map[tapio.Entity]map[string]string // of Services
}

// NewObjects returns an Objects that knows nothing yet.
func NewObjects() *Objects {
	return &Objects{
		owner:    map[tapio.Entity]tapio.Entity{},
		labels:   map[tapio.Entity]map[string]string{},
		selector: map[tapio.Entity]map[string]string{},
	}
}

// Observe learns from an observation of the case. What was deleted stays
// known.
func (o *Objects) Observe(obs *tapio.Observation) {
	s := obs.State
	if s == nil || s.Deleted {
		return
	}
	if !s.Owner.IsZero() {
		o.owner[s.Entity] = s.Owner
	}
	switch {
	case s.Service != nil:
		o.selector[s.Entity] = s.Service.Selector
	case s.Pod != nil:
		o.labels[s.Entity] = s.Labels
	case s.Workload != nil:
		o.labels[s.Entity] = s.Workload.TemplateLabels
	}
}

// top climbs from an object to the one that nobody owns: from a container or a
// pod to its Deployment, from a try of a job to its CronJob.
func (o *Objects) top(e tapio.Entity) tapio.Entity {
	e = e.Object()
	for range 8 { // a chain of owners is three long; a circle would be a lie
		up, ok := o.owner[e]
		if !ok {
			break
		}
		e = up
	}
	return e
}

// app reports whether people deploy the kind: what the words "the app x" mean.
func app(k tapio.Kind) bool { return k == tapio.KindPod || k.IsWorkload() }

// same reports whether the object that was told is the one that is true:
//
//   - the same object, whichever of its containers;
//   - pod, ReplicaSet, Job and workload of one app;
//   - a Service and an app that it selects, by its selector or, where that
//     selects nothing, by its name;
//   - where a namespace is true, a ResourceQuota or LimitRange in it.
func (o *Objects) same(told, truth tapio.Entity) bool {
	told, truth = told.Object(), truth.Object()
	if told == truth {
		return true
	}
	told, truth = o.top(told), o.top(truth)
	switch {
	case told == truth:
		return true
	case app(truth.Kind) && told.Kind == tapio.KindService:
		return o.serves(told, truth)
	case app(told.Kind) && truth.Kind == tapio.KindService:
		return o.serves(truth, told)
	case truth.Kind == tapio.KindNamespace:
		return told.Namespace == truth.Name && (told.Kind == tapio.KindResourceQuota || told.Kind == tapio.KindLimitRange)
	}
	return false
}

// serves reports whether the Service stands before the app.
func (o *Objects) serves(service, app tapio.Entity) bool {
	if service.Namespace != app.Namespace {
		return false
	}
	selector := o.selector[service]
	selects := func(labels map[string]string) bool {
		if len(selector) == 0 || labels == nil {
			return false
		}
		for k, v := range selector {
			if w, ok := labels[k]; !ok || v != w {
				return false
			}
		}
		return true
	}
	if selects(o.labels[app]) {
		return true
	}
	any := false
	for e, labels := range o.labels {
		if e.Namespace != service.Namespace || !selects(labels) {
			continue
		}
		any = true
		if o.top(e) == app {
			return true
		}
	}
	return !any && service.Name == app.Name
}

// thing reports whether the kind is what an app needs rather than an app, a
// Service, a node or a namespace: a volume, an image, a quota. A story that
// names one is about the app that lacks it.
func thing(k tapio.Kind) bool {
	switch k {
	case tapio.KindNode, tapio.KindNamespace, tapio.KindService, "Component":
		return false
	}
	return !app(k)
}

// right reports whether an answer names the true object: its entity is the
// object, or its entity is a thing (see [thing]) that the object lacks and its
// story is about the object.
func (o *Objects) right(a Answer, truths []tapio.Entity) bool {
	return slices.ContainsFunc(truths, func(t tapio.Entity) bool {
		return o.same(a.Entity, t) || thing(a.Entity.Kind) && o.same(a.Subject, t)
	})
}

// named reports whether the entity alone names the true object.
func (o *Objects) named(a Answer, truths []tapio.Entity) bool {
	return slices.ContainsFunc(truths, func(t tapio.Entity) bool { return o.same(a.Entity, t) })
}
