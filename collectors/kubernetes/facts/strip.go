package facts

import (
	"bytes"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// Annotations that Strip keeps of an object. Those under tapio.internal hold
// what Strip read from the managed fields; no object in a cluster carries them.
const (
	annotationManager   = "tapio.internal/manager"    // who last edited the object
	annotationManagedAt = "tapio.internal/managed-at" // and when, RFC 3339
	annotationScaler    = "tapio.internal/scaler"     // who last set spec.replicas
	annotationRevision  = "deployment.kubernetes.io/revision"
	annotationHistory   = "deployment.kubernetes.io/revision-history" // of a ReplicaSet whose template was used again
	annotationCause     = "kubernetes.io/change-cause"                // what the author of a rollout wrote about it
	annotationLeader    = "control-plane.alpha.kubernetes.io/leader"  // of a ConfigMap that is a lock, not configuration
	annotationRestarted = "kubectl.kubernetes.io/restartedAt"         // of a pod template
	annotationApplied   = "kubectl.kubernetes.io/last-applied-configuration"
)

// Strip reduces a client-go object to what Between needs, in place, before it
// is cached: an informer's transform. Managed fields go, but who last edited
// the object, and when, is kept in annotations of its own. Data of Secrets
// and the last applied configuration are never kept, and what looks like a
// secret in a ConfigMap or a pod is hidden. It is
// idempotent, never fails, and returns objects that it does not know as they
// are.
func Strip(obj any) (any, error) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		gone.Obj, _ = Strip(gone.Obj)
		return gone, nil
	}
	o, err := meta.Accessor(obj)
	if err != nil || isNil(obj) {
		return obj, nil
	}
	stripMeta(o)
	switch o := obj.(type) {
	case *corev1.Pod:
		stripPod(o)
	case *corev1.Node:
		stripNode(o)
	case *corev1.Namespace:
		o.Spec, o.Status = corev1.NamespaceSpec{}, corev1.NamespaceStatus{}
	case *corev1.ConfigMap:
		o.Data, o.BinaryData = configValues(o.Data), nil
	case *corev1.Secret:
		o.Data, o.StringData = nil, nil
	case *corev1.Service:
		o.Spec = corev1.ServiceSpec{Type: o.Spec.Type, Selector: o.Spec.Selector, Ports: o.Spec.Ports, ExternalName: o.Spec.ExternalName, ClusterIP: o.Spec.ClusterIP}
		o.Status = corev1.ServiceStatus{}
	case *corev1.Endpoints:
		stripEndpoints(o)
	case *discoveryv1.EndpointSlice:
		stripSlice(o)
	case *corev1.PersistentVolumeClaim:
		o.Spec = corev1.PersistentVolumeClaimSpec{
			VolumeName: o.Spec.VolumeName, StorageClassName: o.Spec.StorageClassName, AccessModes: o.Spec.AccessModes,
			Resources: corev1.VolumeResourceRequirements{Requests: o.Spec.Resources.Requests}, Selector: o.Spec.Selector, VolumeMode: o.Spec.VolumeMode,
		}
		o.Status = corev1.PersistentVolumeClaimStatus{Phase: o.Status.Phase}
	case *corev1.PersistentVolume:
		stripVolume(o)
	case *storagev1.StorageClass:
		*o = storagev1.StorageClass{TypeMeta: o.TypeMeta, ObjectMeta: o.ObjectMeta, Provisioner: o.Provisioner, VolumeBindingMode: o.VolumeBindingMode}
	case *corev1.ResourceQuota:
		o.Spec = corev1.ResourceQuotaSpec{Hard: o.Spec.Hard, Scopes: o.Spec.Scopes, ScopeSelector: o.Spec.ScopeSelector}
	case *appsv1.Deployment:
		stripTemplate(&o.Spec.Template)
	case *appsv1.ReplicaSet:
		stripTemplate(&o.Spec.Template)
	case *appsv1.StatefulSet:
		stripTemplate(&o.Spec.Template)
		o.Spec.VolumeClaimTemplates = nil
	case *appsv1.DaemonSet:
		stripTemplate(&o.Spec.Template)
	case *batchv1.Job:
		o.Spec.Template = corev1.PodTemplateSpec{ObjectMeta: templateMeta(o.Spec.Template.ObjectMeta)}
		o.Spec.PodFailurePolicy, o.Spec.SuccessPolicy, o.Spec.Selector = nil, nil, nil
		o.Status.UncountedTerminatedPods = nil
	case *batchv1.CronJob:
		stripTemplate(&o.Spec.JobTemplate.Spec.Template)
		o.Status = batchv1.CronJobStatus{LastScheduleTime: o.Status.LastScheduleTime}
	case *autoscalingv2.HorizontalPodAutoscaler:
		o.Spec.Metrics, o.Spec.Behavior = nil, nil
		o.Status = autoscalingv2.HorizontalPodAutoscalerStatus{
			CurrentReplicas: o.Status.CurrentReplicas, DesiredReplicas: o.Status.DesiredReplicas, Conditions: o.Status.Conditions,
		}
	case *networkingv1.Ingress:
		o.Spec.TLS, o.Status = nil, networkingv1.IngressStatus{}
	case *coordinationv1.Lease:
		stripLease(o)
	case *policyv1.PodDisruptionBudget:
		o.Spec = policyv1.PodDisruptionBudgetSpec{Selector: o.Spec.Selector}
		o.Status = policyv1.PodDisruptionBudgetStatus{
			DisruptionsAllowed: o.Status.DisruptionsAllowed, CurrentHealthy: o.Status.CurrentHealthy,
			DesiredHealthy: o.Status.DesiredHealthy, ExpectedPods: o.Status.ExpectedPods,
		}
	case *admissionv1.ValidatingWebhookConfiguration:
		for i := range o.Webhooks {
			stripWebhook(&o.Webhooks[i].ClientConfig)
		}
	case *admissionv1.MutatingWebhookConfiguration:
		for i := range o.Webhooks {
			stripWebhook(&o.Webhooks[i].ClientConfig)
		}
	}
	return obj, nil
}

