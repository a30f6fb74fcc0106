package crosscheck

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/topology"
)

// Reasons of a port that leads nowhere.
const (
	reasonNoName     = "NoSuchPortName" // no container gives a port that name
	reasonUndeclared = "UndeclaredPort" // no container declares the number
)

// Service compares the ports of a Service with those that its pods declare.
// Hurt says that somebody calls the Service in vain: then also what a healthy
// cluster may leave undeclared is told.
func Service(g *topology.Graph, svc tapio.Entity, hurt bool) []Fact {
	s := g.State(svc)
	if s == nil || s.Service == nil || !g.Exists(svc) || len(s.Service.Selector) == 0 ||
		s.Service.Type == "ExternalName" || s.Service.IP == "None" { // nobody translates the ports of a headless one
		return nil
	}
	specs, owner := behind(g, svc)
	if len(specs) == 0 {
		return nil
	}
	var out []Fact
	for _, p := range s.Service.Ports {
		c := portCheck{g: g, svc: svc, state: s, port: p, specs: specs, owner: owner, hurt: hurt}
		if f, ok := c.fact(); ok {
			out = append(out, f)
		}
	}
	return out
}

// behind returns the different specs of the pods behind a Service, and the name
// of the workload that the first is of.
func behind(g *topology.Graph, svc tapio.Entity) (specs []*tapio.PodSpec, owner string) {
	for _, p := range g.Selected(svc) {
		if p.Pod.Spec == nil || p.Pod.Terminating || p.Pod.Phase == "Succeeded" || p.Pod.Phase == "Failed" {
			continue
		}
		if owner == "" {
			owner = g.Workload(p.Entity).Name
		}
		if !slices.Contains(specs, p.Pod.Spec) && len(specs) < 20 {
			specs = append(specs, p.Pod.Spec)
		}
	}
	return specs, owner
}

// portCheck is one port of a Service and the pods behind it.
type portCheck struct {
	g     *topology.Graph
	svc   tapio.Entity
	state *tapio.State
	port  tapio.ServicePort
	specs []*tapio.PodSpec
	owner string
	hurt  bool
}

func (c *portCheck) fact() (Fact, bool) {
	number, err := strconv.Atoi(c.port.Target)
	named := err != nil
	var all []declared
	for _, spec := range c.specs {
		for _, p := range ports(spec) {
			is := named && p.Name == c.port.Target || !named && int(p.Port) == number
			if is && p.Protocol == c.port.Protocol {
				return Fact{}, false
			}
			all = append(all, p)
		}
	}
	for _, p := range all {
		if named && p.Name == c.port.Target || !named && int(p.Port) == number {
			return c.protocol(p)
		}
	}
	switch {
	case named:
		return c.unnamed(all), true
	case len(all) == 0, !c.hurt && !c.surely(number, all):
		return Fact{}, false
	}
	return c.make(tapio.ServicePortMismatch, reasonUndeclared,
		fmt.Sprintf("port %d sends to port %d of %s, which no container declares (%s)", c.port.Port, number, c.owner, declares(all)),
		map[string]string{tapio.AttrNearest: c.meant(all)}), true
}

func declares(all []declared) string {
	return fmt.Sprintf("container %s declares %s", all[0].container, describe(all))
}

