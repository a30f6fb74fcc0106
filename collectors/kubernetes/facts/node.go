package facts

import (
	"cmp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/yairfalse/tapio"
)

// pressures are the conditions of a node that is short of something.
func pressures() []corev1.NodeConditionType {
	return []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure}
}

// problems are the conditions, beside Ready and the pressures, that are bad
// while they are true: the network's of Kubernetes itself, and those of the
// node problem detector as it ships. Conditions of anybody else may mean
// anything, so they are left alone.
func problems() []corev1.NodeConditionType {
	return []corev1.NodeConditionType{
		corev1.NodeNetworkUnavailable,
		"KernelDeadlock", "ReadonlyFilesystem", "XfsShutdown", "CorruptDockerOverlay2",
		"FrequentKubeletRestart", "FrequentContainerdRestart", "FrequentDockerRestart", "FrequentUnregisterNetDevice",
		"KubeletUnhealthy", "ContainerRuntimeUnhealthy", "KubeletProblem", "ContainerRuntimeProblem",
		"KernelPanic", "HardwareProblem", "DiskProblem", "DiskFailure", "FilesystemCorruptionProblem",
		"CPUProblem", "MemoryProblem",
	}
}

func nodeState(n *corev1.Node) tapio.State {
	s := base(tapio.KindNode, n)
	ready := nodeCondition(n, corev1.NodeReady)
	s.Node = &tapio.NodeState{
		Ready:         string(ready.Status),
		ReadySince:    utc(ready.LastTransitionTime.Time),
		Reason:        ready.Reason,
		Message:       bound(ready.Message, maxMessage),
		Unschedulable: n.Spec.Unschedulable,
		Allocatable:   amounts(n.Status.Allocatable),
		Extra:         others(n.Status.Allocatable),
	}
	for _, kind := range pressures() {
		if nodeCondition(n, kind).Status == corev1.ConditionTrue {
			s.Node.Pressures = append(s.Node.Pressures, string(kind))
		}
	}
	for _, kind := range problems() {
		if nodeCondition(n, kind).Status == corev1.ConditionTrue {
			s.Node.Problems = append(s.Node.Problems, string(kind))
		}
	}
	for i := range n.Spec.Taints {
		s.Node.Taints = append(s.Node.Taints, n.Spec.Taints[i].ToString())
		if t := &n.Spec.Taints[i]; t.Key == corev1.TaintNodeUnschedulable && t.TimeAdded != nil {
			s.Node.CordonedSince = utc(t.TimeAdded.Time)
		}
	}
	return s
}

// nodeEvents tells readiness, pressure, cordoning and the end of a node.
func nodeEvents(t *teller, old, new *corev1.Node) {
	if new == nil {
		t.event(nodeEvent(old, tapio.NodeDeleted, tapio.SeverityMedium, time.Time{}))
		return
	}
	t.nodeReadiness(old, new)
	t.badConditions(old, new, pressures(), tapio.NodePressure, tapio.NodePressureEnded)
	t.badConditions(old, new, problems(), tapio.NodeProblem, tapio.NodeProblemEnded)
	if old != nil {
		if edits := difference(nodeEdits(old), nodeEdits(new)); len(edits) > 0 {
			e := nodeEvent(new, tapio.NodeChanged, tapio.SeverityInfo, editTime(old, new))
			e.Changes = edits
			set(e.Attrs, tapio.AttrManager, editor(old, new))
			t.event(e)
		}
	}
	if old != nil && old.Spec.Unschedulable != new.Spec.Unschedulable {
		what := tapio.NodeUncordoned
		if new.Spec.Unschedulable {
			what = tapio.NodeCordoned
		}
		e := nodeEvent(new, what, tapio.SeverityInfo, editTime(old, new))
		set(e.Attrs, tapio.AttrManager, editor(old, new))
		t.event(e)
	}
}

// badConditions tells which of the conditions, bad while they are true, began
// and ended.
func (t *teller) badConditions(old, new *corev1.Node, kinds []corev1.NodeConditionType, began, ended tapio.EventType) {
	for _, kind := range kinds {
		c, was := nodeCondition(new, kind), corev1.ConditionFalse
		if old != nil {
			was = nodeCondition(old, kind).Status
		}
		switch {
		case c.Status == corev1.ConditionTrue && was != corev1.ConditionTrue:
			t.nodeConditionEvent(new, began, tapio.SeverityHigh, c, string(kind))
		case c.Status == corev1.ConditionFalse && was == corev1.ConditionTrue:
			t.nodeConditionEvent(new, ended, tapio.SeverityInfo, c, string(kind))
		}
	}
}

// nodeEdits is what people edit of a node that decides which pods it takes.
// Taints under node.kubernetes.io follow its condition or its cordon.
func nodeEdits(n *corev1.Node) map[string]any {
	taints := map[string]string{}
	for i := range n.Spec.Taints {
		t := &n.Spec.Taints[i]
		if !strings.HasPrefix(t.Key, "node.kubernetes.io/") && !strings.HasPrefix(t.Key, "node.cloudprovider.kubernetes.io/") {
			taints[t.Key+":"+string(t.Effect)] = cmp.Or(t.Value, "set")
		}
	}
	return map[string]any{"labels": n.Labels, "taints": taints}
}

func (t *teller) nodeReadiness(old, new *corev1.Node) {
	c, was := nodeCondition(new, corev1.NodeReady), corev1.NodeCondition{}
	if old != nil {
		was = nodeCondition(old, corev1.NodeReady)
	}
	switch {
	case c.Status == corev1.ConditionTrue:
		if old != nil && was.Status != corev1.ConditionTrue {
			t.nodeConditionEvent(new, tapio.NodeReady, tapio.SeverityInfo, c, c.Reason)
		}
	case c.Status == was.Status && c.Reason == was.Reason && sameWords(c.Message, was.Message):
	default:
		if c.Status == was.Status { // the condition's time stays when only its words change
			c.LastTransitionTime.Time = t.at
		}
		t.nodeConditionEvent(new, tapio.NodeNotReady, tapio.SeverityCritical, c, c.Reason)
	}
}

func (t *teller) nodeConditionEvent(n *corev1.Node, what tapio.EventType, severity tapio.Severity, c corev1.NodeCondition, reason string) {
	when := c.LastTransitionTime.Time
	if utc(when).IsZero() && t.listed {
		when = n.CreationTimestamp.Time
	}
	e := nodeEvent(n, what, severity, when)
	e.Reason, e.Message = reason, c.Message
	e.Attrs[tapio.AttrStatus] = string(c.Status)
	t.event(e)
}

func nodeEvent(n *corev1.Node, what tapio.EventType, severity tapio.Severity, when time.Time) tapio.Event {
	return tapio.Event{
		Time:     when,
		Type:     what,
		Severity: severity,
		Entity:   entity(tapio.KindNode, n),
		Attrs:    attrs(tapio.AttrUID, string(n.UID)),
	}
}

// nodeCondition returns the condition of that type. Where there is none its
// status is Unknown, which is what the API means by that.
func nodeCondition(n *corev1.Node, kind corev1.NodeConditionType) corev1.NodeCondition {
	for i := range n.Status.Conditions {
		if n.Status.Conditions[i].Type == kind {
			return n.Status.Conditions[i]
		}
	}
	return corev1.NodeCondition{Type: kind, Status: corev1.ConditionUnknown}
}
