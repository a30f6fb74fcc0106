// Package loop owns the engine. One goroutine feeds it observations and the
// clock, gives its stories their words and saves them:
//
//	collector → observations → engine → narrate → save
//	                ▲             │
//	                └─ answers ── wants
//
// What the engine was fed is written to the recording, if there is one, before
// it is judged, so a replay of the recording makes the same stories.
//
// A story that can't be saved is kept and saved with the next try, once a
// second, in order. The bot reads what was saved, never this package, so a
// slow Slack can't slow the engine. The package judges nothing and says
// nothing.
package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
)

// Bounds of what is kept while saving fails. A full disk takes a person some
// minutes; after that a restart, which reads the cluster anew, is better than
// memory that grows.
const (
	maxUnsaved     = 10_000 // revisions, some 100 MB
	maxUnsavedTime = 10 * time.Minute
)

// stopTimeout bounds the last save when the loop is told to stop.
const stopTimeout = 5 * time.Second

// Engine is what the loop feeds: an *engine.Engine.
type Engine interface {
	Observe(*tapio.Observation) ([]tapio.Story, []tapio.Want)
	Tick(now time.Time) []tapio.Story
}

// Narrator gives stories their words: a *narrate.Narrator.
type Narrator interface {
	Tell(*tapio.Story) error
}

// Memory remembers what the engine was fed lately: a *blackbox.Box.
type Memory interface {
	Observe(*tapio.Observation) error
	Tick(now time.Time) error
}

