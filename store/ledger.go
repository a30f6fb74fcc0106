package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/yairfalse/tapio"
)

// maxLedgerKey bounds a ledger key in bytes.
const maxLedgerKey = 1024

// Read returns the ledger's records whose key starts with prefix, sorted by key.
// An empty prefix means all.
func (s *Store) Read(ctx context.Context, prefix string) ([]tapio.Record, error) {
	var out []tapio.Record
	err := s.view(ctx, func(txn *badger.Txn) error {
		it := txn.NewIterator(withValues(ledgerKey(prefix)))
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			v, err := it.Item().ValueCopy([]byte{})
			if err != nil {
				return fmt.Errorf("record %q: %w", it.Item().Key()[1:], err)
			}
			out = append(out, tapio.Record{Key: string(it.Item().Key()[1:]), Value: v})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	return out, nil
}

// Write writes records, all or none, and returns once they are on disk. A nil
// Value deletes the key; an empty one is kept as empty. Retention never removes
// a record. A value of more than 256 KiB, or records that are too many for one
// transaction (some 300 KiB or 3,000 records), are [ErrTooLarge]. A a disk with
// less than 8 MiB left is [ErrDiskFull]: the ledger may go on a little longer
// than the journal, so that what was read can still be written down as told.
func (s *Store) Write(ctx context.Context, records ...tapio.Record) error {
	leave, err := s.enter()
	if err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	defer leave()
	rows := make([]row, 0, len(records))
	for _, r := range records {
		switch {
		case r.Key == "":
			return errors.New("write ledger: a record has no key")
		case len(r.Key) > maxLedgerKey:
			return fmt.Errorf("write ledger: a key of %d bytes is longer than %d", len(r.Key), maxLedgerKey)
		case len(r.Value) > maxStored:
			return fmt.Errorf("write ledger: record %q of %d bytes is %w (at most %d)", r.Key, len(r.Value), ErrTooLarge, maxStored)
		case r.Value == nil:
			rows = append(rows, del(ledgerKey(r.Key)))
		default:
			rows = append(rows, set(ledgerKey(r.Key), r.Value))
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	if err := s.checkRoom(roomToSweep); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.commit(rows); errors.Is(err, badger.ErrTxnTooBig) {
		return fmt.Errorf("write ledger: %d records at once are %w", len(records), ErrTooLarge)
	} else if err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

func ledgerKey(key string) []byte { return append([]byte{spaceLedger}, key...) }
