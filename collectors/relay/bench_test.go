package relay_test

import (
	"testing"
	"time"
)

// BenchmarkRelay brings events from an agent's buffer, on disk, to the engine:
// TLS, compression and receipts included. It also reports how long one event
// takes on a quiet line.
func BenchmarkRelay(b *testing.B) {
	w := newWorld(b)
	w.quota = 10_000_000
	e := w.start()
	a := w.agent("node-1", goodToken, b.TempDir(), 0)
	count := func() int {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.told)
	}
	a.spool.Put(event("node-1", -1))
	await(b, 10*time.Second, "the line", func() bool { return count() == 1 })
	began := time.Now()
	const singles = 50
	for i := range singles {
		a.spool.Put(event("node-1", -2-i))
		await(b, 10*time.Second, "one", func() bool { return count() == 2+i })
	}
	latency := time.Since(began) / singles

	sent := count()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		a.spool.Put(event("node-1", i))
		sent++
		for sent-count() > 5_000 {
			time.Sleep(time.Millisecond)
		}
	}
	await(b, time.Minute, "all", func() bool { return count() >= sent })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(latency.Microseconds())/1000, "ms/event-alone")
}
