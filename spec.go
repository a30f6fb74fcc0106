package tapio

// PodSpec is what a pod was asked to be, as far as the engine compares it with
// what exists. The pods of one template share it: nobody may change it.
type PodSpec struct {
	Containers  []ContainerSpec `json:"containers,omitempty"` // init containers first
	HostNetwork bool            `json:"host_network,omitempty"`
	DNSPolicy   string          `json:"dns_policy,omitempty"` // ClusterFirst, Default, None, ClusterFirstWithHostNet
	Nameservers []string        `json:"nameservers,omitempty"`
	RunAsUser   *int64          `json:"run_as_user,omitempty"`
	FSGroup     *int64          `json:"fs_group,omitempty"`
	Volumes     []Volume        `json:"volumes,omitempty"` // but for the service account's token
}

// Container returns the container of that name, or nil.
func (s *PodSpec) Container(name string) *ContainerSpec {
	if s == nil {
		return nil
	}
	for i := range s.Containers {
		if s.Containers[i].Name == name {
			return &s.Containers[i]
		}
	}
	return nil
}

// ContainerSpec is what a container was asked to be. What looks like a secret
// in it is hidden, and long texts are cut.
type ContainerSpec struct {
	Name           string          `json:"name"`
	Init           bool            `json:"init,omitempty"`
	Sidecar        bool            `json:"sidecar,omitempty"` // an init container that keeps running
	Command        []string        `json:"command,omitempty"`
	Args           []string        `json:"args,omitempty"`
	Ports          []ContainerPort `json:"ports,omitempty"`
	Probes         []Probe         `json:"probes,omitempty"`
	Env            []EnvVar        `json:"env,omitempty"`
	EnvFrom        []Entity        `json:"env_from,omitempty"` // ConfigMaps and Secrets that are taken in whole
	Mounts         []Mount         `json:"mounts,omitempty"`
	RunAsUser      *int64          `json:"run_as_user,omitempty"` // else the pod's
	RunAsNonRoot   bool            `json:"run_as_non_root,omitempty"`
	ReadOnlyRootFS bool            `json:"read_only_root_fs,omitempty"`
}

// ContainerPort is a port that a container says it listens on.
type ContainerPort struct {
	Name     string `json:"name,omitempty"`
	Port     int32  `json:"port"`
	Protocol string `json:"protocol"` // TCP, UDP, SCTP
	HostPort int32  `json:"host_port,omitempty"`
}

// The kinds of probes.
const (
	ProbeLiveness  = "liveness"
	ProbeReadiness = "readiness"
	ProbeStartup   = "startup"
)

// Probe is a question that the kubelet asks a container again and again.
type Probe struct {
	Kind   string `json:"kind"`           // liveness, readiness, startup
	Type   string `json:"type"`           // http, tcp, grpc, exec
	Port   string `json:"port,omitempty"` // number or name
	Path   string `json:"path,omitempty"`
	Scheme string `json:"scheme,omitempty"` // HTTP, HTTPS
	Host   string `json:"host,omitempty"`   // asked instead of the pod
	// Delay, Period and Timeout are in seconds, Failures in a row fail it.
	Delay    int32 `json:"delay,omitempty"`
	Period   int32 `json:"period,omitempty"`
	Timeout  int32 `json:"timeout,omitempty"`
	Failures int32 `json:"failures,omitempty"`
}

// EnvVar is a variable of a container's environment: a literal value, or where
// its value comes from. A Secret's value is never told.
type EnvVar struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	From  Entity `json:"from,omitzero"` // ConfigMap or Secret
	Key   string `json:"key,omitempty"` // of From; of a field of the pod its path
}

// Mount is a volume in a container's file system.
type Mount struct {
	Volume   string `json:"volume"`
	Path     string `json:"path"`
	SubPath  string `json:"sub_path,omitempty"`
	ReadOnly bool   `json:"read_only,omitempty"`
}

// Volume is a volume of a pod. Source is the object that it comes from; of a
// volume that comes from no object its Kind alone, such as EmptyDir.
type Volume struct {
	Name     string `json:"name"`
	Source   Entity `json:"source"`
	Path     string `json:"path,omitempty"` // of a HostPath
	Optional bool   `json:"optional,omitempty"`
}

// ServicePort is a port of a Service.
type ServicePort struct {
	Name     string `json:"name,omitempty"`
	Port     int32  `json:"port"`
	Target   string `json:"target"`   // number or name of the pods' port
	Protocol string `json:"protocol"` // TCP, UDP, SCTP
	NodePort int32  `json:"node_port,omitempty"`
}

// EndpointPort is a port that a slice's backends are reached on.
type EndpointPort struct {
	Name     string `json:"name,omitempty"` // of the Service's port
	Port     int32  `json:"port"`
	Protocol string `json:"protocol"`
}

// Matches reports whether the selector takes in an object with these labels.
func (s *LabelSelector) Matches(labels map[string]string) bool {
	if s == nil {
		return false
	}
	for k, v := range s.Labels {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	for _, r := range s.Expressions {
		have, ok := labels[r.Key]
		in := false
		for _, v := range r.Values {
			in = in || ok && v == have
		}
		switch r.Operator {
		case "In":
			ok = in
		case "NotIn":
			ok = !in
		case "DoesNotExist":
			ok = !ok
		}
		if !ok {
			return false
		}
	}
	return true
}

// PolicyState is what the topology knows of a NetworkPolicy.
type PolicyState struct {
	Pods    LabelSelector `json:"pods"`              // whom it is about, in its own namespace
	Ingress bool          `json:"ingress,omitempty"` // it limits who may call them
	Egress  bool          `json:"egress,omitempty"`  // it limits whom they may call
	From    []PolicyRule  `json:"from,omitempty"`    // what ingress allows
	To      []PolicyRule  `json:"to,omitempty"`      // what egress allows
}

// PolicyRule allows traffic with any of the peers on any of the ports. No
// peers means everybody, no ports every port.
type PolicyRule struct {
	Peers []PolicyPeer `json:"peers,omitempty"`
	Ports []PolicyPort `json:"ports,omitempty"`
}

// PolicyPeer is one that a policy allows traffic with: pods, in the policy's
// own namespace unless Namespaces is set, or a range of addresses.
type PolicyPeer struct {
	Pods       *LabelSelector `json:"pods,omitempty"`
	Namespaces *LabelSelector `json:"namespaces,omitempty"`
	CIDR       string         `json:"cidr,omitempty"`
	Except     []string       `json:"except,omitempty"`
}

// PolicyPort is a port, or a range of them, that a policy allows.
type PolicyPort struct {
	Protocol string `json:"protocol"`
	Port     string `json:"port,omitempty"` // number or name; empty for all of the protocol
	End      int32  `json:"end,omitempty"`  // last of a range
}

// RouteState is what the topology knows of an Ingress or HTTPRoute.
type RouteState struct {
	Class    string         `json:"class,omitempty"` // of an Ingress; the gateways of a route
	Backends []RouteBackend `json:"backends,omitempty"`
}

// RouteBackend is one place that a route sends requests to.
type RouteBackend struct {
	Host    string `json:"host,omitempty"`
	Path    string `json:"path,omitempty"`
	Service Entity `json:"service"`
	Port    string `json:"port,omitempty"` // number or name
}

// ConfigState holds values of a ConfigMap, where somebody offered them: live
// they are asked for by a want. What looks like a secret is hidden, long values
// are cut.
type ConfigState struct {
	Values map[string]string `json:"values,omitempty"`
}
