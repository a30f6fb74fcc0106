package topology

import (
	"slices"
	"strings"

	"github.com/yairfalse/tapio"
)

// Services returns the Services of a namespace, sorted.
func (g *Graph) Services(namespace string) []tapio.Entity {
	out := make([]tapio.Entity, 0, len(g.services[namespace]))
	for e := range g.services[namespace] {
		out = append(out, e)
	}
	slices.SortFunc(out, tapio.Entity.Compare)
	return out
}

// Resolve returns the Service that a host name means for a pod of the
// namespace: its short name, one with a namespace, a full name in the cluster's
// domain, or the name of one pod behind a headless Service.
func (g *Graph) Resolve(host, namespace string) (tapio.Entity, bool) {
	parts := strings.Split(strings.TrimSuffix(host, "."), ".")
	service := func(name, ns string) (tapio.Entity, bool) {
		e := tapio.Entity{Kind: tapio.KindService, Namespace: ns, Name: name}
		return e, g.services[ns][e] != nil
	}
	if at := slices.Index(parts, "svc"); at >= 2 {
		return service(parts[at-2], parts[at-1])
	}
	switch len(parts) {
	case 1:
		return service(parts[0], namespace)
	case 2:
		if e, ok := service(parts[0], parts[1]); ok {
			return e, true
		}
		return service(parts[1], namespace) // web-0.web
	case 3:
		return service(parts[1], parts[2]) // web-0.web.shop
	}
	return tapio.Entity{}, false
}

// At returns the Service that has the address, or the one that stands before
// the pod that has it.
func (g *Graph) At(ip string) (tapio.Entity, bool) {
	var found []tapio.Entity
	for _, services := range g.services {
		for svc, s := range services {
			if s.Service.IP == ip {
				found = append(found, svc)
			}
		}
	}
	if len(found) == 0 {
		for pod, x := range g.states {
			if p := x.state.Pod; p != nil && p.IP == ip && x.deleted.IsZero() && (p.Spec == nil || !p.Spec.HostNetwork) {
				found = append(found, g.ServicesOf(pod)...)
			}
		}
	}
	if len(found) == 0 {
		return tapio.Entity{}, false
	}
	return slices.MinFunc(found, tapio.Entity.Compare), true
}

// PodAt returns the state of the pod that has the address for itself, or nil.
func (g *Graph) PodAt(ip string) *tapio.State {
	for _, x := range g.states {
		if p := x.state.Pod; p != nil && p.IP == ip && x.deleted.IsZero() && (p.Spec == nil || !p.Spec.HostNetwork) && p.Phase != "Succeeded" && p.Phase != "Failed" {
			return x.state
		}
	}
	return nil
}

// Spec returns what the container was asked to be: by its pod, or by the
// workload that made it. It returns nil where neither is known.
func (g *Graph) Spec(container tapio.Entity) (*tapio.PodSpec, *tapio.ContainerSpec) {
	for _, e := range []tapio.Entity{container.Object(), g.Workload(container)} {
		s := g.State(e)
		switch {
		case s == nil:
		case s.Pod != nil && s.Pod.Spec.Container(container.Container) != nil:
			return s.Pod.Spec, s.Pod.Spec.Container(container.Container)
		case s.Workload != nil && s.Workload.Spec.Container(container.Container) != nil:
			return s.Workload.Spec, s.Workload.Spec.Container(container.Container)
		}
	}
	return nil, nil
}
