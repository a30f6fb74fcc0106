// Package kubernetes is the live collector of the Kubernetes API: it lists and
// watches what the topology and the causes need and reports it as
// [tapio.Observation] values in one ordered stream. It reads and never writes,
// reads no Secret, and of ConfigMaps only the metadata, unless the engine wants
// the values of one. What an object means is read by the package facts; nothing
// is judged here.
//
// # First listing
//
// Kinds are listed in three phases, each after the one before: what owns, runs
// and stores pods; pods; EndpointSlices and Events. So a pod arrives after its
// workload and node. What is found in a first listing is marked as listed:
// topology, not news. [Collector.Synced] is closed once all of it was sent. A
// kind that can't be listed while others can is waited for two minutes and then
// counts as missing, so that one broken kind doesn't silence the rest; it is
// reported if it comes after all.
//
// # Changes
//
// Informers deliver every change of an object in order, none coalesced, and
// each is compared with the version before. After a listing anew (410) the
// informer compares what it had with what it finds, so changes, new objects and
// deletions of the time in between are reported then, each once.
//
// # Loss
//
// Three things can be lost, and each becomes a [tapio.Gap]: a resource was
// listed anew after more than 15 s without contact; a watch was resumed after
// an outage of more than 15 s (late rather than lost); the queue was full. A
// dead connection is noticed by HTTP/2 pings within 45 s. A watch that stays
// open but says nothing is closed and asked for again: after 3 min where the
// server has been sending bookmarks (one a minute), otherwise 30 s after the
// timeout that the watch was asked for with (5 to 10 min).
//
// # The queue
//
// Informers put into one bounded queue; [Collector.Run] sends from it to the
// caller's channel. A first listing waits for room, in the informers' own
// buffers, which hold the objects anyway; a change never waits: see the comment
// of the queue for what is dropped and what is kept. Times of observations
// never go back.
//
// # Wants
//
// [Collector.Answer] reads the last lines of a container's log: 50 lines and 16
// KiB, 4 at once, 5 s each, 64 waiting, the same container at most once in 30 s,
// redacted. The answer is an event in the same stream, or nothing.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/yairfalse/tapio"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/klog/v2"
)

const (
	// clientQPS and clientBurst limit requests, in requests a second and in
	// requests at once. A start asks some 70 (access reviews, API groups, one
	// list and watch for each kind), which should not queue behind the default
	// of 5 a second; after that the collector asks for a watch every few seconds
	// and for logs, 4 at once.
	clientQPS   = 20
	clientBurst = 100
	// warnEvery is the shortest time between two warnings of one sort.
	warnEvery = 10 * time.Second
	// protobuf costs the API server and the collector about a third of JSON.
	protobuf = "application/vnd.kubernetes.protobuf"
)

// Options is what a Collector needs.
type Options struct {
	// Config says how to reach the API server. Its QPS and Burst count where
	// they are set. Required.
	Config *rest.Config
	// Log receives what goes wrong; nil discards it. The client library logs to
	// it too, informational lines as debug ones, and that setting is one for
	// the whole process.
	Log *slog.Logger
	// Registerer receives the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
	// Namespaces limits what is watched to these; empty means all. Cluster-wide
	// kinds are watched either way, where they may be read.
	Namespaces []string
}

func (o Options) validate() error {
	if o.Config == nil {
		return errors.New("no configuration for the Kubernetes API: give a kubeconfig or run inside a cluster")
	}
	if slices.Contains(o.Namespaces, "") {
		return errors.New("an empty namespace in the list of namespaces: leave the list empty to watch all")
	}
	return nil
}

// scopedKind is a kind in one namespace, or in all of them.
type scopedKind struct {
	kind
	namespace string
}

// Collector watches one cluster. Its methods may be called from any goroutine.
type Collector struct {
	log        *slog.Logger
	host       string
	namespaces []string // as given; the empty one alone where all are watched
	config     *rest.Config
	http       *http.Client
	core       *rest.RESTClient
	reads      coreclient.CoreV1Interface // logs, and values of ConfigMaps
	reviews    authorizationclient.SelfSubjectAccessReviewInterface
	metadata   metadata.Interface
	dynamic    dynamic.Interface // for kinds whose types are not in client-go
	metrics    *metrics
	queue      *queue
	caches     caches
	shared     *interner
	wants      chan wanted
	synced     chan struct{}
	bound      time.Duration // gapBound, for contacts
	// An outage hits all resources at once; one line in the log says it.
	gaps, outages rate.Sometimes

	mu      sync.Mutex
	checked bool            // Check has succeeded
	scoped  []scopedKind    // what may be read
	logs    map[string]bool // whether logs may be read, by namespace
	missing []string
	started bool
	asked   asked // wants of late
}

