package placement

import (
	"slices"

	"github.com/yairfalse/tapio"
)

// company is what the rules about other pods come to, worked out once for all
// nodes: a cluster has too many pods to ask each about each node.
type company struct {
	near   []domains // by term of the pod's affinity
	away   []domains // by term of its anti-affinity
	repels []repel   // pods that keep pods like it away
	counts []map[string]int32
	least  []int32 // by spread rule
}

// domains are the values of a topology key where a pod runs that a term means.
type domains struct {
	key    string
	values map[string]bool
	detail string
	met    bool // the pod itself is the first of its kind
}

// repel is a pod that runs and keeps pods like the judged one out of its
// domain.
type repel struct {
	key, value, by string
}

// meet works out the company for the pod that is judged.
func (j *judge) meet() {
	c := &j.company
	place := j.pod.Pod.Placement
	for i := range place.Affinity {
		t := &place.Affinity[i]
		d := j.domainsOf(t)
		d.met = len(d.values) == 0 && matchesTerm(t, j.pod.Entity.Namespace, j.pod)
		c.near = append(c.near, d)
	}
	for i := range j.pod.Pod.AntiAffinity {
		c.away = append(c.away, j.domainsOf(&j.pod.Pod.AntiAffinity[i]))
	}
	for _, n := range j.nodes {
		for _, p := range n.Pods {
			if len(p.Pod.AntiAffinity) == 0 || !runs(p) {
				continue
			}
			for i := range p.Pod.AntiAffinity {
				t := &p.Pod.AntiAffinity[i]
				if value, ok := n.State.Labels[t.TopologyKey]; ok && matchesTerm(t, p.Entity.Namespace, j.pod) {
					c.repels = append(c.repels, repel{t.TopologyKey, value, p.Entity.Namespace + "/" + p.Entity.Name})
				}
			}
		}
	}
	for i := range place.Spread {
		counts, least := j.count(&place.Spread[i])
		c.counts, c.least = append(c.counts, counts), append(c.least, least)
	}
}

func (j *judge) domainsOf(t *tapio.PodTerm) domains {
	d := domains{key: t.TopologyKey, values: map[string]bool{}, detail: selectorText(t.Selector)}
	for _, n := range j.nodes {
		value, ok := n.State.Labels[t.TopologyKey]
		if !ok || d.values[value] {
			continue
		}
		d.values[value] = slices.ContainsFunc(n.Pods, func(p *tapio.State) bool { return runs(p) && matchesTerm(t, j.pod.Entity.Namespace, p) })
		if !d.values[value] {
			delete(d.values, value)
		}
	}
	return d
}

// count counts the pods that a spread rule means, by domain, and how many the
// emptiest has.
func (j *judge) count(r *tapio.SpreadRule) (counts map[string]int32, least int32) {
	counts = map[string]int32{}
	for _, n := range j.nodes {
		d, ok := n.State.Labels[r.TopologyKey]
		if !ok || n.State.Node == nil || !admits(j.pod.Pod.Placement, n.State) {
			continue
		}
		counts[d] += 0
		for _, p := range n.Pods {
			if runs(p) && !p.Pod.Terminating && p.Entity.Namespace == j.pod.Entity.Namespace && Matches(r.Selector, p.Labels) {
				counts[d]++
			}
		}
	}
	least = -1
	for _, c := range counts {
		if least < 0 || c < least {
			least = c
		}
	}
	if int32(len(counts)) < r.MinDomains || least < 0 {
		least = 0
	}
	return counts, least
}

// neighbours judges required pod affinity and anti-affinity, that of pods that
// run already included.
func (j *judge) neighbours(n Node, fails map[Obstacle]failure) {
	for _, d := range j.company.near {
		if value, ok := n.State.Labels[d.key]; !d.met && (!ok || !d.values[value]) {
			fails[PodAffinity] = failure{what: "near", detail: d.detail}
		}
	}
	for _, d := range j.company.away {
		if value, ok := n.State.Labels[d.key]; ok && d.values[value] {
			fails[PodAffinity] = failure{what: "away", detail: d.detail}
		}
	}
	for _, r := range j.company.repels {
		if value, ok := n.State.Labels[r.key]; ok && value == r.value && !has(fails, PodAffinity) {
			fails[PodAffinity] = failure{what: "kept away", detail: r.by}
		}
	}
}

func matchesTerm(t *tapio.PodTerm, namespace string, p *tapio.State) bool {
	ns := p.Entity.Namespace
	if !t.AllNamespaces && (len(t.Namespaces) > 0 && !slices.Contains(t.Namespaces, ns) || len(t.Namespaces) == 0 && ns != namespace) {
		return false
	}
	return Matches(t.Selector, p.Labels)
}

// spread judges the rules that pods be spread evenly.
func (j *judge) spread(n Node, fails map[Obstacle]failure) {
	for i := range j.pod.Pod.Placement.Spread {
		r := &j.pod.Pod.Placement.Spread[i]
		domain, ok := n.State.Labels[r.TopologyKey]
		if !ok {
			fails[Spread] = failure{what: r.TopologyKey, detail: "missing"}
			continue
		}
		self := int32(0)
		if Matches(r.Selector, j.pod.Labels) {
			self = 1
		}
		if j.company.counts[i][domain]+self-j.company.least[i] > r.MaxSkew {
			fails[Spread] = failure{what: r.TopologyKey}
		}
	}
}
