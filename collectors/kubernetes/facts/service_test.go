package facts

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/yairfalse/tapio"
)

func TestService(t *testing.T) {
	s := load(t, "service")[0].(*corev1.Service) // recorded with the selector app=wep
	want(t, told(t, nil, s, false, nil))
	want(t, told(t, s, nil, false, nil))
	want(t, told(t, s, edit(s, func(s *corev1.Service) { s.Labels = map[string]string{"a": "b"} }), false, nil))
	want(t, told(t, s, edit(s, func(s *corev1.Service) {
		s.Spec.Selector = map[string]string{"app": "web"}
		s.Spec.Ports[0].TargetPort = intstr.FromInt32(8081)
		managed(s, "kubectl-edit", "12:42:00")
	}), false, nil),
		`12:42:00 service.changed Service/shop/web Updated manager=kubectl-edit; ports[80].targetPort: "8080" → "8081"; selector[app]: "wep" → "web"`)
	if got := Between(nil, s, at, true, nil)[0].State.Service; got.Selector["app"] != "wep" || got.Type != "ClusterIP" {
		t.Errorf("state is %+v", got)
	}
}

func TestEndpoints(t *testing.T) {
	yes, no := true, false
	slice := func(ready ...*bool) *discoveryv1.EndpointSlice {
		s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-abc", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}}}
		for _, r := range ready {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
				Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: r},
				TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "web-1"},
			})
		}
		return s
	}
	leaving := slice(nil, &yes)
	leaving.Endpoints[1].Conditions.Terminating = &yes
	want(t, told(t, slice(&yes, nil), slice(&no, &no), false, nil), "now endpoints.removed Service/shop/web ready_after=0 ready_before=2")
	want(t, told(t, slice(&no), slice(&yes), false, nil), "now endpoints.added Service/shop/web ready_after=1 ready_before=0")
	want(t, told(t, slice(&yes, &yes), leaving, false, nil), "now endpoints.removed Service/shop/web ready_after=1 ready_before=2")
	want(t, told(t, slice(&yes), nil, false, nil), "now endpoints.removed Service/shop/web ready_after=0 ready_before=1")
	want(t, told(t, nil, slice(&yes), false, nil), "now endpoints.added Service/shop/web ready_after=1 ready_before=0")
	want(t, told(t, nil, slice(&yes), true, nil))
	want(t, told(t, slice(&yes), slice(&yes), false, nil))

	wanted := &tapio.EndpointsState{Service: "web", Backends: []tapio.Endpoint{{Pod: "web-1", Ready: true}, {Pod: "web-1"}}}
	if d := cmp.Diff(wanted, Between(nil, leaving, at, true, nil)[0].State.Endpoints); d != "" {
		t.Errorf("state of a slice (-want +got):\n%s", d)
	}
	e := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Subsets: []corev1.EndpointSubset{{
		Addresses:         []corev1.EndpointAddress{{IP: "10.0.0.1", TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "web-1"}}},
		NotReadyAddresses: []corev1.EndpointAddress{{IP: "10.0.0.2", TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "web-1"}}},
	}}}
	Strip(e)
	if d := cmp.Diff(wanted, Between(nil, e, at, true, nil)[0].State.Endpoints); d != "" {
		t.Errorf("state of Endpoints (-want +got):\n%s", d)
	}
}

func TestKubernetesEvent(t *testing.T) {
	objects := load(t, "event")
	core, newer := objects[0].(*corev1.Event), objects[1].(*eventsv1.Event)
	const told4 = "12:40:06 k8s.event " + crash + "[app] BackOff component=kubelet event_type=Warning field_path=spec.containers{app} first_seen=2026-11-23T12:38:36Z"
	want(t, told(t, nil, core, true, nil), told4)
	want(t, told(t, nil, newer, false, nil), told4)
	if a, b := Between(nil, core, at, true, nil)[0].Event, Between(nil, newer, at, false, nil)[0].Event; a.ID != b.ID || a.Count != 4 {
		t.Errorf("the two APIs give %s (%d times) and %s", a.ID, a.Count, b.ID)
	}
	want(t, told(t, core, core, false, nil))
	want(t, told(t, core, nil, false, nil)) // it expired
	want(t, told(t, core, edit(core, func(e *corev1.Event) {
		e.Count, e.LastTimestamp = 5, clock("12:41:00")
	}), false, nil), "12:41:00"+told4[8:])

	series := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "x"}, EventTime: metav1.NewMicroTime(at.Add(-time.Hour)), Type: "Normal", Reason: "Scheduled",
		Regarding: corev1.ObjectReference{Kind: "Node", Namespace: "default", Name: "n1"}, ReportingController: "x",
	}
	want(t, told(t, nil, series, false, nil), "11:45:00 k8s.event Node/n1 Scheduled component=x event_type=Normal first_seen=2026-11-23T11:45:00Z")
	counted := edit(series, func(e *eventsv1.Event) {
		e.Series = &eventsv1.EventSeries{Count: 7, LastObservedTime: metav1.NewMicroTime(at.Add(-time.Minute))}
	})
	if e := Between(series, counted, at, false, nil)[0].Event; e.Count != 7 || !e.Time.Equal(at.Add(-time.Minute)) {
		t.Errorf("a series is told %d times at %s", e.Count, e.Time)
	}
	want(t, told(t, nil, &corev1.Event{Reason: "about nothing"}, false, nil))
}
