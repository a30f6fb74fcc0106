package loop

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	observations prometheus.Counter
	revisions    prometheus.Counter
	unsaved      prometheus.Gauge
}

func newMetrics() metrics {
	return metrics{
		observations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tapio_loop_observations_total", Help: "Observations that the engine was given.",
		}),
		revisions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tapio_loop_revisions_total", Help: "Story revisions that the engine made.",
		}),
		unsaved: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tapio_loop_unsaved_revisions", Help: "Story revisions that could not be saved yet.",
		}),
	}
}

func (m metrics) register(r prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.observations, m.revisions, m.unsaved} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}
