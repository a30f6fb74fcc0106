package facts

import (
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/google/go-cmp/cmp"

	"github.com/yairfalse/tapio"
)

func setNode(n *corev1.Node, kind corev1.NodeConditionType, is corev1.ConditionStatus, reason, message, when string) {
	for i := range n.Status.Conditions {
		if c := &n.Status.Conditions[i]; c.Type == kind {
			c.Status, c.Reason, c.Message, c.LastTransitionTime = is, reason, message, clock(when)
		}
	}
}

func TestNodeEvents(t *testing.T) {
	up := edit(load(t, "node")[0].(*corev1.Node), func(n *corev1.Node) { n.Spec.Unschedulable, n.Spec.Taints = false, nil })
	lost := edit(up, func(n *corev1.Node) {
		setNode(n, corev1.NodeReady, corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status.", "12:41:00")
		setNode(n, corev1.NodeMemoryPressure, corev1.ConditionUnknown, "NodeStatusUnknown", "", "12:41:00")
	})
	down := edit(up, func(n *corev1.Node) {
		setNode(n, corev1.NodeReady, corev1.ConditionFalse, "KubeletNotReady", "container runtime is down", "12:41:00")
	})
	pressed := edit(up, func(n *corev1.Node) {
		setNode(n, corev1.NodeMemoryPressure, corev1.ConditionTrue, "KubeletHasInsufficientMemory", "", "12:42:00")
	})
	cordoned := edit(up, func(n *corev1.Node) {
		n.Spec.Unschedulable = true
		n.Annotations = map[string]string{annotationManager: "kubectl-cordon", annotationManagedAt: "2026-11-23T12:43:00Z"}
	})
	tests := []struct {
		name     string
		old, new *corev1.Node
		listed   bool
		want     []string
	}{
		{"healthy in a listing", nil, up, true, nil},
		{"lost in a listing", nil, lost, true, []string{"12:41:00 node.notready Node/node-1 NodeStatusUnknown status=Unknown"}},
		{"lost", up, lost, false, []string{"12:41:00 node.notready Node/node-1 NodeStatusUnknown status=Unknown"}},
		{"down", up, down, false, []string{"12:41:00 node.notready Node/node-1 KubeletNotReady status=False"}},
		{"down for another reason", down, edit(down, func(n *corev1.Node) {
			setNode(n, corev1.NodeReady, corev1.ConditionFalse, "KubeletNotReady", "PLEG is not healthy", "12:41:00")
		}), false, []string{"now node.notready Node/node-1 KubeletNotReady status=False"}},
		{"down for another number of minutes",
			edit(down, func(n *corev1.Node) {
				setNode(n, corev1.NodeReady, corev1.ConditionFalse, "KubeletNotReady", "pleg was last seen active 3m1s ago", "12:41:00")
			}),
			edit(down, func(n *corev1.Node) {
				setNode(n, corev1.NodeReady, corev1.ConditionFalse, "KubeletNotReady", "pleg was last seen active 3m11s ago", "12:41:00")
			}), false, nil},
		{"back", lost, up, false, []string{"12:38:05 node.ready Node/node-1 KubeletReady status=True"}},
		{"pressure", up, pressed, false, []string{"12:42:00 node.pressure Node/node-1 MemoryPressure status=True"}},
		{"pressure in a listing", nil, pressed, true, []string{"12:42:00 node.pressure Node/node-1 MemoryPressure status=True"}},
		{"pressure ended", pressed, up, false, []string{"12:38:05 node.pressure_ended Node/node-1 MemoryPressure status=False"}},
		{"pressure unknown is not ended", pressed, lost, false, []string{"12:41:00 node.notready Node/node-1 NodeStatusUnknown status=Unknown"}},
		{"cordoned", up, cordoned, false, []string{"12:43:00 node.cordoned Node/node-1 manager=kubectl-cordon"}},
		{"uncordoned without a trace of who did it", cordoned, edit(cordoned, func(n *corev1.Node) { n.Spec.Unschedulable = false }), false,
			[]string{"now node.uncordoned Node/node-1"}},
		{"cordoned in a listing", nil, cordoned, true, nil},
		{"a label is taken away and a taint is set", edit(up, func(n *corev1.Node) { n.Labels["disk"] = "ssd" }), edit(up, func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "dedicated", Value: "gpu", Effect: "NoSchedule"}, {Key: "node.kubernetes.io/not-ready", Effect: "NoExecute"}}
		}), false, []string{`now node.changed Node/node-1; labels[disk]: "ssd" → ""; taints[dedicated:NoSchedule]: "" → "gpu"`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.old == nil {
				want(t, told(t, nil, test.new, test.listed, nil), test.want...)
			} else {
				want(t, told(t, test.old, test.new, test.listed, nil), test.want...)
			}
		})
	}
	want(t, told(t, up, nil, false, nil), "now node.deleted Node/node-1")
}