// New makes a collector. It does not contact the cluster yet: Check does.
func New(o Options) (*Collector, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	klog.SetSlogLogger(slog.New(quiet{log.Handler()}))

	config := rest.CopyConfig(o.Config)
	config.ContentType, config.AcceptContentTypes = protobuf, protobuf+",application/json"
	if config.UserAgent == "" {
		config.UserAgent = "tapio"
	}
	if config.QPS == 0 {
		config.QPS, config.Burst = clientQPS, clientBurst
	}
	if config.RateLimiter == nil && config.QPS > 0 { // one for all clients, not one each
		config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.QPS, max(config.Burst, 1))
	}
	config.WarningHandler = rest.NoWarnings{} // deprecations of the API are not the reader's business
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", config.Host, err)
	}

	c := &Collector{
		log: log, host: config.Host, namespaces: o.Namespaces, config: config, http: client,
		caches: make(caches), shared: newInterner(), bound: gapBound,
		gaps: rate.Sometimes{Interval: warnEvery}, outages: rate.Sometimes{Interval: warnEvery},
		// Answer adds and never waits; the workers of Run take, oldest first. It is
		// never closed. A burst of crashes asks for one log each; 64 are 80 s of
		// work in the worst case (4 at once, 5 s each), after which lines are old
		// news.
		wants:  make(chan wanted, wantsWaiting),
		synced: make(chan struct{}), // never sent to: closed once
		asked:  make(asked),
	}
	if len(c.namespaces) == 0 {
		c.namespaces = []string{metav1.NamespaceAll}
	}
	if c.core, err = c.client(corev1.SchemeGroupVersion, "/api"); err != nil {
		return nil, err
	}
	c.reads = coreclient.New(c.core)
	authorization, err := authorizationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("make a client for access reviews: %w", err)
	}
	c.reviews = authorization.SelfSubjectAccessReviews()
	if c.metadata, err = metadata.NewForConfigAndClient(metadata.ConfigFor(config), client); err != nil {
		return nil, fmt.Errorf("make a client for metadata: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(dynamic.ConfigFor(config), client); err != nil {
		return nil, fmt.Errorf("make a client for kinds without types: %w", err)
	}
	c.metrics = newMetrics(func() float64 { return float64(c.queue.size()) })
	c.queue = newQueue(queueCapacity, c.metrics.dropped.Inc, c.metrics.sent)
	if o.Registerer != nil {
		if err := o.Registerer.Register(c.metrics); err != nil {
			return nil, fmt.Errorf("register the metrics of the Kubernetes collector: %w", err)
		}
	}
	return c, nil
}

// client makes the client of one API group, over the connection that all share.
func (c *Collector) client(group schema.GroupVersion, path string) (*rest.RESTClient, error) {
	config := rest.CopyConfig(c.config)
	config.GroupVersion, config.APIPath = &group, path
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientForConfigAndClient(config, c.http)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", group, err)
	}
	return client, nil
}

// Synced returns a channel that is closed once all observations of the first
// listing were sent to the channel given to Run.
func (c *Collector) Synced() <-chan struct{} { return c.synced }

// Missing returns what can't be read, one line each, with what stories lack for
// it. It is complete once Check has returned, and grows by kinds that turn out
// to be unreadable later.
func (c *Collector) Missing() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.missing)
}

// Run sends observations to out until ctx ends, and then returns nil. It
// returns an error where the first contact fails (see Check); once it has
// started it retries whatever fails. The caller owns out, and should keep
// reading it: while it doesn't, the queue fills. Run may be called once.
func (c *Collector) Run(ctx context.Context, out chan<- tapio.Observation) error {
	c.mu.Lock()
	again, checked := c.started, c.checked
	c.started = true
	c.mu.Unlock()
	if again {
		return errors.New("the Kubernetes collector was started twice")
	}
	if !checked {
		if err := c.Check(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	for _, missing := range c.Missing() {
		c.log.Warn("can't read", "what", missing)
	}
	sources, err := c.sources()
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	// The queue ends first and lets waiting informers go; without that they
	// would wait for room for ever.
	defer running.Wait()
	defer cancel()
	for range wantsAtOnce {
		running.Go(func() { c.answer(ctx) })
	}
	running.Go(func() { c.list(ctx, sources, &running) })
	c.queue.run(ctx, out)
	return nil
}

// list starts the informers, phase by phase, and marks the end of the first
// listing.
func (c *Collector) list(ctx context.Context, sources []*source, running *sync.WaitGroup) {
	for p := range phases {
		var started []*source
		for _, s := range sources {
			if s.phase == p {
				started = append(started, s)
				running.Go(func() { s.informer.RunWithContext(ctx) })
			}
		}
		for _, s := range c.await(ctx, started) {
			c.log.Warn("listing takes too long, going on without", "resource", s.resource, "patience", listingPatience)
			c.mu.Lock()
			c.missing = append(c.missing, fmt.Sprintf("%s%s: not listed within %s — %s", s.resource, in(s.namespace), listingPatience, s.lacks))
			c.mu.Unlock()
		}
	}
	if ctx.Err() == nil {
		c.queue.mark(func() { close(c.synced) })
	}
}

// object converts what an informer holds. Nil stays nil, without a type.
func object(o any) runtime.Object {
	converted, _ := o.(runtime.Object)
	return converted
}
