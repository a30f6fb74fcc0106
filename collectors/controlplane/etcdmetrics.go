package controlplane

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/yairfalse/tapio"
)

const (
	slowDisk = "SlowDisk"

	familyFsync     = "etcd_disk_wal_fsync_duration_seconds"
	familyCommit    = "etcd_disk_backend_commit_duration_seconds"
	familySlowApply = "etcd_server_slow_apply_total"
	familyProposals = "etcd_server_proposals_failed_total"
	familyCompacted = "etcd_debugging_mvcc_compact_revision"
)

// scrapedEtcd is what the last page of a member's metrics said.
type scrapedEtcd struct {
	at            time.Time
	fsync, commit total
	slowApply     float64
	failed        float64 // proposals
	compacted     float64 // revision
	disk          string  // how slow its disk is, in words; empty: it is not
}

// disks says which disks are slow.
func (e *etcd) disks(members []*member) string {
	var out []string
	for _, m := range members {
		if d := m.scraped.disk; d != "" {
			out = append(out, e.name(m.id, m)+": "+d)
		}
	}
	return clip(strings.Join(out, "; "))
}

// scrape reads the metrics of all members at once and returns what compares
// them with those before.
func (e *etcd) scrape(ctx context.Context) func() []tapio.Observation {
	pages := make([]scrapedEtcd, len(e.members))
	var read sync.WaitGroup
	for i, m := range e.members {
		read.Go(func() { pages[i] = m.scrape(ctx, e.http) })
	}
	read.Wait()
	return func() []tapio.Observation { return e.take(now(), pages) }
}

// scrape reads the metrics of one member: its time is zero where that fails.
func (m *member) scrape(ctx context.Context, client *http.Client) scrapedEtcd {
	page, err := fetch(ctx, client, strings.TrimSuffix(m.endpoint, "/")+"/metrics")
	if err != nil {
		return scrapedEtcd{}
	}
	defer page.Close()
	f, err := families(page, familyFsync, familyCommit, familySlowApply, familyProposals, familyCompacted)
	if err != nil {
		return scrapedEtcd{}
	}
	s := scrapedEtcd{
		at: now(), fsync: histogram(f[familyFsync]), commit: histogram(f[familyCommit]),
		slowApply: counters(f[familySlowApply], "", nil)[""], failed: counters(f[familyProposals], "", nil)[""],
	}
	for _, x := range f[familyCompacted].GetMetric() {
		s.compacted = x.GetGauge().GetValue()
	}
	return s
}

// take compares the pages of all members with those before.
func (e *etcd) take(now time.Time, pages []scrapedEtcd) []tapio.Observation {
	var found []symptom
	var facts []tapio.Observation
	seen := false
	for i, m := range e.members {
		next := pages[i]
		if next.at.IsZero() {
			continue
		}
		seen = true
		last := m.scraped
		m.scraped = next
		if last.at.IsZero() || next.fsync.count < last.fsync.count {
			continue // nothing to compare with, or it was started anew
		}
		m.scraped.disk = diskWords(last, next, time.Duration(e.c.config.EtcdLatencyThreshold))
		if m.scraped.disk != "" {
			found = append(found, symptom{
				typ: tapio.EtcdHighLatency, severity: tapio.SeverityMedium, reason: slowDisk, object: e.name(m.id, m), message: m.scraped.disk, need: 2,
			})
		}
		if next.compacted > last.compacted && len(facts) == 0 {
			facts = append(facts, e.monitor.fact(now, symptom{
				typ: tapio.EtcdCompaction, severity: tapio.SeverityInfo, reason: "Compacted", message: fmt.Sprintf("up to revision %.0f", next.compacted),
			}))
		}
	}
	if !seen {
		if len(e.members) > 0 && e.members[0].status != nil {
			e.c.lacks("/metrics of etcd: no endpoint serves them — slow disks and compactions are not seen")
		}
		return nil
	}
	if found == nil && !e.monitor.said {
		return facts // its health says first how it is
	}
	out := e.monitor.check(now, found, func(s *symptom) bool { return s.reason == slowDisk })
	return append(out, facts...)
}

func histogram(f *dto.MetricFamily) total {
	var t total
	for _, m := range f.GetMetric() {
		t.sum += m.GetHistogram().GetSampleSum()
		t.count += float64(m.GetHistogram().GetSampleCount())
	}
	return t
}

// diskWords says how long writes took between two pages, where that is longer
// than the threshold on average.
func diskWords(last, next scrapedEtcd, limit time.Duration) string {
	var out []string
	for _, x := range []struct {
		what string
		a, b total
	}{{"fsync of its log", last.fsync, next.fsync}, {"commit of its database", last.commit, next.commit}} {
		n := x.b.count - x.a.count
		if n <= 0 {
			continue
		}
		if mean := (x.b.sum - x.a.sum) / n; mean > limit.Seconds() {
			out = append(out, fmt.Sprintf("a %s takes %.0f ms on average", x.what, mean*1000))
		}
	}
	if len(out) == 0 {
		return ""
	}
	if d := next.failed - last.failed; d > 0 {
		out = append(out, fmt.Sprintf("%.0f proposals failed", d))
	}
	if d := next.slowApply - last.slowApply; d > 0 {
		out = append(out, fmt.Sprintf("%.0f requests were applied slowly", d))
	}
	return strings.Join(out, ", ")
}
