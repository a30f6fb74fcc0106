package topology

import (
	"slices"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func entity(kind tapio.Kind, name string) tapio.Entity {
	return tapio.Entity{Kind: kind, Namespace: "shop", Name: name}
}

// shop is a Deployment of two pods behind a Service.
func shop(t *testing.T) *Graph {
	t.Helper()
	g := New()
	app := map[string]string{"app": "web"}
	ready := tapio.ReplicaStatus{Desired: 2, Current: 2, Ready: 2, Updated: 2, Available: 2}
	for _, s := range []*tapio.State{
		{Entity: tapio.Entity{Kind: tapio.KindNamespace, Name: "shop"}, Annotations: map[string]string{"tapio.dev/channel": "#shop", "a8r.io/owner": "shop team"}},
		{Entity: tapio.Entity{Kind: tapio.KindNode, Name: "n1"}, Node: &tapio.NodeState{Ready: "True"}},
		{Entity: entity(tapio.KindDeployment, "web"), Workload: &tapio.WorkloadState{Replicas: ready, TemplateLabels: app}},
		{Entity: entity(tapio.KindReplicaSet, "web-1"), Owner: entity(tapio.KindDeployment, "web"), Workload: &tapio.WorkloadState{Replicas: ready}},
		{Entity: entity(tapio.KindService, "web"), Service: &tapio.ServiceState{Selector: app}},
		{Entity: entity(tapio.KindEndpointSlice, "web-x"), Endpoints: &tapio.EndpointsState{Service: "web", Backends: []tapio.Endpoint{{Pod: "a", Ready: true}, {Pod: "b"}}}},
	} {
		g.Apply(s, noon)
	}
	for _, name := range []string{"a", "b"} {
		g.Apply(pod(name, true), noon)
	}
	return g
}

func pod(name string, ready bool) *tapio.State {
	return &tapio.State{
		Entity: entity(tapio.KindPod, name), Owner: entity(tapio.KindReplicaSet, "web-1"), Labels: map[string]string{"app": "web"}, Created: noon,
		Pod: &tapio.PodState{Phase: "Running", Node: "n1", Ready: ready, ReadySince: noon},
	}
}

func TestRelations(t *testing.T) {
	g := shop(t)
	if got := g.Workload(entity(tapio.KindPod, "a")); got != entity(tapio.KindDeployment, "web") {
		t.Errorf("the workload of a is %s", got)
	}
	names := func(list []*tapio.State) (out []string) {
		for _, s := range list {
			out = append(out, s.Entity.Name)
		}
		return out
	}
	for what, got := range map[string][]string{
		"pods of the Deployment": names(g.Pods(entity(tapio.KindDeployment, "web"))),
		"pods on the node":       names(g.PodsOn("n1")),
		"selected pods":          names(g.Selected(entity(tapio.KindService, "web"))),
	} {
		if !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%s: %v, want a and b", what, got)
		}
	}
	if got := g.ServicesOf(entity(tapio.KindDeployment, "web")); !slices.Equal(got, []tapio.Entity{entity(tapio.KindService, "web")}) {
		t.Errorf("Services of web: %v", got)
	}
	if ready, all := g.Backends(entity(tapio.KindService, "web")); ready != 1 || all != 2 {
		t.Errorf("%d of %d backends ready, want 1 of 2", ready, all)
	}
}

func TestDeletedIsRememberedForAWhile(t *testing.T) {
	g := shop(t)
	a := entity(tapio.KindPod, "a")
	g.Apply(&tapio.State{Entity: a, Deleted: true}, noon)
	if g.Exists(a) || len(g.PodsOn("n1")) != 1 {
		t.Error("a deleted pod still counts")
	}
	if got := g.Workload(a); got != entity(tapio.KindDeployment, "web") {
		t.Errorf("a late event finds %s", got)
	}
	g.Forget(noon.Add(deletedFor))
	if g.State(a) == nil {
		t.Error("forgotten within the window")
	}
	g.Forget(noon.Add(deletedFor + time.Second))
	if g.State(a) != nil {
		t.Error("never forgotten")
	}
	g.Apply(pod("b", false), noon)
	g.Apply(&tapio.State{Entity: entity(tapio.KindPod, "b"), Deleted: true}, noon)
	again := pod("b", false)
	again.UID = "second"
	g.Apply(again, noon)
	if !g.Exists(again.Entity) || g.WasReady(again.Entity) {
		t.Error("a pod of the same name is not a new one")
	}
}

func TestUnknownReplicaSet(t *testing.T) {
	g := New()
	p := pod("web-5d9c7-x", true)
	p.Owner = entity(tapio.KindReplicaSet, "web-5d9c7")
	p.Labels["pod-template-hash"] = "5d9c7"
	g.Apply(p, noon)
	if got := g.Workload(p.Entity); got != entity(tapio.KindDeployment, "web") {
		t.Errorf("workload %s, want the Deployment by its name and hash", got)
	}
}

