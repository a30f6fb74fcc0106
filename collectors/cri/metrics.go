package cri

import "github.com/prometheus/client_golang/prometheus"

// metrics is what the collector counts, as one prometheus.Collector:
//
//	tapio_cri_told_total{type}            observations told
//	tapio_cri_events_total                events of the runtime's stream
//	tapio_cri_events_overflowed_total     of those, how many found no room; a poll made up for them
//	tapio_cri_events_outrun_total         events whose container was gone before they were written
//	tapio_cri_stream_broken_total         how often the stream ended or could not be opened
//	tapio_cri_poll_seconds                how long polls took
//	tapio_cri_failed_total{call}          questions to the runtime that failed and could be done without
//	tapio_cri_containers                  containers that the runtime has
//	tapio_cri_left_out_total              containers beyond max_containers
type metrics struct {
	told       *prometheus.CounterVec
	events     prometheus.Counter
	overflowed prometheus.Counter
	outrun     prometheus.Counter
	broken     prometheus.Counter
	polls      prometheus.Histogram
	failed     *prometheus.CounterVec
	containers prometheus.Gauge
	leftOut    prometheus.Counter
}

func newMetrics() *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "tapio", Subsystem: "cri", Name: name, Help: help}
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts(opts(name, help)))
	}
	return &metrics{
		told:       prometheus.NewCounterVec(prometheus.CounterOpts(opts("told_total", "Observations told.")), []string{"type"}),
		events:     counter("events_total", "Events of the runtime's stream."),
		overflowed: counter("events_overflowed_total", "Events that found no room; a poll made up for them."),
		outrun:     counter("events_outrun_total", "Events whose container was gone before they were written."),
		broken:     counter("stream_broken_total", "How often the stream ended or could not be opened."),
		polls: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "tapio", Subsystem: "cri", Name: "poll_seconds",
			Help: "How long polls took.", Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}),
		failed:     prometheus.NewCounterVec(prometheus.CounterOpts(opts("failed_total", "Questions to the runtime that failed and could be done without.")), []string{"call"}),
		containers: prometheus.NewGauge(prometheus.GaugeOpts(opts("containers", "Containers that the runtime has."))),
		leftOut:    counter("left_out_total", "Containers beyond max_containers."),
	}
}

func (m *metrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.told, m.events, m.overflowed, m.outrun, m.broken, m.polls, m.failed, m.containers, m.leftOut}
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
