// Package engine turns observations into stories.
//
// It keeps the topology up to date, matches templates around what fails, and
// keeps one incident for each thing that hurts: held back while it may pass,
// opened, grown, moved under a deeper cause, resolved, reopened. Each change
// comes out as a revision of a [tapio.Story] that holds facts and no words.
//
// The engine is pure. It has no clock, does no I/O, starts no goroutine and
// logs nothing: time comes with the observations and with [Engine.Tick]. The
// same calls in the same order give the same revisions, byte for byte. One
// goroutine owns an Engine.
package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/diagnosis"
	"github.com/yairfalse/tapio/engine/placement"
	"github.com/yairfalse/tapio/engine/topology"
)

// Defaults of Options.
const (
	// DefaultQuiet is how long everything affected must be well before a story
	// is resolved: longer than the first back-offs of a crash loop (10 s, 20 s).
	DefaultQuiet = time.Minute
	// DefaultReopen is how long a resolved story is taken up again in place.
	DefaultReopen = 30 * time.Minute
)

// Windows and bounds.
const (
	deploymentWindow = 10 * time.Minute // a change this long before the onset may be its trigger
	eventMemory      = 2 * time.Hour    // events are recognized as the same for this long: Kubernetes keeps its own for 1 h
	scaleUpPatience  = 5 * time.Minute  // a node that the autoscaler asked for has this long to take its pods
	scopeSettle      = 30 * time.Second // growth of a story younger than this is no news
	maxTicks         = 600              // evaluations made up for after a pause, one a second
	growthInterval   = 15 * time.Second // growth without news makes at most one revision in this time
	maxTimeline      = 60               // entries of a story's timeline
	maxEvidence      = 80               // pieces of evidence of a story
	maxPods          = 100              // names in affected_pods
	maxGaps          = 100              // gaps remembered for stories that begin later
	maxRecent        = 8                // effects and changes remembered for one entity
	maxRememberedIDs = 200_000          // event IDs; beyond it the memory is cut to half, oldest first
)

// Options configure an Engine. The zero value of a duration means its default.
type Options struct {
	Cluster   string // name of the cluster, part of every story's ID
	Templates []tapio.Template
	Quiet     time.Duration
	Reopen    time.Duration
	// Backlog says that this cluster has never been looked at before: what is
	// found failing in the first listing is marked as a backlog.
	Backlog bool
}

func (o *Options) validate() error {
	if len(o.Templates) == 0 {
		return errors.New("engine: no templates")
	}
	if o.Quiet < 0 || o.Reopen < 0 {
		return fmt.Errorf("engine: quiet (%s) and reopen (%s) can't be negative", o.Quiet, o.Reopen)
	}
	if o.Quiet == 0 {
		o.Quiet = DefaultQuiet
	}
	if o.Reopen == 0 {
		o.Reopen = DefaultReopen
	}
	return nil
}

// Engine holds the topology and the live incidents.
type Engine struct {
	opts      Options
	graph     *topology.Graph
	matcher   *diagnosis.Matcher
	templates map[string]*diagnosis.Template
	shares    map[tapio.Standing]float64 // how often each standing is right, where that was measured

	live     []*incident // suspected, open and lately resolved, oldest first
	recent   map[tapio.Entity][]*tapio.Event
	seen     map[string]time.Time
	services map[tapio.Entity]time.Time // Services to look at, and when
	control  *watchdog
	blocked  map[tapio.Entity]blocked // pods to look at, and when
	drains   map[string]*drain        // cordoned nodes
	emptied  map[string]time.Time     // by node: when the last pod was deleted there
	judged   map[tapio.Entity]judged  // verdicts on workloads' pods that were given lately
	nodes    []placement.Node         // for the pods that are looked at now
	// What was last said of pods without a node and of claims without a volume.
	unscheduled, claimSaid map[tapio.Entity]*tapio.Event
	preemptions            preemptions
	early                  []early
	past                   map[tapio.Entity][]pastStory
	gaps                   []tapio.Gap
	// unchecked holds what is to be compared with what it names, and when;
	// standing what contradicts what, by the entity that was compared.
	unchecked map[tapio.Entity]time.Time
	witnessed witnesses
	standing  map[tapio.Entity][]*tapio.Event
	sights    sights

	// unstarted holds when a pod that was never ready should be.
	unstarted map[tapio.Entity]time.Time
	pulls     map[tapio.Entity]*pull // images on their way, by container

	now        time.Time // newest time seen
	next       time.Time // when to evaluate next
	tidied     time.Time
	flushing   bool      // a reader asks about this moment
	isRestored bool      // Restore brought stories back
	restored   time.Time // time of the first observation after that
	wants      []tapio.Want
}

