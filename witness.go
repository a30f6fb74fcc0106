package tapio

// What the agent of a node reports. The runtime's types keep the names that
// the seed design gives them, behind the name of their source; they stand
// beside those of the API, such as [ContainerExit], and never replace them: the
// kubelet's word decides whether something failed, the runtime's says when to
// the millisecond and with what.
const (
	CRIContainerCreated EventType = "cri.container_created"
	CRIContainerStarted EventType = "cri.container_started"
	CRIContainerStopped EventType = "cri.container_stopped" // ended with exit code 0, or with one that nobody saw
	CRIContainerFailed  EventType = "cri.container_failed"  // ended with another exit code, or could not be started
	CRIContainerRemoved EventType = "cri.container_removed"
	CRISandboxCreated   EventType = "cri.pod_sandbox_created"
	CRISandboxRemoved   EventType = "cri.pod_sandbox_removed"
	CRIImagePulled      EventType = "cri.image_pulled"       // an image is there that was not: AttrImage, AttrPullTime
	CRIImagePullFailed  EventType = "cri.image_pull_failed"  // no runtime tells others than who asked for the image: never sent, the kubelet's Event says it
	CRIResourceLimitHit EventType = "cri.resource_limit_hit" // the runtime says that a limit ended the container: AttrResource, AttrMemoryLimit
	NodeKubeletDown     EventType = "node.kubelet_down"      // the kubelet does not answer on its own node: the node itself lives
	NodeKubeletUp       EventType = "node.kubelet_up"
	NodeRuntimeDown     EventType = "node.runtime_down" // the container runtime does not answer on its own node
	NodeRuntimeUp       EventType = "node.runtime_up"
	// NodeUnanswering is derived by the engine: pods of other nodes get no answer
	// from a pod on the node. Message says which.
	NodeUnanswering EventType = "node.unanswering"
	NodeAgentLost   EventType = "node.agent_lost" // nothing is heard from the node's agent any more: Time is that of its last word
	NodeAgentBack   EventType = "node.agent_back"
)

// Keys of Event.Attrs that only agents set.
const (
	AttrSandboxID     = "sandbox_id"     // the runtime's ID of the pod's sandbox
	AttrMemoryUsage   = "memory_usage"   // bytes of working set, as last measured before the event
	AttrCPUUsage      = "cpu_usage"      // millicores, as last measured before the event
	AttrCPULimit      = "cpu_limit"      // Kubernetes quantity, "500m"
	AttrCPURequest    = "cpu_request"    // millicores, from the shares that the runtime was given
	AttrMemoryRequest = "memory_request" // Kubernetes quantity
	AttrPullTime      = "pull_time"      // how long an image took at most, as time.Duration prints it
	AttrFinishedAt    = "finished_at"    // RFC 3339 with nanoseconds
)

// IsRuntime reports whether the type is one that only a container runtime
// reports.
func (t EventType) IsRuntime() bool { return len(t) > 4 && t[:4] == "cri." }
