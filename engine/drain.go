package engine

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/placement"
)

// drainPatience is how long a cordoned node may keep pods that can't be evicted
// before that is a failure: longer than a replacement takes to become ready.
const drainPatience = 5 * time.Minute

// drain is a cordoned node: since when, whether something was seen to empty it,
// and when to look next.
type drain struct {
	since  time.Time
	going  bool
	at     time.Time
	listed bool
}

// noteDrain follows what cordons and empties nodes.
func (e *Engine) noteDrain(ev *tapio.Event) {
	switch {
	case ev.Type == tapio.PodDeleted:
		node := ev.Attrs[tapio.AttrNode]
		e.emptied[node] = maxTime(e.emptied[node], ev.Time)
		if d := e.drains[node]; d != nil && ev.Time.After(d.since) {
			d.going = true
		}
	case ev.Type == tapio.KubernetesEvent && budgetRefusal.MatchString(ev.Message):
		node := ev.Entity.Name
		if ev.Entity.Kind == tapio.KindPod {
			node = e.graph.Node(ev.Entity).Name
		}
		if d := e.drains[node]; d != nil {
			d.going = true
		}
	}
}

var budgetRefusal = regexp.MustCompile(`(?i)disruption budget|pdb .*prevents|eviction .*blocked`)

// noteCordon begins and ends a drain as a node's state tells.
func (e *Engine) noteCordon(s *tapio.State) {
	name := s.Entity.Name
	if s.Deleted || s.Node == nil || !s.Node.Unschedulable {
		delete(e.drains, name)
		delete(e.emptied, name)
		return
	}
	if e.drains[name] != nil {
		return
	}
	since := s.Node.CordonedSince
	if c := e.lastChange(s.Entity, tapio.NodeCordoned); c != nil && since.IsZero() {
		since = c.Time
	} else if since.IsZero() {
		since = e.now
	}
	// The news of a pod's end may have overtaken that of the cordon.
	going := e.emptied[name].After(since)
	e.drains[name] = &drain{since: since, going: going, at: e.now.Add(drainPatience), listed: s.Listed}
}

// checkDrains looks at cordoned nodes whose pods should have left by now.
func (e *Engine) checkDrains(now time.Time) []tapio.Story {
	var due []string
	for name, d := range e.drains {
		if !d.at.After(now) {
			due = append(due, name)
		}
	}
	slices.Sort(due)
	var out []tapio.Story
	for _, name := range due {
		d := e.drains[name]
		d.at = e.now.Add(time.Minute)
		if !d.going {
			continue // a cordon alone asks no pod to leave
		}
		for _, s := range e.stuckOn(name) {
			budget := e.budgetOf(s)
			b := budget.Budget
			o := obstacle{
				reason: "BudgetBlocks", kind: tapio.KindPDB, object: budget.Entity.Name,
				detail: fmt.Sprintf("it wants %d healthy pods of %d, and %d are healthy", b.Wanted, b.Expected, b.Healthy),
			}
			from := &tapio.Event{Time: d.since, Source: tapio.SourceKubernetes, Listed: d.listed, Attrs: map[string]string{tapio.AttrNode: name}}
			out = append(out, e.derive(tapio.DrainBlocked, s.Entity, from, o)...)
		}
	}
	return out
}

// stuckOn returns the pods that a budget keeps on a node, if nothing else is
// left there that a drain would take away.
func (e *Engine) stuckOn(node string) []*tapio.State {
	var out []*tapio.State
	for _, p := range e.graph.PodsOn(node) {
		switch {
		case p.Pod.Terminating, p.Pod.Phase == "Succeeded", p.Pod.Phase == "Failed":
		case p.Owner.Kind == tapio.KindDaemonSet, p.Owner.Kind == tapio.KindNode: // a drain leaves them
		case e.budgetOf(p) == nil:
			return nil // the drain is still at work, or is none
		default:
			out = append(out, p)
		}
	}
	return out
}

// budgetOf returns the budget that forbids to evict the pod now, or nil.
func (e *Engine) budgetOf(p *tapio.State) *tapio.State {
	for _, b := range e.graph.All(tapio.KindPDB, p.Entity.Namespace) {
		if b.Budget != nil && b.Budget.Allowed == 0 && placement.Matches(&tapio.LabelSelector{Labels: b.Budget.Selector, Expressions: b.Budget.Expressions}, p.Labels) {
			return b
		}
	}
	return nil
}

// blocksDrain reports whether the budget still keeps a pod on a cordoned node.
func (e *Engine) blocksDrain(budget tapio.Entity) bool {
	for name, d := range e.drains {
		if !d.going {
			continue
		}
		for _, p := range e.stuckOn(name) {
			if b := e.budgetOf(p); b != nil && b.Entity == budget {
				return true
			}
		}
	}
	return false
}

// lasting reports whether the object at fault is still at fault, where the
// health of what it hurts does not tell.
func (e *Engine) lasting(inc *incident) bool {
	cause := inc.chosen.CauseEntity.Object()
	for _, ev := range inc.chosen.Evidence {
		if s := e.graph.State(ev.Entity); ev.Type == tapio.WorkloadUnattended && s != nil && e.outOfRange(s) {
			return true // an autoscaler that stands still
		}
	}
	switch cause.Kind {
	case tapio.KindPDB:
		return inc.chosen.Template.Cause == tapio.CauseBudgetBlocksDrain && e.blocksDrain(cause)
	case tapio.KindHPA:
		s := e.graph.State(cause)
		return inc.chosen.Template.Cause == tapio.CauseNoMetrics && e.graph.Exists(cause) && s.Scaler != nil && slices.ContainsFunc(s.Scaler.Conditions, func(c tapio.Condition) bool {
			return c.Status == "False" && c.Type == "ScalingActive" && strings.HasPrefix(c.Reason, "FailedGet") || c.Status == "False" && c.Type == "ScalingActive" && c.Reason == "InvalidMetricSourceType"
		})
	case tapio.KindCronJob:
		s := e.graph.State(cause)
		if !strings.HasPrefix(string(inc.chosen.Template.Cause), "cronjob.") || !e.graph.Exists(cause) || s.Workload == nil || s.Workload.Paused {
			return false
		}
		if inc.chosen.Template.Cause == tapio.CauseCronJobMissed && s.Workload.LastSchedule.After(inc.chosen.Last) {
			return false // it runs again
		}
		return e.now.Sub(inc.chosen.Last) < cronMemory
	}
	return false
}

// stuckJob reports whether a Job that is not over can't get on with it: its pod
// is refused, finds no place or can't start. A try that failed is no such thing.
func (e *Engine) stuckJob(inc *incident) bool {
	if !e.graph.Unfinished(inc.subject) {
		return false
	}
	for _, ev := range inc.chosen.Evidence {
		if _, asked := inc.chosen.Template.Requires(ev.Type); !asked || !e.holds(ev) {
			continue
		}
		switch ev.Type {
		case tapio.PodBlocked, tapio.PodUnschedulable, tapio.PodsRefused, tapio.ReplicaFailure:
			return true
		case tapio.ContainerWaiting:
			return ev.Reason != "CrashLoopBackOff"
		case tapio.KubernetesEvent:
			return ev.Reason == "FailedCreate"
		}
	}
	return false
}

// jobPatience is how long a Job may wait for a place or an image before that is
// told: batch work is made to wait.
const jobPatience = 5 * time.Minute

// cronMemory is how long a schedule that was missed or can't be read counts as
// failing when nothing is heard of it: Kubernetes keeps the event that long.
const cronMemory = time.Hour
