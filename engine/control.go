package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// How long a part of the control plane may take before its silence is told.
const (
	// unseenAfter is how long a pod may wait for its scheduler's first word: a
	// pass takes milliseconds, a lost leader is replaced after 15 s.
	unseenAfter = 30 * time.Second
	// slowAfter is how long it may wait while the scheduler or controller works
	// on others: a burst of thousands of pods takes about a minute.
	slowAfter = time.Minute
	// leaseStale is when a lease of the control plane, renewed every 2 s, can no
	// longer be explained by a slow renewal and the grain it is kept in.
	leaseStale = 45 * time.Second
	// silence is the longest pause between two observations of a cluster that is
	// in contact: leases of the control plane are told every 10 s.
	silence = 30 * time.Second
	// unattendedAfter is how long a controller may take to follow an edit.
	unattendedAfter = 45 * time.Second
)

// The parts of the control plane that the API shows at work.
const (
	defaultScheduler  = "default-scheduler"
	kubeScheduler     = tapio.ComponentScheduler
	controllerManager = tapio.ComponentControllerManager
	systemNamespace   = "kube-system"
)

// watchdog remembers what waits for the control plane and when that was last
// seen at work.
type watchdog struct {
	unseen     map[tapio.Entity]time.Time // pods that no scheduler has spoken of, by when they began to wait
	unattended map[tapio.Entity]time.Time // workloads whose spec no controller has followed, by since when
	active     map[string]time.Time       // scheduler → when it last spoke of any pod
	leaders    map[string]string          // component → who was last elected
	healed     map[string]time.Time       // component → since when nothing stands against it
	begun      time.Time                  // since when something is observed without a pause
	heard      time.Time                  // the last observation
	kills      kills
}

func newWatchdog() *watchdog {
	return &watchdog{
		unseen: map[tapio.Entity]time.Time{}, unattended: map[tapio.Entity]time.Time{},
		active: map[string]time.Time{}, leaders: map[string]string{}, healed: map[string]time.Time{},
	}
}

// idle reports whether nothing waits.
func (w *watchdog) idle() bool { return len(w.unseen) == 0 && len(w.unattended) == 0 }

// contact notes that something was observed. What happens while nothing is
// heard of the cluster is nobody's silence but that of the API server or of the
// way to it, so after a pause the wait begins anew.
func (w *watchdog) contact(at time.Time) {
	if w.begun.IsZero() || at.Sub(w.heard) > silence {
		w.begun = at
	}
	w.heard = at
}

// attend notes a state: whether a pod waits for a scheduler, or a workload for
// its controller.
func (e *Engine) attend(s *tapio.State) {
	w := e.control
	e.noteComponent(s)
	switch {
	case s.Entity.Kind == tapio.KindPod:
		if s.Deleted || !unseen(s) {
			delete(w.unseen, s.Entity)
		} else if _, known := w.unseen[s.Entity]; !known {
			w.unseen[s.Entity] = s.Created
		}
	case s.Entity.Kind == tapio.KindReplicaSet && s.Owner.Kind == tapio.KindDeployment:
		if d := e.graph.State(s.Owner); d != nil && e.graph.Exists(s.Owner) {
			e.attendWorkload(d)
		}
		e.attendWorkload(s)
	case s.Entity.Kind.IsWorkload():
		e.attendWorkload(s)
	case s.Entity.Kind == tapio.KindHPA:
		if _, known := w.unattended[s.Entity]; !e.outOfRange(s) {
			delete(w.unattended, s.Entity)
		} else if !known {
			w.unattended[s.Entity] = e.now
		}
	}
}

// unseen reports whether a pod waits for the first word of its scheduler.
func unseen(s *tapio.State) bool {
	p := s.Pod
	return p != nil && p.Phase == "Pending" && !p.Scheduled && !p.Considered && !p.Terminating
}

func (e *Engine) attendWorkload(s *tapio.State) {
	w := e.control
	if s.Deleted || !e.unfollowed(s) {
		delete(w.unattended, s.Entity)
		return
	}
	if _, known := w.unattended[s.Entity]; known {
		return
	}
	since := e.now
	if s.Listed { // it may have waited for long
		since = maxTime(s.Created, s.Workload.Edited)
		if s.Workload.Edited.IsZero() && s.Workload.Observed > 0 {
			since = e.now
		}
	}
	w.unattended[s.Entity] = since
}

