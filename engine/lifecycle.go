package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// evaluate looks at every live incident at one moment.
func (e *Engine) evaluate(at time.Time) []tapio.Story {
	out := e.checkEarly(at)
	out = append(out, e.checkServices(at)...)
	out = append(out, e.checkBlocked(at)...)
	out = append(out, e.checkDrains(at)...)
	out = append(out, e.checkStarts(at)...)
	out = append(out, e.checkPulls(at)...)
	out = append(out, e.crossCheck(at)...)
	out = append(out, e.checkControl(at, false)...)
	out = append(out, e.reconcile(false)...)
	keep := e.live[:0:0]
	for _, inc := range e.live {
		revisions, alive := e.step(inc, at)
		out = append(out, revisions...)
		if alive {
			keep = append(keep, inc)
		}
	}
	e.live = keep
	return out
}

// step moves one incident on. It reports whether it is still to be kept.
func (e *Engine) step(inc *incident, at time.Time) ([]tapio.Story, bool) {
	if p := inc.absorbedInto; p != nil {
		// It lives as long as what absorbed it.
		return nil, slices.Contains(e.live, p)
	}
	switch inc.status {
	case tapio.StatusSuspected:
		return e.suspect(inc, at)
	case tapio.StatusOpen:
		return e.watch(inc, at), true
	default: // resolved
		if at.Sub(inc.resolved) > e.opts.Reopen {
			return nil, false
		}
		return nil, true
	}
}

// suspect opens an incident that has lasted for its hold time, and drops one
// that has been well for the quiet time. A pod that may still be starting opens
// none, and is not well either.
func (e *Engine) suspect(inc *incident, at time.Time) ([]tapio.Story, bool) {
	if e.failing(inc, true) {
		inc.lastBad = maxTime(inc.lastBad, at)
	}
	if !e.failing(inc, false) {
		if at.Sub(inc.lastBad) >= e.quiet(inc) && !e.graph.Unfinished(inc.subject) {
			for _, f := range inc.findings {
				e.matcher.DropFinding(f)
			}
			return nil, false
		}
		return nil, true
	}
	e.measure(inc)
	hold := time.Duration(inc.chosen.Template.Hold)
	if e.blindTo(inc) {
		inc.found = at // held back anew once it can be seen
	}
	if e.stuckJob(inc) {
		hold = max(hold, jobPatience)
	}
	if at.Sub(inc.found) < hold || at.Before(inc.patience) || inc.unheard(at) {
		return nil, true
	}
	if e.diagnose(inc); e.moot(inc) {
		return nil, true
	}
	if _, ignored := e.graph.Owner(inc.subject); ignored || e.graph.Going(inc.subject) {
		e.matcher.Drop(inc.subject)
		return nil, false
	}
	e.open(inc)
	return []tapio.Story{e.revise(inc)}, true
}

func (e *Engine) open(inc *incident) {
	inc.status = tapio.StatusOpen
	inc.opened = e.now
	inc.well = time.Time{}
	e.citeAll(inc)
	if inc.last.ID == "" {
		inc.last.ID = e.storyID(inc)
		if past := e.past[inc.subject]; len(past) > 0 {
			inc.follows = past[len(past)-1].id
		}
		for _, g := range e.gaps {
			if g.To.After(inc.onset) {
				inc.addGap(g)
			}
		}
	}
	e.gather(inc)
	e.findTrigger(inc)
	e.measure(inc)
	inc.announced = inc.scope
	inc.addNews(tapio.News{Kind: tapio.NewsOpened, Time: inc.onset, Now: string(inc.chosen.Template.Cause), Evidence: inc.evidenceIDs(inc.chosen)})
}

// watch keeps an open story true, and ends it when all has been well for the
// quiet time.
func (e *Engine) watch(inc *incident, at time.Time) []tapio.Story {
	e.diagnose(inc)
	e.measure(inc)
	if inc.trigger == nil {
		e.findTrigger(inc)
	}
	switch {
	case e.failing(inc, true):
		inc.well = time.Time{}
		inc.lastBad = maxTime(inc.lastBad, at)
	case e.restoring(inc, at):
		// Not everything has been listed again since the restart.
	case e.blindTo(inc):
		inc.well = time.Time{} // nothing can be seen of it now
	case inc.well.IsZero():
		inc.well = at
	case at.Sub(inc.well) >= e.quiet(inc) && at.Sub(e.lastFailure(inc)) >= e.quiet(inc):
		return []tapio.Story{e.resolve(inc, at)}
	}
	if len(inc.news) > 0 || inc.severity != inc.last.Severity || inc.fresh && at.Sub(inc.emitted) >= growthInterval {
		return []tapio.Story{e.revise(inc)}
	}
	return nil
}