// unnamed tells of a port name that no container has: such a Service has no
// endpoint for the port at all.
func (c *portCheck) unnamed(all []declared) Fact {
	message := fmt.Sprintf("port %d sends to the port named %s of %s, and no container has a port of that name", c.port.Port, c.port.Target, c.owner)
	var names []string
	for _, p := range all {
		if p.Name != "" && !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	meant := nearest(c.port.Target, names)
	switch {
	case meant == "" && len(names) == 1:
		meant = names[0]
	case meant == "" && len(names) == 0:
		meant = c.meant(all)
	}
	if len(names) > 0 {
		message += "; they have " + list(names)
	} else if len(all) > 0 {
		message += "; their ports " + describe(all) + " have no name"
	}
	return c.make(tapio.ServicePortMismatch, reasonNoName, message, map[string]string{tapio.AttrNearest: meant})
}

// protocol tells of a port that is right but for its protocol, where something
// says which one is meant: many who serve UDP declare their port as TCP, which
// nothing checks.
func (c *portCheck) protocol(p declared) (Fact, bool) {
	speaksTCP := p.Protocol == "TCP" && (c.probed(int(p.Port)) || tcpName.MatchString(c.port.Name) || tcpName.MatchString(p.Name) || slices.Contains(tcpPorts, p.Port))
	declaredUDP := p.Protocol == "UDP" // TCP is what is filled in: nobody writes UDP by accident
	if !c.hurt && !speaksTCP && !declaredUDP || slices.Contains(udpPorts, p.Port) && !speaksTCP && c.port.Protocol == "UDP" {
		return Fact{}, false
	}
	return c.make(tapio.ServiceProtocolMismatch, c.port.Protocol,
		fmt.Sprintf("port %d is %s, and container %s of %s listens on port %d with %s", c.port.Port, c.port.Protocol, p.container, c.owner, p.Port, p.Protocol),
		map[string]string{tapio.AttrNearest: p.Protocol}), true
}

// tcpName matches names of ports whose protocol runs over TCP.
var tcpName = regexp.MustCompile(`(?i)^(?:tcp|http|https|http2|grpc|grpcs|web|ui|api|rest|mysql|mongo|mongodb|redis|postgres|postgresql|sql|amqp|kafka|metrics|ssh|ws)(?:$|[-_0-9])|-(?:tcp|http|https|grpc|mysql|mongo|redis|postgresql)$`)

var (
	tcpPorts = []int32{80, 1433, 1521, 3000, 3306, 5000, 5432, 5672, 6379, 7000, 7070, 8000, 8080, 8081, 8443, 9042, 9092, 9200, 11211, 15672, 27017, 50051}
	udpPorts = []int32{53, 67, 69, 123, 161, 162, 443, 500, 514, 1194, 1812, 1813, 2055, 3478, 4500, 4789, 5060, 5353, 6343, 6831, 6832, 8125, 8472, 9995, 51820}
)

// probed reports whether a probe asks for the port, which none can over UDP.
func (c *portCheck) probed(port int) bool {
	for _, spec := range c.specs {
		for i := range spec.Containers {
			for _, p := range spec.Containers[i].Probes {
				if n, ok := number(&spec.Containers[i], p.Port); ok && n == port {
					return true
				}
			}
		}
	}
	return false
}

// number resolves the port of a probe, a number or a name, in its container.
func number(c *tapio.ContainerSpec, port string) (int, bool) {
	if n, err := strconv.Atoi(port); err == nil {
		return n, n > 0
	}
	for _, p := range c.Ports {
		if p.Name == port {
			return int(p.Port), true
		}
	}
	return 0, false
}

// surely reports whether a number that nobody declares is a mistake rather
// than a port that nobody thought of declaring: the number is mentioned nowhere
// else, it is none that a mesh brings along, and there is a declared port that
// no Service sends to, which it then must have meant.
func (c *portCheck) surely(number int, all []declared) bool {
	if number >= 15000 && number <= 15100 || number == 4143 || number == 4191 { // istio, linkerd
		return false
	}
	for _, spec := range c.specs {
		if mentions(spec, strconv.Itoa(number)) {
			return false
		}
	}
	for _, p := range all {
		if p.Protocol == c.port.Protocol && !c.served(p) {
			return true
		}
	}
	return false
}

// mentions reports whether a number stands anywhere in what the containers are
// given: then they likely listen on it.
func mentions(spec *tapio.PodSpec, number string) bool {
	holds := func(text string) bool {
		for rest := text; ; {
			i := strings.Index(rest, number)
			if i < 0 {
				return false
			}
			before, after := rest[:i], rest[i+len(number):]
			if (before == "" || !digit(before[len(before)-1])) && (after == "" || !digit(after[0])) {
				return true
			}
			rest = after
		}
	}
	for i := range spec.Containers {
		c := &spec.Containers[i]
		if slices.ContainsFunc(c.Args, holds) || slices.ContainsFunc(c.Command, holds) ||
			slices.ContainsFunc(c.Env, func(e tapio.EnvVar) bool { return !addressOfOther(e) && holds(e.Value) }) ||
			slices.ContainsFunc(c.Probes, func(p tapio.Probe) bool { return p.Port == number }) {
			return true
		}
	}
	return false
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

// addressOfOther reports whether a variable names somebody else's port: it has
// a host before it.
func addressOfOther(e tapio.EnvVar) bool {
	host, _, ok := strings.Cut(e.Value, ":")
	return ok && host != "" && host != "0.0.0.0" && host != "localhost" && host != "127.0.0.1" && !strings.HasPrefix(e.Value, "[::]")
}

// served reports whether a Service sends to the declared port.
func (c *portCheck) served(p declared) bool {
	for _, svc := range c.g.ServicesOf(c.svcPod()) {
		for _, sp := range c.g.State(svc).Service.Ports {
			if sp.Protocol == p.Protocol && (sp.Target == strconv.Itoa(int(p.Port)) || p.Name != "" && sp.Target == p.Name) {
				return true
			}
		}
	}
	return false
}

// svcPod returns one of the pods behind the Service.
func (c *portCheck) svcPod() tapio.Entity {
	for _, p := range c.g.Selected(c.svc) {
		return p.Entity
	}
	return tapio.Entity{}
}

// meant returns the declared port that the Service most likely meant: the one
// of its own number, the only one, the one that no Service sends to.
func (c *portCheck) meant(all []declared) string {
	var free []string
	for _, p := range all {
		n := strconv.Itoa(int(p.Port))
		if p.Port == c.port.Port && p.Protocol == c.port.Protocol {
			return n
		}
		if p.Protocol == c.port.Protocol && !c.served(p) && !slices.Contains(free, n) {
			free = append(free, n)
		}
	}
	switch {
	case len(free) == 1:
		return free[0]
	case len(all) == 1:
		return strconv.Itoa(int(all[0].Port))
	}
	return ""
}

func (c *portCheck) make(what tapio.EventType, reason, message string, attrs map[string]string) Fact {
	attrs[tapio.AttrUID] = c.state.UID
	attrs[tapio.AttrServicePort] = strconv.Itoa(int(c.port.Port))
	attrs[tapio.AttrTarget] = c.port.Target
	if attrs[tapio.AttrNearest] == "" {
		delete(attrs, tapio.AttrNearest)
	}
	return Fact{Type: what, Severity: tapio.SeverityMedium, Entity: c.svc, Reason: reason, Message: message, Attrs: attrs}
}
