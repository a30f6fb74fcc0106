// Package kernel is the collector of what a node's kernel saw of containers:
// whom it killed because memory ran out, which processes ended and who sent
// the signal, which connections and DNS questions failed, and how short of
// memory containers and node are. It judges nothing.
//
// # Probes
//
// oom, exit, tcp and dns are programs in the kernel (see bpf); pressure reads
// files. One that can't be had is named by [Collector.Lacking] with the reason
// and the kernel that it needs, and the others run. Once all are attached, the
// capabilities that only loading needs are given up.
//
// # Whose
//
// The kernel knows cgroups. Their names hold container ID and pod UID;
// [Options.Find] gives the names of both. Containers that it does not know yet
// are asked for again for three seconds: the kernel is faster than the
// container runtime. What remains unknown is counted and not told, and so is
// what is of no container.
//
// # Loss
//
// Reading never waits: what the collector has no room for, and what the ring
// buffers in the kernel had none for, is counted and told as a [tapio.Gap].
//
// One goroutine owns all that is known; [Collector.Run] is that goroutine.
package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf/ringbuf"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bpf/dns"
	"github.com/yairfalse/tapio/bpf/exit"
	"github.com/yairfalse/tapio/bpf/oom"
	"github.com/yairfalse/tapio/bpf/tcp"
	"github.com/yairfalse/tapio/collectors/kernel/pressure"
)

const (
	// tick is how often what waits is looked at, and what is lost counted.
	tick = 250 * time.Millisecond
	// patience is how long a container may stay unknown: the container runtime
	// tells of a start within a second, or, of one that is busy, the next list
	// does (every 5 s where nothing else is configured).
	patience = 8 * time.Second
	// together is how long kills of one container are taken as one: with
	// memory.oom.group all of its processes are killed at once.
	together = 500 * time.Millisecond
	// maxWaiting bounds what waits for its container's name or for others like it.
	maxWaiting = 4096
)

