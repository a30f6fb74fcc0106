package facts

import (
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/yairfalse/tapio"
)

func deploymentState(d *appsv1.Deployment) tapio.State {
	s := base(tapio.KindDeployment, d)
	s.Workload = &tapio.WorkloadState{
		Edited:     managedAt(d),
		Replicas:   deploymentReplicas(d),
		Generation: d.Generation,
		Observed:   d.Status.ObservedGeneration,
		Revision:   d.Annotations[annotationRevision],
		Strategy:   string(d.Spec.Strategy.Type),
		Paused:     d.Spec.Paused,
		Stuck:      isStuck(d),
	}
	if c := deploymentCondition(d, appsv1.DeploymentReplicaFailure); c.Status == corev1.ConditionTrue {
		s.Workload.ReplicaFailure = bound(c.Message, maxMessage)
	}
	return withTemplate(s, &d.Spec.Template)
}

func deploymentReplicas(d *appsv1.Deployment) tapio.ReplicaStatus {
	return tapio.ReplicaStatus{
		Desired:   orDefault(d.Spec.Replicas, 1),
		Current:   d.Status.Replicas,
		Ready:     d.Status.ReadyReplicas,
		Updated:   d.Status.UpdatedReplicas,
		Available: d.Status.AvailableReplicas,
	}
}

func replicaSetState(r *appsv1.ReplicaSet) tapio.State {
	s := base(tapio.KindReplicaSet, r)
	s.Workload = &tapio.WorkloadState{
		Replicas: tapio.ReplicaStatus{
			Desired:   orDefault(r.Spec.Replicas, 1),
			Current:   r.Status.Replicas,
			Ready:     r.Status.ReadyReplicas,
			Updated:   r.Status.Replicas,
			Available: r.Status.AvailableReplicas,
		},
		Generation: r.Generation,
		Observed:   r.Status.ObservedGeneration,
		Revision:   r.Annotations[annotationRevision],
	}
	if c := replicaSetCondition(r); c.Status == corev1.ConditionTrue {
		s.Workload.ReplicaFailure = bound(c.Message, maxMessage)
	}
	return withTemplate(s, &r.Spec.Template)
}

func statefulSetState(w *appsv1.StatefulSet) tapio.State {
	s := base(tapio.KindStatefulSet, w)
	s.Workload = &tapio.WorkloadState{
		Replicas: tapio.ReplicaStatus{
			Desired:   orDefault(w.Spec.Replicas, 1),
			Current:   w.Status.Replicas,
			Ready:     w.Status.ReadyReplicas,
			Updated:   w.Status.UpdatedReplicas,
			Available: w.Status.AvailableReplicas,
		},
		Generation: w.Generation,
		Observed:   w.Status.ObservedGeneration,
		Revision:   w.Status.UpdateRevision,
		Strategy:   string(w.Spec.UpdateStrategy.Type),
	}
	return withTemplate(s, &w.Spec.Template)
}

func daemonSetState(w *appsv1.DaemonSet) tapio.State {
	s := base(tapio.KindDaemonSet, w)
	s.Workload = &tapio.WorkloadState{
		Replicas: tapio.ReplicaStatus{
			Desired:   w.Status.DesiredNumberScheduled,
			Current:   w.Status.CurrentNumberScheduled,
			Ready:     w.Status.NumberReady,
			Updated:   w.Status.UpdatedNumberScheduled,
			Available: w.Status.NumberAvailable,
		},
		Generation: w.Generation,
		Observed:   w.Status.ObservedGeneration,
		Strategy:   string(w.Spec.UpdateStrategy.Type),
	}
	return withTemplate(s, &w.Spec.Template)
}

func jobState(j *batchv1.Job) tapio.State {
	s := base(tapio.KindJob, j)
	failed := jobCondition(j, batchv1.JobFailed)
	ready := orDefault(j.Status.Ready, 0)
	s.Workload = &tapio.WorkloadState{
		Replicas: tapio.ReplicaStatus{
			Desired: orDefault(j.Spec.Parallelism, 1),
			Current: j.Status.Active, Ready: ready, Updated: j.Status.Active, Available: ready,
		},
		Generation:   j.Generation,
		Paused:       orDefault(j.Spec.Suspend, false),
		Complete:     jobCondition(j, batchv1.JobComplete).Status == corev1.ConditionTrue,
		Failed:       failed.Status == corev1.ConditionTrue,
		BackoffLimit: orDefault(j.Spec.BackoffLimit, 6),
	}
	if s.Workload.Failed {
		s.Workload.FailedReason = failed.Reason
	}
	return withTemplate(s, &j.Spec.Template)
}