type pastStory struct {
	id    string
	cause tapio.Cause
	ended time.Time
}

// New returns an Engine for the templates.
func New(o Options) (*Engine, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	compiler, err := diagnosis.NewCompiler()
	if err != nil {
		return nil, err
	}
	templates := map[string]*diagnosis.Template{}
	for _, t := range o.Templates {
		c, err := compiler.Compile(t)
		if err != nil {
			return nil, err
		}
		if templates[t.ID] != nil {
			return nil, fmt.Errorf("template %q is there twice", t.ID)
		}
		templates[t.ID] = c
	}
	measured, err := ParseCalibration(calibration)
	if err != nil {
		return nil, err
	}
	e := assemble(o, templates)
	e.shares = measured.Shares()
	return e, nil
}

// Again returns an Engine with e's templates, which need not be compiled again,
// and with other options; their Templates are not read. It shares nothing else
// with e: each may have its own goroutine.
func (e *Engine) Again(o Options) (*Engine, error) {
	o.Templates = e.opts.Templates
	if err := o.validate(); err != nil {
		return nil, err
	}
	again := assemble(o, e.templates)
	again.shares = e.shares
	return again, nil
}

// assemble makes an Engine of compiled templates.
func assemble(o Options, templates map[string]*diagnosis.Template) *Engine {
	ordered := make([]*diagnosis.Template, 0, len(templates))
	for _, t := range o.Templates {
		ordered = append(ordered, templates[t.ID])
	}
	return &Engine{
		opts:      o,
		graph:     topology.New(),
		matcher:   diagnosis.NewMatcher(ordered),
		templates: templates,
		recent:    map[tapio.Entity][]*tapio.Event{},
		seen:      map[string]time.Time{},
		services:  map[tapio.Entity]time.Time{},
		control:   newWatchdog(),
		blocked:   map[tapio.Entity]blocked{},
		drains:    map[string]*drain{},
		emptied:   map[string]time.Time{},
		judged:    map[tapio.Entity]judged{},

		unscheduled: map[tapio.Entity]*tapio.Event{},
		preemptions: newPreemptions(),
		unstarted:   map[tapio.Entity]time.Time{},
		pulls:       map[tapio.Entity]*pull{},
		claimSaid:   map[tapio.Entity]*tapio.Event{},
		past:        map[tapio.Entity][]pastStory{},
		unchecked:   map[tapio.Entity]time.Time{},
		standing:    map[tapio.Entity][]*tapio.Event{},
		sights:      sights{calls: map[call]*row{}},
	}
}

// Observe takes in one observation and returns the revisions and the wants that
// follow. The engine keeps what o points to: the caller must not change it.
func (e *Engine) Observe(o *tapio.Observation) ([]tapio.Story, []tapio.Want) {
	if ofCluster(o) {
		e.control.contact(o.Time)
	}
	out := e.advance(o.Time)
	switch {
	case o.State != nil:
		e.observeState(o.State)
		e.attend(o.State)
		out = append(out, e.arrived(o.State.Entity)...)
	case o.Event != nil && !e.isEarly(o.Event):
		out = append(out, e.takeIn(o.Event)...)
	case o.Gap != nil:
		out = append(out, e.observeGap(*o.Gap)...)
	}
	wants := e.wants
	e.wants = nil
	return out, wants
}

// Tick tells the engine the time and returns the revisions that are due.
func (e *Engine) Tick(now time.Time) []tapio.Story { return e.advance(now) }

// Flush opens at once what is still held back and fails now, for a reader who
// asks about this moment, and returns the newest revision of every story, the
// one that matters most first (see [Engine.Order]).
func (e *Engine) Flush(now time.Time) []tapio.Story {
	e.advance(now)
	e.flushing = true
	defer func() { e.flushing = false }()
	e.checkEarly(e.now.Add(time.Hour))
	e.checkServices(e.now.Add(time.Hour))
	e.checkBlocked(e.now.Add(time.Hour))
	e.checkDrains(e.now.Add(time.Hour))
	e.checkStarts(e.now)
	e.checkPulls(e.now)
	e.crossCheck(e.now.Add(time.Hour))
	e.checkControl(e.now, true)
	for _, inc := range e.live {
		if inc.status == tapio.StatusSuspected {
			e.diagnose(inc)
		}
	}
	e.reconcile(true)
	var out []tapio.Story
	for _, inc := range e.live {
		if inc.status == tapio.StatusSuspected && (e.failing(inc, true) || e.betweenCrashes(inc)) && !e.moot(inc) {
			e.open(inc)
		}
	}
	e.reconcile(false)
	for _, inc := range e.live {
		if inc.status == tapio.StatusSuspected || inc.absorbedInto != nil {
			continue
		}
		e.measure(inc)
		out = append(out, e.revise(inc))
	}
	e.Order(out)
	return out
}

