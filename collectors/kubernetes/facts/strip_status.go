package facts

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/yairfalse/tapio/collectors/kubernetes/redact"
)

// isNil reports whether obj is a nil pointer in an interface.
func isNil(obj any) bool {
	v := reflect.ValueOf(obj)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// stripPod keeps of a pod what podSpec and references ask for, and its status.
// What looks like a secret is hidden before it is cached.
func stripPod(p *corev1.Pod) {
	spec := corev1.PodSpec{
		NodeName:           p.Spec.NodeName,
		RestartPolicy:      p.Spec.RestartPolicy,
		ServiceAccountName: p.Spec.ServiceAccountName,
		SchedulerName:      p.Spec.SchedulerName,
		ImagePullSecrets:   p.Spec.ImagePullSecrets,
		Containers:         stripContainers(p.Spec.Containers),
		InitContainers:     stripContainers(p.Spec.InitContainers),
		HostNetwork:        p.Spec.HostNetwork,
		DNSPolicy:          p.Spec.DNSPolicy,
	}
	if c := p.Spec.SecurityContext; c != nil && (c.RunAsUser != nil || c.FSGroup != nil) {
		spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: c.RunAsUser, FSGroup: c.FSGroup}
	}
	if c := p.Spec.DNSConfig; c != nil {
		spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: c.Nameservers}
	}
	for i := range p.Spec.Volumes {
		if v := &p.Spec.Volumes[i]; !isToken(v) || refersTo(v) {
			spec.Volumes = append(spec.Volumes, *v)
		}
	}
	stripPlacement(&p.Spec, &spec)
	p.Spec = spec
	s := &p.Status
	p.Status = corev1.PodStatus{
		Phase: s.Phase, Reason: s.Reason, Message: bound(s.Message, maxMessage), StartTime: s.StartTime, PodIP: s.PodIP,
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
		out[i] = corev1.Container{
			Name: c.Name, Image: c.Image, Resources: c.Resources, EnvFrom: c.EnvFrom, RestartPolicy: c.RestartPolicy,
			Command: hidden(c.Command), Args: hidden(c.Args), Ports: head(c.Ports, maxPorts),
			LivenessProbe: stripProbe(c.LivenessProbe), ReadinessProbe: stripProbe(c.ReadinessProbe), StartupProbe: stripProbe(c.StartupProbe),
		}
		for _, e := range head(c.Env, maxEnv) {
			e.Value = bound(redact.Value(e.Name, e.Value), maxEnvValue)
			out[i].Env = append(out[i].Env, e)
		}
		for _, m := range head(c.VolumeMounts, maxMounts) {
			if m.MountPath != tokenPath {
				out[i].VolumeMounts = append(out[i].VolumeMounts, corev1.VolumeMount{Name: m.Name, MountPath: m.MountPath, SubPath: m.SubPath, ReadOnly: m.ReadOnly})
			}
		}
		if s := c.SecurityContext; s != nil && (s.RunAsUser != nil || s.RunAsNonRoot != nil || s.ReadOnlyRootFilesystem != nil) {
			out[i].SecurityContext = &corev1.SecurityContext{RunAsUser: s.RunAsUser, RunAsNonRoot: s.RunAsNonRoot, ReadOnlyRootFilesystem: s.ReadOnlyRootFilesystem}
		}
	}
	return out
}

// stripProbe drops what a probe asks with but not where: headers may hold
// credentials, and commands are not compared with anything.
func stripProbe(p *corev1.Probe) *corev1.Probe {
	if p == nil {
		return nil
	}
	out := *p
	out.TerminationGracePeriodSeconds = nil
	switch {
	case p.HTTPGet != nil:
		get := *p.HTTPGet
		get.HTTPHeaders = nil
		get.Path = redact.Text(get.Path)
		out.HTTPGet = &get
	case p.Exec != nil:
		out.Exec = &corev1.ExecAction{}
	}
	return &out
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

// stripSlice keeps of an EndpointSlice its ports, which pods are behind it and
// whether they are ready.
func stripSlice(s *discoveryv1.EndpointSlice) {
	for i, e := range s.Endpoints {
		s.Endpoints[i] = discoveryv1.Endpoint{Conditions: e.Conditions, TargetRef: stripTarget(e.TargetRef)}
	}
}

// stripEndpoints does the same for an Endpoints object.
func stripEndpoints(e *corev1.Endpoints) {
	for i := range e.Subsets {
		s := &e.Subsets[i]
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
