package kubernetes

import (
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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// phase is when a kind is listed. Each phase waits for the one before, so that
// a pod arrives after its workload and its node, and an event after its pod.
type phase int

const (
	phaseTopology phase = iota
	phasePods
	phaseEvents
	phases // how many there are
)

// kind is one resource that the collector watches.
type kind struct {
	group      schema.GroupVersion
	resource   string
	object     runtime.Object // an example, for the informer
	namespaced bool
	phase      phase
	// lacks says what stories lack where the resource can't be read.
	lacks string
	// metadata marks a resource of which only the metadata is asked for.
	metadata bool
}

// leaseNamespace is where the control plane keeps its leases, the only ones
// that are watched: those of nodes are renewed too often to be worth it, and
// their nodes' conditions say the same.
const leaseNamespace = "kube-system"

// kinds lists what is watched. Secrets are not.
//
// Kubernetes serves the same Event objects as v1 and as events.k8s.io/v1, from
// one place in etcd and with lossless conversion, whichever of the two wrote
// them. One watch therefore sees all of them; v1 it is, because it holds the
// fields of both (count and series, source and reporting controller).
func kinds() []kind {
	core, apps, batch := corev1.SchemeGroupVersion, appsv1.SchemeGroupVersion, batchv1.SchemeGroupVersion
	storage, scaling := storagev1.SchemeGroupVersion, autoscalingv2.SchemeGroupVersion
	// Its types are not in client-go.
	apiServices, apiService := schema.GroupVersion{Group: "apiregistration.k8s.io", Version: "v1"}, new(unstructured.Unstructured)
	apiService.SetGroupVersionKind(apiServices.WithKind("APIService"))
	return []kind{
		{core, "namespaces", &corev1.Namespace{}, false, phaseTopology, "a team, channel or service that is set on a namespace is not known", false},
		{core, "nodes", &corev1.Node{}, false, phaseTopology, "node failures are not seen", false},
		{apps, "replicasets", &appsv1.ReplicaSet{}, true, phaseTopology, "pods are not joined to their Deployment, and rollouts are not seen", false},
		{apps, "deployments", &appsv1.Deployment{}, true, phaseTopology, "Deployments and their rollouts are not seen", false},
		{apps, "statefulsets", &appsv1.StatefulSet{}, true, phaseTopology, "StatefulSets and their rollouts are not seen", false},
		{apps, "daemonsets", &appsv1.DaemonSet{}, true, phaseTopology, "DaemonSets and their rollouts are not seen", false},
		{batch, "jobs", &batchv1.Job{}, true, phaseTopology, "failed Jobs are not seen", false},
		{batch, "cronjobs", &batchv1.CronJob{}, true, phaseTopology, "Jobs are not joined to their CronJob", false},
		{core, "services", &corev1.Service{}, true, phaseTopology, "the Services that a failure hurts are not named", false},
		{core, "persistentvolumeclaims", &corev1.PersistentVolumeClaim{}, true, phaseTopology, "storage that can't be bound is not explained", false},
		{core, "persistentvolumes", &corev1.PersistentVolume{}, false, phaseTopology, "claims are not joined to their volume", false},
		{storage, "storageclasses", &storagev1.StorageClass{}, false, phaseTopology, "a missing storage class is not told from a slow one", false},
		{scaling, "horizontalpodautoscalers", &autoscalingv2.HorizontalPodAutoscaler{}, true, phaseTopology, "scaling by an autoscaler is not told from scaling by hand", false},
		{policyv1.SchemeGroupVersion, "poddisruptionbudgets", &policyv1.PodDisruptionBudget{}, true, phaseTopology, "a drain that a budget blocks is not explained", false},
		{core, "resourcequotas", &corev1.ResourceQuota{}, true, phaseTopology, "an exceeded quota is told without its numbers", false},
		{core, "limitranges", &corev1.LimitRange{}, true, phaseTopology, "limits that a namespace sets are not known", false},
		{admissionv1.SchemeGroupVersion, "validatingwebhookconfigurations", &admissionv1.ValidatingWebhookConfiguration{}, false, phaseTopology, "a webhook that refuses pods is told without its configuration", false},
		{admissionv1.SchemeGroupVersion, "mutatingwebhookconfigurations", &admissionv1.MutatingWebhookConfiguration{}, false, phaseTopology, "a webhook that refuses pods is told without its configuration", false},
		{networkingv1.SchemeGroupVersion, "networkpolicies", &networkingv1.NetworkPolicy{}, true, phaseTopology, "traffic that a policy stops is not explained", false},
		{networkingv1.SchemeGroupVersion, "ingresses", &networkingv1.Ingress{}, true, phaseTopology, "a route to nowhere is not seen", false},
		{coordinationv1.SchemeGroupVersion, "leases", &coordinationv1.Lease{}, true, phaseTopology, "a scheduler or controller manager that is down is told later, and without the node it ran on", false},
		{apiServices, "apiservices", apiService, false, phaseTopology, "a part of the API that nobody answers for is not seen", false},
		{core, "configmaps", &metav1.PartialObjectMetadata{}, true, phaseTopology, "edits of ConfigMaps are not named as a trigger", true},
		{core, "pods", &corev1.Pod{}, true, phasePods, "there is nothing to tell", false},
		{discoveryv1.SchemeGroupVersion, "endpointslices", &discoveryv1.EndpointSlice{}, true, phaseEvents, "a Service that lost its endpoints is not seen", false},
		{core, "events", &corev1.Event{}, true, phaseEvents, "image, probe, volume and scheduling failures lack the words of the component that saw them", false},
	}
}

// apiPath is where the API server serves the kind's group.
func (k kind) apiPath() string {
	if k.group.Group == "" {
		return "/api"
	}
	return "/apis"
}