func TestNodeState(t *testing.T) {
	n := load(t, "node")[0].(*corev1.Node) // recorded while it was cordoned
	s := Between(nil, n, at, true, nil)[0].State
	wanted := &tapio.NodeState{
		Ready: "True", ReadySince: time.Date(2026, 11, 23, 12, 38, 5, 0, time.UTC), Reason: "KubeletReady",
		Message: "kubelet is posting ready status", Unschedulable: true,
		Taints: []string{"node.kubernetes.io/unschedulable:NoSchedule"}, Allocatable: s.Node.Allocatable,
		Extra: map[string]string{"ephemeral-storage": "243497856212", "pods": "110"}, CordonedSince: time.Date(2026, 11, 23, 12, 39, 39, 0, time.UTC),
	}
	if d := cmp.Diff(wanted, s.Node); d != "" || s.Node.Allocatable.CPU == "" {
		t.Errorf("state (-want +got):\n%s", d)
	}
	bare := Between(nil, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, at, true, nil)[0].State
	if bare.Node.Ready != "Unknown" {
		t.Errorf("a node without conditions is ready=%q, want Unknown", bare.Node.Ready)
	}
}

func list(pairs ...string) corev1.ResourceList {
	out := make(corev1.ResourceList)
	for i := 0; i < len(pairs); i += 2 {
		out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return out
}

func TestQuotaAndLimits(t *testing.T) {
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "q", CreationTimestamp: clock("12:30:00")}
	q := &corev1.ResourceQuota{ObjectMeta: meta, Spec: corev1.ResourceQuotaSpec{Hard: list("pods", "10", "requests.cpu", "4")}, Status: corev1.ResourceQuotaStatus{Used: list("pods", "3")}}
	smaller := edit(q, func(q *corev1.ResourceQuota) { q.Spec.Hard = list("pods", "5", "requests.memory", "1Gi") })
	want(t, told(t, q, smaller, false, nil),
		`now quota.changed ResourceQuota/shop/q Updated; hard.pods: "10" → "5"; hard.requests.cpu: "4" → ""; hard.requests.memory: "" → "1Gi"`)
	want(t, told(t, nil, q, false, nil), "12:30:00 quota.changed ResourceQuota/shop/q Created")
	want(t, told(t, nil, q, true, nil))
	want(t, told(t, q, nil, false, nil), "now quota.changed ResourceQuota/shop/q Deleted")
	want(t, told(t, q, edit(q, func(q *corev1.ResourceQuota) { q.Status.Used = list("pods", "4") }), false, nil))
	s := Between(nil, q, at, true, nil)[0].State
	if d := cmp.Diff(&tapio.QuotaState{Hard: map[string]string{"pods": "10", "requests.cpu": "4"}, Used: map[string]string{"pods": "3"}}, s.Quota); d != "" {
		t.Errorf("state (-want +got):\n%s", d)
	}

	l := &corev1.LimitRange{ObjectMeta: meta, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: "Container", Max: list("cpu", "2")}}}}
	lower := edit(l, func(l *corev1.LimitRange) { l.Spec.Limits[0].Max = list("cpu", "1") })
	want(t, told(t, l, lower, false, nil), `now quota.changed LimitRange/shop/q Updated; limits[Container].max.cpu: "2" → "1"`)
}

func TestConfigMap(t *testing.T) {
	c := &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app", ResourceVersion: "1", CreationTimestamp: clock("12:30:00"), Annotations: map[string]string{annotationManager: "helm", annotationManagedAt: "2026-11-23T12:30:00Z"}},
	}
	edited := edit(c, func(c *metav1.PartialObjectMetadata) {
		c.ResourceVersion, c.Annotations[annotationManager], c.Annotations[annotationManagedAt] = "2", "kubectl-edit", "2026-11-23T12:40:00Z"
	})
	want(t, told(t, nil, c, true, nil))
	want(t, told(t, nil, c, false, nil), "12:30:00 config.changed ConfigMap/shop/app Created manager=helm")
	want(t, told(t, c, edited, false, nil), "12:40:00 config.changed ConfigMap/shop/app Updated manager=kubectl-edit")
	want(t, told(t, c, edit(c, func(c *metav1.PartialObjectMetadata) { c.ResourceVersion = "3" }), false, nil), "now config.changed ConfigMap/shop/app Updated")
	want(t, told(t, c, c, false, nil))
	want(t, told(t, c, nil, false, nil), "now config.changed ConfigMap/shop/app Deleted")
	lock := edit(c, func(c *metav1.PartialObjectMetadata) { c.Annotations[annotationLeader] = "" })
	want(t, told(t, lock, edit(lock, func(c *metav1.PartialObjectMetadata) { c.ResourceVersion = "4" }), false, nil))
	ca := edit(c, func(c *metav1.PartialObjectMetadata) { c.Name = clusterCA })
	want(t, told(t, nil, ca, false, nil))
	secret := edit(c, func(c *metav1.PartialObjectMetadata) { c.Kind = "Secret" })
	if got := Between(nil, secret, at, false, nil); len(got) != 0 {
		t.Errorf("metadata of a Secret gives %d observations, want none", len(got))
	}
}

