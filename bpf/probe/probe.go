// Package probe is what all kernel probes share: the place of a process in the
// cgroup tree, the kernel's clock, and the error that says why a probe can't
// be had. It reads no events; each probe's own package does.
package probe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Error says that a probe can't be had, and what it would need.
type Error struct {
	Probe   string // such as "oom"
	Hook    string // what it could not load or attach to, such as "oom:mark_victim"
	Minimum string // the oldest kernel that has all it needs, such as "5.8"
	Err     error
}

// Error names the probe, the reason and the kernel that it needs.
func (e *Error) Error() string {
	hint := ""
	var release unix.Utsname
	if errors.Is(e.Err, unix.EPERM) || errors.Is(e.Err, unix.EACCES) {
		hint = "; give it the capabilities BPF, PERFMON, NET_ADMIN and SYS_RESOURCE"
	} else if unix.Uname(&release) == nil {
		hint = "; this is " + unix.ByteSliceToString(release.Release[:])
	}
	return fmt.Sprintf("kernel probe %s: %s: %v (needs Linux %s with BTF%s)", e.Probe, e.Hook, e.Err, e.Minimum, hint)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Place is where in the cgroup tree a process was: the innermost container
// around it.
type Place struct {
	Cgroup uint64 // inode of the container's folder; 0 where it was in none
	Name   string // of the container's cgroup, such as "cri-containerd-….scope"
	Parent string // of the one above it, the pod's
}

// Text reads a string that the kernel wrote: up to the first zero byte.
func Text(b []int8) string {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if c == 0 {
			break
		}
		out = append(out, byte(c))
	}
	return string(bytes.ToValidUTF8(out, []byte("?")))
}

// Ready lifts the limit on locked memory, which kernels before 5.11 count maps
// against.
func Ready(name string) error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return &Error{Probe: name, Hook: "locked memory", Minimum: "5.8", Err: err}
	}
	return nil
}

// Attach attaches a program to each raw tracepoint of the kernel by its name,
// such as "mark_victim". What it attached it returns also where it fails.
func Attach(probe, minimum string, programs map[string]*ebpf.Program) ([]link.Link, error) {
	var links []link.Link
	for name, program := range programs {
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: name, Program: program})
		if err != nil {
			return links, &Error{Probe: probe, Hook: "tracepoint " + name, Minimum: minimum, Err: err}
		}
		links = append(links, l)
	}
	return links, nil
}

// Sum adds up a counter that the kernel keeps for each CPU.
func Sum(counters *ebpf.Map, key uint32) uint64 {
	var parts []uint64
	if err := counters.Lookup(key, &parts); err != nil {
		return 0
	}
	var n uint64
	for _, p := range parts {
		n += p
	}
	return n
}

// Time returns the wall clock, in UTC, of a kernel time: nanoseconds since
// boot, without suspend. It is right to about a microsecond, and follows the
// wall clock as that is now.
func Time(ns uint64) time.Time {
	var mono unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono); err != nil {
		return time.Now().UTC()
	}
	return time.Now().UTC().Round(0).Add(-time.Duration(mono.Nano() - int64(ns)))
}

// Undo closes what was opened of a probe that failed, and returns why it did.
func Undo(err error, p io.Closer) error {
	return errors.Join(err, p.Close())
}

// CloseAll closes the last first.
func CloseAll(closers []io.Closer) error {
	var errs []error
	for _, c := range slices.Backward(closers) {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
