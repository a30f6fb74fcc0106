package tapio

// The event types that the engine derives by comparing what specs say with
// what exists. They hold for as long as both stay as they are.
const (
	// ServicePortMismatch is a Service that sends to a port which its pods don't
	// have: AttrServicePort, AttrTarget, AttrNearest. Reason says how.
	ServicePortMismatch EventType = "service.port_mismatch"
	// ServiceProtocolMismatch is a Service whose port has another protocol than
	// its pods': AttrServicePort, AttrTarget, AttrNearest is the protocol meant.
	ServiceProtocolMismatch EventType = "service.protocol_mismatch"
	// AddressMismatch is a workload that is told to call a Service, port or
	// scheme which does not exist: AttrOrigin says by what, AttrNearest what it
	// most likely means, AttrSaid whether its log complains of it.
	AddressMismatch EventType = "config.address_mismatch"
	// NameserverMismatch is a workload whose pods ask another nameserver than
	// the cluster's: AttrNearest, AttrSaid.
	NameserverMismatch EventType = "config.nameserver_mismatch"
	// ProbeMismatch is a probe that fails and asks a container otherwise than it
	// answers: Reason is the kind of probe, Message says in what they differ.
	ProbeMismatch EventType = "container.probe_mismatch"
	// CPUStarved is a container whose probes time out under a tiny CPU limit.
	CPUStarved EventType = "container.cpu_starved"
	// PolicyDenies is a workload whose calls get no answer and which a
	// NetworkPolicy, in AttrObject, leaves no way.
	PolicyDenies EventType = "network.policy_denies"
	// RouteBroken is a Service, that may not exist, to which the route in
	// AttrKind and AttrObject sends in vain: AttrNearest.
	RouteBroken EventType = "route.broken"
	// ScaledToZero is a workload without pods that somebody calls through the
	// Service in AttrObject.
	ScaledToZero EventType = "workload.scaled_to_zero"
	// DNSDown is the Service of the cluster's DNS with nobody behind it.
	DNSDown EventType = "dns.down"
	// ProxyDown is a node whose kube-proxy is not ready, while its pods call in
	// vain.
	ProxyDown EventType = "node.proxy_down"
)

// Keys of the attributes of these events.
const (
	AttrServicePort = "service_port" // number of the Service's port
	AttrTarget      = "target"       // port of the pods, a number or a name
	AttrSaid        = "said"         // "true" where the workload's own log complains of it
)

// FactWhy is the key in Story.Facts of a clause that says in what a failing
// probe differs from the container that it asks.
const FactWhy = "why"
