package blackbox

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
	"github.com/yairfalse/tapio/collectors/kubernetes/redact"
)

// Bounds of what is kept for good.
const (
	maxKept = 50               // recordings; the oldest goes
	before  = 30 * time.Minute // of the onset: changes that old may be the trigger
)

// ErrNothing says that nothing of an incident is remembered any more.
var ErrNothing = errors.New("nothing that was seen of it is remembered any more")

// Keeper writes recordings of single incidents from a Box.
type Keeper struct {
	Box    *Box
	Folder string // made when needed; "" keeps nothing beyond the box
	Header recording.Header
}

var nameForm = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

func (k *Keeper) file(story string) (string, error) {
	if !nameForm.MatchString(story) {
		return "", fmt.Errorf("%q is no ID of a story", story)
	}
	return filepath.Join(k.Folder, story+".jsonl.gz"), nil
}

// Keep writes what was seen of a story to a file of its own, so that it
// outlives the box. A later one replaces it.
func (k *Keeper) Keep(s *tapio.Story) (err error) {
	if k.Folder == "" {
		return nil
	}
	name, err := k.file(s.ID)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(k.Folder, 0o700); err != nil {
		return fmt.Errorf("keep recording: %w", err)
	}
	f, err := os.CreateTemp(k.Folder, "new-*")
	if err != nil {
		return fmt.Errorf("keep recording: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = errors.Join(k.live(s, f), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("keep recording: %w", err)
	}
	return k.sweep()
}

// sweep removes the oldest recordings beyond the bound.
func (k *Keeper) sweep() error {
	entries, err := os.ReadDir(k.Folder)
	if err != nil {
		return fmt.Errorf("keep recording: %w", err)
	}
	type file struct {
		name string
		at   time.Time
	}
	var files []file
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() {
			files = append(files, file{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(files, func(x, y file) int { return cmp.Or(y.at.Compare(x.at), cmp.Compare(x.name, y.name)) })
	var errs []error
	for _, f := range files[min(len(files), maxKept):] {
		errs = append(errs, os.Remove(filepath.Join(k.Folder, f.name)))
	}
	return errors.Join(errs...)
}

// Write writes the recording of a story: the one that was kept, or what the
// box still holds.
func (k *Keeper) Write(s *tapio.Story, out io.Writer) error {
	if name, err := k.file(s.ID); err == nil && k.Folder != "" {
		f, err := os.Open(name)
		if err == nil {
			_, err = io.Copy(out, f)
			return errors.Join(err, f.Close())
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read recording: %w", err)
		}
	}
	return k.live(s, out)
}

// live writes what the box holds of a story.
func (k *Keeper) live(s *tapio.Story, out io.Writer) error {
	var w *recording.Writer
	spaces := namespaces(s)
	for step, err := range k.Box.Steps(s.Timestamp.Add(-before), func(o *tapio.Observation) bool { return about(o, spaces) }) {
		if err == nil && w == nil {
			w, err = recording.NewWriter(out, k.Header, true)
		}
		if err != nil {
			return err
		}
		if o := step.Observation; o != nil {
			hide(o)
			_, err = w.Observe(o)
		} else {
			_, err = w.Tick(step.Time)
		}
		if err != nil {
			return err
		}
	}
	if w == nil {
		return ErrNothing
	}
	return w.Close()
}

// namespaces are those that a story touches.
func namespaces(s *tapio.Story) map[string]bool {
	out := map[string]bool{"": true} // nodes, volumes and classes are in none
	for _, e := range append([]tapio.Entity{s.Subject, s.CauseEntity}, s.Affected...) {
		out[e.Namespace] = true
	}
	return out
}

// about reports whether an observation may matter to a story.
func about(o *tapio.Observation, spaces map[string]bool) bool {
	switch {
	case o.Event != nil:
		return spaces[o.Event.Entity.Namespace]
	case o.State != nil:
		return spaces[o.State.Entity.Namespace]
	}
	return true
}

// hide takes out what looks like a secret, once more: the collector hid what
// it saw, and a recording leaves the cluster.
func hide(o *tapio.Observation) {
	e := o.Event
	if e == nil {
		return
	}
	e.Message = redact.Text(e.Message)
	for _, key := range slices.Collect(maps.Keys(e.Attrs)) {
		e.Attrs[key] = redact.Value(key, e.Attrs[key])
	}
}
