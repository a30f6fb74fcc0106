package narrate

import (
	"testing"

	"github.com/yairfalse/tapio"
)

// eventTypes lists every event type of the vocabulary.
var eventTypes = []tapio.EventType{
	tapio.ContainerExit, tapio.ContainerWaiting, tapio.ContainerStarted, tapio.ContainerLog, tapio.PodCreated, tapio.PodScheduled,
	tapio.PodUnschedulable, tapio.PodReady, tapio.PodNotReady, tapio.PodFailed, tapio.PodEvicted, tapio.PodDeleted, tapio.NodeReady,
	tapio.NodeNotReady, tapio.NodePressure, tapio.NodePressureEnded, tapio.NodeCordoned, tapio.NodeUncordoned, tapio.NodeDeleted,
	tapio.WorkloadRollout, tapio.WorkloadScaled, tapio.WorkloadStuck, tapio.ReplicaFailure, tapio.WorkloadAvailable, tapio.JobFailed,
	tapio.JobComplete, tapio.EndpointsRemoved, tapio.EndpointsAdded, tapio.ServiceChanged, tapio.ServiceSelectsNone, tapio.ConfigChanged,
	tapio.QuotaChanged, tapio.KubernetesEvent, tapio.MemoryPressure, tapio.ConnectionFailed, "cosmic.ray",
}

