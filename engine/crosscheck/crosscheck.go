// Package crosscheck compares what specs say with what exists: the port that a
// Service sends to with those that its pods listen on, the port that a probe
// asks with the container's, the addresses in a container's environment with
// the Services of the cluster, the policies between two pods with the traffic
// that they need.
//
// Each check is a pure function of the topology and of what the engine knows to
// hurt, and gives [Fact] values that templates match. A check that can't be sure
// gives nothing: what it tells is that two things contradict each other, and
// whether that explains a failure is for the engine to judge.
package crosscheck

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/yairfalse/tapio"
)

// Fact is something that two objects say together and neither says alone. It
// holds for as long as both stay as they are.
type Fact struct {
	Type     tapio.EventType
	Severity tapio.Severity
	Entity   tapio.Entity // what is at fault, or what is hurt by it
	Reason   string       // a word for how
	Message  string       // a clause for people
	Attrs    map[string]string
}

// nearest returns the name that most likely was meant where name is none of
// them: the closest by edits, unless it is as far as another word would be.
func nearest(name string, among []string) string {
	best, distance := "", 0
	for _, n := range among {
		d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(n))
		if d > max(1, min(len(name), len(n))/3) {
			continue
		}
		if best == "" || d < distance || d == distance && n < best {
			best, distance = n, d
		}
	}
	return best
}

// list writes names as people do: "a, b and c".
func list(words []string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}

// declared is a port that a container of a pod declares.
type declared struct {
	container string
	tapio.ContainerPort
}

// ports returns what the containers of a spec declare, sorted by number.
func ports(s *tapio.PodSpec) []declared {
	var out []declared
	for i := range s.Containers {
		c := &s.Containers[i]
		if c.Init && !c.Sidecar {
			continue
		}
		for _, p := range c.Ports {
			out = append(out, declared{c.Name, p})
		}
	}
	slices.SortStableFunc(out, func(a, b declared) int { return cmp.Compare(a.Port, b.Port) })
	return out
}

// describe writes declared ports for people: "8080 and 9090", with the protocol
// where it is not TCP.
func describe(all []declared) string {
	var words []string
	for _, p := range all {
		word := strconv.Itoa(int(p.Port))
		if p.Protocol != "TCP" {
			word += "/" + p.Protocol
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return list(words)
}
