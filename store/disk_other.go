//go:build !linux && !darwin

package store

// freeSpace does not know how much room is left on this system.
func freeSpace(string) (free uint64, known bool) { return 0, false }

// lockedByOther leaves the question to Badger on this system.
func lockedByOther(string) bool { return false }

// isMount does not know on this system.
func isMount(string) bool { return false }
