package engine

import (
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

// TestCauseOfStartFailures gives the engine the words with which kubelet,
// containerd and CRI-O say that something cannot start or be pulled.
func TestCauseOfStartFailures(t *testing.T) {
	const (
		task  = `failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: `
		pull  = `Failed to pull image "registry.test/team/app:1": failed to pull and unpack image "registry.test/team/app:1": failed to resolve reference "registry.test/team/app:1": `
		image = "registry.test/team/app:1"
	)
	registry := tapio.Entity{Kind: tapio.KindRegistry, Name: "registry.test"}
	picture := tapio.Entity{Kind: tapio.KindImage, Name: image}
	var none tapio.Entity
	tests := []struct {
		name    string
		typ     tapio.EventType
		reason  string
		message string
		exit    string
		cause   tapio.Cause
		entity  tapio.Entity // the workload where it is zero
	}{
		{"not executable", tapio.ContainerExit, "StartError", task + `exec: "/app/run": permission denied: unknown`, "128", tapio.CausePermissionDenied, none},
		{"a directory as command", tapio.KubernetesEvent, "Failed", `Error: ` + task + `exec: "/app": permission denied: unknown`, "", tapio.CausePermissionDenied, none},
		{"126", tapio.ContainerExit, "Error", "", "126", tapio.CausePermissionDenied, none},
		{"wrong CPU", tapio.ContainerExit, "StartError", task + `exec /app/run: exec format error`, "128", tapio.CauseExecFormat, none},
		{"wrong CPU in the log", tapio.ContainerLog, "", `exec /usr/bin/app: exec format error`, "", tapio.CauseExecFormat, none},
		{"no such command", tapio.ContainerExit, "StartError", task + `exec: "/bin/runn": stat /bin/runn: no such file or directory: unknown`, "128", tapio.CauseCommandNotFound, none},
		{"no such command in PATH", tapio.ContainerExit, "StartError", task + `exec: "runn": executable file not found in $PATH: unknown`, "128", tapio.CauseCommandNotFound, none},
		{"no such command, CRI-O", tapio.KubernetesEvent, "Failed", `Error: container create failed: executable file not found in $PATH`, "", tapio.CauseCommandNotFound, none},
		{"no such interpreter", tapio.ContainerExit, "StartError", task + `exec /entry.sh: no such file or directory`, "128", tapio.CauseCommandNotFound, none},
		{"file over directory", tapio.ContainerExit, "StartError", task + `error during container init: error mounting "/var/lib/kubelet/pods/x/volume-subpaths/c/app/0" to rootfs at "/etc": not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)?`, "128", tapio.CauseCreateFailed, none},
		{"name is taken", tapio.KubernetesEvent, "Failed", `Error: failed to reserve container name "app_web-1-a_shop_0": name is reserved for "0a1b"`, "", tapio.CauseCreateFailed, none},
		{"subPath", tapio.KubernetesEvent, "Failed", `Error: failed to prepare subPath for volumeMount "data" of container "app"`, "", tapio.CauseCreateFailed, none},
		{"postStart", tapio.KubernetesEvent, "FailedPostStartHook", `PostStartHook failed`, "", tapio.CauseHookFailed, none},
		{"CRI-O says too low", tapio.KubernetesEvent, "Failed", `Error: set memory limit 4194304 too low; should be at least 12582912 bytes`, "", tapio.CauseOOMLimit, none},
		{"init was OOM-killed", tapio.ContainerExit, "StartError", task + `container init was OOM-killed (memory limit too low?): unknown`, "128", tapio.CauseOOMLimit, none},
		{"137 without a reason", tapio.ContainerExit, "Error", "", "137", tapio.CauseKilledExternally, none},
		{"143 without a reason", tapio.ContainerExit, "Error", "", "143", tapio.CauseKilledExternally, none},
		{"exit -1", tapio.ContainerExit, "Error", "", "255", tapio.CauseAppError, none},
		{"startup probe", tapio.KubernetesEvent, "Killing", `Container app failed startup probe, will be restarted`, "", tapio.CauseStartupFailed, none},

		{"no sandbox", tapio.KubernetesEvent, "FailedCreatePodSandBox", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "0a": plugin type="calico" failed (add): error getting ClusterInformation`, "", tapio.CauseSandboxFailed, none},
		{"no address", tapio.KubernetesEvent, "FailedCreatePodSandBox", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "0a": plugin type="host-local" failed (add): no IP addresses available in range set: 10.1.0.1-10.1.0.254`, "", tapio.CauseSandboxFailed, none},
		{"network not ready", tapio.KubernetesEvent, "NetworkNotReady", `network is not ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized`, "", tapio.CauseSandboxFailed, none},
		{"root", tapio.ContainerWaiting, "CreateContainerConfigError", `container has runAsNonRoot and image will run as root (pod: "web-1-a_shop(0a)", container: app)`, "", tapio.CauseRunAsNonRoot, none},
		{"user by name", tapio.ContainerWaiting, "CreateContainerConfigError", `container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user is non-root`, "", tapio.CauseRunAsNonRoot, none},

		{"bad name", tapio.ContainerWaiting, "InvalidImageName", `Failed to apply default image tag "registry.test/UPPER:1": couldn't parse image name "registry.test/UPPER:1": invalid reference format: repository name must be lowercase`, "", tapio.CauseInvalidImageName, none},
		{"bad name as an event", tapio.KubernetesEvent, "InspectFailed", `Failed to apply default image tag "web::": couldn't parse image name "web::": invalid reference format`, "", tapio.CauseInvalidImageName, none},
		{"never pull", tapio.ContainerWaiting, "ErrImageNeverPull", `Container image "registry.test/team/app:1" is not present with pull policy of Never`, "", tapio.CauseNeverPull, none},
		{"rate limit", tapio.ContainerWaiting, "ErrImagePull", pull + `unexpected status from HEAD request to https://registry.test/v2/team/app/manifests/1: 429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit.`, "", tapio.CauseRateLimited, registry},
		{"unknown authority", tapio.ContainerWaiting, "ErrImagePull", pull + `failed to do request: Head "https://registry.test/v2/team/app/manifests/1": tls: failed to verify certificate: x509: certificate signed by unknown authority`, "", tapio.CauseRegistryTLS, registry},
		{"other name", tapio.ContainerWaiting, "ErrImagePull", pull + `failed to do request: Head "https://registry.test/v2/team/app/manifests/1": tls: failed to verify certificate: x509: certificate is valid for a.test, not registry.test`, "", tapio.CauseRegistryTLS, registry},
		{"plain HTTP", tapio.ContainerWaiting, "ErrImagePull", pull + `failed to do request: Head "https://registry.test/v2/team/app/manifests/1": http: server gave HTTP response to HTTPS client`, "", tapio.CauseRegistryTLS, registry},
		{"handshake timeout", tapio.ContainerWaiting, "ErrImagePull", pull + `failed to do request: Head "https://registry.test/v2/team/app/manifests/1": net/http: TLS handshake timeout`, "", tapio.CauseRegistryUnreachable, registry},
		{"platform", tapio.ContainerWaiting, "ErrImagePull", `failed to pull and unpack image "registry.test/team/app:1": no match for platform in manifest sha256:0a: not found`, "", tapio.CausePlatformMismatch, picture},
		{"platform, docker", tapio.ContainerWaiting, "ErrImagePull", `no matching manifest for linux/arm64/v8 in the manifest list entries`, "", tapio.CausePlatformMismatch, picture},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t)
			pod := brokenPod(e, "web", "registry.test/team/app:1")
			if tt.typ != tapio.KubernetesEvent || tt.reason == "Failed" || tt.reason == "Killing" || tt.reason == "FailedPostStartHook" {
				pod.Container = "app"
			}
			ev := &tapio.Event{
				Time: start, Seen: start, Type: tt.typ, Entity: pod, Reason: tt.reason, Message: tt.message, Count: 3, Listed: true,
				Attrs: map[string]string{tapio.AttrImage: image, tapio.AttrExitCode: tt.exit, tapio.AttrRestarts: "3"},
			}
			if tt.exit == "" {
				delete(ev.Attrs, tapio.AttrExitCode)
			}
			ev.SetID()
			e.Observe(&tapio.Observation{Time: start, Event: ev})
			if tt.typ == tapio.ContainerWaiting { // the kubelet says it again in an event
				again := *ev
				again.Type, again.Reason = tapio.KubernetesEvent, "Failed"
				again.SetID()
				e.Observe(&tapio.Observation{Time: start, Event: &again})
			}
			stories := e.Flush(start.Add(time.Second))
			if len(stories) != 1 {
				t.Fatalf("%d stories, want 1: %+v", len(stories), stories)
			}
			want := tt.entity
			if want == none {
				want = tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: "web"}
			}
			if s := stories[0]; s.Cause != tt.cause || s.CauseEntity.Object() != want {
				t.Errorf("%s at %s, want %s at %s; hypotheses %+v", s.Cause, s.CauseEntity, tt.cause, want, s.Hypotheses)
			}
		})
	}
}

// brokenPod lets the engine see a Deployment in shop whose only pod is not
// ready, and returns the pod.
func brokenPod(e *Engine, name, image string) tapio.Entity {
	observe := func(s *tapio.State) { e.Observe(&tapio.Observation{Time: start, State: s}) }
	object := func(kind tapio.Kind, name string) tapio.Entity {
		return tapio.Entity{Kind: kind, Namespace: "shop", Name: name}
	}
	down := tapio.ReplicaStatus{Desired: 1, Current: 1, Updated: 1}
	top, rs, pod := object(tapio.KindDeployment, name), object(tapio.KindReplicaSet, name+"-1"), object(tapio.KindPod, name+"-1-a")
	observe(&tapio.State{Entity: top, Workload: &tapio.WorkloadState{Replicas: down}})
	observe(&tapio.State{Entity: rs, Owner: top, Workload: &tapio.WorkloadState{Replicas: down}})
	observe(&tapio.State{Entity: pod, Owner: rs, Created: start, Pod: &tapio.PodState{
		Phase: "Pending", RestartPolicy: "Always", Scheduled: true, Node: "n1", Containers: []tapio.ContainerState{{Name: "app", Image: image, State: "waiting"}},
	}})
	return pod
}
