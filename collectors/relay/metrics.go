package relay

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/yairfalse/tapio/collectors/relay/spool"
)

// senderMetrics is what an agent's end counts:
//
//	tapio_relay_connected               1 while the engine is reached
//	tapio_relay_sent_total              observations sent, repeats included
//	tapio_relay_failures_total          lines that failed or could not be opened
//	tapio_relay_waiting                 observations that no engine has acknowledged
//	tapio_relay_dropped_total           observations dropped because the buffer was full
type senderMetrics struct {
	connected prometheus.Gauge
	sent      prometheus.Counter
	failures  prometheus.Counter
	waiting   prometheus.GaugeFunc
	dropped   prometheus.CounterFunc
}

func options(name, help string) prometheus.Opts {
	return prometheus.Opts{Namespace: "tapio", Subsystem: "relay", Name: name, Help: help}
}

func newSenderMetrics(s *spool.Spool) *senderMetrics {
	return &senderMetrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts(options("connected", "1 while the engine is reached."))),
		sent:      prometheus.NewCounter(prometheus.CounterOpts(options("sent_total", "Observations sent, repeats included."))),
		failures:  prometheus.NewCounter(prometheus.CounterOpts(options("failures_total", "Lines that failed or could not be opened."))),
		waiting: prometheus.NewGaugeFunc(prometheus.GaugeOpts(options("waiting", "Observations that no engine has acknowledged.")),
			func() float64 { n, _ := s.Waiting(); return float64(n) }),
		dropped: prometheus.NewCounterFunc(prometheus.CounterOpts(options("dropped_total", "Observations dropped because the buffer was full.")),
			func() float64 { _, n := s.Waiting(); return float64(n) }),
	}
}

func (m *senderMetrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.connected, m.sent, m.failures, m.waiting, m.dropped}
}

// Describe implements [prometheus.Collector].
func (m *senderMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, p := range m.parts() {
		p.Describe(out)
	}
}

// Collect implements [prometheus.Collector].
func (m *senderMetrics) Collect(out chan<- prometheus.Metric) {
	for _, p := range m.parts() {
		p.Collect(out)
	}
}

// serverMetrics is what the engine's end counts:
//
//	tapio_relay_agents                       agents that are heard
//	tapio_relay_observations_total{source}   observations taken
//	tapio_relay_repeated_total               observations that were there already
//	tapio_relay_refused_total{reason}        lines and observations refused: token, node, content
//	tapio_relay_throttled_seconds_total      time that agents beyond their quota were made to wait
//	tapio_relay_clock_skew_seconds{node}     the node's clock minus the engine's
type serverMetrics struct {
	agents       prometheus.Gauge
	observations *prometheus.CounterVec
	repeated     prometheus.Counter
	refused      *prometheus.CounterVec
	throttled    prometheus.Counter
	skew         *prometheus.GaugeVec
}

func newServerMetrics() *serverMetrics {
	return &serverMetrics{
		agents:       prometheus.NewGauge(prometheus.GaugeOpts(options("agents", "Agents that are heard."))),
		observations: prometheus.NewCounterVec(prometheus.CounterOpts(options("observations_total", "Observations taken.")), []string{"source"}),
		repeated:     prometheus.NewCounter(prometheus.CounterOpts(options("repeated_total", "Observations that were there already."))),
		refused:      prometheus.NewCounterVec(prometheus.CounterOpts(options("refused_total", "Lines and observations refused.")), []string{"reason"}),
		throttled:    prometheus.NewCounter(prometheus.CounterOpts(options("throttled_seconds_total", "Time that agents beyond their quota were made to wait."))),
		skew:         prometheus.NewGaugeVec(prometheus.GaugeOpts(options("clock_skew_seconds", "The node's clock minus the engine's.")), []string{"node"}),
	}
}

func (m *serverMetrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.agents, m.observations, m.repeated, m.refused, m.throttled, m.skew}
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
