package topology

import (
	"slices"

	"github.com/yairfalse/tapio"
)

// All returns the objects of a kind that exist, in the namespace or, where
// that is empty, everywhere, sorted. Pods are found by their relations.
func (g *Graph) All(kind tapio.Kind, namespace string) []*tapio.State {
	var out []*tapio.State
	for e := range g.kinds[kind] {
		if (namespace == "" || e.Namespace == namespace) && g.Exists(e) {
			out = append(out, g.State(e))
		}
	}
	slices.SortFunc(out, func(a, b *tapio.State) int { return a.Entity.Compare(b.Entity) })
	return out
}

// Users returns the pods of the namespace that name the object, sorted.
func (g *Graph) Users(object tapio.Entity) []*tapio.State {
	var out []*tapio.State
	for pod := range g.pods[object.Namespace] {
		if s := g.State(pod); g.Exists(pod) && slices.Contains(s.Pod.References, object) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *tapio.State) int { return a.Entity.Compare(b.Entity) })
	return out
}

// PodByUID returns the pod of that UID, or the zero Entity. It looks at every
// pod: for rare questions only.
func (g *Graph) PodByUID(uid string) tapio.Entity {
	for _, pods := range g.pods {
		for pod := range pods {
			if s := g.State(pod); s != nil && s.UID == uid && uid != "" {
				return pod
			}
		}
	}
	return tapio.Entity{}
}

// Lists reports whether any object of the kind is known: where none is, it may
// never have been asked for.
func (g *Graph) Lists(kind tapio.Kind) bool { return len(g.kinds[kind]) > 0 }

// Unfinished reports whether a Job, or a Job of a CronJob, is still at its
// work: its pods may fail and be tried again.
func (g *Graph) Unfinished(e tapio.Entity) bool {
	switch e.Kind {
	case tapio.KindJob:
		s := g.State(e)
		return g.Exists(e) && s.Workload != nil && !s.Workload.Complete && !s.Workload.Failed
	case tapio.KindCronJob:
		for job := range g.children[e] {
			if job.Kind == tapio.KindJob && g.Unfinished(job) {
				return true
			}
		}
	}
	return false
}

// HasNamespace reports whether the namespace is known, itself or by a Service
// or pod in it.
func (g *Graph) HasNamespace(name string) bool {
	return len(g.services[name]) > 0 || len(g.pods[name]) > 0 || g.Exists(tapio.Entity{Kind: tapio.KindNamespace, Name: name})
}

// Going reports whether the entity, the workload that makes it, or its
// namespace is being deleted: that it fails meanwhile is part of its going.
func (g *Graph) Going(e tapio.Entity) bool {
	for _, x := range []tapio.Entity{e, g.Workload(e), {Kind: tapio.KindNamespace, Name: e.Namespace}} {
		if s := g.State(x); s != nil && (s.Terminating || s.Pod != nil && s.Pod.Terminating) {
			return true
		}
	}
	return false
}
