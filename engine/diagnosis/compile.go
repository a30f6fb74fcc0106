// Package diagnosis finds candidate causes: it compiles templates, matches
// their event patterns, and ranks what matched.
//
// A [Matcher] is given events with the subjects they lead to and gives back
// findings: a template that matched on a subject, with the events that made it
// match. It knows neither topology nor stories; the engine joins the three. It
// has no clock and is owned by one goroutine.
package diagnosis

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"

	"github.com/yairfalse/tapio"
)

// Subjects are what a template may gather its events on.
var subjects = []string{"workload", "service", "node", "component"}

// relations are how what a template explains may stand to what is at fault.
var relations = []string{"self", "node", "selects", "references", "component", "namespace", "cluster"}

// Template is a tapio.Template made ready to match.
type Template struct {
	tapio.Template
	patterns []pattern
	order    int // precedence of its rank, 0 is most upstream
}

type pattern struct {
	tapio.EventPattern
	types     []tapio.EventType // the alternatives in Type
	reason    *regexp.Regexp
	condition cel.Program
	captures  map[string]*regexp.Regexp
	index     int
}

var ranks = []tapio.Rank{
	tapio.RankNode, tapio.RankInfrastructure, tapio.RankConfig, tapio.RankChange, tapio.RankDependency,
	tapio.RankContainer, tapio.RankProbe, tapio.RankSymptom,
}

// Ranks lists the ranks, the most upstream first.
func Ranks() []tapio.Rank { return slices.Clone(ranks) }

// Subjects lists what a template may gather its events on.
func Subjects() []string { return slices.Clone(subjects) }

// Relations lists over what a symptom may touch its cause.
func Relations() []string { return slices.Clone(relations) }

// Compiler makes templates ready to match. Making one is slow, a template with
// it quick: one serves for a whole library. It is owned by one goroutine.
type Compiler struct{ env *cel.Env }

// NewCompiler returns a Compiler for conditions over events.
func NewCompiler() (*Compiler, error) {
	options := make([]cel.EnvOption, 0, len(variables))
	for name, typ := range variables {
		options = append(options, cel.Variable(name, typ))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("conditions: %w", err)
	}
	return &Compiler{env}, nil
}

// Compile checks a template's matching half and makes it ready to match. The
// error joins a [tapio.FieldError] for each mistake.
func (compiler *Compiler) Compile(t tapio.Template) (*Template, error) {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, &tapio.FieldError{Template: t.ID, Field: field, Err: fmt.Errorf(format, args...)})
	}
	if t.ID == "" {
		bad("id", "is missing")
	}
	if t.Cause == "" {
		bad("cause", "is missing; a template that only names a symptom says %q", tapio.CauseUnknown)
	}
	order := slices.Index(ranks, t.Rank)
	if order < 0 {
		bad("rank", "%q is none of %s", t.Rank, join(ranks))
	}
	if !slices.Contains(subjects, t.Subject) {
		bad("subject", "%q is none of %s", t.Subject, strings.Join(subjects, ", "))
	}
	switch t.Standing {
	case tapio.StandingCertain, tapio.StandingLikely, tapio.StandingPossible, tapio.StandingUnknown:
	default:
		bad("standing", "%q is none of certain, likely, possible, unknown", t.Standing)
	}
	if t.DefaultSeverity.Level() > 4 {
		bad("default_severity", "%q is none of critical, high, medium, low", t.DefaultSeverity)
	}
	if kind, fact, ok := strings.Cut(t.CauseEntity, ":"); t.CauseEntity != "" && t.CauseEntity != "subject" && t.CauseEntity != "container" && t.CauseEntity != "namespace" && t.CauseEntity != "component" && !strings.HasPrefix(t.CauseEntity, "Component/") && (!ok || kind == "" || fact == "") {
		bad("cause_entity", `%q is none of subject, container, namespace, component, Kind:fact such as "ConfigMap:object"`, t.CauseEntity)
	}
	for i, x := range t.Explains {
		if x.Symptom == "" || !slices.Contains(relations, x.Over) {
			bad(fmt.Sprintf("explains[%d]", i), "wants a symptom (an event type) and over: one of %s", strings.Join(relations, ", "))
		}
	}
	out := &Template{Template: t, order: order}
	required := 0
	for i, p := range t.Pattern {
		if !p.Optional {
			required++
		}
		ready, err := compiler.pattern(p)
		if err != nil {
			field := fmt.Sprintf("pattern[%d]", i)
			var in *tapio.FieldError
			if errors.As(err, &in) {
				field, err = field+"."+in.Field, in.Err
			}
			bad(field, "%w", err)
			continue
		}
		ready.index = i
		out.patterns = append(out.patterns, ready)
	}
	if required == 0 {
		bad("pattern", "has no entry that must match")
	}
	return out, errors.Join(errs...)
}

