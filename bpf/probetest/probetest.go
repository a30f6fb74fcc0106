// Package probetest holds what the tests of kernel probes need of the machine:
// the right to load them, cgroups that look like those of pods, and processes
// to put into them. Only tests import it.
package probetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// PodUID returns the UID of the pod whose cgroup Pod makes: one for each
// process, since the tests of several packages run at once.
func PodUID() string { return fmt.Sprintf("0f8ad1a2-7c1b-4b8e-9d7e-%012x", os.Getpid()) }

// ContainerID returns the ID of the container in it.
func ContainerID() string {
	return fmt.Sprintf("4f1c0de5aa00bb11cc22dd33ee44ff55%032x", os.Getpid())
}

// Root skips the test where it may not load kernel programs, and says what it
// would need. Under CI=true it fails instead.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Unable(t, errors.New("not root"))
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		Unable(t, err)
	}
}

// Unable skips the test because the machine can't do it; under CI=true that
// fails.
func Unable(t testing.TB, why error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("the real kernel must be tested in CI: %v", why)
	}
	t.Skipf("needs root and a kernel with BTF, to load programs into it: %v", why)
}

// Must fails the test where a probe can't be opened although the process may
// do anything, and closes the probe at its end.
func Must[P interface{ Close() error }](t testing.TB, p P, err error) P {
	t.Helper()
	if err != nil {
		if errors.Is(err, syscall.EPERM) {
			Unable(t, err) // root of a container, most likely
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Cgroup is a folder of the memory controller.
type Cgroup struct {
	Path string
	v2   bool
}

// Pod makes a cgroup of a pod with one container, named as containerd names
// them by systemd's driver, and removes both at the end of the test. Where the memory controller can't be used the test is skipped.
func Pod(t testing.TB) (pod, container Cgroup) {
	t.Helper()
	v2 := false
	root := "/sys/fs/cgroup/memory"
	if _, err := os.Stat(filepath.Join(root, "memory.limit_in_bytes")); err != nil {
		root, v2 = "/sys/fs/cgroup", true
	}
	name := fmt.Sprintf("tapio-test-%d", os.Getpid())
	podSlice := "kubepods-burstable-pod" + strings.ReplaceAll(PodUID(), "-", "_") + ".slice"
	scope := "cri-containerd-" + ContainerID() + ".scope"
	path := root
	for _, part := range []string{name, podSlice, scope} {
		if v2 {
			// It fails where a process is inside: then it is no root.
			if err := os.WriteFile(filepath.Join(path, "cgroup.subtree_control"), []byte("+memory"), 0); err != nil {
				Unable(t, err)
			}
		}
		path = filepath.Join(path, part)
		if err := os.Mkdir(path, 0o755); err != nil {
			Unable(t, err)
		}
		made := path
		t.Cleanup(func() { remove(t, made) })
	}
	return Cgroup{filepath.Dir(path), v2}, Cgroup{path, v2}
}

// remove removes a cgroup once its last process is gone.
func remove(t testing.TB, path string) {
	var err error
	for range 100 {
		if err = syscall.Rmdir(path); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("remove %s: %v", path, err)
}

// Limit sets the memory limit in bytes.
func (c Cgroup) Limit(t testing.TB, bytes int64) {
	t.Helper()
	files := []string{"memory.limit_in_bytes"}
	if c.v2 {
		files = []string{"memory.max"}
	}
	for _, name := range files {
		if err := os.WriteFile(filepath.Join(c.Path, name), []byte(strconv.FormatInt(bytes, 10)), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// Inode returns the number of the cgroup's folder, which is its ID.
func (c Cgroup) Inode(t testing.TB) uint64 {
	t.Helper()
	s, err := os.Stat(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	return s.Sys().(*syscall.Stat_t).Ino
}

// Shell returns a command that runs a script in the cgroup; as the first
// process of a PID namespace of its own where main is set, as that of a
// container is.
func (c Cgroup) Shell(main bool, script ...string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", "echo 0 > "+c.Path+"/cgroup.procs; "+strings.Join(script, "; "))
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if main {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	return cmd
}

// Eat is a script line that takes memory until the kernel kills it.
const Eat = "exec tail /dev/zero"

// Next returns the next thing that a probe reads and that is the one looked
// for, and fails the test after 30 seconds.
func Next[E any](t testing.TB, read func() (E, error), is func(E) bool) E {
	t.Helper()
	type result struct {
		e   E
		err error
	}
	found := make(chan result, 1)
	go func() {
		for {
			e, err := read()
			if err != nil || is(e) {
				found <- result{e, err}
				return
			}
		}
	}()
	select {
	case r := <-found:
		if r.err != nil {
			t.Fatal(r.err)
		}
		return r.e
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was told within 30 seconds")
		panic("unreachable")
	}
}
