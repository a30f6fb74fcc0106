// Package placement says why the scheduler finds no node for a pod, and which
// one obstacle, lifted, would let the pod run.
//
// The scheduler's message counts the first filter that each node failed; where
// it names several, it does not say which of them matters. [Judge] replays the
// main filters on every node, completely, and looks for nodes that one
// obstacle alone keeps away. Where the topology lacks facts, the message is
// believed as it stands. The package is pure: states in, a verdict out.
package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/yairfalse/tapio"
)

// Obstacle is a filter of the scheduler that keeps a pod from a node, in the
// words that [tapio.PodBlocked] events use as their reason.
type Obstacle string

// The obstacles.
const (
	CPU          Obstacle = "InsufficientCPU"
	Memory       Obstacle = "InsufficientMemory"
	Resource     Obstacle = "InsufficientResource"
	PodCount     Obstacle = "TooManyPods"
	Taint        Obstacle = "Taint"
	Cordoned     Obstacle = "Cordoned"
	NodeAffinity Obstacle = "NodeAffinity"
	PodAffinity  Obstacle = "PodAffinity"
	Spread       Obstacle = "TopologySpread"
	HostPort     Obstacle = "HostPort"
	VolumeZone   Obstacle = "VolumeZone"
	NoVolume     Obstacle = "NoVolume"     // no volume to bind on the nodes
	Unbound      Obstacle = "Unbound"      // a claim that must be bound first
	ClaimMissing Obstacle = "ClaimMissing" // a claim that does not exist
	ClaimLost    Obstacle = "ClaimLost"    // a claim whose volume does not exist any more
	Gated        Obstacle = "Gated"
)

// preference orders obstacles where each alone would let the pod run on some
// node: what is out of order comes before what is short, and what is short
// before what somebody meant to be so, such as a selector or a dedicated node.
var preference = []Obstacle{
	Gated, ClaimLost, ClaimMissing, Unbound, Cordoned, VolumeZone, NoVolume, CPU, Memory, Resource, PodCount,
	HostPort, PodAffinity, Spread, Taint, NodeAffinity,
}

// Node is a node and what runs on it.
type Node struct {
	State *tapio.State
	Pods  []*tapio.State
}

// Verdict is what keeps a pod from running.
type Verdict struct {
	Obstacle Obstacle
	Nodes    []string // that would take the pod if the obstacle were lifted, or that it keeps away
	Resource string   // what is short
	Taint    string   // the taint that is not tolerated
	Object   string   // of ClaimMissing and ClaimLost: the claim
	Detail   string   // what was compared, as the end of a sentence; may be empty
	// Proven says that the scheduler named this obstacle alone, or that the
	// filters show that it alone is in the way.
	Proven bool
}

// Judge says what keeps the pod from the nodes, given the scheduler's message.
// Volumes are those that its claims are bound to. It reports false where
// neither the message nor the nodes say.
func Judge(pod *tapio.State, message string, nodes []Node, volumes []*tapio.State) (Verdict, bool) {
	said := parse(message)
	if pod.Pod.Placement != nil && len(pod.Pod.Placement.Gates) > 0 {
		return Verdict{Obstacle: Gated, Detail: "it waits for " + and(pod.Pod.Placement.Gates), Proven: true}, true
	}
	for _, o := range []Obstacle{ClaimLost, ClaimMissing, Unbound} { // found before any node is looked at
		if s, ok := said[o]; ok {
			return Verdict{Obstacle: o, Object: s.what, Proven: true}, true
		}
	}
	slices.SortFunc(nodes, func(a, b Node) int { return a.State.Entity.Compare(b.State.Entity) })
	j := &judge{pod: pod, said: said, nodes: nodes, volumes: volumes}
	if len(nodes) == 0 || pod.Pod.Placement == nil {
		return j.byMessage()
	}
	j.replay()
	v, ok := j.single()
	if !ok {
		if v, ok = j.common(); !ok {
			return j.byMessage()
		}
	}
	j.explain(&v)
	return v, true
}

// judge is one judgement.
type judge struct {
	pod     *tapio.State
	said    map[Obstacle]said
	nodes   []Node
	volumes []*tapio.State
	usable  []*candidate // nodes that are meant for pods like this one
	company company
}

// candidate is a node with all that keeps the pod from it.
type candidate struct {
	Node
	fails map[Obstacle]failure
}

// failure is one filter that a node failed.
type failure struct {
	what    string // resource, taint, port
	detail  string
	guessed bool // by the message alone
	ratio   float64
	never   bool // not even an empty node of this size would do
}

// replay runs the filters on every node that the pod could be meant for.
// Control-plane nodes that keep pods away are never the answer, unless there are
// no others.
func (j *judge) replay() {
	j.meet()
	var reserved []*candidate
	for _, n := range j.nodes {
		if n.State.Node == nil || !meantFor(j.pod.Pod.Placement, n.State.Entity.Name) {
			continue
		}
		c := &candidate{Node: n, fails: j.filter(n)}
		if controlPlane(n.State) && (has(c.fails, Taint) || has(c.fails, Cordoned)) {
			reserved = append(reserved, c)
			continue
		}
		j.usable = append(j.usable, c)
	}
	if len(j.usable) == 0 {
		j.usable = reserved
	}
	// A dump may lack pods of other namespaces: a node that looks free is kept
	// away by what the scheduler says and the replay did not find.
	for _, c := range j.usable {
		if len(c.fails) > 0 {
			continue
		}
		for o, s := range j.said {
			if late(o) {
				c.fails[o] = failure{what: s.what, guessed: true}
			}
		}
	}
}

