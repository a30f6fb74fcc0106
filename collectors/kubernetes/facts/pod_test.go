package facts

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/yairfalse/tapio"
)

const crash = "Pod/default/crash-6b4df6bc57-fb5gt"

func clock(s string) metav1.Time {
	t, err := time.Parse("15:04:05", s)
	if err != nil {
		panic(err)
	}
	return metav1.NewTime(t.AddDate(2026, 10, 22))
}

func status(p *corev1.Pod) *corev1.ContainerStatus { return &p.Status.ContainerStatuses[0] }

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func running(since string) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: clock(since)}}
}

func ended(id, when string, code int32, reason string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ContainerID: id, FinishedAt: clock(when), ExitCode: code, Reason: reason,
	}}
}

func setCondition(p *corev1.Pod, kind corev1.PodConditionType, is corev1.ConditionStatus, reason, when string) {
	c := corev1.PodCondition{Type: kind, Status: is, Reason: reason, LastTransitionTime: clock(when)}
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == kind {
			p.Status.Conditions[i] = c
			return
		}
	}
	p.Status.Conditions = append(p.Status.Conditions, c)
}

func TestPodEvents(t *testing.T) {
	recorded := load(t, "crash")[0].(*corev1.Pod)
	up := edit(recorded, func(p *corev1.Pod) { // the same pod in good health
		*status(p) = corev1.ContainerStatus{Name: "app", Ready: true, ContainerID: "containerd://a", State: running("12:40:00")}
		setCondition(p, corev1.PodReady, corev1.ConditionTrue, "", "12:40:00")
	})
	with := func(p *corev1.Pod, how func(*corev1.Pod)) *corev1.Pod { return edit(p, how) }
	tests := []struct {
		name     string
		old, new *corev1.Pod
		listed   bool
		want     []string
	}{
		{"a crashed pod in a listing", nil, recorded, true, []string{
			"12:39:12 container.exit " + crash + "[app] Error exit_code=1",
			"12:40:05 container.exit " + crash + "[app] Error exit_code=1",
			"12:40:06 pod.notready " + crash + " ContainersNotReady",
		}},
		{"a healthy pod in a listing", nil, up, true, nil},
		{"a new pod", nil, with(up, func(p *corev1.Pod) {
			p.Status = corev1.PodStatus{Phase: corev1.PodPending}
			p.Spec.NodeName = ""
		}), false, []string{"12:38:24 pod.created " + crash}},
		{"scheduled", with(up, func(p *corev1.Pod) { p.Spec.NodeName = "" }), up, false, []string{
			"12:38:24 pod.scheduled " + crash,
		}},
		{"first exit", up, with(up, func(p *corev1.Pod) { status(p).State = ended("containerd://a", "12:41:00", 137, "OOMKilled") }), false, []string{
			"12:41:00 container.exit " + crash + "[app] OOMKilled exit_code=137",
		}},
		{"the exit moves to lastState and the container starts",
			with(up, func(p *corev1.Pod) { status(p).State = ended("containerd://a", "12:41:00", 137, "OOMKilled") }),
			with(up, func(p *corev1.Pod) {
				status(p).State, status(p).ContainerID = running("12:41:10"), "containerd://b"
				status(p).LastTerminationState = ended("containerd://a", "12:41:00", 137, "OOMKilled")
			}), false, []string{"12:41:10 container.started " + crash + "[app]"}},
		{"two exits between two looks", up, with(up, func(p *corev1.Pod) {
			status(p).LastTerminationState = ended("containerd://a", "12:41:00", 1, "Error")
			status(p).State = ended("containerd://b", "12:41:05", 2, "Error")
		}), false, []string{
			"12:41:00 container.exit " + crash + "[app] Error exit_code=1",
			"12:41:05 container.exit " + crash + "[app] Error exit_code=2",
		}},
		{"an exit of which the kubelet lost sight", up, with(up, func(p *corev1.Pod) {
			status(p).LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "ContainerStatusUnknown"}}
		}), false, []string{"now container.exit " + crash + "[app] ContainerStatusUnknown exit_code=137"}},
		{"an exit while the pod is deleted", up, with(up, func(p *corev1.Pod) {
			deleted := clock("12:41:00")
			p.DeletionTimestamp = &deleted
			status(p).State = ended("containerd://a", "12:41:00", 143, "Error")
		}), false, []string{"12:41:00 container.exit " + crash + "[app] Error exit_code=143 terminating=true"}},
		{"waiting begins", up, with(up, func(p *corev1.Pod) { status(p).State = waiting("ErrImagePull", "not found") }), false, []string{
			"now container.waiting " + crash + "[app] ErrImagePull",
		}},
		{"waiting goes on with another number",
			with(up, func(p *corev1.Pod) { status(p).State = waiting("CrashLoopBackOff", "back-off 10s restarting") }),
			with(up, func(p *corev1.Pod) { status(p).State = waiting("CrashLoopBackOff", "back-off 1m20s restarting") }),
			false, nil},
		{"another message of one reason",
			with(up, func(p *corev1.Pod) {
				status(p).State = waiting("CreateContainerConfigError", `configmap "a" not found`)
			}),
			with(up, func(p *corev1.Pod) { status(p).State = waiting("CreateContainerConfigError", `secret "b" not found`) }),
			false, []string{"now container.waiting " + crash + "[app] CreateContainerConfigError"}},
		{"being created is no wait", nil, with(up, func(p *corev1.Pod) { status(p).State = waiting("ContainerCreating", "") }), true, nil},
		{"a listed wait has the pod's time", nil, with(up, func(p *corev1.Pod) {
			status(p).State = waiting("ErrImagePull", "not found")
			setCondition(p, corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", "12:38:25")
		}), true, []string{"12:38:25 container.waiting " + crash + "[app] ErrImagePull"}},
		{"a listed wait after a crash has the crash's time", nil, with(up, func(p *corev1.Pod) {
			status(p).State = waiting("CrashLoopBackOff", "back-off")
			status(p).LastTerminationState = ended("containerd://a", "12:41:00", 1, "Error")
		}), true, []string{
			"12:41:00 container.exit " + crash + "[app] Error exit_code=1",
			"12:41:00 container.waiting " + crash + "[app] CrashLoopBackOff",
		}},
		{"ready", with(up, func(p *corev1.Pod) { setCondition(p, corev1.PodReady, corev1.ConditionFalse, "", "12:38:24") }), up, false, []string{
			"12:40:00 pod.ready " + crash,
		}},
		{"no longer ready", up, with(up, func(p *corev1.Pod) {
			setCondition(p, corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", "12:41:00")
		}), false, []string{"12:41:00 pod.notready " + crash + " ContainersNotReady"}},
		{"a listed pod that was never ready", nil, with(up, func(p *corev1.Pod) {
			setCondition(p, corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", "12:38:24")
		}), true, nil},
		{"a listed pod that was ready", nil, with(up, func(p *corev1.Pod) {
			setCondition(p, corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", "12:42:00")
		}), true, []string{"12:42:00 pod.notready " + crash + " ContainersNotReady"}},
		{"a pod that did its work is not unready", up, with(up, func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodSucceeded
			setCondition(p, corev1.PodReady, corev1.ConditionFalse, "PodCompleted", "12:41:00")
		}), false, nil},
		{"evicted", up, with(up, func(p *corev1.Pod) {
			p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted"
			p.Status.Message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi. "
			setCondition(p, corev1.DisruptionTarget, corev1.ConditionTrue, "TerminationByKubelet", "12:41:00")
		}), false, []string{"12:41:00 pod.evicted " + crash + " Evicted resource=memory"}},
		{"failed in a listing", nil, with(up, func(p *corev1.Pod) {
			p.Status.Phase, p.Status.Reason = corev1.PodFailed, "DeadlineExceeded"
			status(p).State = ended("containerd://a", "12:41:30", 137, "Error")
		}), true, []string{
			"12:41:30 container.exit " + crash + "[app] Error exit_code=137",
			"12:41:30 pod.failed " + crash + " DeadlineExceeded",
		}},
		{"work that was done is no news in a listing", nil, with(up, func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodSucceeded
			status(p).State = ended("containerd://a", "12:41:30", 0, "Completed")
		}), true, nil},
		{"a service that ended cleanly is, because it should not", nil, with(up, func(p *corev1.Pod) {
			status(p).LastTerminationState = ended("containerd://0", "12:39:30", 0, "Completed")
		}), true, []string{"12:39:30 container.exit " + crash + "[app] Completed exit_code=0"}},
		{"unschedulable", nil, with(up, func(p *corev1.Pod) {
			p.Spec.NodeName, p.Status.ContainerStatuses = "", nil
			setCondition(p, corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", "12:38:30")
			setCondition(p, corev1.PodReady, corev1.ConditionFalse, "", "12:38:24")
		}), true, []string{"12:38:30 pod.unschedulable " + crash + " Unschedulable"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			if test.old == nil { // a nil pointer in an interface is no nil
				got = told(t, nil, test.new, test.listed, nil)
			} else {
				got = told(t, test.old, test.new, test.listed, nil)
			}
			want(t, got, test.want...)
		})
	}
}

func TestUnschedulableTellsAnotherMessageWhenItSeesIt(t *testing.T) {
	pod := func(message string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
			Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: message, LastTransitionTime: clock("12:00:00"),
			}}},
		}
	}
	want(t, told(t, pod("0/1 nodes: 1 Insufficient cpu"), pod("0/2 nodes: 2 Insufficient cpu"), false, nil),
		"now pod.unschedulable Pod/shop/web Unschedulable")
	want(t, told(t, pod("0/1 nodes"), pod("0/1 nodes"), false, nil))
}

