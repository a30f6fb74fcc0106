package engine

import (
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

// TestBackOffLongerThanQuiet: a pod that is down for its back-off, then well for
// a second, has not been well for the quiet time, however short that is.
func TestBackOffLongerThanQuiet(t *testing.T) {
	templates, err := Library()
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{Templates: templates, Quiet: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	web := tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: "web"}
	pod := tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "web-a"}
	var told []tapio.Story
	at := start
	set := func(ready int32) {
		r := tapio.ReplicaStatus{Desired: 1, Current: 1, Updated: 1, Ready: ready, Available: ready}
		for _, s := range []*tapio.State{
			{Entity: web, Workload: &tapio.WorkloadState{Replicas: r}},
			{Entity: pod, Owner: web, Pod: &tapio.PodState{Phase: "Running", Ready: ready > 0, RestartPolicy: "Always"}},
		} {
			stories, _ := e.Observe(&tapio.Observation{Time: at, State: s})
			told = append(told, stories...)
		}
	}
	set(1)
	container := pod
	container.Container = "app"
	for _, backOff := range []time.Duration{time.Second, 12 * time.Second, 24 * time.Second} {
		ev := &tapio.Event{
			Time: at, Seen: at, Type: tapio.ContainerExit, Entity: container, Reason: "Error",
			Attrs: map[string]string{tapio.AttrExitCode: "143", tapio.AttrContainerID: at.String()},
		}
		ev.SetID()
		stories, _ := e.Observe(&tapio.Observation{Time: at, Event: ev})
		told = append(told, stories...)
		set(0)
		for end := at.Add(backOff); at.Before(end); at = at.Add(time.Second) {
			told = append(told, e.Tick(at)...)
		}
		set(1)
		told = append(told, e.Tick(at)...)
		at = at.Add(time.Second)
	}
	if len(told) == 0 || told[0].Cause != tapio.CauseKilledExternally || told[0].Facts[tapio.FactExitCode] != "143" {
		t.Errorf("a crash loop with back-offs longer than the quiet time is not told: %+v", told)
	}
}
