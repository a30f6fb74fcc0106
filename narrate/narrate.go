// Package narrate gives a story its words before it is saved: title, summary,
// cause, impact, resolution, timeline lines, news and the next action, as plain
// data in the story itself. So Slack, the command line, the API and the
// dashboard all say the same.
//
// The engine hands over a [tapio.Story] that holds facts; [Narrator.Tell] words
// them. The words of a failure pattern come from its [tapio.Template], written
// in the form of text/template over a [View]; everything else has words of its
// own here. narrate is deterministic: it has no clock and does no I/O, and the
// same story always gets the same words. It never adds a fact. Text that comes
// from the cluster is cleaned of control characters and bounded before it
// becomes part of a sentence; the raw words stay in Story.Evidence.
//
// [Text], [Markdown] and [JSON] write stories that have their words. They
// treat everything in a story as hostile. Slack's own layout lives in bot.
package narrate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/yairfalse/tapio"
)

// Narrator words stories. It is immutable and safe for concurrent use.
type Narrator struct {
	words map[string]*words // by template ID
	names map[tapio.Cause]string
}

// New parses the words of all templates and tries each on an example, so that
// a mistake shows at start and not in the night. The error joins one line for
// each mistake and names template and field.
func New(templates []tapio.Template) (*Narrator, error) {
	n := &Narrator{words: map[string]*words{}, names: map[tapio.Cause]string{}}
	examples := samples()
	var errs []error
	for _, t := range templates {
		w, es := parseWords(t, examples)
		errs = append(errs, es...)
		n.words[t.ID] = w
		if t.Cause != tapio.CauseUnknown && n.names[t.Cause] == "" {
			n.names[t.Cause] = t.Name
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return n, nil
}

// Lint reports every mistake in the words of a template: what doesn't parse,
// variables that do not exist, words that fail on an example or on a story
// that lacks every fact, and words that must be there and are not.
func Lint(t tapio.Template) []error {
	_, errs := parseWords(t, samples())
	return errs
}

// Tell gives the story its words. It never loses a story: where the words of
// its template fail, general words take their place and the error says which
// ones failed. A story whose template is not known gets general words without
// an error.
func (n *Narrator) Tell(s *tapio.Story) error {
	bound(s) // gives s its own timeline and news, so that words do not reach what the engine holds
	v := newView(s)
	w := n.words[s.Template]
	if w == nil {
		w = &words{id: s.Template}
	}
	t := &teller{story: s, view: v, words: w, names: n.names}

	for i := range s.Timeline {
		e := &s.Timeline[i]
		e.Description = clip(describe(e, s), maxLine)
	}
	s.Intent = clip(intent(s, v), maxLine)
	s.Title = t.title()
	s.Summary = t.summary()
	s.RootCause = t.rootCause()
	s.Impact = t.impact()
	s.Resolution = clip(resolution(s, v), maxSentence)
	s.Recommendations = t.recommendations()
	s.NextAction = t.nextAction()
	s.RunbookLinks = runbooks(w.runbook, s.Owner.Runbook)
	t.news()
	return errors.Join(t.errs...)
}

// teller words one story.
type teller struct {
	story *tapio.Story
	view  *View
	words *words
	names map[tapio.Cause]string
	errs  []error
}

// run executes one field of the template's words. It returns "" where there is
// none or where it fails; the failure is kept.
func (t *teller) run(f *field, limit int) string {
	if f == nil {
		return ""
	}
	text, err := f.execute(t.view)
	if err != nil {
		t.errs = append(t.errs, fmt.Errorf("template %q: %s: %w", t.words.id, f.name, err))
		return ""
	}
	// A quotation that ends in a full stop ends its sentence too.
	return clip(strings.ReplaceAll(oneLine(text), ".”.", ".”"), limit)
}

func (t *teller) title() string {
	if text := t.run(t.words.title, maxTitle); text != "" {
		return text
	}
	return clip(generalTitle(t.story, t.view), maxTitle)
}

func (t *teller) impact() string {
	if text := t.run(t.words.impact, maxSentence); text != "" {
		return text
	}
	return clip(impact(t.story, t.view), maxSentence)
}

func (t *teller) recommendations() []string {
	out := []string{}
	for _, f := range t.words.recommendations {
		if text := t.run(f, maxLine); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// generalTitle is the title of a story whose template has no words.
func generalTitle(s *tapio.Story, v *View) string {
	switch {
	case s.Subject.Kind == tapio.KindNode:
		return fmt.Sprintf("Node %s %s in trouble", v.Workload, v.Is)
	case s.Subject.Kind == tapio.KindService:
		return fmt.Sprintf("Service %s %s in trouble", v.Workload, v.Is)
	default:
		return fmt.Sprintf("%s %s failing", v.Who, v.Is)
	}
}

// intent says what was being attempted when it failed.
func intent(s *tapio.Story, v *View) string {
	if t := s.Trigger; t != nil {
		name := nameOf(t.Entity, s)
		switch t.Type {
		case tapio.WorkloadRollout:
			switch {
			case reasonOf(s, t.Evidence) == "Created":
				return "Create " + name
			case reasonOf(s, t.Evidence) == "Restarted":
				return "Restart " + name
			case v.Revision != "":
				return "Roll out revision " + v.Revision + " of " + name
			}
			return "Roll out a change of " + name
		case tapio.WorkloadScaled:
			return "Scale " + name
		case tapio.ConfigChanged, tapio.ServiceChanged, tapio.QuotaChanged, tapio.NodeChanged:
			return "Change " + name
		}
	}
	switch s.Subject.Kind {
	case tapio.KindNode:
		return "Keep node " + v.Workload + " ready"
	case tapio.KindService:
		return "Serve traffic through " + nameOf(s.Subject, s)
	case tapio.KindJob:
		return "Run Job " + v.Workload + " to its end"
	case tapio.KindPod:
		return "Run pod " + v.Workload
	}
	if s.Scope.PodsWanted > 0 && s.Scope.Workloads <= 1 {
		return "Run " + count(s.Scope.PodsWanted, "pod") + " of " + v.Workload
	}
	return "Run " + v.Who
}

// runbooks returns the links that are links, the template's first.
func runbooks(links ...string) []string {
	out := []string{}
	for _, l := range links {
		if (strings.HasPrefix(l, "https://") || strings.HasPrefix(l, "http://")) && l == oneLine(l) && !strings.ContainsAny(l, " <>\"`|\\") && len(l) <= 2000 && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}
