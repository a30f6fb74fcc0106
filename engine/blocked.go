package engine

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/claims"
	"github.com/yairfalse/tapio/engine/placement"
)

const (
	// blockSettle is how long after it was reported a pod that gets no further is
	// looked at: nodes, volumes and neighbours may be reported a moment later.
	blockSettle = 2 * time.Second
	// verdictFor is how long a verdict on a workload's pods holds for the next of
	// them with the same message: a replay looks at every pod of the cluster.
	verdictFor = 10 * time.Second
)

// blocked is a pod to look at: since what was said of it, and when.
type blocked struct {
	at    time.Time
	event *tapio.Event
}

// obstacle is why a pod does not get a node or its volumes.
type obstacle struct {
	reason   string
	kind     tapio.Kind // of the object at fault; none means the pod's workload
	object   string
	detail   string
	resource string
	taint    string
	standing tapio.Standing // where it is less than the template's
}

// judged is a verdict that was given lately.
type judged struct {
	message string
	at      time.Time
	verdict obstacle
	ok      bool
}

// noteBlocked remembers to look at pods that an event says get no further.
func (e *Engine) noteBlocked(ev *tapio.Event) {
	later := func(pod tapio.Entity, ev *tapio.Event) {
		e.blocked[pod.Object()] = blocked{e.now.Add(blockSettle), ev}
	}
	switch {
	case ev.Type == tapio.PodUnschedulable:
		later(ev.Entity, ev)
	case ev.Type != tapio.KubernetesEvent:
	case ev.Entity.Kind == tapio.KindPod && ev.Reason == "FailedScheduling":
		// The condition of the pod says the same; a dump may lack it.
		if e.unscheduled[ev.Entity.Object()] == nil {
			later(ev.Entity, ev)
		}
	case ev.Entity.Kind == tapio.KindPod && volumeReason.MatchString(ev.Reason):
		later(ev.Entity, ev)
	case ev.Entity.Kind == tapio.KindPersistentVolumeClaim && claimReason.MatchString(ev.Reason):
		e.claimSaid[ev.Entity] = ev
		for _, p := range e.graph.Users(ev.Entity) {
			if b, ok := e.blocked[p.Entity]; ok {
				later(p.Entity, b.event)
			} else if last := e.unscheduled[p.Entity]; last != nil && !p.Pod.Scheduled {
				later(p.Entity, last)
			}
		}
	}
	if ev.Type == tapio.PodUnschedulable {
		e.unscheduled[ev.Entity] = ev
	}
}

var (
	volumeReason = regexp.MustCompile(`^(?:FailedMount|FailedAttachVolume|FailedMapVolume)$`)
	claimReason  = regexp.MustCompile(`^(?:ProvisioningFailed|FailedBinding|ClaimLost|ClaimMisbound|ExternalProvisioning|VolumeMismatch)$`)
)

// checkBlocked looks at the pods whose time has come and derives what no single
// object shows: which obstacle, lifted, would let them run.
func (e *Engine) checkBlocked(now time.Time) []tapio.Story {
	var due []tapio.Entity
	for pod, b := range e.blocked {
		if !b.at.After(now) {
			due = append(due, pod)
		}
	}
	slices.SortFunc(due, tapio.Entity.Compare)
	e.nodes = nil
	defer func() { e.nodes = nil }()
	out := e.checkNamed()
	for _, pod := range due {
		ev := e.blocked[pod].event
		delete(e.blocked, pod)
		out = append(out, e.succeeds(pod)...)
		o, ok := e.obstacle(pod, ev)
		if !ok {
			continue
		}
		out = append(out, e.derive(tapio.PodBlocked, pod, ev, o)...)
	}
	return out
}

// derive observes what the engine concluded from an event, on the entity.
func (e *Engine) derive(what tapio.EventType, on tapio.Entity, from *tapio.Event, o obstacle) []tapio.Story {
	ev := &tapio.Event{
		Time: from.Time, Seen: e.now, Source: from.Source, Type: what, Severity: tapio.SeverityMedium,
		Entity: on, Reason: o.reason, Message: from.Message, Listed: from.Listed, Attrs: map[string]string{},
	}
	uid := ""
	if on == from.Entity {
		uid = from.Attrs[tapio.AttrUID]
	}
	for key, value := range map[string]string{
		tapio.AttrKind: string(o.kind), tapio.AttrObject: o.object, tapio.AttrDetail: o.detail, tapio.AttrResource: o.resource,
		tapio.AttrTaint: o.taint, tapio.AttrStanding: string(o.standing), tapio.AttrNode: from.Attrs[tapio.AttrNode], tapio.AttrUID: uid,
	} {
		if value != "" {
			ev.Attrs[key] = value
		}
	}
	ev.SetID()
	return e.observeEvent(ev)
}

