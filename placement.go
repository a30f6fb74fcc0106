package tapio

import "time"

// Requirement is one expression of a label selector or of a node affinity, as
// Kubernetes spells it: key, operator (In, NotIn, Exists, DoesNotExist, Gt, Lt)
// and values.
type Requirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
}

// LabelSelector is a selector with its expressions: all must match. The zero
// value matches everything; a nil one matches nothing.
type LabelSelector struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Expressions []Requirement     `json:"expressions,omitempty"`
}

// NodeTerm is one alternative of a node affinity: all of its requirements must
// match. Fields holds those on metadata.name.
type NodeTerm struct {
	Labels []Requirement `json:"labels,omitempty"`
	Fields []Requirement `json:"fields,omitempty"`
}

// PodTerm is one required term of a pod affinity or anti-affinity.
type PodTerm struct {
	Selector    *LabelSelector `json:"selector,omitempty"`
	TopologyKey string         `json:"topology_key"`
	// Namespaces are those looked at; empty means the pod's own. AllNamespaces
	// says that a namespace selector was given: which ones is not known then.
	Namespaces    []string `json:"namespaces,omitempty"`
	AllNamespaces bool     `json:"all_namespaces,omitempty"`
}

// SpreadRule is one topology spread constraint that keeps a pod from being
// scheduled (DoNotSchedule).
type SpreadRule struct {
	Selector    *LabelSelector `json:"selector,omitempty"`
	TopologyKey string         `json:"topology_key"`
	MaxSkew     int32          `json:"max_skew"`
	MinDomains  int32          `json:"min_domains,omitempty"`
}

// Toleration is one taint that a pod bears. An empty key bears all of them, an
// empty effect all effects.
type Toleration struct {
	Key      string `json:"key,omitempty"`
	Operator string `json:"operator,omitempty"` // Equal (also empty), Exists
	Value    string `json:"value,omitempty"`
	Effect   string `json:"effect,omitempty"`
}

// Placement is what a pod that has no node asks of one. Of a pod that has one
// nothing of this matters any more, and it is not kept.
type Placement struct {
	NodeSelector map[string]string `json:"node_selector,omitempty"`
	NodeTerms    []NodeTerm        `json:"node_terms,omitempty"` // alternatives; none means no required affinity
	Tolerations  []Toleration      `json:"tolerations,omitempty"`
	Affinity     []PodTerm         `json:"affinity,omitempty"`
	Spread       []SpreadRule      `json:"spread,omitempty"`
	Gates        []string          `json:"gates,omitempty"`
	Scheduler    string            `json:"scheduler,omitempty"` // where it is not the default one
}

// VolumeState is what the topology knows of a PersistentVolume.
type VolumeState struct {
	Phase    string            `json:"phase"` // Available, Bound, Released, Failed
	Capacity string            `json:"capacity,omitempty"`
	Modes    []string          `json:"modes,omitempty"`
	Mode     string            `json:"mode,omitempty"` // Filesystem, Block
	Class    string            `json:"class,omitempty"`
	Claim    Entity            `json:"claim,omitzero"` // the claim it is reserved for or bound to
	ClaimUID string            `json:"claim_uid,omitempty"`
	Reclaim  string            `json:"reclaim,omitempty"` // Retain, Delete
	Driver   string            `json:"driver,omitempty"`  // CSI driver, or the kind of its source
	Nodes    []NodeTerm        `json:"nodes,omitempty"`   // where it can be used; none means everywhere
	Zones    map[string]string `json:"zones,omitempty"`   // its labels of zone and region
}

// ClassState is what the topology knows of a StorageClass.
type ClassState struct {
	Provisioner string `json:"provisioner"`
	// WaitsForPod is the binding mode WaitForFirstConsumer: a claim waits until a
	// pod that uses it is scheduled.
	WaitsForPod bool `json:"waits_for_pod,omitempty"`
	Default     bool `json:"default,omitempty"`
}

// LimitState is what the topology knows of a LimitRange: quantities by type,
// bound and resource, such as "Container.max.cpu".
type LimitState struct {
	Limits map[string]string `json:"limits,omitempty"`
}

// WebhookState is what the topology knows of a webhook configuration of
// admission: what it calls, without its certificate.
type WebhookState struct {
	Hooks []Webhook `json:"hooks,omitempty"`
}

// Webhook is one hook of a configuration.
type Webhook struct {
	Name    string `json:"name"`
	Service Entity `json:"service,omitzero"` // zero where it is called by URL
	Host    string `json:"host,omitempty"`   // of the URL
	Policy  string `json:"policy,omitempty"` // Fail, Ignore
}

// Condition is one condition of an object's status.
type Condition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"` // True, False, Unknown
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}
