// Package recording writes and reads what an engine was fed, so that a replay
// makes the same stories, byte for byte.
//
// A recording is JSON lines, gzip-compressed where the file's name ends in
// .gz. There are three kinds of lines:
//
//	{"recording":1,"cluster":"prod","quiet":"1m0s",…}  the header, first line: the engine's settings
//	{"time":"2026-11-23T10:00:00Z","event":{…}}        an observation: exactly one of event, state and gap
//	{"time":"2026-11-23T10:00:01Z"}                    a tick: the clock that the engine was shown
//
// Every tick is written, not only those that led to something: what a tick
// does depends on what came before it, and the order of ticks and observations
// can't be derived from their times. Thirty bytes a second, most of which gzip
// takes away again, buy an exact replay.
//
// A file without a header, written by hand or by another tool, is a recording
// with the engine's default settings. A half-written last line, as a kill
// leaves it, ends a recording with [Truncated]; anything else that can't be
// read is a [Malformed] with its line.
//
// The package doesn't run the engine and doesn't wait: who plays a recording
// decides how fast.
package recording

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/yairfalse/tapio"
)

// Version is the number in the header of the recordings that this package
// writes, and the highest that it reads.
const Version = 1

// Header is the first line: what the engine was set to.
type Header struct {
	Version  int            `json:"recording"`
	Cluster  string         `json:"cluster,omitempty"`
	Quiet    tapio.Duration `json:"quiet"`
	Reopen   tapio.Duration `json:"reopen"`
	Backlog  bool           `json:"backlog,omitempty"`  // the cluster had never been looked at before
	Restored []tapio.Story  `json:"restored,omitempty"` // the stories that the engine began with
}

// Step is one thing that an engine was fed: an observation, or, where that is
// nil, a tick.
type Step struct {
	Time        time.Time
	Observation *tapio.Observation
}

// Truncated says that the last line is only half there.
type Truncated struct{ Line int }

func (e *Truncated) Error() string {
	return fmt.Sprintf("line %d is half-written and was left out; the recording ends there", e.Line)
}

// Malformed says which line can't be read, and why.
type Malformed struct {
	Line int
	Err  error
}

func (e *Malformed) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *Malformed) Unwrap() error { return e.Err }

// ErrEmpty says that a recording holds nothing.
var ErrEmpty = errors.New("the recording is empty; make one with `tapio record -o FILE`")

// decode reads one line: a header or a step.
func decode(data []byte) (*Header, Step, error) {
	var kind struct {
		Version *int            `json:"recording"`
		Time    time.Time       `json:"time"`
		Event   json.RawMessage `json:"event"`
		State   json.RawMessage `json:"state"`
		Gap     json.RawMessage `json:"gap"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return nil, Step{}, fmt.Errorf("not a line of a recording: %w", err)
	}
	switch {
	case kind.Version != nil:
		h := new(Header)
		if err := json.Unmarshal(data, h); err != nil {
			return nil, Step{}, fmt.Errorf("header: %w", err)
		}
		if h.Version < 1 || h.Version > Version {
			return nil, Step{}, fmt.Errorf("the recording has format %d and this tapio reads up to %d; use a newer tapio", h.Version, Version)
		}
		return h, Step{}, nil
	case kind.Event == nil && kind.State == nil && kind.Gap == nil:
		if kind.Time.IsZero() {
			return nil, Step{}, errors.New("not a line of a recording: it has no time")
		}
		return nil, Step{Time: kind.Time}, nil
	}
	o, err := tapio.DecodeObservation(data)
	if err != nil {
		return nil, Step{}, err
	}
	return nil, Step{Time: o.Time, Observation: o}, nil
}
