package crosscheck

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/topology"
)

// Failed is a probe that the kubelet says failed.
type Failed struct {
	Pod     tapio.Entity // with its container
	Kind    string       // liveness, readiness, startup
	Message string       // the kubelet's
}

var (
	slow     = regexp.MustCompile(`(?i)context deadline exceeded|Client\.Timeout|timed out|timeout: |i/o timeout`)
	notTLS   = regexp.MustCompile(`server gave HTTP response to HTTPS client|first record does not look like a TLS handshake`)
	notPlain = regexp.MustCompile(`malformed HTTP response "\\x15\\x03|Client sent an HTTP request to an HTTPS server`)
	http2    = regexp.MustCompile(`malformed HTTP response "\\x00\\x00`)
	code     = regexp.MustCompile(`statuscode: (\d{3})`)
)

// tinyCPU is a limit below which a process may need longer for an answer than
// a probe waits: a tenth of a core, in thousandths.
const tinyCPU = 100

// probes tells in what the probes that fail contradict the container, and
// where a tiny CPU limit explains their slowness.
func probes(g *topology.Graph, s Subject, spec *tapio.PodSpec) []Fact {
	var out []Fact
	for _, f := range s.Probes {
		p := g.State(f.Pod)
		if p == nil || p.Pod == nil || p.Pod.Spec != spec || !g.Exists(f.Pod) {
			continue
		}
		c := spec.Container(f.Pod.Container)
		if c == nil {
			continue
		}
		i := slices.IndexFunc(c.Probes, func(p tapio.Probe) bool { return p.Kind == f.Kind })
		if i < 0 {
			continue
		}
		entity := s.Workload
		entity.Container = c.Name
		if why := contrast(c, &c.Probes[i], f.Message, g.WasReady(f.Pod)); why != "" {
			out = append(out, Fact{
				Type: tapio.ProbeMismatch, Severity: tapio.SeverityMedium, Entity: entity, Reason: f.Kind, Message: why,
				Attrs: map[string]string{},
			})
			continue
		}
		if limit, ok := cpuLimit(p, c.Name); ok && limit <= tinyCPU && slow.MatchString(f.Message) {
			out = append(out, Fact{
				Type: tapio.CPUStarved, Severity: tapio.SeverityHigh, Entity: entity, Reason: f.Kind,
				Message: fmt.Sprintf("the %s probe gets no answer in %s, and the container may use %d thousandths of a core", f.Kind, seconds(c.Probes[i].Timeout), limit),
				Attrs:   map[string]string{tapio.AttrResource: "cpu"},
			})
		}
	}
	return out
}

func cpuLimit(p *tapio.State, container string) (milli int64, ok bool) {
	for i := range p.Pod.Containers {
		if c := &p.Pod.Containers[i]; c.Name == container && c.Limits.CPU != "" {
			q, err := resource.ParseQuantity(c.Limits.CPU)
			return q.MilliValue(), err == nil && q.Sign() > 0
		}
	}
	return 0, false
}

func seconds(n int32) string { return strconv.Itoa(int(n)) + " s" }

// contrast says in what a probe differs from the container that it asks, as a
// sentence without its end, or nothing.
func contrast(c *tapio.ContainerSpec, p *tapio.Probe, message string, wasReady bool) string {
	asks := fmt.Sprintf("the %s probe asks port %s", p.Kind, p.Port)
	if p.Type == "exec" {
		return late(p, c, wasReady)
	}
	n, known := number(c, p.Port)
	var tcp []declared
	for _, d := range c.Ports {
		if d.Protocol == "TCP" {
			tcp = append(tcp, declared{c.Name, d})
		}
	}
	listens := slices.ContainsFunc(tcp, func(d declared) bool { return int(d.Port) == n })
	switch {
	case !known:
		return fmt.Sprintf("the %s probe asks the port named %s, and container %s has no port of that name", p.Kind, p.Port, c.Name)
	case notTLS.MatchString(message):
		return fmt.Sprintf("the %s probe speaks HTTPS, and the container answers in plain HTTP on port %d", p.Kind, n)
	case notPlain.MatchString(message):
		return fmt.Sprintf("the %s probe speaks plain HTTP, and the container answers with TLS on port %d", p.Kind, n)
	case http2.MatchString(message):
		return fmt.Sprintf("the %s probe speaks HTTP/1, and the container answers in HTTP/2, as gRPC does, on port %d", p.Kind, n)
	case !listens && len(tcp) > 0:
		return fmt.Sprintf("%s, and container %s listens on %s", asks, c.Name, describe(tcp))
	}
	for i := range c.Probes {
		o := &c.Probes[i]
		on, ok := number(c, o.Port)
		switch {
		case o.Kind == p.Kind || o.Type == "exec" || !ok:
		case on != n && strings.Contains(message, "refused") && len(tcp) == 0:
			return fmt.Sprintf("%s, and the %s probe asks port %s", asks, o.Kind, o.Port)
		case on == n && o.Type == "http" && p.Type == "http" && o.Scheme != p.Scheme:
			return fmt.Sprintf("the %s probe speaks %s, and the %s probe of the same port %s", p.Kind, p.Scheme, o.Kind, o.Scheme)
		case on == n && o.Type != p.Type && o.Type == "grpc" && p.Type == "http":
			return fmt.Sprintf("the %s probe speaks HTTP, and the %s probe of the same port gRPC", p.Kind, o.Kind)
		}
	}
	if m := code.FindStringSubmatch(message); m != nil {
		if m[1] == "404" {
			return fmt.Sprintf("the %s probe asks for path %s, and the container knows no such path (404)", p.Kind, p.Path)
		}
		return "" // it answers: it is not late
	}
	return late(p, c, wasReady)
}

// late says that a liveness probe kills a container before it can have started.
func late(p *tapio.Probe, c *tapio.ContainerSpec, wasReady bool) string {
	const enough = 30 // seconds: what a runtime with a virtual machine may need
	patience := p.Delay + p.Period*p.Failures
	if p.Kind != tapio.ProbeLiveness || wasReady || patience >= enough || slices.ContainsFunc(c.Probes, func(o tapio.Probe) bool { return o.Kind == tapio.ProbeStartup }) {
		return ""
	}
	return fmt.Sprintf("the liveness probe gives the container %s to start, there is no startup probe, and it never became ready", seconds(patience))
}
