package controlplane

import (
	"context"
	"fmt"
	"strings"
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

// scrape reads the metrics of all members that answer and compares them with
// those before.
func (e *etcd) scrape(ctx context.Context) []tapio.Observation {
	now := now()
	var found []symptom
	var facts []tapio.Observation
	seen := false
	for _, m := range e.members {
		page, err := fetch(ctx, e.http, strings.TrimSuffix(m.endpoint, "/")+"/metrics")
		if err != nil {
			continue
		}
		f, err := families(page, familyFsync, familyCommit, familySlowApply, familyProposals, familyCompacted)
		page.Close()
		if err != nil {
			continue
		}
		seen = true
		last := m.scraped
		m.scraped = scrapedEtcd{
			at: now, fsync: histogram(f[familyFsync]), commit: histogram(f[familyCommit]),
			slowApply: counters(f[familySlowApply], "", nil)[""], failed: counters(f[familyProposals], "", nil)[""],
		}
		for _, x := range f[familyCompacted].GetMetric() {
			m.scraped.compacted = x.GetGauge().GetValue()
		}
		if last.at.IsZero() || m.scraped.fsync.count < last.fsync.count {
			continue // nothing to compare with, or it was started anew
		}
		m.scraped.disk = diskWords(last, m.scraped, time.Duration(e.c.config.EtcdLatencyThreshold))
		if m.scraped.disk != "" {
			found = append(found, symptom{
				typ: tapio.EtcdHighLatency, severity: tapio.SeverityMedium, reason: slowDisk, object: e.name(m.id, m), message: m.scraped.disk, need: 2,
			})
		}
		if c := m.scraped.compacted; c > last.compacted && len(facts) == 0 {
			facts = append(facts, e.monitor.fact(now, symptom{
				typ: tapio.EtcdCompaction, severity: tapio.SeverityInfo, reason: "Compacted", message: fmt.Sprintf("up to revision %.0f", c),
			}))
		}
	}
	if !seen {
		if len(e.members) > 0 && e.members[0].status != nil {
			e.c.lacks("/metrics of etcd: no endpoint serves them — slow disks and compactions are not seen")
		}
		return nil
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
