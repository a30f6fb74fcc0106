package facts

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/yairfalse/tapio"
)

func TestPlacement(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	one := func(requests, limits corev1.ResourceList) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: requests, Limits: limits}
	}
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-a"},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{"disk": "ssd"},
			Tolerations:  []corev1.Toleration{{Key: "dedicated", Operator: "Exists"}},
			Affinity: &corev1.Affinity{
				NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
					{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: "In", Values: []string{"a"}}}}}}},
				PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
					{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, TopologyKey: "kubernetes.io/hostname"}}},
			},
			TopologySpreadConstraints: []corev1.TopologySpreadConstraint{
				{TopologyKey: "zone", MaxSkew: 1, WhenUnsatisfiable: corev1.ScheduleAnyway},
				{TopologyKey: "zone", MaxSkew: 2, WhenUnsatisfiable: corev1.DoNotSchedule},
			},
			SchedulingGates: []corev1.PodSchedulingGate{{Name: "wait.example.com"}},
			InitContainers: []corev1.Container{
				{Name: "sidecar", RestartPolicy: &always, Resources: one(list("cpu", "100m"), nil)},
				{Name: "init", Resources: one(list("cpu", "2", "memory", "10Mi"), nil)},
			},
			Containers: []corev1.Container{
				{Name: "app", Resources: one(list("cpu", "500m"), list("memory", "64Mi", "nvidia.com/gpu", "1")), Ports: []corev1.ContainerPort{{ContainerPort: 80, HostPort: 8080}, {ContainerPort: 81}}},
			},
			Overhead: list("memory", "6Mi"),
		},
	}
	wanted := tapio.PodState{
		Requests: tapio.Resources{CPU: "2100m", Memory: "70Mi"}, Extra: map[string]string{"nvidia.com/gpu": "1"}, HostPorts: []string{"8080/TCP"},
		AntiAffinity: []tapio.PodTerm{{Selector: &tapio.LabelSelector{Labels: map[string]string{"app": "web"}}, TopologyKey: "kubernetes.io/hostname"}},
		Placement: &tapio.Placement{
			NodeSelector: map[string]string{"disk": "ssd"},
			NodeTerms:    []tapio.NodeTerm{{Labels: []tapio.Requirement{{Key: "zone", Operator: "In", Values: []string{"a"}}}}},
			Tolerations:  []tapio.Toleration{{Key: "dedicated", Operator: "Exists"}},
			Spread:       []tapio.SpreadRule{{TopologyKey: "zone", MaxSkew: 2}},
			Gates:        []string{"wait.example.com"},
		},
	}
	p.Spec.SchedulerName = corev1.DefaultSchedulerName
	Strip(p)
	got := Between(nil, p, at, true, nil)[0].State.Pod
	got.Phase, got.RestartPolicy, got.Containers, got.References, got.Spec = "", "", nil, nil, nil
	if d := cmp.Diff(&wanted, got); d != "" {
		t.Errorf("pending (-want +got):\n%s", d)
	}

	p.Spec.NodeName = "n1"
	Strip(p)
	got = Between(nil, p, at, true, nil)[0].State.Pod
	if got.Placement != nil || len(got.AntiAffinity) != 1 || got.Requests.CPU != "2100m" {
		t.Errorf("a pod on a node keeps %+v, want requests and anti-affinity only", got)
	}
}

func TestScalerEvents(t *testing.T) {
	h := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: 4},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{CurrentReplicas: 4, Conditions: []autoscalingv2.HorizontalPodAutoscalerCondition{
			{Type: "ScalingActive", Status: "True", Reason: "ValidMetricFound"},
			{Type: "ScalingLimited", Status: "False", Reason: "DesiredWithinRange"},
		}},
	}
	blind := edit(h, func(h *autoscalingv2.HorizontalPodAutoscaler) {
		h.Status.Conditions[0] = autoscalingv2.HorizontalPodAutoscalerCondition{Type: "ScalingActive", Status: "False", Reason: "FailedGetResourceMetric", Message: "no metrics", LastTransitionTime: clock("12:30:00")}
	})
	off := edit(blind, func(h *autoscalingv2.HorizontalPodAutoscaler) { h.Status.Conditions[0].Reason = "ScalingDisabled" })
	full := edit(h, func(h *autoscalingv2.HorizontalPodAutoscaler) {
		h.Status.Conditions[1] = autoscalingv2.HorizontalPodAutoscalerCondition{Type: "ScalingLimited", Status: "True", Reason: "TooManyReplicas", LastTransitionTime: clock("12:30:00")}
	})
	const attrs = " detail=4 of at most 4 pods kind=HorizontalPodAutoscaler object=web status="
	want(t, told(t, h, blind, false, nil), "12:30:00 scaler.blocked HorizontalPodAutoscaler/shop/web FailedGetResourceMetric"+attrs+"False")
	want(t, told(t, nil, blind, true, nil), "12:30:00 scaler.blocked HorizontalPodAutoscaler/shop/web FailedGetResourceMetric"+attrs+"False")
	want(t, told(t, blind, blind, false, nil))
	want(t, told(t, h, off, false, nil))
	want(t, told(t, h, full, false, nil), "12:30:00 scaler.blocked HorizontalPodAutoscaler/shop/web TooManyReplicas"+attrs+"True")
	want(t, told(t, full, h, false, nil))
}
