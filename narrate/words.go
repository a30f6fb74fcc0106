package narrate

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/yairfalse/tapio"
)

// words are the parsed words of one template. A nil field means that the
// template has no such words.
type words struct {
	id              string
	title           *field
	description     *field
	cause           *field
	impact          *field
	recommendations []*field
	action          *field
	command         *field
	runbook         string
}

// field is one parsed text of a template.
type field struct {
	name string // as YAML spells it: title_template
	tmpl *template.Template
	uses []string // variables whose value is always part of the text
}

// maxWorded bounds what one field may write, in bytes, so that no template can
// write without end.
const maxWorded = 16 << 10

func (f *field) execute(v *View) (string, error) {
	var b bounded
	if err := f.tmpl.Execute(&b, v); err != nil {
		return "", mistake(err)
	}
	return b.String(), nil
}

// bounded is a strings.Builder that refuses to grow past maxWorded.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxWorded {
		return 0, fmt.Errorf("writes more than %d bytes", maxWorded)
	}
	return b.Builder.Write(p)
}

var _ io.Writer = (*bounded)(nil)

// functions are what a template's words may call beside the ones that
// text/template brings.
func functions() template.FuncMap {
	return template.FuncMap{"count": count, "times": times, "cap": upper}
}

// parseWords parses and tries all words of a template.
func parseWords(t tapio.Template, examples []*View) (*words, []error) {
	w := &words{id: t.ID, runbook: t.RunbookURL}
	var errs []error
	fail := func(name string, err error) {
		errs = append(errs, &tapio.FieldError{Template: t.ID, Field: name, Err: err})
	}
	one := func(name, text string, must bool) *field {
		if strings.TrimSpace(text) == "" {
			if must {
				fail(name, errors.New("is empty"))
			}
			return nil
		}
		f, err := parseField(name, text, examples)
		if err != nil {
			fail(name, err)
			return nil
		}
		return f
	}
	w.title = one("title_template", t.TitleTemplate, true)
	w.description = one("description_template", t.DescriptionTemplate, true)
	w.cause = one("cause_template", t.CauseTemplate, false)
	w.impact = one("impact_template", t.ImpactTemplate, false)
	for i, r := range t.Recommendations {
		if f := one(fmt.Sprintf("recommendations[%d]", i), r, true); f != nil {
			w.recommendations = append(w.recommendations, f)
		}
	}
	w.action = one("action.text", t.Action.Text, t.Action.Command != "")
	w.command = one("action.command", t.Action.Command, false)
	if w.command != nil && strings.ContainsAny(strings.TrimSpace(t.Action.Command), "\r\n") {
		fail("action.command", errors.New("is more than one line"))
	}
	if t.RunbookURL != "" && len(runbooks(t.RunbookURL)) == 0 {
		fail("runbook_url", fmt.Errorf("%q is not an http or https address", t.RunbookURL))
	}
	return w, errs
}

func parseField(name, text string, examples []*View) (*field, error) {
	tmpl, err := template.New(name).Option("missingkey=error").Funcs(functions()).Parse(text)
	if err != nil {
		return nil, mistake(err)
	}
	f := &field{name: name, tmpl: tmpl}
	for _, t := range tmpl.Templates() {
		if t.Tree == nil || t.Root == nil {
			continue
		}
		if err := checkVariables(t.Root, true); err != nil {
			return nil, err
		}
	}
	f.uses = alwaysUsed(tmpl.Root)
	for _, v := range examples {
		out, err := f.execute(v)
		if err != nil {
			return nil, err
		}
		if v.Workload != "" && strings.TrimSpace(out) == "" {
			return nil, errors.New("writes nothing, even where every fact is known")
		}
	}
	return f, nil
}

// where matches what text/template puts before its messages.
var where = regexp.MustCompile(`^template: ([^:]+):(\d+)(:\d+)?: (executing "[^"]*" at )?`)

// mistake takes the template's inner name out of an error of text/template.
func mistake(err error) error {
	text := where.ReplaceAllString(err.Error(), "line $2: ")
	text = strings.TrimPrefix(text, "line 1: ")
	return errors.New(oneLine(text))
}

// variables lists the names in View.
func variables() []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[View]()) {
		names = append(names, f.Name)
	}
	return names
}

// checkVariables reports the first variable that does not exist, in branches
// too that no example reaches. atView tells whether the dot is the View: inside
// {{with}} it is a value, and the View is $.
func checkVariables(n parse.Node, atView bool) error {
	switch n := n.(type) {
	case *parse.FieldNode:
		if !atView {
			return fmt.Errorf("inside {{with}} write {{$%s}} instead of {{%s}}", n, n)
		}
		return known(n.Ident)
	case *parse.VariableNode:
		if n.Ident[0] == "$" && len(n.Ident) > 1 {
			return known(n.Ident[1:])
		}
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, c := range n.Nodes {
			if err := checkVariables(c, atView); err != nil {
				return err
			}
		}
	case *parse.ActionNode:
		return checkVariables(n.Pipe, atView)
	case *parse.PipeNode:
		if n == nil {
			return nil
		}
		for _, c := range n.Cmds {
			if err := checkVariables(c, atView); err != nil {
				return err
			}
		}
	case *parse.CommandNode:
		for _, a := range n.Args {
			if err := checkVariables(a, atView); err != nil {
				return err
			}
		}
	case *parse.IfNode:
		return checkBranch(&n.BranchNode, atView, atView)
	case *parse.WithNode:
		return checkBranch(&n.BranchNode, atView, false)
	case *parse.RangeNode:
		return errors.New("{{range}} is not supported; no variable is a list")
	case *parse.TemplateNode:
		return errors.New("{{template}} and {{block}} are not supported; write the words out")
	}
	return nil
}