// A fact has one ID whether it was watched or found in a listing.
func TestExitHasOneID(t *testing.T) {
	pod := load(t, "crash")[0].(*corev1.Pod)
	ids := func(old *corev1.Pod, listed bool) map[string]bool {
		out := make(map[string]bool)
		obs := Between(nil, pod, at, true, nil)
		if old != nil {
			obs = Between(old, pod, at.Add(-time.Minute), listed, nil)
		}
		for _, o := range obs {
			if o.Event != nil && o.Event.Type == tapio.ContainerExit {
				out[o.Event.ID] = true
			}
		}
		return out
	}
	before := edit(pod, func(p *corev1.Pod) {
		status(p).State, status(p).LastTerminationState = running("12:38:00"), corev1.ContainerState{}
	})
	listed, watched := ids(nil, true), ids(before, false)
	if len(listed) != 2 || len(watched) != 2 {
		t.Fatalf("%d and %d exits, want two each", len(listed), len(watched))
	}
	for id := range watched {
		if !listed[id] {
			t.Errorf("the watched exit %s has another ID in the listing", id)
		}
	}
}

func TestContextOfAFailingContainer(t *testing.T) {
	pod := edit(load(t, "crash")[0].(*corev1.Pod), func(p *corev1.Pod) {
		c := &p.Spec.Containers[0]
		c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")}
		c.EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}}}}
		p.Spec.Volumes = []corev1.Volume{{Name: "c", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "app"}}}}}
	})
	d := load(t, "deployment")[0].(*appsv1.Deployment)
	d.Namespace, d.Name = "default", "crash"
	d.Annotations[annotationService] = "checkout"
	for _, o := range Between(nil, pod, at, true, &cluster{deployment: d}) {
		if o.Event == nil || o.Event.Type != tapio.ContainerExit {
			continue
		}
		k := o.Event.Kubernetes
		if k == nil || k.WorkloadType != "Deployment" || strings.Join(k.OwnerChain, " ") != "Deployment/crash ReplicaSet/crash-6b4df6bc57" ||
			strings.Join(k.DependsOn, " ") != "ConfigMap/app Secret/db" || k.ResourceLimits.Memory != "256Mi" || k.ResourceRequests != nil ||
			k.BusinessService != "checkout" || k.ReplicaStatus.Desired != 3 || k.DeploymentStrategy != "RollingUpdate" || k.HealthStatus != "failing" {
			t.Errorf("context is %+v", k)
		}
		if o.Event.Attrs[tapio.AttrMemoryLimit] != "256Mi" || o.Event.Attrs[tapio.AttrRestarts] != "4" || o.Event.Attrs[tapio.AttrNode] != "node-1" {
			t.Errorf("attributes are %v", o.Event.Attrs)
		}
		return
	}
	t.Fatal("no exit was told")
}

