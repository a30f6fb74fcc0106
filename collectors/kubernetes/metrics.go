package kubernetes

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/yairfalse/tapio"
)

// metrics is what the collector counts, as one prometheus.Collector:
//
//	tapio_kubernetes_observations_total{type}     observations sent: event, state, gap
//	tapio_kubernetes_dropped_total                observations dropped because the queue was full
//	tapio_kubernetes_queue_length                 observations that wait in the queue
//	tapio_kubernetes_unreadable_total{step}       objects that could not be read: strip, convert
//	tapio_kubernetes_watch_errors_total{resource} lists and watches that failed or ended early
//	tapio_kubernetes_watch_up{resource,namespace} 1 while a resource is listed and watched
//	tapio_kubernetes_wants_total{result}          wants: answered, empty, retried, failed, dropped, repeated, expired, denied, unknown
type metrics struct {
	observations *prometheus.CounterVec
	dropped      prometheus.Counter
	queue        prometheus.GaugeFunc
	unreadable   *prometheus.CounterVec
	watchErrors  *prometheus.CounterVec
	wants        *prometheus.CounterVec
	watchUp      *prometheus.Desc

	mu      sync.Mutex
	watches []watched
}

type watched struct {
	resource, namespace string
	up                  func() bool
}

func newMetrics(queued func() float64) *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "tapio", Subsystem: "kubernetes", Name: name, Help: help}
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts(opts(name, help)), []string{label})
	}
	return &metrics{
		observations: vec("observations_total", "Observations sent.", "type"),
		dropped:      prometheus.NewCounter(prometheus.CounterOpts(opts("dropped_total", "Observations dropped because the queue was full."))),
		queue:        prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("queue_length", "Observations that wait in the queue.")), queued),
		unreadable:   vec("unreadable_total", "Objects that could not be read.", "step"),
		watchErrors:  vec("watch_errors_total", "Lists and watches that failed or ended early.", "resource"),
		wants:        vec("wants_total", "Wants, by what became of them.", "result"),
		watchUp: prometheus.NewDesc("tapio_kubernetes_watch_up", "1 while a resource is listed and watched.",
			[]string{"resource", "namespace"}, nil),
	}
}

func (m *metrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.observations, m.dropped, m.queue, m.unreadable, m.watchErrors, m.wants}
}

// Describe sends what the collector can measure.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, part := range m.parts() {
		part.Describe(out)
	}
	out <- m.watchUp
}

// Collect sends what is measured now.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, part := range m.parts() {
		part.Collect(out)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.watches {
		up := 0.0
		if w.up() {
			up = 1
		}
		out <- prometheus.MustNewConstMetric(m.watchUp, prometheus.GaugeValue, up, w.resource, w.namespace)
	}
}

// watch adds a watch that tapio_kubernetes_watch_up tells of.
func (m *metrics) watch(k scopedKind, up func() bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watches = append(m.watches, watched{k.resource, k.namespace, up})
}

// sent counts an observation.
func (m *metrics) sent(o *tapio.Observation) {
	switch {
	case o.Event != nil:
		m.observations.WithLabelValues("event").Inc()
	case o.State != nil:
		m.observations.WithLabelValues("state").Inc()
	default:
		m.observations.WithLabelValues("gap").Inc()
	}
}

// want counts what became of a want.
func (m *metrics) want(result string) { m.wants.WithLabelValues(result).Inc() }

// Watches returns how many resources are watched, and how many of them are
// without contact now.
func (c *Collector) Watches() (all, lost int) {
	c.metrics.mu.Lock()
	defer c.metrics.mu.Unlock()
	for _, w := range c.metrics.watches {
		if all++; !w.up() {
			lost++
		}
	}
	return all, lost
}
