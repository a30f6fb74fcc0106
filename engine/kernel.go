package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/applog"
)

const (
	// endSlack is how far apart the kubelet's and the kernel's time of one end
	// may be, where no container ID says that they are one: the kubelet writes
	// whole seconds, and notices some seconds late.
	endSlack = 5 * time.Second
	// keptSights bounds what the kernel saw and the ends that are remembered for
	// each other.
	keptSights = 512
	// vainCalls and vainFor are how many calls of a Service that says it is well
	// must be refused, and for how long, until that counts by itself: pods that
	// are replaced refuse some for a moment.
	vainCalls = 10
	vainFor   = 30 * time.Second
	// vainPause is after how long without any a row of failed calls is over.
	vainPause = time.Minute
	// keptCalls bounds the pairs whose calls are counted.
	keptCalls = 4096
)

// sights remembers what kernels saw of containers until the API tells of the
// same, and the reverse.
type sights struct {
	kills, ends, exits []*tapio.Event
	calls              map[call]*row
}

// call is who calls which Service on which port, and how that fails.
type call struct {
	caller, service tapio.Entity
	port, reason    string
}

// row is a row of failed calls.
type row struct {
	first, last time.Time
	count       int
}

// ofKernel reports whether the event is one that only has a meaning together
// with what the API says.
func ofKernel(ev *tapio.Event) bool {
	switch ev.Type {
	case tapio.OOMKill, tapio.ProcessExit, tapio.ConnectionReset, tapio.Retransmissions, tapio.DNSFailed:
		return true
	case tapio.ConnectionFailed:
		return ev.Entity.Kind == tapio.KindPod
	}
	return false
}

// sawInKernel returns the facts that follow from what a kernel saw, or from the end
// of a container that one saw too.
func (e *Engine) sawInKernel(ev *tapio.Event) []*tapio.Event {
	w := &e.sights
	switch ev.Type {
	case tapio.OOMKill:
		if ev.Entity.Container == "" || e.expected(ev) {
			return nil
		}
		w.kills = keep(w.kills, ev)
		switch {
		case ofNode(ev):
			d := seen(ev, tapio.OOMOfNode, ev.Reason, nil)
			delete(d.Attrs, tapio.AttrMemoryLimit) // of all pods together
			return []*tapio.Event{d}
		case ev.Attrs[tapio.AttrMain] == "":
			return []*tapio.Event{seen(ev, tapio.OOMOfChild, ev.Reason, map[string]string{tapio.AttrRecurring: "true"})}
		}
		for _, exit := range w.exits {
			if oneEnd(ev, exit) {
				return unsaid(ev, exit)
			}
		}
	case tapio.ProcessExit:
		if ev.Attrs[tapio.AttrMain] == "" || ev.Attrs[tapio.AttrSender] == "" {
			return nil
		}
		w.ends = keep(w.ends, ev)
		for _, exit := range w.exits {
			if oneEnd(ev, exit) {
				return killedBy(ev, exit)
			}
		}
	case tapio.ContainerExit:
		if code := ev.Int(tapio.AttrExitCode); code != 137 && code != 143 || e.expected(ev) {
			return nil
		}
		w.exits = keep(w.exits, ev)
		for _, kill := range w.kills {
			if !ofNode(kill) && kill.Attrs[tapio.AttrMain] != "" && oneEnd(kill, ev) {
				return unsaid(kill, ev)
			}
		}
		for _, end := range w.ends {
			if oneEnd(end, ev) {
				return killedBy(end, ev)
			}
		}
	case tapio.ConnectionFailed:
		return append(e.failedCall(ev), e.unanswered(ev)...)
	case tapio.Retransmissions:
		return e.unanswered(ev)
	case tapio.DNSFailed:
		return e.failedQuestion(ev)
	}
	return nil
}

// ofNode reports whether the kernel killed because the node had no memory left,
// or none of what it sets aside for pods.
func ofNode(kill *tapio.Event) bool {
	return kill.Reason == tapio.OOMNode || kill.Reason == tapio.OOMParent
}

// observeAll takes in what was derived.
func (e *Engine) observeAll(derived []*tapio.Event) []tapio.Story {
	var out []tapio.Story
	for _, d := range derived {
		out = append(out, e.observeEvent(d)...)
	}
	return out
}

// keep remembers an event, and forgets the oldest beyond the bound.
func keep(list []*tapio.Event, ev *tapio.Event) []*tapio.Event {
	if list = append(list, ev); len(list) > keptSights {
		list = list[1:]
	}
	return list
}

// oneEnd reports whether what the kernel saw and what the API tells is the end
// of one run of a container.
func oneEnd(kernel, exit *tapio.Event) bool {
	if kernel.Entity != exit.Entity {
		return false
	}
	if k, id := runOf(kernel), runOf(exit); k != "" && id != "" {
		return k == id
	}
	d := exit.Time.Sub(kernel.Time)
	return d >= -endSlack && d <= endSlack
}

