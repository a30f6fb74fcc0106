package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// specs adds to a state what its line says of specs; what is none of these
// keys it leaves alone.
func specs(s *tapio.State, o options) error {
	switch {
	case s.Pod != nil:
		s.Listed = o["listed"] == "true"
		spec, err := podSpec(o)
		s.Pod.Spec, s.Pod.IP = spec, o["ip"]
		if limit, ok := o["cpulimit"]; ok {
			s.Pod.Containers[0].Limits.CPU = limit
		}
		return err
	case s.Workload != nil && s.Owner.IsZero():
		spec, err := podSpec(o)
		s.Workload.Spec = spec
		return err
	case s.Route != nil:
		for b := range fields(o["backends"]) {
			parts := strings.Split(b, ":")
			if len(parts) != 3 {
				return fmt.Errorf("backend %q is not PATH:SERVICE:PORT", b)
			}
			s.Route.Backends = append(s.Route.Backends, tapio.RouteBackend{
				Path: parts[0], Service: tapio.Entity{Kind: tapio.KindService, Namespace: s.Entity.Namespace, Name: parts[1]}, Port: parts[2],
			})
		}
	case s.Policy != nil:
		s.Policy.Pods = tapio.LabelSelector{Labels: labels(o["pods"])}
		s.Policy.Ingress, s.Policy.Egress = o["egress"] == "", o["egress"] != ""
		if from, ok := o["from"]; ok {
			s.Policy.From = []tapio.PolicyRule{{Peers: []tapio.PolicyPeer{{Pods: &tapio.LabelSelector{Labels: labels(from)}}}}}
		}
	case s.Service != nil:
		s.Listed = o["listed"] == "true"
		s.Service.Type, s.Service.IP, s.Service.ExternalName = o.get("type", "ClusterIP"), o["ip"], o["external"]
		for p := range fields(o["ports"]) {
			port, protocol := protocolOf(p)
			parts, name := strings.Split(port, ":"), ""
			if _, err := strconv.Atoi(parts[0]); err != nil && len(parts) > 1 {
				name, parts = parts[0], parts[1:]
			}
			number, err := strconv.Atoi(parts[0])
			if err != nil {
				return fmt.Errorf("port %q is not [NAME:]PORT[:TARGET]", p)
			}
			target := parts[len(parts)-1]
			s.Service.Ports = append(s.Service.Ports, tapio.ServicePort{Name: name, Port: int32(number), Target: target, Protocol: protocol})
		}
	}
	return nil
}

// fields yields the parts of a list between commas.
func fields(s string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for f := range strings.SplitSeq(s, ",") {
			if f != "" && !yield(f) {
				return
			}
		}
	}
}

func protocolOf(s string) (port, protocol string) {
	port, protocol, ok := strings.Cut(s, "/")
	if !ok {
		protocol = "TCP"
	}
	return port, protocol
}

// podSpec is a spec of one container, or nil where nothing is said of one.
func podSpec(o options) (*tapio.PodSpec, error) {
	if !slices.ContainsFunc([]string{"ports", "env", "args", "probe", "dns", "hostnet"}, func(k string) bool { _, ok := o[k]; return ok }) {
		return nil, nil
	}
	name, _, _ := strings.Cut(o.get("container", "app:running"), ":")
	c := tapio.ContainerSpec{Name: name}
	for p := range fields(o["ports"]) {
		port, protocol := protocolOf(p)
		name, n, ok := strings.Cut(port, ":")
		if !ok {
			name, n = "", port
		}
		number, err := strconv.Atoi(n)
		if err != nil {
			return nil, fmt.Errorf("port %q is not [NAME:]PORT[/PROTOCOL]", p)
		}
		c.Ports = append(c.Ports, tapio.ContainerPort{Name: name, Port: int32(number), Protocol: protocol})
	}
	for e := range fields(o["env"]) {
		name, value, _ := strings.Cut(e, "=")
		v := tapio.EnvVar{Name: name, Value: value}
		if from, ok := strings.CutPrefix(value, "@"); ok { // @ConfigMap/name/key
			parts := strings.SplitN(from, "/", 3)
			v.Value, v.From, v.Key = "", tapio.Entity{Kind: tapio.Kind(parts[0]), Name: parts[1]}, parts[2]
		}
		c.Env = append(c.Env, v)
	}
	c.Args = strings.Fields(o["args"])
	for p := range fields(o["probe"]) {
		parts := strings.SplitN(p, ":", 4)
		if len(parts) < 3 {
			return nil, fmt.Errorf("probe %q is not KIND:TYPE:PORT[:DELAY]", p)
		}
		probe := tapio.Probe{Kind: parts[0], Type: parts[1], Port: parts[2], Period: 10, Timeout: 1, Failures: 3}
		if parts[1] == "http" || parts[1] == "https" {
			probe.Type, probe.Scheme, probe.Path = "http", strings.ToUpper(parts[1]), "/healthz"
		}
		if len(parts) == 4 {
			delay, err := time.ParseDuration(parts[3])
			if err != nil {
				return nil, err
			}
			probe.Delay = int32(delay / time.Second)
		}
		c.Probes = append(c.Probes, probe)
	}
	out := &tapio.PodSpec{Containers: []tapio.ContainerSpec{c}, DNSPolicy: "ClusterFirst", HostNetwork: o["hostnet"] == "true"}
	if dns, ok := o["dns"]; ok {
		out.DNSPolicy, out.Nameservers = "None", strings.Split(dns, ",")
	}
	return out, nil
}
