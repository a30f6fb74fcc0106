package trial

import (
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/library"
	"github.com/yairfalse/tapio/engine"
	"github.com/yairfalse/tapio/narrate"
)

func oom(at time.Duration) library.Step {
	return library.Step{At: tapio.Duration(at), Type: tapio.ContainerExit, Reason: "OOMKilled", ExitCode: 137}
}

func tell(t *testing.T, test library.Test) []tapio.Story {
	t.Helper()
	templates, _, err := library.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Options{Cluster: "test", Templates: templates})
	if err != nil {
		t.Fatal(err)
	}
	n, err := narrate.New(templates)
	if err != nil {
		t.Fatal(err)
	}
	observations, err := Observations(test)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range observations {
		if i > 0 && o.Time.Before(observations[i-1].Time) {
			t.Fatalf("observation %d is before the one above it", i)
		}
		if o.Event != nil || o.State != nil {
			if err := o.Validate(); err != nil {
				t.Fatal(err)
			}
		}
	}
	stories, err := Tell(e, n, observations)
	if err != nil {
		t.Fatal(err)
	}
	return stories
}

// TestWorlds tells one failure in clusters of every form.
func TestWorlds(t *testing.T) {
	for _, c := range []library.Cluster{
		{},
		{Workload: "StatefulSet/shop/db", Replicas: 3, Service: "data"},
		{Workload: "DaemonSet/kube-system/agent", Node: "n7", MemoryLimit: "64Mi", Annotations: map[string]string{"channel": "#ops"}},
	} {
		stories := tell(t, library.Test{Cluster: c, Observe: []library.Step{oom(0), oom(20 * time.Second)}})
		if len(stories) != 1 || stories[0].Cause != tapio.CauseOOMLimit {
			t.Errorf("%+v: told %d stories", c, len(stories))
			continue
		}
		s := stories[0]
		if c.Workload != "" && s.Subject.String() != c.Workload {
			t.Errorf("a story about %s, want %s", s.Subject, c.Workload)
		}
		if s.Owner.Channel != c.Annotations["channel"] {
			t.Errorf("told to %q, want %q", s.Owner.Channel, c.Annotations["channel"])
		}
		if s.Facts[tapio.FactLimit] != c.MemoryLimit {
			t.Errorf("limit %q, want %q", s.Facts[tapio.FactLimit], c.MemoryLimit)
		}
	}
}

func TestNode(t *testing.T) {
	stories := tell(t, library.Test{Observe: []library.Step{{Type: tapio.NodeNotReady, Reason: "KubeletNotReady", Message: "container runtime is down"}}, Until: tapio.Duration(3 * time.Minute)})
	if len(stories) == 0 || stories[0].Subject.Kind != tapio.KindNode {
		t.Errorf("told %+v", stories)
	}
}

// TestNothing shows that the cluster of a test is well by itself.
func TestNothing(t *testing.T) {
	if stories := tell(t, library.Test{Until: tapio.Duration(10 * time.Minute)}); len(stories) > 0 {
		t.Errorf("told %s", stories[0].Title)
	}
}

func TestCompare(t *testing.T) {
	s := tell(t, library.Test{Observe: []library.Step{oom(0), oom(20 * time.Second)}})
	none := library.Expect{None: true}
	for _, tt := range []struct {
		name    string
		want    library.Expect
		stories []tapio.Story
		err     string
	}{
		{"right", library.Expect{Template: "container-oom-limit", Cause: tapio.CauseOOMLimit, Entity: "Deployment/shop/checkout[app]", Standing: s[0].Standing, Severity: s[0].Severity, Title: s[0].Title, RootCause: s[0].RootCause, Action: s[0].NextAction.Command}, s, ""},
		{"nothing told, nothing expected", none, nil, ""},
		{"told and not expected", none, s, "expect.none: told "},
		{"nothing told", library.Expect{Cause: tapio.CauseOOMLimit}, nil, "expect: nothing was told"},
		{"nothing compared", library.Expect{}, s, "expect: is missing"},
		{"another template", library.Expect{Template: "x"}, s, `expect.template: want "x", told "container-oom-limit"`},
		{"another entity", library.Expect{Entity: "Node/n1"}, s, `expect.entity: want "Node/n1"`},
		{"another title", library.Expect{Title: "x"}, s, `expect.title: want "x"`},
		{"another action", library.Expect{Action: "x"}, s, `expect.action: want "x"`},
	} {
		err := Compare(tt.want, tt.stories)
		if got := err == nil; got != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.err)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct {
		test library.Test
		want string
	}{
		{library.Test{Cluster: library.Cluster{Workload: "checkout"}}, "cluster.workload: "},
		{library.Test{Cluster: library.Cluster{Workload: "Pod/shop/checkout"}}, "cluster.workload: "},
		{library.Test{Cluster: library.Cluster{Replicas: -1}}, "cluster.replicas: "},
		{library.Test{Observe: []library.Step{{}}}, "observe[0].type: is missing"},
		{library.Test{Observe: []library.Step{{Type: tapio.ContainerExit, On: "door"}}}, "observe[0].on: "},
		{library.Test{Observe: []library.Step{oom(time.Minute), oom(0)}}, "observe[1].at: "},
		{library.Test{Observe: []library.Step{oom(7 * time.Hour)}}, "observe[0].at: "},
		{library.Test{Observe: []library.Step{oom(time.Hour)}, Until: tapio.Duration(time.Minute)}, "until: "},
	} {
		if _, err := Observations(tt.test); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}
