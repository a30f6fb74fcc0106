package store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// memTable is the size of one memtable in bytes. Badger allocates 1.3 times as
// much at once and holds up to four while it flushes; a transaction may be 15 %
// of it, which must be more than maxStored. Most heap is taken by compaction:
// for each table that it is building about twice the table's size and 3 MiB, up
// to eight of them, and for some seconds after. Tables of 512 KiB gave the
// lowest peak in TestHeap.
const memTable = 2 << 20

// badgerOptions sets Badger up for a small pod: its defaults are made for a
// machine of its own and leave some 480 MiB of heap.
func badgerOptions(o Options) badger.Options {
	b := badger.DefaultOptions(o.Dir).
		WithInMemory(o.InMemory).
		WithLogger(badgerLog{o.Log}).
		WithSyncWrites(true).
		WithMetricsEnabled(false).
		WithMemTableSize(memTable).
		WithNumMemtables(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(6).
		WithNumCompactors(2).
		WithBaseTableSize(512 << 10).
		WithBaseLevelSize(4 << 20).
		WithNumVersionsToKeep(1).
		// Every value stays in the tables, where each block has a checksum. The
		// value log stays empty and is as small as Badger allows: there is no
		// garbage in it to collect, and no second sync per write.
		WithValueThreshold(300 << 10).
		WithValueLogFileSize(1 << 20).
		// Stories are compressed already. Without Badger's compression blocks
		// are read from the page cache, so no block cache takes heap, and
		// indexes without encryption are read in place, so no index cache does.
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithChecksumVerificationMode(options.OnTableAndBlockRead).
		// There is one writer at a time.
		WithDetectConflicts(false)
	if o.InMemory {
		b = b.WithDir("").WithValueDir("").WithSyncWrites(false)
	}
	return b
}

// badgerLog hands Badger's log on at debug level, and its errors as warnings:
// what ends in a failed call is returned there.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(format string, args ...any) { l.write(slog.LevelWarn, format, args) }

func (l badgerLog) Warningf(format string, args ...any) { l.write(slog.LevelDebug, format, args) }

func (l badgerLog) Infof(format string, args ...any) { l.write(slog.LevelDebug, format, args) }

func (l badgerLog) Debugf(format string, args ...any) { l.write(slog.LevelDebug, format, args) }

func (l badgerLog) write(level slog.Level, format string, args []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "badger", "message", strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}
