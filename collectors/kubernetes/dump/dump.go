// Package dump reads what kubectl printed of a cluster and turns it into the
// observations that a live collector would make of it: for a cluster that one
// can only read once, or not at all.
//
// It reads lists and objects as `kubectl get … -A -o json` (or yaml) prints
// them, one or many in a file, and the folder that
// `kubectl cluster-info dump -A -o json --output-directory DIR` writes, with
// the logs in it. Objects are decoded one at a time, so memory holds stripped
// objects rather than text. What can't be read is said in warnings; what was
// read before a file's damage is used. Values of ConfigMaps are
// bounded and what looks secret in them is hidden; Secrets are not read.
//
// It judges nothing and guesses nothing about what the dump doesn't show.
package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// Options say what to read. Paths are files, folders, or "-" for Stdin. Log
// and Progress may be nil.
type Options struct {
	Paths []string
	Stdin io.Reader
	Log   *slog.Logger
	// Progress is told now and then how many objects were read, and from which
	// file the last one came.
	Progress func(n int, what string)
}

func (o *Options) validate() error {
	if len(o.Paths) == 0 {
		return errors.New("nothing to read: give files or folders that kubectl wrote, or - for standard input")
	}
	for _, p := range o.Paths {
		if p == "-" && o.Stdin == nil {
			return errors.New("standard input is not connected")
		}
	}
	return nil
}

// Result is what a dump says.
type Result struct {
	// Observations are the states, those that others refer to first, and then
	// the events by time. All are reported at Now, as of one listing.
	Observations []tapio.Observation
	// Now is the newest time that the dump shows, such as the renewal of a
	// node's lease: when it was written, as well as it can be told.
	Now time.Time
	// Warnings are sentences about what couldn't be read, at most 50.
	Warnings []string
	// Missing says, a clause each, which kinds the dump was not asked for and
	// what that may hide.
	Missing []string
}

// maxWarnings bounds Result.Warnings: more of them say nothing new.
const maxWarnings = 50

// Read reads all that the options name. It fails when a file can't be opened
// or holds nothing of Kubernetes, or when ctx ends; anything less is a warning.
func Read(ctx context.Context, o Options) (Result, error) {
	if err := o.validate(); err != nil {
		return Result{}, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &reader{ctx: ctx, options: o, skipped: make(map[string]int), asked: make(map[string]bool)}
	r.decode = newDecoding(ctx)
	defer r.decode.stop()
	for _, path := range o.Paths {
		if err := r.path(path); err != nil {
			return Result{}, err
		}
	}
	objects, err := r.decode.finish(r.warn)
	if err != nil {
		return Result{}, err
	}
	for kind, n := range r.skipped {
		o.Log.Debug("skipped objects of a kind that has no meaning here", "kind", kind, "objects", n)
	}
	if r.seen == 0 && len(r.logs) == 0 {
		return Result{}, fmt.Errorf("no Kubernetes objects in %s: give what `kubectl get pods,events,… -A -o json` prints", strings.Join(o.Paths, ", "))
	}
	now := r.decode.newest
	if now.IsZero() {
		now = time.Now().UTC()
		r.warn("the dump shows no time at all; ages are counted from now")
	}
	if r.unsaid > 0 {
		r.warnings = append(r.warnings, fmt.Sprintf("%d more warnings are not shown", r.unsaid))
	}
	return Result{
		Observations: observations(objects, r.logs, now),
		Now:          now,
		Warnings:     r.warnings,
		Missing:      r.missing(),
	}, ctx.Err()
}

// reader holds what was read so far.
type reader struct {
	ctx      context.Context
	options  Options
	decode   *decoding
	logs     []logTail
	seen     int             // objects and lists of Kubernetes, of whatever kind
	skipped  map[string]int  // objects by kind that has no meaning here
	asked    map[string]bool // kinds that the dump was asked for
	warnings []string
	unsaid   int
}

func (r *reader) warn(format string, args ...any) {
	if len(r.warnings) == maxWarnings-1 {
		r.unsaid++
		return
	}
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

func (r *reader) path(path string) error {
	if path == "-" {
		return r.file("standard input", r.options.Stdin, true)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read dump: %w", err)
	}
	if info.IsDir() {
		return r.folder(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read dump: %w", err)
	}
	defer f.Close()
	if isLog(path) {
		r.readLog(path, f, strings.Contains(filepath.Base(path), "previous"))
		return nil
	}
	return r.file(path, f, true)
}

// folder reads the files of a folder, and of those in it, in the order of their
// names. A file in it that can't be read is a warning.
func (r *reader) folder(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if path == root {
				return fmt.Errorf("read dump: %w", err)
			}
			r.warn("%s was left out: %v", path, err)
			return nil
		}
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		objects := false
		switch filepath.Ext(path) {
		case ".json", ".yaml", ".yml":
			objects = true
		}
		if !objects && !isLog(path) {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			r.warn("%s was left out: %v", path, err)
			return nil
		}
		defer f.Close()
		if !objects {
			r.readLog(path, f, strings.Contains(filepath.Base(path), "previous"))
			return nil
		}
		return r.file(path, f, false)
	})
}

// file reads one stream of objects. Where it was named by the user, that it
// holds none is an error.
func (r *reader) file(name string, in io.Reader, named bool) error {
	r.markFile(name)
	before, logs := r.seen, len(r.logs)
	at, err := r.stream(name, in)
	if ctxErr := r.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	nothing := r.seen == before && len(r.logs) == logs
	switch {
	case nothing && err == nil && named:
		return fmt.Errorf("%s holds no Kubernetes objects: give what `kubectl get pods,events,… -A -o json` prints", name)
	case nothing && named:
		return fmt.Errorf("%s holds no Kubernetes objects (byte %d: %w): give what `kubectl get pods,events,… -A -o json` prints", name, at, err)
	case nothing && err == nil:
		r.warn("%s holds no Kubernetes objects and was left out", name)
	case nothing:
		r.warn("%s holds no Kubernetes objects and was left out (byte %d: %v)", name, at, err)
	case err != nil:
		r.warn("%s is damaged at byte %d (%v): what stands before that is used, the rest is missing", name, at, err)
	}
	return nil
}

// count notes that one more object of Kubernetes was met.
func (r *reader) count(name string) {
	r.seen++
	const every = 500 // objects between two calls of Progress: a few per second
	if r.options.Progress != nil && r.seen%every == 1 {
		r.options.Progress(r.seen, name)
	}
}
