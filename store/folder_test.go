package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/store"
)

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	_, err := store.Open(store.Options{Dir: dir, Log: testLog(t)})
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d has it open", os.Getpid())) || !strings.Contains(err.Error(), "Stop that Tapio first") {
		t.Error(err)
	}
}

// raw opens a closed store's folder with Badger alone.
func raw(t *testing.T, dir string) *badger.DB {
	t.Helper()
	db, err := badger.Open(badger.DefaultOptions(dir).WithLogger(nil))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func setRaw(t *testing.T, dir, key string, value []byte) {
	t.Helper()
	db := raw(t, dir)
	defer db.Close()
	if err := db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(key), value) }); err != nil {
		t.Fatal(err)
	}
}

// rawKeys lists the keys of a closed store.
func rawKeys(t *testing.T, dir string) []string {
	t.Helper()
	db := raw(t, dir)
	defer db.Close()
	var keys []string
	if err := db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			keys = append(keys, string(it.Item().KeyCopy(nil)))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestNewerTapio(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	mustAppend(t, s, story("aaa", 1, "shop", "checkout", 1))
	s.Close()
	setRaw(t, dir, "mformat", []byte(`{"version":7,"writer":"v9.1.0","more":true}`))
	_, err := store.Open(store.Options{Dir: dir, Log: testLog(t)})
	if !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), "version 7, written by Tapio v9.1.0") || !strings.Contains(err.Error(), "Run that version") {
		t.Error(err)
	}
	setRaw(t, dir, "mformat", []byte(`{"version`))
	if _, err := store.Open(store.Options{Dir: dir, Log: testLog(t)}); !errors.Is(err, store.ErrDamaged) {
		t.Error(err)
	}
}

func TestDamagedRecords(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	mustAppend(t, s,
		story("aaa", 1, "shop", "checkout", 1, "checkout-1"), // Seq 1
		story("bbb", 1, "shop", "cart", 2, "cart-1"),         // 2
		story("aaa", 2, "shop", "checkout", 3, "checkout-1"), // 3
		story("ccc", 1, "shop", "web", 4, "web-1"),           // 4
		story("ddd", 1, "shop", "db", 5, "db-1"))             // 5
	s.Close()
	setRaw(t, dir, "j\x00\x00\x00\x00\x00\x00\x00\x03", []byte("\x01garbage"))
	setRaw(t, dir, "j\x00\x00\x00\x00\x00\x00\x00\x04", []byte("\x09from the future"))
	setRaw(t, dir, "sbbb", []byte("\x01{"))
	setRaw(t, dir, "hddd\x00short", []byte("?"))
	setRaw(t, dir, "t?", nil)
	setRaw(t, dir, "wnonsense", nil)

	s = open(t, dir)
	all, err := s.Revisions(t.Context(), 0, 0)
	if err != nil || fmt.Sprint(seqs(all)) != "[1 2 5]" {
		t.Errorf("journal: %v, %v", seqs(all), err)
	}
	if got, err := s.Story(t.Context(), "aaa"); err != nil || got.Revision != 1 {
		t.Errorf("the newest readable revision: %d, %v", got.Revision, err)
	}
	if _, err := s.Story(t.Context(), "ccc"); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a story without a readable revision: %v", err)
	}
	if got, err := s.Story(t.Context(), "bbb"); err != nil || got.Revision != 1 {
		t.Errorf("a story with a damaged head: %d, %v", got.Revision, err)
	}
	found, err := s.Stories(t.Context(), tapio.Query{Namespace: "shop"})
	if err != nil || len(found) != 3 {
		t.Errorf("%d stories, %v", len(found), err)
	}
	if found, err = s.Stories(t.Context(), tapio.Query{}); err != nil || len(found) != 3 {
		t.Errorf("%d stories by time, %v", len(found), err)
	}
	if names, err := s.Names(t.Context(), "", 0); err != nil || len(names) != 8 {
		t.Errorf("names %q, %v", names, err)
	}
	if got, err := s.History(t.Context(), "ddd"); err != nil || len(got) != 1 {
		t.Errorf("history with a damaged row: %v, %v", got, err)
	}
	damage := strings.Join(s.Damage(), "\n")
	for _, want := range []string{"revision record 3 can't be decompressed", "revision record 4 has version 9, this Tapio reads up to 1", "head record of story bbb", "history of story ddd", "time index key", "index key"} {
		if !strings.Contains(damage, want) {
			t.Errorf("no %q in:\n%s", want, damage)
		}
	}
	// Each is reported once, and the store goes on.
	before := len(s.Damage())
	if got := mustAppend(t, s, story("aaa", 3, "shop", "checkout", 6, "checkout-2"), story("bbb", 2, "shop", "cart", 7), story("ccc", 2, "shop", "web", 8)); fmt.Sprint(seqs(got)) != "[6 7 8]" {
		t.Error(seqs(got))
	}
	if _, err := s.Revisions(t.Context(), 0, 0); err != nil || len(s.Damage()) > before+1 {
		t.Errorf("%v; damage is reported again: %q", err, s.Damage())
	}
	for id, want := range map[string]int{"aaa": 3, "bbb": 2, "ccc": 2} {
		if got, err := s.Story(t.Context(), id); err != nil || got.Revision != want {
			t.Errorf("%s after the next revision: %d, %v", id, got.Revision, err)
		}
	}
}

