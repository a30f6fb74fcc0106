package recording

import (
	"time"

	"github.com/yairfalse/tapio"
)

// Shift moves every time in the step by d: the demo plays an old incident as
// if it happened now. IDs of events stay, so the same evidence keeps its name.
func Shift(s *Step, d time.Duration) {
	move := func(t *time.Time) {
		if !t.IsZero() {
			*t = t.Add(d)
		}
	}
	move(&s.Time)
	o := s.Observation
	if o == nil {
		return
	}
	move(&o.Time)
	if e := o.Event; e != nil {
		move(&e.Time)
		move(&e.Seen)
		for _, key := range []string{tapio.AttrStartedAt, tapio.AttrFirstSeen} {
			if t, err := time.Parse(time.RFC3339Nano, e.Attrs[key]); err == nil {
				e.Attrs[key] = t.Add(d).Format(time.RFC3339Nano)
			}
		}
	}
	if g := o.Gap; g != nil {
		move(&g.From)
		move(&g.To)
	}
	if st := o.State; st != nil {
		move(&st.Created)
		if st.Node != nil {
			move(&st.Node.ReadySince)
			move(&st.Node.CordonedSince)
		}
		if st.Workload != nil {
			move(&st.Workload.Edited)
			move(&st.Workload.LastSchedule)
		}
		if st.Lease != nil {
			move(&st.Lease.Renewed)
		}
		if p := st.Pod; p != nil {
			move(&p.ReadySince)
			for i := range p.Containers {
				move(&p.Containers[i].Since)
			}
		}
	}
}