// advance evaluates the live incidents once for each second up to now.
func (e *Engine) advance(now time.Time) []tapio.Story {
	if now.After(e.now) {
		e.now = now
	}
	if e.isRestored && e.restored.IsZero() {
		e.restored = now
	}
	if e.next.IsZero() {
		e.next = now.Truncate(time.Second).Add(time.Second)
	}
	if now.Before(e.next) {
		return nil
	}
	if now.Sub(e.next) > maxTicks*time.Second {
		e.next = now.Truncate(time.Second).Add(-maxTicks * time.Second)
	}
	var out []tapio.Story
	for !e.next.After(now) {
		at := e.next
		e.next = at.Add(time.Second)
		if len(e.live) == 0 && len(e.services) == 0 && len(e.blocked) == 0 && len(e.drains) == 0 && len(e.unchecked) == 0 && len(e.unstarted) == 0 && len(e.pulls) == 0 && len(e.early) == 0 && e.control.idle() {
			// Nothing can change until something is observed.
			e.next = now.Truncate(time.Second).Add(time.Second)
			break
		}
		out = append(out, e.evaluate(at)...)
	}
	e.tidy(now)
	return out
}

// tidy forgets, once a minute, what no window can reach any more.
func (e *Engine) tidy(now time.Time) {
	if now.Sub(e.tidied) < time.Minute {
		return
	}
	e.tidied = now
	e.tidyStanding()
	e.tidyPulls()
	e.preemptions.tidy(now)
	e.witnessed.tidy(now)
	e.graph.Forget(now)
	e.matcher.Forget(now)
	for id, at := range e.seen {
		if now.Sub(at) > eventMemory {
			delete(e.seen, id)
		}
	}
	for entity, list := range e.recent {
		if n := len(list); n == 0 || now.Sub(list[n-1].Time) > time.Hour && now.Sub(list[n-1].Seen) > time.Hour {
			delete(e.recent, entity)
		}
	}
	for pod := range e.unscheduled {
		if s := e.graph.State(pod); s == nil || !e.graph.Exists(pod) || s.Pod == nil || s.Pod.Scheduled {
			delete(e.unscheduled, pod)
		}
	}
	for claim, ev := range e.claimSaid {
		if now.Sub(ev.Time) > time.Hour && now.Sub(ev.Seen) > time.Hour {
			delete(e.claimSaid, claim)
		}
	}
	for workload, j := range e.judged {
		if now.Sub(j.at) > verdictFor {
			delete(e.judged, workload)
		}
	}
	n := 0
	for n < len(e.gaps) && now.Sub(e.gaps[n].To) > time.Hour {
		n++
	}
	e.gaps = e.gaps[n:]
}

func (e *Engine) observeState(s *tapio.State) {
	s = topology.Fit(s)
	old := e.graph.Apply(s, e.now)
	if s.Entity.Kind == tapio.KindNode {
		e.noteCordon(s)
	}
	e.recheck(s, old)
	if s.Entity.Kind == tapio.KindPod {
		e.noteStart(s)
		e.namePreemptor(s)
	}
	switch {
	case s.Deleted:
	case s.Service != nil && (old == nil || old.Service == nil || !equalLabels(old.Service.Selector, s.Service.Selector)):
		e.services[s.Entity] = e.now.Add(serviceSettle)
	case s.Endpoints != nil:
		svc := tapio.Entity{Kind: tapio.KindService, Namespace: s.Entity.Namespace, Name: s.Endpoints.Service}
		if ready, _ := e.graph.Backends(svc); ready == 0 && e.graph.Exists(svc) {
			e.services[svc] = e.now.Add(serviceSettle)
		}
	}
}

// remember reports whether the event is new, and keeps its ID.
func (e *Engine) remember(ev *tapio.Event) bool {
	if _, ok := e.seen[ev.ID]; ok {
		return false
	}
	if len(e.seen) >= maxRememberedIDs {
		e.forgetHalf()
	}
	e.seen[ev.ID] = e.now
	return true
}

