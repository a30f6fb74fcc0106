package dump

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// newest returns the newest time that an object shows, of those that can't lie
// in the future: leases renewed, heartbeats, transitions, counts of events.
func newest(o object) time.Time {
	out := o.GetCreationTimestamp().Time
	see := func(t metav1.Time) {
		if t.After(out) {
			out = t.Time
		}
	}
	switch o := o.(type) {
	case *coordinationv1.Lease:
		if o.Spec.RenewTime != nil {
			see(metav1.Time(*o.Spec.RenewTime))
		}
	case *corev1.Event:
		see(o.LastTimestamp)
		see(metav1.Time(o.EventTime))
		if o.Series != nil {
			see(metav1.Time(o.Series.LastObservedTime))
		}
	case *eventsv1.Event:
		see(o.DeprecatedLastTimestamp)
		see(metav1.Time(o.EventTime))
		if o.Series != nil {
			see(metav1.Time(o.Series.LastObservedTime))
		}
	case *corev1.Node:
		for i := range o.Status.Conditions {
			see(o.Status.Conditions[i].LastHeartbeatTime)
			see(o.Status.Conditions[i].LastTransitionTime)
		}
	case *corev1.Pod:
		for i := range o.Status.Conditions {
			see(o.Status.Conditions[i].LastTransitionTime)
		}
		for _, list := range [][]corev1.ContainerStatus{o.Status.InitContainerStatuses, o.Status.ContainerStatuses} {
			for i := range list {
				for _, s := range []corev1.ContainerState{list[i].State, list[i].LastTerminationState} {
					if s.Running != nil {
						see(s.Running.StartedAt)
					}
					if s.Terminated != nil {
						see(s.Terminated.FinishedAt)
					}
				}
			}
		}
	case *appsv1.Deployment:
		for i := range o.Status.Conditions {
			see(o.Status.Conditions[i].LastUpdateTime)
		}
	case *batchv1.Job:
		for i := range o.Status.Conditions {
			see(o.Status.Conditions[i].LastTransitionTime)
		}
	case *batchv1.CronJob:
		if o.Status.LastScheduleTime != nil {
			see(*o.Status.LastScheduleTime)
		}
	}
	return sane(out)
}

// sane returns t in UTC, or the zero time where no clock can have shown it.
func sane(t time.Time) time.Time {
	t = t.UTC()
	if y := t.Year(); y <= 1970 || y > 9000 {
		return time.Time{}
	}
	return t
}
