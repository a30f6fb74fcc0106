package facts

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/yairfalse/tapio"
)

// isAPIService reports whether an object without a type of its own is an
// APIService, or absent.
func isAPIService(o runtime.Object) bool {
	u, ok := o.(*unstructured.Unstructured)
	if !ok || u == nil {
		return o == nil || ok
	}
	return u.GetKind() == string(tapio.KindAPIService)
}

// apiServiceState reads who serves a part of the API and whether it is
// available. Its types are not in client-go.
func apiServiceState(u *unstructured.Unstructured) tapio.State {
	s := base(tapio.KindAPIService, u)
	c := availableCondition(u)
	s.APIService = &tapio.APIServiceState{Available: text(c["status"]) != "False", Reason: text(c["reason"]), Message: bound(text(c["message"]), maxMessage)}
	name, _, _ := unstructured.NestedString(u.Object, "spec", "service", "name")
	namespace, _, _ := unstructured.NestedString(u.Object, "spec", "service", "namespace")
	if name != "" {
		s.APIService.Service = reference(tapio.KindService, namespace, name)
	}
	return s
}

// apiServiceEvents tells that a part of the API became unavailable, or is again.
func apiServiceEvents(t *teller, old, new *unstructured.Unstructured) {
	if new == nil {
		return
	}
	is, was := availableCondition(new), map[string]any{}
	if old != nil {
		was = availableCondition(old)
	}
	down, wasDown := text(is["status"]) == "False", text(was["status"]) == "False"
	e := tapio.Event{Entity: entity(tapio.KindAPIService, new), Attrs: attrs(tapio.AttrUID, string(new.GetUID()))}
	switch {
	case down && (!wasDown || text(is["reason"]) != text(was["reason"])):
		e.Type, e.Severity, e.Reason, e.Message = tapio.APIServiceUnavailable, tapio.SeverityHigh, text(is["reason"]), text(is["message"])
	case wasDown && !down:
		e.Type, e.Severity = tapio.APIServiceAvailable, tapio.SeverityInfo
	default:
		return
	}
	if when, err := time.Parse(time.RFC3339, text(is["lastTransitionTime"])); err == nil && (!wasDown || !down) {
		e.Time = when
	}
	t.event(e)
}

// availableCondition returns the condition Available, or an empty one.
func availableCondition(u *unstructured.Unstructured) map[string]any {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range objects(list) {
		if c["type"] == "Available" {
			return c
		}
	}
	return map[string]any{}
}
