package relay

import "github.com/prometheus/client_golang/prometheus"

func options(name, help string) prometheus.Opts {
	return prometheus.Opts{Namespace: "tapio", Subsystem: "relay", Name: name, Help: help}
}

// serverMetrics is what the engine's end counts:
//
//	tapio_relay_agents                       agents that are heard
//	tapio_relay_observations_total{source}   observations taken
//	tapio_relay_repeated_total               observations that were there already
//	tapio_relay_refused_total{reason}        lines and observations refused: token, node, content
//	tapio_relay_throttled_seconds_total      time that agents beyond their quota were made to wait
//	tapio_relay_delay_seconds{source}        from when something happened on a node until the engine had it
//	tapio_relay_clock_skew_seconds{node}     the node's clock minus the engine's
type serverMetrics struct {
	agents       prometheus.Gauge
	observations *prometheus.CounterVec
	repeated     prometheus.Counter
	refused      *prometheus.CounterVec
	throttled    prometheus.Counter
	delay        *prometheus.HistogramVec
	skew         *prometheus.GaugeVec
}

func newServerMetrics() *serverMetrics {
	return &serverMetrics{
		agents:       prometheus.NewGauge(prometheus.GaugeOpts(options("agents", "Agents that are heard."))),
		observations: prometheus.NewCounterVec(prometheus.CounterOpts(options("observations_total", "Observations taken.")), []string{"source"}),
		repeated:     prometheus.NewCounter(prometheus.CounterOpts(options("repeated_total", "Observations that were there already."))),
		refused:      prometheus.NewCounterVec(prometheus.CounterOpts(options("refused_total", "Lines and observations refused.")), []string{"reason"}),
		throttled:    prometheus.NewCounter(prometheus.CounterOpts(options("throttled_seconds_total", "Time that agents beyond their quota were made to wait."))),
		delay: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "tapio", Subsystem: "relay", Name: "delay_seconds", Help: "From when something happened on a node until the engine had it.",
			Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 600},
		}, []string{"source"}),
		skew: prometheus.NewGaugeVec(prometheus.GaugeOpts(options("clock_skew_seconds", "The node's clock minus the engine's.")), []string{"node"}),
	}
}

func (m *serverMetrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.agents, m.observations, m.repeated, m.refused, m.throttled, m.delay, m.skew}
}

// Describe implements [prometheus.Collector].
func (m *serverMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, p := range m.parts() {
		p.Describe(out)
	}
}

// Collect implements [prometheus.Collector].
func (m *serverMetrics) Collect(out chan<- prometheus.Metric) {
	for _, p := range m.parts() {
		p.Collect(out)
	}
}
