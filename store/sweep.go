package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/yairfalse/tapio"
)

// Sweep removes the resolved and absorbed stories whose newest revision is older
// than the retention at now, with all their revisions and index rows, and
// returns how many. Open stories and the ledger stay. It then lets Badger give
// the room back, verifies the checksums of all tables (see [Store.Damage]) and
// removes damaged files that were set aside longer ago than the retention. It is
// meant to be called about once an hour.
func (s *Store) Sweep(ctx context.Context, now time.Time) (removed int, err error) {
	leave, err := s.enter()
	if err != nil {
		return 0, fmt.Errorf("sweep: %w", err)
	}
	defer leave()
	before := now.Add(-s.opts.Retention)
	removed, err = s.removePast(ctx, before)
	if err != nil {
		return 0, fmt.Errorf("sweep: %w", err)
	}
	s.metrics.swept.Add(float64(removed))
	if removed > 0 {
		if err := s.db.Flatten(1); err != nil {
			return removed, fmt.Errorf("sweep: give room back: %w", err)
		}
	}
	if s.opts.InMemory {
		return removed, nil
	}
	s.verify()
	if err := s.forgetSetAside(before); err != nil {
		return removed, fmt.Errorf("sweep: %w", err)
	}
	return removed, nil
}

// removePast removes what is past retention and returns how many stories.
// Appends wait for it.
func (s *Store) removePast(ctx context.Context, before time.Time) (int, error) {
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.checkRoom(roomToSweep); err != nil {
		return 0, err
	}
	kept, old, err := s.past(ctx, before)
	if err != nil {
		return 0, err
	}
	return len(old), s.remove(ctx, kept, old)
}

// past tells the stories that stay from the closed ones that were last updated
// before the time.
func (s *Store) past(ctx context.Context, before time.Time) (kept map[string]bool, old []string, err error) {
	kept = make(map[string]bool)
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(keysOnly([]byte{spaceHead}))
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			id := string(it.Item().Key()[1:])
			h, err := s.head(txn, id)
			if err == nil && h.Status != tapio.StatusOpen && h.Updated.Before(before) {
				old = append(old, id)
			} else {
				kept[id] = true
			}
		}
		return nil
	})
	return kept, old, err
}

// remove removes the heads of stories, from when on nothing finds them, and
// then every row that belongs to no story. So a sweep that was cut short is
// ended by the next one.
func (s *Store) remove(ctx context.Context, kept map[string]bool, old []string) error {
	rows := make([]row, 0, len(old))
	for _, id := range old {
		rows = append(rows, del(headKey(id)))
	}
	if err := s.commitParts(rows); err != nil {
		return err
	}
	for _, space := range []byte{spaceHistory, spaceTime, spacePod, spaceWorkload, spaceNamespace, spaceCause} {
		rows, err := s.ownerless(ctx, space, kept)
		if err != nil {
			return err
		}
		if err := s.commitParts(rows); err != nil {
			return err
		}
	}
	return nil
}

// ownerless returns deletes for the rows of a space that belong to none of the
// kept stories; for a history row, of its revision too.
func (s *Store) ownerless(ctx context.Context, space byte, kept map[string]bool) ([]row, error) {
	var rows []row
	err := s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(keysOnly([]byte{space}))
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			key := it.Item().KeyCopy(nil)
			id, ok := owner(key)
			if !ok {
				s.report("key %x is no key; skipped", key)
				continue
			}
			if kept[id] {
				continue
			}
			if space == spaceHistory {
				if v, err := it.Item().ValueCopy(nil); err == nil {
					if seq, ok := decodeSeq(v); ok && exists(txn, journalKey(seq)) {
						rows = append(rows, del(journalKey(seq)))
					}
				}
			}
			rows = append(rows, del(key))
		}
		return nil
	})
	return rows, err
}

func exists(txn *badger.Txn, key []byte) bool {
	_, err := txn.Get(key)
	return err == nil
}

// owner returns the story that a history or index row belongs to.
func owner(key []byte) (id string, ok bool) {
	switch key[0] {
	case spaceHistory:
		n := len(key) - 9
		return string(key[1:max(n, 1)]), n > 1 && key[n] == 0
	case spaceTime:
		_, id, ok = parseTimeKey(key)
	default:
		_, id, ok = parseTerm(key)
	}
	return id, ok
}

// verify reads every block of every table and reports one whose checksum is
// wrong: a disk can fail under a file that was good when it was opened.
func (s *Store) verify() {
	defer func() {
		if r := recover(); r != nil {
			s.report("a table has a block that can't be read: %v", firstLine(fmt.Sprint(r)))
		}
	}()
	if err := s.db.VerifyChecksum(); err != nil {
		s.report("a table has a block that can't be trusted: %s", firstLine(err.Error()))
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// forgetSetAside removes files that inspect set aside before the time.
func (s *Store) forgetSetAside(before time.Time) error {
	entries, err := os.ReadDir(s.opts.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasSuffix(e.Name(), asideSuffix) || !info.Mode().IsRegular() || !info.ModTime().Before(before) {
			continue
		}
		name := filepath.Join(s.opts.Dir, e.Name())
		if err := os.Remove(name); err != nil {
			return err
		}
		s.log.Info("removed a damaged file that was set aside before the retention", "file", name)
	}
	return nil
}
