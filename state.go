package tapio

import "time"

// State is what the topology holds of an entity: labels, owner, spec facts and
// status. A state replaces the last one of its entity. At most one of the
// pointers is set, the one that the kind calls for.
type State struct {
	Entity  Entity    `json:"entity"`
	UID     string    `json:"uid,omitempty"`
	Created time.Time `json:"created,omitzero"`
	Listed  bool      `json:"listed,omitempty"`  // found in a listing rather than watched
	Deleted bool      `json:"deleted,omitempty"` // the entity is gone; nothing else is set but UID
	// Terminating says that deletionTimestamp is set; of pods, PodState tells.
	Terminating bool `json:"terminating,omitempty"`

	Labels map[string]string `json:"labels,omitempty"`
	// Annotations holds only those under tapio.dev/ and a8r.io/.
	Annotations map[string]string `json:"annotations,omitempty"`
	Owner       Entity            `json:"owner,omitzero"` // the controller, one step up

	Pod        *PodState        `json:"pod,omitempty"`
	Node       *NodeState       `json:"node,omitempty"`
	Workload   *WorkloadState   `json:"workload,omitempty"`
	Service    *ServiceState    `json:"service,omitempty"`
	Endpoints  *EndpointsState  `json:"endpoints,omitempty"`
	Claim      *ClaimState      `json:"claim,omitempty"`
	Quota      *QuotaState      `json:"quota,omitempty"`
	Scaler     *ScalerState     `json:"scaler,omitempty"`
	Budget     *BudgetState     `json:"budget,omitempty"`
	Volume     *VolumeState     `json:"volume,omitempty"`
	Class      *ClassState      `json:"class,omitempty"`
	Limit      *LimitState      `json:"limit,omitempty"`
	Webhook    *WebhookState    `json:"webhook,omitempty"`
	Policy     *PolicyState     `json:"policy,omitempty"`
	Route      *RouteState      `json:"route,omitempty"`
	Config     *ConfigState     `json:"config,omitempty"`
	Lease      *LeaseState      `json:"lease,omitempty"`
	APIService *APIServiceState `json:"api_service,omitempty"`
	Component  *ComponentState  `json:"component,omitempty"`
}

// PodState is what the topology knows of a pod.
type PodState struct {
	Phase         string    `json:"phase"`            // Pending, Running, Succeeded, Failed, Unknown
	Reason        string    `json:"reason,omitempty"` // status.reason, such as Evicted
	Node          string    `json:"node,omitempty"`
	Ready         bool      `json:"ready,omitempty"`
	ReadySince    time.Time `json:"ready_since,omitzero"` // when Ready last changed
	Scheduled     bool      `json:"scheduled,omitempty"`
	Considered    bool      `json:"considered,omitempty"`  // a scheduler has said something about it
	Scheduler     string    `json:"scheduler,omitempty"`   // the scheduler it asks for, where that is not the default one
	Terminating   bool      `json:"terminating,omitempty"` // deletionTimestamp is set
	RestartPolicy string    `json:"restart_policy,omitempty"`
	IP            string    `json:"ip,omitempty"`
	// TemplateHash tells which revision of its workload made the pod.
	TemplateHash string           `json:"template_hash,omitempty"`
	Containers   []ContainerState `json:"containers,omitempty"`
	References   []Entity         `json:"references,omitempty"` // ConfigMaps, Secrets, claims and the service account
	Spec         *PodSpec         `json:"spec,omitempty"`

	// What the pod takes of its node: requests of all containers together, as
	// the scheduler adds them up, with those other than CPU and memory in Extra.
	Requests  Resources         `json:"requests,omitzero"`
	Extra     map[string]string `json:"extra,omitempty"`
	HostPorts []string          `json:"host_ports,omitempty"` // "8080/TCP", or "10.0.0.1:8080/TCP"
	Priority  int32             `json:"priority,omitempty"`
	// AntiAffinity keeps other pods away for as long as this one runs.
	AntiAffinity []PodTerm  `json:"anti_affinity,omitempty"`
	Placement    *Placement `json:"placement,omitempty"` // while it has no node
}

// ContainerState is what the topology knows of a container.
type ContainerState struct {
	Name     string    `json:"name"`
	Image    string    `json:"image,omitempty"`
	Init     bool      `json:"init,omitempty"`
	Sidecar  bool      `json:"sidecar,omitempty"` // an init container that keeps running (restartPolicy Always)
	Ready    bool      `json:"ready,omitempty"`
	Restarts int32     `json:"restarts,omitempty"`
	State    string    `json:"state,omitempty"`  // waiting, running, terminated
	Reason   string    `json:"reason,omitempty"` // of waiting or terminated
	ExitCode int32     `json:"exit_code,omitempty"`
	Since    time.Time `json:"since,omitzero"` // start of running, end of terminated
	Limits   Resources `json:"limits,omitzero"`
	Requests Resources `json:"requests,omitzero"`
}

// NodeState is what the topology knows of a node.
type NodeState struct {
	Ready         string    `json:"ready"` // True, False, Unknown
	ReadySince    time.Time `json:"ready_since,omitzero"`
	Reason        string    `json:"reason,omitempty"` // of Ready
	Message       string    `json:"message,omitempty"`
	Pressures     []string  `json:"pressures,omitempty"` // condition types that are True: MemoryPressure, …
	Problems      []string  `json:"problems,omitempty"`  // other bad conditions that are True: KernelDeadlock, NetworkUnavailable, …
	Unschedulable bool      `json:"unschedulable,omitempty"`
	Taints        []string  `json:"taints,omitempty"` // key=value:effect
	Allocatable   Resources `json:"allocatable,omitzero"`
	// Extra holds what is allocatable beside CPU and memory: pods,
	// ephemeral-storage, nvidia.com/gpu, …
	Extra         map[string]string `json:"extra,omitempty"`
	CordonedSince time.Time         `json:"cordoned_since,omitzero"` // as its taint tells
}