// Options is what a Collector needs.
type Options struct {
	Config Config
	Node   string // name of the node
	// Find returns the pod and container of a container ID (64 hexadecimal
	// digits). It is called often and must not wait.
	Find       func(id string) (tapio.Entity, bool)
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

func (o *Options) validate() error {
	if o.Node == "" || o.Find == nil || o.Log == nil {
		return errors.New("kernel: node, find and log are all needed")
	}
	if err := o.Config.Validate(); err != nil {
		return fmt.Errorf("kernel: %w", err)
	}
	return nil
}

// Collector watches one kernel. Run is called once; Lacking may be called from
// any goroutine.
type Collector struct {
	opts    Options
	metrics *metrics
	put     func(tapio.Observation)

	oom  *oom.Probe
	exit *exit.Probe
	tcp  *tcp.Probe
	dns  *dns.Probe
	psi  *pressure.Reader

	waiting []waiting
	kills   map[string]*waiting // those in waiting that further kills join, by container ID
	hard    map[string]hardship // by container ID; "" is the node
	lost    map[string]uint64   // by probe, as told so far
	lately  time.Time           // when losses were last looked at
	full    atomic.Uint64       // what found no room in the queue

	lacking atomic.Pointer[[]string]
}

// New makes a Collector. Run loads the probes.
func New(o Options) (*Collector, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	c := &Collector{
		opts: o, metrics: newMetrics(), kills: map[string]*waiting{}, hard: map[string]hardship{}, lost: map[string]uint64{},
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(c.metrics); err != nil {
			return nil, fmt.Errorf("kernel: %w", err)
		}
	}
	return c, nil
}

// Lacking says, one line each, which probes can't be had, and why.
func (c *Collector) Lacking() []string {
	if p := c.lacking.Load(); p != nil {
		return slices.Clone(*p)
	}
	return nil
}

// Run tells what the kernel sees until ctx ends. put must not wait. It returns
// an error where no probe at all can be had.
func (c *Collector) Run(ctx context.Context, put func(tapio.Observation)) (err error) {
	c.put = put
	lacking := c.open()
	c.lacking.Store(&lacking)
	for _, l := range lacking {
		c.opts.Log.Warn("a kernel probe can't be had; the others go on", "why", l)
	}
	closed := sync.OnceValue(c.close)
	defer func() { err = errors.Join(err, closed()) }()
	if c.oom == nil && c.exit == nil && c.tcp == nil && c.dns == nil && c.psi == nil && len(lacking) > 0 {
		return fmt.Errorf("no kernel probe can be had: %s", lacking[0])
	}
	debug.FreeOSMemory() // what loading took: the kernel's types are some megabytes
	if !c.opts.Config.KeepCapabilities {
		if err := dropCapabilities(); err != nil {
			c.opts.Log.Warn("the capabilities that loading needs could not be given up", "err", err)
		}
	}

	// The readers add and never wait; this goroutine takes. Its capacity is a
	// second of what the largest bursts were: config's queue. It is never closed.
	queue := make(chan any, c.opts.Config.Queue)
	var readers sync.WaitGroup
	if c.oom != nil {
		readers.Go(func() { read(c, "oom", c.oom.Read, queue) })
	}
	if c.exit != nil {
		readers.Go(func() { read(c, "exit", c.exit.Read, queue) })
	}
	// Closing the probes ends the readers.
	defer func() { err = errors.Join(err, closed()); readers.Wait() }()

	c.lately = now()
	soon, interval := time.NewTicker(tick), time.NewTicker(time.Duration(c.opts.Config.Interval))
	defer soon.Stop()
	defer interval.Stop()
	for {
		select {
		case e := <-queue:
			c.take(e)
		case <-soon.C:
			c.settle(now())
		case <-interval.C:
			c.gather()
			c.losses()
		case <-ctx.Done():
			return nil
		}
	}
}

// read puts what a probe reads into the queue until the probe is closed.
func read[E any](c *Collector, name string, next func() (E, error), queue chan<- any) {
	for {
		e, err := next()
		if errors.Is(err, ringbuf.ErrClosed) {
			return
		}
		if err != nil {
			c.metrics.failed.WithLabelValues(name).Inc()
			continue
		}
		c.metrics.events.WithLabelValues(name).Inc()
		select {
		case queue <- e:
		default:
			c.full.Add(1)
		}
	}
}

// take converts what a probe has read.
func (c *Collector) take(e any) {
	switch e := e.(type) {
	case oom.Kill:
		c.kill(e)
	case exit.Exit:
		c.exited(e)
	}
}

// losses tells what was lost since the last time as gaps.
func (c *Collector) losses() {
	from, to := c.lately, now()
	c.lately = to
	counts := map[string]uint64{"queue": c.full.Load()}
	if c.oom != nil {
		counts["oom"] = c.oom.Lost()
	}
	if c.exit != nil {
		counts["exit"] = c.exit.Lost()
		c.metrics.exits.Set(float64(c.exit.Seen()))
	}
	if c.tcp != nil {
		counts["tcp"] = c.tcp.Lost()
	}
	for _, name := range []string{"oom", "exit", "tcp", "queue"} {
		n := counts[name] - c.lost[name]
		if counts[name] <= c.lost[name] {
			continue
		}
		c.lost[name] = counts[name]
		c.metrics.lost.WithLabelValues(name).Add(float64(n))
		reason := fmt.Sprintf("kernel probe %s: no room for %d events", name, n)
		if name == "queue" {
			reason = fmt.Sprintf("kernel collector: no room for %d events", n)
		}
		c.put(tapio.Observation{Time: to, Gap: &tapio.Gap{
			Source: tapio.SourceEBPF, Resource: name, From: from, To: to, Dropped: int(n), Reason: reason,
		}})
	}
}

// now is the wall clock in UTC, without the monotonic reading, which a
// recording can't hold.
func now() time.Time { return time.Now().UTC().Round(0) }
