//go:build linux || darwin

package store

import (
	"os"
	"path/filepath"
	"syscall"
)

// freeSpace returns how many bytes a user may still write on the disk of a
// folder.
func freeSpace(dir string) (free uint64, known bool) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, false
	}
	return uint64(fs.Bavail) * uint64(fs.Bsize), true
}

// lockedByOther reports whether a process holds Badger's lock on the folder. It
// lets go at once; Badger then takes the lock itself.
func lockedByOther(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == syscall.EWOULDBLOCK
}

// isMount reports whether a folder is where a disk is mounted.
func isMount(dir string) bool {
	var here, above syscall.Stat_t
	if syscall.Stat(dir, &here) != nil || syscall.Stat(filepath.Dir(dir), &above) != nil {
		return false
	}
	return here.Dev != above.Dev
}
