package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// DefaultRetention is how long a closed story is kept where Options says
// nothing: one month, so that "seen before" reaches over a monthly cycle.
const DefaultRetention = 30 * 24 * time.Hour

// Options says where and how a store is kept.
type Options struct {
	// Dir is the folder of the store. It is made where it is missing. A folder
	// below a volume's mount point is better than the mount point: it can be
	// moved aside.
	Dir string
	// InMemory keeps everything in memory and loses it on Close. Dir is empty.
	InMemory bool
	// Log takes what nobody asked about. It must be set.
	Log *slog.Logger
	// Retention is how long a resolved or absorbed story is kept after its last
	// revision; 0 means DefaultRetention.
	Retention time.Duration
	// Registerer takes the metrics tapio_store_…; nil means none.
	Registerer prometheus.Registerer
}

func (o *Options) validate() error {
	switch {
	case o.Log == nil:
		return errors.New("open store: options have no log")
	case o.InMemory && o.Dir != "":
		return errors.New("open store: a store in memory has no folder")
	case !o.InMemory && o.Dir == "":
		return errors.New("open store: no folder given")
	case o.Retention < 0:
		return fmt.Errorf("open store: retention %s is negative", o.Retention)
	}
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	return nil
}

// Store is an open store. Its methods may be called from any goroutine.
type Store struct {
	opts     Options
	db       *badger.DB
	log      *slog.Logger
	damage   damageList
	metrics  metrics
	unlisted []string                                   // tables that inspect set aside
	space    func(dir string) (free uint64, known bool) // of the disk

	gate    sync.RWMutex // held for reading by every call, for writing by Close
	closed  chan struct{}
	closing sync.Once

	write   sync.Mutex            // one writer at a time: Seq order is commit order
	failed  atomic.Pointer[error] // the first write that failed half way; no more are taken
	encoder encoder               // guarded by write
	rows    uint64                // in the journal; guarded by write

	seq     atomic.Uint64 // given last and committed
	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, when seq grows; guarded by mu
}

// Open opens the store, or makes one. Where the folder can't be used or trusted
// the error is an [*OpenError] that says why and how to go on.
func Open(o Options) (*Store, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Store{
		opts: o, log: o.Log, space: freeSpace, metrics: newMetrics(),
		closed: make(chan struct{}), changed: make(chan struct{}),
	}
	var lost bool
	if !o.InMemory {
		dir, err := filepath.Abs(o.Dir)
		if err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
		s.opts.Dir = dir
		if lost, err = s.inspect(); err != nil {
			return nil, err
		}
	}
	db, err := badger.Open(badgerOptions(s.opts))
	if err != nil {
		return nil, openError(s.opts.Dir, err)
	}
	s.db = db
	if err := s.begin(lost); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := s.metrics.register(o.Registerer, s); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), db.Close())
	}
	return s, nil
}

// lostSeqs is how many numbers are left out after a damage that may have taken
// revisions with it, so that none of theirs is given again.
const lostSeqs = 1_000_000

// begin reads the format, the last Seq and the count of journal rows, and
// removes the journal rows of an append that was cut short.
func (s *Store) begin(lost bool) error {
	var last, counted uint64
	var format formatRecord
	err := s.db.View(func(txn *badger.Txn) error {
		v, err := get(txn, formatKey())
		if err == nil {
			err = json.Unmarshal(v, &format)
		}
		if err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
			return damaged(s.opts.Dir, "the format record can't be read: %v", err)
		}
		if last, err = getNumber(txn, seqKey()); err != nil {
			return damaged(s.opts.Dir, "the last sequence number can't be read: %v", err)
		}
		if counted, err = getNumber(txn, rowsKey()); err != nil {
			return damaged(s.opts.Dir, "the count of revisions can't be read: %v", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if format.Version > recordVersion {
		return &OpenError{
			Dir: s.opts.Dir, Reason: ErrNewer,
			Detail: fmt.Sprintf("its records have version %d, written by Tapio %s; this is Tapio %s, which reads up to version %d", format.Version, format.Writer, writerVersion(), recordVersion),
			Hint:   "Run that version or a newer one. " + moveHint(s.opts.Dir),
		}
	}
	rows, uncommitted := s.journalRows(last)
	if rows != counted {
		lost = true
		s.report("the journal holds %d revisions, %d were saved; the others are lost with a damaged file", rows, counted)
	}
	if err := s.settleUnlisted(lost); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if lost {
		last += lostSeqs
	}
	s.rows = rows
	s.seq.Store(last)
	v, err := json.Marshal(formatRecord{Version: recordVersion, Writer: writerVersion()})
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	// Written at every start, so that the new memtable's log is on disk with
	// its header: one without is known to be damaged.
	if err := s.commit([]row{set(formatKey(), v), set(seqKey(), encodeSeq(last)), set(rowsKey(), encodeSeq(rows))}); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if len(uncommitted) > 0 {
		s.log.Info("removing journal rows of an append that was cut short", "rows", len(uncommitted))
	}
	if err := s.commitParts(uncommitted); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	return nil
}

// journalRows counts the rows of the journal, and returns deletes for those
// above the last Seq.
func (s *Store) journalRows(last uint64) (rows uint64, uncommitted []row) {
	// The error of a read that can't fail: View returns that of the function.
	_ = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(keysOnly([]byte{spaceJournal}))
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			rows++
			if seq, ok := decodeSeq(it.Item().Key()[1:]); ok && seq > last {
				uncommitted = append(uncommitted, del(it.Item().KeyCopy(nil)))
			}
		}
		return nil
	})
	return rows, uncommitted
}

// Close ends every waiting reader and closes the store. What was appended is on
// disk already.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.closed)
		s.gate.Lock()
		defer s.gate.Unlock()
		s.metrics.unregister()
		if cerr := s.db.Close(); cerr != nil {
			err = fmt.Errorf("close store: %w", cerr)
		}
	})
	return err
}

// enter keeps the store open until leave is called.
func (s *Store) enter() (leave func(), err error) {
	s.gate.RLock()
	select {
	case <-s.closed:
		s.gate.RUnlock()
		return nil, ErrClosed
	default:
		return s.gate.RUnlock, nil
	}
}

// Damage lists what was found damaged since the store was opened and what was
// done about it, each thing once and at most 100 of them. An empty list means
// that nothing was found.
func (s *Store) Damage() []string { return s.damage.all() }

// report notes a damage and logs it the first time.
func (s *Store) report(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if s.damage.add(text) {
		s.metrics.damage.Inc()
		s.log.Error("store is damaged", "damage", text)
	}
}
