package kernel

import "github.com/prometheus/client_golang/prometheus"

// metrics is what the collector counts, as one prometheus.Collector:
//
//	tapio_kernel_events_total{probe}      events read from the kernel
//	tapio_kernel_told_total{type}         observations told
//	tapio_kernel_lost_total{probe}        events that found no room, in the kernel or (queue) here
//	tapio_kernel_failed_total{probe}      readings that failed
//	tapio_kernel_unknown_total            events of containers that nobody knows
//	tapio_kernel_exits                    processes that ended since the start, told or not
type metrics struct {
	events  *prometheus.CounterVec
	told    *prometheus.CounterVec
	lost    *prometheus.CounterVec
	failed  *prometheus.CounterVec
	unknown prometheus.Counter
	exits   prometheus.Gauge
}

func newMetrics() *metrics {
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "tapio", Subsystem: "kernel", Name: name, Help: help}, []string{label})
	}
	return &metrics{
		events: vec("events_total", "Events read from the kernel.", "probe"),
		told:   vec("told_total", "Observations told.", "type"),
		lost:   vec("lost_total", "Events that found no room.", "probe"),
		failed: vec("failed_total", "Readings that failed.", "probe"),
		unknown: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tapio", Subsystem: "kernel", Name: "unknown_total",
			Help: "Events of containers that nobody knows."}),
		exits: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tapio", Subsystem: "kernel", Name: "exits",
			Help: "Processes that ended since the start, told or not."}),
	}
}

func (m *metrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.events, m.told, m.lost, m.failed, m.unknown, m.exits}
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, p := range m.parts() {
		p.Describe(out)
	}
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, p := range m.parts() {
		p.Collect(out)
	}
}
