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
