package facts

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/yairfalse/tapio"
)

// Bounds of what is told of one policy or route.
const (
	maxRules    = 50
	maxPeers    = 50
	maxBackends = 100
)

func policyState(p *networkingv1.NetworkPolicy) tapio.State {
	s := base(tapio.KindNetworkPolicy, p)
	s.Policy = &tapio.PolicyState{Pods: *selector(&p.Spec.PodSelector)}
	for _, t := range p.Spec.PolicyTypes {
		switch t {
		case networkingv1.PolicyTypeIngress:
			s.Policy.Ingress = true
		case networkingv1.PolicyTypeEgress:
			s.Policy.Egress = true
		}
	}
	if len(p.Spec.PolicyTypes) == 0 { // what the API server fills in
		s.Policy.Ingress, s.Policy.Egress = true, len(p.Spec.Egress) > 0
	}
	for i := range head(p.Spec.Ingress, maxRules) {
		r := &p.Spec.Ingress[i]
		s.Policy.From = append(s.Policy.From, policyRule(r.From, r.Ports))
	}
	for i := range head(p.Spec.Egress, maxRules) {
		r := &p.Spec.Egress[i]
		s.Policy.To = append(s.Policy.To, policyRule(r.To, r.Ports))
	}
	return s
}

func policyRule(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) tapio.PolicyRule {
	var out tapio.PolicyRule
	for i := range head(peers, maxPeers) {
		p := &peers[i]
		t := tapio.PolicyPeer{}
		if p.PodSelector != nil {
			t.Pods = selector(p.PodSelector)
		}
		if p.NamespaceSelector != nil {
			t.Namespaces = selector(p.NamespaceSelector)
		}
		if p.IPBlock != nil {
			t.CIDR, t.Except = p.IPBlock.CIDR, p.IPBlock.Except
		}
		out.Peers = append(out.Peers, t)
	}
	for i := range head(ports, maxPorts) {
		p := &ports[i]
		t := tapio.PolicyPort{Protocol: string(orDefault(p.Protocol, "TCP")), End: orDefault(p.EndPort, 0)}
		if p.Port != nil {
			t.Port = p.Port.String()
		}
		out.Ports = append(out.Ports, t)
	}
	return out
}

func policyEvents(t *teller, old, new *networkingv1.NetworkPolicy) {
	edited(t, tapio.PolicyChanged, tapio.KindNetworkPolicy, old, new, func(p *networkingv1.NetworkPolicy) any { return p.Spec })
}

func ingressState(i *networkingv1.Ingress) tapio.State {
	s := base(tapio.KindIngress, i)
	s.Route = &tapio.RouteState{Class: orDefault(i.Spec.IngressClassName, "")}
	add := func(host, path string, b *networkingv1.IngressBackend) {
		if b == nil || b.Service == nil || len(s.Route.Backends) == maxBackends {
			return
		}
		port := b.Service.Port.Name
		if port == "" && b.Service.Port.Number != 0 {
			port = number(b.Service.Port.Number)
		}
		s.Route.Backends = append(s.Route.Backends, tapio.RouteBackend{
			Host: host, Path: path, Port: port, Service: reference(tapio.KindService, i.Namespace, b.Service.Name),
		})
	}
	add("", "", i.Spec.DefaultBackend)
	for r := range i.Spec.Rules {
		rule := &i.Spec.Rules[r]
		if rule.HTTP == nil {
			continue
		}
		for p := range rule.HTTP.Paths {
			add(rule.Host, rule.HTTP.Paths[p].Path, &rule.HTTP.Paths[p].Backend)
		}
	}
	return s
}

func ingressEvents(t *teller, old, new *networkingv1.Ingress) {
	edited(t, tapio.RouteChanged, tapio.KindIngress, old, new, func(i *networkingv1.Ingress) any { return i.Spec })
}

// isRoute reports whether an object without a type of its own is an HTTPRoute,
// or absent.
func isRoute(o runtime.Object) bool {
	u, ok := o.(*unstructured.Unstructured)
	if !ok || u == nil {
		return o == nil || ok
	}
	return u.GetKind() == string(tapio.KindHTTPRoute)
}

// httpRouteState reads the backends of a route of the Gateway API, whose types
// are not in Kubernetes itself.
func httpRouteState(u *unstructured.Unstructured) tapio.State {
	s := base(tapio.KindHTTPRoute, u)
	s.Route = &tapio.RouteState{}
	hosts, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "hostnames")
	host := ""
	if len(hosts) > 0 {
		host = hosts[0]
	}
	rules, _, _ := unstructured.NestedSlice(u.Object, "spec", "rules")
	for _, rule := range objects(rules) {
		path := ""
		matches, _, _ := unstructured.NestedSlice(rule, "matches")
		for _, m := range objects(matches) {
			if path == "" {
				path, _, _ = unstructured.NestedString(m, "path", "value")
			}
		}
		refs, _, _ := unstructured.NestedSlice(rule, "backendRefs")
		for _, ref := range objects(refs) {
			name, _, _ := unstructured.NestedString(ref, "name")
			kind, _, _ := unstructured.NestedString(ref, "kind")
			namespace, _, _ := unstructured.NestedString(ref, "namespace")
			if name == "" || kind != "" && kind != string(tapio.KindService) || len(s.Route.Backends) == maxBackends {
				continue
			}
			b := tapio.RouteBackend{Host: host, Path: path, Service: reference(tapio.KindService, cmpOr(namespace, u.GetNamespace()), name)}
			if port, ok, _ := unstructured.NestedFieldNoCopy(ref, "port"); ok {
				b.Port = text(port)
			}
			s.Route.Backends = append(s.Route.Backends, b)
		}
	}
	return s
}

// objects returns those of a list's items that are objects.
func objects(list []any) []map[string]any {
	var out []map[string]any
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}
