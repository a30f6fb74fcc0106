// Package facts turns Kubernetes objects into [tapio.Observation] values: what
// an object is now (a state) and what happened to it (events), read from the
// difference between two versions of it.
//
// It is shared by the live informers and by the reader of dumps, so that both
// say the same about the same object. It judges nothing, keeps nothing, starts
// no goroutine, does no I/O and has no clock: the same versions and time always
// give the same observations.
//
// [Strip] reduces an object to what [Between] needs, before it is cached.
// Facts found in a listing carry the times that the object itself gives, so
// that the event of a fact has the same ID whether it was watched or listed.
package facts

import (
	"reflect"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/kubernetes/redact"
)

// Related finds other objects of the cache that a fact needs. Both methods may
// answer with nothing; the objects are only read.
type Related interface {
	// ReplicaSets returns the ReplicaSets of the Deployment with that UID, or
	// with that name where the UID is empty.
	ReplicaSets(namespace string, owner types.UID, ownerName string) []*appsv1.ReplicaSet
	// Deployment returns the Deployment of that name, or nil.
	Deployment(namespace, name string) *appsv1.Deployment
}

// Between says what changed from old to new: at most one state, and the events
// of that change, all reported at the time at. A nil old means that new is
// seen for the first time, a nil new that old is gone. Listed says that new
// was found in a listing or a dump: then only what fails is told, with the
// object's own times, because a listing is not news. Related may be nil.
//
// The state comes first, but last where the object is gone. An object that was
// replaced by another of the same name is first gone and then new. Kinds that
// it does not know, and two versions of different kinds, give nothing.
func Between(old, new runtime.Object, at time.Time, listed bool, related Related) []tapio.Observation {
	t := &teller{at: at.UTC(), listed: listed, related: related}
	subject := new
	if subject == nil {
		subject = old
	}
	switch subject.(type) {
	case *corev1.Pod:
		tell(t, old, new, podState, podEvents)
	case *corev1.Event:
		o, _ := old.(*corev1.Event)
		n, _ := new.(*corev1.Event)
		coreEvents(t, o, n)
	case *eventsv1.Event:
		o, _ := old.(*eventsv1.Event)
		n, _ := new.(*eventsv1.Event)
		newEvents(t, o, n)
	case *corev1.Node:
		tell(t, old, new, nodeState, nodeEvents)
	case *corev1.Namespace:
		tell(t, old, new, namespaceState, nil)
	case *appsv1.Deployment:
		tell(t, old, new, deploymentState, deploymentEvents)
	case *appsv1.ReplicaSet:
		tell(t, old, new, replicaSetState, replicaSetEvents)
	case *appsv1.StatefulSet:
		tell(t, old, new, statefulSetState, statefulSetEvents)
	case *appsv1.DaemonSet:
		tell(t, old, new, daemonSetState, daemonSetEvents)
	case *batchv1.Job:
		tell(t, old, new, jobState, jobEvents)
	case *batchv1.CronJob:
		tell(t, old, new, cronJobState, cronJobEvents)
	case *corev1.Service:
		tell(t, old, new, serviceState, serviceEvents)
	case *discoveryv1.EndpointSlice:
		tell(t, old, new, sliceState, sliceEvents)
	case *corev1.Endpoints:
		tell(t, old, new, endpointsState, nil)
	case *corev1.PersistentVolumeClaim:
		tell(t, old, new, claimState, nil)
	case *corev1.PersistentVolume:
		tell(t, old, new, volumeState, nil)
	case *storagev1.StorageClass:
		tell(t, old, new, classState, nil)
	case *autoscalingv2.HorizontalPodAutoscaler:
		tell(t, old, new, scalerState, scalerEvents)
	case *policyv1.PodDisruptionBudget:
		tell(t, old, new, budgetState, nil)
	case *corev1.ResourceQuota:
		tell(t, old, new, quotaState, quotaEvents)
	case *corev1.LimitRange:
		tell(t, old, new, limitState, limitEvents)
	case *admissionv1.ValidatingWebhookConfiguration:
		tell(t, old, new, validatingWebhookState, nil)
	case *admissionv1.MutatingWebhookConfiguration:
		tell(t, old, new, mutatingWebhookState, nil)
	case *networkingv1.NetworkPolicy:
		tell(t, old, new, policyState, policyEvents)
	case *networkingv1.Ingress:
		tell(t, old, new, ingressState, ingressEvents)
	case *unstructured.Unstructured:
		if isRoute(old) && isRoute(new) {
			tell(t, old, new, httpRouteState, nil)
		} else if isAPIService(old) && isAPIService(new) {
			tell(t, old, new, apiServiceState, apiServiceEvents)
		}
	case *corev1.ConfigMap:
		tell(t, old, new, configValuesState, nil)
	case *coordinationv1.Lease:
		tell(t, old, new, leaseState, nil)
	case *metav1.PartialObjectMetadata:
		if isConfigMap(old) && isConfigMap(new) {
			tell(t, old, new, configMapState, configMapEvents)
		}
	}
	return t.out
}

// teller gathers the observations of one call of Between.
type teller struct {
	at      time.Time
	listed  bool
	related Related
	out     []tapio.Observation
}

// object is a pointer to one of the API's types.
type object[T any] interface {
	*T
	runtime.Object
	metav1.Object
}

// tell adds the state and the events of one kind of object. Events may be nil.
func tell[T any, P object[T]](t *teller, old, new runtime.Object, state func(P) tapio.State, events func(*teller, P, P)) {
	o, okOld := old.(P)
	n, okNew := new.(P)
	switch {
	case old != nil && !okOld, new != nil && !okNew: // not of one kind
	case n != nil && n.GetName() == "", o != nil && o.GetName() == "": // no object of an API server
	case o == nil && n == nil:
	case n == nil:
		if events != nil {
			events(t, o, nil)
		}
		s := state(o)
		t.state(tapio.State{Entity: s.Entity, UID: s.UID, Deleted: true})
	case o == nil:
		t.state(state(n))
		if events != nil {
			events(t, nil, n)
		}
	case o.GetUID() != n.GetUID() && o.GetUID() != "" && n.GetUID() != "":
		tell(t, old, nil, state, events)
		tell(t, nil, new, state, events)
	default:
		if s := state(n); !reflect.DeepEqual(state(o), s) {
			t.state(s)
		}
		if events != nil {
			events(t, o, n)
		}
	}
}

func (t *teller) state(s tapio.State) {
	s.Listed = t.listed
	t.out = append(t.out, tapio.Observation{Time: t.at, State: &s})
}

// event completes e and adds it. Where e has no time it happened now.
func (t *teller) event(e tapio.Event) {
	complete(&e, t.at, t.listed)
	t.out = append(t.out, tapio.Observation{Time: t.at, Event: &e})
}

// complete fills in what every event of this source has in common.
func complete(e *tapio.Event, at time.Time, listed bool) {
	e.Time = utc(e.Time)
	if e.Time.IsZero() {
		e.Time = at
	}
	e.Seen = at
	e.Source = tapio.SourceKubernetes
	e.Listed = listed
	e.Message = bound(redact.Text(e.Message), maxMessage)
	e.SetID()
}