// unfollowed reports whether the workload's controller has not followed its
// spec: it has not seen the last edit, or a Deployment has too few ReplicaSets
// for what it wants.
func (e *Engine) unfollowed(s *tapio.State) bool {
	wl := s.Workload
	if wl == nil {
		return false
	}
	if wl.Generation > wl.Observed {
		return s.Entity.Kind != tapio.KindJob && s.Entity.Kind != tapio.KindCronJob // they have no such count
	}
	if s.Entity.Kind != tapio.KindDeployment || wl.Paused || wl.Strategy == "Recreate" || wl.Replicas.Desired == 0 {
		return false
	}
	sets, wanted := e.graph.ReplicaSets(s.Entity)
	return sets && wanted < int(wl.Replicas.Desired)
}

// outOfRange reports whether the autoscaler's target is asked for fewer or more
// pods than it allows, which its controller mends at once.
func (e *Engine) outOfRange(scaler *tapio.State) bool {
	if scaler.Scaler == nil || !e.graph.Exists(scaler.Entity) || !e.graph.Exists(scaler.Scaler.Target) {
		return false
	}
	t := e.graph.State(scaler.Scaler.Target)
	if t.Workload == nil || t.Workload.Replicas.Desired == 0 { // nought switches it off
		return false
	}
	desired := t.Workload.Replicas.Desired
	return desired < scaler.Scaler.Min || desired > scaler.Scaler.Max
}

// hear notes who of the control plane is at work.
func (e *Engine) hear(ev *tapio.Event) {
	w := e.control
	switch {
	case ev.Type == tapio.PodScheduled:
		e.spoke(e.schedulerOf(ev.Entity), ev.Time)
	case ev.Type == tapio.PodUnschedulable:
		delete(w.unseen, ev.Entity.Object())
	case ev.Type != tapio.KubernetesEvent:
	case ev.Entity.Kind == tapio.KindPod && (ev.Reason == "Scheduled" || ev.Reason == "FailedScheduling" || ev.Reason == "Preempted"):
		e.spoke(e.schedulerOf(ev.Entity), ev.Time)
		delete(w.unseen, ev.Entity.Object())
	case ev.Reason == "LeaderElection":
		if who, ok := strings.CutSuffix(ev.Message, " became leader"); ok {
			w.leaders[ev.Entity.Name] = who
		}
	}
}

func (e *Engine) spoke(scheduler string, at time.Time) {
	if at.After(e.control.active[scheduler]) {
		e.control.active[scheduler] = at
	}
}

func (e *Engine) schedulerOf(pod tapio.Entity) string {
	if s := e.graph.State(pod); s != nil && s.Pod != nil && s.Pod.Scheduler != "" {
		return s.Pod.Scheduler
	}
	return defaultScheduler
}

// checkControl derives what no single object shows: that a pod waits for a
// scheduler, or a workload for its controller, longer than either takes. While
// watching it waits until it has been in contact for long enough; whole says
// that all there is to see was seen.
func (e *Engine) checkControl(at time.Time, whole bool) []tapio.Story {
	w := e.control
	if w.idle() || !whole && (at.Sub(w.begun) < unseenAfter || at.Sub(w.heard) > silence) {
		return nil
	}
	var due []*tapio.Event
	for pod, since := range w.unseen {
		if ev := e.unseenFact(pod, since, at); ev != nil {
			due = append(due, ev)
		}
	}
	for workload, since := range w.unattended {
		if s := e.graph.State(workload); workload.Kind == tapio.KindHPA && (s == nil || !e.outOfRange(s)) {
			delete(w.unattended, workload)
			continue
		}
		if ev := e.unattendedFact(workload, since, at); ev != nil {
			due = append(due, ev)
		}
	}
	slices.SortFunc(due, func(a, b *tapio.Event) int { return a.Entity.Compare(b.Entity) })
	var out []tapio.Story
	for _, ev := range due {
		delete(w.unseen, ev.Entity)
		delete(w.unattended, ev.Entity)
		ev.Seen, ev.Source, ev.Severity = e.now, tapio.SourceKubernetes, tapio.SeverityHigh
		ev.SetID()
		out = append(out, e.observeEvent(ev)...)
	}
	return out
}