// Options is what a Loop joins.
type Options struct {
	Engine     Engine
	Narrator   Narrator
	Save       func(context.Context, []tapio.Story) error
	Ask        func(context.Context, tapio.Want) // nil: nobody answers wants
	Recording  *recording.Writer                 // nil: nothing is recorded; the caller closes it
	Memory     Memory                            // nil: nothing is remembered
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

func (o *Options) validate() error {
	if o.Engine == nil || o.Narrator == nil || o.Save == nil || o.Log == nil {
		return errors.New("loop: engine, narrator, save and log are all needed")
	}
	return nil
}

// Loop feeds one engine. One goroutine calls its methods, but for Lacking.
type Loop struct {
	opts    Options
	metrics metrics

	unsaved []tapio.Story
	since   time.Time // when saving began to fail
	lacking atomic.Pointer[string]
}

// New returns a Loop.
func New(o Options) (*Loop, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	l := &Loop{opts: o, metrics: newMetrics()}
	if o.Registerer != nil {
		if err := l.metrics.register(o.Registerer); err != nil {
			return nil, fmt.Errorf("loop: %w", err)
		}
	}
	return l, nil
}

// Run feeds the engine what comes in, and the wall clock once a second, until
// in is closed or ctx ends; then it feeds what is already waiting, and saves.
// It returns an error where stories could not be saved for too long or the
// recording could not be written.
func (l *Loop) Run(ctx context.Context, in <-chan tapio.Observation) error {
	clock := time.NewTicker(time.Second)
	defer clock.Stop()
	for {
		select {
		case o, ok := <-in:
			if !ok {
				return l.finish(ctx)
			}
			if err := l.Observe(ctx, &o); err != nil {
				return err
			}
			if r := l.opts.Recording; r != nil && len(in) == 0 {
				if err := r.Flush(); err != nil {
					return err
				}
			}
		case <-clock.C:
			if err := l.Tick(ctx, time.Now()); err != nil {
				return err
			}
		case <-ctx.Done():
			for {
				select {
				case o, ok := <-in:
					if !ok {
						return l.finish(ctx)
					}
					if err := l.Observe(ctx, &o); err != nil {
						return err
					}
				default:
					return l.finish(ctx)
				}
			}
		}
	}
}

// Observe feeds one observation. The caller must not use it afterwards.
func (l *Loop) Observe(ctx context.Context, o *tapio.Observation) error {
	if r := l.opts.Recording; r != nil {
		seen, err := r.Observe(o)
		if err != nil {
			return err
		}
		o = seen
	}
	if m := l.opts.Memory; m != nil {
		if err := m.Observe(o); err != nil { // it only costs a recording that somebody may ask for
			l.opts.Log.Error("an observation is not remembered", "err", err)
		}
	}
	l.metrics.observations.Inc()
	stories, wants := l.opts.Engine.Observe(o)
	if l.opts.Ask != nil {
		for _, w := range wants {
			l.opts.Ask(ctx, w)
		}
	}
	return l.tell(ctx, stories)
}

// Tick shows the engine the clock and tries again to save what could not be
// saved before.
func (l *Loop) Tick(ctx context.Context, now time.Time) error {
	now = now.UTC().Round(0)
	if r := l.opts.Recording; r != nil {
		seen, err := r.Tick(now)
		if err != nil {
			return err
		}
		now = seen
	}
	if m := l.opts.Memory; m != nil {
		if err := m.Tick(now); err != nil {
			l.opts.Log.Error("a tick is not remembered", "err", err)
		}
	}
	if err := l.tell(ctx, l.opts.Engine.Tick(now)); err != nil {
		return err
	}
	if len(l.unsaved) > 0 {
		return l.save(ctx)
	}
	return nil
}

// Lacking says in one line what is wrong with saving, or nothing. It may be
// called from any goroutine.
func (l *Loop) Lacking() string {
	if text := l.lacking.Load(); text != nil {
		return *text
	}
	return ""
}

// tell words the stories and saves them.
func (l *Loop) tell(ctx context.Context, stories []tapio.Story) error {
	if len(stories) == 0 {
		return nil
	}
	for i := range stories {
		if err := l.opts.Narrator.Tell(&stories[i]); err != nil {
			// The story has general words instead.
			l.opts.Log.Error("words of a template failed", "story", stories[i].ID, "template", stories[i].Template, "err", err)
		}
		l.metrics.time(&stories[i])
	}
	l.metrics.revisions.Add(float64(len(stories)))
	waiting := len(l.unsaved) > 0
	l.unsaved = append(l.unsaved, stories...)
	if waiting {
		return l.bounded() // tried once a second, with the tick
	}
	return l.save(ctx)
}

func (l *Loop) save(ctx context.Context) error {
	err := l.opts.Save(ctx, l.unsaved)
	if err != nil && ctx.Err() != nil {
		return nil // told to stop: finish saves
	}
	if err != nil {
		if l.since.IsZero() {
			l.since = time.Now()
			l.opts.Log.Error("stories can't be saved; trying again every second", "err", err)
		}
		text := fmt.Sprintf("store: stories can't be saved: %v", err)
		l.lacking.Store(&text)
		l.metrics.unsaved.Set(float64(len(l.unsaved)))
		if time.Since(l.since) > maxUnsavedTime {
			return fmt.Errorf("save stories: failing for %s: %w", maxUnsavedTime, err)
		}
		return l.bounded()
	}
	if !l.since.IsZero() {
		l.opts.Log.Info("stories are saved again", "revisions", len(l.unsaved))
		l.since = time.Time{}
		l.lacking.Store(nil)
	}
	l.unsaved = nil
	l.metrics.unsaved.Set(0)
	return nil
}

func (l *Loop) bounded() error {
	if len(l.unsaved) > maxUnsaved {
		return fmt.Errorf("save stories: more than %d revisions wait; %s", maxUnsaved, l.Lacking())
	}
	return nil
}

// finish saves what is left, also when ctx has ended.
func (l *Loop) finish(ctx context.Context) error {
	if r := l.opts.Recording; r != nil {
		if err := r.Flush(); err != nil {
			return err
		}
	}
	if len(l.unsaved) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := l.opts.Save(ctx, l.unsaved); err != nil {
		return fmt.Errorf("save the last %d revisions: %w", len(l.unsaved), err)
	}
	l.unsaved = nil
	return nil
}
