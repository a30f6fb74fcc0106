package narrate

import (
	"strings"
	"testing"

	"github.com/yairfalse/tapio"
)

func TestLibraryIsClean(t *testing.T) {
	seen := map[string]bool{}
	for _, tm := range library(t) {
		for _, err := range Lint(tm) {
			t.Error(err)
		}
		if seen[tm.ID] {
			t.Errorf("template %s is there twice", tm.ID)
		}
		seen[tm.ID] = true
		if tm.Cause != tapio.CauseUnknown && (tm.CauseTemplate == "" || tm.Check == "") {
			t.Errorf("template %s has no cause_template or no check", tm.ID)
		}
		if n := len(tm.Recommendations); n < 2 || n > 5 {
			t.Errorf("template %s has %d recommendations, want 2 to 5", tm.ID, n)
		}
	}
}

// titled is a template with nothing but what it must have.
func titled(with func(*tapio.Template)) tapio.Template {
	tm := tapio.Template{ID: "mine", TitleTemplate: "{{.Workload}} is ill", DescriptionTemplate: "It is ill."}
	with(&tm)
	return tm
}

func TestMistakesAreNamed(t *testing.T) {
	for _, tc := range []struct {
		name string
		with func(*tapio.Template)
		want string
	}{
		{"unknown variable", func(tm *tapio.Template) { tm.TitleTemplate = "{{.Podname}} died" },
			`template "mine": title_template: unknown variable .Podname (did you mean .PodName?)`},
		{"spelt as the fact's key", func(tm *tapio.Template) { tm.CauseTemplate = "{{.exit_code}}" },
			`template "mine": cause_template: unknown variable .exit_code (did you mean .ExitCode?)`},
		{"nothing near", func(tm *tapio.Template) { tm.CauseTemplate = "{{.Weather}}" },
			`template "mine": cause_template: unknown variable .Weather`},
		{"in a branch that no example takes", func(tm *tapio.Template) {
			tm.ImpactTemplate = `a{{if eq .Reason "rare"}}{{else if .Over}}{{count .Podz "pod"}}{{end}}`
		},
			`template "mine": impact_template: unknown variable .Podz`},
		{"part of a variable", func(tm *tapio.Template) { tm.DescriptionTemplate = "{{.Workload.Name}}" },
			`template "mine": description_template: variable .Workload has no part .Name`},
		{"inside with", func(tm *tapio.Template) { tm.DescriptionTemplate = "{{with .Limit}}{{.Workload}}{{end}}" },
			`template "mine": description_template: inside {{with}} write {{$.Workload}} instead of {{.Workload}}`},
		{"unknown by dollar", func(tm *tapio.Template) { tm.DescriptionTemplate = "{{with .Limit}}{{$.Worklod}}{{end}}" },
			`template "mine": description_template: unknown variable .Worklod (did you mean .Workload?)`},
		{"not closed", func(tm *tapio.Template) { tm.DescriptionTemplate = "{{if .Limit}}x" },
			`template "mine": description_template: unexpected EOF`},
		{"unknown function", func(tm *tapio.Template) { tm.DescriptionTemplate = "{{shout .Limit}}" },
			`template "mine": description_template: function "shout" not defined`},
		{"wrong argument", func(tm *tapio.Template) { tm.DescriptionTemplate = `{{count .Workload "pod"}}` },
			`template "mine": description_template: <.Workload>: wrong type for value; expected int; got string`},
		{"fails on an empty fact", func(tm *tapio.Template) { tm.DescriptionTemplate = "{{slice .PodName 0 3}}" },
			`template "mine": description_template: <slice .PodName 0 3>: error calling slice: index out of range: 3`},
		{"range", func(tm *tapio.Template) { tm.DescriptionTemplate = "{{range 1000000000}}{{end}}" },
			`template "mine": description_template: {{range}} is not supported; no variable is a list`},
		{"recursion", func(tm *tapio.Template) {
			tm.DescriptionTemplate = `{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`
		},
			`template "mine": description_template: {{template}} and {{block}} are not supported; write the words out`},
		{"no title", func(tm *tapio.Template) { tm.TitleTemplate = " " }, `template "mine": title_template: is empty`},
		{"writes nothing", func(tm *tapio.Template) { tm.TitleTemplate = "{{if false}}x{{end}}" },
			`template "mine": title_template: writes nothing, even where every fact is known`},
		{"recommendation", func(tm *tapio.Template) { tm.Recommendations = []string{"fine", "{{.Nod}}"} },
			`template "mine": recommendations[1]: unknown variable .Nod`},
		{"command without words", func(tm *tapio.Template) { tm.Action.Command = "kubectl get pods" },
			`template "mine": action.text: is empty`},
		{"command of two lines", func(tm *tapio.Template) { tm.Action = tapio.Action{Text: "x", Command: "a\nb"} },
			`template "mine": action.command: is more than one line`},
		{"runbook", func(tm *tapio.Template) { tm.RunbookURL = "javascript:alert(1)" },
			`template "mine": runbook_url: "javascript:alert(1)" is not an http or https address`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := New([]tapio.Template{titled(tc.with)})
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestTwoMistakesAreBothNamed(t *testing.T) {
	errs := Lint(titled(func(tm *tapio.Template) { tm.TitleTemplate, tm.CauseTemplate = "{{.A_}}", "{{" }))
	if len(errs) != 2 {
		t.Errorf("got %d mistakes (%v), want 2", len(errs), errs)
	}
}

func TestSeedWordsParse(t *testing.T) {
	seed := tapio.Template{
		ID:            "seed",
		TitleTemplate: "Resource starvation affecting {{.AffectedPods}} pods",
		DescriptionTemplate: `Pod {{.PodName}} in namespace {{.Namespace}} failed {{.FailureCount}} times in {{.Duration}}: {{.ExitCode}}, {{.LastError}}.
			Node {{.NodeName}}: {{.EvictedCount}} evicted for {{.ResourceType}}, available: {{.AvailableAmount}}.
			Service {{.ServiceName}} lost {{.LostEndpoints}}, {{.FailedConnections}} failed, for {{.BusinessService}}`,
	}
	if errs := Lint(seed); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestFailingWordsDoNotLoseTheStory(t *testing.T) {
	n, err := New([]tapio.Template{titled(func(tm *tapio.Template) {
		tm.ID = "container-oom-limit"
		tm.TitleTemplate = "{{if .Taint}}{{slice .Taint 0 4}}{{else}}fine{{end}}"
		tm.CauseTemplate = "{{if .Taint}}{{slice .Taint 0 4}}{{else}}fine{{end}}"
		tm.Cause, tm.Name = tapio.CauseOOMLimit, "Container out of memory"
	})})
	if err != nil {
		t.Fatal(err)
	}
	s := scenes()[0].story(t, library(t), false)
	s.Facts[tapio.FactTaint] = "no"
	err = n.Tell(&s)
	if err == nil || !strings.Contains(err.Error(), `template "container-oom-limit": title_template: `) || !strings.Contains(err.Error(), "cause_template") {
		t.Errorf("got error %v, want one that names template and both fields", err)
	}
	if want := "checkout is failing"; s.Title != want {
		t.Errorf("title %q, want the general %q", s.Title, want)
	}
	if want := "The cause is Container out of memory on checkout."; s.RootCause != want {
		t.Errorf("cause %q, want the general %q", s.RootCause, want)
	}
	if s.Summary[0].Text != "It is ill." || s.NextAction.Command == "" {
		t.Errorf("words that work were lost too: %+v", s.Summary)
	}
}

func TestUnknownTemplateHasGeneralWords(t *testing.T) {
	n, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, sc := range scenes() {
		for _, resolved := range []bool{false, true} {
			s := sc.story(t, library(t), resolved)
			if err := n.Tell(&s); err != nil {
				t.Errorf("%s: %v", sc.template, err)
			}
			if s.Title == "" || s.Intent == "" || len(s.Summary) < 2 || s.RootCause == "" || s.Impact == "" || s.NextAction.Text == "" {
				t.Errorf("%s lacks words: %+v", sc.template, s)
			}
			if resolved == (s.Resolution == "") {
				t.Errorf("%s resolved %v says %q", sc.template, resolved, s.Resolution)
			}
		}
	}
}

func TestTellIsDeterministicAndLeavesTheEnginesOwn(t *testing.T) {
	n := narrator(t)
	given := scenes()[0].story(t, library(t), true)
	first, second := given, given
	if err := n.Tell(&first); err != nil {
		t.Fatal(err)
	}
	if err := n.Tell(&second); err != nil {
		t.Fatal(err)
	}
	if first.Title != second.Title || first.Impact != second.Impact || first.Timeline[0].Description != second.Timeline[0].Description {
		t.Error("the same story was told in two ways")
	}
	if given.Timeline[0].Description != "" || given.News[0].Text != "" {
		t.Error("Tell wrote into what the engine holds")
	}
}

func FuzzParseField(f *testing.F) {
	for _, tm := range library(f) {
		f.Add(tm.TitleTemplate)
		f.Add(tm.CauseTemplate)
		f.Add(tm.Action.Command)
	}
	f.Add(`{{printf "%1000000d" 1}}{{with $x := .Limit}}{{$x}}{{else with .Key}}{{.}}{{end}}`)
	f.Fuzz(func(t *testing.T, text string) {
		field, err := parseField("title_template", text, samples())
		if (field == nil) == (err == nil) {
			t.Fatalf("got %v and %v", field, err)
		}
		if err != nil && (err.Error() == "" || strings.Contains(err.Error(), "\n")) {
			t.Errorf("error is not one line: %q", err)
		}
	})
}
