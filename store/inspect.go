package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"
)

// asideSuffix ends the name of a file that was kept because Badger would have
// cut or removed it.
const asideSuffix = ".set-aside"

// inspect looks at the folder before Badger does. Badger mends some damage by
// deleting or cutting files without a word, and ends the process over some
// other; inspect refuses what can't be trusted and keeps a copy of what will be
// cut. lost says that revisions that were saved may be missing.
func (s *Store) inspect() (lost bool, err error) {
	dir := s.opts.Dir
	if err := s.usable(); err != nil {
		return false, err
	}
	files, err := listFiles(dir)
	if err != nil {
		return false, &OpenError{Dir: dir, Reason: ErrNotWritable, Detail: err.Error(), Hint: writableHint()}
	}
	if !slices.Contains(files, badger.ManifestFilename) {
		for _, f := range files {
			if ext := filepath.Ext(f); ext == ".sst" || ext == ".mem" {
				return false, damaged(dir, "file %s is missing, so that %s has no place", badger.ManifestFilename, f)
			}
		}
		return false, nil // new, or nothing in it yet
	}
	if err := s.inspectManifest(files); err != nil {
		return false, err
	}
	for _, f := range files {
		switch {
		case f == badger.KeyRegistryFileName, filepath.Ext(f) == ".vlog":
			if err := s.inspectEmpty(f); err != nil {
				return false, err
			}
		case filepath.Ext(f) == ".mem":
			l, err := s.inspectLog(f)
			if err != nil {
				return false, err
			}
			lost = lost || l
		}
	}
	return lost, nil
}

// usable checks that the folder is one, is not in use, can be written and has
// room.
func (s *Store) usable() error {
	dir := s.opts.Dir
	refuse := func(reason error, hint, format string, args ...any) error {
		return &OpenError{Dir: dir, Reason: reason, Detail: fmt.Sprintf(format, args...), Hint: hint}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return refuse(ErrNotWritable, writableHint(), "the folder can't be made: %v", err)
	}
	if lockedByOther(dir) {
		return lockedError(dir)
	}
	if free, known := s.space(dir); known && free < roomToSweep {
		return refuse(ErrDiskFull, "Make the volume larger or remove other files from it", "%d MiB are free, at least %d are needed", free>>20, roomToSweep>>20)
	}
	probe, err := os.CreateTemp(dir, "write-test-*"+asideSuffix)
	if err != nil {
		return refuse(ErrNotWritable, writableHint(), "a file can't be made in it: %v", err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return refuse(ErrNotWritable, writableHint(), "%v", err)
	}
	return nil
}

func writableHint() string {
	return fmt.Sprintf("Give user %d the right to write it (in Kubernetes: fsGroup of the pod, no readOnly on the volume), or choose another folder", os.Getuid())
}

// lockedError names the process that has the folder, where it left its number.
func lockedError(dir string) error {
	holder := "another process"
	if pid, err := os.ReadFile(filepath.Join(dir, "LOCK")); err == nil && len(strings.TrimSpace(string(pid))) > 0 {
		holder = "process " + strings.TrimSpace(string(pid))
	}
	return &OpenError{
		Dir: dir, Reason: ErrLocked,
		Detail: holder + " has it open (a process in another container counts its own numbers)",
		Hint:   "Stop that Tapio first, or give this one a folder of its own",
	}
}

// listFiles returns the names in the folder and checks that each of Badger's
// files can be opened for writing.
func listFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		name := e.Name()
		switch filepath.Ext(name) {
		case ".sst", ".mem", ".vlog":
		default:
			if name != badger.ManifestFilename && name != badger.KeyRegistryFileName && name != "DISCARD" {
				continue
			}
		}
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, nil
}