// seen makes a fact of what a kernel saw.
func seen(ev *tapio.Event, typ tapio.EventType, reason string, attrs map[string]string) *tapio.Event {
	d := &tapio.Event{
		Time: ev.Time, Seen: ev.Seen, Source: ev.Source, Type: typ, Severity: tapio.SeverityHigh, Entity: ev.Entity,
		Reason: reason, Message: ev.Message, Count: ev.Count, Attrs: map[string]string{},
	}
	for _, k := range []string{
		tapio.AttrUID, tapio.AttrNode, tapio.AttrContainerID, tapio.AttrMemoryLimit, tapio.AttrMain, tapio.AttrCommand, tapio.AttrPID,
		tapio.AttrHeld, tapio.AttrCharged, tapio.AttrSender, tapio.AttrSenderCommand, tapio.AttrSenderPID, tapio.AttrSignal, tapio.AttrExitCode,
	} {
		if v := ev.Attrs[k]; v != "" {
			d.Attrs[k] = v
		}
	}
	for k, v := range attrs {
		d.Attrs[k] = v
	}
	d.SetID()
	return d
}

// unsaid is that a limit killed a container whose status does not say so.
func unsaid(kill, exit *tapio.Event) []*tapio.Event {
	if exit.Reason == "OOMKilled" {
		return nil
	}
	return []*tapio.Event{seen(kill, tapio.OOMUnsaid, "OOMKilled", nil)}
}

// runtimes are what container runtimes and service managers send signals with,
// by the start of the name: what they do somebody asked them to.
var runtimes = []string{"runc", "crun", "youki", "containerd", "conmon", "crio", "dockerd", "systemd", "kubelet"}

// killedBy is that a process ended a container, of which Kubernetes says nothing.
func killedBy(end, exit *tapio.Event) []*tapio.Event {
	if exit.Reason != "Error" && exit.Reason != "" || end.Attrs[tapio.AttrSender] == tapio.SenderKernel {
		return nil
	}
	command := end.Attrs[tapio.AttrSenderCommand]
	process := "process " + end.Attrs[tapio.AttrSenderPID]
	if command != "" {
		process += " (" + command + ")"
	}
	attrs := map[string]string{tapio.AttrDetail: process + " of the node"}
	switch {
	case end.Attrs[tapio.AttrSender] == tapio.SenderContainer:
		attrs[tapio.AttrDetail] = process + " of the container itself"
	case slices.ContainsFunc(runtimes, func(r string) bool { return strings.HasPrefix(command, r) }):
		attrs[tapio.AttrDetail] = "the container runtime (" + command + "), which somebody told to"
		attrs[tapio.AttrStanding] = string(tapio.StandingPossible)
	case end.Attrs[tapio.AttrSender] == tapio.SenderOther:
		attrs[tapio.AttrDetail] = process + " of another container"
	}
	return []*tapio.Event{seen(end, tapio.KilledBy, end.Attrs[tapio.AttrSender], attrs)}
}

// failedCall takes in connections of a container that failed. They are told of
// the Service that was called, and of the caller where that fails itself; and
// where the Service says that it is well and refuses calls all the same, it is
// at fault.
func (e *Engine) failedCall(ev *tapio.Event) []*tapio.Event {
	svc, ok := e.graph.At(ev.Attrs[tapio.AttrPeer])
	if !ok || !e.graph.Exists(svc) || e.expected(ev) {
		return nil
	}
	told := seen(ev, tapio.ConnectionFailed, ev.Reason, map[string]string{tapio.AttrPort: ev.Attrs[tapio.AttrPort]})
	told.Entity, told.Severity = svc, tapio.SeverityMedium
	delete(told.Attrs, tapio.AttrUID) // the caller's
	told.Message = ev.Entity.Name + ": " + ev.Message
	told.SetID()
	out := []*tapio.Event{told}

	r := e.sights.row(call{ev.Entity, svc, ev.Attrs[tapio.AttrPort], ev.Reason}, ev)
	switch s := e.graph.State(ev.Entity); {
	case s == nil || s.Pod == nil || e.graph.Workload(ev.Entity) == e.graph.Workload(firstPod(e, svc)):
	case !s.Pod.Ready:
		if said := e.unreachable(ev, svc, ev.Reason); said != nil {
			out = append(out, said)
		}
	case ev.Reason == tapio.Refused && r.count >= vainCalls && r.last.Sub(r.first) >= vainFor:
		if closed := e.closedPort(ev, svc, r); closed != nil {
			out = append(out, closed)
		}
	}
	return out
}