func cronJobState(c *batchv1.CronJob) tapio.State {
	s := base(tapio.KindCronJob, c)
	s.Workload = &tapio.WorkloadState{
		Generation:   c.Generation,
		Paused:       orDefault(c.Spec.Suspend, false),
		BackoffLimit: orDefault(c.Spec.JobTemplate.Spec.BackoffLimit, 6),
		Schedule:     c.Spec.Schedule,
		TimeZone:     orDefault(c.Spec.TimeZone, ""),
	}
	if last := c.Status.LastScheduleTime; last != nil {
		s.Workload.LastSchedule = utc(last.Time)
	}
	return withTemplate(s, &c.Spec.JobTemplate.Spec.Template)
}

func withTemplate(s tapio.State, t *corev1.PodTemplateSpec) tapio.State {
	s.Workload.TemplateLabels = t.Labels
	s.Workload.TemplateAnnotations = routing(t.Annotations)
	if s.Owner.IsZero() && len(t.Spec.Containers) > 0 {
		s.Workload.Spec = podSpec(&t.Spec)
	}
	return s
}

func deploymentEvents(t *teller, old, new *appsv1.Deployment) {
	if new == nil {
		return
	}
	t.deploymentRollout(old, new)
	s := deploymentState(new)
	if old != nil {
		t.scaled(&s, old.Spec.Replicas, new.Spec.Replicas, new)
		if available(deploymentState(old).Workload) != available(s.Workload) && available(s.Workload) {
			t.workloadEvent(&s, tapio.WorkloadAvailable, tapio.SeverityInfo, condition{})
		}
	}
	if isStuck(new) && (old == nil || !isStuck(old)) {
		c := deploymentCondition(new, appsv1.DeploymentProgressing)
		t.workloadEvent(&s, tapio.WorkloadStuck, tapio.SeverityHigh,
			condition{c.Reason, c.Message, first(c.LastTransitionTime.Time, c.LastUpdateTime.Time)})
	}
	now, was := deploymentCondition(new, appsv1.DeploymentReplicaFailure), appsv1.DeploymentCondition{}
	if old != nil {
		was = deploymentCondition(old, appsv1.DeploymentReplicaFailure)
	}
	t.replicaFailure(&s, condition{now.Reason, now.Message, now.LastTransitionTime.Time}, now.Status, was.Status, was.Message)
}

func replicaSetEvents(t *teller, old, new *appsv1.ReplicaSet) {
	if new == nil {
		return
	}
	t.replicaSetRollout(old, new)
	s := replicaSetState(new)
	if old != nil && s.Owner.IsZero() {
		t.scaled(&s, old.Spec.Replicas, new.Spec.Replicas, new)
	}
	now, was := replicaSetCondition(new), appsv1.ReplicaSetCondition{}
	if old != nil {
		was = replicaSetCondition(old)
	}
	t.replicaFailure(&s, condition{now.Reason, now.Message, now.LastTransitionTime.Time}, now.Status, was.Status, was.Message)
}

func statefulSetEvents(t *teller, old, new *appsv1.StatefulSet) {
	if new == nil {
		return
	}
	s := statefulSetState(new)
	if old == nil {
		t.templateRollout(&s, nil, &new.Spec.Template, new, nil)
		return
	}
	t.templateRollout(&s, &old.Spec.Template, &new.Spec.Template, new, old)
	t.scaled(&s, old.Spec.Replicas, new.Spec.Replicas, new)
	if available(s.Workload) && !available(statefulSetState(old).Workload) {
		t.workloadEvent(&s, tapio.WorkloadAvailable, tapio.SeverityInfo, condition{})
	}
}

func daemonSetEvents(t *teller, old, new *appsv1.DaemonSet) {
	if new == nil {
		return
	}
	s := daemonSetState(new)
	if old == nil {
		t.templateRollout(&s, nil, &new.Spec.Template, new, nil)
		return
	}
	t.templateRollout(&s, &old.Spec.Template, &new.Spec.Template, new, old)
	if available(s.Workload) && !available(daemonSetState(old).Workload) {
		t.workloadEvent(&s, tapio.WorkloadAvailable, tapio.SeverityInfo, condition{})
	}
}

func cronJobEvents(t *teller, old, new *batchv1.CronJob) {
	if old == nil || new == nil {
		return
	}
	s := cronJobState(new)
	t.templateRollout(&s, &old.Spec.JobTemplate.Spec.Template, &new.Spec.JobTemplate.Spec.Template, new, old)
}

