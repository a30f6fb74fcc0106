package engine

import (
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

// TestCauseOfMessages gives the engine the words that kubelet 1.34 to 1.37,
// containerd 2 and the scheduler use, and asks what it makes of them.
func TestCauseOfMessages(t *testing.T) {
	const (
		resolve = `Failed to pull image "registry.test/team/app:1": rpc error: code = Unknown desc = failed to pull and unpack image "registry.test/team/app:1": failed to resolve reference "registry.test/team/app:1": `
		backoff = `Back-off pulling image "registry.test/team/app:1": ErrImagePull: rpc error: code = Unknown desc = failed to pull and unpack image "registry.test/team/app:1": failed to resolve reference "registry.test/team/app:1": `
	)
	image := tapio.Entity{Kind: tapio.KindImage, Name: "registry.test/team/app:1"}
	registry := tapio.Entity{Kind: tapio.KindRegistry, Name: "registry.test"}
	web := tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: "web"}
	object := func(kind tapio.Kind, name string) tapio.Entity {
		return tapio.Entity{Kind: kind, Namespace: "shop", Name: name}
	}
	tests := []struct {
		name    string
		typ     tapio.EventType
		reason  string
		message string
		cause   tapio.Cause
		entity  tapio.Entity
	}{
		{"404", tapio.ContainerWaiting, "ErrImagePull", resolve + "registry.test/team/app:1: not found", tapio.CauseImageNotFound, image},
		{"404 in back-off", tapio.ContainerWaiting, "ImagePullBackOff", backoff + "registry.test/team/app:1: not found", tapio.CauseImageNotFound, image},
		{"404 as an event", tapio.KubernetesEvent, "Failed", resolve + "registry.test/team/app:1: not found", tapio.CauseImageNotFound, image},
		{"manifest unknown", tapio.ContainerWaiting, "ErrImagePull", `reading manifest 1 in registry.test/team/app: manifest unknown`, tapio.CauseImageNotFound, image},
		{"401", tapio.ContainerWaiting, "ErrImagePull", resolve + "pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials", tapio.CauseImageUnauthorized, image},
		{"403", tapio.ContainerWaiting, "ImagePullBackOff", backoff + `unexpected status from HEAD request to http://10.0.0.1:5000/v2/team/app/manifests/1?ns=registry.test: 403 Forbidden`, tapio.CauseImageUnauthorized, image},
		{"token refused", tapio.ContainerWaiting, "ErrImagePull", resolve + `failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://auth.test/token: 401 Unauthorized`, tapio.CauseImageUnauthorized, image},
		{"500", tapio.ContainerWaiting, "ErrImagePull", resolve + `unexpected status from HEAD request to http://10.0.0.1:5000/v2/team/app/manifests/1?ns=registry.test: 500 Internal Server Error`, tapio.CauseRegistryUnreachable, registry},
		{"no such host", tapio.ContainerWaiting, "ImagePullBackOff", backoff + `failed to do request: Head "https://registry.test/v2/team/app/manifests/1": dial tcp: lookup registry.test on 10.96.0.10:53: no such host`, tapio.CauseRegistryUnreachable, registry},
		{"refused", tapio.ContainerWaiting, "ErrImagePull", resolve + `failed to do request: Head "https://registry.test/v2/team/app/manifests/1": dial tcp 10.0.0.9:443: connect: connection refused`, tapio.CauseRegistryUnreachable, registry},
		{"time-out", tapio.ContainerWaiting, "ErrImagePull", resolve + `failed to do request: Head "https://registry.test/v2/team/app/manifests/1": dial tcp 10.0.0.9:443: i/o timeout`, tapio.CauseRegistryUnreachable, registry},

		{"ConfigMap", tapio.ContainerWaiting, "CreateContainerConfigError", `configmap "settings" not found`, tapio.CauseConfigMapMissing, object(tapio.KindConfigMap, "settings")},
		{"ConfigMap volume", tapio.KubernetesEvent, "FailedMount", `MountVolume.SetUp failed for volume "c" : configmap "settings" not found`, tapio.CauseConfigMapMissing, object(tapio.KindConfigMap, "settings")},
		{"Secret", tapio.ContainerWaiting, "CreateContainerConfigError", `secret "db" not found`, tapio.CauseSecretMissing, object(tapio.KindSecret, "db")},
		{"Secret volume", tapio.KubernetesEvent, "FailedMount", `MountVolume.SetUp failed for volume "s" : secret "db" not found`, tapio.CauseSecretMissing, object(tapio.KindSecret, "db")},
		{"key of a ConfigMap", tapio.ContainerWaiting, "CreateContainerConfigError", `couldn't find key port in ConfigMap shop/settings`, tapio.CauseKeyMissing, object(tapio.KindConfigMap, "settings")},
		{"key of a Secret", tapio.ContainerWaiting, "CreateContainerConfigError", `couldn't find key pass in Secret shop/db`, tapio.CauseKeyMissing, object(tapio.KindSecret, "db")},

		{"cpu", tapio.PodUnschedulable, "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.", tapio.CauseInsufficientCPU, web},
		{"memory", tapio.PodUnschedulable, "Unschedulable", "0/1 nodes are available: 1 Insufficient memory.", tapio.CauseInsufficientMemory, web},
		{"cpu behind a taint", tapio.PodUnschedulable, "Unschedulable", "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient cpu.", tapio.CauseInsufficientCPU, web},
		{"taint, 1.34", tapio.PodUnschedulable, "Unschedulable", "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: db}.", tapio.CauseTaint, web},
		{"taint, 1.37", tapio.PodUnschedulable, "Unschedulable", "0/1 nodes are available: 1 node(s) had untolerated taint(s).", tapio.CauseTaint, web},
		{"selector", tapio.PodUnschedulable, "Unschedulable", "0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) didn't match Pod's node affinity/selector.", tapio.CauseNodeAffinity, web},

		{"quota", tapio.KubernetesEvent, "FailedCreate", `Error creating: pods "web-1-x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0`, tapio.CauseQuota, object(tapio.KindResourceQuota, "small")},
		{"quota asks for limits", tapio.ReplicaFailure, "FailedCreate", `pods "web-1-x" is forbidden: failed quota: small: must specify limits.cpu for: app`, tapio.CauseQuota, object(tapio.KindResourceQuota, "small")},
		{"limit too low for a sandbox", tapio.KubernetesEvent, "FailedCreatePodSandBox", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: container init was OOM-killed (memory limit too low?)`, tapio.CauseOOMLimit, web},
		{"refused for another reason", tapio.KubernetesEvent, "FailedCreate", `Error creating: pods "web-1-x" is forbidden: unable to validate against any security context constraint`, tapio.CauseUnknown, web},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t)
			observe := func(s *tapio.State) { e.Observe(&tapio.Observation{Time: start, State: s}) }
			down := tapio.ReplicaStatus{Desired: 1, Current: 1, Updated: 1}
			if tt.reason == "FailedCreate" || tt.typ == tapio.ReplicaFailure {
				down = tapio.ReplicaStatus{Desired: 1}
			}
			rs := object(tapio.KindReplicaSet, "web-1")
			pod := object(tapio.KindPod, "web-1-a")
			observe(&tapio.State{Entity: web, Workload: &tapio.WorkloadState{Replicas: down}})
			observe(&tapio.State{Entity: rs, Owner: web, Workload: &tapio.WorkloadState{Replicas: down}})
			observe(&tapio.State{Entity: pod, Owner: rs, Created: start, Pod: &tapio.PodState{Phase: "Pending", RestartPolicy: "Always"}})
			entity := pod
			switch {
			case tt.reason == "FailedCreate" && tt.typ == tapio.KubernetesEvent:
				entity = rs
			case tt.typ == tapio.ReplicaFailure:
				entity = web
			case tt.typ == tapio.ContainerWaiting:
				entity.Container = "app"
			}
			ev := &tapio.Event{
				Time: start, Seen: start, Type: tt.typ, Entity: entity, Reason: tt.reason, Message: tt.message,
				Count: 3,
				Attrs: map[string]string{tapio.AttrImage: "registry.test/team/app:1"},
			}
			ev.SetID()
			e.Observe(&tapio.Observation{Time: start, Event: ev})
			stories := e.Flush(start.Add(time.Second))
			if len(stories) != 1 {
				t.Fatalf("%d stories, want 1: %+v", len(stories), stories)
			}
			s := stories[0]
			if s.Cause != tt.cause || s.CauseEntity.Object() != tt.entity {
				t.Errorf("%s at %s, want %s at %s", s.Cause, s.CauseEntity, tt.cause, tt.entity)
			}
		})
	}
}
