package controlplane

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// told lists what the observations say, states by their status.
func told(observations []tapio.Observation) []string {
	var out []string
	for _, o := range observations {
		if o.Event != nil {
			out = append(out, string(o.Event.Type)+" "+o.Event.Reason)
			continue
		}
		out = append(out, "state "+o.State.Component.Status)
	}
	return out
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func all(*symptom) bool { return true }

// TestMonitor walks through blips and problems: each line is one round.
func TestMonitor(t *testing.T) {
	bad := symptom{typ: tapio.APIServerUnhealthy, severity: tapio.SeverityCritical, reason: unreachable}
	m := newMonitor("kube-apiserver", tapio.APIServerHealthy, 3)
	for i, round := range []struct {
		bad  bool
		want []string
	}{
		{false, []string{"state healthy", "api_server_healthy "}},
		{true, nil}, {true, nil}, {false, nil}, // a blip
		{true, nil}, {true, nil},
		{true, []string{"state unhealthy", "api_server_unhealthy Unreachable"}},
		{true, nil},
		{false, nil}, {true, nil}, // one good check in between is none
		{false, nil},
		{false, []string{"state healthy", "api_server_healthy "}},
		{false, nil},
	} {
		var found []symptom
		if round.bad {
			found = append(found, bad)
		}
		got := m.check(noon.Add(time.Duration(i)*10*time.Second), found, all)
		if !slices.Equal(told(got), round.want) {
			t.Errorf("round %d: told %q, want %q", i, told(got), round.want)
		}
		for _, o := range got {
			o.Time = noon
			if err := o.Validate(); err != nil {
				t.Errorf("round %d: %v", i, err)
			}
			if o.Event != nil && o.Event.Reason == unreachable && !o.Event.Time.Equal(noon.Add(40*time.Second)) {
				t.Errorf("it began at %s, want the first check that found it", o.Event.Time)
			}
		}
	}
}

// TestMonitorScope shows that a round which can't see a problem doesn't end it.
func TestMonitorScope(t *testing.T) {
	m := newMonitor("etcd", tapio.EtcdHealthy, 1)
	full := symptom{typ: tapio.EtcdStorageFull, severity: tapio.SeverityCritical, reason: "NoSpace", object: "etcd-1"}
	m.check(noon, []symptom{full}, all)
	for range 5 {
		if got := m.check(noon, nil, func(s *symptom) bool { return s.reason == unreachable }); got != nil {
			t.Fatalf("told %q of what could not be seen", told(got))
		}
	}
	m.check(noon, nil, all)
	if got := told(m.check(noon, nil, all)); !slices.Contains(got, "etcd_healthy ") {
		t.Errorf("told %q, want that etcd is well", got)
	}
}

// TestLease: a lease is old by the time since its renewal was seen to change,
// not by its clock, and nothing is known while leases can't be read.
func TestLease(t *testing.T) {
	c := &Collector{config: Config{HealthInterval: tapio.Duration(10 * time.Second), LeaderElectionTimeout: tapio.Duration(30 * time.Second), FailureThreshold: 3}}
	l := newLease(c, tapio.ComponentScheduler, tapio.SchedulerHealthy, tapio.SchedulerUnhealthy)
	holder := "n1_0a"
	at := func(seconds int, renewed time.Time) []string {
		item := coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: tapio.ComponentScheduler}}
		item.Spec.HolderIdentity, item.Spec.RenewTime = &holder, &metav1.MicroTime{Time: renewed}
		return told(l.check(noon.Add(time.Duration(seconds)*time.Second), []coordinationv1.Lease{item}))
	}
	wrongClock := noon.Add(-time.Hour)
	if got := at(0, wrongClock); !slices.Equal(got, []string{"state healthy", "scheduler_healthy "}) {
		t.Errorf("at first: %q", got)
	}
	at(10, wrongClock.Add(10*time.Second))
	for s := 20; s <= 40; s += 10 {
		if got := at(s, wrongClock.Add(10*time.Second)); got != nil {
			t.Errorf("after %d s without renewal: %q", s-10, got)
		}
	}
	if got := at(50, wrongClock.Add(10*time.Second)); !slices.Equal(got, []string{"state unhealthy", "scheduler_unhealthy LeaseExpired"}) {
		t.Errorf("after 40 s without renewal: %q", got)
	}
	at(60, wrongClock.Add(60*time.Second))
	if got := at(70, wrongClock.Add(70*time.Second)); !slices.Equal(got, []string{"state healthy", "scheduler_healthy "}) {
		t.Errorf("renewed again: %q", got)
	}
	if got := at(200, wrongClock.Add(70*time.Second)); got != nil {
		t.Errorf("after a time in which leases could not be read: %q", got)
	}
}