func TestMessagesAreBoundedAndHideSecrets(t *testing.T) {
	pod := load(t, "crash")[0].(*corev1.Pod)
	pod.Status.ContainerStatuses[0].State.Terminated.Message = "password=hunter2 " + strings.Repeat("é", 5000)
	for _, o := range Between(nil, pod, at, true, nil) {
		if o.Event == nil {
			continue
		}
		if m := o.Event.Message; len(m) > maxMessage || strings.Contains(m, "hunter2") {
			t.Errorf("message of %d bytes: %.60s", len(m), m)
		}
	}
}

func TestShortResource(t *testing.T) {
	for message, want := range map[string]string{
		"The node was low on resource: ephemeral-storage. Threshold quantity: 1, available: 0. ": "ephemeral-storage",
		"Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ":         "ephemeral-storage",
		`Usage of EmptyDir volume "v" exceeds the limit "1Mi". `:                                 "ephemeral-storage",
		"The node had condition: [MemoryPressure]. ":                                             "memory",
		"The node was low on resource: pids":                                                     "pids",
		"Preempted":                                                                              "",
	} {
		if got := shortResource(message); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}

func TestPodRequests(t *testing.T) {
	cpu := func(s string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(s)}}
	}
	always := corev1.ContainerRestartPolicyAlways
	p := &corev1.Pod{Spec: corev1.PodSpec{
		Containers:     []corev1.Container{{Resources: cpu("100m")}, {Resources: cpu("200m")}},
		InitContainers: []corev1.Container{{Resources: cpu("50m"), RestartPolicy: &always}, {Resources: cpu("300m")}},
	}}
	if got := given(podRequests(p)).CPU; got != "350m" {
		t.Errorf("sum of containers and sidecar is %s, want 350m", got)
	}
	p.Spec.InitContainers[1].Resources = cpu("2")
	if got := given(podRequests(p)).CPU; got != "2" {
		t.Errorf("largest init container gives %s, want 2", got)
	}
}