// forgetHalf drops the IDs older than the middle of the time they span.
func (e *Engine) forgetHalf() {
	oldest := e.now
	for _, at := range e.seen {
		if at.Before(oldest) {
			oldest = at
		}
	}
	middle := oldest.Add(e.now.Sub(oldest) / 2)
	for id, at := range e.seen {
		if !at.After(middle) {
			delete(e.seen, id)
		}
	}
}

func (e *Engine) observeEvent(ev *tapio.Event) []tapio.Story {
	e.noteDrain(ev)
	if ofKernel(ev) {
		if !e.remember(ev) {
			return nil
		}
		e.witness(ev)
		return e.observeAll(e.sawInKernel(ev))
	}
	matters := e.matcher.Relevant(ev.Type)
	if !matters && !told(ev) && !ev.Type.IsRuntime() {
		return nil
	}
	if !e.remember(ev) {
		return nil
	}
	if ev.Type.IsRuntime() {
		if e.witness(ev); !matters {
			return e.follow(ev)
		}
	}
	e.keepRecent(ev)
	out := e.notePull(ev)
	out = append(out, e.refused(ev)...)
	out = append(out, e.observeAll(e.appErrors(ev))...)
	if ev.Type == tapio.ContainerExit {
		out = append(out, e.observeAll(e.sawInKernel(ev))...)
	}
	if !matters || e.expected(ev) {
		return append(out, e.follow(ev)...)
	}
	e.noteBlocked(ev)
	for _, d := range e.infer(ev) {
		out = append(out, e.observeEvent(d)...)
	}
	for _, f := range e.matcher.Observe(ev, e.weight(ev), func(subject string) []tapio.Entity { return e.subjects(ev, subject) }) {
		e.attach(f, ev)
	}
	return append(out, e.follow(ev)...)
}

// told reports whether events of this kind stand in a timeline even though no
// template asks for them: changes, effects and recovery.
func told(ev *tapio.Event) bool {
	switch ev.Type {
	case tapio.WorkloadRollout, tapio.WorkloadScaled, tapio.WorkloadAvailable, tapio.ConfigChanged,
		tapio.QuotaChanged, tapio.ServiceChanged, tapio.PolicyChanged, tapio.RouteChanged, tapio.NodeReady, tapio.NodeKubeletUp, tapio.NodeRuntimeUp, tapio.NodeAgentBack, tapio.NodeCordoned, tapio.NodeChanged, tapio.NodePressureEnded, tapio.NodeProblemEnded, tapio.APIServiceAvailable,
		tapio.EndpointsRemoved, tapio.EndpointsAdded, tapio.ContainerLog, tapio.JobComplete, tapio.ImagePulled, tapio.CRIImagePulled,
		tapio.EtcdLeaderChanged, tapio.EtcdCompaction, tapio.EtcdHealthy, tapio.APIServerHealthy, tapio.SchedulerHealthy, tapio.ControllerHealthy, tapio.WebhookAnswering:
		return true
	case tapio.KubernetesEvent:
		return ev.Reason == "TriggeredScaleUp"
	}
	return false
}

// expected reports whether the event is part of something that was asked for:
// the end of a pod that is being deleted, or of a job's try. What is about an
// object that was replaced since is no evidence either.
func (e *Engine) expected(ev *tapio.Event) bool {
	if e.isOld(ev) {
		return true
	}
	switch ev.Type {
	case tapio.ContainerExit:
		if ev.Attrs[tapio.AttrTerminating] == "true" {
			return true
		}
		s := e.graph.State(ev.Entity)
		if s != nil && s.Pod != nil && s.Pod.Reason == "Evicted" {
			return true
		}
		ends := s != nil && s.Pod != nil && s.Pod.RestartPolicy != "Always" && s.Pod.RestartPolicy != ""
		if ev.Int(tapio.AttrExitCode) == 0 && (ends || ev.Attrs[tapio.AttrInit] == "true") {
			return true
		}
	}
	if s := e.graph.State(ev.Entity); s != nil && s.Pod != nil && ev.Type != tapio.PodEvicted && ev.Reason != "Preempted" {
		// What happens to a pod on its way out is part of its going.
		return (s.Pod.Terminating || s.Pod.Phase == "Succeeded" || !e.graph.Exists(ev.Entity)) && !e.explainsEnd(ev)
	}
	return false
}

// keepRecent remembers changes and effects for stories that begin later.
func (e *Engine) keepRecent(ev *tapio.Event) {
	if !told(ev) || ev.Type == tapio.ContainerLog {
		return
	}
	list := append(e.recent[ev.Entity], ev)
	if len(list) > maxRecent {
		list = list[1:]
	}
	e.recent[ev.Entity] = list
}

func equalLabels(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}
