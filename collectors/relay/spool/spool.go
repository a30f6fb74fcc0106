// Package spool is the buffer between what a node's agent sees and the engine:
// observations in the order in which they were put, each under a number that
// rises by one, in a file that survives a kill of the agent.
//
// It is bounded by entries and by bytes. Beyond either the oldest go first,
// whether the engine has them or not; of those that no engine had, the spool
// keeps how many, of which source, from when to when, and tells it as a gap in
// front of what follows.
//
// [Spool.Put] never waits for the disk: observations wait in memory, up to a
// bound, until the writer of [Spool.Run] has saved them, many in one write. A
// power cut loses at most what was not written yet; a kill of the process too.
//
// The file is one bbolt database:
//
//	entries   number (8 bytes, big endian) → JSON of the observation
//	meta      "id"      identity of the buffer: numbers count within it
//	          "through" number up to which an engine has acknowledged
//	          "engine"  identity of the engine that did
//	          "lost"    JSON of what was dropped and not told yet
//
// A file that can't be read is moved aside and a new one begun: the spool says
// so as a gap too.
package spool

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/yairfalse/tapio"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Bounds of a spool, where the options give none.
const (
	DefaultEntries = 100_000  // some 20 minutes of a node that sees 80 things a second
	DefaultBytes   = 64 << 20 // at some 600 bytes each, about as many
	// memory is how many observations wait for the disk: two seconds of the
	// heaviest load that the agent is measured with, 5,000 a second.
	memory = 10_000
	// openTimeout bounds the wait for another agent that has the file.
	openTimeout = 2 * time.Second
)

var (
	entries = []byte("entries")
	meta    = []byte("meta")
)

// Options say where a spool is and how much it holds.
type Options struct {
	Dir     string // folder of the file; made where it is missing
	Node    string // name of the node, for the words of gaps
	Entries int    // 0: DefaultEntries
	Bytes   int64  // 0: DefaultBytes
}

func (o *Options) validate() error {
	if o.Dir == "" {
		return errors.New("spool: name a folder for the buffer")
	}
	if o.Entries < 0 || o.Bytes < 0 {
		return errors.New("spool: entries and bytes can't be negative")
	}
	if o.Entries == 0 {
		o.Entries = DefaultEntries
	}
	if o.Bytes == 0 {
		o.Bytes = DefaultBytes
	}
	return nil
}

// Entry is one observation of the spool, as JSON.
type Entry struct {
	Number      uint64
	Observation []byte
}

// Spool is the buffer. Its methods may be called from any goroutine; Run is
// called once.
type Spool struct {
	opts Options
	db   *bolt.DB
	id   string

	disk sync.Mutex // held while entries are added

	mu      sync.Mutex
	pending []tapio.Observation
	missed  map[tapio.Source]*lost // what memory had no room for
	count   int                    // entries in the file; changes with disk held too
	bytes   int64                  // of them; the same
	next    uint64                 // number of the next entry
	through uint64                 // acknowledged
	engine  string                 // by whom
	dropped uint64                 // since the start

	wake  chan struct{} // capacity 1: something is pending
	saved chan struct{} // capacity 1: something was written
}

// Open opens the spool of the folder, or makes one.
func Open(o Options) (*Spool, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open spool: %w; name a folder that the agent may write to", err)
	}
	name := filepath.Join(o.Dir, "spool.db")
	s := &Spool{opts: o, missed: map[tapio.Source]*lost{}, wake: make(chan struct{}, 1), saved: make(chan struct{}, 1)}
	err := s.open(name)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open spool: another agent has %s; end that one first", name)
	}
	if isDamage(err) {
		damaged := err
		began := time.Now()
		if info, err := os.Stat(name); err == nil {
			began = info.ModTime()
		}
		if err := os.Rename(name, name+".damaged"); err != nil {
			return nil, fmt.Errorf("open spool: %w; move it aside: %w", damaged, err)
		}
		if err = s.open(name); err == nil {
			s.miss(tapio.SourceAgent, utc(began), 0, "the agent's buffer was damaged: "+damaged.Error())
		}
		return s, err
	}
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	return s, nil
}

