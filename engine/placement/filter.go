package placement

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/yairfalse/tapio"
)

// filter runs all filters on a node, past the first that fails.
func (j *judge) filter(n Node) map[Obstacle]failure {
	fails := map[Obstacle]failure{}
	node, place := n.State.Node, j.pod.Pod.Placement
	if node.Unschedulable && !tolerates(place.Tolerations, unschedulable, "", "NoSchedule") {
		fails[Cordoned] = failure{}
	}
	for _, t := range node.Taints {
		key, value, effect := splitTaint(t)
		if key == unschedulable || effect == "PreferNoSchedule" || tolerates(place.Tolerations, key, value, effect) {
			continue
		}
		what := key
		if value != "" {
			what += "=" + value
		}
		if !has(fails, Taint) {
			fails[Taint] = failure{what: what}
		}
	}
	if !admits(place, n.State) {
		fails[NodeAffinity] = failure{never: true}
	}
	j.fit(n, fails)
	j.ports(n, fails)
	for _, v := range j.volumes {
		if !usableOn(v.Volume, n.State) {
			fails[VolumeZone] = failure{what: v.Entity.Name}
		}
	}
	j.neighbours(n, fails)
	j.spread(n, fails)
	return fails
}

// unschedulable is the taint that a cordon brings.
const unschedulable = "node.kubernetes.io/unschedulable"

// splitTaint takes "key=value:effect" apart; the value may be absent.
func splitTaint(t string) (key, value, effect string) {
	i := strings.LastIndexByte(t, ':')
	if i >= 0 {
		t, effect = t[:i], t[i+1:]
	}
	key, value, _ = strings.Cut(t, "=")
	return key, value, effect
}

func tolerates(list []tapio.Toleration, key, value, effect string) bool {
	return slices.ContainsFunc(list, func(t tapio.Toleration) bool {
		if t.Effect != "" && t.Effect != effect || t.Key != "" && t.Key != key {
			return false
		}
		if t.Operator == "Exists" {
			return true
		}
		return t.Key != "" && t.Value == value
	})
}

// runs reports whether the pod takes room on its node.
func runs(p *tapio.State) bool {
	return p.Pod != nil && p.Pod.Phase != "Succeeded" && p.Pod.Phase != "Failed"
}

// fit compares what the pod requests with what is left on the node.
func (j *judge) fit(n Node, fails map[Obstacle]failure) {
	pod, node := j.pod.Pod, n.State.Node
	for o, r := range map[Obstacle]string{CPU: "cpu", Memory: "memory"} {
		allocatable, ok := amount(of(node.Allocatable, r))
		request, asked := amount(of(pod.Requests, r))
		if !ok || !asked {
			continue
		}
		left := allocatable.DeepCopy()
		for _, p := range n.Pods {
			if q, ok := amount(of(p.Pod.Requests, r)); ok && runs(p) {
				left.Sub(q)
			}
		}
		j.short(fails, o, r, request, left, allocatable)
	}
	for name, asked := range pod.Extra {
		request, ok := amount(asked)
		if !ok || len(node.Extra) == 0 {
			continue
		}
		allocatable, _ := amount(node.Extra[name])
		left := allocatable.DeepCopy()
		for _, p := range n.Pods {
			if q, ok := amount(p.Pod.Extra[name]); ok && runs(p) {
				left.Sub(q)
			}
		}
		j.short(fails, Resource, name, request, left, allocatable)
	}
	if most, ok := amount(node.Extra["pods"]); ok {
		count := int64(0)
		for _, p := range n.Pods {
			if runs(p) {
				count++
			}
		}
		if count >= most.Value() {
			fails[PodCount] = failure{what: "pods"}
		}
	}
}

func (j *judge) short(fails map[Obstacle]failure, o Obstacle, name string, request, left, allocatable resource.Quantity) {
	if request.Cmp(left) <= 0 {
		return
	}
	f := failure{what: name, detail: left.String(), never: request.Cmp(allocatable) > 0}
	if a := allocatable.AsApproximateFloat64(); a > 0 {
		f.ratio = request.AsApproximateFloat64() / a
	}
	fails[o] = f
}

func of(r tapio.Resources, name string) string {
	if name == "cpu" {
		return r.CPU
	}
	return r.Memory
}

// amount reads a quantity, and reports false where there is none.
func amount(s string) (resource.Quantity, bool) {
	if s == "" {
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(s)
	return q, err == nil
}

// ports looks for a pod that has the node's port already.
func (j *judge) ports(n Node, fails map[Obstacle]failure) {
	for _, want := range j.pod.Pod.HostPorts {
		for _, p := range n.Pods {
			if runs(p) && slices.ContainsFunc(p.Pod.HostPorts, func(taken string) bool { return samePort(want, taken) }) {
				fails[HostPort] = failure{what: want, detail: p.Entity.Namespace + "/" + p.Entity.Name}
				return
			}
		}
	}
}

// samePort reports whether two ports, each perhaps on one address, collide.
func samePort(a, b string) bool {
	split := func(s string) (ip, port string) {
		if i := strings.LastIndexByte(s, ':'); i >= 0 {
			return s[:i], s[i+1:]
		}
		return "", s
	}
	ipA, portA := split(a)
	ipB, portB := split(b)
	return portA == portB && (ipA == "" || ipB == "" || ipA == ipB)
}
