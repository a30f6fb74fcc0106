package cri

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// poll compares the records with the runtime's lists and tells what the stream
// has not.
func (c *Collector) poll(ctx context.Context) {
	began := time.Now()
	err := c.reconcile(ctx)
	c.metrics.polls.Observe(time.Since(began).Seconds())
	if err != nil {
		if ctx.Err() == nil {
			c.lose(err)
		}
		return
	}
	c.regain()
	c.listed = true
	c.polls++
}

func (c *Collector) reconcile(ctx context.Context) error {
	if c.name == "" {
		v, err := ask(ctx, c, c.runtime.Version, &runtimev1.VersionRequest{})
		if err != nil {
			return fmt.Errorf("ask for its version: %w", err)
		}
		c.name = v.RuntimeName
	}
	c.lists++ // what is noted from now on may be too new for the lists
	pods, err := ask(ctx, c, c.runtime.ListPodSandbox, &runtimev1.ListPodSandboxRequest{})
	if err != nil {
		return fmt.Errorf("list its pods: %w", err)
	}
	containers, err := ask(ctx, c, c.runtime.ListContainers, &runtimev1.ListContainersRequest{})
	if err != nil {
		return fmt.Errorf("list its containers: %w", err)
	}
	now := utc(time.Now())
	if c.opts.Config.EnableMetrics {
		// Before ends are told: they say what was used last.
		if err := c.measure(ctx); err != nil {
			c.metrics.failed.WithLabelValues("stats").Inc()
		}
	}
	here := map[string]bool{}
	for _, p := range pods.Items {
		here[p.Id] = true
		c.sandbox(p.Id, p.Metadata, p.Labels, p.CreatedAt)
	}
	c.overflow = 0
	for _, l := range containers.Containers {
		here[l.Id] = true
		r := c.record(l.Id, l.PodSandboxId, l.Metadata, l.Labels)
		if r == nil {
			continue
		}
		if !r.due(l.State) && c.polls%recheck != 0 {
			continue
		}
		answer, err := ask(ctx, c, c.runtime.ContainerStatus, &runtimev1.ContainerStatusRequest{ContainerId: l.Id})
		if status.Code(err) == codes.NotFound {
			continue // removed since: the next poll tells
		}
		if err != nil {
			return fmt.Errorf("ask for container %s: %w", l.Id, err)
		}
		c.advance(r, answer.Status)
	}
	// Whatever was known before the lists were asked for and isn't in them is
	// gone. How it ended the stream knows better: it has until the next poll.
	c.drain()
	for id, r := range c.records {
		switch {
		case here[id] || !r.removed.IsZero() || r.noted == c.lists:
		case c.events != nil && r.missed.IsZero():
			r.missed = now
		default:
			c.remove(r, cmp.Or(r.missed, now))
		}
		if !r.removed.IsZero() && now.Sub(r.removed) > rememberRemoved {
			delete(c.records, id)
			c.setName(id, nil)
		}
	}
	for id, b := range c.boxes {
		if !here[id] && b.removed.IsZero() && b.noted != c.lists {
			c.unbox(b, now)
		}
		if !b.removed.IsZero() && now.Sub(b.removed) > rememberRemoved {
			delete(c.boxes, id)
		}
	}
	c.metrics.containers.Set(float64(len(containers.Containers)))
	return c.compareImages(ctx, now)
}

// take takes in one event of the stream. It holds the state of the whole pod.
func (c *Collector) take(e *runtimev1.ContainerEventResponse) {
	c.metrics.events.Inc()
	when := nanos(e.CreatedAt)
	pod := e.PodSandboxStatus
	if pod != nil {
		c.sandbox(pod.Id, pod.Metadata, pod.Labels, pod.CreatedAt)
		for _, s := range e.ContainersStatuses {
			if r := c.record(s.Id, pod.Id, s.Metadata, s.Labels); r != nil {
				c.advance(r, s)
			}
		}
	}
	r := c.records[e.ContainerId]
	switch e.ContainerEventType {
	case runtimev1.ContainerEventType_CONTAINER_STARTED_EVENT:
		c.outrun(r, e, false)
		return
	case runtimev1.ContainerEventType_CONTAINER_STOPPED_EVENT:
		c.outrun(r, e, true)
		return
	case runtimev1.ContainerEventType_CONTAINER_CREATED_EVENT:
		return
	}
	if b := c.boxes[e.ContainerId]; b != nil && b.removed.IsZero() {
		c.unbox(b, when)
	}
	if r != nil && r.removed.IsZero() {
		c.remove(r, when)
	}
}

