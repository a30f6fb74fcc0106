package tapio

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// EventType says what kind of fact an event is.
type EventType string

// The event types that collectors report today. The seed design spells some
// of them with the prefix "k8s."; templates may do so too.
const (
	ContainerExit         EventType = "container.exit"    // a container ended: Reason, AttrExitCode, AttrSignal, AttrStartedAt
	ContainerWaiting      EventType = "container.waiting" // a container can't start: Reason such as ErrImagePull
	ContainerStarted      EventType = "container.started" // a container runs
	ContainerLog          EventType = "container.log"     // the last lines of a container that ended: the answer to a want
	PodCreated            EventType = "pod.created"       // the pod appeared
	PodScheduled          EventType = "pod.scheduled"     // the pod got a node
	PodUnschedulable      EventType = "pod.unschedulable" // PodScheduled=False; Message is the scheduler's
	PodReady              EventType = "pod.ready"         // Ready turned true
	PodNotReady           EventType = "pod.notready"      // Ready turned false after it was true
	PodFailed             EventType = "pod.failed"        // phase Failed
	PodEvicted            EventType = "pod.evicted"       // phase Failed with reason Evicted; AttrResource
	PodDeleted            EventType = "pod.deleted"       // the pod is gone
	NodeReady             EventType = "node.ready"        // Ready turned true
	NodeNotReady          EventType = "node.notready"     // Ready is False or Unknown: AttrStatus
	NodePressure          EventType = "node.pressure"     // Memory-, Disk- or PIDPressure turned true: Reason is the condition's type
	NodePressureEnded     EventType = "node.pressure_ended"
	NodeProblem           EventType = "node.problem" // a condition that watches kernel, runtime, disk or network turned true: Reason is its type
	NodeProblemEnded      EventType = "node.problem_ended"
	APIServiceUnavailable EventType = "apiservice.unavailable" // Available turned false: Reason and Message are the condition's
	APIServiceAvailable   EventType = "apiservice.available"
	NodeCordoned          EventType = "node.cordoned"
	NodeUncordoned        EventType = "node.uncordoned"
	NodeChanged           EventType = "node.changed" // labels or taints edited, but for taints that follow its condition: Changes, AttrManager
	NodeDeleted           EventType = "node.deleted"
	WorkloadRollout       EventType = "workload.rollout"         // the pod template changed: Changes, AttrRevision, AttrManager, AttrRollback
	WorkloadScaled        EventType = "workload.scaled"          // the wanted number of pods changed: Changes, AttrManager
	WorkloadStuck         EventType = "workload.stuck"           // Progressing=False, ProgressDeadlineExceeded
	ReplicaFailure        EventType = "workload.replica_failure" // the controller can't create pods: Message is the API server's
	WorkloadAvailable     EventType = "workload.available"       // all wanted pods are up to date and available
	JobFailed             EventType = "job.failed"
	JobComplete           EventType = "job.complete"
	EndpointsRemoved      EventType = "endpoints.removed" // a Service lost ready endpoints: AttrReadyBefore, AttrReadyAfter
	EndpointsAdded        EventType = "endpoints.added"
	ServiceChanged        EventType = "service.changed" // selector or ports edited: Changes
	ConfigChanged         EventType = "config.changed"  // a ConfigMap was edited, created or deleted: Reason Created, Updated, Deleted
	QuotaChanged          EventType = "quota.changed"   // hard limits edited: Changes
	PolicyChanged         EventType = "policy.changed"  // a NetworkPolicy was edited, created or deleted: Reason, Changes
	RouteChanged          EventType = "route.changed"   // an Ingress or HTTPRoute was: Reason, Changes
	KubernetesEvent       EventType = "k8s.event"       // an Event object, or one more count of it: Reason, Message, Count
	// ServiceSelectsNone is derived by the engine from the topology: a Service's
	// selector takes in no pod. AttrSelector, AttrNearest.
	ServiceSelectsNone EventType = "service.selects_none"
	// PodStuck is derived by the engine from the topology: a pod that has its
	// node and has not become ready in ten minutes, though nobody reports a
	// failure. The reason says how far it got, the message in words.
	PodStuck EventType = "pod.stuck"
	// PodBlocked is derived by the engine from the topology: what keeps a pod from
	// getting a node or its volumes. Reason is the obstacle, such as Cordoned or
	// NoVolume; AttrKind and AttrObject name the object at fault, AttrDetail says
	// what was compared, and Message is the component's own.
	PodBlocked EventType = "pod.blocked"
	// PodsRefused is derived by the engine: what refuses the pods of a workload,
	// where the refusal's message does not name the object. Attributes as above.
	PodsRefused EventType = "pods.refused"
	// DrainBlocked is derived by the engine: a pod can't be evicted from its
	// cordoned node. Attributes as above, and AttrNode.
	DrainBlocked EventType = "pod.drain_blocked"
	// PodPreempted is derived by the engine: a pod of the workload had to go for
	// one of a higher priority, which AttrKind and AttrObject name where it is
	// known.
	PodPreempted EventType = "pod.preempted"
	// ScalerBlocked: an autoscaler can't do its work. Reason and Message are its
	// condition's.
	ScalerBlocked EventType = "scaler.blocked"
	// Derived by the engine too, from what several objects show together.
	PodUnseen          EventType = "pod.unseen"                // no scheduler has looked at a pod that waits: AttrComponent, AttrNode (see also SchedulingLatency)
	WorkloadUnattended EventType = "workload.unattended"       // no controller follows the spec: AttrComponent, AttrNode (see also ControllerLag)
	ImagePullSlow      EventType = "image.pull_slow"           // an image has been on its way for long: AttrImage, AttrNode
	ImagePulled        EventType = "image.pulled"              // such an image has come: AttrImage, AttrNode, AttrPullTime
	ImageNearMatch     EventType = "image.near_match"          // an image that can't be pulled differs by a letter or two from one in use: AttrNearest
	LimitTiny          EventType = "container.limit_tiny"      // a start was killed, and the memory limit is too small for any
	OOMRecord          EventType = "container.oom_record"      // an exit 137 within seconds of an out-of-memory kill on its node
	MemoryPressure     EventType = "ebpf.memory.pressure"      // a node or container waits for memory: AttrStallSome, AttrStallFull, AttrMemoryLimit, AttrCharged
	ConnectionFailed   EventType = "network.connection.failed" // of a container, Count of them: Reason such as refused, AttrPeer, AttrPort
)

