// Package exit tells which processes of containers ended, how, and who sent
// them the signal that ended them. Told are first processes, those that a
// signal killed, and those that were put in from outside and failed; the rest
// is counted by the kernel.
package exit

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/yairfalse/tapio/bpf/probe"
)

//go:generate go tool bpf2go -target amd64,arm64 -type event exit exit.c -- -O2 -Wall -Werror

// Minimum is the oldest kernel that the probe runs on: the ring buffer.
const Minimum = "5.8"

// siKernel is the code of a signal that the kernel itself sends.
const siKernel = 0x80

// Keys of the counters, as exit.c has them.
const (
	countLost = iota
	countSeen
)

// Exit is a process that ended.
type Exit struct {
	Time    time.Time
	Started time.Time
	PID     int
	Command string      // up to 15 bytes
	Code    int         // 0 to 255, where it ended by itself
	Signal  unix.Signal // that killed it, or 0
	Main    bool        // the first process of its PID namespace
	PeakRSS int64       // bytes: the most it held
	Sender  *Sender     // of the last SIGTERM or SIGKILL to it, or nil
	Place   probe.Place
}

// Sender is who sent a signal.
type Sender struct {
	Time    time.Time
	Signal  unix.Signal // SIGTERM or SIGKILL
	Kernel  bool        // the kernel itself, as when memory runs out; then PID is whoever made it do so
	PID     int
	Command string // up to 15 bytes
	Cgroup  uint64 // inode of its own cgroup's folder
	// Contained says that it was in a container, of whatever kind.
	Contained bool
}

// Probe is a loaded probe. One goroutine reads it; the other methods may be
// called from any.
type Probe struct {
	objects exitObjects
	links   []link.Link
	reader  *ringbuf.Reader
}

// Open loads and attaches the probe. The error is a [probe.Error].
func Open() (*Probe, error) {
	if err := probe.Ready("exit"); err != nil {
		return nil, err
	}
	p := new(Probe)
	if err := loadExitObjects(&p.objects, nil); err != nil {
		return nil, &probe.Error{Probe: "exit", Hook: "load", Minimum: Minimum, Err: err}
	}
	var err error
	if p.links, err = probe.Attach("exit", Minimum, map[string]*ebpf.Program{
		"sched_process_exit": p.objects.SchedProcessExit,
		"signal_generate":    p.objects.SignalGenerate,
	}); err != nil {
		return nil, probe.Undo(err, p)
	}
	if p.reader, err = ringbuf.NewReader(p.objects.Events); err != nil {
		return nil, probe.Undo(&probe.Error{Probe: "exit", Hook: "ring buffer", Minimum: Minimum, Err: err}, p)
	}
	return p, nil
}

// Read waits for the next exit. It returns [ringbuf.ErrClosed] once the probe
// is closed.
func (p *Probe) Read() (Exit, error) {
	record, err := p.reader.Read()
	if err != nil {
		return Exit{}, err
	}
	return decode(record.RawSample)
}

// Lost returns how many exits found no room in the ring buffer so far.
func (p *Probe) Lost() uint64 { return probe.Sum(p.objects.Counts, countLost) }

// Seen returns how many processes ended in all so far, told or not.
func (p *Probe) Seen() uint64 { return probe.Sum(p.objects.Counts, countSeen) }

// Close detaches the probe and ends a Read that waits.
func (p *Probe) Close() error {
	closers := []io.Closer{&p.objects}
	for _, l := range p.links {
		closers = append(closers, l)
	}
	if p.reader != nil {
		closers = append(closers, p.reader)
	}
	return probe.CloseAll(closers)
}

// decode reads an event as the kernel writes it.
func decode(raw []byte) (Exit, error) {
	var e exitEvent
	if _, err := binary.Decode(raw, binary.NativeEndian, &e); err != nil {
		return Exit{}, fmt.Errorf("read an event of probe exit: %d bytes: %w", len(raw), err)
	}
	status := unix.WaitStatus(e.Status)
	out := Exit{
		Time: probe.Time(e.Time), Started: probe.Time(e.Started), PID: int(e.Pid), Command: probe.Text(e.Comm[:]),
		Main: e.Main != 0, PeakRSS: int64(e.PeakRss) * int64(os.Getpagesize()),
		Place: probe.Place{Cgroup: e.Place.Cgroup, Name: probe.Text(e.Place.Name[:]), Parent: probe.Text(e.Place.Parent[:])},
	}
	if status.Exited() {
		out.Code = status.ExitStatus()
	} else if status.Signaled() {
		out.Signal = status.Signal()
	}
	if e.HasSender != 0 {
		s := &e.Sender
		out.Sender = &Sender{
			Time: probe.Time(s.Time), Signal: unix.Signal(s.Signal), Kernel: s.Code == siKernel,
			PID: int(s.Pid), Command: probe.Text(s.Comm[:]), Cgroup: s.Cgroup, Contained: s.Contained != 0,
		}
	}
	return out, nil
}
