// Package cri is the collector of a node's container runtime, containerd or
// CRI-O, over the Container Runtime Interface: what was created, started,
// ended and removed, when to the nanosecond, with which exit code and reason,
// and what images came.
//
// # Exactly once
//
// Two things tell of containers: the runtime's stream of events, which is fast
// and may lose some, and its lists, which are slow and complete. Both end in
// the same place: the record of each container knows which of its steps
// (created, started, ended, removed) were told, a step is told once, in order,
// with the runtime's own time, and what the stream lost the next poll tells.
// Events are taken in while the runtime is asked, and before its lists are
// judged; of a container that is in no list any more the stream has until the
// next poll to say how it ended. A record outlives its container for ten
// minutes, so that a late event brings nobody back. The event's ID is made of
// the container's, so a restarted agent that tells what it finds doubles
// nothing.
//
// What neither can show: the exit code of a container that was removed before
// the runtime wrote the event of its end, some milliseconds after it, or, while
// the stream was down, between two polls. Its end is told without one. That an
// image could not be pulled only the kubelet hears, which asked for it, and says
// so in an Event.
//
// # Start
//
// What is found at start is told as listed: no news, but what ended while the
// agent was down has its evidence.
//
// One goroutine owns the records; [Collector.Run] is that goroutine. Nothing is
// judged here.
package cri

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/yairfalse/tapio"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	// callTimeout bounds one question to the runtime. A busy one answers a list
	// within a second.
	callTimeout = 10 * time.Second
	// statsTimeout bounds the question what containers use, which is worth less
	// than to hear in time what becomes of them.
	statsTimeout = 2 * time.Second
	// rememberRemoved is how long the record of a removed container is kept:
	// longer than any event waits.
	rememberRemoved = 10 * time.Minute
	// recheck is after how many polls running containers are looked at one by
	// one: what changes without a step, such as the reason, shows there only.
	recheck = 6
	// streamWait is how long a broken stream waits before it is opened again.
	streamWait = 2 * time.Second
	// maxAnswer bounds an answer of the runtime: lists of 10,000 containers are
	// some megabytes.
	maxAnswer = 64 << 20
)

// Options is what a Collector needs.
type Options struct {
	Config     Config
	Node       string // name of the node
	Root       string // where the node's files are seen from here; "" where the agent runs on the node itself
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

func (o *Options) validate() error {
	if o.Node == "" || o.Log == nil {
		return errors.New("cri: node and log are both needed")
	}
	if err := o.Config.Validate(); err != nil {
		return fmt.Errorf("cri: %w", err)
	}
	return nil
}

// Collector watches one runtime. Run is called once; Lacking and Find may be
// called from any goroutine.
type Collector struct {
	opts     Options
	endpoint string
	runtime  runtimev1.RuntimeServiceClient
	images   runtimev1.ImageServiceClient
	conn     *grpc.ClientConn
	metrics  *metrics
	put      func(tapio.Observation)
	events   chan *runtimev1.ContainerEventResponse // of the stream; nil where there is none

	name     string // of the runtime: "containerd"
	records  map[string]*record
	boxes    map[string]*box
	usage    map[string]usage
	pulled   map[string]bool // images that are there
	listed   bool            // the first listing was told
	polls    int
	lists    uint64 // listings begun
	failures int    // polls that failed since one succeeded
	overflow int    // containers beyond max_containers

	down atomic.Pointer[string] // why the runtime is not seen

	naming sync.RWMutex
	named  map[string]tapio.Entity // by container ID, of every record
}

// New makes a Collector. It does not wait for the runtime: Run does.
func New(o Options) (*Collector, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	c := &Collector{
		opts: o, metrics: newMetrics(),
		records: map[string]*record{}, boxes: map[string]*box{}, usage: map[string]usage{}, pulled: map[string]bool{}, named: map[string]tapio.Entity{},
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(c.metrics); err != nil {
			return nil, fmt.Errorf("cri: %w", err)
		}
	}
	starting := "the container runtime was not asked yet"
	c.down.Store(&starting)
	return c, nil
}

// Lacking says in one line why the runtime is not seen, or nothing.
func (c *Collector) Lacking() string {
	if p := c.down.Load(); p != nil {
		return *p
	}
	return ""
}

// Find returns the pod and container that the runtime knows under a container
// ID (64 hexadecimal digits), for collectors that see cgroups only.
func (c *Collector) Find(id string) (tapio.Entity, bool) {
	c.naming.RLock()
	defer c.naming.RUnlock()
	e, ok := c.named[id]
	return e, ok
}

// Run tells what the runtime does until ctx ends. put must not wait. A runtime
// that is gone is waited for.
func (c *Collector) Run(ctx context.Context, put func(tapio.Observation)) error {
	c.put = put
	// The stream's reader never waits: what finds no room is made up for by a
	// poll, which missed asks for at once.
	missed := make(chan struct{}, 1)
	poll := time.NewTicker(time.Duration(c.opts.Config.PollInterval))
	defer poll.Stop()
	for {
		if c.conn == nil {
			if err := c.dial(); err != nil {
				c.lose(err)
			}
		}
		if c.conn != nil && c.events == nil && c.opts.Config.EnableEvents {
			c.events = make(chan *runtimev1.ContainerEventResponse, c.opts.Config.BufferSize)
			go c.stream(ctx, c.events, missed)
		}
		if c.conn != nil {
			c.poll(ctx)
		}
		for waiting := true; waiting; {
			select {
			case e := <-c.events:
				c.take(e)
			case <-missed:
				waiting = false
			case <-poll.C:
				waiting = false
			case <-ctx.Done():
				if c.conn != nil {
					return c.conn.Close()
				}
				return nil
			}
		}
	}
}

func (c *Collector) dial() error {
	socket, err := endpoint(c.opts.Config.RuntimeEndpoint, c.opts.Root)
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient("unix://"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()), // a socket of root's, on this node
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
	)
	if err != nil {
		return fmt.Errorf("dial %s: %w", socket, err)
	}
	c.endpoint, c.conn = socket, conn
	c.runtime, c.images = runtimev1.NewRuntimeServiceClient(conn), runtimev1.NewImageServiceClient(conn)
	return nil
}