// stripMeta reduces the metadata that all objects have.
func stripMeta(o metav1.Object) {
	fields := o.GetManagedFields()
	kept := make(map[string]string)
	for k, v := range o.GetAnnotations() {
		switch k {
		case annotationManager, annotationManagedAt, annotationScaler:
			if len(fields) == 0 { // stripped before
				kept[k] = v
			}
		case annotationRevision, annotationHistory, annotationCause, annotationClass, annotationDefaultClass, annotationDefaultClassBeta:
			kept[k] = bound(v, maxMessage)
		case annotationLeader:
			kept[k] = "" // its value changes every few seconds
		default:
			if isRouting(k) {
				kept[k] = bound(v, maxMessage)
			}
		}
	}
	who, when := lastEdit(fields)
	if who != "" {
		kept[annotationManager] = who
	}
	if when = utc(when); !when.IsZero() {
		kept[annotationManagedAt] = when.Format(time.RFC3339)
	}
	if who := scaler(fields); who != "" {
		kept[annotationScaler] = who
	}
	if len(kept) == 0 {
		kept = nil
	}
	o.SetAnnotations(kept)
	o.SetManagedFields(nil)
	o.SetFinalizers(nil)
	o.SetGenerateName("")
	o.SetSelfLink("")
	var owners []metav1.OwnerReference
	if ref := metav1.GetControllerOfNoCopy(o); ref != nil {
		owners = []metav1.OwnerReference{{Kind: ref.Kind, Name: ref.Name, UID: ref.UID, Controller: ref.Controller}}
	}
	o.SetOwnerReferences(owners)
}

// lastEdit returns the field manager that last edited the object, and when:
// status, scale and the controllers of Kubernetes don't count. Where some of
// them own the pod template or the data, only those count, because a later
// edit of a label is no rollout.
func lastEdit(fields []metav1.ManagedFieldsEntry) (who string, when time.Time) {
	content := false
	for i := range fields {
		f := &fields[i]
		if f.Subresource != "" || isController(f.Manager) {
			continue
		}
		owns := owns(f, `"f:template"`) || owns(f, `"f:jobTemplate"`) || owns(f, `"f:data"`) || owns(f, `"f:binaryData"`)
		if content && !owns {
			continue
		}
		var t time.Time
		if f.Time != nil {
			t = f.Time.Time
		}
		if who == "" || owns && !content || t.After(when) {
			who, when = f.Manager, t
		}
		content = content || owns
	}
	return who, when
}

// scaler returns the field manager that owns spec.replicas, with the newest
// one before the others. A HorizontalPodAutoscaler shows as
// kube-controller-manager.
func scaler(fields []metav1.ManagedFieldsEntry) string {
	var who string
	var when time.Time
	for i := range fields {
		f := &fields[i]
		if f.Subresource == "status" || !owns(f, `"f:replicas"`) {
			continue
		}
		var t time.Time
		if f.Time != nil {
			t = f.Time.Time
		}
		if who == "" || t.After(when) {
			who, when = f.Manager, t
		}
	}
	return who
}

func owns(f *metav1.ManagedFieldsEntry, field string) bool {
	return f.FieldsV1 != nil && bytes.Contains(f.FieldsV1.GetRawBytes(), []byte(field))
}

// isController reports whether a field manager is a part of Kubernetes that
// edits objects of its own accord.
func isController(manager string) bool {
	switch manager {
	case "kube-controller-manager", "cloud-controller-manager", "kube-scheduler", "kubelet", "kube-apiserver", "before-first-apply":
		return true
	}
	return false
}

// templateMeta reduces the metadata of a pod template.
func templateMeta(m metav1.ObjectMeta) metav1.ObjectMeta {
	delete(m.Annotations, annotationApplied)
	for k, v := range m.Annotations {
		m.Annotations[k] = bound(v, maxMessage)
	}
	return metav1.ObjectMeta{Labels: m.Labels, Annotations: m.Annotations}
}

// stripTemplate reduces a pod template, which stays whole but for metadata:
// any field of it may be what a rollout changed.
func stripTemplate(t *corev1.PodTemplateSpec) {
	t.ObjectMeta = templateMeta(t.ObjectMeta)
}

// isLock reports whether a ConfigMap is a lock of leader election.
func isLock(o metav1.Object) bool {
	_, ok := o.GetAnnotations()[annotationLeader]
	return ok
}
