package controlplane

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/yairfalse/tapio"
	"k8s.io/client-go/rest"
)

const (
	// slowAttempt is how long the scheduler may take to place a pod, on average
	// over a metrics interval: on a cluster of thousands of nodes it takes tens of
	// milliseconds.
	slowAttempt = time.Second
	// slowQueue is how long work may wait in a queue of the controller manager, on
	// average over a metrics interval.
	slowQueue = 10 * time.Second
	// fewItems is how many must have been waited for until that says something.
	fewItems = 5
	// clientWait bounds the setting up of a connection.
	clientWait = 5 * time.Second
)

const (
	familyAttempts = "scheduler_scheduling_attempt_duration_seconds"
	familyPending  = "scheduler_pending_pods"
	familyQueue    = "workqueue_queue_duration_seconds"
	familyDepth    = "workqueue_depth"
)

// part reads the metrics of the scheduler or the controller manager, where they
// can be reached. What it finds stands beside what their lease says.
type part struct {
	c        *Collector
	lease    *lease
	endpoint string
	http     *http.Client
	judge    func(last, next scrapedPart) (message string)
	last     scrapedPart
}

// scrapedPart is what a page of metrics said.
type scrapedPart struct {
	at       time.Time
	attempts total
	pending  float64            // pods that wait to be placed and may be
	waits    map[string]total   // by queue
	depth    map[string]float64 // by queue
}

// newParts makes a part of each component whose endpoint is configured, and
// says what can't be seen of the others.
func newParts(c *Collector, api *rest.Config, leases []*lease) ([]*part, error) {
	var out []*part
	for _, l := range leases {
		endpoint, judge := c.config.SchedulerEndpoint, slowScheduler
		hides := "how long scheduling takes is measured by pods that wait"
		if l.monitor.name == tapio.ComponentControllerManager {
			endpoint, judge, hides = c.config.ControllerManagerEndpoint, slowController, "that its work piles up is seen by specs that it does not follow"
		}
		if endpoint == "" {
			c.lacks(fmt.Sprintf("metrics of %s: no endpoint is configured — %s", l.monitor.name, hides))
			continue
		}
		config := rest.CopyConfig(api)
		config.Host, config.Timeout = endpoint, scrapeTimeout+clientWait
		config.ServerName, config.Insecure = "", false // what is said of the API server does not hold here
		if f := c.config.ComponentCAFile; f != "" {
			config.CAFile, config.CAData = f, nil
		}
		config.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return counted{next, l.monitor.name, c.metrics.requests}
		})
		client, err := rest.HTTPClientFor(config)
		if err != nil {
			return nil, fmt.Errorf("control plane: make a client for %s: %w", endpoint, err)
		}
		out = append(out, &part{c: c, lease: l, endpoint: strings.TrimSuffix(endpoint, "/"), http: client, judge: judge})
	}
	return out, nil
}

// scrape reads the metrics and returns what compares them with those before.
func (p *part) scrape(ctx context.Context) func() []tapio.Observation {
	next, err := p.read(ctx)
	return func() []tapio.Observation { return p.take(next, err) }
}

func (p *part) take(next scrapedPart, err error) []tapio.Observation {
	if err != nil {
		if p.last.at.IsZero() {
			p.c.lacks(fmt.Sprintf("metrics of %s at %s: %s — it is judged by its lease and by what waits for it", p.lease.monitor.name, p.endpoint, clip(err.Error())))
		}
		return nil // a part that ends is told by its lease
	}
	last := p.last
	p.last = next
	if last.at.IsZero() || p.lease.silent(next.at) || p.lease.back.After(last.at) {
		return nil // what waited while nobody worked says nothing of how fast it works
	}
	var found []symptom
	if m := p.judge(last, next); m != "" {
		found = append(found, symptom{typ: p.lease.bad, severity: tapio.SeverityMedium, reason: slow, message: m, need: 2})
	}
	if found == nil && !p.lease.monitor.said {
		return nil // the lease says first how it is
	}
	return p.lease.monitor.check(next.at, found, func(s *symptom) bool { return s.reason == slow })
}

func (p *part) read(ctx context.Context) (scrapedPart, error) {
	page, err := fetch(ctx, p.http, p.endpoint+"/metrics")
	if err != nil {
		return scrapedPart{}, err
	}
	defer page.Close()
	return readPart(page)
}

// readPart reads a page of metrics of either component.
func readPart(page io.Reader) (scrapedPart, error) {
	f, err := families(page, familyAttempts, familyPending, familyQueue, familyDepth)
	if err != nil {
		return scrapedPart{}, err
	}
	s := scrapedPart{at: now(), attempts: histogram(f[familyAttempts]), waits: map[string]total{}, depth: gauges(f[familyDepth], "name")}
	for queue, n := range gauges(f[familyPending], "queue") {
		if queue != "unschedulable" && queue != "gated" {
			s.pending += n
		}
	}
	for _, m := range f[familyQueue].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "name" {
				s.waits[l.GetValue()] = total{m.GetHistogram().GetSampleSum(), float64(m.GetHistogram().GetSampleCount())}
			}
		}
	}
	return s, nil
}

// gauges adds up the gauges of a family by one label.
func gauges(f *dto.MetricFamily, label string) map[string]float64 {
	out := map[string]float64{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label {
				out[l.GetValue()] += m.GetGauge().GetValue() + m.GetUntyped().GetValue()
			}
		}
	}
	return out
}

// slowScheduler says how long the scheduler took between two pages, where that
// is too long.
func slowScheduler(last, next scrapedPart) string {
	mean, ok := meanOf(last.attempts, next.attempts, 1)
	if !ok || mean < slowAttempt.Seconds() {
		return ""
	}
	return fmt.Sprintf("an attempt to place a pod takes %.1f s on average, and %.0f wait to be placed", mean, next.pending)
}

// slowController says in which queue of the controller manager work waited for
// longest between two pages, where that is too long.
func slowController(last, next scrapedPart) string {
	name, longest := "", slowQueue.Seconds()
	for queue, t := range next.waits {
		if mean, ok := meanOf(last.waits[queue], t, fewItems); ok && (mean > longest || mean == longest && queue < name) {
			name, longest = queue, mean
		}
	}
	if name == "" {
		return ""
	}
	return fmt.Sprintf("work waits %.0f s on average in its queue %s, which holds %.0f", longest, clip(name), next.depth[name])
}

// meanOf is the mean of what a histogram gained, where that was at least so
// many: none, or fewer than before, after a restart, say nothing.
func meanOf(last, next total, least float64) (float64, bool) {
	n := next.count - last.count
	if n < least || next.sum < last.sum {
		return 0, false
	}
	return (next.sum - last.sum) / n, true
}
