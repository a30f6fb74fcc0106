package facts

import (
	"maps"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/yairfalse/tapio"
)

// deploymentRollout tells the Deployment's newest rollout when its revision is
// seen for the first time.
func (t *teller) deploymentRollout(old, new *appsv1.Deployment) {
	if old != nil && old.Annotations[annotationRevision] == new.Annotations[annotationRevision] {
		return
	}
	if t.related != nil {
		t.rollout(new, t.related.ReplicaSets(new.Namespace, new.UID, new.Name), nil)
	}
}

// replicaSetRollout does the same from the ReplicaSet's side: which of the two
// objects is seen first is chance.
func (t *teller) replicaSetRollout(old, new *appsv1.ReplicaSet) {
	if old != nil && old.Annotations[annotationRevision] == new.Annotations[annotationRevision] {
		return
	}
	ref := metav1.GetControllerOfNoCopy(new)
	if ref == nil || ref.Kind != string(tapio.KindDeployment) {
		return
	}
	d := t.deployment(new.Namespace, ref.Name)
	if d == nil || d.UID != ref.UID && d.UID != "" && ref.UID != "" {
		return
	}
	t.rollout(d, t.related.ReplicaSets(d.Namespace, d.UID, d.Name), new)
}

// rollout tells the newest rollout of a Deployment: of the template of its
// newest ReplicaSet, with what differs from the one before. Where seen is
// given, only if that is the newest; the cache may not hold it yet.
func (t *teller) rollout(d *appsv1.Deployment, sets []*appsv1.ReplicaSet, seen *appsv1.ReplicaSet) {
	newest, previous := newestSets(sets, seen)
	if newest == nil || seen != nil && newest != seen {
		return
	}
	rev := revision(newest)
	if seen == nil && rev < parseRevision(d.Annotations[annotationRevision]) {
		return // the ReplicaSet of the newest revision has yet to be seen; it tells then
	}
	if t.listed && rev < 2 {
		return // a Deployment that was never changed is no news
	}
	s := deploymentState(d)
	e := tapio.Event{
		Time:     newest.CreationTimestamp.Time,
		Type:     tapio.WorkloadRollout,
		Severity: tapio.SeverityInfo,
		Entity:   s.Entity,
		Reason:   "Updated",
		Message:  newest.Annotations[annotationCause],
		Attrs: attrs(
			tapio.AttrUID, s.UID,
			tapio.AttrRevision, strconv.FormatInt(rev, 10),
			tapio.AttrTemplateHash, templateHash(newest.Labels),
		),
		Kubernetes: workloadContext(&s),
	}
	// An edit that only takes fields away leaves no trace in the managed fields:
	// an editor who was there before the revision before was made is another one.
	edit := managedAt(d)
	if previous != nil && !edit.After(previous.CreationTimestamp.Time) {
		edit = time.Time{}
	}
	if who := d.Annotations[annotationManager]; who != "" && (previous == nil || !edit.IsZero()) {
		e.Attrs[tapio.AttrManager] = who
	}
	if newest.Annotations[annotationHistory] != "" { // made for an earlier revision
		e.Reason = "RolledBack"
		e.Attrs[tapio.AttrRollback] = "true"
		e.Time = t.rolledBackAt(d, edit)
	}
	switch {
	case previous != nil:
		e.Attrs[tapio.AttrFromRevision] = strconv.FormatInt(revision(previous), 10)
		e.Changes = templateChanges(&previous.Spec.Template, &newest.Spec.Template)
		if len(e.Changes) == 0 && e.Reason == "Updated" && restarted(&previous.Spec.Template, &newest.Spec.Template) {
			e.Reason = "Restarted"
		}
	case rev == 1:
		e.Reason = "Created"
	}
	t.event(e)
}

// rolledBackAt returns when a Deployment went back to an earlier template, whose
// ReplicaSet is older than that: when it was edited, where that is known. What
// is watched follows the edit within seconds; in a listing the next best is when
// the controller last saw progress.
func (t *teller) rolledBackAt(d *appsv1.Deployment, edit time.Time) time.Time {
	if t.listed {
		return first(edit, deploymentCondition(d, appsv1.DeploymentProgressing).LastUpdateTime.Time, t.at)
	}
	const behind = time.Minute // how far a watch that works lags behind, at most
	if edit.IsZero() || t.at.Sub(edit) > behind {
		return t.at
	}
	return edit
}

// newestSets returns the ReplicaSets of the highest revision and of the one
// below it, with seen among them where it is given.
func newestSets(sets []*appsv1.ReplicaSet, seen *appsv1.ReplicaSet) (newest, previous *appsv1.ReplicaSet) {
	take := func(r *appsv1.ReplicaSet) {
		switch rev := revision(r); {
		case rev < 1:
		case newest == nil || rev > revision(newest):
			newest, previous = r, newest
		case previous == nil || rev > revision(previous):
			previous = r
		}
	}
	if seen != nil {
		take(seen)
	}
	for _, r := range sets {
		if r != nil && (seen == nil || r.Name != seen.Name) {
			take(r)
		}
	}
	return newest, previous
}

func revision(r *appsv1.ReplicaSet) int64 { return parseRevision(r.Annotations[annotationRevision]) }

func parseRevision(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// templateRollout tells an edit of the pod template of a workload that keeps
// no ReplicaSets. Its revision is the workload's generation, because the
// controller names its own only later. Such a workload that is seen for the
// first time while it is watched was just made.
func (t *teller) templateRollout(s *tapio.State, old, new *corev1.PodTemplateSpec, o, before metav1.Object) {
	if t.listed {
		return
	}
	e := tapio.Event{
		Type:     tapio.WorkloadRollout,
		Severity: tapio.SeverityInfo,
		Entity:   s.Entity,
		Attrs: attrs(
			tapio.AttrUID, s.UID,
			tapio.AttrRevision, strconv.FormatInt(o.GetGeneration(), 10),
			tapio.AttrManager, editor(before, o),
		),
		Kubernetes: workloadContext(s),
	}
	if old == nil {
		e.Reason, e.Time = "Created", o.GetCreationTimestamp().Time
		t.event(e)
		return
	}
	e.Changes = templateChanges(old, new)
	switch {
	case len(e.Changes) > 0:
		e.Reason = "Updated"
	case restarted(old, new):
		e.Reason = "Restarted"
	default:
		return
	}
	e.Time = editTime(before, o)
	e.Attrs[tapio.AttrFromRevision] = strconv.FormatInt(before.GetGeneration(), 10)
	t.event(e)
}

// templateChanges returns what differs between two pod templates, but for what
// every rollout changes.
func templateChanges(old, new *corev1.PodTemplateSpec) []tapio.Change {
	return difference(templateFields(old), templateFields(new))
}

func templateFields(t *corev1.PodTemplateSpec) map[string]any {
	out, _ := generic(t.Spec).(map[string]any)
	if out == nil {
		out = make(map[string]any)
	}
	labels, annotations := maps.Clone(t.Labels), maps.Clone(t.Annotations)
	delete(labels, "pod-template-hash")
	delete(annotations, annotationRestarted)
	delete(annotations, annotationApplied)
	out["labels"], out["annotations"] = generic(labels), generic(annotations)
	return out
}

// restarted reports whether somebody ran kubectl rollout restart.
func restarted(old, new *corev1.PodTemplateSpec) bool {
	return old.Annotations[annotationRestarted] != new.Annotations[annotationRestarted]
}

func number(n int32) string { return strconv.FormatInt(int64(n), 10) }
