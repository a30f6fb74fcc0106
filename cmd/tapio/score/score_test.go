package score

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/cases"
)

func entity(kind tapio.Kind, name string) tapio.Entity {
	if kind == tapio.KindNode || kind == tapio.KindNamespace {
		return tapio.Entity{Kind: kind, Name: name}
	}
	return tapio.Entity{Kind: kind, Namespace: "shop", Name: name}
}

// shop is a Deployment with one pod and a Service before it, and a Service
// whose selector takes in nothing.
func shop() *Objects {
	o := NewObjects()
	web := map[string]string{"app": "web"}
	for _, s := range []tapio.State{
		{Entity: entity(tapio.KindDeployment, "web"), Workload: &tapio.WorkloadState{TemplateLabels: web}},
		{Entity: entity(tapio.KindReplicaSet, "web-1"), Owner: entity(tapio.KindDeployment, "web"), Workload: &tapio.WorkloadState{}},
		{Entity: entity(tapio.KindPod, "web-1-a"), Owner: entity(tapio.KindReplicaSet, "web-1"), Labels: web, Pod: &tapio.PodState{}},
		{Entity: entity(tapio.KindDeployment, "db"), Workload: &tapio.WorkloadState{TemplateLabels: map[string]string{"app": "db"}}},
		{Entity: entity(tapio.KindService, "front"), Service: &tapio.ServiceState{Selector: web}},
		{Entity: entity(tapio.KindService, "web"), Service: &tapio.ServiceState{Selector: map[string]string{"app": "webb"}}},
		{Entity: entity(tapio.KindService, "db"), Service: &tapio.ServiceState{Selector: web}},
	} {
		o.Observe(&tapio.Observation{State: &s})
	}
	return o
}

func TestRight(t *testing.T) {
	var (
		web   = entity(tapio.KindDeployment, "web")
		db    = entity(tapio.KindDeployment, "db")
		pod   = entity(tapio.KindPod, "web-1-a")
		quota = entity(tapio.KindResourceQuota, "q")
		image = tapio.Entity{Kind: tapio.KindImage, Name: "web:1"}
		node  = entity(tapio.KindNode, "n1")
	)
	container := pod
	container.Container = "app"
	for _, tt := range []struct {
		name           string
		entity         tapio.Entity
		subject, truth tapio.Entity
		right, named   bool
	}{
		{"itself", web, web, web, true, true},
		{"another", db, db, web, false, false},
		{"its ReplicaSet", entity(tapio.KindReplicaSet, "web-1"), web, web, true, true},
		{"its container", container, web, web, true, true},
		{"the workload of the true pod", web, web, pod, true, true},
		{"a Service that selects it", entity(tapio.KindService, "front"), web, web, true, true},
		{"a Service of its name that selects nothing", entity(tapio.KindService, "web"), web, web, true, true},
		{"a Service of its name that selects another", entity(tapio.KindService, "db"), db, db, false, false},
		{"an app before which the true Service stands", web, web, entity(tapio.KindService, "front"), true, true},
		{"the image that it lacks", image, web, web, true, false},
		{"an image that another lacks", image, db, web, false, false},
		{"the node that it runs on", node, web, web, false, false},
		{"another workload, in a story about it", db, web, web, false, false},
		{"a quota of the true namespace", quota, web, entity(tapio.KindNamespace, "shop"), true, true},
		{"a quota of another namespace", quota, web, entity(tapio.KindNamespace, "till"), false, false},
		{"a workload of the true namespace", web, web, entity(tapio.KindNamespace, "shop"), false, false},
		{"the namespace of the true workload", entity(tapio.KindNamespace, "shop"), web, web, false, false},
	} {
		a := Answer{Entity: tt.entity, Subject: tt.subject}
		o := shop()
		if got := o.right(a, []tapio.Entity{tt.truth}); got != tt.right {
			t.Errorf("%s: right is %t, want %t", tt.name, got, tt.right)
		}
		if got := o.named(a, []tapio.Entity{tt.truth}); got != tt.named {
			t.Errorf("%s: named is %t, want %t", tt.name, got, tt.named)
		}
	}
}

func TestCircleOfOwners(t *testing.T) {
	o := NewObjects()
	a, b := entity(tapio.KindPod, "a"), entity(tapio.KindPod, "b")
	o.Observe(&tapio.Observation{State: &tapio.State{Entity: a, Owner: b}})
	o.Observe(&tapio.Observation{State: &tapio.State{Entity: b, Owner: a}})
	o.same(a, entity(tapio.KindDeployment, "c")) // returns
}

func story(cause tapio.Cause, e tapio.Entity, more ...tapio.Hypothesis) tapio.Story {
	return tapio.Story{
		Cause: cause, CauseEntity: e, Subject: e, Standing: tapio.StandingCertain, Affected: []tapio.Entity{e},
		Hypotheses: append([]tapio.Hypothesis{{Cause: cause, Entity: e, Standing: tapio.StandingCertain, Chosen: true}}, more...),
	}
}

