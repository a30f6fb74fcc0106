package facts

import (
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/kubernetes/redact"
)

func namespaceState(n *corev1.Namespace) tapio.State { return base(tapio.KindNamespace, n) }

func scalerState(h *autoscalingv2.HorizontalPodAutoscaler) tapio.State {
	s := base(tapio.KindHPA, h)
	s.Scaler = &tapio.ScalerState{
		Target:  reference(tapio.Kind(h.Spec.ScaleTargetRef.Kind), h.Namespace, h.Spec.ScaleTargetRef.Name),
		Min:     orDefault(h.Spec.MinReplicas, 1),
		Max:     h.Spec.MaxReplicas,
		Current: h.Status.CurrentReplicas,
		Desired: h.Status.DesiredReplicas,
	}
	for i := range h.Status.Conditions {
		c := &h.Status.Conditions[i]
		s.Scaler.Conditions = append(s.Scaler.Conditions, tapio.Condition{
			Type: string(c.Type), Status: string(c.Status), Reason: c.Reason,
			Message: bound(redact.Text(c.Message), maxMessage), Since: utc(c.LastTransitionTime.Time),
		})
	}
	return s
}

// scalerEvents tells that an autoscaler can't do its work: it gets no metrics
// or can't scale its target, or wants more pods than it may have.
func scalerEvents(t *teller, old, new *autoscalingv2.HorizontalPodAutoscaler) {
	if new == nil {
		return
	}
	for i := range new.Status.Conditions {
		c := &new.Status.Conditions[i]
		if !blocksScaler(c) {
			continue
		}
		when := c.LastTransitionTime.Time
		if old != nil {
			was := scalerCondition(old, c.Type)
			if was != nil && blocksScaler(was) {
				if was.Reason == c.Reason && sameWords(was.Message, c.Message) {
					continue
				}
				when = t.at // the condition's time stays when only its words change
			}
		}
		if utc(when).IsZero() && t.listed {
			when = new.CreationTimestamp.Time
		}
		t.event(tapio.Event{
			Time: when, Type: tapio.ScalerBlocked, Severity: tapio.SeverityMedium, Entity: entity(tapio.KindHPA, new),
			Reason: c.Reason, Message: c.Message,
			Attrs: attrs(tapio.AttrUID, string(new.UID), tapio.AttrKind, string(tapio.KindHPA), tapio.AttrObject, new.Name,
				tapio.AttrStatus, string(c.Status), tapio.AttrDetail, fmt.Sprintf("%d of at most %d pods", new.Status.CurrentReplicas, new.Spec.MaxReplicas)),
		})
	}
}

// blocksScaler reports whether the condition says that the autoscaler can't do
// what it should. That it was switched off is meant.
func blocksScaler(c *autoscalingv2.HorizontalPodAutoscalerCondition) bool {
	switch c.Type {
	case autoscalingv2.ScalingActive, autoscalingv2.AbleToScale:
		return c.Status == corev1.ConditionFalse && c.Reason != "ScalingDisabled" && c.Reason != "BackoffBoth" && c.Reason != "BackoffUpscale" && c.Reason != "BackoffDownscale"
	case autoscalingv2.ScalingLimited:
		return c.Status == corev1.ConditionTrue && c.Reason == "TooManyReplicas"
	}
	return false
}

func scalerCondition(h *autoscalingv2.HorizontalPodAutoscaler, kind autoscalingv2.HorizontalPodAutoscalerConditionType) *autoscalingv2.HorizontalPodAutoscalerCondition {
	for i := range h.Status.Conditions {
		if h.Status.Conditions[i].Type == kind {
			return &h.Status.Conditions[i]
		}
	}
	return nil
}

func budgetState(b *policyv1.PodDisruptionBudget) tapio.State {
	s := base(tapio.KindPDB, b)
	s.Budget = &tapio.BudgetState{
		Allowed: b.Status.DisruptionsAllowed, Healthy: b.Status.CurrentHealthy,
		Wanted: b.Status.DesiredHealthy, Expected: b.Status.ExpectedPods,
	}
	if sel := selector(b.Spec.Selector); sel != nil {
		s.Budget.Selector, s.Budget.Expressions = sel.Labels, sel.Expressions
	}
	return s
}

func quotaState(q *corev1.ResourceQuota) tapio.State {
	s := base(tapio.KindResourceQuota, q)
	s.Quota = &tapio.QuotaState{Hard: quantities(q.Spec.Hard), Used: quantities(q.Status.Used), Scoped: len(q.Spec.Scopes) > 0 || q.Spec.ScopeSelector != nil}
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
