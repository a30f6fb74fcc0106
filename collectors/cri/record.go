package cri

import (
	"strconv"
	"time"

	"github.com/yairfalse/tapio"
	"k8s.io/apimachinery/pkg/api/resource"
	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Labels that every kubelet puts on what it has the runtime make.
const (
	labelPod       = "io.kubernetes.pod.name"
	labelNamespace = "io.kubernetes.pod.namespace"
	labelUID       = "io.kubernetes.pod.uid"
	labelContainer = "io.kubernetes.container.name"
)

// oomKilled is how containerd and CRI-O say that the kernel killed a process
// of the container for memory. It stays with the container, also where it was
// a child process and the container went on.
const oomKilled = "OOMKilled"

// record is what is known and was told of one container.
type record struct {
	id      string
	sandbox string
	entity  tapio.Entity
	uid     string // of the pod

	created, started, ended, hit bool // told
	again                        bool // look once more after the end: the reason may come late
	startedAt                    time.Time
	hurt                         time.Time // a process of it was first seen to be killed for memory, while it ran
	noted                        uint64    // how many listings were begun before it was
	missed                       time.Time // the first listing that it wasn't in
	removed                      time.Time // zero while it is there
}

// box is a pod's sandbox.
type box struct {
	id      string
	entity  tapio.Entity
	uid     string
	labels  map[string]string
	wanted  bool
	created time.Time
	noted   uint64 // how many listings were begun before it was
	removed time.Time
}

// sandbox takes in a sandbox and tells it where it is new.
func (c *Collector) sandbox(id string, meta *runtimev1.PodSandboxMetadata, labels map[string]string, created int64) {
	if c.boxes[id] != nil || meta == nil {
		return
	}
	b := &box{
		id: id, labels: labels, uid: meta.Uid, created: nanos(created), noted: c.lists,
		entity: tapio.Entity{Kind: tapio.KindPod, Namespace: meta.Namespace, Name: meta.Name},
		wanted: c.opts.Config.wanted(meta.Namespace, labels),
	}
	c.boxes[id] = b
	if b.wanted {
		c.tell(c.boxEvent(tapio.CRISandboxCreated, b, b.created))
	}
}

func (c *Collector) unbox(b *box, when time.Time) {
	b.removed = when
	if b.wanted {
		c.tell(c.boxEvent(tapio.CRISandboxRemoved, b, when))
	}
}

func (c *Collector) boxEvent(what tapio.EventType, b *box, when time.Time) *tapio.Event {
	e := c.event(what, tapio.SeverityInfo, when, b.entity)
	e.Attrs[tapio.AttrSandboxID] = b.id
	e.Attrs[tapio.AttrUID] = b.uid
	e.Kubernetes = background(b.labels, b.entity.Name)
	return e
}

// record returns the record of a container, or nil where it is not wanted, of
// no pod, or one too many.
func (c *Collector) record(id, sandbox string, meta *runtimev1.ContainerMetadata, labels map[string]string) *record {
	if r := c.records[id]; r != nil {
		return r
	}
	b := c.boxes[sandbox]
	if labels[labelPod] == "" || b != nil && !b.wanted || b == nil && !c.opts.Config.wanted(labels[labelNamespace], nil) {
		return nil
	}
	if len(c.records) >= c.opts.Config.MaxContainers {
		c.tooMany()
		return nil
	}
	name := labels[labelContainer]
	if name == "" && meta != nil {
		name = meta.Name
	}
	r := &record{
		id: id, sandbox: sandbox, uid: labels[labelUID], noted: c.lists,
		entity: tapio.Entity{Kind: tapio.KindPod, Namespace: labels[labelNamespace], Name: labels[labelPod], Container: name},
	}
	c.records[id] = r
	c.setName(id, &r.entity)
	return r
}

// tooMany says, once for each poll, that containers are left out.
func (c *Collector) tooMany() {
	c.metrics.leftOut.Inc()
	if c.overflow++; c.overflow > 1 {
		return
	}
	now := utc(time.Now())
	c.put(tapio.Observation{Time: now, Gap: &tapio.Gap{
		Source: tapio.SourceCRI, Resource: "containers of node " + c.opts.Node, From: now, To: now,
		Reason: "more containers than max_containers (" + strconv.Itoa(c.opts.Config.MaxContainers) + ")",
	}})
}

// due reports whether the state in a list is ahead of what was told.
func (r *record) due(state runtimev1.ContainerState) bool {
	switch state {
	case runtimev1.ContainerState_CONTAINER_CREATED:
		return !r.created
	case runtimev1.ContainerState_CONTAINER_RUNNING:
		return !r.started || !r.hurt.IsZero() && !r.hit
	}
	return !r.ended || r.again
}

// advance tells the steps of a container that its status shows and that were
// not told yet.
func (c *Collector) advance(r *record, s *runtimev1.ContainerStatus) {
	if !r.removed.IsZero() || s == nil {
		return // a late word about what is gone
	}
	if !r.created {
		r.created = true
		c.tell(c.statusEvent(tapio.CRIContainerCreated, tapio.SeverityInfo, r, s, nanos(s.CreatedAt)))
	}
	if started := nanos(s.StartedAt); !started.IsZero() {
		r.startedAt = started
		if !r.started {
			r.started = true
			c.tell(c.statusEvent(tapio.CRIContainerStarted, tapio.SeverityInfo, r, s, started))
		}
	}
	over := s.State == runtimev1.ContainerState_CONTAINER_EXITED
	if over {
		r.again = !r.ended && s.ExitCode != 0 // once more with the next poll
	}
	if over && !r.ended {
		r.ended = true
		what, severity := tapio.CRIContainerStopped, tapio.SeverityInfo
		if s.ExitCode != 0 {
			what, severity = tapio.CRIContainerFailed, tapio.SeverityHigh
		}
		e := c.statusEvent(what, severity, r, s, nanos(s.FinishedAt))
		e.Reason, e.Message = s.Reason, s.Message
		c.ending(e, r, s)
		c.tell(e)
	}
	if s.Reason != oomKilled || r.hit {
		return
	}
	if !over && r.hurt.IsZero() {
		r.hurt = utc(time.Now()) // its first process may be about to end of it: the next look tells
		return
	}
	r.hit = true
	when := r.hurt // the container went on: some child process was killed
	if over {
		when = nanos(s.FinishedAt)
	}
	e := c.statusEvent(tapio.CRIResourceLimitHit, tapio.SeverityMedium, r, s, when)
	if over {
		c.ending(e, r, s)
	}
	c.limitHit(e)
}

// limitHit tells that a process was killed at the memory limit.
func (c *Collector) limitHit(e *tapio.Event) {
	e.Reason = oomKilled
	e.Attrs[tapio.AttrResource] = "memory"
	c.tell(e)
}

// ending adds how a container ended.
func (c *Collector) ending(e *tapio.Event, r *record, s *runtimev1.ContainerStatus) {
	e.Attrs[tapio.AttrExitCode] = strconv.Itoa(int(s.ExitCode))
	// An exit code above 128 is how a shell, and the runtime, write the signal
	// that ended the process; a program may also return it by itself.
	if s.ExitCode > 128 && s.ExitCode <= 128+64 {
		e.Attrs[tapio.AttrSignal] = strconv.Itoa(int(s.ExitCode) - 128)
	}
	e.Attrs[tapio.AttrFinishedAt] = nanos(s.FinishedAt).Format(time.RFC3339Nano)
	if !r.startedAt.IsZero() {
		e.Attrs[tapio.AttrStartedAt] = r.startedAt.Format(time.RFC3339Nano)
	}
	if u, ok := c.usage[r.id]; ok {
		e.Attrs[tapio.AttrMemoryUsage] = strconv.FormatUint(u.memory, 10)
		e.Attrs[tapio.AttrCPUUsage] = strconv.FormatUint(u.cpu/1e6, 10)
	}
}

// remove tells that a container is gone, and its end before that where nobody
// saw it.
func (c *Collector) remove(r *record, when time.Time) {
	r.removed = when
	if r.started {
		c.unseenEnd(r, when)
	}
	if !r.hurt.IsZero() && !r.hit {
		r.hit = true
		c.limitHit(c.recordEvent(tapio.CRIResourceLimitHit, tapio.SeverityMedium, r, r.hurt))
	}
	c.tell(c.recordEvent(tapio.CRIContainerRemoved, tapio.SeverityInfo, r, when))
}

// unseenEnd tells an end that left no exit code, where none was told.
func (c *Collector) unseenEnd(r *record, when time.Time) {
	if r.ended {
		return
	}
	r.ended = true
	e := c.recordEvent(tapio.CRIContainerStopped, tapio.SeverityInfo, r, when)
	e.Reason = "EndUnseen"
	c.tell(e)
}

func (c *Collector) recordEvent(what tapio.EventType, severity tapio.Severity, r *record, when time.Time) *tapio.Event {
	e := c.event(what, severity, when, r.entity)
	e.Attrs[tapio.AttrContainerID] = c.name + "://" + r.id
	e.Attrs[tapio.AttrSandboxID] = r.sandbox
	e.Attrs[tapio.AttrUID] = r.uid
	if b := c.boxes[r.sandbox]; b != nil {
		e.Kubernetes = background(b.labels, r.entity.Name)
	}
	return e
}

func (c *Collector) statusEvent(what tapio.EventType, severity tapio.Severity, r *record, s *runtimev1.ContainerStatus, when time.Time) *tapio.Event {
	e := c.recordEvent(what, severity, r, when)
	if name := s.GetImage().GetUserSpecifiedImage(); name != "" {
		e.Attrs[tapio.AttrImage] = name
	} else if name := s.GetImage().GetImage(); name != "" {
		e.Attrs[tapio.AttrImage] = name
	}
	if s.Metadata != nil {
		e.Attrs[tapio.AttrRestarts] = strconv.Itoa(int(s.Metadata.Attempt))
	}
	l := s.GetResources().GetLinux()
	if l == nil {
		return e
	}
	if l.MemoryLimitInBytes > 0 {
		e.Attrs[tapio.AttrMemoryLimit] = resource.NewQuantity(l.MemoryLimitInBytes, resource.BinarySI).String()
	}
	if l.CpuQuota > 0 && l.CpuPeriod > 0 {
		e.Attrs[tapio.AttrCPULimit] = resource.NewMilliQuantity(1000*l.CpuQuota/l.CpuPeriod, resource.DecimalSI).String()
	}
	if l.CpuShares > 2 { // 2 is what no request is written as
		e.Attrs[tapio.AttrCPURequest] = strconv.FormatInt(1000*l.CpuShares/1024, 10) + "m"
	}
	return e
}

// event returns an event without an ID.
func (c *Collector) event(what tapio.EventType, severity tapio.Severity, when time.Time, entity tapio.Entity) *tapio.Event {
	now := utc(time.Now())
	if when.IsZero() {
		when = now
	}
	return &tapio.Event{
		Time: when, Seen: now, Source: tapio.SourceCRI, Type: what, Severity: severity, Entity: entity,
		Attrs: map[string]string{tapio.AttrNode: c.opts.Node}, Listed: !c.listed,
	}
}

func (c *Collector) tell(e *tapio.Event) {
	e.SetID()
	c.metrics.told.WithLabelValues(string(e.Type)).Inc()
	c.put(tapio.Observation{Time: e.Seen, Event: e})
}
