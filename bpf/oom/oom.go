// Package oom tells whom the kernel killed because memory ran out, and which
// limit was reached. It sees kills of processes in containers and outside;
// what a container is, it does not know.
package oom

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/yairfalse/tapio/bpf/probe"
)

//go:generate go tool bpf2go -target amd64,arm64 -type event oom oom.c -- -O2 -Wall -Werror

// Minimum is the oldest kernel that the probe runs on: the ring buffer.
const Minimum = "5.8"

// NoLimit is the Level of a kill for which no limit was reached: the node had
// no memory left.
const NoLimit = -100

// unlimited is where a number of pages means that there is no limit. The
// kernel writes LONG_MAX in pages.
const unlimited = 1 << 50

// Kill is a process that the kernel chose to kill.
type Kill struct {
	Time    time.Time
	PID     int
	Command string // up to 15 bytes; empty before Linux 6.10
	Main    bool   // it was the first process of its PID namespace
	RSS     int64  // bytes it held; 0 before Linux 6.10
	// Exact says that Place is the victim's. Before Linux 6.10 it is that of the
	// process that asked for memory: the same container where the container's
	// own limit was reached.
	Exact bool
	Place probe.Place
	// Level is whose limit was reached: 0 the container's own, 1 the pod's, more
	// what is above; NoLimit if none. Usage and Limit are of that level, in bytes.
	Level        int
	Usage, Limit int64
	// ContainerUsage and ContainerLimit are of the container in bytes; a limit of
	// 0 is none.
	ContainerUsage, ContainerLimit int64
}

// Probe is a loaded probe. One goroutine reads it; the other methods may be
// called from any.
type Probe struct {
	objects oomObjects
	links   []link.Link
	reader  *ringbuf.Reader
}

// Open loads and attaches the probe. The error is a [probe.Error].
func Open() (*Probe, error) {
	if err := probe.Ready("oom"); err != nil {
		return nil, err
	}
	p := new(Probe)
	if err := loadOomObjects(&p.objects, nil); err != nil {
		return nil, &probe.Error{Probe: "oom", Hook: "load", Minimum: Minimum, Err: err}
	}
	var err error
	if p.links, err = probe.Attach("oom", Minimum, map[string]*ebpf.Program{
		"mark_victim":                    p.objects.MarkVictim,
		"mm_vmscan_direct_reclaim_begin": p.objects.NodeReclaim,
		"mm_vmscan_memcg_reclaim_begin":  p.objects.CgroupReclaim,
	}); err != nil {
		return nil, probe.Undo(err, p)
	}
	if p.reader, err = ringbuf.NewReader(p.objects.Events); err != nil {
		return nil, probe.Undo(&probe.Error{Probe: "oom", Hook: "ring buffer", Minimum: Minimum, Err: err}, p)
	}
	return p, nil
}

// Read waits for the next kill. It returns [ringbuf.ErrClosed] once the probe
// is closed.
func (p *Probe) Read() (Kill, error) {
	record, err := p.reader.Read()
	if err != nil {
		return Kill{}, err
	}
	return decode(record.RawSample)
}

// Lost returns how many kills found no room in the ring buffer so far.
func (p *Probe) Lost() uint64 { return probe.Sum(p.objects.Lost, 0) }

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
func decode(raw []byte) (Kill, error) {
	var e oomEvent
	if _, err := binary.Decode(raw, binary.NativeEndian, &e); err != nil {
		return Kill{}, fmt.Errorf("read an event of probe oom: %d bytes: %w", len(raw), err)
	}
	return Kill{
		Time: probe.Time(e.Time), PID: int(e.Pid), Command: probe.Text(e.Comm[:]), Main: e.Main != 0, RSS: size(e.Rss),
		Exact: e.Known != 0,
		Place: probe.Place{Cgroup: e.Place.Cgroup, Name: probe.Text(e.Place.Name[:]), Parent: probe.Text(e.Place.Parent[:])},
		Level: int(e.Level), Usage: size(e.Usage), Limit: size(e.Limit),
		ContainerUsage: size(e.ContainerUsage), ContainerLimit: size(e.ContainerLimit),
	}, nil
}

// size turns pages into bytes, and "no limit" into 0.
func size(pages uint64) int64 {
	if pages >= unlimited {
		return 0
	}
	return int64(pages) * int64(os.Getpagesize())
}