func checkBranch(n *parse.BranchNode, atView, inside bool) error {
	if err := checkVariables(n.Pipe, atView); err != nil {
		return err
	}
	if err := checkVariables(n.List, inside); err != nil {
		return err
	}
	return checkVariables(n.ElseList, atView)
}

func known(ident []string) error {
	if _, ok := reflect.TypeFor[View]().FieldByName(ident[0]); !ok {
		if near := nearest(ident[0], variables()); near != "" {
			return fmt.Errorf("unknown variable .%s (did you mean .%s?)", ident[0], near)
		}
		return fmt.Errorf("unknown variable .%s", ident[0])
	}
	if len(ident) > 1 {
		return fmt.Errorf("variable .%s has no part .%s", ident[0], strings.Join(ident[1:], "."))
	}
	return nil
}

// nearest returns the name that differs least from a misspelt one, or "" where
// none is near.
func nearest(name string, names []string) string {
	flat := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	best, least := "", 1+len(name)/3
	for _, n := range names {
		if d := levenshtein.ComputeDistance(flat(name), flat(n)); d <= least && (best == "" || d < least) {
			best, least = n, d
		}
	}
	return best
}

// alwaysUsed lists the variables that stand in the text outside of any
// condition: without their values the text is not whole.
func alwaysUsed(root *parse.ListNode) []string {
	var names []string
	for _, n := range root.Nodes {
		a, ok := n.(*parse.ActionNode)
		if !ok || len(a.Pipe.Cmds) != 1 || len(a.Pipe.Cmds[0].Args) != 1 {
			continue
		}
		if f, ok := a.Pipe.Cmds[0].Args[0].(*parse.FieldNode); ok {
			names = append(names, f.Ident[0])
		}
	}
	return names
}

// samples are the Views that words are tried on: of an open and of a resolved
// story in which every fact is known, and of one in which none is.
func samples() []*View {
	return []*View{sample(tapio.StatusOpen), sample(tapio.StatusResolved), {}}
}

// sample is a View in which every fact is known, to try words on.
func sample(status tapio.Status) *View {
	at := time.Date(2026, 1, 2, 14, 2, 0, 0, time.UTC)
	web := tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: "web"}
	facts := map[string]string{}
	for _, key := range []string{
		tapio.FactWorkload, tapio.FactRef, tapio.FactNamespace, tapio.FactPodName, tapio.FactContainer, tapio.FactReason,
		tapio.FactMessage, tapio.FactLastError, tapio.FactImage, tapio.FactRegistry, tapio.FactNodeName,
		tapio.FactServiceName, tapio.FactSelector, tapio.FactObject, tapio.FactKey, tapio.FactResource,
		tapio.FactTaint, tapio.FactSaid, tapio.FactDetail, tapio.FactCondition,
	} {
		facts[key] = key
	}
	facts[tapio.FactExitCode], facts[tapio.FactSignal], facts[tapio.FactLimit] = "137", "SIGKILL", "256Mi"
	facts[tapio.FactFailures], facts[tapio.FactEvicted], facts[tapio.FactLost] = "3", "2", "2"
	return newView(&tapio.Story{
		Status: status, Timestamp: at, Updated: at.Add(6 * time.Minute), Resolved: at.Add(6 * time.Minute),
		Duration: 6 * time.Minute, Subject: web, Facts: facts, BusinessService: "Shop", Cluster: "cluster",
		CauseEntity:  tapio.Entity{Kind: tapio.KindConfigMap, Namespace: "shop", Name: "web"},
		AffectedPods: []string{"shop/web-1", "shop/web-2"},
		Scope:        tapio.Scope{PodsDown: 2, PodsWanted: 3, WorstDown: 3, Workloads: 1, ServicesDown: 1, WorstSvcDown: 1},
		Trigger: &tapio.Trigger{Type: tapio.WorkloadRollout, Entity: web, Time: at, Manager: "kubectl", Revision: "4", From: "3",
			Changes: []tapio.Change{{Field: "containers[app].image", From: "web:1", To: "web:2"}}},
		Timeline: []tapio.StoryEvent{
			{Type: tapio.NodeNotReady, Data: map[string]any{tapio.AttrStatus: "Unknown"}},
			{Type: tapio.ConnectionFailed, Count: 5},
			{Type: tapio.PodEvicted, Data: map[string]any{"message": "available: 72Mi"}},
			{Type: tapio.ServiceSelectsNone, Data: map[string]any{tapio.AttrNearest: "web"}},
		},
	})
}
