package store

import "github.com/prometheus/client_golang/prometheus"

// metrics are the store's counters. They count whether or not anybody collects
// them.
type metrics struct {
	registerer prometheus.Registerer
	all        []prometheus.Collector

	revisions prometheus.Counter
	cut       prometheus.Counter
	swept     prometheus.Counter
	damage    prometheus.Counter
	append    prometheus.Histogram
}

func newMetrics() metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tapio", Subsystem: "store", Name: name, Help: help})
	}
	return metrics{
		revisions: counter("revisions_total", "Story revisions saved."),
		cut:       counter("cut_stories_total", "Revisions that were too large and were saved shortened."),
		swept:     counter("swept_stories_total", "Stories removed because they were past retention."),
		damage:    counter("damage_total", "Things found damaged, each counted once."),
		append: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "tapio", Subsystem: "store", Name: "append_seconds",
			Help:    "Time to save a batch of revisions, on disk.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14), // 0.5 ms to 4 s
		}),
	}
}

// register hands the counters and the size of the store to r, where there is
// one.
func (m *metrics) register(r prometheus.Registerer, s *Store) error {
	if r == nil {
		return nil
	}
	size := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "tapio", Subsystem: "store", Name: "disk_bytes",
		Help: "Size of the store's files, measured once a minute.",
	}, s.size)
	m.registerer = r
	for _, c := range []prometheus.Collector{m.revisions, m.cut, m.swept, m.damage, m.append, size} {
		if err := r.Register(c); err != nil {
			m.unregister()
			return err
		}
		m.all = append(m.all, c)
	}
	return nil
}

func (m *metrics) unregister() {
	for _, c := range m.all {
		m.registerer.Unregister(c)
	}
}

// size returns what Badger measured last, in bytes; 0 once the store is closed.
func (s *Store) size() float64 {
	leave, err := s.enter()
	if err != nil {
		return 0
	}
	defer leave()
	lsm, vlog := s.db.Size()
	return float64(lsm + vlog)
}
