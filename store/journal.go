package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/yairfalse/tapio"
)

// Bounds of one answer of Revisions: how many revisions where the caller names
// no number, and after how many bytes of records it ends early, so that one
// answer stays small in memory.
const (
	defaultRevisions = 100
	maxAnswer        = 4 << 20
)

// Revisions returns revisions after the given Seq, oldest first, at most max of
// them (0 means 100), fewer where they are large. It waits until there is one,
// until ctx ends (its error comes back) or until Close ([ErrClosed]). A reader
// passes the last Seq that it has dealt with, 0 to start at the oldest that is
// kept. Revisions that were swept are passed over. So are records that can't be
// read; [Store.Damage] lists them.
//
// A cursor beyond the journal is [ErrAhead].
func (s *Store) Revisions(ctx context.Context, after uint64, max int) ([]tapio.Revision, error) {
	if max <= 0 {
		max = defaultRevisions
	}
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		found, last, err := s.readJournal(ctx, after, max)
		if err != nil {
			return nil, fmt.Errorf("read journal after %d: %w", after, err)
		}
		if len(found) > 0 {
			return found, nil
		}
		after = last
		select {
		case <-changed:
		case <-s.closed:
			return nil, fmt.Errorf("read journal after %d: %w", after, ErrClosed)
		case <-ctx.Done():
			return nil, fmt.Errorf("read journal after %d: %w", after, ctx.Err())
		}
	}
}

// readJournal returns what is there now, and the Seq up to which it looked.
func (s *Store) readJournal(ctx context.Context, after uint64, max int) ([]tapio.Revision, uint64, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	committed := s.seq.Load()
	if after > committed {
		return nil, 0, fmt.Errorf("%w, which ends at %d", ErrAhead, committed)
	}
	var out []tapio.Revision
	bytes := 0
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(withValues([]byte{spaceJournal}))
		defer it.Close()
		for it.Seek(journalKey(after + 1)); it.Valid() && len(out) < max && bytes < maxAnswer; it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			key := it.Item().Key()
			if len(key) != 9 {
				s.report("journal key %x is no key; skipped", key)
				continue
			}
			seq := binary.BigEndian.Uint64(key[1:])
			if seq > committed {
				break
			}
			r, err := s.decodeItem(it.Item(), seq)
			if err != nil {
				continue
			}
			bytes += int(it.Item().ValueSize())
			out = append(out, r)
		}
		return nil
	})
	return out, committed, err
}

// decodeItem reads a journal row and reports one that can't be read.
func (s *Store) decodeItem(item *badger.Item, seq uint64) (tapio.Revision, error) {
	var story tapio.Story
	err := item.Value(func(v []byte) error {
		var err error
		story, err = decodeStory(v)
		return err
	})
	if err != nil {
		s.report("revision record %d %v; skipped", seq, err)
		return tapio.Revision{}, fmt.Errorf("revision record %d %v: %w", seq, err, ErrDamaged)
	}
	return tapio.Revision{Seq: seq, Story: story}, nil
}

// revision reads one revision and reports one that can't be read.
func (s *Store) revision(txn *badger.Txn, seq uint64) (tapio.Revision, error) {
	item, err := txn.Get(journalKey(seq))
	if err != nil {
		s.report("revision record %d can't be read: %v", seq, err)
		return tapio.Revision{}, fmt.Errorf("revision record %d can't be read: %v: %w", seq, err, ErrDamaged)
	}
	return s.decodeItem(item, seq)
}

// seqs returns the Seqs of a story's revisions by revision number, lowest first.
func (s *Store) seqs(txn *badger.Txn, id string) (revisions []int, seqs []uint64) {
	prefix := historyPrefix(id)
	it := txn.NewIterator(withValues(prefix))
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		key := it.Item().Key()[len(prefix):]
		v, err := it.Item().ValueCopy(nil)
		seq, ok := decodeSeq(v)
		if err != nil || !ok || len(key) != 8 {
			s.report("history of story %s has a row %x that can't be read; skipped", id, key)
			continue
		}
		revisions = append(revisions, int(binary.BigEndian.Uint64(key)))
		seqs = append(seqs, seq)
	}
	return revisions, seqs
}