func TestDiskFails(t *testing.T) {
	dir, _ := filled(t, false)
	s := open(t, dir)
	if _, err := s.Sweep(t.Context(), start); err != nil || len(s.Damage()) > 0 {
		t.Fatalf("a good store: %v, %q", err, s.Damage())
	}
	table := only(t, dir, "*.sst")
	f, err := os.OpenFile(table, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("zap"), dataSize(t, table)/2); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweep(t.Context(), start); err != nil {
		t.Error(err)
	}
	if d := s.Damage(); len(d) != 1 || !strings.Contains(d[0], "block") {
		t.Errorf("damage %q", d)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	o := store.Options{Dir: dir, Log: testLog(t), Retention: 10 * time.Minute}
	s, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	empty := closedKeys(t, dir, s)
	if s, err = store.Open(o); err != nil {
		t.Fatal(err)
	}
	closed := func(st tapio.Story, status tapio.Status) tapio.Story {
		st.Status, st.Resolved, st.AbsorbedInto = status, st.Updated, "other"
		return st
	}
	mustAppend(t, s,
		story("resolved", 1, "shop", "checkout", 1, "checkout-1", "checkout-2"),
		closed(story("resolved", 2, "shop", "checkout", 20, "checkout-1"), tapio.StatusResolved),
		closed(story("absorbed", 1, "bank", "web", 20, "web-1"), tapio.StatusAbsorbed),
		story("open", 1, "shop", "cart", 1, "cart-1"))
	if err := s.Write(t.Context(), tapio.Record{Key: "cursor", Value: []byte("4")}); err != nil {
		t.Fatal(err)
	}
	edge := start.Add(30 * time.Minute)
	if n, err := s.Sweep(t.Context(), edge); n != 0 || err != nil {
		t.Errorf("at the edge: removed %d, %v", n, err)
	}
	old := filepath.Join(dir, "000099.sst.set-aside")
	write(t, old, "kept")
	if err := os.Chtimes(old, start, start); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Sweep(t.Context(), edge.Add(1)); n != 2 || err != nil {
		t.Errorf("behind the edge: removed %d, %v", n, err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("a file set aside long ago is still there: %v", err)
	}
	if _, err := s.Story(t.Context(), "resolved"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if got, err := s.Revisions(t.Context(), 0, 0); err != nil || fmt.Sprint(seqs(got)) != "[4]" {
		t.Errorf("journal after sweep: %v, %v", seqs(got), err)
	}
	if got, err := s.Read(t.Context(), ""); err != nil || len(got) != 1 {
		t.Errorf("ledger after sweep: %v, %v", got, err)
	}
	// A number is not given again, not even when the newest revision is gone.
	mustAppend(t, s, closed(story("open", 2, "shop", "cart", 21), tapio.StatusResolved))
	if n, err := s.Sweep(t.Context(), edge.Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	if err := s.Write(t.Context(), tapio.Record{Key: "cursor"}); err != nil {
		t.Fatal(err)
	}
	if keys := closedKeys(t, dir, s); fmt.Sprint(keys) != fmt.Sprint(empty) {
		t.Errorf("left after everything was swept: %q, a new store has %q", keys, empty)
	}
	if s, err = store.Open(o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := mustAppend(t, s, story("again", 1, "shop", "cart", 50)); got[0].Seq != 6 {
		t.Errorf("Seq %d after a sweep of 5", got[0].Seq)
	}
	if d := s.Damage(); len(d) > 0 {
		t.Errorf("damage %q", d)
	}
}

// closedKeys closes the store and lists its keys.
func closedKeys(t *testing.T, dir string, s *store.Store) []string {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return rawKeys(t, dir)
}

func TestCutShort(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	mustAppend(t, s, story("aaa", 1, "shop", "checkout", 1, "checkout-1"))
	s.Close()
	// What a large append leaves that was killed before its last transaction.
	keys := rawKeys(t, dir)
	setRaw(t, dir, "j\x00\x00\x00\x00\x00\x00\x00\x02", []byte("\x01never committed"))
	setRaw(t, dir, "mrows", []byte{0, 0, 0, 0, 0, 0, 0, 2})
	setRaw(t, dir, "pghost\x00shop\x00bbb", nil)
	s = open(t, dir)
	if got, err := s.Revisions(t.Context(), 0, 0); err != nil || len(got) != 1 {
		t.Errorf("journal: %v, %v", seqs(got), err)
	}
	if got, err := s.Stories(t.Context(), tapio.Query{Pod: "ghost"}); err != nil || len(got) != 0 {
		t.Errorf("stories: %v, %v", got, err)
	}
	if _, err := s.Sweep(t.Context(), start); err != nil {
		t.Error(err)
	}
	if d := s.Damage(); len(d) > 0 {
		t.Errorf("a kill is no damage: %q", d)
	}
	if got := closedKeys(t, dir, s); fmt.Sprint(got) != fmt.Sprint(keys) {
		t.Errorf("keys %q, want %q", got, keys)
	}
}

// TestEmptyLogOfAKill leaves what a kill leaves between the making of the next
// log and its first byte: that is no damage, and everything is there.
func TestEmptyLogOfAKill(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := s.Append(t.Context(), []tapio.Story{story("aaaaaaaaaa", 1, "shop", "web", 1, "web-1")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"00090.mem", "00091.mem"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, dir)
	// The last of them has no other beside it, and may be a log that was lost.
	if d := s.Damage(); len(d) != 1 {
		t.Errorf("reported: %q, want the one that may have been a log", d)
	}
	if _, err := s.Story(t.Context(), "aaaaaaaaaa"); err != nil {
		t.Error(err)
	}
}
