package engine

import (
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

func TestSlip(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"redsi:alpine", "redis:7", true},
		{"ngnix", "nginx:1.27", true},
		{"registry.test/shop/chekcout:1", "registry.test/shop/checkout:1", true},
		{"registry.test/shp/checkout:1", "registry.test/shop/checkout:1", false}, // three letters may be any name
		{"registry.test/shopp/checkout:1", "registry.test/shop/checkout:1", false},
		{"registry.test/shop/checkoutservce", "registry.test/shop/checkoutservice", true},
		{"registry.test/shop/worker-1", "registry.test/shop/worker-2", false}, // another of a series
		{"registry.test/shop/api", "registry.test/shop/app", false},
		{"other.test/shop/chekcout", "registry.test/shop/checkout", false},
		{"registry.test/shop/checkout:1", "registry.test/shop/checkout:2", false},
		{"registry.test/shop/checkout@sha256:00", "registry.test/shop/checkout", false},
		{"localhost/redsi", "redis", false},
	} {
		if got := slip(repository(tt.a), repository(tt.b)); got != tt.want {
			t.Errorf("slip(%s, %s) is %v", tt.a, tt.b, got)
		}
	}
}

func TestRepository(t *testing.T) {
	for image, want := range map[string]string{
		"redis": "docker.io/library/redis", "redis:7": "docker.io/library/redis", "team/app@sha256:00": "docker.io/team/app",
		"docker.io/redis:7": "docker.io/library/redis", "10.0.0.1:5000/x:1": "10.0.0.1:5000/x", "localhost/x": "localhost/x", "": "docker.io/library/",
	} {
		if got := repository(image); got != want {
			t.Errorf("%q: %q, want %q", image, got, want)
		}
	}
}

func TestMemory(t *testing.T) {
	for q, want := range map[string]float64{"5Mi": 5 << 20, "128m": 0.128, "6291456": 6291456, "5M": 5e6, "1Gi": 1 << 30} {
		if got, ok := memory(q); !ok || got != want {
			t.Errorf("%s is %v, %v", q, got, ok)
		}
	}
	for _, q := range []string{"", "Mi", "5Xi", "five"} {
		if got, ok := memory(q); ok {
			t.Errorf("%q is read as %v", q, got)
		}
	}
}

// TestRefusedImage asks what the engine makes of a registry that refuses an
// image, by what else is in use.
func TestRefusedImage(t *testing.T) {
	const refused = `unexpected status from HEAD request to https://registry.test/v2/shop/x/manifests/1: 403 Forbidden`
	tests := []struct {
		name, image, inUse, message string
		cause                       tapio.Cause
	}{
		{"near one in use", "registry.test/shop/chekcout:1", "registry.test/shop/checkout:1", refused, tapio.CauseImageNotFound},
		{"no near one", "registry.test/shop/billing:1", "registry.test/shop/checkout:1", refused, tapio.CauseImageUnauthorized},
		{"the same repository is in use", "registry.test/shop/chekcout:2", "registry.test/shop/chekcout:1", refused, tapio.CauseImageUnauthorized},
		{"an official name misspelt", "redsi:alpine", "registry.test/shop/checkout:1", "pull access denied, repository does not exist or may require authorization", tapio.CauseImageNotFound},
		{"no such official image", "in-house-tool:1", "registry.test/shop/checkout:1", "pull access denied, repository does not exist or may require authorization", tapio.CauseImageNotFound},
		{"an official image is refused to one only", "redis:8", "redis:7", refused, tapio.CauseImageUnauthorized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t)
			other := tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "other"}
			e.Observe(&tapio.Observation{Time: start, State: &tapio.State{Entity: other, Pod: &tapio.PodState{
				Phase: "Running", Ready: true, Scheduled: true, Containers: []tapio.ContainerState{{Name: "app", Image: tt.inUse, State: "running"}},
			}}})
			pod := brokenPod(e, "web", tt.image)
			pod.Container = "app"
			ev := &tapio.Event{
				Time: start, Seen: start, Type: tapio.ContainerWaiting, Entity: pod, Reason: "ErrImagePull",
				Message: `failed to resolve reference "` + tt.image + `": ` + tt.message, Attrs: map[string]string{tapio.AttrImage: tt.image},
			}
			ev.SetID()
			e.Observe(&tapio.Observation{Time: start, Event: ev})
			stories := e.Flush(start)
			if len(stories) != 1 || stories[0].Cause != tt.cause || stories[0].CauseEntity.Name != tt.image {
				t.Errorf("%+v, want one story of %s at %s", stories, tt.cause, tt.image)
			}
		})
	}
}

// TestKilledForMemory joins an exit to the kernel's record on its node,
// whichever comes first, and to a limit that is too small for any process.
func TestKilledForMemory(t *testing.T) {
	node := tapio.Entity{Kind: tapio.KindNode, Name: "n1"}
	exit := func(restarts string) *tapio.Event {
		return &tapio.Event{Type: tapio.ContainerExit, Reason: "Error", Attrs: map[string]string{
			tapio.AttrExitCode: "137", tapio.AttrRestarts: restarts, tapio.AttrNode: "n1", tapio.AttrContainerID: restarts}}
	}
	record := func(name string, count int) *tapio.Event {
		n := node
		n.Name = name
		return &tapio.Event{Type: tapio.KubernetesEvent, Entity: n, Reason: "OOMKilling", Count: count, Message: "Memory cgroup out of memory: Killed process 4711 (worker)"}
	}
	start2 := &tapio.Event{Type: tapio.KubernetesEvent, Reason: "Failed", Count: 4, Message: "Error: failed to start container: runc create failed: signal: killed"}
	tests := []struct {
		name   string
		limit  string
		events []*tapio.Event
		cause  tapio.Cause
	}{
		{"record after the exit", "64Mi", []*tapio.Event{exit("0"), record("n1", 1), exit("1"), record("n1", 2)}, tapio.CauseOOMChild},
		{"record before the exit", "64Mi", []*tapio.Event{record("n1", 1), exit("0"), record("n1", 2), exit("1")}, tapio.CauseOOMChild},
		{"record of another node", "64Mi", []*tapio.Event{exit("0"), record("n2", 1), exit("1")}, tapio.CauseKilledExternally},
		{"limit too small", "5Mi", []*tapio.Event{start2}, tapio.CauseOOMLimit},
		{"limit large enough", "64Mi", []*tapio.Event{start2}, tapio.CauseCreateFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t)
			pod := brokenPod(e, "web", "app:1")
			e.Observe(&tapio.Observation{Time: start, State: &tapio.State{Entity: pod, Owner: tapio.Entity{Kind: tapio.KindReplicaSet, Namespace: "shop", Name: "web-1"},
				Pod: &tapio.PodState{Phase: "Running", Node: "n1", Scheduled: true, RestartPolicy: "Always",
					Containers: []tapio.ContainerState{{Name: "app", State: "waiting", Limits: tapio.Resources{Memory: tt.limit}}}}}})
			pod.Container = "app"
			now := start
			for _, ev := range tt.events {
				now = now.Add(time.Second)
				again := *ev
				again.Time, again.Seen = now, now
				if again.Entity.IsZero() {
					again.Entity = pod
				}
				again.SetID()
				e.Observe(&tapio.Observation{Time: now, Event: &again})
			}
			if stories := e.Flush(now); len(stories) != 1 || stories[0].Cause != tt.cause {
				t.Errorf("%+v, want one story of %s", stories, tt.cause)
			}
		})
	}
}