// Keys of Event.Attrs. Values are text; the comment gives unit and form.
const (
	AttrExitCode     = "exit_code"     // integer 0 to 255
	AttrSignal       = "signal"        // integer, where the runtime gives one
	AttrContainerID  = "container_id"  // runtime://hex
	AttrStartedAt    = "started_at"    // RFC 3339
	AttrRestarts     = "restarts"      // integer: restarts so far
	AttrInit         = "init"          // "true" for an init container
	AttrImage        = "image"         // image reference as the pod names it
	AttrNode         = "node"          // node name
	AttrMemoryLimit  = "memory_limit"  // Kubernetes quantity, "256Mi"
	AttrResource     = "resource"      // memory, ephemeral-storage, …
	AttrStatus       = "status"        // condition status: True, False, Unknown
	AttrRevision     = "revision"      // rollout revision number
	AttrFromRevision = "from_revision" // rollout revision before
	AttrManager      = "manager"       // field manager that made a change
	AttrRollback     = "rollback"      // "true" where a rollout returns to an earlier template
	AttrTemplateHash = "template_hash" // pod-template-hash or controller-revision-hash of the pods it makes
	AttrReadyBefore  = "ready_before"  // integer
	AttrReadyAfter   = "ready_after"   // integer
	AttrEventType    = "event_type"    // Normal or Warning, of a Kubernetes Event
	AttrComponent    = "component"     // reporting component of a Kubernetes Event
	AttrFirstSeen    = "first_seen"    // RFC 3339: first time of a repeated Kubernetes Event
	AttrFieldPath    = "field_path"    // involvedObject.fieldPath of a Kubernetes Event
	AttrPrevious     = "previous"      // "true" where log lines are of the container's previous run
	AttrLastError    = "last_error"    // the line of a log that reads most like the error
	AttrSelector     = "selector"      // label selector, "app=web,tier=front"
	AttrNearest      = "nearest"       // name of the workload that a selector most likely meant
	AttrKind         = "kind"          // kind of the object at fault
	AttrObject       = "object"        // its name; namespace/name where it is in another namespace
	AttrDetail       = "detail"        // what was compared, in words that follow "that is to say"
	AttrTaint        = "taint"         // key=value of a taint
	AttrStanding     = "standing"      // of a derived event: how sure it is, where that is less than its template says
	AttrRelated      = "related"       // Kind/namespace/name of the other object of a Kubernetes Event
	AttrUID          = "uid"           // UID of the object, where it has one
	AttrPeerService  = "peer_service"  // namespace/name of the Service that the entity called in vain
	AttrTerminating  = "terminating"   // "true" where the pod was being deleted: its exits are then no failure
)

