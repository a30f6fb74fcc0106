package facts

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// isNil reports whether obj is a nil pointer in an interface.
func isNil(obj any) bool {
	v := reflect.ValueOf(obj)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// stripPod keeps of a pod its references, resources and status. Command,
// arguments, plain environment and probes stay in its workload's template.
func stripPod(p *corev1.Pod) {
	spec := corev1.PodSpec{
		NodeName:           p.Spec.NodeName,
		RestartPolicy:      p.Spec.RestartPolicy,
		ServiceAccountName: p.Spec.ServiceAccountName,
		ImagePullSecrets:   p.Spec.ImagePullSecrets,
		Containers:         stripContainers(p.Spec.Containers),
		InitContainers:     stripContainers(p.Spec.InitContainers),
	}
	for i := range p.Spec.Volumes {
		if v := &p.Spec.Volumes[i]; refersTo(v) {
			spec.Volumes = append(spec.Volumes, *v)
		}
	}
	stripPlacement(&p.Spec, &spec)
	p.Spec = spec
	s := &p.Status
	p.Status = corev1.PodStatus{
		Phase: s.Phase, Reason: s.Reason, Message: bound(s.Message, maxMessage), StartTime: s.StartTime,
		Conditions:            s.Conditions,
		ContainerStatuses:     stripStatuses(s.ContainerStatuses),
		InitContainerStatuses: stripStatuses(s.InitContainerStatuses),
	}
	for i := range p.Status.Conditions {
		c := &p.Status.Conditions[i]
		c.LastProbeTime = metav1.Time{}
		c.Message = bound(c.Message, maxMessage)
	}
}

func stripContainers(in []corev1.Container) []corev1.Container {
	if len(in) == 0 {
		return nil
	}
	out := make([]corev1.Container, len(in))
	for i := range in {
		c := &in[i]
		out[i] = corev1.Container{Name: c.Name, Image: c.Image, Resources: c.Resources, EnvFrom: c.EnvFrom, RestartPolicy: c.RestartPolicy, Ports: stripPorts(c.Ports)}
		for _, e := range c.Env {
			if e.ValueFrom != nil && (e.ValueFrom.ConfigMapKeyRef != nil || e.ValueFrom.SecretKeyRef != nil) {
				out[i].Env = append(out[i].Env, corev1.EnvVar{Name: e.Name, ValueFrom: e.ValueFrom})
			}
		}
	}
	return out
}

func stripStatuses(in []corev1.ContainerStatus) []corev1.ContainerStatus {
	if len(in) == 0 {
		return nil
	}
	out := make([]corev1.ContainerStatus, len(in))
	for i := range in {
		s := &in[i]
		out[i] = corev1.ContainerStatus{
			Name: s.Name, State: s.State, LastTerminationState: s.LastTerminationState, Ready: s.Ready,
			RestartCount: s.RestartCount, ContainerID: s.ContainerID,
		}
		for _, state := range []*corev1.ContainerState{&out[i].State, &out[i].LastTerminationState} {
			if state.Waiting != nil {
				state.Waiting.Message = bound(state.Waiting.Message, maxMessage)
			}
			if state.Terminated != nil {
				state.Terminated.Message = bound(state.Terminated.Message, maxMessage)
			}
		}
	}
	return out
}

// stripNode keeps of a node its schedulability, conditions without heartbeat,
// and what is allocatable.
func stripNode(n *corev1.Node) {
	n.Spec = corev1.NodeSpec{Unschedulable: n.Spec.Unschedulable, Taints: n.Spec.Taints}
	status := corev1.NodeStatus{Conditions: n.Status.Conditions}
	for i := range status.Conditions {
		c := &status.Conditions[i]
		c.LastHeartbeatTime = metav1.Time{}
		c.Message = bound(c.Message, maxMessage)
	}
	status.Allocatable = n.Status.Allocatable
	n.Status = status
}

// stripSlice keeps of an EndpointSlice which pods are behind it and whether
// they are ready.
func stripSlice(s *discoveryv1.EndpointSlice) {
	s.Ports = nil
	for i, e := range s.Endpoints {
		s.Endpoints[i] = discoveryv1.Endpoint{Conditions: e.Conditions, TargetRef: stripTarget(e.TargetRef)}
	}
}

// stripEndpoints does the same for an Endpoints object.
func stripEndpoints(e *corev1.Endpoints) {
	for i := range e.Subsets {
		s := &e.Subsets[i]
		s.Ports = nil
		for _, list := range [][]corev1.EndpointAddress{s.Addresses, s.NotReadyAddresses} {
			for j := range list {
				list[j] = corev1.EndpointAddress{TargetRef: stripTarget(list[j].TargetRef)}
			}
		}
	}
}

func stripTarget(ref *corev1.ObjectReference) *corev1.ObjectReference {
	if ref == nil {
		return nil
	}
	return &corev1.ObjectReference{Kind: ref.Kind, Name: ref.Name}
}
