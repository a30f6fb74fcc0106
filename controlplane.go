package tapio

import "time"

// The event types of the control plane, as the seed design spells them. The
// entity is the [KindComponent] of one of the Component… names. Reason is one
// of the words in the comment, Message the component's own or the measured
// figure, and Time when it was first seen so.
const (
	EtcdHealthy         EventType = "etcd_healthy"          // all that was told of etcd is over
	EtcdUnhealthy       EventType = "etcd_unhealthy"        // NoLeader, Unreachable, MemberDown, Corrupt: AttrObject is the member
	EtcdLeaderChanged   EventType = "etcd_leader_changed"   // Elected for each change, Unstable for the third within ten minutes: AttrObject is the leader
	EtcdCompaction      EventType = "etcd_compaction"       // old revisions were thrown away; nothing is wrong
	EtcdHighLatency     EventType = "etcd_high_latency"     // Slow for all members, MemberSlow for one: AttrObject, AttrDetail
	EtcdStorageFull     EventType = "etcd_storage_full"     // NoSpace where the alarm is raised, NearlyFull before that: AttrObject
	APIServerHealthy    EventType = "api_server_healthy"    // all that was told of the API server is over
	APIServerUnhealthy  EventType = "api_server_unhealthy"  // Unreachable, NotReady, StorageFailing: AttrDetail lists failed checks
	APIServerOverload   EventType = "api_server_overload"   // Rejecting, Slow: AttrDetail
	APIServerThrottling EventType = "api_server_throttling" // Throttled: Tapio's own requests are refused with 429
	SchedulerHealthy    EventType = "scheduler_healthy"     //
	SchedulerUnhealthy  EventType = "scheduler_unhealthy"   // LeaseExpired, Unstable: AttrHolder; Slow
	SchedulingLatency   EventType = "scheduling_latency"    // derived by the engine: a pod waits for a scheduler that is alive; its entity is the pod
	ControllerHealthy   EventType = "controller_healthy"    //
	ControllerUnhealthy EventType = "controller_unhealthy"  // LeaseExpired, Unstable: AttrHolder; Slow
	ControllerLag       EventType = "controller_lag"        // derived by the engine: a controller that is alive has not followed a spec; its entity is the workload
	CertificateExpiring EventType = "certificate.expiring"  // of a connection to the control plane; not of the seed design: AttrObject says whose, AttrDetail when
	WebhookFailing      EventType = "webhook.failing"       // the API server could not call an admission webhook; not of the seed design: AttrObject is its name
	WebhookAnswering    EventType = "webhook.answering"     // that is over
)

// The components of the control plane that collectors watch, by the names of
// their entities.
const (
	ComponentEtcd              = "etcd"
	ComponentAPIServer         = "kube-apiserver"
	ComponentScheduler         = "kube-scheduler"
	ComponentControllerManager = "kube-controller-manager"
	// What is told apart from the API server, as it may go on for days.
	ComponentCertificates = "control-plane-certificates"
	ComponentWebhooks     = "admission-webhooks"
)

// What the seed design says of every story of the control plane.
const (
	WorkloadControlPlane     = "ControlPlane"
	ServiceKubernetesCluster = "kubernetes-cluster"
)

// Keys of Event.Attrs of the control plane.
const (
	AttrHolder  = "holder"  // who holds, or last held, a lease
	AttrLatency = "latency" // milliseconds
	AttrVersion = "version" // of the component, as it says
)

// ComponentState is what the topology knows of a part of the control plane.
type ComponentState struct {
	Status   string             `json:"status"` // healthy, degraded, unhealthy
	Problems []ComponentProblem `json:"problems,omitempty"`
}

// ComponentProblem is what stands against a component now.
type ComponentProblem struct {
	Type    EventType `json:"type"`
	Reason  string    `json:"reason"`
	Object  string    `json:"object,omitempty"` // a member, a certificate
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since"`
}