func TestLeaseChanges(t *testing.T) {
	tests := []struct {
		name string
		away int // seconds for which nobody renews, before another takes over
		want bool
	}{
		{"taken over at once, again and again", 10, true},
		{"taken over after it had expired, which is told each time", 50, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Collector{config: Config{HealthInterval: tapio.Duration(10 * time.Second), LeaderElectionTimeout: tapio.Duration(30 * time.Second), FailureThreshold: 3}}
			l := newLease(c, tapio.ComponentScheduler, tapio.SchedulerHealthy, tapio.SchedulerUnhealthy)
			var seen []string
			renewed, holder := noon, 0
			for s := 0; s < 600; s += 10 {
				if cycle := s % 100; cycle < 100-test.away {
					renewed = noon.Add(time.Duration(s) * time.Second)
				}
				if s%100 == 0 {
					holder++
				}
				name := fmt.Sprintf("n%d", holder)
				item := coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: tapio.ComponentScheduler}}
				item.Spec.HolderIdentity, item.Spec.RenewTime = &name, &metav1.MicroTime{Time: renewed}
				seen = append(seen, told(l.check(noon.Add(time.Duration(s)*time.Second), []coordinationv1.Lease{item}))...)
			}
			if got := slices.Contains(seen, "scheduler_unhealthy Unstable"); got != test.want {
				t.Errorf("told unstable: %t, want %t; told %q", got, test.want, seen)
			}
		})
	}
}

func TestWrites(t *testing.T) {
	tests := []struct {
		name  string
		stops []string // leases that are not renewed any more after a minute
		want  bool
	}{
		{"nothing is written", []string{"apiserver-x", "kube-scheduler"}, true},
		{"the scheduler alone is down", []string{"kube-scheduler"}, false},
		{"one of two API servers is gone", []string{"apiserver-x"}, false},
		{"all is well", nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Collector{config: Config{HealthInterval: tapio.Duration(10 * time.Second), LeaderElectionTimeout: tapio.Duration(30 * time.Second)}}
			w := newWrites(c)
			var seen []string
			for s := 0; s < 300; s += 10 {
				now := noon.Add(time.Duration(s) * time.Second)
				var items []coordinationv1.Lease
				for _, name := range []string{"apiserver-x", "kube-scheduler", "apiserver-of-last-year"} {
					renewed := now
					switch {
					case name == "apiserver-of-last-year":
						renewed = noon.AddDate(-1, 0, 0)
					case s > 60 && s < 200 && slices.Contains(test.stops, name):
						renewed = noon.Add(time.Minute)
					}
					item := coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}}
					item.Spec.RenewTime = &metav1.MicroTime{Time: renewed}
					items = append(items, item)
				}
				seen = append(seen, told(w.check(now, items))...)
			}
			want := []string{"state healthy"}
			if test.want {
				want = append(want, "state unhealthy", "etcd_unhealthy NoWrites", "state healthy")
			}
			if !slices.Equal(seen, want) {
				t.Errorf("told %q, want %q", seen, want)
			}
		})
	}
}

// TestMembersAlike has two members fail at once in the same words: these are two
// facts.
func TestMembersAlike(t *testing.T) {
	m := newMonitor(tapio.ComponentEtcd, tapio.EtcdHealthy, 1)
	down := func(object string) symptom {
		return symptom{typ: tapio.EtcdUnhealthy, severity: tapio.SeverityMedium, reason: "MemberDown", object: object, message: "it does not answer: no answer in time"}
	}
	ids := map[string]bool{}
	for _, o := range m.check(time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC), []symptom{down("etcd-1"), down("etcd-2")}, func(*symptom) bool { return true }) {
		if o.Event != nil {
			ids[o.Event.ID] = true
		}
	}
	if len(ids) != 2 {
		t.Errorf("two members share %d event IDs", len(ids))
	}
}