func jobEvents(t *teller, old, new *batchv1.Job) {
	if new == nil {
		return
	}
	s := jobState(new)
	is := func(j *batchv1.Job, kind batchv1.JobConditionType) bool {
		return j != nil && jobCondition(j, kind).Status == corev1.ConditionTrue
	}
	if is(new, batchv1.JobFailed) && !is(old, batchv1.JobFailed) {
		c := jobCondition(new, batchv1.JobFailed)
		t.workloadEvent(&s, tapio.JobFailed, tapio.SeverityHigh,
			condition{c.Reason, c.Message, first(c.LastTransitionTime.Time, new.CreationTimestamp.Time)})
	}
	if !t.listed && is(new, batchv1.JobComplete) && !is(old, batchv1.JobComplete) {
		c := jobCondition(new, batchv1.JobComplete)
		t.workloadEvent(&s, tapio.JobComplete, tapio.SeverityInfo, condition{c.Reason, c.Message, c.LastTransitionTime.Time})
	}
}

// condition is what an event tells of a condition: its time may be unknown.
type condition struct {
	reason, message string
	time            time.Time
}

func (t *teller) workloadEvent(s *tapio.State, what tapio.EventType, severity tapio.Severity, c condition) {
	t.event(tapio.Event{
		Time: c.time, Type: what, Severity: severity, Entity: s.Entity, Reason: c.reason, Message: c.message,
		Attrs: attrs(tapio.AttrUID, s.UID), Kubernetes: workloadContext(s),
	})
}

// scaled tells that somebody asked for another number of pods.
func (t *teller) scaled(s *tapio.State, old, new *int32, o metav1.Object) {
	from, to := orDefault(old, 1), orDefault(new, 1)
	if from == to {
		return
	}
	t.event(tapio.Event{
		Type: tapio.WorkloadScaled, Severity: tapio.SeverityInfo, Entity: s.Entity,
		Attrs:      attrs(tapio.AttrUID, s.UID, tapio.AttrManager, o.GetAnnotations()[annotationScaler]),
		Changes:    []tapio.Change{{Field: "replicas", From: number(from), To: number(to)}},
		Kubernetes: workloadContext(s),
	})
}

// replicaFailure tells why a controller can't create pods, when it begins and
// when its message becomes another one but for the pod's name and numbers.
func (t *teller) replicaFailure(s *tapio.State, c condition, is, was corev1.ConditionStatus, message string) {
	if is != corev1.ConditionTrue {
		return
	}
	if was == corev1.ConditionTrue {
		if sameWords(unquoted(c.message), unquoted(message)) {
			return
		}
		c.time = t.at
	}
	t.workloadEvent(s, tapio.ReplicaFailure, tapio.SeverityHigh, c)
}

// unquoted returns a message without its first quoted word, which in the
// controllers' messages is the random name of a pod.
func unquoted(message string) string {
	before, rest, ok := strings.Cut(message, `"`)
	if !ok {
		return message
	}
	_, after, ok := strings.Cut(rest, `"`)
	if !ok {
		return message
	}
	return before + after
}

// available reports whether all wanted pods are up to date and available, and
// none of an older revision is left.
func available(w *tapio.WorkloadState) bool {
	r := w.Replicas
	return w.Observed >= w.Generation && r.Desired > 0 && r.Updated >= r.Desired && r.Available >= r.Desired && r.Current <= r.Desired
}

func isStuck(d *appsv1.Deployment) bool {
	c := deploymentCondition(d, appsv1.DeploymentProgressing)
	return c.Status == corev1.ConditionFalse && c.Reason == "ProgressDeadlineExceeded"
}

func deploymentCondition(d *appsv1.Deployment, kind appsv1.DeploymentConditionType) appsv1.DeploymentCondition {
	for i := range d.Status.Conditions {
		if d.Status.Conditions[i].Type == kind {
			return d.Status.Conditions[i]
		}
	}
	return appsv1.DeploymentCondition{}
}

func replicaSetCondition(r *appsv1.ReplicaSet) appsv1.ReplicaSetCondition {
	for i := range r.Status.Conditions {
		if r.Status.Conditions[i].Type == appsv1.ReplicaSetReplicaFailure {
			return r.Status.Conditions[i]
		}
	}
	return appsv1.ReplicaSetCondition{}
}

func jobCondition(j *batchv1.Job, kind batchv1.JobConditionType) batchv1.JobCondition {
	for i := range j.Status.Conditions {
		if j.Status.Conditions[i].Type == kind {
			return j.Status.Conditions[i]
		}
	}
	return batchv1.JobCondition{}
}
