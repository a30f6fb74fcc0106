// Package topology is the engine's picture of the cluster: who owns, runs on,
// selects and references whom, and who is well.
//
// A Graph is fed entity states and answers questions about relations and
// health. It judges no cause, keeps no history but a short memory of what was
// deleted (so that a late event still finds its workload), and has no clock:
// times come with the calls. It is owned by one goroutine.
package topology

import (
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// deletedFor is how long a deleted entity is remembered: the longest
// correlation window, so that an event which arrives late still finds the
// owner, node and labels of what it is about.
const deletedFor = 10 * time.Minute

// Graph holds the last state of each entity and the relations between them.
type Graph struct {
	states   map[tapio.Entity]*entry
	onNode   map[string]set                                          // node name → pods
	children map[tapio.Entity]set                                    // owner → owned
	services map[string]map[tapio.Entity]*tapio.State                // namespace → Services
	slices   map[tapio.Entity]map[tapio.Entity]*tapio.EndpointsState // Service → slices
	pods     map[string]set                                          // namespace → pods
	tops     map[string]set                                          // namespace → workloads that nothing owns
	kinds    map[tapio.Kind]set                                      // all but pods
	sets     map[string]int                                          // namespace → ReplicaSets
	masters  set                                                     // nodes of the control plane
	buried   []burial                                                // deleted entities, oldest first
}

type entry struct {
	state   *tapio.State
	deleted time.Time // zero while it exists
	ready   bool      // a pod that has been ready at least once
}

type burial struct {
	entity tapio.Entity
	at     time.Time
}

type set map[tapio.Entity]struct{}

// New returns an empty Graph.
func New() *Graph {
	return &Graph{
		states:   map[tapio.Entity]*entry{},
		onNode:   map[string]set{},
		children: map[tapio.Entity]set{},
		services: map[string]map[tapio.Entity]*tapio.State{},
		slices:   map[tapio.Entity]map[tapio.Entity]*tapio.EndpointsState{},
		pods:     map[string]set{},
		tops:     map[string]set{},
		kinds:    map[tapio.Kind]set{},
		sets:     map[string]int{},
		masters:  set{},
	}
}

// Apply takes in a state seen at the given time and returns the one it
// replaces, or nil. The state must fit its kind (see [Fit]). The graph keeps s:
// the caller must not change it.
func (g *Graph) Apply(s *tapio.State, at time.Time) *tapio.State {
	e, known := g.states[s.Entity]
	if s.Deleted {
		if !known || !e.deleted.IsZero() {
			return nil
		}
		e.deleted = at
		g.buried = append(g.buried, burial{s.Entity, at})
		g.unlinkService(e.state)
		return e.state
	}
	var old *tapio.State
	if known {
		old = e.state
		if related(old, s) && e.deleted.IsZero() {
			e.state = s
			e.ready = e.ready || readyPod(s)
			g.relink(s)
			return old
		}
		g.unlink(old)
		fresh := old.UID != s.UID && s.UID != ""
		e.ready = e.ready && !fresh
	} else {
		e = &entry{}
		g.states[s.Entity] = e
	}
	e.state = s
	e.deleted = time.Time{}
	e.ready = e.ready || readyPod(s) || readyBefore(s)
	g.link(s)
	return old
}

func readyPod(s *tapio.State) bool { return s.Pod != nil && s.Pod.Ready }

// readyBefore reports whether a pod that is found not ready in a listing shows
// that it once was: Ready changed well after its containers had started.
func readyBefore(s *tapio.State) bool {
	if s.Pod == nil || s.Pod.Phase != "Running" || s.Pod.ReadySince.IsZero() {
		return false
	}
	for _, c := range s.Pod.Containers {
		if c.Init || c.State != "running" {
			continue
		}
		if !s.Pod.ReadySince.After(c.Since.Add(2 * time.Second)) {
			return false
		}
	}
	return s.Pod.ReadySince.After(s.Created.Add(2 * time.Second))
}

// related reports whether both states stand in the same relations, so that no
// index needs to change.
func related(a, b *tapio.State) bool {
	if a.Owner != b.Owner || a.UID != b.UID {
		return false
	}
	if a.Pod != nil && b.Pod != nil {
		return a.Pod.Node == b.Pod.Node
	}
	return a.Pod == nil && b.Pod == nil
}

func add(m map[tapio.Entity]set, key, value tapio.Entity) {
	if m[key] == nil {
		m[key] = set{}
	}
	m[key][value] = struct{}{}
}

func drop(m map[tapio.Entity]set, key, value tapio.Entity) {
	delete(m[key], value)
	if len(m[key]) == 0 {
		delete(m, key)
	}
}

// relink refreshes what is kept beside the state itself.
func (g *Graph) relink(s *tapio.State) {
	switch {
	case s.Service != nil:
		g.services[s.Entity.Namespace][s.Entity] = s
	case s.Endpoints != nil:
		g.linkSlice(s)
	}
}

func (g *Graph) linkSlice(s *tapio.State) {
	svc := tapio.Entity{Kind: tapio.KindService, Namespace: s.Entity.Namespace, Name: s.Endpoints.Service}
	if g.slices[svc] == nil {
		g.slices[svc] = map[tapio.Entity]*tapio.EndpointsState{}
	}
	g.slices[svc][s.Entity] = s.Endpoints
}

func (g *Graph) link(s *tapio.State) {
	if s.Entity.Kind == tapio.KindReplicaSet {
		g.sets[s.Entity.Namespace]++
	}
	if isMaster(s) {
		g.masters[s.Entity] = struct{}{}
	}
	if !s.Owner.IsZero() {
		add(g.children, s.Owner, s.Entity)
	}
	ns := s.Entity.Namespace
	if k := s.Entity.Kind; k != tapio.KindPod {
		if g.kinds[k] == nil {
			g.kinds[k] = set{}
		}
		g.kinds[k][s.Entity] = struct{}{}
	}
	switch {
	case s.Pod != nil:
		if g.pods[ns] == nil {
			g.pods[ns] = set{}
		}
		g.pods[ns][s.Entity] = struct{}{}
		if s.Pod.Node != "" {
			if g.onNode[s.Pod.Node] == nil {
				g.onNode[s.Pod.Node] = set{}
			}
			g.onNode[s.Pod.Node][s.Entity] = struct{}{}
		}
	case s.Workload != nil && s.Owner.IsZero():
		if g.tops[ns] == nil {
			g.tops[ns] = set{}
		}
		g.tops[ns][s.Entity] = struct{}{}
	case s.Service != nil:
		if g.services[ns] == nil {
			g.services[ns] = map[tapio.Entity]*tapio.State{}
		}
		g.services[ns][s.Entity] = s
	case s.Endpoints != nil:
		g.linkSlice(s)
	}
}

// unlinkService takes a deleted Service or slice out at once: nothing is
// routed through it any more.
func (g *Graph) unlinkService(s *tapio.State) {
	switch {
	case s.Service != nil:
		delete(g.services[s.Entity.Namespace], s.Entity)
	case s.Endpoints != nil:
		svc := tapio.Entity{Kind: tapio.KindService, Namespace: s.Entity.Namespace, Name: s.Endpoints.Service}
		delete(g.slices[svc], s.Entity)
		if len(g.slices[svc]) == 0 {
			delete(g.slices, svc)
		}
	}
}

func (g *Graph) unlink(s *tapio.State) {
	if s.Entity.Kind == tapio.KindReplicaSet {
		g.sets[s.Entity.Namespace]--
	}
	delete(g.masters, s.Entity)
	if !s.Owner.IsZero() {
		drop(g.children, s.Owner, s.Entity)
	}
	delete(g.tops[s.Entity.Namespace], s.Entity)
	delete(g.kinds[s.Entity.Kind], s.Entity)
	if s.Pod != nil {
		delete(g.pods[s.Entity.Namespace], s.Entity)
		delete(g.onNode[s.Pod.Node], s.Entity)
	}
	g.unlinkService(s)
}

// Forget drops what was deleted longer than the longest window ago.
func (g *Graph) Forget(now time.Time) {
	n := 0
	for n < len(g.buried) && now.Sub(g.buried[n].at) > deletedFor {
		b := g.buried[n]
		n++
		if e := g.states[b.entity]; e != nil && e.deleted.Equal(b.at) {
			g.unlink(e.state)
			delete(g.states, b.entity)
		}
	}
	g.buried = slices.Delete(g.buried, 0, n)
}

// State returns the last state of an entity, also of one deleted lately, or
// nil. A container's is its pod's.
func (g *Graph) State(e tapio.Entity) *tapio.State {
	if x := g.states[e.Object()]; x != nil {
		return x.state
	}
	return nil
}

// Exists reports whether the entity is known and not deleted.
func (g *Graph) Exists(e tapio.Entity) bool {
	x := g.states[e.Object()]
	return x != nil && x.deleted.IsZero()
}

// WasReady reports whether the pod is known to have been ready at any time.
func (g *Graph) WasReady(pod tapio.Entity) bool {
	x := g.states[pod.Object()]
	return x != nil && x.ready
}

// Workload returns what people deploy behind the entity: the topmost known
// owner of a pod or ReplicaSet, or the object itself.
func (g *Graph) Workload(e tapio.Entity) tapio.Entity {
	e = e.Object()
	for range 5 { // no real chain of owners is longer; a cycle must end
		s := g.State(e)
		if s == nil {
			return e
		}
		owner := s.Owner
		switch {
		case owner.IsZero():
			return e
		case owner.Kind == tapio.KindReplicaSet && g.State(owner) == nil:
			return deploymentOf(owner, s)
		case !owner.Kind.IsWorkload():
			return e
		}
		e = owner
	}
	return e
}

// deploymentOf names the Deployment behind a ReplicaSet that is not known
// itself: a Deployment names its sets after itself and their pods' hash.
func deploymentOf(rs tapio.Entity, pod *tapio.State) tapio.Entity {
	hash := pod.Labels["pod-template-hash"]
	if hash == "" && pod.Pod != nil {
		hash = pod.Pod.TemplateHash
	}
	if name, ok := strings.CutSuffix(rs.Name, "-"+hash); ok && hash != "" {
		return tapio.Entity{Kind: tapio.KindDeployment, Namespace: rs.Namespace, Name: name}
	}
	return rs
}

// Pods returns the pods of a workload that exist, sorted. A pod's is itself.
func (g *Graph) Pods(workload tapio.Entity) []*tapio.State {
	var out []*tapio.State
	g.eachPod(workload.Object(), 0, func(s *tapio.State) { out = append(out, s) })
	slices.SortFunc(out, func(a, b *tapio.State) int { return a.Entity.Compare(b.Entity) })
	return out
}

func (g *Graph) eachPod(e tapio.Entity, depth int, f func(*tapio.State)) {
	if depth > 4 {
		return
	}
	if e.Kind == tapio.KindPod {
		if g.Exists(e) {
			f(g.State(e))
		}
		return
	}
	for child := range g.children[e] {
		g.eachPod(child, depth+1, f)
	}
	// A dump may hold the pods of a Deployment without its ReplicaSets.
	if e.Kind == tapio.KindDeployment && len(g.children[e]) == 0 {
		for pod := range g.pods[e.Namespace] {
			if g.Exists(pod) && g.Workload(pod) == e {
				f(g.State(pod))
			}
		}
	}
}

// PodsOn returns the pods on a node that exist, sorted.
func (g *Graph) PodsOn(node string) []*tapio.State {
	var out []*tapio.State
	for e := range g.onNode[node] {
		if g.Exists(e) {
			out = append(out, g.State(e))
		}
	}
	slices.SortFunc(out, func(a, b *tapio.State) int { return a.Entity.Compare(b.Entity) })
	return out
}

// Node returns the node that a pod is bound to, or the zero Entity.
func (g *Graph) Node(pod tapio.Entity) tapio.Entity {
	if s := g.State(pod); s != nil && s.Pod != nil && s.Pod.Node != "" {
		return tapio.Entity{Kind: tapio.KindNode, Name: s.Pod.Node}
	}
	return tapio.Entity{}
}

// ServicesOf returns the Services whose selector takes in the workload's or
// pod's pods, sorted.
func (g *Graph) ServicesOf(e tapio.Entity) []tapio.Entity {
	labels := g.podLabels(e)
	if labels == nil {
		return nil
	}
	var out []tapio.Entity
	for svc, s := range g.services[e.Namespace] {
		if selects(s.Service.Selector, labels) {
			out = append(out, svc)
		}
	}
	slices.SortFunc(out, tapio.Entity.Compare)
	return out
}

// podLabels returns the labels that the pods of e carry.
func (g *Graph) podLabels(e tapio.Entity) map[string]string {
	s := g.State(e)
	switch {
	case s == nil:
		return nil
	case s.Pod != nil:
		return s.Labels
	case s.Workload != nil && s.Workload.TemplateLabels != nil:
		return s.Workload.TemplateLabels
	}
	if pods := g.Pods(e); len(pods) > 0 {
		return pods[0].Labels
	}
	return nil
}

func selects(selector, labels map[string]string) bool {
	if len(selector) == 0 {
		return false
	}
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// Selected returns the pods that exist and that the Service's selector takes
// in, sorted.
func (g *Graph) Selected(service tapio.Entity) []*tapio.State {
	s := g.State(service)
	if s == nil || s.Service == nil {
		return nil
	}
	var out []*tapio.State
	for pod := range g.pods[service.Namespace] {
		if p := g.State(pod); g.Exists(pod) && selects(s.Service.Selector, p.Labels) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *tapio.State) int { return a.Entity.Compare(b.Entity) })
	return out
}

// Backends counts a Service's endpoints, ready and all.
func (g *Graph) Backends(service tapio.Entity) (ready, all int) {
	for _, slice := range g.slices[service] {
		for _, b := range slice.Backends {
			all++
			if b.Ready {
				ready++
			}
		}
	}
	return ready, all
}

// Workloads returns the workloads whose template's labels the Service could
// have meant: those in its namespace, sorted.
func (g *Graph) Workloads(namespace string) []tapio.Entity {
	seen := set{}
	for pod := range g.pods[namespace] {
		if g.Exists(pod) {
			seen[g.Workload(pod)] = struct{}{}
		}
	}
	out := make([]tapio.Entity, 0, len(seen))
	for e := range seen {
		out = append(out, e)
	}
	slices.SortFunc(out, tapio.Entity.Compare)
	return out
}
