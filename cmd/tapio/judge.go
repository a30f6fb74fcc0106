package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
	"github.com/yairfalse/tapio/engine"
	"github.com/yairfalse/tapio/narrate"
)

// newJudge makes an engine and the narrator that words its stories. The header
// holds all that the engine is set to, so that the one of a recording makes the
// engine that was recorded.
func newJudge(h recording.Header, templates []tapio.Template) (*engine.Engine, *narrate.Narrator, error) {
	narrator, err := narrate.New(templates)
	if err != nil {
		return nil, nil, fmt.Errorf("words of the templates: %w", err)
	}
	e, err := engine.New(engine.Options{
		Cluster:   h.Cluster,
		Templates: templates,
		Quiet:     time.Duration(h.Quiet),
		Reopen:    time.Duration(h.Reopen),
		Backlog:   h.Backlog,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("templates: %w", err)
	}
	if err := e.Restore(slices.Clone(h.Restored)); err != nil {
		return nil, nil, err
	}
	return e, narrator, nil
}

// steps is what a recording is read from.
type steps interface {
	Next() (recording.Step, error)
}

// play feeds the engine a whole recording and hands each revision, with its
// words, to told. It returns a warning where the last line is half-written.
func play(r steps, e *engine.Engine, n *narrate.Narrator, told func(tapio.Story)) (warning, err error) {
	for {
		step, err := r.Next()
		var half *recording.Truncated
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil
		case errors.As(err, &half):
			return half, nil
		case err != nil:
			return nil, err
		}
		var stories []tapio.Story
		if step.Observation != nil {
			stories, _ = e.Observe(step.Observation) // the answers to wants are in the recording
		} else {
			stories = e.Tick(step.Time)
		}
		for i := range stories {
			if err := n.Tell(&stories[i]); err != nil {
				return nil, fmt.Errorf("words: %w", err)
			}
			told(stories[i])
		}
	}
}

// newest collects the newest revision of each story, in the order in which the
// stories began.
type newest struct {
	place   map[string]int
	stories []tapio.Story
}

func (n *newest) add(s tapio.Story) {
	if i, ok := n.place[s.ID]; ok {
		n.stories[i] = s
		return
	}
	if n.place == nil {
		n.place = map[string]int{}
	}
	n.place[s.ID] = len(n.stories)
	n.stories = append(n.stories, s)
}