func (e *Engine) unseenFact(pod tapio.Entity, since, at time.Time) *tapio.Event {
	waited := at.Sub(since)
	s := e.graph.State(pod)
	if waited < unseenAfter || s == nil || !e.graph.Exists(pod) {
		return nil
	}
	scheduler := e.schedulerOf(pod)
	component := scheduler
	if scheduler == defaultScheduler {
		component = kubeScheduler
	}
	lease, known := e.lease(component)
	alive := known && at.Sub(lease.Renewed) < leaseStale && !e.isDown(component)
	works := e.control.active[scheduler].After(since.Add(5 * time.Second))
	reason, typ := "Down", tapio.PodUnseen
	if alive || works {
		if reason, typ = "Slow", tapio.SchedulingLatency; waited < slowAfter {
			return nil
		}
	}
	return &tapio.Event{
		Time: since.Add(unseenAfter), Type: typ, Entity: pod, Reason: reason, Listed: s.Listed,
		Message: fmt.Sprintf("no word of %s about the pod in %d s%s", component, int(waited.Seconds()), leaseWords(lease, known, at)),
		Attrs:   e.componentAttrs(component),
	}
}

func (e *Engine) unattendedFact(workload tapio.Entity, since, at time.Time) *tapio.Event {
	s := e.graph.State(workload)
	if s == nil || s.Workload == nil && s.Scaler == nil || !e.graph.Exists(workload) {
		return nil
	}
	lease, known := e.lease(controllerManager)
	waited, stale := at.Sub(since), known && (at.Sub(lease.Renewed) >= leaseStale || e.isDown(controllerManager))
	reason, typ := "Down", tapio.WorkloadUnattended
	switch {
	case stale: // whatever is not followed now will not be
	case s.Scaler != nil: // it may wait for more than its controller
		return nil
	case waited < unattendedAfter:
		return nil
	case known:
		if reason, typ = "Lag", tapio.ControllerLag; waited < slowAfter {
			return nil
		}
	}
	what := ""
	switch {
	case s.Scaler != nil:
		what = fmt.Sprintf("the autoscaler stands still: %d to %d pods are allowed, %d wanted", s.Scaler.Min, s.Scaler.Max, e.graph.State(s.Scaler.Target).Workload.Replicas.Desired)
	case s.Workload.Generation > s.Workload.Observed:
		what = fmt.Sprintf("generation %d, observed %d", s.Workload.Generation, s.Workload.Observed)
	default:
		_, wanted := e.graph.ReplicaSets(workload)
		what = fmt.Sprintf("%d pods wanted, %d asked of its ReplicaSets", s.Workload.Replicas.Desired, wanted)
	}
	return &tapio.Event{
		Time: since, Type: typ, Entity: workload, Reason: reason, Listed: s.Listed,
		Message: what + leaseWords(lease, known, at), Attrs: e.componentAttrs(controllerManager),
	}
}

func leaseWords(l tapio.LeaseState, known bool, at time.Time) string {
	if !known {
		return ""
	}
	return fmt.Sprintf("; its lease was last renewed %d s ago", int(at.Sub(l.Renewed).Seconds()))
}

func (e *Engine) lease(component string) (tapio.LeaseState, bool) {
	l := tapio.Entity{Kind: tapio.KindLease, Namespace: systemNamespace, Name: component}
	if s := e.graph.State(l); s != nil && s.Lease != nil && !s.Lease.Renewed.IsZero() && e.graph.Exists(l) {
		return *s.Lease, true
	}
	return tapio.LeaseState{}, false
}

func (e *Engine) componentAttrs(component string) map[string]string {
	attrs := map[string]string{tapio.AttrComponent: component}
	if n := e.nodeOf(component); n != "" {
		attrs[tapio.AttrNode] = n
	}
	return attrs
}

// nodeOf names the node that a component of the control plane runs on: that of
// the holder of its lease, of who was last elected, of its own pod, or the only
// one of the control plane.
func (e *Engine) nodeOf(component string) string {
	lease, _ := e.lease(component)
	for _, holder := range []string{lease.Holder, e.control.leaders[component]} {
		name := holder
		if i := strings.LastIndex(holder, "_"); i > 0 {
			name = holder[:i] // an identity is a host name and a random part
		}
		if name != "" && e.graph.Exists(tapio.Entity{Kind: tapio.KindNode, Name: name}) {
			return name
		}
	}
	node := ""
	for _, w := range e.graph.Workloads(systemNamespace) {
		s := e.graph.State(w)
		if s == nil || s.Pod == nil || s.Labels["component"] != component {
			continue
		}
		if node != "" && node != s.Pod.Node {
			return ""
		}
		node = s.Pod.Node
	}
	if node != "" {
		return node
	}
	masters := e.graph.ControlPlane()
	if len(masters) == 1 {
		return masters[0].Name
	}
	return ""
}
