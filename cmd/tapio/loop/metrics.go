package loop

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/yairfalse/tapio"
)

type metrics struct {
	observations prometheus.Counter
	revisions    prometheus.Counter
	unsaved      prometheus.Gauge
	toStory      prometheus.Histogram
	toCause      prometheus.Histogram
}

// insightBuckets reach from what a person would call at once to what they
// would call too late, in seconds.
var insightBuckets = []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600}

// time notes how long after its onset a story was told, and its cause known.
func (m metrics) time(s *tapio.Story) {
	if s.Backlog || s.Status != tapio.StatusOpen {
		return
	}
	for _, n := range s.News {
		after := max(s.Updated.Sub(s.Timestamp), 0).Seconds()
		if n.Kind == tapio.NewsOpened {
			m.toStory.Observe(after)
		}
		found := n.Kind == tapio.NewsCause && n.Was == string(tapio.CauseUnknown)
		if s.Cause != tapio.CauseUnknown && (found || n.Kind == tapio.NewsOpened) {
			m.toCause.Observe(after)
		}
	}
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
		toStory: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tapio_loop_time_to_story_seconds", Help: "Time from the first symptom of an incident to its story.", Buckets: insightBuckets,
		}),
		toCause: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tapio_loop_time_to_cause_seconds", Help: "Time from the first symptom of an incident to the revision that knew its cause.", Buckets: insightBuckets,
		}),
	}
}

func (m metrics) register(r prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.observations, m.revisions, m.unsaved, m.toStory, m.toCause} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}
