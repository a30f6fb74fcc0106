package kernel

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bpf/exit"
	"github.com/yairfalse/tapio/bpf/oom"
	"github.com/yairfalse/tapio/bpf/probe"
	"github.com/yairfalse/tapio/collectors/kernel/cgroup"
)

// event makes an event of this node's kernel.
func (c *Collector) event(what tapio.EventType, severity tapio.Severity, at time.Time) *tapio.Event {
	return &tapio.Event{
		Time: at, Seen: now(), Source: tapio.SourceEBPF, Type: what, Severity: severity,
		Attrs: map[string]string{tapio.AttrNode: c.opts.Node},
	}
}

// node is this node.
func (c *Collector) node() tapio.Entity { return tapio.Entity{Kind: tapio.KindNode, Name: c.opts.Node} }

// place reads whose cgroup it was and notes it in the event.
func place(p probe.Place, e *tapio.Event) (cgroup.Container, bool) {
	found, ok := cgroup.Parse(p.Name, p.Parent)
	if ok {
		noteContainer(found, e)
	}
	return found, ok
}

// noteContainer notes the container's IDs. The UID of a static pod's cgroup is
// not the one that the API knows, so it is left out.
func noteContainer(found cgroup.Container, e *tapio.Event) {
	e.Attrs[tapio.AttrContainerID] = found.ID
	if strings.Contains(found.PodUID, "-") {
		e.Attrs[tapio.AttrUID] = found.PodUID
	}
}

// kill tells of a process that the kernel killed because memory ran out.
func (c *Collector) kill(k oom.Kill) {
	e := c.event(tapio.OOMKill, tapio.SeverityHigh, k.Time)
	put(e, tapio.AttrPID, strconv.Itoa(k.PID))
	put(e, tapio.AttrCommand, k.Command)
	put(e, tapio.AttrMain, flag(k.Main))
	put(e, tapio.AttrHeld, bytes(k.RSS))
	who := "process " + named(k.PID, k.Command)
	switch {
	case k.Level == oom.NoLimit:
		e.Reason = tapio.OOMNode
		e.Message = who + " was killed because the node had no memory left"
	default:
		level := min(max(k.Level, 0), 2)
		e.Reason = [...]string{tapio.OOMContainer, tapio.OOMPod, tapio.OOMParent}[level]
		put(e, tapio.AttrMemoryLimit, quantity(k.Limit))
		put(e, tapio.AttrCharged, bytes(k.Usage))
		e.Message = fmt.Sprintf("%s was killed %s, %s", who, [...]string{
			"at the memory limit of its container", "at the memory limit of its pod", "when the node's pods together reached what is set aside for them",
		}[level], quantity(k.Limit))
	}
	found, ok := place(k.Place, e)
	if !ok {
		e.Entity = c.node()
		if k.Exact {
			c.send(e)
		}
		return
	}
	if w := c.kills[found.ID]; w != nil && e.Time.Sub(w.event.Time) < together {
		first := w.event
		if k.Main && first.Attrs[tapio.AttrMain] == "" {
			e.Time, e.Count = first.Time, first.Count
			*first = *e
		}
		first.Count = max(first.Count, 1) + 1
		return
	}
	t := now()
	w := waiting{id: found.ID, event: e, ready: t.Add(together), due: t.Add(patience)}
	c.kills[found.ID] = &w
	c.wait(w)
}

// exited tells of a process that ended.
func (c *Collector) exited(x exit.Exit) {
	severity := tapio.SeverityLow
	switch {
	case x.Main && (x.Signal != 0 || x.Code != 0):
		severity = tapio.SeverityMedium
	case x.Main:
		severity = tapio.SeverityInfo
	}
	e := c.event(tapio.ProcessExit, severity, x.Time)
	put(e, tapio.AttrPID, strconv.Itoa(x.PID))
	put(e, tapio.AttrCommand, x.Command)
	put(e, tapio.AttrMain, flag(x.Main))
	put(e, tapio.AttrPeak, bytes(x.PeakRSS))
	e.Attrs[tapio.AttrStartedAt] = x.Started.Format(time.RFC3339)
	what := "process " + named(x.PID, x.Command)
	if x.Signal != 0 {
		// What the shell and the container runtime make of it.
		e.Attrs[tapio.AttrExitCode] = strconv.Itoa(128 + int(x.Signal))
		e.Attrs[tapio.AttrSignal] = strconv.Itoa(int(x.Signal))
		e.Reason = "Signal"
		e.Message = fmt.Sprintf("%s was ended by %s", what, unix.SignalName(x.Signal))
	} else {
		e.Attrs[tapio.AttrExitCode] = strconv.Itoa(x.Code)
		e.Reason = "Exit"
		e.Message = fmt.Sprintf("%s ended with exit code %d", what, x.Code)
	}
	if s := x.Sender; s != nil && (s.Signal == x.Signal || x.Signal == 0 && s.Signal == unix.SIGTERM && s.PID != x.PID) {
		verb := ", sent by "
		if x.Signal == 0 {
			verb = " after SIGTERM, sent by "
		}
		e.Attrs[tapio.AttrSender] = sender(x)
		put(e, tapio.AttrSenderCommand, s.Command)
		put(e, tapio.AttrSenderPID, strconv.Itoa(s.PID))
		switch e.Attrs[tapio.AttrSender] {
		case tapio.SenderKernel:
			e.Message += verb + "the kernel"
		case tapio.SenderContainer:
			e.Message += verb + "its own container's process " + named(s.PID, s.Command)
		case tapio.SenderOther:
			e.Message += verb + "another container's process " + named(s.PID, s.Command)
		default:
			e.Message += verb + "the node's process " + named(s.PID, s.Command)
		}
	}
	found, ok := place(x.Place, e)
	if !ok {
		return
	}
	c.tell(found.ID, e)
}

// sender says from where a signal came.
func sender(x exit.Exit) string {
	switch s := x.Sender; {
	case s.Kernel:
		return tapio.SenderKernel
	case s.Cgroup == x.Place.Cgroup:
		return tapio.SenderContainer
	case s.Contained:
		return tapio.SenderOther
	}
	return tapio.SenderNode
}

func named(pid int, command string) string {
	if command == "" {
		return strconv.Itoa(pid)
	}
	return fmt.Sprintf("%d (%s)", pid, command)
}

// put sets an attribute that has a value.
func put(e *tapio.Event, attr, value string) {
	if value != "" {
		e.Attrs[attr] = value
	}
}

func flag(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func bytes(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// quantity writes bytes as Kubernetes does, in the largest binary unit that
// leaves a whole number.
func quantity(n int64) string {
	if n <= 0 {
		return ""
	}
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 40, "Ti"}, {1 << 30, "Gi"}, {1 << 20, "Mi"}, {1 << 10, "Ki"}} {
		if n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
