// Package pressure reads from files how short of memory a node and its
// containers are: pressure stall information (PSI) and the memory controller
// of cgroups, version 1 and 2. It reads and compares nothing.
package pressure

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/yairfalse/tapio/collectors/kernel/cgroup"
)

// Stall is the share of the last ten seconds, in percent, in which work waited
// for memory.
type Stall struct {
	Some float64 // at least one task waited
	Full float64 // all did
}

// Memory is what the memory controller says of a cgroup.
type Memory struct {
	Usage     int64 // bytes, caches that can be dropped included
	WorkSet   int64 // bytes, without file caches that nobody used lately
	Limit     int64 // bytes; 0 is none
	LimitHits int64 // how often a charge met the limit, since the cgroup was made
	OOMKills  int64 // processes killed, since then; 0 where the kernel doesn't count them
	Stall     Stall
	HasStall  bool // version 2 only, where the kernel has PSI
}

// Container is a cgroup of a container and its memory.
type Container struct {
	cgroup.Container
	Memory Memory
}

// maxContainers bounds how many containers are read: ten times what a kubelet
// runs.
const maxContainers = 2500

// unlimited is above what any machine has: version 1 writes a huge number
// where there is no limit.
const unlimited = math.MaxInt64 / 2

// Reader reads below a root.
type Reader struct {
	proc string // such as /proc
	root string // of the memory controller
	v2   bool
}

// New finds the memory controller below the folder where cgroups are mounted,
// such as /sys/fs/cgroup. proc is where that file system is.
func New(proc, cgroups string) (*Reader, error) {
	if _, err := os.Stat(filepath.Join(cgroups, "cgroup.controllers")); err == nil {
		return &Reader{proc, cgroups, true}, nil
	}
	v1 := filepath.Join(cgroups, "memory")
	if _, err := os.Stat(filepath.Join(v1, "memory.usage_in_bytes")); err != nil {
		return nil, fmt.Errorf("no memory controller of cgroups below %s: %w", cgroups, err)
	}
	return &Reader{proc, v1, false}, nil
}

// Node returns how much the node's work waits for memory. The error is
// [fs.ErrNotExist] where the kernel has no PSI (Linux 4.20), or hides it
// (psi=1 on its command line shows it).
func (r *Reader) Node() (Stall, error) {
	return stall(filepath.Join(r.proc, "pressure", "memory"))
}

// Containers returns the containers of pods below the root, and how many were
// left out. Those that end meanwhile are left out silently.
func (r *Reader) Containers() (list []Container, left int, err error) {
	err = filepath.WalkDir(r.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		}
		c, ok := cgroup.Parse(d.Name(), filepath.Base(filepath.Dir(path)))
		if !ok {
			return nil
		}
		if c.PodUID == "" {
			return nil // a node that is a container has its pods further below
		}
		if len(list) >= maxContainers {
			left++
			return fs.SkipDir
		}
		if m, err := r.read(path); err == nil {
			list = append(list, Container{c, m})
		}
		return fs.SkipDir
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read the cgroups below %s: %w", r.root, err)
	}
	return list, left, nil
}

func (r *Reader) read(dir string) (Memory, error) {
	if r.v2 {
		return readV2(dir)
	}
	return readV1(dir)
}

func readV2(dir string) (m Memory, err error) {
	if m.Usage, err = number(filepath.Join(dir, "memory.current")); err != nil {
		return m, err
	}
	if m.Limit, err = number(filepath.Join(dir, "memory.max")); err != nil {
		return m, err
	}
	events, err := table(filepath.Join(dir, "memory.events"))
	if err != nil {
		return m, err
	}
	m.LimitHits, m.OOMKills = events["max"], events["oom_kill"]
	stat, err := table(filepath.Join(dir, "memory.stat"))
	if err != nil {
		return m, err
	}
	m.WorkSet = max(m.Usage-stat["inactive_file"], 0)
	if s, err := stall(filepath.Join(dir, "memory.pressure")); err == nil {
		m.Stall, m.HasStall = s, true
	}
	return m, nil
}

func readV1(dir string) (m Memory, err error) {
	if m.Usage, err = number(filepath.Join(dir, "memory.usage_in_bytes")); err != nil {
		return m, err
	}
	if m.Limit, err = number(filepath.Join(dir, "memory.limit_in_bytes")); err != nil {
		return m, err
	}
	if m.LimitHits, err = number(filepath.Join(dir, "memory.failcnt")); err != nil {
		return m, err
	}
	stat, err := table(filepath.Join(dir, "memory.stat"))
	if err != nil {
		return m, err
	}
	m.WorkSet = max(m.Usage-stat["total_inactive_file"], 0)
	oom, err := table(filepath.Join(dir, "memory.oom_control"))
	if err != nil {
		return m, err
	}
	m.OOMKills = oom["oom_kill"] // since Linux 4.13
	return m, nil
}

// number reads a file with one number; "max" and what no machine has are 0.
func number(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	s := strings.TrimSpace(string(text))
	if s == "max" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	if n >= unlimited {
		return 0, nil
	}
	return int64(n), nil
}

// table reads a file with a name and a number on each line. Other lines are
// passed over.
func table(path string) (map[string]int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseTable(string(text)), nil
}

func parseTable(text string) map[string]int64 {
	out := make(map[string]int64)
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseInt(value, 10, 64); ok && err == nil && n >= 0 {
			out[name] = n
		}
	}
	return out
}

func stall(path string) (Stall, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Stall{}, err
	}
	return parseStall(string(text)), nil
}

// parseStall reads lines such as "some avg10=0.12 avg60=0.05 avg300=0.01
// total=123".
func parseStall(text string) Stall {
	var s Stall
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		share, ok := strings.CutPrefix(fields[1], "avg10=")
		percent, err := strconv.ParseFloat(share, 64)
		if !ok || err != nil || !(percent >= 0 && percent <= 100) {
			continue
		}
		switch fields[0] {
		case "some":
			s.Some = percent
		case "full":
			s.Full = percent
		}
	}
	return s
}
