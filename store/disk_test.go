package store

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/yairfalse/tapio"
)

// TestDiskFull lets the disk seem to run full, and then have room again.
func TestDiskFull(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 30)
	s, err := Open(Options{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.space = func(string) (uint64, bool) { return free.Load(), true }
	story := sample()
	next := func() error {
		story.Revision++
		_, err := s.Append(t.Context(), []tapio.Story{story})
		return err
	}
	if err := next(); err != nil {
		t.Fatal(err)
	}
	free.Store(roomToWrite - 1)
	err = next()
	if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), "31 MiB free under "+s.opts.Dir) {
		t.Errorf("append on a full disk: %v", err)
	}
	if err := s.Write(t.Context(), tapio.Record{Key: "k", Value: []byte("v")}); err != nil {
		t.Errorf("the ledger goes on a little longer: %v", err)
	}
	if _, err := s.Sweep(t.Context(), story.Updated); err != nil {
		t.Errorf("so does the sweep, which makes room: %v", err)
	}
	free.Store(roomToSweep - 1)
	if err := s.Write(t.Context(), tapio.Record{Key: "k", Value: []byte("v")}); !errors.Is(err, ErrDiskFull) {
		t.Errorf("ledger on a full disk: %v", err)
	}
	// What was saved before still answers, and gives its number again.
	if got, err := s.Append(t.Context(), []tapio.Story{{}}); err == nil {
		t.Errorf("appended %v", got)
	}
	story.Revision--
	if got, err := s.Append(t.Context(), []tapio.Story{story}); err != nil || got[0].Seq != 1 {
		t.Errorf("an old revision on a full disk: %v, %v", got, err)
	}
	free.Store(1 << 30)
	if err := next(); err != nil {
		t.Errorf("after there is room again: %v", err)
	}
}

// TestFailedWrite: after a write that Badger could not finish, nothing more is
// taken until the store is opened again.
func TestFailedWrite(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	story := sample()
	if _, err := s.Append(t.Context(), []tapio.Story{story}); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Close(); err != nil { // the disk is gone under it
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), tapio.Record{Key: "k", Value: []byte("v")}); err == nil {
		t.Error("wrote to a closed database")
	}
	if err := s.Write(t.Context(), tapio.Record{Key: "k", Value: []byte("v")}); err == nil || !strings.Contains(err.Error(), "restart Tapio") {
		t.Errorf("the next write: %v", err)
	}
	if s, err = Open(o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	story.Revision++
	if got, err := s.Append(t.Context(), []tapio.Story{story}); err != nil || got[0].Seq != 2 {
		t.Errorf("after opening again: %v, %v", got, err)
	}
}
