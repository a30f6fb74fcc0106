package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/diagnosis"
)

// diagnose chooses the finding that explains the incident best.
func (e *Engine) diagnose(inc *incident) {
	all := slices.SortedFunc(maps.Values(inc.findings), func(a, b *diagnosis.Finding) int {
		if c := a.Compare(b); c != 0 {
			return c
		}
		return a.Subject.Compare(b.Subject)
	})
	if len(all) == 0 {
		return
	}
	inc.against = map[*diagnosis.Finding]string{}
	for _, f := range all {
		if onlyListed(f) && e.passed(f) {
			inc.against[f] = gotPast
		} else if g := explainedAway(f, all, e.weight); g != nil {
			inc.against[f] = "explained by: " + g.Template.Name
		} else if !inc.believes(f) && (e.starting(f) || e.recovered(f)) {
			inc.against[f] = slowStart
		} else if outOfMemory(f, all) {
			inc.against[f] = "the container was killed at its memory limit, whatever it said before"
		}
	}
	for _, f := range all {
		if inc.against[f] == "" && (e.overtaken(f, all, inc.against) || onTheWay(f) && e.passed(f)) {
			inc.against[f] = gotPast
		}
	}
	was := inc.chosen
	best := all[0]
	if i := slices.IndexFunc(all, func(f *diagnosis.Finding) bool { return inc.against[f] == "" }); i >= 0 {
		best = all[i]
	}
	if was != nil && (inc.against[best] != "" || best.Template.IsSymptom() && !was.Template.IsSymptom()) {
		// Nothing better than what was believed last: that stays.
		for _, f := range all {
			past := inc.status == tapio.StatusSuspected && inc.against[f] == gotPast && (onTheWay(f) || onlyListed(f))
			if f.Template == was.Template && f.Subject == was.Subject && !past {
				best = f
			}
		}
	}
	if inc.status == tapio.StatusSuspected {
		inc.onset = maxTime(best.First, inc.after)
	}
	inc.chosen = best
	e.nameAfter(inc, best)
	if was == nil || was.Template != best.Template || was.CauseEntity != best.CauseEntity {
		inc.fresh = true
		if inc.status == tapio.StatusSuspected {
			inc.found = e.now // each cause is held back for its own time
		}
		inc.addRoles(best)
		if sev := e.severityOf(inc); inc.subject.Kind == tapio.KindComponent && inc.severity != "" && sev.Level() < inc.severity.Level() {
			inc.severity = sev // a member that is down may become a quorum that is lost
		}
		if was != nil && inc.status == tapio.StatusOpen && was.Template.Cause != best.Template.Cause {
			inc.addNews(tapio.News{
				Kind: tapio.NewsCause, Time: best.First,
				Was: string(was.Template.Cause), Now: string(best.Template.Cause), Evidence: inc.evidenceIDs(best),
			})
		}
	}
}

// nameAfter makes the subject of what it rests on that of the incident, as long
// as it is held back: which of two neighbours was seen first is chance.
func (e *Engine) nameAfter(inc *incident, f *diagnosis.Finding) {
	if inc.status != tapio.StatusSuspected || inc.last.ID != "" || inc.subject == f.Subject {
		return
	}
	if !slices.ContainsFunc(e.live, func(o *incident) bool { return o != inc && o.subject == f.Subject }) {
		inc.subject = f.Subject
	}
}

// believes reports whether the story is told with this cause: that its pods are
// ready or gone by now mends it, and does not make it another one.
func (inc *incident) believes(f *diagnosis.Finding) bool {
	return inc.status != tapio.StatusSuspected && inc.chosen != nil && inc.chosen.Template == f.Template && inc.chosen.Subject == f.Subject
}

// explainedAway returns the finding that explains so much of f's evidence on
// the same container that what is left would not match: the exit that follows
// a kill for a failed probe says nothing of its own.
func explainedAway(f *diagnosis.Finding, all []*diagnosis.Finding, weight func(*tapio.Event) int) *diagnosis.Finding {
	for _, g := range all {
		if g == f {
			continue
		}
		for _, x := range g.Template.Explains {
			min, asked := f.Template.Requires(tapio.EventType(x.Symptom))
			if x.Over != "self" || !asked {
				continue
			}
			left := 0
			for _, ev := range f.Evidence {
				if ev.Type == tapio.EventType(x.Symptom) && !follows(ev, g) {
					left += weight(ev)
				}
			}
			if left < min {
				return g
			}
		}
	}
	return nil
}

// outOfMemory reports whether the finding rests on words of containers that
// were killed for their memory: nothing that they said ended them.
func outOfMemory(f *diagnosis.Finding, all []*diagnosis.Finding) bool {
	if !says(f) {
		return false
	}
	return slices.ContainsFunc(all, func(g *diagnosis.Finding) bool {
		return g.Template.Cause == tapio.CauseOOMLimit && slices.ContainsFunc(f.Evidence, func(ev *tapio.Event) bool {
			return ev.Type == tapio.AppError && slices.ContainsFunc(g.Evidence, func(k *tapio.Event) bool { return k.Entity == ev.Entity })
		})
	})
}

// briefGrace is how long a pod may take to become ready for the first time
// before a reader who asks about this moment is told: nobody can wait and see.
const briefGrace = time.Minute

