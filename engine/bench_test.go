package engine

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

const benchPods = 10_000

// bigCluster feeds an engine 100 nodes and 10,000 pods of 1,000 Deployments
// with a Service each, and returns the pods' states.
func bigCluster(tb testing.TB) (*Engine, []*tapio.State) {
	tb.Helper()
	e := newEngine(tb)
	observe := func(s *tapio.State) { e.Observe(&tapio.Observation{Time: start, State: s}) }
	for i := range 100 {
		observe(&tapio.State{Entity: tapio.Entity{Kind: tapio.KindNode, Name: fmt.Sprintf("node-%d", i)}, Node: &tapio.NodeState{Ready: "True"}})
	}
	var pods []*tapio.State
	for d := range benchPods / 10 {
		ns, name := fmt.Sprintf("ns-%d", d%50), fmt.Sprintf("app-%d", d)
		app := map[string]string{"app": name}
		deploy := tapio.Entity{Kind: tapio.KindDeployment, Namespace: ns, Name: name}
		rs := tapio.Entity{Kind: tapio.KindReplicaSet, Namespace: ns, Name: name + "-1"}
		n := tapio.ReplicaStatus{Desired: 10, Current: 10, Ready: 10, Updated: 10, Available: 10}
		observe(&tapio.State{Entity: deploy, Workload: &tapio.WorkloadState{Replicas: n, TemplateLabels: app}})
		observe(&tapio.State{Entity: rs, Owner: deploy, Workload: &tapio.WorkloadState{Replicas: n, TemplateLabels: app}})
		svc := tapio.Entity{Kind: tapio.KindService, Namespace: ns, Name: name}
		slice := &tapio.EndpointsState{Service: name}
		for p := range 10 {
			pod := tapio.Entity{Kind: tapio.KindPod, Namespace: ns, Name: fmt.Sprintf("%s-1-%d", name, p)}
			slice.Backends = append(slice.Backends, tapio.Endpoint{Pod: pod.Name, Ready: true})
			s := &tapio.State{
				Entity: pod, Owner: rs, Labels: app, Created: start,
				Pod: &tapio.PodState{Phase: "Running", Ready: true, ReadySince: start, Node: fmt.Sprintf("node-%d", (d+p)%100), Scheduled: true, RestartPolicy: "Always"},
			}
			pods = append(pods, s)
			observe(s)
		}
		observe(&tapio.State{Entity: svc, Service: &tapio.ServiceState{Selector: app}})
		observe(&tapio.State{Entity: tapio.Entity{Kind: tapio.KindEndpointSlice, Namespace: ns, Name: name + "-x"}, Endpoints: slice})
	}
	e.Tick(start.Add(time.Minute))
	return e, pods
}

// BenchmarkObserve is the mix of a busy cluster: of ten observations eight are
// states that change no relation, one is an event that no template asks for,
// and one a new Kubernetes Event, which all templates of that type look at.
func BenchmarkObserve(b *testing.B) {
	e, pods := bigCluster(b)
	var mix []*tapio.Observation
	at := start.Add(2 * time.Minute)
	for i := range benchPods {
		s := pods[i]
		o := &tapio.Observation{Time: at}
		switch i % 10 {
		case 8:
			o.Event = &tapio.Event{ID: fmt.Sprint("x", i), Time: at, Seen: at, Type: tapio.PodScheduled, Entity: s.Entity}
		case 9:
			o.Event = &tapio.Event{ID: fmt.Sprint("k", i), Time: at, Seen: at, Type: tapio.KubernetesEvent, Entity: s.Entity, Reason: "Pulled", Message: "Container image already present"}
		default:
			o.State = s
		}
		mix = append(mix, o)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		o := mix[i%len(mix)]
		if o.Event != nil && o.Event.Type == tapio.KubernetesEvent {
			o.Event.ID = strconv.Itoa(i) // every one is news
		}
		e.Observe(o)
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "observations/s")
}

// BenchmarkObserveStorm is every pod of the cluster crashing: each observation
// is one that templates match.
func BenchmarkObserveStorm(b *testing.B) {
	e, pods := bigCluster(b)
	at := start.Add(2 * time.Minute)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		pod := pods[i%len(pods)].Entity
		pod.Container = "app"
		ev := &tapio.Event{
			Time: at, Seen: at, Type: tapio.ContainerExit, Entity: pod, Reason: "Error",
			Attrs: map[string]string{tapio.AttrExitCode: "1", tapio.AttrContainerID: fmt.Sprint(i)},
		}
		ev.SetID()
		e.Observe(&tapio.Observation{Time: at, Event: ev})
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "observations/s")
}

func TestIrrelevantObservationsDoNotAllocate(t *testing.T) {
	e, pods := bigCluster(t)
	at := start.Add(2 * time.Minute)
	same := &tapio.Observation{Time: at, State: pods[0]}
	other := &tapio.Observation{Time: at, Event: &tapio.Event{ID: "x", Time: at, Seen: at, Type: tapio.PodScheduled, Entity: pods[0].Entity}}
	for name, o := range map[string]*tapio.Observation{"state": same, "event": other} {
		if n := testing.AllocsPerRun(1000, func() { e.Observe(o) }); n != 0 {
			t.Errorf("an irrelevant %s costs %.1f allocations, want none", name, n)
		}
	}
}