func join[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}

func (compiler *Compiler) pattern(p tapio.EventPattern) (pattern, error) {
	c := pattern{EventPattern: p}
	if p.Type == "" {
		return c, &tapio.FieldError{Field: "type", Err: errors.New("is missing")}
	}
	for one := range strings.SplitSeq(string(p.Type), "|") {
		typ := tapio.EventType(one)
		if typ != tapio.KubernetesEvent {
			// The seed design spells the types of Kubernetes facts with a prefix.
			typ = tapio.EventType(strings.TrimPrefix(one, "k8s."))
		}
		c.types = append(c.types, typ)
	}
	if p.MinCount < 0 {
		return c, &tapio.FieldError{Field: "min_count", Err: fmt.Errorf("%d is negative", p.MinCount)}
	}
	var err error
	if p.Reason != "" {
		if c.reason, err = regexp.Compile("^(?:" + p.Reason + ")$"); err != nil {
			return c, &tapio.FieldError{Field: "reason", Err: err}
		}
	}
	if p.Condition != "" {
		if c.condition, err = compiler.condition(p.Condition); err != nil {
			return c, &tapio.FieldError{Field: "condition", Err: err}
		}
	}
	for _, fact := range slices.Sorted(maps.Keys(p.Capture)) {
		expr := p.Capture[fact]
		re, err := regexp.Compile(expr)
		if err != nil {
			return c, &tapio.FieldError{Field: "capture." + fact, Err: err}
		}
		if re.NumSubexp() < 1 {
			return c, &tapio.FieldError{Field: "capture." + fact, Err: fmt.Errorf("%q has no group: put round brackets round what is to be captured", expr)}
		}
		if c.captures == nil {
			c.captures = map[string]*regexp.Regexp{}
		}
		c.captures[fact] = re
	}
	return c, nil
}

// variables are what a condition may name, with the meaning of the event's
// field or attribute of that name.
var variables = map[string]*cel.Type{
	"type": cel.StringType, "reason": cel.StringType, "message": cel.StringType, "severity": cel.StringType,
	"count": cel.IntType, "exit_code": cel.IntType, "signal": cel.IntType, "restarts": cel.IntType,
	"ready_before": cel.IntType, "ready_after": cel.IntType,
	"kind": cel.StringType, "namespace": cel.StringType, "name": cel.StringType, "container": cel.StringType,
	"image": cel.StringType, "status": cel.StringType, "component": cel.StringType,
	"init": cel.BoolType, "terminating": cel.BoolType, "listed": cel.BoolType,
	"attrs": cel.MapType(cel.StringType, cel.StringType),
}

// costLimit bounds one condition: far above any sensible one over a message of
// 2,000 bytes, far below what would slow the engine.
const costLimit = 100_000

func (compiler *Compiler) condition(expr string) (cel.Program, error) {
	ast, issues := compiler.env.Compile(expr)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	if ast.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("%q gives %s, want true or false", expr, ast.OutputType())
	}
	return compiler.env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(costLimit))
}

// bindings offers an event to a condition, without a map for each event.
type bindings struct{ *tapio.Event }

// ResolveName gives the value of a variable.
func (b bindings) ResolveName(name string) (any, bool) {
	switch name {
	case "type":
		return string(b.Type), true
	case "reason":
		return b.Reason, true
	case "message":
		return b.Message, true
	case "severity":
		return string(b.Severity), true
	case "count":
		return int64(max(1, b.Count)), true
	case "exit_code", "signal", "restarts", "ready_before", "ready_after":
		return int64(b.Int(name)), true
	case "kind":
		return string(b.Entity.Kind), true
	case "namespace":
		return b.Entity.Namespace, true
	case "name":
		return b.Entity.Name, true
	case "container":
		return b.Entity.Container, true
	case "image", "status", "component":
		return b.Attrs[name], true
	case "init", "terminating":
		return b.Attrs[name] == "true", true
	case "listed":
		return b.Listed, true
	case "attrs":
		if b.Attrs == nil {
			return map[string]string{}, true
		}
		return b.Attrs, true
	}
	return nil, false
}

// Parent ends the chain of scopes.
func (b bindings) Parent() cel.Activation { return nil }

// matches reports whether the event is one that the pattern means. A condition
// that fails at run time, such as a division by zero, does not match.
func (p *pattern) matches(ev *tapio.Event) bool {
	if p.reason != nil && !p.reason.MatchString(ev.Reason) {
		return false
	}
	if p.Severity != "" && ev.Severity.Level() > p.Severity.Level() {
		return false
	}
	if p.condition == nil {
		return true
	}
	v, _, err := p.condition.Eval(bindings{ev})
	if err != nil {
		return false
	}
	ok, _ := v.Value().(bool)
	return ok
}