func TestTally(t *testing.T) {
	var (
		web = entity(tapio.KindDeployment, "web")
		db  = entity(tapio.KindDeployment, "db")
		oom = cases.Expectation{Cause: tapio.CauseOOMLimit, Entity: web, Label: "oom", Evidence: "k8s", Affected: []tapio.Entity{entity(tapio.KindService, "front"), db}}
	)
	result := func(name string, ms int, x cases.Expectation, stories ...tapio.Story) Result {
		return Result{Case: cases.Case{Name: name, Expect: x}, Stories: stories, Objects: shop(), Took: time.Duration(ms) * time.Millisecond}
	}
	r := Tally([]Result{
		result("right", 1, oom, story(tapio.CauseOOMLimit, entity(tapio.KindPod, "web-1-a"))),
		result("second", 2, oom, story(tapio.CauseAppError, db), story(tapio.CauseOOMLimit, web)),
		result("hypothesis", 3, oom, story(tapio.CauseAppError, web, tapio.Hypothesis{Cause: tapio.CauseOOMLimit, Entity: web})),
		result("halves", 4, oom, story(tapio.CauseOOMLimit, db), story(tapio.CauseAppError, web)),
		result("nothing", 5, oom),
		result("noise", 6, oom, story(tapio.CauseOOMLimit, web), story(tapio.CauseNodeNotReady, entity(tapio.KindNode, "n1"))),
		result("well", 7, cases.Expectation{Healthy: true}),
		result("false", 8, cases.Expectation{Healthy: true}, story(tapio.CauseAppError, web)),
		result("alternative", 9, cases.Expectation{
			Cause: tapio.CauseImageNotFound, Alternatives: []tapio.Cause{tapio.CauseImageUnauthorized},
			Entity: db, EntityAlternatives: []tapio.Entity{web},
		}, story(tapio.CauseImageUnauthorized, web)),
	})
	for _, tt := range []struct {
		what      string
		got, want any
	}{
		{"cases", r.Total.Cases, 7},
		{"first", r.Total.First, Right{Cause: 4, Object: 4, Both: 3}},
		{"three", r.Total.Three, Right{Cause: 6, Object: 6, Both: 5}},
		{"healthy", r.Healthy, 2},
		{"false stories", r.FalseStories, 1},
		{"extra stories", r.ExtraStories, 1}, // db is hurt by the fault, the node is not
		{"time", r.Time, Times{Median: 5, P95: 9, Max: 9}},
		{"misses", len(r.Misses), 5},
		{"calibration", r.Calibration[0], Calibrated{Standing: tapio.StandingCertain, Cases: 6, Right: 3}},
		{"confusion", r.Confusion[0], Pair{Expected: tapio.CauseOOMLimit, Told: tapio.CauseAppError, Cases: 2}},
		{"groups", r.Causes[0], Group{Name: "container.oom_limit", Counts: Counts{Cases: 6, First: Right{3, 3, 2}, Three: Right{5, 5, 4}, Named: 3}}},
		{"labels", len(r.Labels), 1},
		{"strange", r.Strange[1], Strange{Cause: tapio.CauseNodeNotReady, Stories: 1}},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.what, tt.got, tt.want)
		}
	}
	var text bytes.Buffer
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"second (oom): told, but not first\n", "hypothesis (oom): told, but not first\n", "halves (oom): right cause, wrong object\n",
		"nothing (oom): nothing told\n", "false: a false story\n", "  told      container.app_error  Deployment/shop/db (certain)\n",
		"container.oom_limit  (nothing)            1\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, text.String())
		}
	}
	if Tally(nil).Total.Share(0) != 1 {
		t.Error("no cases are no failure")
	}
}

// TestAlso sets a right story about another incident aside, and no wrong one.
func TestAlso(t *testing.T) {
	web, db := entity(tapio.KindDeployment, "web"), entity(tapio.KindDeployment, "db")
	story := func(cause tapio.Cause, e tapio.Entity) tapio.Story {
		return tapio.Story{Cause: cause, CauseEntity: e, Subject: e}
	}
	expect := cases.Expectation{
		Cause: tapio.CauseOOMLimit, Entity: web, Also: []cases.Incident{{Cause: tapio.CauseReadinessFailed, Entity: db}},
	}
	for _, tt := range []struct {
		first tapio.Story
		right bool
		extra int
	}{
		{story(tapio.CauseReadinessFailed, db), true, 0},
		{story(tapio.CauseOOMLimit, db), false, 1},
		{story(tapio.CauseReadinessFailed, web), false, 0},
	} {
		v := Judge(Result{Case: cases.Case{Expect: expect}, Stories: []tapio.Story{tt.first, story(tapio.CauseOOMLimit, web)}, Objects: shop()})
		if v.First.Both != tt.right || v.Extra != tt.extra {
			t.Errorf("after %s of %s: first right %t, %d extra", tt.first.Cause, tt.first.CauseEntity.Name, v.First.Both, v.Extra)
		}
	}
}
