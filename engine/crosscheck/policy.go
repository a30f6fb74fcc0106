package crosscheck

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/topology"
)

// flow is traffic that somebody complains of: from a pod to one behind a
// Service, on the port that the pod listens on.
type flow struct {
	from, to *tapio.State
	port     int
	protocol string
	names    []string // of the port
}

// denied tells of the policies that leave no way for calls which a workload
// says get no answer.
func denied(g *topology.Graph, s Subject) []Fact {
	var out []Fact
	for i := range s.Complaints {
		c := &s.Complaints[i]
		from := g.State(c.Pod)
		if from == nil || from.Pod == nil || !g.Exists(c.Pod) {
			continue
		}
		if c.name() && c.Class == "name_timed_out" {
			if p := closed(g, flow{from: from, port: 53, protocol: "UDP"}, true); p != nil {
				out = append(out, policyFact(s, p, fmt.Sprintf("NetworkPolicy %s lets %s call nobody on port 53, where names are asked for", p.Entity.Name, s.Workload.Name)))
			}
			continue
		}
		if c.Class != "timed_out" && c.Class != "no_route" && c.Class != "refused" && c.Class != "unavailable" {
			continue
		}
		svc, ok := g.Resolve(strings.ToLower(c.Host), s.Workload.Namespace)
		if !ok {
			continue
		}
		for _, f := range flows(g, from, svc, c.Port) {
			if p := closed(g, f, false); p != nil {
				out = append(out, policyFact(s, p, fmt.Sprintf("NetworkPolicy %s lets no call of %s through to the pods behind Service %s", p.Entity.Name, s.Workload.Name, svc.Name)))
				break
			}
			if p := closed(g, f, true); p != nil {
				out = append(out, policyFact(s, p, fmt.Sprintf("NetworkPolicy %s lets no call of %s out to Service %s", p.Entity.Name, s.Workload.Name, svc.Name)))
				break
			}
		}
	}
	return out
}

func policyFact(s Subject, p *tapio.State, message string) Fact {
	name := p.Entity.Name
	if p.Entity.Namespace != s.Workload.Namespace {
		name = p.Entity.Namespace + "/" + name
	}
	return Fact{
		Type: tapio.PolicyDenies, Severity: tapio.SeverityHigh, Entity: s.Workload, Reason: "NoRule", Message: message,
		Attrs: map[string]string{tapio.AttrKind: string(tapio.KindNetworkPolicy), tapio.AttrObject: name},
	}
}

// flows returns the traffic from a pod to the pods behind a Service.
func flows(g *topology.Graph, from *tapio.State, svc tapio.Entity, port string) []flow {
	var out []flow
	for i, to := range g.Selected(svc) {
		if i == 3 { // the fourth pod of a workload says what the first three say
			break
		}
		for _, p := range g.State(svc).Service.Ports {
			if port != "" && port != strconv.Itoa(int(p.Port)) {
				continue
			}
			f := flow{from: from, to: to, protocol: p.Protocol}
			f.port, _ = strconv.Atoi(p.Target)
			if to.Pod.Spec != nil {
				for _, d := range ports(to.Pod.Spec) {
					if d.Name != "" && d.Name == p.Target {
						f.port = int(d.Port)
					}
					if int(d.Port) == f.port && d.Name != "" {
						f.names = append(f.names, d.Name)
					}
				}
			}
			out = append(out, f)
		}
	}
	return out
}

// closed returns a policy that limits the traffic where none of those that do
// allows it, or nil. Egress looks at whom the caller may call, otherwise at who
// may call the other.
func closed(g *topology.Graph, f flow, egress bool) *tapio.State {
	subject := f.to
	if egress {
		subject = f.from
	}
	var limits *tapio.State
	for _, p := range g.All(tapio.KindNetworkPolicy, subject.Entity.Namespace) {
		if p.Policy == nil || !p.Policy.Pods.Matches(subject.Labels) || egress && !p.Policy.Egress || !egress && !p.Policy.Ingress {
			continue
		}
		rules := p.Policy.From
		if egress {
			rules = p.Policy.To
		}
		for i := range rules {
			if f.allowed(g, &rules[i], p.Entity.Namespace, egress) {
				return nil
			}
		}
		if limits == nil || p.Created.After(limits.Created) {
			limits = p
		}
	}
	return limits
}

// allowed reports whether a rule lets the traffic through.
func (f *flow) allowed(g *topology.Graph, r *tapio.PolicyRule, namespace string, egress bool) bool {
	onPort := len(r.Ports) == 0 || slices.ContainsFunc(r.Ports, func(p tapio.PolicyPort) bool {
		if p.Protocol != f.protocol {
			return false
		}
		n, err := strconv.Atoi(p.Port)
		return p.Port == "" || err != nil && slices.Contains(f.names, p.Port) || err == nil && (n == f.port || int(p.End) >= f.port && n <= f.port)
	})
	if !onPort {
		return false
	}
	other := f.from
	if egress {
		other = f.to
	}
	if len(r.Peers) == 0 || other == nil { // of DNS it is not known who answers
		return true
	}
	return slices.ContainsFunc(r.Peers, func(p tapio.PolicyPeer) bool {
		if p.CIDR != "" {
			return inRange(p, other.Pod.IP)
		}
		if p.Namespaces == nil && other.Entity.Namespace != namespace {
			return false
		}
		if p.Namespaces != nil {
			ns := g.State(tapio.Entity{Kind: tapio.KindNamespace, Name: other.Entity.Namespace})
			if ns == nil {
				return true // what labels it has is not known
			}
			if !p.Namespaces.Matches(ns.Labels) {
				return false
			}
		}
		return p.Pods == nil || p.Pods.Matches(other.Labels)
	})
}

// inRange reports whether a peer takes in an address; one that is not known
// it may take in.
func inRange(p tapio.PolicyPeer, address string) bool {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return true
	}
	in := func(cidr string) bool {
		prefix, err := netip.ParsePrefix(cidr)
		return err == nil && prefix.Contains(ip)
	}
	return in(p.CIDR) && !slices.ContainsFunc(p.Except, in)
}
