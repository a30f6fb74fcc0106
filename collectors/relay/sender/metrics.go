package sender

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/yairfalse/tapio/collectors/relay/spool"
)

// metrics is what an agent's end counts:
//
//	tapio_relay_connected               1 while the engine is reached
//	tapio_relay_sent_total              observations sent, repeats included
//	tapio_relay_failures_total          lines that failed or could not be opened
//	tapio_relay_waiting                 observations that no engine has acknowledged
//	tapio_relay_dropped_total           observations dropped because the buffer was full
type metrics struct {
	connected prometheus.Gauge
	sent      prometheus.Counter
	failures  prometheus.Counter
	waiting   prometheus.GaugeFunc
	dropped   prometheus.CounterFunc
}

func options(name, help string) prometheus.Opts {
	return prometheus.Opts{Namespace: "tapio", Subsystem: "relay", Name: name, Help: help}
}

func newMetrics(s *spool.Spool) *metrics {
	return &metrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts(options("connected", "1 while the engine is reached."))),
		sent:      prometheus.NewCounter(prometheus.CounterOpts(options("sent_total", "Observations sent, repeats included."))),
		failures:  prometheus.NewCounter(prometheus.CounterOpts(options("failures_total", "Lines that failed or could not be opened."))),
		waiting: prometheus.NewGaugeFunc(prometheus.GaugeOpts(options("waiting", "Observations that no engine has acknowledged.")),
			func() float64 { n, _ := s.Waiting(); return float64(n) }),
		dropped: prometheus.NewCounterFunc(prometheus.CounterOpts(options("dropped_total", "Observations dropped because the buffer was full.")),
			func() float64 { _, n := s.Waiting(); return float64(n) }),
	}
}

func (m *metrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.connected, m.sent, m.failures, m.waiting, m.dropped}
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
