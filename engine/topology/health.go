package topology

import (
	"time"

	"github.com/yairfalse/tapio"
)

// Health says how an entity is.
type Health struct {
	Healthy bool
	Gone    bool // it does not exist: nobody waits for it
	Down    int  // pods that are wanted and not ready
	Wanted  int  // pods that are wanted
}

// Health tells how a pod, workload, Service or node is by its own status.
// What has no notion of health, such as a ConfigMap, is healthy.
func (g *Graph) Health(e tapio.Entity) Health {
	if !g.Exists(e) {
		return Health{Healthy: true, Gone: true}
	}
	s := g.State(e)
	switch {
	case s.Pod != nil:
		return podHealth(s)
	case s.Node != nil:
		return g.nodeHealth(s)
	case s.APIService != nil:
		return Health{Healthy: s.APIService.Available}
	case s.Component != nil:
		return Health{Healthy: len(s.Component.Problems) == 0}
	case s.Service != nil:
		return Health{Healthy: g.serviceHealthy(s)}
	case s.Workload != nil:
		return g.workloadHealth(s)
	}
	return Health{Healthy: true}
}

func podHealth(s *tapio.State) Health {
	h := Health{Wanted: 1}
	switch {
	case s.Pod.Terminating, s.Pod.Phase == "Succeeded", s.Pod.Phase == "Failed" && !s.Owner.IsZero():
		// On its way out, done, or replaced by its owner.
		h.Healthy, h.Wanted = true, 0
	case s.Pod.Ready && s.Pod.Phase == "Running":
		h.Healthy = true
	default:
		h.Down = 1
	}
	return h
}

func (g *Graph) nodeHealth(s *tapio.State) Health {
	h := Health{Healthy: s.Node.Ready == "True" && len(s.Node.Pressures) == 0 && len(s.Node.Problems) == 0}
	for _, p := range g.PodsOn(s.Entity.Name) {
		ph := podHealth(p)
		h.Down += ph.Down
		h.Wanted += ph.Wanted
	}
	return h
}

// serviceHealthy reports whether somebody answers behind the Service, or
// nobody is meant to: no selector, or all that it selects is scaled to zero.
func (g *Graph) serviceHealthy(s *tapio.State) bool {
	if len(s.Service.Selector) == 0 || s.Service.Type == "ExternalName" {
		return true
	}
	ready, _ := g.Backends(s.Entity)
	if len(g.slices[s.Entity]) == 0 {
		// Its slices may not be read, or a dump may lack them: ask its pods.
		for _, p := range g.Selected(s.Entity) {
			if p.Pod.Ready {
				ready++
			}
		}
	}
	return ready > 0 || g.scaledToZero(s)
}

// scaledToZero reports whether every workload that the Service selects is
// wanted with no pods, and there is at least one.
func (g *Graph) scaledToZero(s *tapio.State) bool {
	found := false
	for e := range g.tops[s.Entity.Namespace] {
		w := g.State(e).Workload
		if w == nil || !g.Exists(e) {
			continue
		}
		if selects(s.Service.Selector, w.TemplateLabels) {
			if w.Replicas.Desired > 0 {
				return false
			}
			found = true
		}
	}
	return found
}

func (g *Graph) workloadHealth(s *tapio.State) Health {
	w := s.Workload
	r := w.Replicas
	h := Health{Wanted: int(r.Desired), Down: max(0, int(r.Desired-r.Ready))}
	switch s.Entity.Kind {
	case tapio.KindJob:
		return Health{Healthy: !w.Failed}
	case tapio.KindCronJob:
		h.Healthy = g.lastJobGood(s.Entity)
	case tapio.KindReplicaSet:
		h.Healthy = r.Ready >= r.Desired
	case tapio.KindDeployment:
		h.Healthy = w.Observed >= w.Generation && r.Updated >= r.Desired && r.Current <= r.Updated && r.Available >= r.Desired
	case tapio.KindDaemonSet, tapio.KindStatefulSet:
		h.Healthy = w.Observed >= w.Generation && r.Ready >= r.Desired && r.Available >= r.Desired &&
			(w.Strategy == "OnDelete" || r.Updated >= r.Desired)
	default:
		h.Healthy = true
	}
	if w.Paused && r.Ready >= r.Desired {
		h.Healthy = true
	}
	return h
}

// lastJobGood reports whether the newest finished Job of a CronJob succeeded.
func (g *Graph) lastJobGood(cron tapio.Entity) bool {
	var newest time.Time
	good := true
	for child := range g.children[cron] {
		s := g.State(child)
		if s == nil || s.Workload == nil || !g.Exists(child) || !(s.Workload.Complete || s.Workload.Failed) {
			continue
		}
		if s.Created.After(newest) || s.Created.Equal(newest) && s.Workload.Failed {
			newest, good = s.Created, !s.Workload.Failed
		}
	}
	return good
}

// Starting reports whether the pod is young and has never been ready: since it
// started less than grace has passed. A slow start is no failure.
func (g *Graph) Starting(pod tapio.Entity, now time.Time, grace time.Duration) bool {
	s := g.State(pod)
	if s == nil || s.Pod == nil || g.WasReady(pod) || s.Pod.Ready {
		return false
	}
	return now.Sub(s.Created) < grace
}
