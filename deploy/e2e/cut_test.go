//go:build e2e

package e2e

import (
	"errors"
	"io"
	"iter"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
)

// readSteps reads a whole recording.
func readSteps(t *testing.T, file string) ([]recording.Step, recording.Header) {
	t.Helper()
	r, err := recording.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	header, _ := r.Header()
	var steps []recording.Step
	for {
		step, err := r.Next()
		var half *recording.Truncated
		if errors.Is(err, io.EOF) || errors.As(err, &half) {
			return steps, header
		}
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
}

// cut takes what belongs to one case out of a recording of many.
type cut struct {
	sample
	broken map[string]bool // the nodes that some case breaks
}

// of returns the steps of the case: first the state of what it shares with
// the others, as it was when the case began and as a first listing reports it,
// then what happened in its namespace and around it.
func (c *cut) of(steps []recording.Step) iter.Seq2[recording.Step, error] {
	before := map[tapio.Entity]int{}
	var order []tapio.Entity
	for i, s := range steps {
		o := s.Observation
		if !s.Time.Before(c.begin) {
			break
		}
		if o == nil || o.State == nil || !c.shared(o.State.Entity) {
			continue
		}
		e := o.State.Entity
		if _, known := before[e]; !known {
			order = append(order, e)
		} else if c.quiet(e) {
			continue // as it was at first
		}
		before[e] = i
	}
	return func(yield func(recording.Step, error) bool) {
		for _, e := range order {
			s := steps[before[e]]
			if s.Observation.State.Deleted {
				continue
			}
			state := *s.Observation.State
			state.Listed = true
			at := c.begin.UTC().Round(0)
			if !yield(recording.Step{Time: at, Observation: &tapio.Observation{Time: at, State: &state}}, nil) {
				return
			}
		}
		for _, s := range steps {
			if s.Time.Before(c.begin) {
				continue
			}
			if s.Time.After(c.end) {
				return
			}
			if c.belongs(s.Observation) && !yield(s, nil) {
				return
			}
		}
	}
}

// belongs reports whether a step while the case lasts is part of it.
func (c *cut) belongs(o *tapio.Observation) bool {
	switch {
	case o == nil: // a tick
		return true
	case o.State != nil:
		e := o.State.Entity
		return e.Namespace == c.namespace || c.shared(e) && !c.quiet(e)
	case o.Event != nil:
		e := o.Event.Entity
		return e.Namespace == c.namespace || c.shared(e) && !c.quiet(e) && o.Event.Time.After(c.begin.Add(-10*time.Minute))
	}
	return true // a gap
}

// shared reports whether an entity is of the cluster rather than of a case.
// What a case makes outside its namespace has the namespace's name.
func (c *cut) shared(e tapio.Entity) bool {
	if e.Namespace != "" {
		return !ofCase(e.Namespace)
	}
	return e.Name == c.namespace || !ofCase(e.Name)
}

// quiet reports whether what happens to an entity is the business of another
// case, of one that breaks its node or the control plane, or of the machine that
// plays them all.
func (c *cut) quiet(e tapio.Entity) bool {
	if e.Kind == tapio.KindComponent {
		return !c.expect.Healthy && c.expect.Entity.Kind != tapio.KindComponent
	}
	return e.Kind == tapio.KindNode && !c.everyNode && c.broken[e.Name] && e.Name != c.node
}
