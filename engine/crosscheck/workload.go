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

// Complaint is what a container said of somebody it calls.
type Complaint struct {
	Pod   tapio.Entity
	Class string // as in the reason of an app.error: refused, timed_out, name_not_found, …
	Host  string
	Port  string
}

// name reports whether the complaint is that a name does not resolve.
func (c *Complaint) name() bool { return c.Class == "name_not_found" || c.Class == "name_timed_out" }

// Unreached reports whether the complaint is that nobody was reached, or not by
// the right protocol: whoever answers otherwise has the address that was meant.
func (c *Complaint) Unreached() bool {
	switch c.Class {
	case "refused", "reset", "timed_out", "no_route", "unavailable", "name_not_found", "name_timed_out", "tls", "protocol":
		return true
	}
	return false
}

// Subject is a workload that something is wrong with.
type Subject struct {
	Workload   tapio.Entity
	Crashes    bool // its containers end or are not ready
	Explained  bool // its log says of something else that it failed, such as a refused password
	Complaints []Complaint
	Probes     []Failed
}

// Workload compares what the pods of a workload are told with what exists.
func Workload(g *topology.Graph, s Subject) []Fact {
	var out []Fact
	specs := specsOf(g, s.Workload)
	for _, spec := range specs {
		out = append(out, wrongAddresses(g, s, spec)...)
		out = append(out, wrongDNS(g, s, spec)...)
		out = append(out, probes(g, s, spec)...)
	}
	out = append(out, denied(g, s)...)
	var unique []Fact // pods of two revisions often say the same
	for _, f := range out {
		if !slices.ContainsFunc(unique, func(o Fact) bool { return o.Type == f.Type && o.Message == f.Message && o.Entity == f.Entity }) {
			unique = append(unique, f)
		}
	}
	return unique
}

// specsOf returns the specs of the pods of a workload that are not ready, or of
// all where each is.
func specsOf(g *topology.Graph, workload tapio.Entity) []*tapio.PodSpec {
	var unready, all []*tapio.PodSpec
	for _, p := range g.Pods(workload) {
		if p.Pod.Spec == nil || p.Pod.Terminating {
			continue
		}
		if !slices.Contains(all, p.Pod.Spec) && len(all) < 5 {
			all = append(all, p.Pod.Spec)
			if !p.Pod.Ready {
				unready = append(unready, p.Pod.Spec)
			}
		}
	}
	if len(unready) > 0 {
		return unready
	}
	return all
}

// about returns the complaint about the address, or nil.
func (s *Subject) about(a Address) *Complaint {
	for i := range s.Complaints {
		c := &s.Complaints[i]
		host := strings.TrimSuffix(strings.ToLower(c.Host), ".")
		same := host == a.Host || strings.HasPrefix(host, a.Host+".") || strings.HasPrefix(a.Host, host+".") && host != ""
		if same && (c.Port == "" || a.Port == 0 || c.Port == strconv.Itoa(a.Port)) {
			return c
		}
	}
	return nil
}

func wrongAddresses(g *topology.Graph, s Subject, spec *tapio.PodSpec) []Fact {
	var out []Fact
	namespace := s.Workload.Namespace
	for _, a := range addresses(g, namespace, spec) {
		name, ns, ok := inside(g, a.Host, namespace)
		if !ok {
			continue
		}
		complaint := s.about(a)
		if complaint == nil && (!s.Crashes || s.Explained) {
			continue
		}
		f := Fact{Type: tapio.AddressMismatch, Severity: tapio.SeverityHigh, Entity: s.Workload, Attrs: map[string]string{tapio.AttrOrigin: a.Origin}}
		if complaint != nil {
			f.Attrs[tapio.AttrSaid] = "true"
		}
		svc, found := g.Resolve(a.Host, namespace)
		switch {
		case !found && !g.Exists(tapio.Entity{Kind: tapio.KindPod, Namespace: ns, Name: name}):
			meant := meantService(g, name, ns)
			if meant == "" && complaint == nil || complaint != nil && !complaint.name() && meant == "" {
				continue
			}
			f.Reason = "NoSuchService"
			f.Message = fmt.Sprintf("%s names %s, and there is no Service %s in namespace %s", a.Origin, a.Text, name, ns)
			if meant != "" {
				f.Attrs[tapio.AttrNearest] = meant
			}
		case found && a.Port != 0:
			ports := g.State(svc).Service.Ports
			if !wrongPort(g.State(svc).Service, a.Port) {
				if complaint == nil || !wrongScheme(g.State(svc).Service, a, complaint) {
					continue
				}
				f.Reason = "WrongScheme"
				f.Message = fmt.Sprintf("%s calls %s with %s, and that port of Service %s speaks %s", a.Origin, a.Text, a.Scheme, svc.Name, otherScheme(a.Scheme))
				f.Attrs[tapio.AttrNearest] = otherScheme(a.Scheme) + "://" + a.Text
				break
			}
			f.Reason = "NoSuchPort"
			f.Message = fmt.Sprintf("%s names %s, and Service %s has no port %d, only %s", a.Origin, a.Text, svc.Name, a.Port, servicePorts(ports))
			if len(ports) == 1 {
				f.Attrs[tapio.AttrNearest] = a.Host + ":" + strconv.Itoa(int(ports[0].Port))
			}
		default:
			continue
		}
		out = append(out, f)
	}
	return out
}

