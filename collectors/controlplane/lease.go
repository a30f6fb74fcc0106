package controlplane

import (
	"fmt"
	"time"

	"github.com/yairfalse/tapio"
	coordinationv1 "k8s.io/api/coordination/v1"
)

const (
	leaseExpired = "LeaseExpired"
	unstable     = "Unstable"
	// unstableChanges within unstableWindow is more than a deliberate restart or
	// an upgrade of three members makes.
	unstableChanges = 4
	unstableWindow  = 10 * time.Minute
	// leaseSilence beyond a health interval is longer than a component that works
	// leaves its lease alone: it renews it every 2 s.
	leaseSilence = 5 * time.Second
)

// lease watches who leads a component and whether that one is alive.
type lease struct {
	c       *Collector
	monitor *monitor
	bad     tapio.EventType
	holder  string
	renewed time.Time   // as its holder wrote
	moved   time.Time   // when that was last seen to change
	seen    time.Time   // when it was last read
	changes []time.Time // of its holder, within the window, that nothing else explains
	back    time.Time   // when it was renewed after a silence
	excused time.Time   // until then a change is explained: leases could not be read
}

func newLease(c *Collector, name string, healthy, bad tapio.EventType) *lease {
	return &lease{c: c, monitor: newMonitor(name, healthy, c.config.FailureThreshold), bad: bad}
}

// check takes in a listing of the leases.
func (l *lease) check(now time.Time, items []coordinationv1.Lease) []tapio.Observation {
	at := -1
	for i := range items {
		if items[i].Name == l.monitor.name {
			at = i
		}
	}
	if at < 0 && l.seen.IsZero() {
		l.c.lacks(fmt.Sprintf("%s: it keeps no lease in kube-system — that it is down is told once something waits for it", l.monitor.name))
		return nil
	}
	// While leases could not be read nobody knows whether it was renewed.
	if now.Sub(l.seen) > 3*time.Duration(l.c.config.HealthInterval) {
		l.moved = now
		l.excused = now.Add(time.Duration(l.c.config.LeaderElectionTimeout))
	}
	l.seen = now
	if at >= 0 {
		l.read(now, &items[at])
	}
	var found []symptom
	attrs := map[string]string{tapio.AttrHolder: l.holder}
	if age := now.Sub(l.moved); age > time.Duration(l.c.config.LeaderElectionTimeout) {
		found = append(found, symptom{
			typ: l.bad, severity: tapio.SeverityCritical, reason: leaseExpired, at: l.moved, need: 1, attrs: attrs,
			message: fmt.Sprintf("its lease has not been renewed for %d s, and nobody has taken it over", int(age.Seconds())),
		})
	}
	for len(l.changes) > 0 && now.Sub(l.changes[0]) > unstableWindow {
		l.changes = l.changes[1:]
	}
	if n := len(l.changes); n >= unstableChanges {
		found = append(found, symptom{
			typ: l.bad, severity: tapio.SeverityMedium, reason: unstable, at: l.changes[0], need: 1, attrs: attrs,
			message: fmt.Sprintf("its leader changed %d times in %d min", n, int(unstableWindow.Minutes())),
		})
	}
	return l.monitor.check(now, found, func(s *symptom) bool { return s.reason != slow })
}

func (l *lease) read(now time.Time, x *coordinationv1.Lease) {
	holder := ""
	if h := x.Spec.HolderIdentity; h != nil {
		holder = clip(*h)
	}
	expired := now.Sub(l.moved) > time.Duration(l.c.config.LeaderElectionTimeout)
	if l.holder != "" && holder != "" && holder != l.holder && !expired && now.After(l.excused) {
		l.changes = append(l.changes, now)
	}
	if holder != "" {
		l.holder = holder
	}
	if r := x.Spec.RenewTime; r != nil && !r.Time.Equal(l.renewed) {
		if !l.renewed.IsZero() && l.silent(now) {
			l.back = now
		}
		l.renewed, l.moved = r.Time, now
	}
}

// silent reports whether nobody has renewed the lease for a while.
func (l *lease) silent(now time.Time) bool {
	return !l.moved.IsZero() && now.Sub(l.moved) > leaseSilence+time.Duration(l.c.config.HealthInterval)
}