// inspectManifest reads the list of tables and checks each table. Badger cuts a
// list that ends in the middle of an entry, and removes tables that are not
// listed.
func (s *Store) inspectManifest(files []string) error {
	dir := s.opts.Dir
	path := filepath.Join(dir, badger.ManifestFilename)
	f, err := os.Open(path)
	if err != nil {
		return damaged(dir, "file %s can't be read: %v", badger.ManifestFilename, err)
	}
	defer f.Close()
	manifest, end, err := badger.ReplayManifestFile(f, 0, badgerOptions(s.opts))
	if err != nil {
		return damaged(dir, "file %s is damaged: %s", badger.ManifestFilename, firstLine(err.Error()))
	}
	for id, t := range manifest.Tables {
		name := table.IDToFilename(id)
		if !slices.Contains(files, name) {
			return damaged(dir, "file %s is missing", name)
		}
		if int(t.Level) >= badgerOptions(s.opts).MaxLevels {
			return damaged(dir, "file %s puts %s on level %d", badger.ManifestFilename, name, t.Level)
		}
		if err := inspectTable(filepath.Join(dir, name), t); err != nil {
			return damaged(dir, "file %s is damaged: %s", name, firstLine(err.Error()))
		}
	}
	var unlisted []string
	for _, name := range files {
		id, ok := table.ParseFileID(name)
		if _, listed := manifest.Tables[id]; filepath.Ext(name) == ".sst" && !(ok && listed) {
			unlisted = append(unlisted, name)
		}
	}
	info, err := f.Stat()
	if err != nil {
		return damaged(dir, "file %s can't be read: %v", badger.ManifestFilename, err)
	}
	if cut := info.Size() - end; cut > 0 {
		if len(unlisted) > 0 {
			return damaged(dir, "file %s ends in the middle of an entry, and does not list %s", badger.ManifestFilename, strings.Join(unlisted, ", "))
		}
		if err := copyFile(path, path+asideSuffix); err != nil {
			return damaged(dir, "file %s ends in the middle of an entry, and no copy of it could be kept: %v", badger.ManifestFilename, err)
		}
		s.report("file %s ended in the middle of an entry and was cut by %d bytes; it is kept as %s", badger.ManifestFilename, cut, badger.ManifestFilename+asideSuffix)
	}
	for _, name := range unlisted {
		path := filepath.Join(dir, name)
		if err := os.Rename(path, path+asideSuffix); err != nil {
			return damaged(dir, "file %s is not listed in %s and can't be set aside: %v", name, badger.ManifestFilename, err)
		}
	}
	s.unlisted = unlisted
	return nil
}

// settleUnlisted ends what inspectManifest began. A kill during a flush or a
// compaction leaves tables that are not listed yet, or no longer, whose content
// is elsewhere: where the journal is whole they are removed, otherwise kept.
func (s *Store) settleUnlisted(lost bool) error {
	for _, name := range s.unlisted {
		aside := filepath.Join(s.opts.Dir, name+asideSuffix)
		if lost {
			s.report("file %s is not listed in %s; it is kept as %s", name, badger.ManifestFilename, filepath.Base(aside))
			continue
		}
		if err := os.Remove(aside); err != nil {
			return err
		}
		s.log.Info("removed a table that a kill during compaction left over", "file", name)
	}
	return nil
}

// inspectTable checks every checksum of a table. The lengths at its end are
// checked by hand first, because Badger ends the process over wrong ones.
func inspectTable(path string, t badger.TableManifest) (err error) {
	if info, err := os.Stat(path); err != nil {
		return err
	} else if info.Size() == 0 {
		return errors.New("it is empty")
	}
	file, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	if err := inspectFooter(file.Data); err != nil {
		return errors.Join(err, file.Close(-1))
	}
	defer func() {
		if recover() != nil {
			err = errors.New("a block in it can't be read")
		}
	}()
	opened, err := table.OpenTable(file, table.Options{
		ReadOnly: true, BlockSize: 4 << 10, Compression: t.Compression, ChkMode: options.OnTableAndBlockRead,
	})
	if err != nil {
		return err
	}
	return opened.Close(-1)
}