// outrun tells what an event says by its kind alone: its container was removed
// before the runtime wrote the event, which then holds no status of it.
func (c *Collector) outrun(r *record, e *runtimev1.ContainerEventResponse, over bool) {
	if r == nil || !r.removed.IsZero() || slices.ContainsFunc(e.ContainersStatuses, func(s *runtimev1.ContainerStatus) bool { return s.Id == r.id }) {
		return
	}
	c.metrics.outrun.Inc()
	when := nanos(e.CreatedAt)
	if !r.started {
		r.started = true
		c.tell(c.recordEvent(tapio.CRIContainerStarted, tapio.SeverityInfo, r, when))
	}
	if over {
		c.unseenEnd(r, when)
	}
}

// usage is what a container used when it was last measured.
type usage struct {
	memory uint64 // bytes of working set
	cpu    uint64 // nanocores
}

// ask asks the runtime and takes in what its stream tells meanwhile: a slow
// answer holds nothing up.
func ask[Q, A any](ctx context.Context, c *Collector, call func(context.Context, Q, ...grpc.CallOption) (A, error), question Q) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	type outcome struct {
		answer A
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		answer, err := call(ctx, question)
		done <- outcome{answer, err}
	}()
	for {
		select {
		case e := <-c.events:
			c.take(e)
		case o := <-done:
			return o.answer, o.err
		}
	}
}

// drain takes in what the stream has told by now. It never waits.
func (c *Collector) drain() {
	for range len(c.events) { // nobody else receives
		c.take(<-c.events)
	}
}

// measure reads what the containers use. A runtime asks each container's shim,
// and one that is stuck would hold up the rest.
func (c *Collector) measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	answer, err := ask(ctx, c, c.runtime.ListContainerStats, &runtimev1.ListContainerStatsRequest{})
	if err != nil {
		return err
	}
	clear(c.usage)
	for _, s := range answer.Stats {
		if s.Attributes == nil {
			continue
		}
		c.usage[s.Attributes.Id] = usage{
			memory: s.GetMemory().GetWorkingSetBytes().GetValue(),
			cpu:    s.GetCpu().GetUsageNanoCores().GetValue(),
		}
	}
	return nil
}

// compareImages tells the images that came since the last poll, and how long at
// most that took: since the oldest sandbox that still waits for a container.
func (c *Collector) compareImages(ctx context.Context, now time.Time) error {
	answer, err := ask(ctx, c, c.images.ListImages, &runtimev1.ListImagesRequest{})
	if err != nil {
		return fmt.Errorf("list its images: %w", err)
	}
	here := map[string]bool{}
	for _, i := range answer.Images {
		names := i.RepoTags
		if len(names) == 0 {
			names = i.RepoDigests
		}
		for _, name := range names {
			here[name] = true
			if c.pulled[name] || !c.listed {
				continue
			}
			e := c.event(tapio.CRIImagePulled, tapio.SeverityInfo, now, tapio.Entity{Kind: tapio.KindImage, Name: name})
			e.Attrs[tapio.AttrImage] = name
			e.Message = fmt.Sprintf("%d bytes", i.Size)
			if since := c.waitingSince(); !since.IsZero() {
				e.Attrs[tapio.AttrPullTime] = now.Sub(since).Round(time.Millisecond).String()
			}
			c.tell(e)
		}
	}
	c.pulled = here
	return nil
}

// waitingSince is when the oldest sandbox was made that has no container yet.
func (c *Collector) waitingSince() time.Time {
	busy := map[string]bool{}
	for _, r := range c.records {
		busy[r.sandbox] = true
	}
	var since time.Time
	for id, b := range c.boxes {
		if !busy[id] && b.removed.IsZero() && (since.IsZero() || b.created.Before(since)) {
			since = b.created
		}
	}
	return since
}

func nanos(ns int64) time.Time {
	if ns <= 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// utc is a time without the monotonic reading, which JSON can't hold.
func utc(t time.Time) time.Time { return t.UTC().Round(0) }
