package tapio

// What the kernel of a node reports, beside [MemoryPressure] and
// [ConnectionFailed], which the seed design names.
const (
	OOMKill         EventType = "ebpf.oom_kill"            // killed because memory ran out: Reason is whose limit; AttrMain, AttrMemoryLimit, AttrCharged, AttrHeld; Count of processes
	ProcessExit     EventType = "ebpf.process_exit"        // a process of a container ended: AttrExitCode, AttrSignal, AttrMain, AttrSender
	ConnectionReset EventType = "network.connection.reset" // the peer reset what was established: AttrPeer, AttrPort
	Retransmissions EventType = "network.retransmissions"  // segments were sent again: Reason syn or data, AttrPeer, AttrPort
	DNSFailed       EventType = "network.dns.failed"       // on the node: AttrLocal asked AttrPeer for AttrMissing
)

// What the engine derives from these together with what the API says.
const (
	OOMOfNode   EventType = "container.oom_node"   // a process of the container was killed because its node had no memory left
	OOMOfChild  EventType = "container.oom_child"  // another than its first was killed at a limit: Reason is whose
	OOMUnsaid   EventType = "container.oom_unsaid" // its first process was killed at a limit, and its status does not say so
	KilledBy    EventType = "container.killed_by"  // a process sent the signal that ended it: AttrDetail says which, Reason is AttrSender
	PortRefused EventType = "service.port_refused" // calls of a Service with ready pods are refused: AttrServicePort, AttrTarget, AttrDetail
)

// Reasons of [OOMKill]: what had no memory left.
const (
	OOMContainer = "ContainerLimit"
	OOMPod       = "PodLimit"
	OOMParent    = "ParentLimit" // of a cgroup above the pod's, such as that of all pods
	OOMNode      = "NodeMemory"
)

// Reasons of [ConnectionFailed] and [DNSFailed]. The first three are those that
// logs are read for too.
const (
	Refused       = "refused"
	TimedOut      = "timed_out"
	NoRoute       = "no_route"
	ServerFailure = "server_failure"
	NoAnswer      = "no_answer"
)

// Keys of Event.Attrs that only the kernel sets.
const (
	AttrPID           = "pid"            // number of the process on the node
	AttrCommand       = "command"        // its name, up to 15 bytes
	AttrMain          = "main"           // "true" for the first process of a container
	AttrHeld          = "held"           // bytes that a killed process held
	AttrPeak          = "peak"           // bytes: the most that a process ever held
	AttrCharged       = "charged"        // bytes charged against AttrMemoryLimit
	AttrSender        = "sender"         // who sent the signal: a Sender… constant
	AttrSenderCommand = "sender_command" // its name, up to 15 bytes
	AttrSenderPID     = "sender_pid"     // its number on the node
	AttrLocal         = "local"          // address of the container's side of a connection
	AttrWait          = "wait"           // how long a connection was waited for on average, as time.Duration prints it
	AttrStallSome     = "stall_some"     // percent of the time in which some work waited for memory
	AttrStallFull     = "stall_full"     // percent of the time in which all did
)

// Values of AttrSender.
const (
	SenderKernel    = "kernel"    // such as for want of memory
	SenderContainer = "container" // a process of the same container
	SenderOther     = "other"     // a process of another container
	SenderNode      = "node"      // a process of the node: the container runtime, or somebody on it
)
