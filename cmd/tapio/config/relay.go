package config

import (
	"fmt"
	"net"
	"strings"
)

// problems says what can't be meant. Nothing is asked of a relay that is off.
func (r *Relay) problems() []problem {
	var out []problem
	if r.Listen == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(r.Listen); err != nil {
		out = append(out, problem{"relay.listen", fmt.Sprintf("%q is not an address such as 0.0.0.0:7443", r.Listen)})
	}
	if r.CertFile == "" || r.KeyFile == "" {
		out = append(out, problem{"relay.listen", "needs relay.cert_file and relay.key_file: agents speak TLS only"})
	}
	if len(r.Agents) == 0 {
		out = append(out, problem{"relay.agents", "is empty; name the service account of the agents, such as tapio/tapio-agent"})
	}
	for i, a := range r.Agents {
		if namespace, name, ok := strings.Cut(a, "/"); !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
			out = append(out, problem{fmt.Sprintf("relay.agents[%d]", i), fmt.Sprintf("%q is not a service account such as tapio/tapio-agent", a)})
		}
	}
	if r.Quota <= 0 {
		out = append(out, problem{"relay.quota", "is 0; say how many observations a second one node may tell, such as 500"})
	}
	return out
}
