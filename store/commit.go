package store

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// row is one key to write or to delete.
type row struct {
	key, value []byte
	delete     bool
}

func set(key, value []byte) row { return row{key: key, value: value} }

func del(key []byte) row { return row{key: key, delete: true} }

func (r row) apply(txn *badger.Txn) error {
	if r.delete {
		return txn.Delete(r.key)
	}
	return txn.Set(r.key, r.value)
}

// commit writes rows in one transaction, and with them the count of journal
// rows. It returns badger.ErrTxnTooBig, with nothing written, where they are too
// many for one.
func (s *Store) commit(rows []row) error {
	if err := s.failed.Load(); err != nil {
		return fmt.Errorf("an earlier write failed, so no more are taken; restart Tapio to go on from what is safe: %w", *err)
	}
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	count := s.rows
	for _, r := range rows {
		if err := r.apply(txn); err != nil {
			return err
		}
		switch {
		case r.key[0] == spaceJournal && r.delete:
			count--
		case r.key[0] == spaceJournal:
			count++
		}
	}
	if count != s.rows {
		if err := txn.Set(rowsKey(), encodeSeq(count)); err != nil {
			return err
		}
	}
	err := txn.Commit()
	if err == nil {
		s.rows = count
	}
	if err != nil && !errors.Is(err, badger.ErrTxnTooBig) {
		// Badger may hold half of it in memory until it is opened again.
		s.failed.CompareAndSwap(nil, &err)
	}
	return err
}

// commitParts writes rows in order, in as many transactions as they need.
func (s *Store) commitParts(rows []row) error {
	for part := len(rows); len(rows) > 0; {
		part = min(part, len(rows))
		err := s.commit(rows[:part])
		switch {
		case errors.Is(err, badger.ErrTxnTooBig) && part > 1:
			part /= 2
		case err != nil:
			return err
		default:
			rows = rows[part:]
		}
	}
	return nil
}

// get reads one value.
func get(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if err != nil {
		return nil, err
	}
	return item.ValueCopy(nil)
}

// getNumber reads a number, 0 where there is none.
func getNumber(txn *badger.Txn, key []byte) (uint64, error) {
	v, err := get(txn, key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, ok := decodeSeq(v)
	if !ok {
		return 0, fmt.Errorf("%x is no number", v)
	}
	return n, nil
}

// keysOnly iterates the keys of a prefix without reading values.
func keysOnly(prefix []byte) badger.IteratorOptions {
	return badger.IteratorOptions{Prefix: prefix}
}

// withValues iterates a prefix and reads each value as it is reached.
func withValues(prefix []byte) badger.IteratorOptions {
	return badger.IteratorOptions{Prefix: prefix, PrefetchSize: 1}
}

// Room on the disk, in bytes, below which the store refuses to write: Badger
// writes to mapped files, and a disk that runs full under one ends the process.
const (
	// roomToWrite holds the next memtable's log, its table and one compaction.
	roomToWrite = 32 << 20
	// roomToSweep is less, so that removing old stories can make room.
	roomToSweep = 8 << 20
)

// checkRoom returns ErrDiskFull, with what to do, where less than need is free.
func (s *Store) checkRoom(need uint64) error {
	if s.opts.InMemory {
		return nil
	}
	if free, known := s.space(s.opts.Dir); known && free < need {
		return fmt.Errorf("%w: %d MiB free under %s, need %d MiB; make the volume larger or the retention shorter",
			ErrDiskFull, free>>20, s.opts.Dir, need>>20)
	}
	return nil
}