// errDamaged is what a panic over a damaged file becomes.
var errDamaged = errors.New("the file is damaged")

func isDamage(err error) bool {
	for _, is := range []error{errDamaged, bolterrors.ErrInvalid, bolterrors.ErrChecksum, bolterrors.ErrVersionMismatch} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

func (s *Spool) open(name string) (err error) {
	// bbolt panics on some kinds of damage.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errDamaged, r)
		}
	}()
	db, err := bolt.Open(name, 0o600, &bolt.Options{Timeout: openTimeout, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return err
	}
	s.db, s.count, s.bytes, s.next = db, 0, 0, 1
	err = db.Update(func(tx *bolt.Tx) error {
		list, err := tx.CreateBucketIfNotExists(entries)
		if err != nil {
			return err
		}
		facts, err := tx.CreateBucketIfNotExists(meta)
		if err != nil {
			return err
		}
		if s.id = string(facts.Get([]byte("id"))); s.id == "" {
			s.id = rand.Text()
			if err := facts.Put([]byte("id"), []byte(s.id)); err != nil {
				return err
			}
		}
		if v := facts.Get([]byte("through")); len(v) == 8 {
			s.through = binary.BigEndian.Uint64(v)
		}
		s.engine = string(facts.Get([]byte("engine")))
		s.next = list.Sequence() + 1
		return list.ForEach(func(_, v []byte) error {
			s.count++
			s.bytes += int64(len(v))
			return nil
		})
	})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	return nil
}

// ID is the identity of the buffer.
func (s *Spool) ID() string { return s.id }

// Put adds an observation and never waits. Where memory has no room, because
// the disk is too slow, it is dropped, counted, and told as a gap.
func (s *Spool) Put(o tapio.Observation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) >= memory {
		s.missLocked(source(&o), utc(time.Now()), 1, "the agent's disk was too slow")
		return
	}
	s.pending = append(s.pending, o)
	select {
	case s.wake <- struct{}{}:
	default: // a wake-up that is pending is enough
	}
}

// Run writes what is put until ctx ends, then what is still there, and closes
// the file.
func (s *Spool) Run(ctx context.Context) error {
	for {
		select {
		case <-s.wake:
			if err := s.write(); err != nil {
				return errors.Join(err, s.db.Close())
			}
		case <-ctx.Done():
			return errors.Join(s.write(), s.db.Close())
		}
	}
}

// write saves all that is pending in one transaction and drops what is beyond
// the bounds.
func (s *Spool) write() error {
	s.disk.Lock()
	defer s.disk.Unlock()
	s.mu.Lock()
	pending, missed, through := s.pending, s.missed, s.through
	s.pending, s.missed = nil, map[tapio.Source]*lost{}
	s.mu.Unlock()
	if len(pending) == 0 && len(missed) == 0 {
		return nil
	}
	var added, dropped int
	var grown int64
	var number uint64
	err := s.db.Update(func(tx *bolt.Tx) error {
		list, facts := tx.Bucket(entries), tx.Bucket(meta)
		list.FillPercent = 1 // numbers rise: pages are never written to again
		gone, err := readLost(facts)
		if err != nil {
			return err
		}
		for source, l := range missed {
			join(gone, source, *l)
		}
		number = list.Sequence() + 1
		add := func(o *tapio.Observation) error {
			data, err := json.Marshal(o)
			if err != nil {
				return fmt.Errorf("write an observation: %w", err)
			}
			if err := list.Put(key(number), data); err != nil {
				return err
			}
			number, added, grown = number+1, added+1, grown+int64(len(data))
			return nil
		}
		for i := range pending {
			if err := add(&pending[i]); err != nil {
				return err
			}
		}
		cursor := list.Cursor()
		for k, v := cursor.First(); k != nil && (s.count+added > s.opts.Entries || s.bytes+grown > s.opts.Bytes); k, v = cursor.First() {
			if binary.BigEndian.Uint64(k) > through {
				o, err := tapio.DecodeObservation(v)
				if err == nil {
					join(gone, source(o), lost{From: o.Time, To: o.Time, Dropped: 1, Reason: "the agent's buffer was full"})
				}
				dropped++
			}
			added, grown = added-1, grown-int64(len(v))
			if err := cursor.Delete(); err != nil {
				return err
			}
		}
		return errors.Join(list.SetSequence(number-1), writeLost(facts, gone))
	})
	if err != nil {
		return fmt.Errorf("write spool: %w", err)
	}
	s.mu.Lock()
	s.count, s.bytes, s.next, s.dropped = s.count+added, s.bytes+grown, number, s.dropped+uint64(dropped)
	s.mu.Unlock()
	select {
	case s.saved <- struct{}{}:
	default:
	}
	return nil
}