// headFromHistory makes a head where its record is damaged.
func (s *Store) headFromHistory(txn *badger.Txn, id string) (headRecord, error) {
	revisions, seqs := s.seqs(txn, id)
	for i := len(seqs) - 1; i >= 0; i-- {
		r, err := s.revision(txn, seqs[i])
		if err != nil {
			continue
		}
		return headRecord{Seq: seqs[i], Revision: revisions[i], Status: r.Story.Status, Updated: r.Story.Updated}, nil
	}
	return headRecord{}, fmt.Errorf("story %s: no revision of it can be read: %w", id, ErrDamaged)
}

// head reads the head of a story.
func (s *Store) head(txn *badger.Txn, id string) (headRecord, error) {
	v, err := get(txn, headKey(id))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return headRecord{}, fmt.Errorf("story %s: %w", id, ErrNotFound)
	}
	if err == nil {
		var h headRecord
		if h, err = decodeHead(v); err == nil {
			return h, nil
		}
	}
	s.report("head record of story %s %v; read from its history", id, err)
	return s.headFromHistory(txn, id)
}

// newest reads the newest revision of a story that can be read.
func (s *Store) newest(txn *badger.Txn, id string, h headRecord) (tapio.Story, error) {
	r, err := s.revision(txn, h.Seq)
	if err == nil {
		return r.Story, nil
	}
	if h, err = s.headFromHistory(txn, id); err != nil {
		return tapio.Story{}, err
	}
	r, err = s.revision(txn, h.Seq)
	return r.Story, err
}

// Story returns the newest revision of the story with the ID, or with the only
// ID that starts so. The error is [ErrNotFound], or an [*AmbiguousError] with
// the IDs that it may mean.
//
// Where the newest revision can't be read, the newest one that can is returned
// and [Store.Damage] says so; where none can, the error is [ErrDamaged].
func (s *Store) Story(ctx context.Context, id string) (tapio.Story, error) {
	var out tapio.Story
	err := s.view(ctx, func(txn *badger.Txn) error {
		full, err := resolve(txn, id)
		if err != nil {
			return err
		}
		h, err := s.head(txn, full)
		if err != nil {
			return err
		}
		out, err = s.newest(txn, full, h)
		return err
	})
	return out, err
}

// History returns all kept revisions of the story, oldest first. It takes the
// same IDs and returns the same errors as [Store.Story].
func (s *Store) History(ctx context.Context, id string) ([]tapio.Revision, error) {
	var out []tapio.Revision
	err := s.view(ctx, func(txn *badger.Txn) error {
		full, err := resolve(txn, id)
		if err != nil {
			return err
		}
		_, seqs := s.seqs(txn, full)
		for _, seq := range seqs {
			if r, err := s.revision(txn, seq); err == nil {
				out = append(out, r)
			}
		}
		if len(out) == 0 {
			return fmt.Errorf("story %s: no revision of it can be read: %w", full, ErrDamaged)
		}
		return nil
	})
	return out, err
}

// resolve finds the story that an ID or the start of one means.
func resolve(txn *badger.Txn, id string) (string, error) {
	if id == "" {
		return "", fmt.Errorf("story without id: %w", ErrNotFound)
	}
	it := txn.NewIterator(keysOnly(headKey(id)))
	defer it.Close()
	const most = 20
	var found []string
	for it.Rewind(); it.Valid() && len(found) < most; it.Next() {
		full := string(it.Item().Key()[1:])
		if full == id {
			return id, nil
		}
		found = append(found, full)
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("story %s: %w", id, ErrNotFound)
	case 1:
		return found[0], nil
	}
	return "", &AmbiguousError{Prefix: id, Candidates: found}
}

// view runs a read of one moment.
func (s *Store) view(ctx context.Context, read func(*badger.Txn) error) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.db.View(read)
}
