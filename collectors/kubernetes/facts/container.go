package facts

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/yairfalse/tapio"
)

// container is one container of a pod: what was asked for and, once the
// kubelet has told it, how it is.
type container struct {
	name   string
	init   bool
	spec   *corev1.Container       // nil where only the status names it
	status *corev1.ContainerStatus // nil until the kubelet has told it
}

// containers returns the init containers and then the containers of a pod.
func containers(p *corev1.Pod) []container {
	out := make([]container, 0, len(p.Spec.InitContainers)+len(p.Spec.Containers))
	add := func(init bool, specs []corev1.Container, statuses []corev1.ContainerStatus) {
		for i := range specs {
			c := &specs[i]
			out = append(out, container{name: c.Name, init: init, spec: c, status: statusOf(statuses, c.Name)})
		}
		if len(specs) == 0 { // half a pod, out of a damaged dump
			for i := range statuses {
				s := &statuses[i]
				out = append(out, container{name: s.Name, init: init, status: s})
			}
		}
	}
	add(true, p.Spec.InitContainers, p.Status.InitContainerStatuses)
	add(false, p.Spec.Containers, p.Status.ContainerStatuses)
	return out
}

// sidecar reports whether an init container keeps running beside the others.
func (c container) sidecar() bool {
	return c.init && c.spec != nil && c.spec.RestartPolicy != nil && *c.spec.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func statusOf(statuses []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range statuses {
		if statuses[i].Name == name {
			return &statuses[i]
		}
	}
	return nil
}

func containerStates(p *corev1.Pod) []tapio.ContainerState {
	list := containers(p)
	out := make([]tapio.ContainerState, len(list))
	for i, c := range list {
		s := &out[i]
		s.Name, s.Init, s.Sidecar = c.name, c.init, c.sidecar()
		if c.spec != nil {
			s.Image = c.spec.Image
			s.Limits = amounts(c.spec.Resources.Limits)
			s.Requests = amounts(c.spec.Resources.Requests)
		}
		if c.status == nil {
			continue
		}
		s.Ready, s.Restarts = c.status.Ready, c.status.RestartCount
		switch state := &c.status.State; {
		case state.Running != nil:
			s.State, s.Since = "running", utc(state.Running.StartedAt.Time)
		case state.Terminated != nil:
			s.State, s.Since = "terminated", utc(state.Terminated.FinishedAt.Time)
			s.Reason, s.ExitCode = state.Terminated.Reason, state.Terminated.ExitCode
		case state.Waiting != nil:
			s.State, s.Reason = "waiting", state.Waiting.Reason
		}
	}
	return out
}

func amounts(list corev1.ResourceList) tapio.Resources {
	var r tapio.Resources
	if q, ok := list[corev1.ResourceCPU]; ok {
		r.CPU = q.String()
	}
	if q, ok := list[corev1.ResourceMemory]; ok {
		r.Memory = q.String()
	}
	return r
}

// containerEvents tells the exits, the reason to wait and the start of one
// container.
func (t *teller) containerEvents(old, new *corev1.Pod, c container) {
	if c.status == nil || c.name == "" {
		return
	}
	was := &corev1.ContainerStatus{}
	if old != nil {
		list := old.Status.ContainerStatuses
		if c.init {
			list = old.Status.InitContainerStatuses
		}
		if s := statusOf(list, c.name); s != nil {
			was = s
		}
	}
	for _, end := range []*corev1.ContainerStateTerminated{c.status.LastTerminationState.Terminated, c.status.State.Terminated} {
		if end == nil || sameRun(end, was.LastTerminationState.Terminated) || sameRun(end, was.State.Terminated) {
			continue
		}
		if t.listed && old == nil && routine(new, c, end) {
			continue
		}
		t.exit(new, c, end)
	}
	t.waiting(old, new, c, was.State.Waiting)
	if r := c.status.State.Running; r != nil && !t.listed && (was.State.Running == nil || !was.State.Running.StartedAt.Equal(&r.StartedAt)) {
		e := containerEvent(new, c, tapio.ContainerStarted, tapio.SeverityInfo, r.StartedAt.Time)
		set(e.Attrs, tapio.AttrContainerID, c.status.ContainerID)
		t.event(e)
	}
}

// sameRun reports whether two terminations are of one run of a container. The
// kubelet knows no ID and no time of runs that it lost sight of.
func sameRun(a, b *corev1.ContainerStateTerminated) bool {
	return a != nil && b != nil &&
		a.ContainerID == b.ContainerID && a.FinishedAt.Equal(&b.FinishedAt) &&
		(a.ContainerID != "" || a.ExitCode == b.ExitCode && a.Reason == b.Reason)
}

// routine reports whether a listed termination is a container that did its
// work: no news, and no failure.
func routine(p *corev1.Pod, c container, end *corev1.ContainerStateTerminated) bool {
	if end.ExitCode != 0 {
		return false
	}
	return c.init && !c.sidecar() || p.Status.Phase == corev1.PodSucceeded || p.Spec.RestartPolicy != corev1.RestartPolicyAlways
}

func (t *teller) exit(p *corev1.Pod, c container, end *corev1.ContainerStateTerminated) {
	when := utc(end.FinishedAt.Time)
	if when.IsZero() && t.listed {
		when = bestTime(p)
	}
	severity := tapio.SeverityHigh
	if end.ExitCode == 0 {
		severity = tapio.SeverityInfo
	}
	e := containerEvent(p, c, tapio.ContainerExit, severity, when)
	e.Reason, e.Message = end.Reason, end.Message
	e.Attrs[tapio.AttrExitCode] = strconv.Itoa(int(end.ExitCode))
	set(e.Attrs, tapio.AttrContainerID, end.ContainerID)
	if end.Signal != 0 {
		e.Attrs[tapio.AttrSignal] = strconv.Itoa(int(end.Signal))
	}
	if started := utc(end.StartedAt.Time); !started.IsZero() {
		e.Attrs[tapio.AttrStartedAt] = started.Format(time.RFC3339)
	}
	if e.Severity != tapio.SeverityInfo {
		e.Kubernetes = t.podContext(p, c.spec)
	}
	t.event(e)
}

func (t *teller) waiting(old, new *corev1.Pod, c container, was *corev1.ContainerStateWaiting) {
	w := c.status.State.Waiting
	if w == nil {
		return
	}
	switch w.Reason {
	case "", "ContainerCreating", "PodInitializing":
		return
	}
	if was != nil && was.Reason == w.Reason && sameWords(was.Message, w.Message) {
		return
	}
	var when time.Time
	if t.listed && old == nil {
		if end := c.status.LastTerminationState.Terminated; end != nil {
			when = utc(end.FinishedAt.Time)
		}
		when = first(when, bestTime(new))
	}
	e := containerEvent(new, c, tapio.ContainerWaiting, tapio.SeverityHigh, when)
	e.Reason, e.Message = w.Reason, w.Message
	e.Kubernetes = t.podContext(new, c.spec)
	t.event(e)
}

// containerEvent returns an event of a container without its Kubernetes
// context.
func containerEvent(p *corev1.Pod, c container, what tapio.EventType, severity tapio.Severity, when time.Time) tapio.Event {
	e := podEvent(p, what, severity, when)
	e.Entity.Container = c.name
	e.Attrs[tapio.AttrRestarts] = strconv.Itoa(int(c.status.RestartCount))
	set(e.Attrs, tapio.AttrInit, flag(c.init))
	if c.spec != nil {
		set(e.Attrs, tapio.AttrImage, c.spec.Image)
		if q, ok := c.spec.Resources.Limits[corev1.ResourceMemory]; ok {
			e.Attrs[tapio.AttrMemoryLimit] = q.String()
		}
	}
	return e
}
