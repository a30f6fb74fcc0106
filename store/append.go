package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/yairfalse/tapio"
)

// Append saves revisions, all or none of them, and returns each with its Seq
// once they are on disk.
//
// A revision that was saved before, told by story ID and revision number, is not
// saved again: what was saved the first time comes back, with its Seq. A revision
// lower than the newest that was never saved is [ErrStale], and one that
// [tapio.Story.Validate] refuses, or that is only suspected, is [ErrInvalid];
// both errors name the story.
//
// A story of more than 256 KiB compressed, or 4 MiB as JSON, is shortened: long
// texts are cut and say so, long lists keep their first and last entries, and a
// Gap of source "store" counts what was left out. The returned revision is what
// was kept. No story that Kubernetes can produce stays too large after that; one
// that does is [ErrTooLarge]. A batch of more than some 1,500 stories is ErrTooLarge
// as well and is split by the caller.
//
// While the disk has less than 32 MiB left, Append returns [ErrDiskFull] and
// saves nothing; it can be tried again.
func (s *Store) Append(ctx context.Context, stories []tapio.Story) ([]tapio.Revision, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, fmt.Errorf("append stories: %w", err)
	}
	defer leave()
	s.write.Lock()
	defer s.write.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("append stories: %w", err)
	}
	start := time.Now()
	b := batch{store: s, seq: s.seq.Load(), stories: make(map[string]*pending)}
	out := make([]tapio.Revision, len(stories))
	err = s.db.View(func(txn *badger.Txn) error {
		b.txn = txn
		for i := range stories {
			if out[i], err = b.add(&stories[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("append stories: %w", err)
	}
	if b.added == 0 {
		return out, nil
	}
	if err := s.checkRoom(roomToWrite); err != nil {
		return nil, fmt.Errorf("append stories: %w", err)
	}
	if err := b.commit(); err != nil {
		return nil, fmt.Errorf("append stories: %w", err)
	}
	s.advance(b.seq)
	s.metrics.revisions.Add(float64(b.added))
	s.metrics.append.Observe(time.Since(start).Seconds())
	return out, nil
}

// advance publishes the last Seq and wakes the readers that wait for it.
func (s *Store) advance(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq.Store(seq)
	close(s.changed)
	s.changed = make(chan struct{})
}

// batch gathers the rows of one append.
type batch struct {
	store   *Store
	txn     *badger.Txn // what was committed before
	seq     uint64
	added   int
	stories map[string]*pending

	early []row // journal rows: seen by nobody before final
	final []row // heads and history
}

// pending is a story as it will be after the rows gathered so far.
type pending struct {
	head  headRecord
	was   [][]byte               // index rows of the newest revision that is stored
	now   [][]byte               // and of the newest one of this batch; nil where it has none
	saved map[int]tapio.Revision // by revision number, those of this batch
}

func (b *batch) add(story *tapio.Story) (tapio.Revision, error) {
	if err := checkStory(story); err != nil {
		return tapio.Revision{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	p, err := b.pending(story.ID)
	if err != nil {
		return tapio.Revision{}, err
	}
	if saved, ok, err := b.saved(p, story); ok || err != nil {
		return saved, err
	}
	if story.Revision < p.head.Revision {
		return tapio.Revision{}, fmt.Errorf("story %s revision %d is %w, %d", story.ID, story.Revision, ErrStale, p.head.Revision)
	}
	record, kept, err := b.store.encoder.story(story)
	if err != nil {
		return tapio.Revision{}, err
	}
	if kept != story {
		b.store.metrics.cut.Inc()
		b.store.log.Warn("story was too large and was saved shortened", "story", story.ID, "revision", story.Revision)
	}
	b.seq++
	b.added++
	b.early = append(b.early, set(journalKey(b.seq), record))
	p.now = indexKeys(kept)
	p.head = headRecord{Seq: b.seq, Revision: story.Revision, Status: story.Status, Updated: story.Updated}
	head, err := encodeHead(p.head)
	if err != nil {
		return tapio.Revision{}, fmt.Errorf("story %s: %w", story.ID, err)
	}
	b.final = append(b.final,
		set(historyKey(story.ID, story.Revision), encodeSeq(b.seq)),
		set(headKey(story.ID), head),
	)
	p.saved[story.Revision] = tapio.Revision{Seq: b.seq, Story: *kept}
	return p.saved[story.Revision], nil
}

// pending reads what is stored of a story, once.
func (b *batch) pending(id string) (*pending, error) {
	if p := b.stories[id]; p != nil {
		return p, nil
	}
	p := &pending{saved: make(map[int]tapio.Revision)}
	b.stories[id] = p
	v, err := get(b.txn, headKey(id))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("story %s: %w", id, err)
	}
	if p.head, err = decodeHead(v); err != nil {
		// The history still says which revision was the newest.
		b.store.report("head record of story %s %v; written anew", id, err)
		p.head, err = b.store.headFromHistory(b.txn, id)
		if err != nil {
			return nil, err
		}
	}
	if last, err := b.store.revision(b.txn, p.head.Seq); err == nil {
		p.was = indexKeys(&last.Story)
	}
	return p, nil
}

// saved returns the revision as it was saved before, in this batch or earlier.
func (b *batch) saved(p *pending, story *tapio.Story) (tapio.Revision, bool, error) {
	if r, ok := p.saved[story.Revision]; ok {
		return r, true, nil
	}
	v, err := get(b.txn, historyKey(story.ID, story.Revision))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return tapio.Revision{}, false, nil
	}
	if err != nil {
		return tapio.Revision{}, false, fmt.Errorf("story %s revision %d: %w", story.ID, story.Revision, err)
	}
	seq, ok := decodeSeq(v)
	if !ok {
		b.store.report("history of story %s revision %d is no number; saved again", story.ID, story.Revision)
		return tapio.Revision{}, false, nil
	}
	r, err := b.store.revision(b.txn, seq)
	if err != nil {
		// Its number stands, and so does what the caller says it was.
		return tapio.Revision{Seq: seq, Story: *story}, true, nil
	}
	return r, true, nil
}

// indexKeys returns the keys of the rows that find a story whose newest
// revision this is.
func indexKeys(s *tapio.Story) [][]byte {
	keys := [][]byte{timeKey(s.Updated, s.ID)}
	for _, t := range terms(s) {
		keys = append(keys, t.key(s.ID))
	}
	return keys
}

// index returns the index rows that the batch adds, and those that it leaves
// without a reason.
func (b *batch) index() (add, remove []row) {
	for _, p := range b.stories {
		if p.now == nil {
			continue
		}
		was, now := make(map[string]bool), make(map[string]bool)
		for _, k := range p.was {
			was[string(k)] = true
		}
		for _, k := range p.now {
			now[string(k)] = true
			if !was[string(k)] {
				add = append(add, set(k, nil))
			}
		}
		for _, k := range p.was {
			if !now[string(k)] {
				remove = append(remove, del(k))
			}
		}
	}
	return add, remove
}

// commit writes the batch: in one transaction where it fits, otherwise as the
// package comment describes.
func (b *batch) commit() error {
	add, remove := b.index()
	early := append(b.early, add...)
	final := append(b.final, set(seqKey(), encodeSeq(b.seq)))
	err := b.store.commit(slices.Concat(early, final, remove))
	if !errors.Is(err, badger.ErrTxnTooBig) {
		return err
	}
	if err := b.store.commitParts(early); err != nil {
		return err
	}
	err = b.store.commit(final)
	if errors.Is(err, badger.ErrTxnTooBig) {
		_, uncommitted := b.store.journalRows(b.store.seq.Load())
		err = fmt.Errorf("%d stories at once are %w; append them in smaller batches", len(b.stories), ErrTooLarge)
		return errors.Join(err, b.store.commitParts(uncommitted))
	}
	if err != nil {
		return err
	}
	return b.store.commitParts(remove)
}
