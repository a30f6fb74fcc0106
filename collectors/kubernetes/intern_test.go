package kubernetes

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/yairfalse/tapio"
)

func TestInternerChangesNothing(t *testing.T) {
	n := newInterner()
	for _, i := range []int{0, 1, 20, 21} {
		pod := sent(t, realisticPod(i))
		want := pod.DeepCopy()
		n.pod(pod)
		if diff := cmp.Diff(want, pod); diff != "" {
			t.Errorf("pod %d (-before +after):\n%s", i, diff)
		}
	}
	empty := &corev1.Pod{}
	n.pod(empty)
	if len(empty.Labels) != 0 {
		t.Errorf("labels of a pod without any: %v", empty.Labels)
	}
}

func TestInternerSharesWithinAWorkload(t *testing.T) {
	n := newInterner()
	first, second, other := sent(t, realisticPod(0)), sent(t, realisticPod(1)), sent(t, realisticPod(20))
	other.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory] = resource.MustParse("257Mi")
	for _, pod := range []*corev1.Pod{first, second, other} {
		n.pod(pod)
	}
	same := func(a, b any) bool { return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer() }
	limits := func(p *corev1.Pod) corev1.ResourceList { return p.Spec.Containers[0].Resources.Limits }
	if !same(first.Labels, second.Labels) || !same(limits(first), limits(second)) {
		t.Error("two pods of one workload hold maps of their own")
	}
	specs := [3]*tapio.PodSpec{}
	for i, pod := range []*corev1.Pod{first, second, other} {
		specs[i] = n.spec(pod, &tapio.PodSpec{})
	}
	if specs[0] != specs[1] || specs[0] == specs[2] {
		t.Error("the specs told of two pods of one workload are not one, or those of two workloads are")
	}
	if first.Spec.NodeName == second.Spec.NodeName {
		t.Error("two pods share a node's name that differs")
	}
	if same(first.Labels, other.Labels) || same(limits(first), limits(other)) {
		t.Error("pods that differ share a map")
	}
}

func TestInternerIsBounded(t *testing.T) {
	n := newInterner()
	for i := range internLimit + 10 {
		n.pod(&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{"example.com/unit": *resource.NewQuantity(int64(i), resource.DecimalSI)},
		}}}}})
	}
	if got := len(n.resources); got != 10 {
		t.Errorf("%d entries, want a table begun anew with 10", got)
	}
	if a, b := describe(map[string]string{"a": "b", "c": ""}), describe(map[string]string{"a": "", "c": "b"}); a == b {
		t.Errorf("two maps, one description %s", fmt.Sprintf("%q", a))
	}
}