func TestStatesOfOtherKinds(t *testing.T) {
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "x", Annotations: map[string]string{"tapio.dev/team": "a", "a8r.io/owner": "b", "other": "c"}}
	class, two := "fast", int32(2)
	waits := storagev1.VolumeBindingWaitForFirstConsumer
	gi := func(n string) corev1.ResourceList { return corev1.ResourceList{"storage": resource.MustParse(n)} }
	tests := []struct {
		object runtime.Object
		want   tapio.State
	}{
		{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Annotations: meta.Annotations}}, tapio.State{Entity: tapio.Entity{Kind: "Namespace", Name: "shop"}}},
		{&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv", Annotations: meta.Annotations},
			Spec: corev1.PersistentVolumeSpec{
				Capacity: gi("5Gi"), AccessModes: []corev1.PersistentVolumeAccessMode{"ReadWriteOnce"}, StorageClassName: "fast", PersistentVolumeReclaimPolicy: "Retain",
				PersistentVolumeSource: corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "10.0.0.1", Path: "/x"}},
				ClaimRef:               &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "x", UID: "u"},
			}, Status: corev1.PersistentVolumeStatus{Phase: "Released"}},
			tapio.State{Entity: tapio.Entity{Kind: "PersistentVolume", Name: "pv"}, Volume: &tapio.VolumeState{
				Phase: "Released", Capacity: "5Gi", Modes: []string{"ReadWriteOnce"}, Class: "fast", Reclaim: "Retain", Driver: "nfs",
				Claim: tapio.Entity{Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "x"}, ClaimUID: "u"}}},
		{&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast", Annotations: meta.Annotations}, Provisioner: "ebs", VolumeBindingMode: &waits},
			tapio.State{Entity: tapio.Entity{Kind: "StorageClass", Name: "fast"}, Class: &tapio.ClassState{Provisioner: "ebs", WaitsForPod: true}}},
		{&corev1.PersistentVolumeClaim{ObjectMeta: meta, Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class, VolumeName: "pv", Resources: corev1.VolumeResourceRequirements{Requests: gi("2Gi")}}, Status: corev1.PersistentVolumeClaimStatus{Phase: "Bound"}},
			tapio.State{Entity: tapio.Entity{Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "x"}, Claim: &tapio.ClaimState{Phase: "Bound", Volume: "pv", Class: "fast", ClassGiven: true, Requested: "2Gi"}}},
		{&autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: meta, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "web"}, MinReplicas: &two, MaxReplicas: 5}, Status: autoscalingv2.HorizontalPodAutoscalerStatus{CurrentReplicas: 3, DesiredReplicas: 4}},
			tapio.State{Entity: tapio.Entity{Kind: "HorizontalPodAutoscaler", Namespace: "shop", Name: "x"}, Scaler: &tapio.ScalerState{Target: tapio.Entity{Kind: "Deployment", Namespace: "shop", Name: "web"}, Min: 2, Max: 5, Current: 3, Desired: 4}}},
		{&policyv1.PodDisruptionBudget{ObjectMeta: meta, Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}, Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: 1}},
			tapio.State{Entity: tapio.Entity{Kind: "PodDisruptionBudget", Namespace: "shop", Name: "x"}, Budget: &tapio.BudgetState{Selector: map[string]string{"app": "web"}, Allowed: 1}}},
	}
	for _, test := range tests {
		Strip(test.object)
		got := Between(nil, test.object, at, true, nil)
		test.want.Listed = true
		test.want.Annotations = map[string]string{"tapio.dev/team": "a", "a8r.io/owner": "b"}
		if len(got) != 1 {
			t.Fatalf("%T gives %d observations, want one state", test.object, len(got))
		}
		if d := cmp.Diff(&test.want, got[0].State); d != "" {
			t.Errorf("%T (-want +got):\n%s", test.object, d)
		}
	}
}