// obstacle says what keeps a pod from its node or its volumes.
func (e *Engine) obstacle(pod tapio.Entity, ev *tapio.Event) (obstacle, bool) {
	s := e.graph.State(pod)
	if !e.graph.Exists(pod) || s.Pod == nil || s.Pod.Terminating || s.Pod.Phase == "Succeeded" || s.Pod.Phase == "Failed" {
		return obstacle{}, false
	}
	switch {
	case ev.Type == tapio.PodUnschedulable || ev.Reason == "FailedScheduling":
		if s.Pod.Scheduled {
			return obstacle{}, false
		}
		return e.unplaced(s, ev)
	case ev.Type == tapio.KubernetesEvent && !hasStarted(s.Pod):
		return e.unmounted(s, ev)
	}
	return obstacle{}, false
}

// hasStarted reports whether any container of the pod has run: then its volumes
// were mounted.
func hasStarted(p *tapio.PodState) bool {
	return slices.ContainsFunc(p.Containers, func(c tapio.ContainerState) bool {
		return c.State == "running" || c.State == "terminated" || c.Restarts > 0
	})
}

// unplaced says why a pod finds no node. Pods of one workload that are told the
// same have the same reason.
func (e *Engine) unplaced(s *tapio.State, ev *tapio.Event) (obstacle, bool) {
	key := e.graph.Workload(s.Entity)
	key.Container = s.Pod.TemplateHash
	if last, ok := e.judged[key]; ok && last.message == ev.Message && e.now.Sub(last.at) < verdictFor && key.Kind != tapio.KindStatefulSet {
		return last.verdict, last.ok
	}
	o, ok := e.place(s, ev)
	e.judged[key] = judged{ev.Message, e.now, o, ok}
	return o, ok
}

func (e *Engine) place(s *tapio.State, ev *tapio.Event) (obstacle, bool) {
	v, ok := placement.Judge(s, ev.Message, e.places(), e.boundVolumes(s))
	if !ok {
		return obstacle{}, false
	}
	o := obstacle{reason: string(v.Obstacle), detail: v.Detail, resource: v.Resource, taint: v.Taint}
	if !v.Proven {
		o.standing = tapio.StandingLikely
	}
	switch v.Obstacle {
	case placement.Cordoned, placement.Taint:
		if len(v.Nodes) > 0 {
			o.kind, o.object = tapio.KindNode, v.Nodes[0]
		}
	case placement.Gated:
		o.kind, o.object = tapio.KindPod, s.Entity.Name
	case placement.ClaimMissing:
		return e.missingClaim(s, ev, v.Object), true
	case placement.ClaimLost:
		o.kind, o.object, o.detail = tapio.KindPersistentVolumeClaim, v.Object, "its volume is gone"
		if c := e.graph.State(tapio.Entity{Kind: o.kind, Namespace: s.Entity.Namespace, Name: v.Object}); c != nil && c.Claim != nil && c.Claim.Volume != "" {
			o.detail = "its volume " + c.Claim.Volume + " is gone"
		}
	case placement.Unbound, placement.NoVolume:
		return e.unbound(s, ev, o)
	case placement.VolumeZone:
		if claim, ok := e.claimOf(s, v.Object); ok {
			o.kind, o.object = claim.Kind, claim.Name
		}
	}
	return o, true
}

// places returns all nodes with what runs on them, gathered once for all pods
// that are looked at together.
func (e *Engine) places() []placement.Node {
	if e.nodes == nil {
		e.nodes = []placement.Node{}
		for _, n := range e.graph.All(tapio.KindNode, "") {
			e.nodes = append(e.nodes, placement.Node{State: n, Pods: e.graph.PodsOn(n.Entity.Name)})
		}
	}
	return e.nodes
}

// claimsOf returns the claims that a pod uses.
func claimsOf(s *tapio.State) []tapio.Entity {
	var out []tapio.Entity
	for _, r := range s.Pod.References {
		if r.Kind == tapio.KindPersistentVolumeClaim {
			out = append(out, r)
		}
	}
	return out
}

// boundVolumes returns the volumes that the pod's claims are bound to.
func (e *Engine) boundVolumes(s *tapio.State) []*tapio.State {
	var out []*tapio.State
	for _, claim := range claimsOf(s) {
		if c := e.graph.State(claim); c != nil && c.Claim != nil && c.Claim.Volume != "" {
			if v := e.graph.State(tapio.Entity{Kind: tapio.KindPersistentVolume, Name: c.Claim.Volume}); v != nil && v.Volume != nil {
				out = append(out, v)
			}
		}
	}
	return out
}

