package facts

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/yairfalse/tapio"
)

func podState(p *corev1.Pod) tapio.State {
	s := base(tapio.KindPod, p)
	ready := podCondition(p, corev1.PodReady)
	s.Pod = &tapio.PodState{
		Phase:         string(p.Status.Phase),
		Reason:        p.Status.Reason,
		Node:          p.Spec.NodeName,
		Ready:         ready.Status == corev1.ConditionTrue,
		ReadySince:    utc(ready.LastTransitionTime.Time),
		Scheduled:     p.Spec.NodeName != "",
		Considered:    podCondition(p, corev1.PodScheduled).Type != "",
		Terminating:   p.DeletionTimestamp != nil,
		RestartPolicy: string(p.Spec.RestartPolicy),
		IP:            p.Status.PodIP,
		TemplateHash:  templateHash(p.Labels),
		Containers:    containerStates(p),
		References:    references(p),
		Spec:          podSpec(&p.Spec),
	}
	if p.Spec.SchedulerName != corev1.DefaultSchedulerName {
		s.Pod.Scheduler = p.Spec.SchedulerName
	}
	placed(s.Pod, p)
	return s
}

// templateHash returns what tells the revision of the workload that made the
// pods with these labels.
func templateHash(labels map[string]string) string {
	if hash := labels["pod-template-hash"]; hash != "" {
		return hash
	}
	return labels["controller-revision-hash"]
}

// podEvents tells what happened to a pod and to its containers.
func podEvents(t *teller, old, new *corev1.Pod) {
	if new == nil {
		t.event(podEvent(old, tapio.PodDeleted, tapio.SeverityInfo, time.Time{}))
		return
	}
	if old == nil && !t.listed {
		t.event(podEvent(new, tapio.PodCreated, tapio.SeverityInfo, new.CreationTimestamp.Time))
	}
	t.podScheduling(old, new)
	for _, c := range containers(new) {
		t.containerEvents(old, new, c)
	}
	t.podReadiness(old, new)
	t.podFailure(old, new)
}

// podEvent returns an event of a pod without its Kubernetes context. Nothing
// that happens to a pod while it is being deleted is bad.
func podEvent(p *corev1.Pod, what tapio.EventType, severity tapio.Severity, when time.Time) tapio.Event {
	if p.DeletionTimestamp != nil {
		severity = tapio.SeverityInfo
	}
	return tapio.Event{
		Time:     when,
		Type:     what,
		Severity: severity,
		Entity:   entity(tapio.KindPod, p),
		Attrs: attrs(
			tapio.AttrUID, string(p.UID),
			tapio.AttrNode, p.Spec.NodeName,
			tapio.AttrTerminating, flag(p.DeletionTimestamp != nil),
		),
	}
}

func (t *teller) podScheduling(old, new *corev1.Pod) {
	c := podCondition(new, corev1.PodScheduled)
	if old != nil && old.Spec.NodeName == "" && new.Spec.NodeName != "" {
		t.event(podEvent(new, tapio.PodScheduled, tapio.SeverityInfo, c.LastTransitionTime.Time))
	}
	if c.Status != corev1.ConditionFalse || new.Spec.NodeName != "" {
		return
	}
	when := first(c.LastTransitionTime.Time, new.CreationTimestamp.Time)
	if old != nil {
		if o := podCondition(old, corev1.PodScheduled); o.Status == corev1.ConditionFalse {
			if o.Reason == c.Reason && o.Message == c.Message {
				return
			}
			when = t.at // the condition's time stays when only its message changes
		}
	}
	severity := tapio.SeverityMedium
	if c.Reason == corev1.PodReasonSchedulingGated {
		severity = tapio.SeverityLow
	}
	e := podEvent(new, tapio.PodUnschedulable, severity, when)
	e.Reason, e.Message = c.Reason, c.Message
	e.Kubernetes = t.podContext(new, nil)
	t.event(e)
}

func (t *teller) podReadiness(old, new *corev1.Pod) {
	c := podCondition(new, corev1.PodReady)
	if old == nil {
		if t.listed && lostReadiness(new, c) {
			t.notReady(new, c)
		}
		return
	}
	was := podCondition(old, corev1.PodReady).Status == corev1.ConditionTrue
	is := c.Status == corev1.ConditionTrue
	switch {
	case is && !was:
		t.event(podEvent(new, tapio.PodReady, tapio.SeverityInfo, c.LastTransitionTime.Time))
	case was && !is && new.Status.Phase != corev1.PodSucceeded:
		t.notReady(new, c)
	}
}