// restoring reports whether the engine was restarted so lately that what it
// does not know of may not have been listed yet.
func (e *Engine) restoring(inc *incident, at time.Time) bool {
	if e.restored.IsZero() || at.Sub(e.restored) > 2*time.Minute {
		return false
	}
	for entity := range inc.affected {
		if e.graph.State(entity) == nil {
			return true
		}
	}
	return false
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (e *Engine) resolve(inc *incident, at time.Time) tapio.Story {
	inc.status = tapio.StatusResolved
	inc.resolved = inc.well
	inc.scope.PodsWanted = max(inc.scope.PodsWanted, inc.wanted) // "at worst 3 of 4", also where fewer are wanted now
	e.gather(inc)
	e.tellMeanwhile(inc)
	inc.addNews(tapio.News{Kind: tapio.NewsResolved, Time: inc.well, Was: downText(inc.worst()), Now: downText(inc.scope)})
	e.past[inc.subject] = append(e.past[inc.subject], pastStory{inc.last.ID, inc.chosen.Template.Cause, at})
	if n := len(e.past[inc.subject]); n > 10 {
		e.past[inc.subject] = e.past[inc.subject][n-10:]
	}
	s := e.revise(inc)
	// What matched so far is told. What comes now begins anew.
	for _, f := range inc.findings {
		e.matcher.Drop(f.Subject)
	}
	clear(inc.findings)
	return s
}

func (inc *incident) worst() tapio.Scope {
	s := inc.scope
	s.PodsDown, s.ServicesDown = s.WorstDown, s.WorstSvcDown
	return s
}

// reopen takes a resolved story up again in place.
func (e *Engine) reopen(inc *incident) {
	was := inc.resolved
	inc.resolved = time.Time{}
	inc.status = tapio.StatusOpen
	inc.well = time.Time{}
	e.gather(inc)
	e.measure(inc)
	inc.announced = inc.scope
	inc.addNews(tapio.News{Kind: tapio.NewsReopened, Time: e.now, Was: was.UTC().Format("15:04"), Now: string(inc.chosen.Template.Cause), Evidence: inc.evidenceIDs(inc.chosen)})
}

// reconcile reopens what fails again and moves stories under the deeper cause
// that explains them.
func (e *Engine) reconcile(flush bool) []tapio.Story {
	var out []tapio.Story
	for _, inc := range e.live {
		if inc.status == tapio.StatusResolved && inc.absorbedInto == nil && inc.fresh && inc.lastBad.After(inc.resolved) &&
			e.failing(inc, false) && e.now.Sub(inc.found) >= time.Duration(inc.chosen.Template.Hold) {
			e.reopen(inc)
			out = append(out, e.revise(inc))
		}
	}
	e.spreadAll()
	for _, child := range e.live {
		if child.absorbedInto != nil || child.status == tapio.StatusResolved {
			continue
		}
		for _, parent := range e.live {
			if parent == child || parent.absorbedInto != nil || parent.status == tapio.StatusResolved || !e.explains(parent, child) {
				continue
			}
			if child.status == tapio.StatusOpen && parent.status == tapio.StatusSuspected && !flush {
				break // its thread can only point to a story that is told
			}
			if parent.status == tapio.StatusSuspected && flush {
				e.open(parent)
			}
			out = append(out, e.absorb(parent, child)...)
			break
		}
	}
	return out
}

// absorb moves the child's objects and lines under the parent.
func (e *Engine) absorb(parent, child *incident) []tapio.Story {
	e.citeAll(child)
	for entity := range child.affected {
		parent.affected[entity] = true
	}
	ofNode := parent.subject.Kind == tapio.KindNode
	for p := range child.pods {
		namespace, name, _ := strings.Cut(p, "/")
		on := e.graph.Node(tapio.Entity{Kind: tapio.KindPod, Namespace: namespace, Name: name})
		if len(parent.pods) < maxPods && !(ofNode && !on.IsZero() && on != parent.subject) {
			parent.pods[p] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(child.findings)) {
		f := child.findings[id]
		for _, ev := range f.Evidence {
			if !ofNode || !e.ofAnother(parent.subject, ev) {
				e.record(parent, ev, tapio.RoleEffect)
			}
		}
		if ofNode {
			e.spread(f)
		}
	}
	parent.fresh = true
	child.absorbedInto = parent
	var out []tapio.Story
	if child.status == tapio.StatusOpen {
		child.status = tapio.StatusAbsorbed
		parent.absorbed = append(parent.absorbed, child.last.ID)
		child.addNews(tapio.News{Kind: tapio.NewsAbsorbed, Time: e.now, Now: parent.last.ID})
		parent.addNews(tapio.News{Kind: tapio.NewsAbsorbs, Time: e.now, Was: child.last.ID, Now: child.subject.String()})
		out = append(out, e.revise(child))
	}
	if parent.status == tapio.StatusOpen {
		e.measure(parent)
		if len(parent.news) > 0 {
			out = append(out, e.revise(parent))
		}
	}
	return out
}

// measure counts who is hurt now and tells when it doubled or got worse.
func (e *Engine) measure(inc *incident) {
	var s tapio.Scope
	s.WorstDown, s.WorstSvcDown = inc.scope.WorstDown, inc.scope.WorstSvcDown
	services := map[tapio.Entity]bool{}
	for entity := range inc.affected {
		// A pod that was heard of before it was seen has its workload by now.
		if w := e.graph.Workload(entity); entity.Kind == tapio.KindPod && w != entity {
			delete(inc.affected, entity)
			inc.affected[w] = true
		}
	}
	for entity := range inc.affected {
		switch {
		case entity.Kind == tapio.KindComponent:
		case entity.Kind == tapio.KindNode:
			if entity == inc.subject {
				h := e.graph.Health(entity)
				s.PodsDown += h.Down
				s.PodsWanted += h.Wanted
			}
		case entity.Kind == tapio.KindService:
			services[entity] = true
			if inc.subject == entity {
				for _, p := range e.graph.Selected(entity) {
					h := e.graph.Health(p.Entity)
					s.PodsDown += h.Down
					s.PodsWanted += h.Wanted
				}
			}
		default:
			s.Workloads++
			for _, svc := range e.graph.ServicesOf(entity) {
				services[svc] = true
			}
			if inc.subject.Kind != tapio.KindNode && inc.subject.Kind != tapio.KindService {
				h := e.graph.Health(entity)
				s.PodsDown += h.Down
				s.PodsWanted += h.Wanted
			}
		}
	}
	for svc := range services {
		if e.graph.Exists(svc) && !e.graph.Health(svc).Healthy {
			s.ServicesDown++
		}
	}
	if s.PodsDown > s.WorstDown {
		s.WorstDown, inc.wanted = s.PodsDown, s.PodsWanted
	}
	s.WorstSvcDown = max(s.WorstSvcDown, s.ServicesDown)
	if inc.scope == s {
		return
	}
	inc.scope = s
	inc.fresh = true
	if inc.status != tapio.StatusOpen {
		return
	}
	// In its first moments a story still finds out how bad it is: the root
	// message says so, and no reply.
	young := e.now.Sub(inc.opened) < scopeSettle
	if young {
		inc.announced = s
	}
	told := inc.announced
	if s.WorstDown >= 2*max(1, told.WorstDown) || s.Workloads >= 2*max(1, told.Workloads) || s.WorstSvcDown > 0 && told.WorstSvcDown == 0 {
		inc.addNews(tapio.News{Kind: tapio.NewsScope, Time: e.now, Was: downText(told), Now: downText(s)})
		inc.announced = s
	}
	if sev := e.severityOf(inc); inc.severity != "" && sev.Level() < inc.severity.Level() {
		if !young {
			inc.addNews(tapio.News{Kind: tapio.NewsSeverity, Time: e.now, Was: string(inc.severity), Now: string(sev)})
		}
		inc.severity = sev
	}
}

// severityOf is the template's severity, one step lower while everything that
// is wanted still runs, and at least high where nobody answers any more. A
// story's severity never falls: its thread shows the worst.
func (e *Engine) severityOf(inc *incident) tapio.Severity {
	sev := inc.chosen.Template.DefaultSeverity
	s := inc.scope
	switch {
	case inc.subject.Kind == tapio.KindNode:
	case s.WorstSvcDown > 0:
		sev = worse(tapio.SeverityHigh, sev)
	case s.WorstDown == 0 && sev == tapio.SeverityHigh:
		sev = tapio.SeverityMedium
	case s.WorstDown == 0 && sev == tapio.SeverityCritical:
		sev = tapio.SeverityHigh
	}
	return worse(inc.severity, sev)
}

// Restore takes in what an earlier run told: open stories go on, lately
// resolved ones can be reopened, older ones are remembered as what came before.
// It must be called before the first observation.
func (e *Engine) Restore(stories []tapio.Story) error {
	if !e.now.IsZero() {
		return fmt.Errorf("engine: restore after the first observation")
	}
	slices.SortFunc(stories, func(a, b tapio.Story) int { return cmp.Or(a.Updated.Compare(b.Updated), cmp.Compare(a.ID, b.ID)) })
	for _, s := range stories {
		if s.Status == tapio.StatusResolved {
			e.past[s.Subject] = append(e.past[s.Subject], pastStory{s.ID, s.Cause, s.Resolved})
		}
		if s.Status == tapio.StatusOpen || s.Status == tapio.StatusResolved {
			e.revive(s)
		}
	}
	return nil
}