func TestOwnerNearestWins(t *testing.T) {
	g := shop(t)
	web := entity(tapio.KindDeployment, "web")
	check := func(want tapio.Owner) {
		t.Helper()
		if got, _ := g.Owner(web); got != want {
			t.Errorf("owner %+v, want %+v", got, want)
		}
	}
	check(tapio.Owner{Channel: "#shop", Team: "shop team"})
	s := *g.State(web)
	s.Annotations = map[string]string{"tapio.dev/channel": "#web"}
	g.Apply(&s, noon)
	check(tapio.Owner{Channel: "#web", Team: "shop team"})
	s2 := s
	w := *s.Workload
	w.TemplateAnnotations = map[string]string{"a8r.io/chat": "#pods", "tapio.dev/ignore": "true"}
	s2.Workload = &w
	g.Apply(&s2, noon)
	check(tapio.Owner{Channel: "#pods", Team: "shop team"})
	if _, ignored := g.Owner(web); !ignored {
		t.Error("tapio.dev/ignore is not heeded")
	}
}

func TestHealth(t *testing.T) {
	deployment := func(desired, current, updated, ready int32) *tapio.State {
		return &tapio.State{Entity: entity(tapio.KindDeployment, "x"), Workload: &tapio.WorkloadState{
			Replicas: tapio.ReplicaStatus{Desired: desired, Current: current, Updated: updated, Ready: ready, Available: ready},
		}}
	}
	tests := []struct {
		name    string
		state   *tapio.State
		healthy bool
		down    int
	}{
		{"ready", deployment(2, 2, 2, 2), true, 0},
		{"one down", deployment(2, 2, 2, 1), false, 1},
		{"rollout in progress, all serving", deployment(2, 3, 1, 2), false, 0},
		{"scaled to zero", deployment(0, 0, 0, 0), true, 0},
		{"running pod", pod("x", true), true, 0},
		{"unready pod", pod("x", false), false, 1},
		{"sick node", &tapio.State{Entity: tapio.Entity{Kind: tapio.KindNode, Name: "x"}, Node: &tapio.NodeState{Ready: "Unknown"}}, false, 0},
		{"node under pressure", &tapio.State{Entity: tapio.Entity{Kind: tapio.KindNode, Name: "x"}, Node: &tapio.NodeState{Ready: "True", Pressures: []string{"DiskPressure"}}}, false, 0},
		{"failed job", &tapio.State{Entity: entity(tapio.KindJob, "x"), Workload: &tapio.WorkloadState{Failed: true}}, false, 0},
		{"Service of nobody", &tapio.State{Entity: entity(tapio.KindService, "x"), Service: &tapio.ServiceState{Selector: map[string]string{"app": "x"}}}, false, 0},
		{"Service without a selector", &tapio.State{Entity: entity(tapio.KindService, "x"), Service: &tapio.ServiceState{}}, true, 0},
		{"ConfigMap", &tapio.State{Entity: entity(tapio.KindConfigMap, "x")}, true, 0},
	}
	for _, tt := range tests {
		g := New()
		g.Apply(tt.state, noon)
		if h := g.Health(tt.state.Entity); h.Healthy != tt.healthy || h.Down != tt.down {
			t.Errorf("%s: %+v, want healthy %v, %d down", tt.name, h, tt.healthy, tt.down)
		}
	}
	if h := New().Health(entity(tapio.KindPod, "never seen")); !h.Healthy || !h.Gone {
		t.Errorf("what does not exist: %+v", h)
	}
}

func TestServiceOfWhatIsScaledToZeroIsHealthy(t *testing.T) {
	g := shop(t)
	svc := entity(tapio.KindService, "web")
	g.Apply(&tapio.State{Entity: entity(tapio.KindEndpointSlice, "web-x"), Endpoints: &tapio.EndpointsState{Service: "web"}}, noon)
	if g.Health(svc).Healthy {
		t.Error("no endpoint is ready, yet it is healthy")
	}
	s := *g.State(entity(tapio.KindDeployment, "web"))
	w := *s.Workload
	w.Replicas = tapio.ReplicaStatus{}
	s.Workload = &w
	g.Apply(&s, noon)
	if !g.Health(svc).Healthy {
		t.Error("nobody is meant to answer, yet it is not healthy")
	}
}

func TestServiceWithoutSlicesAsksItsPods(t *testing.T) {
	g := shop(t)
	svc := entity(tapio.KindService, "web")
	g.Apply(&tapio.State{Entity: entity(tapio.KindEndpointSlice, "web-x"), Deleted: true}, noon)
	if !g.Health(svc).Healthy {
		t.Error("its pods are ready, yet it is not healthy")
	}
	for _, name := range []string{"a", "b"} {
		g.Apply(pod(name, false), noon)
	}
	if g.Health(svc).Healthy {
		t.Error("none of its pods is ready, yet it is healthy")
	}
}

func TestStarting(t *testing.T) {
	g := New()
	g.Apply(pod("new", false), noon)
	e := entity(tapio.KindPod, "new")
	if !g.Starting(e, noon.Add(time.Minute), 5*time.Minute) || g.Starting(e, noon.Add(6*time.Minute), 5*time.Minute) {
		t.Error("the grace for a start is not five minutes")
	}
	g.Apply(pod("new", true), noon)
	g.Apply(pod("new", false), noon)
	if g.Starting(e, noon.Add(time.Minute), 5*time.Minute) {
		t.Error("a pod that was ready is not starting")
	}
}
