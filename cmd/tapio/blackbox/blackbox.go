// Package blackbox remembers what the engine was fed lately, so that an
// incident can be recorded after somebody says that its story was wrong.
//
// It keeps the last steps, compressed, within a bound of bytes and time. What
// falls out leaves one thing behind: the last state of each object, because a
// recording without the objects that were there before would replay to other
// stories. The states have a bound too; where it is reached the oldest go, and
// a recording says so with a gap.
//
// A Box is fed by the goroutine that owns the engine and read by others. It
// judges nothing, and writes nothing by itself.
package blackbox

import (
	"bytes"
	"compress/gzip"
	"container/list"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
)

// The bounds where Options leaves them open. JSON of observations compresses to
// a tenth, so the defaults hold some 80 MB of it.
const (
	defaultFor    = 2 * time.Hour // the longest incident that can still be recorded from before its onset
	defaultBytes  = 8 << 20       // of compressed steps
	defaultStates = 32 << 20      // of states as JSON: some 30,000 pods
	chunkBytes    = 512 << 10     // of JSON in one compressed piece
)

// Options bounds a Box. Zero fields have defaults.
type Options struct {
	For    time.Duration // how far back
	Bytes  int           // compressed steps
	States int           // bytes of states of objects that fell out of the steps
}

// Box remembers steps. Make it with New.
type Box struct {
	opts Options

	mu     sync.Mutex
	chunks []chunk // oldest first
	size   int     // bytes of all chunks
	open   bytes.Buffer
	opened time.Time // of the first step in open
	last   time.Time // of the last step

	states map[tapio.Entity]*list.Element // of *state
	order  *list.List                     // the state that changed longest ago first
	weight int                            // bytes of all states
	lost   int                            // states that had to go
}

// chunk is a compressed piece of steps.
type chunk struct {
	from, to time.Time
	data     []byte
}

type state struct {
	entity tapio.Entity
	line   []byte // nil: it was deleted
}

// New makes a box.
func New(o Options) *Box {
	if o.For <= 0 {
		o.For = defaultFor
	}
	if o.Bytes <= 0 {
		o.Bytes = defaultBytes
	}
	if o.States <= 0 {
		o.States = defaultStates
	}
	return &Box{opts: o, states: map[tapio.Entity]*list.Element{}, order: list.New()}
}

// Observe remembers an observation.
func (b *Box) Observe(o *tapio.Observation) error {
	line, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("remember observation: %w", err)
	}
	return b.add(line, o.Time)
}

// Tick remembers that the engine was shown the clock.
func (b *Box) Tick(now time.Time) error {
	line, err := json.Marshal(struct {
		Time time.Time `json:"time"`
	}{now.UTC().Round(0)})
	if err != nil {
		return fmt.Errorf("remember tick: %w", err)
	}
	return b.add(line, now)
}

func (b *Box) add(line []byte, at time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.Len() == 0 {
		b.opened = at
	}
	b.open.Write(line)
	b.open.WriteByte('\n')
	b.last = at
	if b.open.Len() < chunkBytes {
		return nil
	}
	c := chunk{from: b.opened, to: at}
	var err error
	if c.data, err = pack(b.open.Bytes()); err != nil {
		return err
	}
	b.chunks = append(b.chunks, c)
	b.size += len(c.data)
	b.open.Reset()
	for len(b.chunks) > 1 && (b.size > b.opts.Bytes || at.Sub(b.chunks[0].to) > b.opts.For) {
		if err := b.drop(); err != nil {
			return err
		}
	}
	return nil
}

func pack(lines []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(lines); err != nil {
		return nil, fmt.Errorf("compress steps: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress steps: %w", err)
	}
	return out.Bytes(), nil
}

// drop forgets the oldest steps but for the last state of each object in them.
func (b *Box) drop() error {
	oldest := b.chunks[0]
	b.chunks = append(b.chunks[:0:0], b.chunks[1:]...)
	b.size -= len(oldest.data)
	lines, err := unpack(oldest.data)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(lines) {
		line = bytes.TrimRight(line, "\n")
		if !bytes.Contains(line, []byte(`"state":`)) {
			continue
		}
		o, err := tapio.DecodeObservation(line)
		if err != nil || o.State == nil {
			continue // a message that only quotes the word
		}
		b.keep(o, line)
	}
	return nil
}

