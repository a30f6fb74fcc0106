package store

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// Errors that callers tell apart with [errors.Is].
var (
	// ErrNotFound is returned for a story that is not in the store.
	ErrNotFound = errors.New("no such story")
	// ErrAmbiguous is returned for the start of an ID that more than one story
	// has; the error is an [*AmbiguousError].
	ErrAmbiguous = errors.New("more than one story")
	// ErrStale is returned for a revision that is lower than the newest one and
	// was never saved.
	ErrStale = errors.New("older than the newest revision")
	// ErrInvalid is returned for a story that can't be saved and never will be.
	ErrInvalid = errors.New("story can't be saved")
	// ErrTooLarge is returned for a story that can't be kept even after it was
	// cut, and for a write that is too large for one transaction.
	ErrTooLarge = errors.New("too large to save")
	// ErrAhead is returned to a reader whose cursor is beyond the journal: the
	// folder was replaced by another one. The reader starts again from 0.
	ErrAhead = errors.New("cursor is ahead of the journal")
	// ErrClosed is returned after [Store.Close].
	ErrClosed = errors.New("the store is closed")

	// ErrLocked is the reason of an [*OpenError]: another process has the folder.
	ErrLocked = errors.New("another process uses it")
	// ErrNotWritable is the reason of an [*OpenError]: the folder can't be used.
	ErrNotWritable = errors.New("it can't be written")
	// ErrDamaged is the reason of an [*OpenError], and of reading a story none
	// of whose revisions can be read.
	ErrDamaged = errors.New("it is damaged")
	// ErrNewer is the reason of an [*OpenError]: a newer Tapio wrote the folder.
	ErrNewer = errors.New("a newer Tapio wrote it")
	// ErrDiskFull is returned by writes, and is the reason of an [*OpenError],
	// while the disk has too little room to write safely.
	ErrDiskFull = errors.New("the disk is full")
)

// OpenError says why a folder was not opened and how to go on. No file in it
// was removed or shortened.
type OpenError struct {
	Dir    string
	Reason error  // ErrLocked, ErrNotWritable, ErrDamaged, ErrNewer or ErrDiskFull
	Detail string // what was found: the file and what is wrong with it
	Hint   string // what to do, as a command where there is one
}

func (e *OpenError) Error() string {
	return fmt.Sprintf("open store %s: %v: %s. %s", e.Dir, e.Reason, e.Detail, e.Hint)
}

func (e *OpenError) Unwrap() error { return e.Reason }

// AmbiguousError lists the stories that an ID's start may mean.
type AmbiguousError struct {
	Prefix     string
	Candidates []string // IDs, sorted; at most 20
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%q is the start of %v: %s", e.Prefix, ErrAmbiguous, strings.Join(e.Candidates, ", "))
}

func (e *AmbiguousError) Unwrap() error { return ErrAmbiguous }

// damaged is the OpenError of a folder with a damaged file.
func damaged(dir, format string, args ...any) *OpenError {
	return &OpenError{Dir: dir, Reason: ErrDamaged, Detail: fmt.Sprintf(format, args...), Hint: moveHint(dir)}
}

// moveHint is the command that puts a folder aside. Open stories come back from
// the cluster.
func moveHint(dir string) string {
	const after = "or name another folder. Open stories are then rebuilt from the cluster; the history stays in the moved folder"
	if isMount(dir) { // which can't be moved
		return fmt.Sprintf("Move its files into a folder below it and start again: cd %s && mkdir damaged && mv MANIFEST KEYREGISTRY DISCARD *.sst *.mem *.vlog damaged/; %s", shellQuote(dir), after)
	}
	aside := dir + ".damaged"
	for n := 2; ; n++ {
		if _, err := os.Lstat(aside); err != nil {
			break
		}
		aside = fmt.Sprintf("%s.damaged-%d", dir, n)
	}
	return fmt.Sprintf("Move it aside and start again: mv %s %s; %s", shellQuote(dir), shellQuote(aside), after)
}

// shellQuote writes a path so that a shell takes it as one word.
func shellQuote(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+,:@", r)
	}
	if path != "" && strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// maxDamage bounds the list of damage that is held, in entries.
const maxDamage = 100

// damageList is what was found damaged, each thing once.
type damageList struct {
	mu   sync.Mutex
	list []string
	more int // found after the list was full
}

// add reports whether the damage is new.
func (d *damageList) add(text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Contains(d.list, text) {
		return false
	}
	if len(d.list) == maxDamage {
		d.more++
		return d.more == 1
	}
	d.list = append(d.list, text)
	return true
}

// all returns a copy of the list.
func (d *damageList) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := slices.Clone(d.list)
	if d.more > 0 {
		out = append(out, "more damage was found after this list was full; see the log")
	}
	return out
}
