// Package lifecycle keeps what was started, so that it can be stopped in
// reverse order.
//
// A part is started, its undoing is named and stacked beside it, the next part
// uses it. [Parts.Stop] undoes the last one first; all share the deadline of
// the context given, and every error is reported. A part that does not end in
// time is named and left behind: the process is about to exit, and waiting
// longer would only turn a clean stop into a kill.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Parts is the stack of running parts. One goroutine owns it.
type Parts struct {
	stops  []part
	failed chan error // capacity 1: the first failure is what stops the process
}

type part struct {
	name string
	stop func(context.Context) error
}

// New returns an empty stack.
func New() *Parts { return &Parts{failed: make(chan error, 1)} }

// Add stacks the undoing of something that was made.
func (p *Parts) Add(name string, stop func(context.Context) error) {
	p.stops = append(p.stops, part{name, stop})
}

// Run starts run in its own goroutine and stacks its undoing: its context is
// cancelled, and it is waited for. If it returns an error, or panics, before it
// was told to stop, [Parts.Failed] delivers that. A nil error before the stop
// means that its work is done.
func (p *Parts) Run(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := guard(ctx, run)
		if ctx.Err() == nil && err != nil {
			select {
			case p.failed <- fmt.Errorf("%s: %w", name, err):
			default: // an earlier failure stops the process already
			}
			err = nil // reported; Stop need not say it again
		}
		done <- err
	}()
	p.Add(name, func(stop context.Context) error {
		cancel()
		select {
		case err := <-done:
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		case <-stop.Done():
			return errors.New("did not stop in time")
		}
	})
}

// Failed delivers the first error of a part that ended by itself.
func (p *Parts) Failed() <-chan error { return p.failed }

// Stop undoes everything, the last part first, within the timeout, and joins
// the errors. The stack is empty afterwards.
func (p *Parts) Stop(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var errs []error
	for i := len(p.stops) - 1; i >= 0; i-- {
		if err := p.stops[i].stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", p.stops[i].name, err))
		}
	}
	p.stops = nil
	return errors.Join(errs...)
}

// guard turns a panic into an error, so that the other parts are stopped in
// order and the store is closed.
func guard(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return run(ctx)
}
