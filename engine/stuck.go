package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
)

// stuckAfter is how long a pod that has its node may take to become ready for
// the first time before that is told although nobody reports a failure: as long
// as a Deployment gives its rollouts by default (progressDeadlineSeconds).
const stuckAfter = 10 * time.Minute

// noteStart notes when a pod should be ready, or that it need not be watched
// any more.
func (e *Engine) noteStart(s *tapio.State) {
	p := s.Pod
	if s.Deleted || p == nil || !p.Scheduled && p.Node == "" || p.Ready || p.Terminating || p.Phase == "Succeeded" || p.Phase == "Failed" ||
		s.Owner.Kind == tapio.KindJob || e.graph.WasReady(s.Entity) {
		delete(e.unstarted, s.Entity)
		return
	}
	e.unstarted[s.Entity] = s.Created.Add(stuckAfter)
}

// checkStarts derives an event of each pod that should be ready by now.
func (e *Engine) checkStarts(now time.Time) []tapio.Story {
	var due []tapio.Entity
	for pod, at := range e.unstarted {
		if !at.After(now) {
			due = append(due, pod)
		}
	}
	slices.SortFunc(due, tapio.Entity.Compare)
	var out []tapio.Story
	for _, pod := range due {
		delete(e.unstarted, pod)
		if ev := e.stuck(pod); ev != nil {
			out = append(out, e.observeEvent(ev)...)
		}
	}
	return out
}

// stuck says how far the pod got: which container it waits for.
func (e *Engine) stuck(pod tapio.Entity) *tapio.Event {
	s := e.graph.State(pod)
	if !e.graph.Exists(pod) || s.Pod == nil {
		return nil
	}
	ev := &tapio.Event{
		Time: s.Created, Seen: e.now, Source: tapio.SourceKubernetes, Type: tapio.PodStuck, Severity: tapio.SeverityMedium,
		Entity: pod, Listed: s.Listed, Attrs: map[string]string{tapio.AttrUID: s.UID, tapio.AttrNode: s.Pod.Node},
	}
	for _, c := range s.Pod.Containers {
		switch {
		case c.Ready, c.State == "terminated" && c.ExitCode == 0:
			continue
		case c.Init && !c.Sidecar && c.State == "running":
			ev.Reason, ev.Message = "InitRunning", fmt.Sprintf("init container %s runs and has not finished, and the others wait for it", c.Name)
		case c.State == "waiting" && (c.Reason == "ContainerCreating" || c.Reason == "PodInitializing" || c.Reason == ""):
			ev.Reason, ev.Message = "Creating", fmt.Sprintf("container %s has not been created, and nobody says why; a slow image pull or volume shows no more than that", c.Name)
		case c.State == "running":
			ev.Reason, ev.Message = "NeverReady", fmt.Sprintf("container %s runs and has never been ready", c.Name)
		default:
			return nil // it says itself what it waits for
		}
		ev.Entity.Container = c.Name
		if p := e.pulls[ev.Entity]; p != nil && p.said {
			return nil // that is what it waits for
		}
		ev.SetID()
		return ev
	}
	return nil
}