func TestDescribe(t *testing.T) {
	job := entity(tapio.KindJob, "export")
	config := entity(tapio.KindConfigMap, "app")
	app := in(pod1, "app")
	memory := func(e tapio.StoryEvent) tapio.StoryEvent {
		return changed(e, "containers[app].resources.limits.memory", "268435456", "32Mi")
	}
	for _, tc := range []struct {
		e    tapio.StoryEvent
		want string
	}{
		{ev(0, tapio.ContainerExit, app, "reason", "OOMKilled", "exit_code", "137"), "checkout-7d9f8-x2x7k: container app was killed at its memory limit (OOMKilled, exit 137)"},
		{ev(0, tapio.ContainerExit, app, "reason", "Error", "exit_code", "137"), "checkout-7d9f8-x2x7k: container app failed with exit 137 (SIGKILL)"},
		{ev(0, tapio.ContainerExit, app, "reason", "Error", "exit_code", "143"), "checkout-7d9f8-x2x7k: container app failed with exit 143 (SIGTERM)"},
		{ev(0, tapio.ContainerExit, app, "reason", "Completed", "exit_code", "0"), "checkout-7d9f8-x2x7k: container app finished (exit 0)"},
		{ev(0, tapio.ContainerExit, app, "reason", "ContainerStatusUnknown", "exit_code", "137"), "checkout-7d9f8-x2x7k: container app ended (ContainerStatusUnknown, exit 137 (SIGKILL))"},
		{ev(0, tapio.ContainerExit, app, "reason", "Error", "exit_code", "1", "init", "true", "message", "no database\n"), "checkout-7d9f8-x2x7k: init container app failed with exit 1: “no database”"},
		{ev(0, tapio.ContainerExit, app), "checkout-7d9f8-x2x7k: container app failed"},
		{repeated(12, 240, ev(0, tapio.ContainerExit, app, "reason", "OOMKilled")), "checkout-7d9f8-x2x7k: container app was killed at its memory limit (OOMKilled), 12 times between 14:02 and 14:06 UTC"},
		{ev(0, tapio.ContainerWaiting, app, "reason", "ErrImagePull", "image", "web:2", "message", "not found"), "checkout-7d9f8-x2x7k: container app cannot pull image web:2: “not found”"},
		{ev(0, tapio.ContainerWaiting, app, "reason", "CrashLoopBackOff"), "checkout-7d9f8-x2x7k: container app waits before its next restart (CrashLoopBackOff)"},
		{ev(0, tapio.ContainerWaiting, app, "reason", "InvalidImageName", "image", "Web:?"), "checkout-7d9f8-x2x7k: container app cannot start: the name of image Web:? is not valid"},
		{ev(0, tapio.ContainerStarted, app), "checkout-7d9f8-x2x7k: container app started"},
		{ev(0, tapio.ContainerLog, app, "last_error", "panic: x"), "checkout-7d9f8-x2x7k: container app logged “panic: x”"},
		{ev(0, tapio.ContainerLog, app), "checkout-7d9f8-x2x7k: container app left nothing in its log"},
		{ev(0, tapio.PodCreated, pod1), "checkout-7d9f8-x2x7k was created"},
		{ev(0, tapio.PodScheduled, pod1, "node", "node-7"), "checkout-7d9f8-x2x7k was put on node node-7"},
		{ev(0, tapio.PodUnschedulable, pod1, "message", "0/1 nodes"), "checkout-7d9f8-x2x7k found no node: “0/1 nodes”"},
		{ev(0, tapio.PodReady, pod1), "checkout-7d9f8-x2x7k became ready"},
		{ev(0, tapio.PodNotReady, pod1), "checkout-7d9f8-x2x7k is no longer ready"},
		{ev(0, tapio.PodFailed, pod1, "reason", "DeadlineExceeded"), "checkout-7d9f8-x2x7k failed (DeadlineExceeded)"},
		{ev(0, tapio.PodEvicted, pod1, "resource", "memory"), "checkout-7d9f8-x2x7k was evicted: its node is short of memory"},
		{ev(0, tapio.PodEvicted, pod1, "message", "gone"), "checkout-7d9f8-x2x7k was evicted: “gone”"},
		{ev(0, tapio.PodDeleted, tapio.Entity{Kind: tapio.KindPod, Namespace: "other", Name: "p"}), "other/p was deleted"},
		{ev(0, tapio.NodeReady, node), "node node-7 is ready"},
		{ev(0, tapio.NodeNotReady, node, "status", "Unknown"), "node node-7 stopped reporting"},
		{ev(0, tapio.NodeNotReady, node, "status", "False", "reason", "KubeletNotReady"), "node node-7 is not ready (KubeletNotReady)"},
		{ev(0, tapio.NodePressure, node, "reason", "PIDPressure"), "node node-7 is short of process IDs (PIDPressure)"},
		{ev(0, tapio.NodePressureEnded, node, "reason", "DiskPressure"), "node node-7 has enough disk space again"},
		{ev(0, tapio.NodeCordoned, node, "manager", "kubectl-cordon"), "node node-7 was cordoned, by kubectl cordon"},
		{ev(0, tapio.NodeUncordoned, node), "node node-7 was uncordoned"},
		{ev(0, tapio.NodeDeleted, node), "node node-7 was deleted"},
		{memory(ev(0, tapio.WorkloadRollout, checkout, "revision", "4", "manager", "kubectl")), "rollout 4 of checkout began: memory limit 256Mi → 32Mi, by kubectl"},
		{memory(ev(0, tapio.WorkloadRollout, checkout, "revision", "5", "rollback", "true")), "checkout was rolled back (rollout 5): memory limit 256Mi → 32Mi"},
		{ev(0, tapio.WorkloadRollout, checkout, "revision", "1", "reason", "Created"), "checkout was created"},
		{ev(0, tapio.WorkloadRollout, checkout, "revision", "6", "reason", "Restarted"), "checkout was restarted"},
		{ev(0, tapio.WorkloadRollout, entity(tapio.KindDaemonSet, "agent"), "revision", "17"), "a rollout of agent began"},
		{changed(ev(0, tapio.WorkloadScaled, checkout, "manager", "kubectl"), "replicas", "3", "6"), "checkout was scaled: replicas 3 → 6, by kubectl"},
		{ev(0, tapio.WorkloadStuck, checkout), "the rollout of checkout made no progress within its deadline"},
		{ev(0, tapio.ReplicaFailure, checkout, "message", "forbidden"), "pods of checkout cannot be created: “forbidden”"},
		{ev(0, tapio.WorkloadAvailable, checkout), "checkout has all its pods"},
		{ev(0, tapio.JobFailed, job, "reason", "BackoffLimitExceeded"), "Job export gave up (BackoffLimitExceeded)"},
		{ev(0, tapio.JobComplete, job), "Job export is complete"},
		{ev(0, tapio.EndpointsRemoved, service, "ready_before", "2", "ready_after", "0"), "2 of 2 endpoints of Service shop/checkout are gone"},
		{ev(0, tapio.EndpointsRemoved, service, "ready_before", "3", "ready_after", "2"), "1 of 3 endpoints of Service shop/checkout is gone"},
		{ev(0, tapio.EndpointsRemoved, service, "ready_before", "1", "ready_after", "0"), "the only endpoint of Service shop/checkout is gone"},
		{ev(0, tapio.EndpointsRemoved, service, "ready_after", "0"), "Service shop/checkout has no ready endpoint"},
		{ev(0, tapio.EndpointsRemoved, service), "Service shop/checkout lost endpoints"},
		{ev(0, tapio.EndpointsAdded, service, "ready_before", "0", "ready_after", "2"), "Service shop/checkout has 2 ready endpoints (before: 0)"},
		{changed(ev(0, tapio.ServiceChanged, service), "selector[app]", "web", "webb"), "Service shop/checkout was changed: selector app web → webb"},
		{ev(0, tapio.ServiceSelectsNone, service, "selector", "app=webb"), "the selector of Service shop/checkout (app=webb) matches no pod"},
		{ev(0, tapio.ConfigChanged, config, "reason", "Deleted", "manager", "helm"), "ConfigMap shop/app was deleted, by helm"},
		{ev(0, tapio.ConfigChanged, config, "reason", "Updated"), "ConfigMap shop/app was edited"},
		{changed(ev(0, tapio.QuotaChanged, entity(tapio.KindResourceQuota, "q")), "hard.pods", "10", "5"), "ResourceQuota shop/q was changed: limit of pods 10 → 5"},
		{ev(0, tapio.KubernetesEvent, app, "reason", "BackOff", "message", "Back-off restarting failed container app"), "checkout-7d9f8-x2x7k: container app waits before its next restart (BackOff)"},
		{ev(0, tapio.KubernetesEvent, pod1, "reason", "FailedMount", "message", "no secret"), "checkout-7d9f8-x2x7k: FailedMount, “no secret”"},
		{ev(0, tapio.KubernetesEvent, pod1, "reason", "Unhealthy", "message", "Liveness probe failed: x"), "checkout-7d9f8-x2x7k: “Liveness probe failed: x”"},
		{ev(0, tapio.KubernetesEvent, pod1), "checkout-7d9f8-x2x7k: Kubernetes reports an event"},
		{ev(0, tapio.MemoryPressure, node), "node node-7 is short of memory"},
		{ev(0, tapio.ConnectionFailed, service), "connections to Service shop/checkout fail"},
		{ev(0, "cosmic.ray", entity(tapio.KindRegistry, "r.io")), "registry r.io: cosmic.ray"},
	} {
		s := &tapio.Story{Subject: checkout, Updated: at(300)}
		if got := describe(&tc.e, s); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.e.Type, got, tc.want)
		}
	}
}

func TestDescribeCoversEveryType(t *testing.T) {
	s := &tapio.Story{Subject: checkout, Updated: at(300)}
	for _, typ := range eventTypes {
		e := ev(0, typ, checkout)
		if got := describe(&e, s); got == "" {
			t.Errorf("%s has no words", typ)
		} else if got == "checkout: "+string(typ) && typ != "cosmic.ray" {
			t.Errorf("%s has only general words: %s", typ, got)
		}
	}
}

func TestRepeatsOverSeveralPodsNameTheWorkload(t *testing.T) {
	e := repeated(3, 0, ev(0, tapio.ContainerExit, in(pod1, "app"), "reason", "OOMKilled"))
	s := &tapio.Story{Subject: checkout, Updated: at(300), AffectedPods: podNames}
	if got, want := describe(&e, s), "pods of checkout: container app was killed at its memory limit (OOMKilled), 3 times"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	e = repeated(9, 0, ev(0, tapio.PodNotReady, pod1, "reason", "ContainersNotReady"))
	if got, want := describe(&e, s), "a pod of checkout is no longer ready (ContainersNotReady), 9 times"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