// unanswered is that a pod of another node does not answer: what its peers see
// of a node that is silent.
func (e *Engine) unanswered(ev *tapio.Event) []*tapio.Event {
	if ev.Reason == tapio.Refused {
		return nil // that is an answer
	}
	caller, peer := e.graph.State(ev.Entity), e.graph.PodAt(ev.Attrs[tapio.AttrPeer])
	if caller == nil || caller.Pod == nil || peer == nil || peer.Pod.Node == "" || peer.Pod.Terminating || peer.Pod.Node == caller.Pod.Node {
		return nil
	}
	d := seen(ev, tapio.NodeUnanswering, ev.Reason, map[string]string{tapio.AttrPeer: ev.Attrs[tapio.AttrPeer], tapio.AttrNode: peer.Pod.Node})
	d.Entity, d.Severity = tapio.Entity{Kind: tapio.KindNode, Name: peer.Pod.Node}, tapio.SeverityLow
	delete(d.Attrs, tapio.AttrUID) // the caller's
	d.Message = fmt.Sprintf("%s on %s calls %s: %s", ev.Entity.Name, caller.Pod.Node, peer.Entity.Name, ev.Message)
	d.SetID()
	return []*tapio.Event{d}
}

func firstPod(e *Engine, svc tapio.Entity) tapio.Entity {
	for _, p := range e.graph.Selected(svc) {
		return p.Entity
	}
	return tapio.Entity{}
}

// row adds failed calls to their row. Beyond the bound, rows that are over go
// first.
func (w *sights) row(c call, ev *tapio.Event) row {
	r := w.calls[c]
	if r == nil || ev.Time.Sub(r.last) > vainPause {
		if r == nil && len(w.calls) >= keptCalls {
			for k, old := range w.calls {
				if ev.Time.Sub(old.last) > vainPause {
					delete(w.calls, k)
				}
			}
		}
		r = &row{first: ev.Time, last: ev.Time}
		if len(w.calls) < keptCalls {
			w.calls[c] = r
		}
	}
	r.count += max(ev.Count, 1)
	if ev.Time.After(r.last) {
		r.last = ev.Time
	}
	return *r
}

// unreachable is what a container that fails would say of a Service that it
// calls in vain.
func (e *Engine) unreachable(ev *tapio.Event, svc tapio.Entity, reason string) *tapio.Event {
	x := applog.Error{Class: applog.Class(reason), Port: ev.Attrs[tapio.AttrPort], Host: svc.Name + "." + svc.Namespace, Count: max(ev.Count, 1)}
	if !inVain(x.Class) {
		return nil
	}
	if svc.Namespace == ev.Entity.Namespace {
		x.Host = svc.Name
	}
	said := e.appError(ev, x)
	said.Source = tapio.SourceEBPF
	said.SetID()
	return said
}

// closedPort is that a Service all of whose pods say that they are ready
// refuses calls on one of its ports: nothing listens on the pods' port.
func (e *Engine) closedPort(ev *tapio.Event, svc tapio.Entity, r row) *tapio.Event {
	s := e.graph.State(svc)
	ready, all := e.graph.Backends(svc)
	number := ev.Int(tapio.AttrPort)
	if s == nil || s.Service == nil || ready == 0 || ready != all || s.Service.IP != ev.Attrs[tapio.AttrPeer] || !e.graph.Health(svc).Healthy {
		return nil
	}
	for _, p := range s.Service.Ports {
		if int(p.Port) != number {
			continue
		}
		port := strconv.Itoa(number)
		d := seen(ev, tapio.PortRefused, "Refused", map[string]string{
			tapio.AttrServicePort: port, tapio.AttrTarget: p.Target, tapio.AttrRecurring: "true",
			tapio.AttrDetail: "nothing listens on port " + p.Target + " of its pods, to which its port " + port + " leads, or not on their address",
		})
		d.Entity, d.Time, d.Count = svc, r.first, r.count
		d.Message = "calls of " + e.graph.Workload(ev.Entity).Name + " are refused though all its pods are ready"
		delete(d.Attrs, tapio.AttrUID)
		d.SetID()
		return d
	}
	return nil
}

// failedQuestion takes in questions to a name server that failed: they are told
// of the pod that asked, where that fails itself.
func (e *Engine) failedQuestion(ev *tapio.Event) []*tapio.Event {
	if _, err := netip.ParseAddr(ev.Attrs[tapio.AttrLocal]); err != nil || ev.Reason == tapio.Refused {
		return nil
	}
	pod := e.graph.PodAt(ev.Attrs[tapio.AttrLocal])
	if pod == nil || pod.Pod.Ready || pod.Pod.Phase != "Running" || len(pod.Pod.Containers) == 0 {
		return nil
	}
	asked := *ev
	asked.Entity = pod.Entity
	asked.Entity.Container = pod.Pod.Containers[0].Name
	if e.expected(&asked) {
		return nil
	}
	said := e.appError(&asked, applog.Error{Class: applog.NameTimedOut, Host: ev.Attrs[tapio.AttrMissing], Count: max(ev.Count, 1)})
	said.Source = tapio.SourceEBPF
	said.SetID()
	return []*tapio.Event{said}
}
