//go:build unix

package store_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/yairfalse/tapio/store"
)

// openAs runs the test binary as a user, which opens the folder and prints the
// error; see child.
func openAs(t *testing.T, dir string, user uint32) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to start a process as another user")
	}
	// The binary itself stands in a folder that only root may read.
	binary := filepath.Join(dir+"-bin", "store.test")
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Run(); err == nil {
		t.Error("the folder was opened")
	}
	return complaints.String()
}

// openTemp is a folder that every user can reach.
func openTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tapio-store-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNotWritable(t *testing.T) {
	const nobody = 65534
	t.Run("folder of another user", func(t *testing.T) {
		dir := filepath.Join(openTemp(t), "store")
		s, err := store.Open(store.Options{Dir: dir, Log: testLog(t)})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		got := openAs(t, dir, nobody)
		for _, want := range []string{"it can't be written", "permission denied", "Give user 65534", "fsGroup"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in: %s", want, got)
			}
		}
	})
	t.Run("files of another user", func(t *testing.T) {
		dir := filepath.Join(openTemp(t), "store")
		s, err := store.Open(store.Options{Dir: dir, Log: testLog(t)})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if got := openAs(t, dir, nobody); !strings.Contains(got, "Give user 65534") {
			t.Error(got)
		}
	})
	t.Run("a file where the folder should be", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "store")
		write(t, file, "x")
		_, err := store.Open(store.Options{Dir: file, Log: testLog(t)})
		if !errors.Is(err, store.ErrNotWritable) || !strings.Contains(err.Error(), "not a directory") {
			t.Error(err)
		}
	})
}