func (t *teller) notReady(p *corev1.Pod, c corev1.PodCondition) {
	e := podEvent(p, tapio.PodNotReady, tapio.SeverityMedium, c.LastTransitionTime.Time)
	e.Reason, e.Message = c.Reason, c.Message
	e.Kubernetes = t.podContext(p, nil)
	t.event(e)
}

// lostReadiness reports whether a pod that is not ready was ready before: its
// condition changed after one of its containers had started.
func lostReadiness(p *corev1.Pod, ready corev1.PodCondition) bool {
	changed := utc(ready.LastTransitionTime.Time)
	if ready.Status == corev1.ConditionTrue || p.Status.Phase != corev1.PodRunning || changed.IsZero() {
		return false
	}
	for i := range p.Status.ContainerStatuses {
		s := &p.Status.ContainerStatuses[i]
		for _, state := range []corev1.ContainerState{s.State, s.LastTerminationState} {
			var started time.Time
			switch {
			case state.Running != nil:
				started = utc(state.Running.StartedAt.Time)
			case state.Terminated != nil:
				started = utc(state.Terminated.StartedAt.Time)
			}
			if !started.IsZero() && changed.After(started) {
				return true
			}
		}
	}
	return false
}

func (t *teller) podFailure(old, new *corev1.Pod) {
	if new.Status.Phase != corev1.PodFailed || old != nil && old.Status.Phase == corev1.PodFailed {
		return
	}
	what := tapio.PodFailed
	if new.Status.Reason == "Evicted" {
		what = tapio.PodEvicted
	}
	e := podEvent(new, what, tapio.SeverityHigh, failedAt(new, t.listed))
	e.Reason, e.Message = new.Status.Reason, new.Status.Message
	if what == tapio.PodEvicted {
		set(e.Attrs, tapio.AttrResource, shortResource(new.Status.Message))
	}
	e.Kubernetes = t.podContext(new, nil)
	t.event(e)
}

// failedAt returns when a pod failed: when its last container ended, else when
// it was marked to be disrupted or lost its readiness; of a listed pod at least
// when it started or was made.
func failedAt(p *corev1.Pod, listed bool) time.Time {
	var ended time.Time
	for _, c := range containers(p) {
		if c.status != nil && c.status.State.Terminated != nil {
			if f := utc(c.status.State.Terminated.FinishedAt.Time); f.After(ended) {
				ended = f
			}
		}
	}
	when := first(ended,
		podCondition(p, corev1.DisruptionTarget).LastTransitionTime.Time,
		podCondition(p, corev1.PodReady).LastTransitionTime.Time)
	if when.IsZero() && listed {
		when = bestTime(p)
	}
	return when
}

// bestTime returns the time of a listed pod's present condition as well as the
// pod tells it.
func bestTime(p *corev1.Pod) time.Time {
	var started time.Time
	if p.Status.StartTime != nil {
		started = p.Status.StartTime.Time
	}
	return first(
		podCondition(p, corev1.PodReady).LastTransitionTime.Time,
		podCondition(p, corev1.PodInitialized).LastTransitionTime.Time,
		podCondition(p, corev1.PodScheduled).LastTransitionTime.Time,
		started,
		p.CreationTimestamp.Time,
	)
}

// shortResource returns what a node or a pod was short of, from the message of
// an eviction.
func shortResource(message string) string {
	if _, rest, ok := strings.Cut(message, "low on resource: "); ok {
		end := strings.IndexAny(rest, ". ,")
		if end < 0 {
			end = len(rest)
		}
		return rest[:end]
	}
	switch {
	case strings.Contains(message, "ephemeral"), strings.Contains(message, "EmptyDir"), strings.Contains(message, "DiskPressure"):
		return "ephemeral-storage"
	case strings.Contains(message, "MemoryPressure"):
		return "memory"
	case strings.Contains(message, "PIDPressure"):
		return "pids"
	}
	return ""
}

// podCondition returns the condition of that type, or an empty one.
func podCondition(p *corev1.Pod, kind corev1.PodConditionType) corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == kind {
			return p.Status.Conditions[i]
		}
	}
	return corev1.PodCondition{}
}