// grace is how long a pod may take to become ready for the first time before
// that counts against it.
func (e *Engine) grace(t *diagnosis.Template) time.Duration {
	if e.flushing {
		return min(briefGrace, time.Duration(t.StartupGrace))
	}
	return time.Duration(t.StartupGrace)
}

// killGrace is how long after a kill the exit may come: the longest
// termination grace period that people use, with a margin.
const killGrace = 90 * time.Second

// follows reports whether the event came on the same container within the
// grace after one of the finding's, or together with it.
func follows(ev *tapio.Event, g *diagnosis.Finding) bool {
	for _, k := range g.Evidence {
		same := k.Entity.Object() == ev.Entity.Object() && (k.Entity.Container == ev.Entity.Container || k.Entity.Container == "")
		from := k.Time
		if t, err := time.Parse(time.RFC3339, k.Attrs[tapio.AttrFirstSeen]); err == nil && k.Count > 1 {
			from = t // a repeated Kubernetes Event stands for all of its times
		}
		if same && ev.Time.Sub(from) >= -5*time.Second && ev.Time.Sub(k.Time) <= killGrace {
			return true
		}
	}
	return false
}

// overtaken reports whether everything the finding rests on has moved past it,
// while a newer finding has not.
func (e *Engine) overtaken(f *diagnosis.Finding, all []*diagnosis.Finding, against map[*diagnosis.Finding]string) bool {
	if !e.passed(f) {
		return false
	}
	return slices.ContainsFunc(all, func(g *diagnosis.Finding) bool {
		return g != f && against[g] == "" && !g.Template.IsSymptom() && e.matchesSince(g, f.Last)
	})
}

// matchesSince reports whether what the finding saw after the given time, and
// is still so, would be enough by itself: one crash right after a mend is no
// other cause.
func (e *Engine) matchesSince(f *diagnosis.Finding, since time.Time) bool {
	seen := map[tapio.EventType]int{}
	for _, ev := range f.Evidence {
		if f.Asked(ev) && ev.Time.After(since) && e.holds(ev) {
			seen[ev.Type] += e.weight(ev)
		}
	}
	for typ, n := range seen {
		if min, asked := f.Template.Requires(typ); asked && n >= min {
			return true
		}
	}
	return false
}

// onlyListed reports whether all that the finding must see was found in a
// listing.
func onlyListed(f *diagnosis.Finding) bool {
	return !slices.ContainsFunc(f.Evidence, func(ev *tapio.Event) bool {
		return f.Asked(ev) && !ev.Listed
	})
}

// starting reports whether the finding rests on pods alone that may be slow to
// start: each is ready by now, gone, or within its grace.
func (e *Engine) starting(f *diagnosis.Finding) bool {
	grace := e.grace(f.Template)
	if grace == 0 {
		return false
	}
	for _, ev := range f.Evidence {
		if f.Asked(ev) && e.outlasts(ev, grace) {
			return false
		}
	}
	return true
}

// recovered reports whether the finding counts ends of containers, and too few
// are left without those of containers that ended once and are ready since, or
// whose pod is gone: starts that took two tries are no loop.
func (e *Engine) recovered(f *diagnosis.Finding) bool {
	min, asked := f.Template.Requires(tapio.ContainerExit)
	if !asked || min < 2 || len(f.Evidence) == 0 {
		return false
	}
	ends := map[tapio.Entity]int{}
	for _, ev := range f.Evidence {
		if !f.Asked(ev) {
			continue
		}
		if ev.Type != tapio.ContainerExit {
			return false // it rests on more
		}
		ends[ev.Entity] += e.weight(ev)
	}
	left := 0
	for container, n := range ends {
		s := e.graph.State(container)
		if n >= 2 || e.graph.Exists(container) && s.Pod != nil && !s.Pod.Ready {
			left += n
		}
	}
	return left < min
}

// outlasts reports whether the event is about more than a pod's start or end:
// its pod is there to stay, not ready, and past its grace.
func (e *Engine) outlasts(ev *tapio.Event, grace time.Duration) bool {
	if ev.Entity.Kind != tapio.KindPod {
		return true
	}
	s := e.graph.State(ev.Entity)
	if !e.graph.Exists(ev.Entity) || s.Pod == nil {
		return false
	}
	if ev.Type == tapio.AppError && (ev.Attrs[tapio.AttrRecurring] == "true" || restarted(s)) {
		return true
	}
	return !s.Pod.Ready && !s.Pod.Terminating && !e.graph.Starting(ev.Entity, e.now, grace)
}

// restarted reports whether a container of the pod failed twice or more: that
// is no slow start.
func restarted(pod *tapio.State) bool {
	return slices.ContainsFunc(pod.Pod.Containers, func(c tapio.ContainerState) bool {
		return c.Restarts >= 2 || c.Restarts == 1 && c.Reason == "CrashLoopBackOff"
	})
}

// evidenceIDs names the cited evidence of what the finding must see.
func (inc *incident) evidenceIDs(f *diagnosis.Finding) []string {
	var out []string
	for _, ev := range f.Evidence {
		if f.Asked(ev) && inc.cited[ev.ID] && len(out) < 10 {
			out = append(out, ev.ID)
		}
	}
	return out
}
