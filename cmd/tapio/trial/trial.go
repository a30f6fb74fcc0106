// Package trial runs the tests that users write next to their templates: it
// shows a small cluster and what happens in it to an engine with the shipped
// templates and the users', and compares the story that comes first with the
// one that is expected.
//
// The engine and the words are the real ones, and time passes second by second
// as it does in `tapio run`. What a test says is described in the README of
// engine/templates.
package trial

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/library"
	"github.com/yairfalse/tapio/engine"
	"github.com/yairfalse/tapio/narrate"
)

// settle is how long a test goes on after its last step where it does not say
// until when: longer than the shipped templates hold a story back.
const settle = 30 * time.Second

// longest bounds a test: what is told so late is no test of a pattern.
const longest = 6 * time.Hour

// Observations makes what a collector would report in the test, and the times
// when the clock ticks between it: ticks have neither event nor state.
func Observations(t library.Test) ([]tapio.Observation, error) {
	w, err := newWorld(t.Cluster)
	if err != nil {
		return nil, err
	}
	var out []tapio.Observation
	now := start
	show := func(states []*tapio.State) {
		for _, s := range states {
			out = append(out, tapio.Observation{Time: now, State: s})
		}
	}
	pass := func(to time.Time) {
		for ; now.Before(to); now = now.Add(time.Second) {
			out = append(out, tapio.Observation{Time: now})
		}
	}
	show(w.states())
	for i, s := range t.Observe {
		at := start.Add(time.Duration(s.At))
		if at.Before(now) {
			return nil, fmt.Errorf("observe[%d].at: %s is before the step above it", i, time.Duration(s.At))
		}
		if at.Sub(start) > longest {
			return nil, fmt.Errorf("observe[%d].at: %s is more than %s", i, time.Duration(s.At), longest)
		}
		pass(at)
		ev, err := w.step(i, s)
		if err != nil {
			return nil, err
		}
		show(w.states())
		out = append(out, tapio.Observation{Time: now, Event: ev})
	}
	end := now.Add(settle)
	if t.Until > 0 {
		end = start.Add(time.Duration(t.Until))
		if end.Before(now) || end.Sub(start) > longest {
			return nil, fmt.Errorf("until: %s is before the last step or more than %s", time.Duration(t.Until), longest)
		}
	}
	pass(end)
	return append(out, tapio.Observation{Time: end}), nil
}

// Tell shows the observations to the engine and returns the stories that it
// told, with their words, the one that matters most first.
func Tell(e *engine.Engine, n *narrate.Narrator, observations []tapio.Observation) ([]tapio.Story, error) {
	var out []tapio.Story
	keep := func(stories []tapio.Story) {
		for _, s := range stories {
			if i := slices.IndexFunc(out, func(o tapio.Story) bool { return o.ID == s.ID }); i >= 0 {
				out[i] = s
			} else {
				out = append(out, s)
			}
		}
	}
	for i := range observations {
		o := &observations[i]
		if o.Event == nil && o.State == nil && o.Gap == nil {
			keep(e.Tick(o.Time))
			continue
		}
		stories, _ := e.Observe(o)
		keep(stories)
	}
	out = slices.DeleteFunc(out, func(s tapio.Story) bool { return s.Status == tapio.StatusAbsorbed })
	e.Order(out)
	for i := range out {
		if err := n.Tell(&out[i]); err != nil {
			return nil, fmt.Errorf("words: %w", err)
		}
	}
	return out, nil
}

// Compare returns what is wrong with the stories, one error for each field.
func Compare(x library.Expect, stories []tapio.Story) error {
	if x == (library.Expect{}) {
		return errors.New("expect: is missing; say at least template, cause or none: true")
	}
	if x.None {
		if len(stories) > 0 {
			s := stories[0]
			return fmt.Errorf("expect.none: told %q (template %s)", s.Title, s.Template)
		}
		return nil
	}
	if len(stories) == 0 {
		return errors.New("expect: nothing was told; a story is told once what it is about is not ready and its hold time is over (see until)")
	}
	s := stories[0]
	var errs []error
	for _, f := range []struct{ field, want, got string }{
		{"template", x.Template, s.Template},
		{"cause", string(x.Cause), string(s.Cause)},
		{"entity", x.Entity, s.CauseEntity.String()},
		{"standing", string(x.Standing), string(s.Standing)},
		{"severity", string(x.Severity), string(s.Severity)},
		{"title", x.Title, s.Title},
		{"root_cause", x.RootCause, s.RootCause},
		{"action", x.Action, s.NextAction.Command},
	} {
		if f.want != "" && strings.TrimSpace(f.want) != f.got {
			errs = append(errs, fmt.Errorf("expect.%s: want %q, told %q", f.field, f.want, f.got))
		}
	}
	return errors.Join(errs...)
}