// inspectFooter checks the end of a table: index, length of the index (4 bytes),
// checksum of the index, length of the checksum (4 bytes).
func inspectFooter(data []byte) error {
	for range 2 {
		if len(data) < 4 {
			return errors.New("its end is cut off")
		}
		rest := data[:len(data)-4]
		n := binary.BigEndian.Uint32(data[len(rest):])
		if uint64(n) > uint64(len(rest)) || n == 0 {
			return errors.New("its end is cut off or overwritten")
		}
		data = rest[:len(rest)-int(n)]
	}
	return nil
}

// inspectEmpty sets a damaged file aside that never holds anything here, so that
// Badger makes it anew: a value log, whose first 8 bytes name no encryption key,
// and the file of encryption keys, which is 16 random bytes and a fixed text.
// Badger would refuse the one, and take a length from the other and allocate
// that much. A kill while Badger removes an old value log leaves an empty one.
func (s *Store) inspectEmpty(name string) error {
	path := filepath.Join(s.opts.Dir, name)
	const sanity = "Hello Badger"
	good := func(b []byte) bool { return len(b) == 16+len(sanity) && string(b[16:]) == sanity }
	if filepath.Ext(name) == ".vlog" {
		good = func(b []byte) bool { return len(b) >= logHeader && binary.BigEndian.Uint64(b) == 0 }
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return damaged(s.opts.Dir, "file %s can't be read: %v", name, err)
	}
	if good(b) {
		return nil
	}
	if err := os.Rename(path, path+asideSuffix); err != nil {
		return damaged(s.opts.Dir, "file %s has wrong contents and can't be set aside: %v", name, err)
	}
	s.log.Warn("file had wrong contents and is made anew; it never holds a story", "file", name, "kept", name+asideSuffix)
	return nil
}

// inspectLog checks the log of a memtable: what was saved last and is in no
// table yet. Badger cuts it at the first entry that it can't read.
func (s *Store) inspectLog(name string) (lost bool, err error) {
	path := filepath.Join(s.opts.Dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		return false, damaged(s.opts.Dir, "file %s can't be read: %v", name, err)
	}
	if len(data) == 0 && s.otherLog(name) {
		// A kill came between the making of the next log and its first byte, or
		// in the removal of one whose writes are in a table: it holds nothing.
		s.opts.Log.Info("an empty log file of a killed run is removed", "file", name)
		if err := os.Remove(path); err != nil {
			return false, damaged(s.opts.Dir, "file %s is empty and can't be removed: %v", name, err)
		}
		return false, nil
	}
	end, problem := scanLog(data, 2*memTable)
	if problem == "" {
		return false, nil
	}
	if end < 0 { // Badger would not open it
		if err := os.Rename(path, path+asideSuffix); err != nil {
			return false, damaged(s.opts.Dir, "file %s %s, and can't be set aside: %v", name, problem, err)
		}
	} else if err := copyFile(path, path+asideSuffix); err != nil {
		return false, damaged(s.opts.Dir, "file %s %s, and no copy of it could be kept: %v", name, problem, err)
	}
	s.report("file %s %s; it is kept as %s", name, problem, name+asideSuffix)
	return true, nil
}

// otherLog reports whether the log of another memtable is there: then writes
// were on their way from one to the next.
func (s *Store) otherLog(name string) bool {
	logs, err := filepath.Glob(filepath.Join(s.opts.Dir, "*.mem"))
	return err == nil && slices.ContainsFunc(logs, func(l string) bool { return filepath.Base(l) != name })
}

// copyFile writes a copy to disk, without the zeros at its end.
func copyFile(from, to string) (err error) {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.WriteString(out, strings.TrimRight(string(data), "\x00")); err != nil {
		return err
	}
	return out.Sync()
}

// openError explains an error of Badger itself.
func openError(dir string, err error) error {
	text := firstLine(err.Error())
	if strings.Contains(text, "directory lock") {
		return lockedError(dir)
	}
	if strings.Contains(text, "permission denied") || strings.Contains(text, "read-only file system") {
		return &OpenError{Dir: dir, Reason: ErrNotWritable, Detail: text, Hint: writableHint()}
	}
	return damaged(dir, "%s", text)
}
