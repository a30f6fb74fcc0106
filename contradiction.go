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
)

// Keys of the attributes of these events.
const (
	AttrServicePort = "service_port" // number of the Service's port
	AttrTarget      = "target"       // port of the pods, a number or a name
)