// WorkloadState is what the topology knows of a Deployment, StatefulSet,
// DaemonSet, ReplicaSet, Job or CronJob.
type WorkloadState struct {
	Replicas ReplicaStatus `json:"replicas"`
	// Generation is how often the spec changed, Observed how much of that the
	// controller has seen.
	Generation int64 `json:"generation,omitempty"`
	Observed   int64 `json:"observed,omitempty"`
	// Edited is when somebody last edited the spec, where the object tells.
	Edited   time.Time `json:"edited,omitzero"`
	Revision string    `json:"revision,omitempty"` // of a Deployment or ReplicaSet
	Strategy string    `json:"strategy,omitempty"` // RollingUpdate, Recreate, OnDelete
	Paused   bool      `json:"paused,omitempty"`   // or suspended
	Stuck    bool      `json:"stuck,omitempty"`    // Progressing=False, ProgressDeadlineExceeded
	// ReplicaFailure is the message of the condition of that name, while it is true.
	ReplicaFailure string `json:"replica_failure,omitempty"`
	// Job results.
	Complete     bool   `json:"complete,omitempty"`
	Failed       bool   `json:"failed,omitempty"`
	FailedReason string `json:"failed_reason,omitempty"`
	BackoffLimit int32  `json:"backoff_limit,omitempty"`
	// Schedule and when it last led to a Job, of a CronJob.
	Schedule     string    `json:"schedule,omitempty"`
	TimeZone     string    `json:"time_zone,omitempty"`
	LastSchedule time.Time `json:"last_schedule,omitzero"`
	// Template is what the pod template says about routing and matching.
	TemplateLabels      map[string]string `json:"template_labels,omitempty"`
	TemplateAnnotations map[string]string `json:"template_annotations,omitempty"` // tapio.dev/ and a8r.io/ only
	// Spec is that of the pods to be made: of a workload that nothing owns.
	Spec *PodSpec `json:"spec,omitempty"`
}

// ServiceState is what the topology knows of a Service.
type ServiceState struct {
	Type         string            `json:"type,omitempty"` // ClusterIP, NodePort, LoadBalancer, ExternalName
	Selector     map[string]string `json:"selector,omitempty"`
	Ports        []ServicePort     `json:"ports,omitempty"`
	IP           string            `json:"ip,omitempty"` // None for a headless Service
	ExternalName string            `json:"external_name,omitempty"`
}

// EndpointsState is what the topology knows of one EndpointSlice, or of an
// Endpoints object where a dump has no slices.
type EndpointsState struct {
	Service  string         `json:"service"` // in the slice's own namespace
	Backends []Endpoint     `json:"backends,omitempty"`
	Ports    []EndpointPort `json:"ports,omitempty"`
}

// Endpoint is one address behind a Service.
type Endpoint struct {
	Pod   string `json:"pod,omitempty"` // in the slice's own namespace; empty where it is no pod
	Ready bool   `json:"ready,omitempty"`
}

// ClaimState is what the topology knows of a PersistentVolumeClaim.
type ClaimState struct {
	Phase  string `json:"phase"` // Pending, Bound, Lost
	Volume string `json:"volume,omitempty"`
	Class  string `json:"class,omitempty"`
	// ClassGiven tells an empty class, which asks for a volume without one, from
	// none, which asks for the default.
	ClassGiven bool           `json:"class_given,omitempty"`
	Requested  string         `json:"requested,omitempty"` // storage, a Kubernetes quantity
	Modes      []string       `json:"modes,omitempty"`     // access modes
	Mode       string         `json:"mode,omitempty"`      // Filesystem, Block
	Selector   *LabelSelector `json:"selector,omitempty"`
}

// QuotaState is what the topology knows of a ResourceQuota: quantities by
// resource name.
type QuotaState struct {
	Hard map[string]string `json:"hard,omitempty"`
	Used map[string]string `json:"used,omitempty"`
	// Scoped says that it counts some objects only: then it is not known which.
	Scoped bool `json:"scoped,omitempty"`
}

// ScalerState is what the topology knows of a HorizontalPodAutoscaler.
type ScalerState struct {
	Target  Entity `json:"target"`
	Min     int32  `json:"min"`
	Max     int32  `json:"max"`
	Current int32  `json:"current"`
	Desired int32  `json:"desired"`
	// Conditions are AbleToScale, ScalingActive and ScalingLimited.
	Conditions []Condition `json:"conditions,omitempty"`
}

// BudgetState is what the topology knows of a PodDisruptionBudget.
type BudgetState struct {
	Selector map[string]string `json:"selector,omitempty"`
	// Expressions are the rest of the selector. An empty selector takes in every
	// pod of the namespace.
	Expressions []Requirement `json:"expressions,omitempty"`
	Allowed     int32         `json:"allowed"` // disruptions allowed now
	Healthy     int32         `json:"healthy,omitempty"`
	Wanted      int32         `json:"wanted,omitempty"` // healthy pods that must stay
	Expected    int32         `json:"expected,omitempty"`
}

// LeaseState is what the topology knows of a Lease: who holds it and when that
// was last renewed, to ten seconds.
type LeaseState struct {
	Holder  string    `json:"holder,omitempty"`
	Renewed time.Time `json:"renewed,omitzero"`
}

// APIServiceState is what the topology knows of an APIService: a part of the
// API and the Service that answers for it, or none where it is the API
// server's own.
type APIServiceState struct {
	Service   Entity `json:"service,omitzero"`
	Available bool   `json:"available"`
	Reason    string `json:"reason,omitempty"`
	Message   string `json:"message,omitempty"`
}
