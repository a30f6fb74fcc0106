// Package controlplane is the collector of the control plane: it asks etcd, the
// API server and the leases of scheduler and controller manager how they are,
// in fixed intervals, and reports as [tapio.Observation] values what it finds:
// the state of each component whenever that changes, and an event when a
// problem begins, when all is over, and when something happened that is no
// problem, such as the election of a leader. It reads and never writes.
//
// # What it asks
//
// Each health interval: /readyz of the API server, check by check; the leases
// of kube-system, which tells who of scheduler and controller manager is alive
// and, as it must be answered from etcd, how fast a cheap read is; of each
// member of etcd its status and one linearizable read. Each poll interval: the
// list of etcd's members. Each metrics interval: /metrics of the API server and
// of each member of etcd, of which only a few families are read.
//
// # Thresholds
//
// Nothing is told of a single failed check. A problem is reported when a number
// of checks in a row found it, and is over when two in a row did not. What
// persists by itself, such as an alarm of etcd, is reported at once. The age of
// a lease is measured by when its renewal was seen to change, so clocks need
// not agree; where leases can't be read nothing is said about their holders.
//
// # What it cannot see
//
// [Collector.Missing] says what is out of reach and what that hides: on managed
// clusters etcd is, and so may be /metrics. Each line is logged once.
//
// The collector has no queue: the few observations of a round are sent one by
// one, and a slow reader delays the next round, whose checks are then the
// later ones; none is made up for.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/yairfalse/tapio"
	"k8s.io/client-go/rest"
)

// Options is what a Collector needs.
type Options struct {
	Config Config
	// API says how to reach the API server. Required unless only etcd is watched.
	API *rest.Config
	// Watches tells how many watches on the API server there are and how many of
	// them are without contact now; nil: nobody knows.
	Watches func() (all, lost int)
	// Log receives what can't be seen; nil discards it.
	Log *slog.Logger
	// Registerer receives the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
}

// Collector watches one control plane. Its methods may be called from any
// goroutine; Run may be called once.
type Collector struct {
	config  Config
	log     *slog.Logger
	metrics *metrics
	api     *apiServer // nil: not watched
	etcd    *etcd      // nil: not watched
	out     chan<- tapio.Observation
	metered []*metered                      // whose metrics are read
	pages   chan func() []tapio.Observation // what to make of a page that was read

	mu      sync.Mutex
	missing []string
}

// New makes a collector. It contacts nobody yet.
func New(o Options) (*Collector, error) {
	if m := o.Config.Check(); len(m) > 0 {
		return nil, fmt.Errorf("control plane: %s %s", m[0].Field, m[0].Text)
	}
	c := &Collector{config: o.Config, log: o.Log, metrics: newMetrics(), pages: make(chan func() []tapio.Observation)}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if o.Registerer != nil {
		if err := c.metrics.register(o.Registerer); err != nil {
			return nil, fmt.Errorf("register the metrics of the control plane collector: %w", err)
		}
	}
	if c.config.apiServer() {
		if o.API == nil {
			return nil, errors.New("control plane: no configuration for the API server")
		}
		var err error
		if c.api, err = newAPIServer(c, o.API, o.Watches); err != nil {
			return nil, err
		}
	}
	switch {
	case !c.config.MonitorEtcd:
	case len(c.config.EtcdEndpoints) == 0:
		c.lacks("etcd: no etcd_endpoints are configured — its members, leader, latency and space are not seen, only what the API server says of it")
	default:
		var err error
		if c.etcd, err = newEtcd(c); err != nil {
			return nil, err
		}
		c.metered = append(c.metered, &metered{scrape: c.etcd.scrape})
	}
	if c.api != nil && c.config.MonitorAPIServer {
		c.metered = append(c.metered, &metered{scrape: c.api.scrape})
	}
	if c.api != nil {
		for _, p := range c.api.parts {
			c.metered = append(c.metered, &metered{scrape: p.scrape})
		}
	}
	return c, nil
}

// Missing returns what can't be seen, one line each, with what that hides. It
// grows as things turn out to be out of reach.
func (c *Collector) Missing() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.missing)
}

// lacks notes, and logs once, what can't be seen.
func (c *Collector) lacks(what string) {
	c.mu.Lock()
	known := slices.Contains(c.missing, what)
	if !known {
		c.missing = append(c.missing, what)
	}
	c.mu.Unlock()
	if !known {
		c.log.Info("could not see", "what", what)
	}
}

// Run asks and reports until ctx ends, and then returns nil. The caller owns
// out and should keep reading it.
func (c *Collector) Run(ctx context.Context, out chan<- tapio.Observation) error {
	c.out = out
	if c.etcd != nil {
		defer c.etcd.close()
	}
	health := time.NewTicker(time.Duration(c.config.HealthInterval))
	defer health.Stop()
	poll := time.NewTicker(time.Duration(c.config.PollInterval))
	defer poll.Stop()
	var scrape <-chan time.Time
	if every := time.Duration(c.config.MetricsInterval); every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		scrape = t.C
		c.scrape(ctx)
	}
	c.poll(ctx)
	c.health(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-health.C:
			c.health(ctx)
		case <-poll.C:
			c.poll(ctx)
		case <-scrape:
			c.scrape(ctx)
		case take := <-c.pages:
			c.send(ctx, take())
		}
	}
}

// health asks everybody at once how they are.
func (c *Collector) health(ctx context.Context) {
	var asked sync.WaitGroup
	var api, etcd func(time.Time) []tapio.Observation
	if c.api != nil {
		asked.Go(func() { api = c.api.health(ctx) })
	}
	if c.etcd != nil {
		asked.Go(func() { etcd = c.etcd.health(ctx) })
	}
	asked.Wait()
	if ctx.Err() != nil {
		return // what failed, failed because of the stop
	}
	// etcd goes first: it is upstream of the others.
	for _, judge := range []func(time.Time) []tapio.Observation{etcd, api} {
		if judge != nil {
			c.send(ctx, judge(now()))
		}
	}
}

func (c *Collector) poll(ctx context.Context) {
	if c.etcd != nil {
		c.etcd.poll(ctx)
	}
}

// metered is somebody whose metrics are read.
type metered struct {
	// scrape reads a page of metrics and returns what to make of it.
	scrape func(context.Context) (take func() []tapio.Observation)
	asking bool // the page before is still being read, or not yet taken
}

// scrape reads all metrics in the background, as who hangs answers late and is
// asked meanwhile how it is.
func (c *Collector) scrape(ctx context.Context) {
	for _, m := range c.metered {
		if m.asking {
			continue
		}
		m.asking = true
		go func() {
			take := m.scrape(ctx)
			select {
			case c.pages <- func() []tapio.Observation { m.asking = false; return take() }:
			case <-ctx.Done():
			}
		}()
	}
}

func (c *Collector) send(ctx context.Context, observations []tapio.Observation) {
	for _, o := range observations {
		o.Time = now()
		select {
		case c.out <- o:
		case <-ctx.Done():
			return
		}
		if o.Event != nil {
			c.metrics.observations.WithLabelValues("event").Inc()
			continue
		}
		c.metrics.observations.WithLabelValues("state").Inc()
		if s := o.State.Component; s != nil {
			c.metrics.problems.WithLabelValues(o.State.Entity.Name).Set(float64(len(s.Problems)))
		}
	}
}

// now is the wall clock in UTC, without the monotonic reading, which a
// recording can't hold.
func now() time.Time { return time.Now().UTC().Round(0) }
