package crosscheck

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/topology"
)

// Route tells of backends of an Ingress or HTTPRoute that don't exist, where
// one that nearly is named so does, or another of its backends works: a route
// of which nothing exists is a leftover that hurts nobody.
func Route(g *topology.Graph, route tapio.Entity) []Fact {
	s := g.State(route)
	if s == nil || s.Route == nil || !g.Exists(route) {
		return nil
	}
	works := false
	for _, b := range s.Route.Backends {
		works = works || g.Exists(b.Service)
	}
	var out []Fact
	for _, b := range s.Route.Backends {
		path := b.Host + b.Path
		if path == "" {
			path = "what no other rule takes"
		}
		f := Fact{
			Type: tapio.RouteBroken, Severity: tapio.SeverityMedium, Entity: b.Service,
			Attrs: map[string]string{tapio.AttrKind: string(route.Kind), tapio.AttrObject: route.Name, tapio.AttrUID: s.UID},
		}
		if !g.Exists(b.Service) {
			meant := meantService(g, b.Service.Name, b.Service.Namespace)
			if meant == "" && !works {
				continue
			}
			f.Reason = "NoSuchService"
			f.Message = fmt.Sprintf("%s %s sends %s to Service %s, which does not exist", route.Kind, route.Name, path, b.Service.Name)
			f.Attrs[tapio.AttrNearest] = meant
		} else if svc := g.State(b.Service).Service; svc != nil && b.Port != "" && !hasPort(svc, b.Port) {
			f.Reason = "NoSuchPort"
			f.Message = fmt.Sprintf("%s %s sends %s to port %s of Service %s, which has only %s", route.Kind, route.Name, path, b.Port, b.Service.Name, servicePorts(svc.Ports))
			if len(svc.Ports) == 1 {
				f.Attrs[tapio.AttrNearest] = "port " + strconv.Itoa(int(svc.Ports[0].Port))
			}
		} else {
			continue
		}
		if f.Attrs[tapio.AttrNearest] == "" {
			delete(f.Attrs, tapio.AttrNearest)
		}
		out = append(out, f)
	}
	return out
}

func hasPort(s *tapio.ServiceState, port string) bool {
	if len(s.Ports) == 0 {
		return true
	}
	for _, p := range s.Ports {
		if p.Name == port || strconv.Itoa(int(p.Port)) == port {
			return true
		}
	}
	return false
}

// Absent tells of a Service that selects only what is scaled to zero, while
// somebody needs it: the cluster's DNS is needed by all, any other where it is
// called in vain or a workload that runs is told to call it.
func Absent(g *topology.Graph, svc tapio.Entity, hurt bool) []Fact {
	s := g.State(svc)
	if s == nil || s.Service == nil || !g.Exists(svc) {
		return nil
	}
	if isDNS(s) {
		return dnsDown(g, s)
	}
	w, ok := scaledToZero(g, s)
	if !ok {
		return nil
	}
	caller := ""
	if !hurt {
		if caller = callerOf(g, svc); caller == "" {
			return nil
		}
	}
	message := fmt.Sprintf("Service %s selects only the pods of %s, which is scaled to 0", svc.Name, w.Name)
	if caller != "" {
		message += ", and " + caller + " is told to call it"
	}
	return []Fact{{
		Type: tapio.ScaledToZero, Severity: tapio.SeverityHigh, Entity: w, Reason: "ScaledToZero", Message: message,
		Attrs: map[string]string{tapio.AttrUID: g.State(w).UID, tapio.AttrKind: string(tapio.KindService), tapio.AttrObject: svc.Name},
	}}
}

// scaledToZero returns the only workload that a Service selects, where it is
// wanted with no pods and no autoscaler decides that.
func scaledToZero(g *topology.Graph, s *tapio.State) (tapio.Entity, bool) {
	if len(s.Service.Selector) == 0 || len(g.Selected(s.Entity)) > 0 {
		return tapio.Entity{}, false
	}
	selector := tapio.LabelSelector{Labels: s.Service.Selector}
	var found tapio.Entity
	for _, kind := range []tapio.Kind{tapio.KindDeployment, tapio.KindStatefulSet} {
		for _, w := range g.All(kind, s.Entity.Namespace) {
			if w.Workload == nil || len(w.Workload.TemplateLabels) == 0 || !selector.Matches(w.Workload.TemplateLabels) {
				continue
			}
			if w.Workload.Replicas.Desired > 0 || !found.IsZero() {
				return tapio.Entity{}, false
			}
			found = w.Entity
		}
	}
	for _, h := range g.All(tapio.KindHPA, s.Entity.Namespace) {
		if h.Scaler != nil && h.Scaler.Target == found {
			return tapio.Entity{}, false
		}
	}
	return found, !found.IsZero()
}

// callerOf returns the name of a workload of the namespace that runs and is
// told to call the Service.
func callerOf(g *topology.Graph, svc tapio.Entity) string {
	for _, w := range g.Workloads(svc.Namespace) {
		for _, p := range g.Pods(w) {
			if p.Pod.Spec == nil || !p.Pod.Ready {
				continue
			}
			for _, a := range addresses(g, svc.Namespace, p.Pod.Spec) {
				if name, ns, ok := inside(g, a.Host, svc.Namespace); ok && name == svc.Name && ns == svc.Namespace {
					return w.Name
				}
			}
			break // the others of the workload are told the same
		}
	}
	return ""
}

// dnsDown tells of the cluster's DNS Service that has nobody behind it.
func dnsDown(g *topology.Graph, s *tapio.State) []Fact {
	f := Fact{Type: tapio.DNSDown, Severity: tapio.SeverityCritical, Entity: s.Entity, Reason: "NoEndpoint", Attrs: map[string]string{tapio.AttrUID: s.UID}}
	w, zero := scaledToZero(g, s)
	pods := g.Selected(s.Entity)
	switch {
	case zero:
		f.Message = fmt.Sprintf("Service %s selects only the pods of %s, which is scaled to 0", s.Entity.Name, w.Name)
	case len(pods) > 0 && !g.Health(s.Entity).Healthy:
		f.Message = fmt.Sprintf("none of the %d pods behind Service %s is ready", len(pods), s.Entity.Name)
	default:
		return nil
	}
	return []Fact{f}
}

// Proxies tells of the nodes of pods that call Services in vain, where kube-proxy
// is not running while it is on others.
func Proxies(g *topology.Graph, complaints []Complaint) []Fact {
	var out []Fact
	seen := map[string]bool{}
	for _, c := range complaints {
		node := g.Node(c.Pod)
		if c.name() || node.IsZero() || seen[node.Name] {
			continue
		}
		seen[node.Name] = true
		for _, p := range g.PodsOn(node.Name) {
			if p.Entity.Namespace != "kube-system" || p.Labels["k8s-app"] != "kube-proxy" && !strings.HasPrefix(p.Entity.Name, "kube-proxy-") {
				continue
			}
			if !p.Pod.Ready && !p.Pod.Terminating {
				out = append(out, Fact{
					Type: tapio.ProxyDown, Severity: tapio.SeverityHigh, Entity: node, Reason: "NotReady",
					Message: fmt.Sprintf("pod %s, which leads calls of Services to their pods on this node, is not ready", p.Entity.Name), Attrs: map[string]string{},
				})
			}
		}
	}
	return out
}
