package engine

import (
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// triggerSlack is how much later than the onset a change may be dated and
// still precede it: Kubernetes dates objects to the second.
const triggerSlack = 2 * time.Second

// findTrigger looks for the change that preceded the onset: the last one on
// what the incident is about, within the deployment window.
func (e *Engine) findTrigger(inc *incident) {
	var best *tapio.Event
	for _, entity := range append(e.concerned(inc), e.editedNodes(inc)...) {
		for _, ev := range e.recent[entity] {
			if !e.couldTrigger(inc, ev) {
				continue
			}
			if best == nil || ev.Time.After(best.Time) || ev.Time.Equal(best.Time) && len(ev.Changes) > len(best.Changes) {
				best = ev
			}
		}
	}
	if best == nil || inc.trigger != nil && inc.trigger.Evidence == best.ID {
		return
	}
	late := inc.trigger == nil && inc.status == tapio.StatusOpen && !inc.emitted.IsZero()
	inc.trigger = &tapio.Trigger{
		Evidence: best.ID, Type: best.Type, Entity: best.Entity, Time: best.Time,
		Manager: best.Attrs[tapio.AttrManager], Revision: best.Attrs[tapio.AttrRevision],
		From: best.Attrs[tapio.AttrFromRevision], Changes: best.Changes,
	}
	e.record(inc, best, tapio.RoleTrigger)
	if late {
		inc.addNews(tapio.News{Kind: tapio.NewsTrigger, Time: best.Time, Now: string(best.Type), Evidence: []string{best.ID}})
	}
}

func (e *Engine) couldTrigger(inc *incident, ev *tapio.Event) bool {
	if ev.Time.After(inc.onset.Add(triggerSlack)) || ev.Time.Before(inc.onset.Add(-deploymentWindow)) {
		return false
	}
	if inc.chosen != nil && inc.chosen.Template.Cause == tapio.CausePreempted {
		// What changed of the pods that had to go did not send them away.
		return ev.Entity != inc.subject && ev.Entity == e.graph.Workload(inc.chosen.CauseEntity) && (ev.Type == tapio.WorkloadRollout || ev.Type == tapio.WorkloadScaled)
	}
	switch ev.Type {
	case tapio.WorkloadRollout:
		return inc.subject.Kind != tapio.KindNode && e.madeFailing(inc, ev) && !(ev.Reason == "Created" && e.workedSince(inc, ev))
	case tapio.WorkloadScaled, tapio.ConfigChanged:
		return inc.subject.Kind != tapio.KindNode
	case tapio.ServiceChanged, tapio.QuotaChanged, tapio.PolicyChanged, tapio.RouteChanged:
		return ev.Entity == inc.subject || inc.chosen != nil && ev.Entity == inc.chosen.CauseEntity
	case tapio.NodeCordoned:
		return ev.Entity == inc.subject || inc.chosen != nil && ev.Entity == inc.chosen.CauseEntity
	case tapio.NodeChanged:
		return e.keptAway(inc, ev)
	}
	return false
}

// editedNodes names the nodes that were edited lately, where the incident is
// about pods that find no node.
func (e *Engine) editedNodes(inc *incident) []tapio.Entity {
	if inc.chosen == nil || !strings.HasPrefix(string(inc.chosen.Template.Cause), "sched.") {
		return nil
	}
	var out []tapio.Entity
	for entity, list := range e.recent {
		if entity.Kind == tapio.KindNode && slices.ContainsFunc(list, func(ev *tapio.Event) bool { return ev.Type == tapio.NodeChanged }) {
			out = append(out, entity)
		}
	}
	slices.SortFunc(out, tapio.Entity.Compare)
	return out
}

// keptAway reports whether the edit of a node is one that keeps the incident's
// pods away: a taint where that is the cause, or a label that they ask for.
func (e *Engine) keptAway(inc *incident, ev *tapio.Event) bool {
	if inc.chosen == nil {
		return false
	}
	switch inc.chosen.Template.Cause {
	case tapio.CauseTaint:
		return slices.ContainsFunc(ev.Changes, func(c tapio.Change) bool { return strings.HasPrefix(c.Field, "taints[") && c.To != "" })
	case tapio.CauseNodeAffinity, tapio.CauseVolumeZone, tapio.CauseTopologySpread, tapio.CausePodAffinity:
		asked := map[string]bool{}
		for _, x := range inc.chosen.Evidence {
			s := e.graph.State(x.Entity)
			if s == nil || s.Pod == nil || s.Pod.Placement == nil {
				continue
			}
			for key := range s.Pod.Placement.NodeSelector {
				asked[key] = true
			}
			for _, t := range s.Pod.Placement.NodeTerms {
				for _, r := range t.Labels {
					asked[r.Key] = true
				}
			}
			for _, r := range s.Pod.Placement.Spread {
				asked[r.TopologyKey] = true
			}
		}
		return slices.ContainsFunc(ev.Changes, func(c tapio.Change) bool {
			key, ok := strings.CutPrefix(strings.TrimSuffix(c.Field, "]"), "labels[")
			return ok && asked[key]
		})
	}
	return false
}

// workedSince reports whether all of a new workload's pods were available
// between its creation and the onset: then its creation broke nothing.
func (e *Engine) workedSince(inc *incident, ev *tapio.Event) bool {
	for _, later := range e.recent[ev.Entity] {
		if later.Type == tapio.WorkloadAvailable && !later.Time.Before(ev.Time) && later.Time.Before(inc.onset) {
			return true
		}
	}
	return false
}

// madeFailing reports whether the rollout made pods that fail. Where pods of an
// older revision fail as well, or alone, the rollout is not what broke them.
func (e *Engine) madeFailing(inc *incident, ev *tapio.Event) bool {
	hash := ev.Attrs[tapio.AttrTemplateHash]
	if hash == "" {
		return true
	}
	older, own := false, false
	for _, f := range inc.findings {
		for _, x := range f.Evidence {
			s := e.graph.State(x.Entity)
			if !f.Asked(x) || s == nil || s.Pod == nil || s.Pod.TemplateHash == "" || e.graph.Workload(x.Entity) != ev.Entity {
				continue
			}
			if s.Pod.TemplateHash == hash {
				own = true
			} else {
				older = true
			}
		}
	}
	return own || !older
}
