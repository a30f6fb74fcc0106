package controlplane

import (
	"fmt"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	coordinationv1 "k8s.io/api/coordination/v1"
)

// writes infers, where etcd itself is out of reach, that nothing can be written:
// the leases of kube-system are read and none of them moves any more, the API
// server's own included, which it renews every ten seconds.
type writes struct {
	c       *Collector
	monitor *monitor
	seen    time.Time            // when leases were last read
	renewed map[string]time.Time // by name, as the holder wrote
	moved   map[string]time.Time // when that was last seen to change; those that never did are dead ones
}

// ownLease begins the name of a lease that an API server renews for itself.
const ownLease = "apiserver-"

func newWrites(c *Collector) *writes {
	return &writes{
		c: c, monitor: newMonitor(tapio.ComponentEtcd, "", 1),
		renewed: map[string]time.Time{}, moved: map[string]time.Time{},
	}
}

// check takes in a listing of the leases.
func (w *writes) check(now time.Time, items []coordinationv1.Lease) []tapio.Observation {
	limit := time.Duration(w.c.config.LeaderElectionTimeout)
	resumed := now.Sub(w.seen) > 3*time.Duration(w.c.config.HealthInterval)
	w.seen = now
	present := map[string]bool{}
	for i := range items {
		x := &items[i]
		present[x.Name] = true
		if x.Spec.RenewTime == nil {
			continue
		}
		before, known := w.renewed[x.Name]
		w.renewed[x.Name] = x.Spec.RenewTime.Time
		if known && !before.Equal(x.Spec.RenewTime.Time) {
			w.moved[x.Name] = now
		}
	}
	alive, own := 0, false
	var last time.Time
	for name, at := range w.moved {
		switch {
		case !present[name], now.Sub(at) > time.Hour:
			delete(w.moved, name)
			continue
		case resumed: // while leases could not be read nobody knows whether they moved
			at = now
			w.moved[name] = now
		}
		alive++
		own = own || strings.HasPrefix(name, ownLease)
		if at.After(last) {
			last = at
		}
	}
	for name := range w.renewed {
		if !present[name] {
			delete(w.renewed, name)
		}
	}
	var found []symptom
	if age := now.Sub(last); own && alive > 1 && age > limit {
		found = append(found, symptom{
			typ: tapio.EtcdUnhealthy, severity: tapio.SeverityCritical, reason: "NoWrites", at: last,
			message: fmt.Sprintf("none of %d leases in kube-system has been renewed for %d s, the API server's own included, and they can be read", alive, int(age.Seconds())),
		})
	}
	return w.monitor.check(now, found, func(*symptom) bool { return true })
}
