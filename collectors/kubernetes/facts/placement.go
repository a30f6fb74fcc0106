package facts

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/yairfalse/tapio"
)

// maxTerms bounds the lists of one placement: more of them than this is no
// pod that anybody reads about.
const maxTerms = 20

// placed adds to a pod's state what it takes of its node and, while it has
// none, what it asks of one.
func placed(s *tapio.PodState, p *corev1.Pod) {
	requests := allRequests(p)
	s.Requests = amounts(requests)
	s.Extra = others(requests)
	s.HostPorts = hostPorts(p)
	if p.Spec.Priority != nil {
		s.Priority = *p.Spec.Priority
	}
	affinity := p.Spec.Affinity
	if affinity != nil && affinity.PodAntiAffinity != nil {
		s.AntiAffinity = podTerms(affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	}
	if p.Spec.NodeName != "" {
		return
	}
	place := &tapio.Placement{NodeSelector: p.Spec.NodeSelector}
	if affinity != nil && affinity.NodeAffinity != nil {
		place.NodeTerms = nodeTerms(affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	}
	if affinity != nil && affinity.PodAffinity != nil {
		place.Affinity = podTerms(affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	}
	for i := range p.Spec.Tolerations {
		t := &p.Spec.Tolerations[i]
		place.Tolerations = append(place.Tolerations, tapio.Toleration{Key: t.Key, Operator: string(t.Operator), Value: t.Value, Effect: string(t.Effect)})
	}
	for i := range p.Spec.TopologySpreadConstraints {
		c := &p.Spec.TopologySpreadConstraints[i]
		if c.WhenUnsatisfiable != corev1.DoNotSchedule {
			continue
		}
		place.Spread = append(place.Spread, tapio.SpreadRule{
			Selector: selector(c.LabelSelector), TopologyKey: c.TopologyKey, MaxSkew: c.MaxSkew, MinDomains: orDefault(c.MinDomains, 0),
		})
	}
	for _, g := range p.Spec.SchedulingGates {
		place.Gates = append(place.Gates, g.Name)
	}
	if p.Spec.SchedulerName != corev1.DefaultSchedulerName {
		place.Scheduler = p.Spec.SchedulerName
	}
	s.Placement = place
}

// allRequests returns what the scheduler must find for a pod, of every
// resource: the sum of its containers and sidecars, or what an init container
// asks for beside the sidecars before it, and the overhead of its runtime. A
// request that is left out follows the limit, as the API server fills it in.
func allRequests(p *corev1.Pod) corev1.ResourceList {
	sum, most := corev1.ResourceList{}, corev1.ResourceList{}
	for i := range p.Spec.Containers {
		add(sum, asked(&p.Spec.Containers[i]))
	}
	sidecars := corev1.ResourceList{}
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add(sidecars, asked(c))
			continue
		}
		atOnce := corev1.ResourceList{}
		add(atOnce, asked(c))
		add(atOnce, sidecars)
		atLeast(most, atOnce)
	}
	add(sum, sidecars)
	atLeast(sum, most)
	if r := p.Spec.Resources; r != nil { // resources of the pod as a whole
		for name, q := range r.Requests {
			sum[name] = q
		}
	}
	add(sum, p.Spec.Overhead)
	for name, q := range sum {
		if q.IsZero() {
			delete(sum, name)
		}
	}
	return sum
}

func asked(c *corev1.Container) corev1.ResourceList {
	out := corev1.ResourceList{}
	add(out, c.Resources.Requests)
	for name, q := range c.Resources.Limits {
		if _, given := c.Resources.Requests[name]; !given {
			out[name] = q
		}
	}
	return out
}

func add(to, more corev1.ResourceList) {
	for name, q := range more {
		sum := to[name]
		sum.Add(q)
		to[name] = sum
	}
}

func atLeast(to, other corev1.ResourceList) {
	for name, q := range other {
		if have, ok := to[name]; !ok || q.Cmp(have) > 0 {
			to[name] = q
		}
	}
}

// others returns the amounts of a list beside CPU and memory.
func others(list corev1.ResourceList) map[string]string {
	var out map[string]string
	for name, q := range list {
		if name == corev1.ResourceCPU || name == corev1.ResourceMemory || q.IsZero() {
			continue
		}
		if out == nil {
			out = make(map[string]string, len(list))
		}
		out[string(name)] = q.String()
	}
	return out
}

// hostPorts returns the ports of the node that a pod's containers take.
func hostPorts(p *corev1.Pod) []string {
	var out []string
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			for _, port := range list[i].Ports {
				if port.HostPort == 0 {
					continue
				}
				name := fmt.Sprintf("%d/%s", port.HostPort, cmp.Or(string(port.Protocol), "TCP"))
				if port.HostIP != "" && port.HostIP != "0.0.0.0" {
					name = port.HostIP + ":" + name
				}
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func selector(s *metav1.LabelSelector) *tapio.LabelSelector {
	if s == nil {
		return nil
	}
	out := &tapio.LabelSelector{Labels: s.MatchLabels}
	for _, e := range s.MatchExpressions {
		out.Expressions = append(out.Expressions, tapio.Requirement{Key: e.Key, Operator: string(e.Operator), Values: e.Values})
	}
	return out
}

func podTerms(in []corev1.PodAffinityTerm) []tapio.PodTerm {
	var out []tapio.PodTerm
	for i := range in[:min(len(in), maxTerms)] {
		t := &in[i]
		out = append(out, tapio.PodTerm{
			Selector: selector(t.LabelSelector), TopologyKey: t.TopologyKey,
			Namespaces: t.Namespaces, AllNamespaces: t.NamespaceSelector != nil,
		})
	}
	return out
}

func nodeTerms(s *corev1.NodeSelector) []tapio.NodeTerm {
	if s == nil {
		return nil
	}
	var out []tapio.NodeTerm
	for i := range s.NodeSelectorTerms[:min(len(s.NodeSelectorTerms), maxTerms)] {
		t := &s.NodeSelectorTerms[i]
		out = append(out, tapio.NodeTerm{Labels: requirements(t.MatchExpressions), Fields: requirements(t.MatchFields)})
	}
	return out
}

func requirements(in []corev1.NodeSelectorRequirement) []tapio.Requirement {
	var out []tapio.Requirement
	for i := range in {
		out = append(out, tapio.Requirement{Key: in[i].Key, Operator: string(in[i].Operator), Values: in[i].Values})
	}
	return out
}

// stripPlacement keeps of a pod's spec what [placed] reads.
func stripPlacement(from *corev1.PodSpec, to *corev1.PodSpec) {
	to.Priority, to.Overhead = from.Priority, from.Overhead
	if r := from.Resources; r != nil {
		to.Resources = &corev1.ResourceRequirements{Requests: r.Requests, Limits: r.Limits}
	}
	if from.NodeName != "" {
		if a := from.Affinity; a != nil && a.PodAntiAffinity != nil && len(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0 {
			to.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution,
			}}
		}
		return
	}
	to.NodeSelector, to.Affinity, to.Tolerations = from.NodeSelector, from.Affinity, from.Tolerations
	to.TopologySpreadConstraints, to.SchedulingGates, to.SchedulerName = from.TopologySpreadConstraints, from.SchedulingGates, from.SchedulerName
}

// quantity writes an amount, or nothing where there is none.
func quantity(list corev1.ResourceList, name corev1.ResourceName) string {
	q, ok := list[name]
	if !ok || q.Cmp(resource.Quantity{}) == 0 {
		return ""
	}
	return q.String()
}
