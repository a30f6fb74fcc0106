package engine

import (
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

// crash feeds a Deployment whose pod ends with an error twice, and returns the
// story of it, if any.
func crash(t *testing.T, o Options, namespace map[string]string, listed bool) *tapio.Story {
	t.Helper()
	var err error
	if o.Templates, err = Library(); err != nil {
		t.Fatal(err)
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	object := func(kind tapio.Kind, name string) tapio.Entity {
		return tapio.Entity{Kind: kind, Namespace: "shop", Name: name}
	}
	for _, s := range []*tapio.State{
		{Entity: tapio.Entity{Kind: tapio.KindNamespace, Name: "shop"}, Annotations: namespace},
		{Entity: object(tapio.KindDeployment, "web"), Workload: &tapio.WorkloadState{Replicas: tapio.ReplicaStatus{Desired: 1, Current: 1, Updated: 1}}},
		{Entity: object(tapio.KindReplicaSet, "web-1"), Owner: object(tapio.KindDeployment, "web")},
		{Entity: object(tapio.KindPod, "web-1-a"), Owner: object(tapio.KindReplicaSet, "web-1"), Pod: &tapio.PodState{Phase: "Running", RestartPolicy: "Always"}},
	} {
		s.Listed = listed
		e.Observe(&tapio.Observation{Time: start, State: s})
	}
	pod := object(tapio.KindPod, "web-1-a")
	pod.Container = "app"
	for i, id := range []string{"one", "two"} {
		ev := &tapio.Event{
			Time: start.Add(time.Duration(i) * time.Second), Seen: start, Type: tapio.ContainerExit, Entity: pod, Reason: "Error", Listed: listed,
			Attrs: map[string]string{tapio.AttrExitCode: "1", tapio.AttrContainerID: id},
		}
		ev.SetID()
		e.Observe(&tapio.Observation{Time: start.Add(time.Duration(i) * time.Second), Event: ev})
	}
	for at := start; at.Before(start.Add(time.Minute)); at = at.Add(time.Second) {
		if stories := e.Tick(at); len(stories) > 0 {
			return &stories[0]
		}
	}
	return nil
}

func TestIgnoredIsNotTold(t *testing.T) {
	if s := crash(t, Options{}, map[string]string{"tapio.dev/ignore": "true"}, false); s != nil {
		t.Errorf("told although its namespace is ignored: %s", s.Cause)
	}
	if s := crash(t, Options{}, nil, false); s == nil {
		t.Error("not told, although nothing is ignored")
	}
}

func TestOwnerIsInTheStory(t *testing.T) {
	s := crash(t, Options{}, map[string]string{"tapio.dev/channel": "#shop", "tapio.dev/service": "Shop"}, false)
	if s == nil || s.Owner.Channel != "#shop" || s.BusinessService != "Shop" {
		t.Errorf("the owner is %+v", s)
	}
}

// TestBacklog: what was already failing when the cluster is looked at for the
// first time is a backlog; after a restart, or as it happens, it is news.
func TestBacklog(t *testing.T) {
	for _, c := range []struct {
		first, listed, want bool
	}{{true, true, true}, {false, true, false}, {true, false, false}} {
		if s := crash(t, Options{Backlog: c.first}, nil, c.listed); s == nil || s.Backlog != c.want {
			t.Errorf("first look %v, listed %v: %+v, want a backlog: %v", c.first, c.listed, s, c.want)
		}
	}
}

func TestClustersTellStoriesOfTheirOwn(t *testing.T) {
	a, again, b := crash(t, Options{Cluster: "a"}, nil, false), crash(t, Options{Cluster: "a"}, nil, false), crash(t, Options{Cluster: "b"}, nil, false)
	if a.ID != again.ID {
		t.Errorf("two engines of one cluster name it %s and %s", a.ID, again.ID)
	}
	if a.ID == b.ID {
		t.Errorf("two clusters name theirs %s", a.ID)
	}
}
