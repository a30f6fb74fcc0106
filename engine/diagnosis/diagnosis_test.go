package diagnosis

import (
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// crash is a template that is complete.
func crash() tapio.Template {
	return tapio.Template{
		ID: "crash", Cause: "test.crash", Rank: tapio.RankContainer, Standing: tapio.StandingCertain, Subject: "workload",
		CauseEntity: "container", DefaultSeverity: tapio.SeverityHigh, TimeWindow: tapio.Duration(10 * time.Minute),
		Pattern: []tapio.EventPattern{
			{Type: "container.exit", Condition: "exit_code != 0", MinCount: 2, MaxAge: tapio.Duration(5 * time.Minute)},
			{Type: "k8s.event", Reason: "BackOff", MinCount: 3, Optional: true},
		},
	}
}

func TestCompileNamesTheField(t *testing.T) {
	tests := []struct {
		name   string
		change func(*tapio.Template)
		want   string
	}{
		{"complete", func(*tapio.Template) {}, ""},
		{"no id", func(t *tapio.Template) { t.ID = "" }, "id: is missing"},
		{"no cause", func(t *tapio.Template) { t.Cause = "" }, `cause: is missing`},
		{"rank", func(t *tapio.Template) { t.Rank = "top" }, `rank: "top" is none of node, infrastructure`},
		{"subject", func(t *tapio.Template) { t.Subject = "galaxy" }, `subject: "galaxy" is none of`},
		{"standing", func(t *tapio.Template) { t.Standing = "maybe" }, `standing: "maybe" is none of`},
		{"severity", func(t *tapio.Template) { t.DefaultSeverity = "bad" }, `default_severity: "bad"`},
		{"cause entity", func(t *tapio.Template) { t.CauseEntity = "ConfigMap:" }, "cause_entity"},
		{"no type", func(t *tapio.Template) { t.Pattern[0].Type = "" }, "pattern[0].type: is missing"},
		{"reason", func(t *tapio.Template) { t.Pattern[0].Reason = "(" }, "pattern[0].reason: "},
		{"unknown variable", func(t *tapio.Template) { t.Pattern[0].Condition = "exitcode != 0" }, "undeclared reference to 'exitcode'"},
		{"not a condition", func(t *tapio.Template) { t.Pattern[0].Condition = "exit_code + 1" }, "want true or false"},
		{"capture", func(t *tapio.Template) { t.Pattern[0].Capture = map[string]string{"x": "abc"} }, "has no group"},
		{"nothing must match", func(t *tapio.Template) { t.Pattern[0].Optional = true }, "pattern: has no entry that must match"},
		{"explains", func(t *tapio.Template) { t.Explains = []tapio.Explanation{{Symptom: "x", Over: "magic"}} }, "explains[0]"},
	}
	for _, tt := range tests {
		template := crash()
		tt.change(&template)
		_, err := compiler(t).Compile(template)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func compiler(t *testing.T) *Compiler {
	t.Helper()
	c, err := NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func matcher(t *testing.T, template tapio.Template) *Matcher {
	t.Helper()
	c, err := compiler(t).Compile(template)
	if err != nil {
		t.Fatal(err)
	}
	return NewMatcher([]*Template{c})
}

var web = tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: "web"}

func exit(after time.Duration, code string) *tapio.Event {
	ev := &tapio.Event{
		Type: tapio.ContainerExit, Time: noon.Add(after), Reason: "Error",
		Entity: tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "web-a", Container: "app"},
		Attrs:  map[string]string{tapio.AttrExitCode: code, tapio.AttrContainerID: after.String()},
	}
	ev.SetID()
	return ev
}

func observe(m *Matcher, ev *tapio.Event) []*Finding {
	return m.Observe(ev, 1, func(string) []tapio.Entity { return []tapio.Entity{web} })
}

func TestMinCountAndWindow(t *testing.T) {
	m := matcher(t, crash())
	if f := observe(m, exit(0, "1")); f != nil {
		t.Fatal("one exit matched, two are asked for")
	}
	if f := observe(m, exit(time.Minute, "0")); f != nil {
		t.Fatal("an exit with code 0 counted")
	}
	f := observe(m, exit(2*time.Minute, "1"))
	if len(f) != 1 || f[0].Count != 2 || !f[0].First.Equal(noon) || f[0].CauseEntity.Container != "app" {
		t.Fatalf("the second exit gives %+v", f)
	}
	// 5 minutes is the greatest age: just within, and just beyond.
	m = matcher(t, crash())
	observe(m, exit(0, "1"))
	if f := observe(m, exit(5*time.Minute, "1")); len(f) != 1 {
		t.Error("an exit 5 min old does not count")
	}
	m = matcher(t, crash())
	observe(m, exit(0, "1"))
	if f := observe(m, exit(5*time.Minute+time.Second, "1")); f != nil {
		t.Error("an exit older than 5 min counts")
	}
}

func TestLateEventsFallIntoPlace(t *testing.T) {
	m := matcher(t, crash())
	observe(m, exit(2*time.Minute, "1"))
	f := observe(m, exit(0, "1")) // arrives late
	if len(f) != 1 || !f[0].First.Equal(noon) || f[0].Evidence[0].Time != noon {
		t.Fatalf("a late event gives %+v", f)
	}
}

func TestRepeatedKubernetesEventReplacesItself(t *testing.T) {
	template := crash()
	template.Pattern = []tapio.EventPattern{{Type: "k8s.event", Reason: "BackOff", MinCount: 3}}
	m := matcher(t, template)
	back := func(after time.Duration, count int) *tapio.Event {
		ev := &tapio.Event{Type: tapio.KubernetesEvent, Time: noon.Add(after), Reason: "BackOff", Message: "Back-off", Count: count, Entity: exit(0, "1").Entity}
		ev.SetID()
		return ev
	}
	if f := observe(m, back(0, 1)); f != nil {
		t.Error("matched after one")
	}
	if f := observe(m, back(time.Second, 2)); f != nil {
		t.Error("the first was counted twice")
	}
	if f := observe(m, back(2*time.Second, 3)); len(f) != 1 || f[0].Count != 3 {
		t.Errorf("after three: %+v", f)
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	m := matcher(t, crash())
	var f []*Finding
	for i := range 500 {
		f = observe(m, exit(time.Duration(i)*time.Second/2, "1"))
	}
	if n := len(f[0].Evidence); n > keptEvents {
		t.Errorf("%d events are kept, want at most %d", n, keptEvents)
	}
	if f[0].Count != 500 {
		t.Errorf("%d counted, want 500", f[0].Count)
	}
}

func TestConditionCannotRunAway(t *testing.T) {
	template := crash()
	template.Pattern[0].Condition = `message.matches("(a*)*b") && [1,2,3,4,5,6,7,8,9].all(x, [1,2,3,4,5,6,7,8,9].all(y, [1,2,3,4,5,6,7,8,9].all(z, [1,2,3,4,5,6,7,8,9].all(w, message.contains("x")))))`
	m := matcher(t, template)
	ev := exit(0, "1")
	ev.Message = strings.Repeat("a", 2000) + "b" + strings.Repeat("x", 2000)
	if f := observe(m, ev); f != nil {
		t.Error("a condition beyond its cost limit matched")
	}
}

func TestSeedTypes(t *testing.T) {
	template := crash()
	template.Pattern = []tapio.EventPattern{{Type: "k8s.pod.evicted", Reason: "OutOfMemory|Evicted"}, {Type: "k8s.node.pressure"}}
	c, err := compiler(t).Compile(template)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Types(); len(got) != 2 || got[0] != tapio.PodEvicted || got[1] != tapio.NodePressure {
		t.Errorf("the seed's types became %v", got)
	}
}

func TestRegistryOf(t *testing.T) {
	for image, want := range map[string]string{
		"": "", "nginx": "docker.io", "library/nginx:1": "docker.io", "localhost/x": "localhost",
		"registry.test/x:1": "registry.test", "10.0.0.1:5000/x@sha256:00": "10.0.0.1:5000",
	} {
		if got := registryOf(image); got != want {
			t.Errorf("%q: %q, want %q", image, got, want)
		}
	}
}
