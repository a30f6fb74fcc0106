package store_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/store"
)

// usual is a story of a usual size: 12 pods, 25 timeline lines with their
// evidence, some 20 KB of JSON.
func usual(n, revision int) tapio.Story {
	pods := make([]string, 12)
	for i := range pods {
		pods[i] = fmt.Sprintf("checkout-%d-7d9f8c6b5-%05d", n, i*7919+n)
	}
	s := story(fmt.Sprintf("story%06d", n), revision, fmt.Sprintf("shop-%d", n%20), fmt.Sprintf("checkout-%d", n), n*10+revision, pods...)
	for i := range 25 {
		id := fmt.Sprintf("event%d-%d-%d", n, revision, i)
		e := tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: pods[i%12], Container: "app"}
		s.Timeline = append(s.Timeline, tapio.StoryEvent{
			ID: id, Timestamp: start.Add(time.Duration(i*revision) * time.Second), Source: tapio.SourceKubernetes, Type: tapio.ContainerExit, Role: tapio.RoleSymptom, Entity: e,
			Description: fmt.Sprintf("Container app of pod %s was killed: out of memory (limit 64Mi), restart %d", pods[i%12], i), Severity: tapio.SeverityHigh,
			Data: map[string]any{"reason": "OOMKilled", "exit_code": "137", "restarts": fmt.Sprint(i * revision)},
		})
		s.Evidence = append(s.Evidence, tapio.Evidence{ID: id, Time: start, Source: tapio.SourceKubernetes, Type: tapio.ContainerExit, Entity: e,
			Text: fmt.Sprintf("terminated: reason OOMKilled exitCode 137 containerID containerd://%064x", n*7919+i*104729+revision)})
	}
	return s
}

func benchStore(b *testing.B) *store.Store {
	b.Helper()
	s, err := store.Open(store.Options{Dir: b.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 20} {
		b.Run(fmt.Sprintf("batch of %d", size), func(b *testing.B) {
			s := benchStore(b)
			one, _ := json.Marshal(usual(0, 1))
			b.ReportMetric(float64(len(one)), "JSON-bytes/story")
			n := 0
			for b.Loop() {
				batch := make([]tapio.Story, size)
				for i := range batch {
					batch[i] = usual(n%200, n/200+1)
					n++
				}
				if _, err := s.Append(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "revisions/s")
		})
	}
}

func BenchmarkRevisions(b *testing.B) {
	s := benchStore(b)
	for n := range 100 {
		var batch []tapio.Story
		for i := range 20 {
			batch = append(batch, usual(n*20+i, 1))
		}
		mustAppend(b, s, batch...)
	}
	read := 0
	for b.Loop() {
		for after := uint64(0); after < 2000; {
			r, err := s.Revisions(b.Context(), after, 100)
			if err != nil {
				b.Fatal(err)
			}
			read += len(r)
			after = r[len(r)-1].Seq
		}
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "revisions/s")
}

func BenchmarkStories(b *testing.B) {
	s := benchStore(b)
	for n := range 100 {
		var batch []tapio.Story
		for i := range 20 {
			batch = append(batch, usual(n*20+i, 1))
		}
		mustAppend(b, s, batch...)
	}
	for name, q := range map[string]tapio.Query{
		"pod of 2000 stories":       {Pod: "shop-3/" + fmt.Sprintf("checkout-%d-7d9f8c6b5-%05d", 1003, 1003)},
		"newest 20 of 2000 stories": {Limit: 20},
		"newest 20 of a namespace":  {Namespace: "shop-3", Limit: 20},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				found, err := s.Stories(b.Context(), q)
				if err != nil || len(found) == 0 {
					b.Fatal(len(found), err)
				}
			}
		})
	}
}

// TestHeap reports the heap of a store with 10,000 revisions of usual stories:
// after opening it, which a small pod must be able to spare (40 MiB, while
// Badger still compacts what it found; some 3 MiB at rest), and at its highest
// while they are written as fast as the disk takes them, a hundred times the
// pace of a bad incident (100 MiB; Badger's defaults take some 480).
func TestHeap(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 10,000 revisions")
	}
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	dir, before := t.TempDir(), heap()
	o := store.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)}
	s, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	opened, most := heap()-before, 0.0
	for n := range 500 {
		var batch []tapio.Story
		for i := range 20 {
			batch = append(batch, usual(n*4+i%4, i/4+1))
		}
		mustAppend(t, s, batch...)
		if n%10 == 9 {
			most = max(most, heap()-before)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if found, err := s.Stories(t.Context(), tapio.Query{Limit: 100}); err != nil || len(found) != 100 {
		t.Fatalf("%d stories, %v", len(found), err)
	}
	rest := heap() - before
	t.Logf("heap: %.1f MiB empty, %.1f opened with 10,000 revisions, %.1f at most while they were written", opened, rest, most)
	if rest > 40 || most > 100 {
		t.Error("more than a small pod can spare")
	}
}