// unbound says which of a pod's claims has no volume, and why.
func (e *Engine) unbound(s *tapio.State, ev *tapio.Event, o obstacle) (obstacle, bool) {
	volumes, classes := e.graph.All(tapio.KindPersistentVolume, ""), e.graph.All(tapio.KindStorageClass, "")
	for _, claim := range claimsOf(s) {
		c := e.graph.State(claim)
		if !e.graph.Exists(claim) {
			if e.graph.Lists(tapio.KindPersistentVolumeClaim) {
				return e.missingClaim(s, ev, claim.Name), true
			}
			continue
		}
		if c.Claim == nil || c.Claim.Phase == "Bound" {
			continue
		}
		said := ""
		if last := e.claimSaid[claim]; last != nil {
			said = last.Message
		}
		if v, ok := claims.Judge(c, volumes, classes, said, e.now.Sub(s.Created)); ok {
			o := obstacle{reason: string(v.Obstacle), kind: claim.Kind, object: claim.Name, detail: cmp.Or(v.Detail, clipped(said))}
			if v.Obstacle == claims.NoClass && !c.Claim.ClassGiven {
				o.resource = "storageclass" // a default one is what is missing
			}
			return o, true
		}
		if o.object == "" {
			o.kind, o.object = claim.Kind, claim.Name
		}
	}
	if o.reason == string(placement.NoVolume) {
		o.detail = "no volume that the claim could have can be used on a node that takes the pod"
	}
	return o, true
}

// missingClaim says why a claim that a pod names does not exist: a quota that
// has no room for it, or nobody made it.
func (e *Engine) missingClaim(s *tapio.State, ev *tapio.Event, name string) obstacle {
	claim := tapio.Entity{Kind: tapio.KindPersistentVolumeClaim, Namespace: s.Entity.Namespace, Name: name}
	if e.graph.Exists(claim) { // it was made since
		if o, ok := e.unbound(s, ev, obstacle{reason: string(placement.Unbound)}); ok {
			return o
		}
	}
	o := obstacle{reason: string(placement.ClaimMissing), kind: claim.Kind, object: name}
	if near := nearName(name, e.graph.All(claim.Kind, claim.Namespace)); near != "" {
		o.detail = "there is a claim " + near
		return o
	}
	if q, detail := e.refusesClaim(claim); q != "" {
		return obstacle{reason: "StorageQuota", kind: tapio.KindResourceQuota, object: q, detail: detail, resource: "requests.storage", standing: tapio.StandingLikely}
	}
	return o
}

// unmounted says why a pod that has a node does not get a volume.
func (e *Engine) unmounted(s *tapio.State, ev *tapio.Event) (obstacle, bool) {
	if passing.MatchString(ev.Message) || reference.MatchString(ev.Message) {
		return obstacle{}, false // a cache that is not warm yet; a missing ConfigMap or Secret has a cause of its own
	}
	o := obstacle{reason: "MountFailed", detail: mountError(ev.Message)}
	switch {
	case strings.Contains(ev.Message, "Multi-Attach error"):
		o.reason = "MultiAttach"
	case ev.Reason == "FailedAttachVolume" || strings.Contains(ev.Message, "AttachVolume.Attach failed"):
		o.reason = "AttachFailed"
	}
	volume := ""
	if m := volumeName.FindStringSubmatch(ev.Message); m != nil {
		volume = cmp.Or(m[1], m[2])
	}
	if claim, ok := e.claimOf(s, volume); ok {
		o.kind, o.object = claim.Kind, claim.Name
	}
	return o, true
}

var (
	passing    = regexp.MustCompile(`failed to sync (?:configmap|secret) cache|not registered|kube-api-access`)
	reference  = regexp.MustCompile(`(?i)(?:configmap|secret)s? "[^"]+" not found|references non-existent (?:config|secret) key`)
	volumeName = regexp.MustCompile(`volume "([^"]+)"|unmounted volumes=\[([^\], ]+)`)
)

// claimOf returns the claim of the pod behind a volume that a component names:
// by the volume's own name, or the only one that it can be.
func (e *Engine) claimOf(s *tapio.State, volume string) (tapio.Entity, bool) {
	all := claimsOf(s)
	if v := e.graph.State(tapio.Entity{Kind: tapio.KindPersistentVolume, Name: volume}); v != nil && v.Volume != nil && slices.Contains(all, v.Volume.Claim) {
		return v.Volume.Claim, true
	}
	for _, claim := range all {
		if c := e.graph.State(claim); c != nil && c.Claim != nil && c.Claim.Volume == volume {
			return claim, true
		}
	}
	if len(all) == 1 {
		return all[0], true
	}
	for _, claim := range all { // the name of a StatefulSet's claim begins with the volume's
		if volume != "" && strings.HasPrefix(claim.Name, volume+"-") {
			return claim, true
		}
	}
	return tapio.Entity{}, false
}

// mountError is the part of a kubelet's message that says why.
func mountError(message string) string {
	for _, cut := range []string{"Output: ", "desc = ", "rpc error: ", " : "} {
		if _, rest, ok := strings.Cut(message, cut); ok && strings.TrimSpace(rest) != "" {
			message = rest
		}
	}
	return clipped(message)
}

// clipped bounds a message to one line that a sentence can hold.
func clipped(s string) string {
	s = strings.TrimRight(strings.Join(strings.Fields(s), " "), ". ")
	if r := []rune(s); len(r) > 200 {
		return string(r[:199]) + "…"
	}
	return s
}
