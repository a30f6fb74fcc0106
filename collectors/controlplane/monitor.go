package controlplane

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
)

// wellAfter is how many checks in a row must find a problem gone before that
// is told.
const wellAfter = 2

// symptom is what one check found wrong.
type symptom struct {
	typ      tapio.EventType
	severity tapio.Severity
	reason   string
	object   string // a member, a certificate; part of what tells symptoms apart
	message  string
	attrs    map[string]string
	at       time.Time // since when, where it is known; zero: the first check that found it
	need     int       // checks in a row that must find it; 0: as many as the monitor's
}

// key tells symptoms of a component apart.
func (s *symptom) key() string { return string(s.typ) + " " + s.reason + " " + s.object }

// streak is how often in a row a symptom was found, and what became of it.
type streak struct {
	symptom symptom
	since   time.Time
	bad     int
	good    int
	told    bool
}

// monitor keeps what stands against one component. A symptom is told when it
// was found by enough checks in a row, and is over when it was not found by
// two in a row; whatever is over before it was told was a blip.
type monitor struct {
	name    string
	healthy tapio.EventType // what is told when nothing stands against it any more; empty: only its state is
	need    int             // checks in a row
	streaks map[string]*streak
	said    bool // its first state was reported
}

func newMonitor(name string, healthy tapio.EventType, need int) *monitor {
	return &monitor{name: name, healthy: healthy, need: need, streaks: map[string]*streak{}}
}

func (m *monitor) entity() tapio.Entity {
	return tapio.Entity{Kind: tapio.KindComponent, Name: m.name}
}

// check takes in what one round found. scope says which symptoms the round
// could have found: what it did not find of those is gone.
func (m *monitor) check(now time.Time, found []symptom, scope func(*symptom) bool) []tapio.Observation {
	var out []tapio.Observation
	bad := map[string]bool{}
	for _, s := range found {
		k := s.key()
		bad[k] = true
		x := m.streaks[k]
		if x == nil {
			x = &streak{since: now}
			if !s.at.IsZero() {
				x.since = s.at
			}
			m.streaks[k] = x
		}
		x.symptom, x.good = s, 0
		x.bad++
		if !x.told && x.bad >= cmp.Or(s.need, m.need) {
			x.told = true
			out = append(out, tapio.Observation{Event: m.event(now, x)})
		}
	}
	ended := false
	for _, k := range slices.Sorted(maps.Keys(m.streaks)) {
		x := m.streaks[k]
		if bad[k] || !scope(&x.symptom) {
			continue
		}
		x.good++
		switch {
		case !x.told:
			delete(m.streaks, k)
		case x.good >= wellAfter:
			delete(m.streaks, k)
			ended = true
		}
	}
	if len(out) == 0 && !ended && (m.said || len(m.streaks) > 0) {
		return nil // nothing changed, or it cannot be called healthy yet
	}
	state := m.state()
	first := !m.said
	m.said = true
	// The state comes first: what is told must already be so.
	out = slices.Insert(out, 0, tapio.Observation{State: state})
	if m.healthy != "" && (ended && len(state.Component.Problems) == 0 || first && len(out) == 1) {
		ev := &tapio.Event{
			Time: now, Seen: now, Source: tapio.SourceControlPlane, Type: m.healthy, Severity: tapio.SeverityInfo,
			Entity: m.entity(), Kubernetes: background("healthy"), Listed: first,
			Attrs: map[string]string{tapio.AttrComponent: m.name},
		}
		ev.SetID()
		out = append(out, tapio.Observation{Event: ev})
	}
	return out
}

// fact is an event that says what happened and leaves nothing standing.
func (m *monitor) fact(now time.Time, s symptom) tapio.Observation {
	return tapio.Observation{Event: m.event(now, &streak{symptom: s, since: now})}
}

func (m *monitor) event(now time.Time, x *streak) *tapio.Event {
	s := x.symptom
	attrs := maps.Clone(s.attrs)
	if attrs == nil {
		attrs = map[string]string{}
	}
	attrs[tapio.AttrComponent] = m.name
	if s.object != "" {
		attrs[tapio.AttrObject] = s.object
	}
	ev := &tapio.Event{
		Time: x.since, Seen: now, Source: tapio.SourceControlPlane, Type: s.typ, Severity: s.severity, Entity: m.entity(),
		Reason: s.reason, Message: s.message, Attrs: attrs, Kubernetes: background(status(s.severity)),
	}
	ev.SetID()
	return ev
}

// state is the component as it stands.
func (m *monitor) state() *tapio.State {
	c := &tapio.ComponentState{Status: "healthy"}
	worst := tapio.SeverityInfo
	for _, k := range slices.Sorted(maps.Keys(m.streaks)) {
		x := m.streaks[k]
		if !x.told {
			continue
		}
		c.Problems = append(c.Problems, tapio.ComponentProblem{
			Type: x.symptom.typ, Reason: x.symptom.reason, Object: x.symptom.object, Message: x.symptom.message, Since: x.since,
		})
		if x.symptom.severity.Level() < worst.Level() {
			worst = x.symptom.severity
		}
	}
	slices.SortFunc(c.Problems, func(a, b tapio.ComponentProblem) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Object, b.Object))
	})
	if len(c.Problems) > 0 {
		c.Status = status(worst)
	}
	return &tapio.State{Entity: m.entity(), Component: c}
}

// status is the seed design's word for how bad something is.
func status(s tapio.Severity) string {
	switch {
	case s.Level() <= tapio.SeverityHigh.Level():
		return "unhealthy"
	case s == tapio.SeverityInfo:
		return "healthy"
	}
	return "degraded"
}

// background is what the seed design says of every event of the control plane.
func background(status string) *tapio.KubernetesContext {
	return &tapio.KubernetesContext{
		WorkloadType: tapio.WorkloadControlPlane, BusinessService: tapio.ServiceKubernetesCluster, CriticalPath: true, HealthStatus: status,
	}
}
