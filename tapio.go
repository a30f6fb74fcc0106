// Package tapio is the vocabulary of Tapio, which tells the story of a
// Kubernetes incident: entities, observations, events, templates, stories.
//
// It holds plain data, its ordering and its validation. It starts no
// goroutine, does no I/O, logs nothing and imports only the standard library,
// so that every other package can share its words without sharing anything
// else. All times are UTC. JSON names are snake_case and stable: they are an
// API for recordings, for `tapio story -o json` and for /api/v1/stories.
//
// Collectors turn what they sense into an [Observation]. The engine turns
// observations into revisions of a [Story]. narrate gives a story its words,
// store keeps it, and bot tells it.
package tapio

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Kind names the type of an entity, as Kubernetes spells it.
type Kind string

// The kinds of entities that have a meaning to the engine. Any other
// Kubernetes kind is a valid Kind too.
const (
	KindPod                   Kind = "Pod"
	KindNode                  Kind = "Node"
	KindNamespace             Kind = "Namespace"
	KindDeployment            Kind = "Deployment"
	KindReplicaSet            Kind = "ReplicaSet"
	KindStatefulSet           Kind = "StatefulSet"
	KindDaemonSet             Kind = "DaemonSet"
	KindJob                   Kind = "Job"
	KindCronJob               Kind = "CronJob"
	KindService               Kind = "Service"
	KindEndpointSlice         Kind = "EndpointSlice"
	KindPersistentVolumeClaim Kind = "PersistentVolumeClaim"
	KindPersistentVolume      Kind = "PersistentVolume"
	KindStorageClass          Kind = "StorageClass"
	KindHPA                   Kind = "HorizontalPodAutoscaler"
	KindPDB                   Kind = "PodDisruptionBudget"
	KindResourceQuota         Kind = "ResourceQuota"
	KindLimitRange            Kind = "LimitRange"
	KindConfigMap             Kind = "ConfigMap"
	KindSecret                Kind = "Secret"
	KindServiceAccount        Kind = "ServiceAccount"
	KindValidatingWebhook     Kind = "ValidatingWebhookConfiguration"
	KindMutatingWebhook       Kind = "MutatingWebhookConfiguration"
	KindNetworkPolicy         Kind = "NetworkPolicy"
	KindIngress               Kind = "Ingress"
	KindHTTPRoute             Kind = "HTTPRoute" // of the Gateway API
	KindImage                 Kind = "Image"     // an image reference; the name is the whole reference
	KindRegistry              Kind = "Registry"  // a registry host
	KindLease                 Kind = "Lease"
	KindAPIService            Kind = "APIService"
	KindComponent             Kind = "Component" // a part of the control plane, by its own name: kube-scheduler, etcd
)

// Entity identifies something that can fail, change or be hurt. It is
// comparable and serves as a map key. Namespace is empty for cluster-wide
// kinds. Container names one container of a pod, or, for a workload, the
// container of that name in each of its pods.
type Entity struct {
	Kind      Kind   `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Container string `json:"container,omitempty"`
}

// IsZero reports whether e names nothing.
func (e Entity) IsZero() bool { return e == Entity{} }

// Object returns e without its container: the Kubernetes object itself.
func (e Entity) Object() Entity {
	e.Container = ""
	return e
}

// String returns e as Kind/namespace/name, with [container] behind it where
// there is one, for logs and for keys.
func (e Entity) String() string {
	var b strings.Builder
	b.WriteString(string(e.Kind))
	b.WriteByte('/')
	if e.Namespace != "" {
		b.WriteString(e.Namespace)
		b.WriteByte('/')
	}
	b.WriteString(e.Name)
	if e.Container != "" {
		b.WriteByte('[')
		b.WriteString(e.Container)
		b.WriteByte(']')
	}
	return b.String()
}

// Compare orders entities by kind, namespace, name and container.
func (e Entity) Compare(o Entity) int {
	return cmp.Or(
		cmp.Compare(e.Kind, o.Kind),
		cmp.Compare(e.Namespace, o.Namespace),
		cmp.Compare(e.Name, o.Name),
		cmp.Compare(e.Container, o.Container),
	)
}

// IsWorkload reports whether the kind owns pods and is what people deploy.
func (k Kind) IsWorkload() bool {
	switch k {
	case KindDeployment, KindStatefulSet, KindDaemonSet, KindJob, KindCronJob, KindReplicaSet:
		return true
	}
	return false
}

// Kubectl returns the short resource name that kubectl takes for the kind,
// such as "deploy", or the kind in lower case where there is none.
func (k Kind) Kubectl() string {
	switch k {
	case KindDeployment:
		return "deploy"
	case KindStatefulSet:
		return "sts"
	case KindDaemonSet:
		return "ds"
	case KindReplicaSet:
		return "rs"
	case KindService:
		return "svc"
	case KindPersistentVolumeClaim:
		return "pvc"
	case KindHPA:
		return "hpa"
	case KindNetworkPolicy:
		return "netpol"
	case KindPDB:
		return "pdb"
	}
	return strings.ToLower(string(k))
}

// Severity says how bad an event or a story is.
type Severity string

// The severities, worst first. Slack shows those of a story as SEV1 to SEV4.
const (
	SeverityCritical Severity = "critical"
	SeverityHigh     Severity = "high"
	SeverityMedium   Severity = "medium"
	SeverityLow      Severity = "low"
	SeverityInfo     Severity = "info" // of events only: nothing is wrong
)

// Level returns 1 for critical to 4 for low, and 5 for anything else.
func (s Severity) Level() int {
	switch s {
	case SeverityCritical:
		return 1
	case SeverityHigh:
		return 2
	case SeverityMedium:
		return 3
	case SeverityLow:
		return 4
	}
	return 5
}

// Source names the sense an event came from.
type Source string

// The sources.
const (
	SourceKubernetes   Source = "k8s-api"
	SourceCRI          Source = "cri"
	SourceEBPF         Source = "ebpf"
	SourceControlPlane Source = "control-plane"
	SourceAgent        Source = "agent" // the agent of a node, about the node itself
)

// Duration is a time.Duration that YAML and JSON write as "10m0s".
type Duration time.Duration

// MarshalText writes d as time.Duration prints it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what [time.ParseDuration] reads and refuses a negative
// duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 30s or 10m", text)
	}
	if v < 0 {
		return fmt.Errorf("%q is negative", text)
	}
	*d = Duration(v)
	return nil
}

// Record is one entry of a small durable key-value space that a part keeps in
// the store, such as the bot's ledger. A nil Value deletes the key.
type Record struct {
	Key   string
	Value []byte
}