// stream reads the runtime's events until ctx ends, and opens the stream again
// where it breaks.
func (c *Collector) stream(ctx context.Context, events chan<- *runtimev1.ContainerEventResponse, missed chan<- struct{}) {
	miss := func() {
		select {
		case missed <- struct{}{}:
		default: // a poll is asked for already
		}
	}
	said := false
	for ctx.Err() == nil {
		stream, err := c.runtime.GetContainerEvents(ctx, &runtimev1.GetEventsRequest{})
		for err == nil {
			var e *runtimev1.ContainerEventResponse
			if e, err = stream.Recv(); err != nil {
				break
			}
			said = false
			select {
			case events <- e:
			default:
				c.metrics.overflowed.Inc()
				miss()
			}
		}
		if ctx.Err() != nil {
			return
		}
		c.metrics.broken.Inc()
		if !said {
			c.opts.Log.Info("no stream of events from the container runtime; polling goes on", "err", err)
			said = true
		}
		select {
		case <-time.After(streamWait):
			miss() // what happened in between
		case <-ctx.Done():
			return
		}
	}
}

// lose notes that the runtime is not seen. That one which was seen is gone is
// told after the second failure: a restart of it takes a second.
func (c *Collector) lose(err error) {
	text := "the container runtime does not answer: " + err.Error()
	if c.down.Swap(&text) == nil || c.failures == 0 {
		c.opts.Log.Warn("the container runtime does not answer", "err", err)
	}
	c.failures++
	if c.failures == 2 && c.listed {
		c.health(tapio.NodeRuntimeDown, tapio.SeverityHigh, text)
	}
}

// regain notes that the runtime is seen.
func (c *Collector) regain() {
	if c.failures >= 2 && c.listed {
		c.health(tapio.NodeRuntimeUp, tapio.SeverityInfo, "the container runtime answers again")
	}
	c.failures = 0
	if c.down.Swap(nil) != nil {
		c.opts.Log.Info("the container runtime answers", "runtime", c.name, "endpoint", c.endpoint, "containers", len(c.records))
	}
}

func (c *Collector) health(what tapio.EventType, severity tapio.Severity, text string) {
	e := c.event(what, severity, time.Time{}, tapio.Entity{Kind: tapio.KindNode, Name: c.opts.Node})
	e.Message = text
	c.tell(e)
}

// setName notes or, with no entity, forgets whose container an ID is. What was
// removed of late keeps its name: the kernel's word of its end may come behind.
func (c *Collector) setName(id string, entity *tapio.Entity) {
	c.naming.Lock()
	defer c.naming.Unlock()
	if entity == nil {
		delete(c.named, id)
		return
	}
	c.named[id] = *entity
}
