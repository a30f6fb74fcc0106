package engine

import (
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/diagnosis"
)

// exitMemory is how long the end of a run says something about a container
// that has run since.
const exitMemory = 10 * time.Minute

// isOld reports whether an event that was found in a listing is about another
// object than the one that bears the name now: one of an earlier experiment,
// or the pod that a StatefulSet has replaced since. The events of a static pod
// bear a UID of their own.
func (e *Engine) isOld(ev *tapio.Event) bool {
	if !ev.Listed {
		return false
	}
	s := e.graph.State(ev.Entity)
	if s == nil || s.Owner.Kind == tapio.KindNode {
		return false
	}
	uid := ev.Attrs[tapio.AttrUID]
	if uid != "" && s.UID != "" && uid != s.UID {
		return true
	}
	return !s.Created.IsZero() && s.Pod != nil && ev.Time.Before(s.Created.Add(-time.Minute))
}

// weight is how many failures one exit stands for. A pod that is not started
// again fails with its first, and that of a Job may be deleted before its second
// is seen; whether a Job's tries matter the Job itself says. A listing shows the
// last exit only, and the number of restarts tells of the others.
func (e *Engine) weight(ev *tapio.Event) int {
	if ev.Type != tapio.ContainerExit {
		return 1
	}
	if s := e.graph.State(ev.Entity); s != nil && s.Pod != nil {
		if s.Pod.RestartPolicy == "Never" || s.Owner.Kind == tapio.KindJob {
			return 2
		}
		// The kubelet begins to back off when a container fails the second time.
		if c := containerNamed(s.Pod, ev.Entity.Container); ev.Listed && c != nil && c.Reason == "CrashLoopBackOff" {
			return 2
		}
	}
	if ev.Listed && ev.Int(tapio.AttrRestarts) >= 2 {
		return 2
	}
	return 1
}

// passed reports whether everything the finding must see is over: the pod has
// its node, the volume is mounted, the controller makes its pods again.
func (e *Engine) passed(f *diagnosis.Finding) bool {
	for _, ev := range f.Evidence {
		if f.Asked(ev) && e.holds(ev) {
			return false
		}
	}
	return true
}

// gotPast is what speaks against a finding that is over.
const gotPast = "no longer so: what it rests on is over"

// slowStart is what speaks against a finding that only pods gave rise to which
// start, or end, as they should.
const slowStart = "its pods are ready, or still starting"

// onTheWay reports whether the finding rests on what keeps a pod from being
// made, placed or given its volumes. Once the pod is past that, it says nothing
// about why it fails.
func onTheWay(f *diagnosis.Finding) bool {
	for _, ev := range f.Evidence {
		if !f.Asked(ev) {
			continue
		}
		switch ev.Type {
		case tapio.ReplicaFailure, tapio.PodsRefused, tapio.PodBlocked, tapio.PodUnschedulable:
		case tapio.KubernetesEvent:
			switch ev.Reason {
			case "FailedCreate", "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedScheduling":
			default:
				return false
			}
		default:
			return false
		}
	}
	return true
}

// moot reports whether the incident's cause is over, although something still
// fails: what is told must wait for a better one.
func (e *Engine) moot(inc *incident) bool {
	against := inc.against[inc.chosen]
	return against == gotPast && (onTheWay(inc.chosen) || onlyListed(inc.chosen)) || against == slowStart
}

// holds reports whether what the event says may still be so.
func (e *Engine) holds(ev *tapio.Event) bool {
	s := e.graph.State(ev.Entity)
	switch ev.Entity.Kind {
	case tapio.KindPod:
		if endsPod(ev) {
			return true // that the pod is gone is what it says
		}
		return e.graph.Exists(ev.Entity) && s.Pod != nil && e.holdsOfPod(ev, s.Pod)
	case tapio.KindPersistentVolumeClaim:
		return s == nil || s.Claim == nil || s.Claim.Phase != "Bound" || ev.Type != tapio.KubernetesEvent
	case tapio.KindComponent:
		return s == nil || s.Component == nil || problemOf(s.Component, ev) != nil
	case tapio.KindNode:
		if ev.Type == tapio.NodeNotReady && ev.Listed {
			return s == nil || s.Node == nil || s.Node.Ready != "True"
		}
	}
	if ev.Type == tapio.KubernetesEvent && ev.Reason == "FailedCreate" || ev.Type == tapio.ReplicaFailure || ev.Type == tapio.PodsRefused {
		return s == nil || s.Workload == nil || !e.graph.Exists(ev.Entity) || s.Workload.ReplicaFailure != "" || s.Workload.Replicas.Current < s.Workload.Replicas.Desired
	}
	return true
}

// endsPod reports whether the event tells of what took the pod away.
func endsPod(ev *tapio.Event) bool {
	switch ev.Type {
	case tapio.PodEvicted, tapio.PodFailed:
		return true
	case tapio.KubernetesEvent:
		return ev.Reason == "Preempted" || ev.Reason == "Evicted" || ev.Reason == "TaintManagerEviction"
	}
	return false
}

// holdsOfPod is holds for the event of a pod that exists.
func (e *Engine) holdsOfPod(ev *tapio.Event, p *tapio.PodState) bool {
	c := containerNamed(p, ev.Entity.Container)
	switch ev.Type {
	case tapio.PodUnschedulable:
		return !p.Scheduled
	case tapio.PodBlocked:
		return !p.Scheduled || !hasStarted(p)
	case tapio.PodNotReady, tapio.PodStuck:
		return !p.Ready
	case tapio.ContainerWaiting, tapio.ImagePullSlow:
		return c == nil || c.State == "waiting"
	case tapio.ContainerExit:
		if c == nil || c.State != "running" {
			return true
		}
		run := time.Duration(0)
		if started, err := time.Parse(time.RFC3339, ev.Attrs[tapio.AttrStartedAt]); err == nil {
			run = ev.Time.Sub(started)
		}
		return e.now.Sub(ev.Time) <= max(exitMemory, 2*run)
	case tapio.KubernetesEvent:
		return e.eventHolds(ev, p, c)
	}
	return true
}

// eventHolds is holdsOfPod for a Kubernetes Event, of the named container
// where it names one.
func (e *Engine) eventHolds(ev *tapio.Event, p *tapio.PodState, c *tapio.ContainerState) bool {
	switch ev.Reason {
	case "FailedScheduling":
		return !p.Scheduled
	case "Unhealthy":
		return !p.Ready || e.now.Sub(ev.Time) <= exitMemory
	case "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox", "NetworkNotReady":
		for _, c := range p.Containers {
			if c.State == "running" || c.State == "terminated" && c.Since.After(ev.Time) {
				return false
			}
		}
	case "Failed", "InspectFailed", "ErrImageNeverPull":
		return c == nil || c.State != "running" || c.Since.Before(ev.Time)
	}
	return true
}

func containerNamed(p *tapio.PodState, name string) *tapio.ContainerState {
	for i := range p.Containers {
		if p.Containers[i].Name == name {
			return &p.Containers[i]
		}
	}
	return nil
}