// late reports whether the filter depends on what else runs in the cluster.
func late(o Obstacle) bool {
	switch o {
	case CPU, Memory, Resource, PodCount, HostPort, PodAffinity, Spread, VolumeZone, NoVolume:
		return true
	}
	return false
}

func has(m map[Obstacle]failure, o Obstacle) bool {
	_, ok := m[o]
	return ok
}

// named reports whether the scheduler names the obstacle, or says nothing that
// is understood.
func (j *judge) named(o Obstacle) bool {
	_, ok := j.said[o]
	return ok || len(j.said) == 0
}

// single finds the obstacle that alone keeps the pod from a node.
func (j *judge) single() (Verdict, bool) {
	alone := map[Obstacle][]*candidate{}
	for _, c := range j.usable {
		if len(c.fails) != 1 {
			continue
		}
		for o := range c.fails {
			if j.named(o) {
				alone[o] = append(alone[o], c)
			}
		}
	}
	for _, o := range j.order() {
		if list := alone[o]; len(list) > 0 {
			v := verdict(o, list)
			v.Proven = true
			return v, true
		}
	}
	return Verdict{}, false
}

// order is the preference, with taints that Kubernetes itself set on sick
// nodes next to cordons: a node is meant to be well.
func (j *judge) order() []Obstacle {
	for _, c := range j.usable {
		if f, ok := c.fails[Taint]; ok && strings.HasPrefix(f.what, "node.kubernetes.io/") {
			out := slices.DeleteFunc(slices.Clone(preference), func(o Obstacle) bool { return o == Taint })
			return slices.Insert(out, slices.Index(out, Cordoned)+1, Taint)
		}
	}
	return preference
}

// common finds, where every node has several obstacles, the one to begin with:
// what no node can give, then what keeps away most of them.
func (j *judge) common() (Verdict, bool) {
	var best Obstacle
	most, never := 0, false
	order := []Obstacle{NodeAffinity, CPU, Memory, Resource, VolumeZone, NoVolume, Cordoned, Taint, PodCount, HostPort, PodAffinity, Spread}
	for _, o := range order {
		if !j.named(o) {
			continue
		}
		n, all := 0, true
		for _, c := range j.usable {
			f, ok := c.fails[o]
			if ok {
				n++
			}
			all = all && ok && f.never
		}
		all = all && n > 0
		if all && !never || all == never && n > most {
			best, most, never = o, n, all
		}
	}
	if most == 0 {
		return Verdict{}, false
	}
	var list []*candidate
	for _, c := range j.usable {
		if has(c.fails, best) {
			list = append(list, c)
		}
	}
	if best == CPU || best == Memory {
		best = scarcer(list)
	}
	return verdict(best, list), true
}

// scarcer tells which of CPU and memory is missing more.
func scarcer(list []*candidate) Obstacle {
	var cpu, memory float64
	for _, c := range list {
		cpu = max(cpu, c.fails[CPU].ratio)
		memory = max(memory, c.fails[Memory].ratio)
	}
	if memory > cpu {
		return Memory
	}
	return CPU
}

func verdict(o Obstacle, list []*candidate) Verdict {
	v := Verdict{Obstacle: o}
	for _, c := range list {
		f, ok := c.fails[o]
		if !ok {
			continue
		}
		v.Nodes = append(v.Nodes, c.State.Entity.Name)
		switch o {
		case Taint:
			v.Taint = cmp.Or(v.Taint, f.what)
		case CPU:
			v.Resource = "cpu"
		case Memory:
			v.Resource = "memory"
		case PodCount:
			v.Resource = "pods"
		case Resource:
			v.Resource = cmp.Or(v.Resource, f.what)
		}
	}
	return v
}

// byMessage believes the message: the obstacle of most nodes, and taints last.
func (j *judge) byMessage() (Verdict, bool) {
	order := slices.Clone(preference)
	slices.SortStableFunc(order, func(a, b Obstacle) int {
		if a == Taint || b == Taint { // mostly those of the control plane
			return cmp.Compare(btoi(a == Taint), btoi(b == Taint))
		}
		return cmp.Compare(j.said[b].nodes, j.said[a].nodes)
	})
	for _, o := range order {
		s, ok := j.said[o]
		if !ok {
			continue
		}
		v := Verdict{Obstacle: o, Object: s.what, Proven: len(j.said) == 1}
		switch o {
		case Taint:
			v.Taint, v.Object = s.what, ""
		case Resource:
			v.Resource, v.Object = s.what, ""
		case CPU:
			v.Resource = "cpu"
		case Memory:
			v.Resource = "memory"
		}
		return v, true
	}
	return Verdict{}, false
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// controlPlane reports whether the node is set apart for the control plane.
func controlPlane(n *tapio.State) bool {
	for _, key := range []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"} {
		if _, ok := n.Labels[key]; ok {
			return true
		}
		for _, t := range n.Node.Taints {
			if strings.HasPrefix(t, key) {
				return true
			}
		}
	}
	role := n.Labels["kubernetes.io/role"]
	return role == "master" || role == "control-plane"
}

// and joins words as a sentence does, the first few of them.
func and(words []string) string {
	const shown = 4
	if n := len(words); n > shown {
		words = append(slices.Clone(words[:shown-1]), fmt.Sprintf("%d more", n-shown+1))
	}
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}