// wrongPort reports whether a Service forwards nothing that is sent to the
// port. Who calls a headless one reaches any port of its pods.
func wrongPort(s *tapio.ServiceState, port int) bool {
	if s.IP == "None" || s.Type == "ExternalName" || len(s.Ports) == 0 {
		return false
	}
	return !slices.ContainsFunc(s.Ports, func(p tapio.ServicePort) bool { return int(p.Port) == port })
}

func servicePorts(ports []tapio.ServicePort) string {
	var words []string
	for _, p := range ports {
		words = append(words, strconv.Itoa(int(p.Port)))
	}
	return list(words)
}

// wrongScheme reports whether the client, who complains of the protocol, is
// told to use the other of HTTP and HTTPS than the port is named for.
func wrongScheme(s *tapio.ServiceState, a Address, c *Complaint) bool {
	if c.Class != "protocol" && c.Class != "tls" {
		return false
	}
	for _, p := range s.Ports {
		if int(p.Port) != a.Port {
			continue
		}
		secure := strings.HasPrefix(p.Name, "https") || p.Port == 443 || p.Port == 8443
		plain := !secure && (p.Name == "http" || strings.HasPrefix(p.Name, "http-") || p.Port == 80 || p.Port == 8080)
		return a.Scheme == "https" && plain || a.Scheme == "http" && secure
	}
	return false
}

func otherScheme(scheme string) string {
	if scheme == "https" {
		return "http"
	}
	return "https"
}

// meantService returns the Service that a name which is none most likely means:
// the nearest in its namespace, or the one of that name in another.
func meantService(g *topology.Graph, name, namespace string) string {
	var names []string
	for _, svc := range g.Services(namespace) {
		names = append(names, svc.Name)
	}
	if meant := nearest(name, names); meant != "" {
		return meant
	}
	for _, s := range g.All(tapio.KindService, "") {
		if s.Entity.Name == name {
			return name + "." + s.Entity.Namespace
		}
	}
	return ""
}

// dnsServices returns the Services that answer for DNS in the cluster.
func dnsServices(g *topology.Graph) []*tapio.State {
	var out []*tapio.State
	for _, s := range g.All(tapio.KindService, "kube-system") {
		if isDNS(s) {
			out = append(out, s)
		}
	}
	return out
}

func isDNS(s *tapio.State) bool {
	return s.Entity.Namespace == "kube-system" && slices.ContainsFunc(s.Service.Ports, func(p tapio.ServicePort) bool { return p.Port == 53 })
}

// wrongDNS tells of pods that ask another nameserver than the cluster's, while
// they complain that names don't resolve, or crash.
func wrongDNS(g *topology.Graph, s Subject, spec *tapio.PodSpec) []Fact {
	var said *Complaint
	for i := range s.Complaints {
		c := &s.Complaints[i]
		_, isName := g.Resolve(strings.ToLower(c.Host), s.Workload.Namespace)
		if _, err := netip.ParseAddr(c.Host); c.name() || err != nil && isName && c.Class == "timed_out" {
			said = c // a client that gives up before its resolver does names no resolver
		}
	}
	f := Fact{Type: tapio.NameserverMismatch, Severity: tapio.SeverityHigh, Entity: s.Workload, Attrs: map[string]string{}}
	if said != nil {
		f.Attrs[tapio.AttrSaid] = "true"
	}
	var own []string
	for _, svc := range dnsServices(g) {
		if svc.Service.IP != "" && svc.Service.IP != "None" {
			own = append(own, svc.Service.IP)
		}
	}
	switch spec.DNSPolicy {
	case "None":
		if said == nil && (!s.Crashes || len(own) == 0) || len(spec.Nameservers) == 0 {
			return nil
		}
		for _, n := range spec.Nameservers {
			if a, err := netip.ParseAddr(n); slices.Contains(own, n) || err == nil && a.IsLinkLocalUnicast() {
				return nil // the cluster's, or the cache on each node
			}
		}
		f.Reason = "OtherNameserver"
		f.Message = fmt.Sprintf("its pods ask nameserver %s (dnsPolicy None)", list(spec.Nameservers))
		if len(own) > 0 {
			f.Message += ", and the cluster's is " + list(own)
			f.Attrs[tapio.AttrNearest] = own[0]
		} else {
			f.Message += " instead of the cluster's"
		}
	case "Default":
		if said == nil {
			return nil
		}
		if svc, ok := g.Resolve(strings.ToLower(said.Host), s.Workload.Namespace); !ok || !g.Exists(svc) {
			return nil
		}
		f.Reason = "NodeResolver"
		f.Message = "its pods ask the nameserver of their node (dnsPolicy Default), which knows no Services"
		f.Attrs[tapio.AttrNearest] = "dnsPolicy ClusterFirst"
	default:
		return nil
	}
	return []Fact{f}
}