// Event is a fact: at this time this happened to this entity. It never
// changes. Its ID is derived from its content (see [Event.SetID]), so the same
// fact seen twice, by a relist, after a restart or by a second replica, is one
// event.
type Event struct {
	ID         string             `json:"id"`
	Time       time.Time          `json:"time"` // when it happened, by its source
	Seen       time.Time          `json:"seen"` // when the collector saw it
	Source     Source             `json:"source"`
	Type       EventType          `json:"type"`
	Severity   Severity           `json:"severity"`
	Entity     Entity             `json:"entity"`
	Reason     string             `json:"reason,omitempty"`
	Message    string             `json:"message,omitempty"`
	Count      int                `json:"count,omitempty"` // how often, where the source counts; 0 means once
	Attrs      map[string]string  `json:"attrs,omitempty"`
	Changes    []Change           `json:"changes,omitempty"`
	Kubernetes *KubernetesContext `json:"kubernetes,omitempty"`
	// Listed marks a fact that was found in a first listing or a dump rather
	// than watched as it happened.
	Listed bool `json:"listed,omitempty"`
}

// Change is one field of an object that was edited.
type Change struct {
	Field string `json:"field"` // such as "containers[app].resources.limits.memory"
	From  string `json:"from"`  // empty where it was added
	To    string `json:"to"`    // empty where it was removed
}

// Int returns the attribute as an integer, or 0 where it is absent or is none.
func (e *Event) Int(attr string) int {
	n, _ := strconv.Atoi(e.Attrs[attr])
	return n
}

// SetID derives the event's ID from what makes the fact one fact: type,
// entity, time to the microsecond, reason, message and count, and, for an exit,
// a rollout or what a container runtime reports, the container ID, revision or
// sandbox ID in place of the message; of the control plane also the member or
// certificate. Seen and Listed don't count.
func (e *Event) SetID() {
	h := sha256.New()
	switch e.Type {
	case ContainerExit:
		fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d", e.Type, e.Entity, e.Attrs[AttrContainerID], e.Time.UnixMicro())
	case CRIContainerCreated, CRIContainerStarted, CRIContainerStopped, CRIContainerFailed, CRIContainerRemoved, CRIResourceLimitHit:
		// Each happens once in the life of a container, whoever notices it and when.
		fmt.Fprintf(h, "%s\x00%s\x00%s", e.Type, e.Entity, e.Attrs[AttrContainerID])
	case CRISandboxCreated, CRISandboxRemoved:
		fmt.Fprintf(h, "%s\x00%s\x00%s", e.Type, e.Entity, e.Attrs[AttrSandboxID])
	case WorkloadRollout:
		fmt.Fprintf(h, "%s\x00%s\x00%s\x00%s", e.Type, e.Entity, e.Attrs[AttrUID], e.Attrs[AttrRevision])
	default:
		fmt.Fprintf(h, "%s\x00%s\x00%d\x00%s\x00%s\x00%d\x00%s", e.Type, e.Entity, e.Time.UnixMicro(), e.Reason, e.Message, e.Count, e.Attrs[AttrUID])
		// Two members may fail in the same words at once; who a pod had to go for
		// may be known only later.
		if e.Source == SourceControlPlane || e.Type == PodPreempted {
			fmt.Fprintf(h, "\x00%s", e.Attrs[AttrObject])
		}
	}
	e.ID = ShortHash(h.Sum(nil))
}

// ShortHash writes the first 10 bytes of a digest as 16 lower-case letters and
// digits: short enough to read, long enough not to meet twice.
func ShortHash(sum []byte) string {
	return base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding).EncodeToString(sum[:10])
}

// Validate says what is missing from the event.
func (e *Event) Validate() error {
	switch {
	case e.ID == "":
		return errors.New("event has no id")
	case e.Type == "":
		return fmt.Errorf("event %s has no type", e.ID)
	case e.Entity.Kind == "" || e.Entity.Name == "":
		return fmt.Errorf("event %s (%s) names no entity", e.ID, e.Type)
	case e.Time.IsZero():
		return fmt.Errorf("event %s (%s) has no time", e.ID, e.Type)
	}
	return nil
}

