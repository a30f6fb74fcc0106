package facts

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/yairfalse/tapio"
)

func serviceState(s *corev1.Service) tapio.State {
	out := base(tapio.KindService, s)
	out.Service = &tapio.ServiceState{
		Type: string(s.Spec.Type), Selector: s.Spec.Selector, IP: s.Spec.ClusterIP, ExternalName: s.Spec.ExternalName,
	}
	for i := range head(s.Spec.Ports, maxPorts) {
		p := &s.Spec.Ports[i]
		target := p.TargetPort.String()
		if target == "0" || target == "" {
			target = number(p.Port)
		}
		out.Service.Ports = append(out.Service.Ports, tapio.ServicePort{
			Name: p.Name, Port: p.Port, Target: target, Protocol: protocol(p.Protocol), NodePort: p.NodePort,
		})
	}
	return out
}

// serviceEvents tells edits of where a Service sends its traffic.
func serviceEvents(t *teller, old, new *corev1.Service) {
	if old == nil || new == nil {
		return // whether a new Service works shows in its endpoints
	}
	edited(t, tapio.ServiceChanged, tapio.KindService, old, new, func(s *corev1.Service) any {
		return map[string]any{
			"selector": s.Spec.Selector, "ports": s.Spec.Ports, "type": s.Spec.Type, "externalName": s.Spec.ExternalName,
		}
	})
}

func sliceState(s *discoveryv1.EndpointSlice) tapio.State {
	out := base(tapio.KindEndpointSlice, s)
	out.Endpoints = &tapio.EndpointsState{Service: sliceService(s)}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		c := &e.Conditions
		out.Endpoints.Backends = append(out.Endpoints.Backends, tapio.Endpoint{
			Pod:   targetPod(e.TargetRef),
			Ready: orDefault(c.Ready, true) && !orDefault(c.Terminating, false),
		})
	}
	for _, p := range head(s.Ports, maxPorts) {
		out.Endpoints.Ports = append(out.Endpoints.Ports, tapio.EndpointPort{
			Name: orDefault(p.Name, ""), Port: orDefault(p.Port, 0), Protocol: string(orDefault(p.Protocol, "TCP")),
		})
	}
	return out
}

// sliceService returns the Service that a slice is of: its label says so, and
// its owner where that is missing.
func sliceService(s *discoveryv1.EndpointSlice) string {
	if name := s.Labels[discoveryv1.LabelServiceName]; name != "" {
		return name
	}
	if own := owner(s); own.Kind == tapio.KindService {
		return own.Name
	}
	return ""
}

// sliceEvents tells changes of a slice on its Service.
func sliceEvents(t *teller, old, new *discoveryv1.EndpointSlice) {
	var before, after *tapio.EndpointsState
	var o metav1.Object
	if old != nil {
		before, o = sliceState(old).Endpoints, old
	}
	if new != nil {
		after, o = sliceState(new).Endpoints, new
	}
	t.endpoints(before, after, o.GetNamespace())
}

// endpointsState shows an Endpoints object as the one slice of its Service.
func endpointsState(e *corev1.Endpoints) tapio.State {
	out := base(tapio.KindEndpointSlice, e)
	out.Endpoints = &tapio.EndpointsState{Service: e.Name}
	for i := range e.Subsets {
		for j := range e.Subsets[i].Addresses {
			out.Endpoints.Backends = append(out.Endpoints.Backends, tapio.Endpoint{Pod: targetPod(e.Subsets[i].Addresses[j].TargetRef), Ready: true})
		}
		for j := range e.Subsets[i].NotReadyAddresses {
			out.Endpoints.Backends = append(out.Endpoints.Backends, tapio.Endpoint{Pod: targetPod(e.Subsets[i].NotReadyAddresses[j].TargetRef)})
		}
		for _, p := range head(e.Subsets[i].Ports, maxPorts) {
			out.Endpoints.Ports = append(out.Endpoints.Ports, tapio.EndpointPort{Name: p.Name, Port: p.Port, Protocol: protocol(p.Protocol)})
		}
	}
	return out
}

func targetPod(ref *corev1.ObjectReference) string {
	if ref == nil || ref.Kind != string(tapio.KindPod) {
		return ""
	}
	return ref.Name
}

// endpoints tells on the Service that the number of its ready backends in one
// slice went down or up.
func (t *teller) endpoints(before, after *tapio.EndpointsState, namespace string) {
	was, is, service := ready(before), ready(after), ""
	for _, s := range []*tapio.EndpointsState{before, after} {
		if s != nil && s.Service != "" {
			service = s.Service
		}
	}
	if t.listed || was == is || service == "" {
		return
	}
	what, severity := tapio.EndpointsAdded, tapio.SeverityInfo
	if is < was {
		what, severity = tapio.EndpointsRemoved, tapio.SeverityMedium
	}
	t.event(tapio.Event{
		Type: what, Severity: severity, Entity: reference(tapio.KindService, namespace, service),
		Attrs: attrs(tapio.AttrReadyBefore, strconv.Itoa(was), tapio.AttrReadyAfter, strconv.Itoa(is)),
	})
}

func ready(s *tapio.EndpointsState) int {
	n := 0
	if s != nil {
		for _, b := range s.Backends {
			if b.Ready {
				n++
			}
		}
	}
	return n
}
