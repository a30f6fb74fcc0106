package dump

import (
	"cmp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/kubernetes/facts"
)

// observations tells all objects and logs as one listing at the time now.
func observations(objects []object, logs []logTail, now time.Time) []tapio.Observation {
	related := relate(objects)
	sliced := make(map[types.NamespacedName]bool) // Services that have slices
	for _, o := range objects {
		if s, ok := o.(*discoveryv1.EndpointSlice); ok {
			sliced[types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}] = true
		}
	}
	var (
		states, events []tapio.Observation
		byEntity       = make(map[tapio.Entity]int)
		byID           = make(map[string]bool)
		pods           = make(map[types.NamespacedName]*corev1.Pod)
	)
	tell := func(e *tapio.Event) {
		if !byID[e.ID] {
			byID[e.ID] = true
			events = append(events, tapio.Observation{Time: now, Event: e})
		}
	}
	for _, o := range objects {
		if e, ok := o.(*corev1.Endpoints); ok && sliced[types.NamespacedName{Namespace: e.Namespace, Name: e.Name}] {
			continue
		}
		if p, ok := o.(*corev1.Pod); ok {
			pods[types.NamespacedName{Namespace: p.Namespace, Name: p.Name}] = p
		}
		for _, obs := range facts.Between(nil, o, now, true, related) {
			if obs.State == nil {
				tell(obs.Event)
				continue
			}
			if i, twice := byEntity[obs.State.Entity]; twice { // in two files: the later one counts
				states[i] = obs
				continue
			}
			byEntity[obs.State.Entity] = len(states)
			states = append(states, obs)
		}
	}
	for i := range logs {
		l := &logs[i]
		if e, ok := l.event(pods[l.pod], now); ok {
			tell(e)
		}
	}
	slices.SortStableFunc(states, func(a, b tapio.Observation) int {
		return cmp.Or(cmp.Compare(rank(a.State.Entity.Kind), rank(b.State.Entity.Kind)), a.State.Entity.Compare(b.State.Entity))
	})
	slices.SortStableFunc(events, func(a, b tapio.Observation) int {
		return cmp.Or(a.Event.Time.Compare(b.Event.Time), strings.Compare(a.Event.ID, b.Event.ID))
	})
	return append(states, events...)
}

// rank orders the kinds so that what others refer to comes first.
func rank(kind tapio.Kind) int {
	return slices.Index([]tapio.Kind{
		tapio.KindNamespace, tapio.KindNode, tapio.KindStorageClass, tapio.KindPersistentVolume,
		tapio.KindValidatingWebhook, tapio.KindMutatingWebhook,
		tapio.KindResourceQuota, tapio.KindLimitRange, tapio.KindConfigMap, tapio.KindPersistentVolumeClaim,
		tapio.KindDeployment, tapio.KindStatefulSet, tapio.KindDaemonSet, tapio.KindCronJob,
		tapio.KindReplicaSet, tapio.KindJob, tapio.KindHPA, tapio.KindPDB, tapio.KindService,
		tapio.KindNetworkPolicy, tapio.KindIngress, tapio.KindHTTPRoute,
		tapio.KindPod, tapio.KindEndpointSlice,
	}, kind)
}

// relations finds Deployments and their ReplicaSets among the objects.
type relations struct {
	deployments map[types.NamespacedName]*appsv1.Deployment
	sets        map[types.NamespacedName][]*appsv1.ReplicaSet // by the Deployment's name
}

func relate(objects []object) *relations {
	r := &relations{
		deployments: make(map[types.NamespacedName]*appsv1.Deployment),
		sets:        make(map[types.NamespacedName][]*appsv1.ReplicaSet),
	}
	for _, o := range objects {
		switch o := o.(type) {
		case *appsv1.Deployment:
			r.deployments[types.NamespacedName{Namespace: o.Namespace, Name: o.Name}] = o
		case *appsv1.ReplicaSet:
			if ref := metav1.GetControllerOfNoCopy(o); ref != nil && ref.Kind == string(tapio.KindDeployment) {
				key := types.NamespacedName{Namespace: o.Namespace, Name: ref.Name}
				r.sets[key] = append(r.sets[key], o)
			}
		}
	}
	return r
}

// ReplicaSets implements [facts.Related]. Objects of a dump often have no UID.
func (r *relations) ReplicaSets(namespace string, owner types.UID, ownerName string) []*appsv1.ReplicaSet {
	all := r.sets[types.NamespacedName{Namespace: namespace, Name: ownerName}]
	return slices.DeleteFunc(slices.Clone(all), func(s *appsv1.ReplicaSet) bool {
		ref := metav1.GetControllerOfNoCopy(s)
		return owner != "" && ref.UID != "" && ref.UID != owner
	})
}

// Deployment implements [facts.Related].
func (r *relations) Deployment(namespace, name string) *appsv1.Deployment {
	return r.deployments[types.NamespacedName{Namespace: namespace, Name: name}]
}