func (b *Box) keep(o *tapio.Observation, line []byte) {
	e := o.State.Entity
	if el := b.states[e]; el != nil {
		b.weight -= len(el.Value.(*state).line)
		b.order.Remove(el)
		delete(b.states, e)
	}
	if o.State.Deleted {
		return
	}
	b.states[e] = b.order.PushBack(&state{e, bytes.Clone(line)})
	b.weight += len(line)
	for b.weight > b.opts.States {
		old := b.order.Remove(b.order.Front()).(*state)
		b.weight -= len(old.line)
		delete(b.states, old.entity)
		b.lost++
	}
}

func unpack(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read steps: %w", err)
	}
	lines, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read steps: %w", err)
	}
	return lines, nil
}

// Steps returns what is remembered from a time on, of the observations that
// wanted takes: first the states of objects that were there before, then the
// steps in their order, ticks included. Where something is missing that a
// replay could need, it begins with a gap.
func (b *Box) Steps(from time.Time, wanted func(*tapio.Observation) bool) iter.Seq2[recording.Step, error] {
	base, pieces, start, lost, err := b.copy(from)
	return func(yield func(recording.Step, error) bool) {
		if err != nil {
			yield(recording.Step{}, err)
			return
		}
		if lost > 0 {
			gap := &tapio.Gap{Source: "tapio", Resource: "states", From: start, To: start, Reason: fmt.Sprintf("the states of %d objects were forgotten", lost)}
			if !yield(recording.Step{Time: start, Observation: &tapio.Observation{Time: start, Gap: gap}}, nil) {
				return
			}
		}
		before := map[tapio.Entity]*tapio.Observation{} // of what lies before from in the steps
		for _, line := range base {
			o, err := tapio.DecodeObservation(line)
			if err != nil {
				yield(recording.Step{}, fmt.Errorf("read a state: %w", err))
				return
			}
			before[o.State.Entity] = o
		}
		begun := false
		begin := func(at time.Time) bool { // the states as they were when the steps begin
			begun = true
			for _, o := range listed(before, at) {
				if wanted(o) && !yield(recording.Step{Time: at, Observation: o}, nil) {
					return false
				}
			}
			return true
		}
		for _, piece := range pieces {
			r, err := recording.NewReader(bytes.NewReader(piece))
			if err != nil {
				yield(recording.Step{}, err)
				return
			}
			for {
				s, err := r.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					yield(recording.Step{}, err)
					return
				}
				if s.Time.Before(from) && !begun {
					if o := s.Observation; o != nil && o.State != nil {
						before[o.State.Entity] = o
						if o.State.Deleted {
							delete(before, o.State.Entity)
						}
					}
					continue
				}
				if !begun && !begin(s.Time) {
					return
				}
				if s.Observation != nil && !wanted(s.Observation) {
					continue
				}
				if !yield(s, nil) {
					return
				}
			}
		}
		if !begun {
			begin(start)
		}
	}
}

// listed turns states into what a listing at that time would have found.
func listed(states map[tapio.Entity]*tapio.Observation, at time.Time) []*tapio.Observation {
	entities := slices.SortedFunc(maps.Keys(states), tapio.Entity.Compare)
	out := make([]*tapio.Observation, 0, len(entities))
	for _, e := range entities {
		o := states[e]
		o.Time, o.State.Listed = at, true
		out = append(out, o)
	}
	return out
}

// copy takes what Steps reads, so that reading holds nobody up.
func (b *Box) copy(from time.Time) (base [][]byte, pieces [][]byte, start time.Time, lost int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for el := b.order.Front(); el != nil; el = el.Next() {
		base = append(base, el.Value.(*state).line)
	}
	for _, c := range b.chunks {
		pieces = append(pieces, c.data)
	}
	if b.open.Len() > 0 {
		last, err := pack(b.open.Bytes())
		if err != nil {
			return nil, nil, time.Time{}, 0, err
		}
		pieces = append(pieces, last)
	}
	start = from
	if len(b.chunks) > 0 && b.chunks[0].from.After(from) {
		start = b.chunks[0].from
	}
	return base, pieces, start, b.lost, nil
}