// KubernetesContext is the background of an event that the seed design names.
type KubernetesContext struct {
	WorkloadType       string         `json:"workload_type,omitempty"`    // "Deployment", "StatefulSet", "Job"
	OwnerChain         []string       `json:"owner_chain,omitempty"`      // ["Deployment/checkout", "ReplicaSet/checkout-7d9f"]
	DependsOn          []string       `json:"depends_on,omitempty"`       // ["ConfigMap/checkout", "Secret/db"]
	BusinessService    string         `json:"business_service,omitempty"` // annotation tapio.dev/service
	CriticalPath       bool           `json:"critical_path,omitempty"`
	HealthStatus       string         `json:"health_status,omitempty"`       // "healthy", "degraded", "failing"
	DeploymentStrategy string         `json:"deployment_strategy,omitempty"` // "RollingUpdate", "Recreate"
	ReplicaStatus      *ReplicaStatus `json:"replica_status,omitempty"`
	ResourceRequests   *Resources     `json:"resource_requests,omitempty"`
	ResourceLimits     *Resources     `json:"resource_limits,omitempty"`
}

// ReplicaStatus counts the pods of a workload.
type ReplicaStatus struct {
	Desired   int32 `json:"desired"`
	Current   int32 `json:"current"`
	Ready     int32 `json:"ready"`
	Updated   int32 `json:"updated"`
	Available int32 `json:"available"`
}

// Resources is an amount of CPU and memory, as Kubernetes quantities ("500m",
// "256Mi"); empty means not set.
type Resources struct {
	CPU    string `json:"cpu,omitempty"`
	Memory string `json:"memory,omitempty"`
}

// Gap says that a source may have missed things between two times. Loss is
// data: a story that spans the gap says so.
type Gap struct {
	Source   Source    `json:"source"`
	Resource string    `json:"resource,omitempty"` // what was watched, such as "pods"
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Reason   string    `json:"reason"`            // such as "watch expired (410)", "queue full"
	Dropped  int       `json:"dropped,omitempty"` // how many observations, where it was counted
}

// Observation is the one thing a collector reports: exactly one of Event,
// State and Gap is set.
type Observation struct {
	Time  time.Time `json:"time"` // when the collector reported it; never before that of the one before
	Event *Event    `json:"event,omitempty"`
	State *State    `json:"state,omitempty"`
	Gap   *Gap      `json:"gap,omitempty"`
}

// Validate reports an observation that is not exactly one of event, state and
// gap, or whose event is incomplete.
func (o *Observation) Validate() error {
	n := 0
	if o.Event != nil {
		n++
	}
	if o.State != nil {
		n++
	}
	if o.Gap != nil {
		n++
	}
	switch {
	case n != 1:
		return fmt.Errorf("observation holds %d of event, state and gap, want one", n)
	case o.Time.IsZero():
		return errors.New("observation has no time")
	case o.Event != nil:
		return o.Event.Validate()
	case o.State != nil && (o.State.Entity.Kind == "" || o.State.Entity.Name == ""):
		return errors.New("state names no entity")
	}
	return nil
}

// DecodeObservation reads one line of a recording and validates it.
func DecodeObservation(line []byte) (*Observation, error) {
	o := new(Observation)
	if err := json.Unmarshal(line, o); err != nil {
		return nil, err
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return o, nil
}

// WantKind says what a want asks for.
type WantKind string

// WantLog asks for the last lines of a container's log. The answer is an event
// of type [ContainerLog].
const WantLog WantKind = "log"

// LogUnread is the reason of a [ContainerLog] event that stands for a log that
// could not be read: somebody who waits for it need not any more. An event without
// reason and message stands for a log that is empty.
const LogUnread = "Unread"

// WantConfig asks for the values of a ConfigMap that a failing container takes
// its settings from. The answer is its state, with [State.Config].
const WantConfig WantKind = "config"

// Want is a question that the engine has for a collector. It is optional: a
// collector answers within its bounds or not at all.
type Want struct {
	Kind     WantKind `json:"kind"`
	Entity   Entity   `json:"entity"`             // a pod with its container, or a ConfigMap
	Previous bool     `json:"previous,omitempty"` // of the run before the present one, where there is one
	Run      string   `json:"run,omitempty"`      // container ID of the run that ended, as runtime://hex; tells wants apart
}