// Saved delivers after something was written.
func (s *Spool) Saved() <-chan struct{} { return s.saved }

// After returns the entries behind a number, oldest first, up to the bounds.
// Gaps that were not told yet are written first, so that they stand behind all
// that was there when the engine asked and are kept until it has them.
func (s *Spool) After(number uint64, most, bytes int) (out []Entry, err error) {
	if err := s.tellLost(); err != nil {
		return nil, err
	}
	err = s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(entries).Cursor()
		for k, v := c.Seek(key(number + 1)); k != nil && len(out) < most && bytes > 0; k, v = c.Next() {
			out = append(out, Entry{Number: binary.BigEndian.Uint64(k), Observation: slices.Clone(v)})
			bytes -= len(v)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read spool: %w", err)
	}
	return out, nil
}

// Acknowledge notes that the engine has everything up to the number.
func (s *Spool) Acknowledge(engine string, through uint64) error {
	s.mu.Lock()
	same := engine == s.engine && through == s.through
	s.engine, s.through = engine, through
	s.mu.Unlock()
	if same {
		return nil
	}
	return s.db.Update(func(tx *bolt.Tx) error {
		facts := tx.Bucket(meta)
		return errors.Join(facts.Put([]byte("through"), key(through)), facts.Put([]byte("engine"), []byte(engine)))
	})
}

// Resume returns the number behind which an engine is to be told: that which it
// names, where it is the one that was told last; otherwise what was seen since
// the time given is told again, because an engine that starts anew knows
// nothing of it, and all that nobody acknowledged.
func (s *Spool) Resume(engine string, through uint64, since time.Time) (uint64, error) {
	s.mu.Lock()
	known, acknowledged := s.engine == engine, s.through
	s.mu.Unlock()
	if known {
		return through, nil
	}
	from := acknowledged
	err := s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(entries).Cursor()
		k, _ := c.Seek(key(acknowledged))
		if k == nil {
			k, _ = c.Last()
		}
		for ; k != nil; k, _ = c.Prev() {
			n := binary.BigEndian.Uint64(k)
			if n > acknowledged {
				continue
			}
			o, err := tapio.DecodeObservation(tx.Bucket(entries).Get(k))
			if err == nil && o.Time.Before(since) {
				break
			}
			from = n - 1
		}
		return nil
	})
	return from, err
}

// Waiting is how many entries no engine has acknowledged, and how many were
// dropped since the start without that.
func (s *Spool) Waiting() (waiting, dropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting = uint64(len(s.pending))
	if last := s.next - 1; last > s.through {
		waiting += min(last-s.through, uint64(s.count))
	}
	return waiting, s.dropped
}

func key(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }

// utc is a time without the monotonic reading, which JSON can't hold.
func utc(t time.Time) time.Time { return t.UTC().Round(0) }
