package facts

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/yairfalse/tapio"
)

func namespaceState(n *corev1.Namespace) tapio.State { return base(tapio.KindNamespace, n) }

func volumeState(v *corev1.PersistentVolume) tapio.State {
	return base(tapio.KindPersistentVolume, v)
}

func classState(c *storagev1.StorageClass) tapio.State { return base(tapio.KindStorageClass, c) }

func claimState(c *corev1.PersistentVolumeClaim) tapio.State {
	s := base(tapio.KindPersistentVolumeClaim, c)
	s.Claim = &tapio.ClaimState{Phase: string(c.Status.Phase), Volume: c.Spec.VolumeName}
	if c.Spec.StorageClassName != nil {
		s.Claim.Class = *c.Spec.StorageClassName
	}
	return s
}

func scalerState(h *autoscalingv2.HorizontalPodAutoscaler) tapio.State {
	s := base(tapio.KindHPA, h)
	s.Scaler = &tapio.ScalerState{
		Target:  reference(tapio.Kind(h.Spec.ScaleTargetRef.Kind), h.Namespace, h.Spec.ScaleTargetRef.Name),
		Min:     orDefault(h.Spec.MinReplicas, 1),
		Max:     h.Spec.MaxReplicas,
		Current: h.Status.CurrentReplicas,
		Desired: h.Status.DesiredReplicas,
	}
	return s
}

func budgetState(b *policyv1.PodDisruptionBudget) tapio.State {
	s := base(tapio.KindPDB, b)
	s.Budget = &tapio.BudgetState{Allowed: b.Status.DisruptionsAllowed}
	if b.Spec.Selector != nil {
		s.Budget.Selector = b.Spec.Selector.MatchLabels
	}
	return s
}

func quotaState(q *corev1.ResourceQuota) tapio.State {
	s := base(tapio.KindResourceQuota, q)
	s.Quota = &tapio.QuotaState{Hard: quantities(q.Spec.Hard), Used: quantities(q.Status.Used)}
	return s
}

func quantities(list corev1.ResourceList) map[string]string {
	if len(list) == 0 {
		return nil
	}
	out := make(map[string]string, len(list))
	for name, q := range list {
		out[string(name)] = q.String()
	}
	return out
}

func quotaEvents(t *teller, old, new *corev1.ResourceQuota) {
	edited(t, tapio.QuotaChanged, tapio.KindResourceQuota, old, new, func(q *corev1.ResourceQuota) any { return q.Spec })
}

func limitState(l *corev1.LimitRange) tapio.State { return base(tapio.KindLimitRange, l) }

func limitEvents(t *teller, old, new *corev1.LimitRange) {
	edited(t, tapio.QuotaChanged, tapio.KindLimitRange, old, new, func(l *corev1.LimitRange) any { return l.Spec })
}

// isConfigMap reports whether metadata is of a ConfigMap, or absent. The
// metadata client leaves the kind empty or names its own.
func isConfigMap(o runtime.Object) bool {
	m, ok := o.(*metav1.PartialObjectMetadata)
	if !ok || m == nil {
		return o == nil || ok
	}
	switch m.Kind {
	case string(tapio.KindConfigMap), "PartialObjectMetadata", "":
		return true
	}
	return false
}

// configMapState is made of metadata only: data of a ConfigMap is not read.
func configMapState(c *metav1.PartialObjectMetadata) tapio.State {
	return base(tapio.KindConfigMap, c)
}

// configMapEvents tells that a ConfigMap was made, edited or deleted, but not
// that a lock of leader election was renewed, nor what Kubernetes puts into
// every namespace.
func configMapEvents(t *teller, old, new *metav1.PartialObjectMetadata) {
	subject := new
	if subject == nil {
		subject = old
	}
	if subject.Name == clusterCA || isLock(subject) || old != nil && new != nil && old.ResourceVersion == new.ResourceVersion {
		return
	}
	edited(t, tapio.ConfigChanged, tapio.KindConfigMap, old, new, nil)
}

// edited tells that an object was created, updated or deleted while it was
// watched. Where spec is given, an update is told only when the spec differs,
// with what differs in it.
func edited[P interface {
	comparable
	metav1.Object
}](t *teller, what tapio.EventType, kind tapio.Kind, old, new P, spec func(P) any) {
	var none P
	subject, e := new, tapio.Event{Type: what, Severity: tapio.SeverityInfo}
	switch {
	case t.listed:
		return
	case new == none:
		subject, e.Reason = old, "Deleted"
	case old == none:
		e.Reason, e.Time = "Created", new.GetCreationTimestamp().Time
	default:
		e.Reason, e.Time = "Updated", editTime(old, new)
		if spec != nil {
			if e.Changes = difference(spec(old), spec(new)); len(e.Changes) == 0 {
				return
			}
		}
	}
	e.Entity = entity(kind, subject)
	e.Attrs = attrs(tapio.AttrUID, string(subject.GetUID()))
	switch e.Reason {
	case "Created":
		set(e.Attrs, tapio.AttrManager, editor(nil, new))
	case "Updated":
		set(e.Attrs, tapio.AttrManager, editor(old, new))
	}
	t.event(e)
}

// editTime returns when new was edited by its own account, or nothing where
// that didn't move since old.
func editTime(old, new metav1.Object) time.Time {
	was, is := managedAt(old), managedAt(new)
	if is.After(was) {
		return is
	}
	return time.Time{}
}

// editor returns who edited new, or nothing where its managed fields don't tell:
// an edit that only takes fields away leaves no trace there. Old may be nil.
func editor(old, new metav1.Object) string {
	if old != nil && editTime(old, new).IsZero() {
		return ""
	}
	return new.GetAnnotations()[annotationManager]
}

// managedAt returns when somebody last edited the object, or nothing.
func managedAt(o metav1.Object) time.Time {
	t, err := time.Parse(time.RFC3339, o.GetAnnotations()[annotationManagedAt])
	if err != nil {
		return time.Time{}
	}
	return utc(t)
}

// orDefault returns what p points at, or what the API server would fill in.
func orDefault[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
