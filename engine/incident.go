package engine

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/diagnosis"
)

// incident is a story in the making: what the engine knows of it beyond its
// last revision.
type incident struct {
	subject  tapio.Entity
	status   tapio.Status
	findings map[string]*diagnosis.Finding // by template and subject
	chosen   *diagnosis.Finding
	against  map[*diagnosis.Finding]string

	affected map[tapio.Entity]bool // workloads, bare pods, Services, nodes
	pods     map[string]bool       // namespace/name
	timeline []tapio.StoryEvent
	evidence []tapio.Evidence
	cited    map[string]bool // IDs in evidence
	counted  map[string]bool // IDs in the timeline's counts
	series   map[string]int  // Kubernetes Events: count seen so far, by object, reason and message
	gaps     []tapio.Gap
	news     []tapio.News
	trigger  *tapio.Trigger
	asked    map[string]bool // runs whose log was asked for
	configs  map[string]bool // ConfigMaps whose values were asked for
	exits    map[string]exit // ends of containers on the timeline, by container ID

	onset     time.Time // event time of the first symptom
	found     time.Time // engine time of the first finding
	after     time.Time // the onset is no earlier: a story is known by its subject and its onset, and there was one before
	lastBad   time.Time // engine time when it was last seen failing
	well      time.Time // engine time since when all is well; zero while not
	opened    time.Time
	resolved  time.Time
	emitted   time.Time
	compared  time.Time     // when specs were last compared around it
	patience  time.Time     // held back until then, whatever the template says
	longest   time.Duration // longest run of a container that failed before and failed again
	severity  tapio.Severity
	scope     tapio.Scope
	announced tapio.Scope // what the thread was last told of the scope
	wanted    int         // pods wanted when most were down
	lastError string
	wondered  time.Time // when the first log was asked for
	answered  bool      // one of the logs asked for was read, or can't be
	heard     bool      // a log of its containers was read
	fresh     bool      // changed since the last revision
	backlog   bool

	outage *outage // of the API server, where it is about one

	last         tapio.Story // the last revision; its ID once it is opened
	absorbedInto *incident
	absorbed     []string
	follows      string
}

func (inc *incident) addNews(n tapio.News) {
	inc.news = append(inc.news, n)
	inc.fresh = true
}

// find returns the live incident that the finding belongs to: the one on the
// same subject, or with the same cause, or which hurts the subject already. It
// returns too since when an incident on the subject went on that something else
// took in which does not explain the finding; zero: there is none.
func (e *Engine) find(f *diagnosis.Finding) (found *incident, before time.Time) {
	for i, inc := range e.live {
		if inc.subject != f.Subject {
			continue
		}
		top := e.top(inc)
		if top == inc || top.status != tapio.StatusResolved && (e.explainsFinding(top, f) || partOf(top, f)) {
			return top, before
		}
		// What absorbed it does not explain this: it begins anew.
		before = inc.onset
		e.live = slices.Delete(e.live, i, i+1)
		break
	}
	for _, inc := range e.live {
		if inc.status == tapio.StatusResolved || inc.absorbedInto != nil {
			continue
		}
		if c := inc.chosen; c != nil && c.Template == f.Template && c.CauseEntity == f.CauseEntity && shared(f.CauseEntity.Kind) {
			return inc, before
		}
		if f.Template.IsSymptom() && (inc.affected[f.Subject] || e.neighbours(inc, f.Subject)) {
			return inc, before
		}
	}
	return nil, before
}

// neighbours reports whether one of the two is a Service that stands before
// the other's pods: then their symptoms are one incident.
func (e *Engine) neighbours(inc *incident, subject tapio.Entity) bool {
	switch {
	case subject.Kind == tapio.KindService:
		return inc.subject.Kind != tapio.KindNode && e.serves(subject, inc)
	case inc.subject.Kind == tapio.KindService:
		return inc.subject.Namespace == subject.Namespace && slices.Contains(e.graph.ServicesOf(subject), inc.subject)
	}
	return false
}

// top follows absorption to the story that is told. A parent that has been
// resolved and forgotten leaves the child to itself.
func (e *Engine) top(inc *incident) *incident {
	for inc.absorbedInto != nil {
		inc = inc.absorbedInto
	}
	return inc
}

// shared reports whether one object of the kind can be the fault of many
// workloads: then it is one story.
func shared(k tapio.Kind) bool {
	switch k {
	case tapio.KindNode, tapio.KindComponent, tapio.KindAPIService, tapio.KindRegistry, tapio.KindImage, tapio.KindConfigMap, tapio.KindSecret, tapio.KindResourceQuota,
		tapio.KindLimitRange, tapio.KindNamespace, tapio.KindServiceAccount, tapio.KindPersistentVolumeClaim,
		tapio.KindValidatingWebhook, tapio.KindMutatingWebhook, tapio.KindService, tapio.KindHost:
		return true
	}
	return false
}

// serves reports whether the Service stands before a workload of the incident.
func (e *Engine) serves(svc tapio.Entity, inc *incident) bool {
	for w := range inc.affected {
		if w.Namespace == svc.Namespace && (w.Kind.IsWorkload() || w.Kind == tapio.KindPod) && slices.Contains(e.graph.ServicesOf(w), svc) {
			return true
		}
	}
	return false
}

// attach adds a finding to its incident, or begins one.
func (e *Engine) attach(f *diagnosis.Finding, ev *tapio.Event) {
	inc, before := e.find(f)
	if inc != nil && inc.status == tapio.StatusResolved && !e.failsAgain(inc, f, ev) {
		return
	}
	if inc == nil {
		if _, ignored := e.graph.Owner(f.Subject); ignored || e.graph.Going(f.Subject) {
			return
		}
		inc = &incident{
			subject:  f.Subject,
			status:   tapio.StatusSuspected,
			findings: map[string]*diagnosis.Finding{},
			affected: map[tapio.Entity]bool{},
			pods:     map[string]bool{},
			cited:    map[string]bool{},
			counted:  map[string]bool{},
			series:   map[string]int{},
			asked:    map[string]bool{},
			configs:  map[string]bool{},
			onset:    f.First,
			found:    e.now,
			lastBad:  e.now,
			backlog:  e.opts.Backlog && ev.Listed,
		}
		if !before.IsZero() && !inc.onset.After(before) {
			inc.onset, inc.after = ev.Time, ev.Time
		}
		e.live = append(e.live, inc)
		if f.Subject.Kind.IsWorkload() || f.Subject.Kind == tapio.KindPod {
			delete(e.standing, f.Subject) // what was found around an earlier incident is found anew
		}
	}
	if !ev.Listed {
		inc.backlog = false
	}
	if inc.status == tapio.StatusResolved && inc.found.Before(inc.resolved) {
		inc.found = e.now
	}
	inc.affected[f.Subject] = true
	inc.lastBad = e.now
	inc.fresh = true
	if inc.subject.Kind == tapio.KindComponent && f.Subject != inc.subject {
		// What stands on a part of the control plane shows its effects, and is no
		// other cause of it.
		for _, x := range f.Evidence {
			e.record(inc, x, tapio.RoleEffect)
		}
		return
	}
	inc.findings[f.Template.ID+" "+f.Subject.String()] = f
	if inc.subject.Kind == tapio.KindNode && f.Subject != inc.subject {
		e.spread(f)
	}
	for _, x := range e.recent[ev.Entity.Object()] {
		if x.Reason == "TriggeredScaleUp" { // the autoscaler was at work before the incident was known
			inc.patience = maxTime(inc.patience, x.Seen.Add(scaleUpPatience))
		}
	}
	e.cite(inc, f)
	e.askForLogs(inc, ev)
	e.diagnose(inc)
}

// cite takes the finding's evidence into the incident: its lines, its pods and
// the workloads behind them. What a pod's slow start may explain is left out
// for now; it is looked at again when the story opens.
func (e *Engine) cite(inc *incident, f *diagnosis.Finding) {
	for _, x := range f.Evidence {
		if g := e.grace(f.Template); g > 0 && !e.outlasts(x, g) {
			continue
		}
		if inc.subject.Kind == tapio.KindNode && e.ofAnother(inc.subject, x) {
			continue // see spread
		}
		e.record(inc, x, tapio.RoleSymptom)
		if x.Entity.Kind == tapio.KindPod {
			inc.addPod(x.Entity)
			if w := e.graph.Workload(x.Entity); f.Subject.Kind != tapio.KindService {
				inc.affected[w] = true
			}
		}
	}
}

// citeAll is cite for all findings, in their order.
func (e *Engine) citeAll(inc *incident) {
	for _, id := range slices.Sorted(maps.Keys(inc.findings)) {
		e.cite(inc, inc.findings[id])
	}
}

// failsAgain reports whether the finding rests on something newer than the
// resolution: then the story is reopened.
func (e *Engine) failsAgain(inc *incident, f *diagnosis.Finding, ev *tapio.Event) bool {
	if !ev.Time.After(inc.resolved) && !ev.Seen.After(inc.resolved) {
		return false
	}
	// Evidence from before the resolution proves nothing now: what is left must
	// match by itself.
	fresh := 0
	min, asked := f.Template.Requires(ev.Type)
	for _, x := range f.Evidence {
		// What stands against a part of the control plane began with its last sign
		// of life, which may have been before.
		if x.Type == ev.Type && (x.Time.After(inc.resolved) || x.Entity.Kind == tapio.KindComponent && x.Seen.After(inc.resolved)) {
			fresh += max(1, e.weight(x))
		}
	}
	if asked && fresh < min && ev.Type != tapio.KubernetesEvent {
		return false
	}
	return true
}

func (inc *incident) addPod(p tapio.Entity) {
	if len(inc.pods) < maxPods {
		inc.pods[p.Namespace+"/"+p.Name] = true
	}
}

// failing reports whether anything affected is not well now. regardless leaves
// out the grace for pods that start.
func (e *Engine) failing(inc *incident, regardless bool) bool {
	t := inc.chosen.Template
	if e.stands(inc) || e.storming(inc) || e.lasting(inc) || e.stuckJob(inc) {
		return true
	}
	for entity := range inc.affected {
		h := e.graph.Health(entity)
		if h.Healthy || inc.subject.Kind == tapio.KindNode && e.hurtElsewhere(inc.subject, entity) {
			continue
		}
		if !regardless && t.StartupGrace > 0 && e.onlyStarting(entity, e.grace(t)) {
			continue
		}
		return true
	}
	isJob := inc.subject.Kind == tapio.KindJob || inc.subject.Kind == tapio.KindCronJob // whose tries may fail
	if t.Loops() && !regardless && !isJob {
		// Between two crashes a container may look well.
		return e.looping(inc) && e.now.Sub(inc.lastBad) < e.quiet(inc)
	}
	return false
}

// hurtElsewhere reports whether all pods that a workload lacks are on other nodes
// than the one that its story is about.
func (e *Engine) hurtElsewhere(node, workload tapio.Entity) bool {
	if !workload.Kind.IsWorkload() {
		return false
	}
	h, down := e.graph.Health(workload), 0
	for _, p := range e.graph.Pods(workload) {
		if e.graph.Health(p.Entity).Healthy {
			continue
		}
		if p.Pod.Node == "" || p.Pod.Node == node.Name {
			return false
		}
		down++
	}
	return down > 0 && down >= h.Down // else some are still to be made
}

// looping reports whether a container of the incident failed twice or more and
// the pods that did are still there.
func (e *Engine) looping(inc *incident) bool {
	if inc.chosen.Count < 2 {
		return false
	}
	return !e.lastFailure(inc).IsZero()
}

// betweenCrashes reports whether a container that failed twice or more runs, or
// the replacement of a pod that was evicted, and has not run for twice as long
// yet as what failed: a reader who asks about this moment is told of the loop.
func (e *Engine) betweenCrashes(inc *incident) bool {
	ends := func(ev *tapio.Event) bool {
		if ev.Type == tapio.PodEvicted {
			return e.replacedSince(ev)
		}
		started, err := time.Parse(time.RFC3339, ev.Attrs[tapio.AttrStartedAt])
		if err != nil || ev.Type != tapio.ContainerExit || !e.graph.Exists(ev.Entity) {
			return false
		}
		c := containerNamed(e.graph.State(ev.Entity).Pod, ev.Entity.Container)
		return c != nil && c.State == "running" && c.Restarts >= 2 && e.now.Sub(c.Since) < 2*ev.Time.Sub(started)
	}
	for _, f := range inc.findings {
		if slices.ContainsFunc(f.Evidence, ends) {
			return true
		}
	}
	return false
}

// replacedSince reports whether the evicted pod has been replaced by one that
// has not lived for twice as long yet as it did.
func (e *Engine) replacedSince(evicted *tapio.Event) bool {
	old := e.graph.State(evicted.Entity)
	if old == nil || old.Pod == nil || old.Created.IsZero() {
		return false
	}
	return slices.ContainsFunc(e.graph.Pods(e.graph.Workload(evicted.Entity)), func(p *tapio.State) bool {
		return p.Created.After(old.Created) && p.Pod.TemplateHash == old.Pod.TemplateHash && e.now.Sub(p.Created) < 2*evicted.Time.Sub(old.Created)
	})
}

// lastFailure is when a container that still exists last failed in a way that
// the chosen template counts; zero where it counts no such failures.
func (e *Engine) lastFailure(inc *incident) time.Time {
	var last time.Time
	if !inc.chosen.Template.Loops() {
		return last
	}
	for _, ev := range inc.chosen.Evidence {
		if inc.chosen.Asked(ev) && e.graph.Exists(ev.Entity) {
			last = maxTime(last, ev.Time)
		}
	}
	return last
}

// onlyStarting reports whether all that is not ready of the entity is pods that
// may still be on their way up.
func (e *Engine) onlyStarting(entity tapio.Entity, grace time.Duration) bool {
	var pods []*tapio.State
	switch {
	case entity.Kind == tapio.KindService:
		pods = e.graph.Selected(entity)
	case entity.Kind.IsWorkload(), entity.Kind == tapio.KindPod:
		if s := e.graph.State(entity); s.Workload != nil && s.Workload.Stuck {
			return false
		}
		pods = e.graph.Pods(entity)
	default:
		return false
	}
	starting := false
	for _, p := range pods {
		if p.Pod.Ready || p.Pod.Terminating || p.Pod.Phase == "Succeeded" || p.Pod.Phase == "Failed" {
			continue
		}
		if !e.graph.Starting(p.Entity, e.now, grace) || restarted(p) {
			return false
		}
		starting = true
	}
	return starting
}

// quiet is how long the incident must be well to be over. What crashes after a
// minute is not well after one: twice the longest run so far, up to 10 min.
func (e *Engine) quiet(inc *incident) time.Duration {
	return max(e.opts.Quiet, min(2*inc.longest, 10*time.Minute))
}

// storyID names the incident alike on every engine that sees it.
func (e *Engine) storyID(inc *incident) string {
	sum := sha256.Sum256([]byte(e.opts.Cluster + "\x00" + inc.subject.String() + "\x00" + strconv.FormatInt(inc.onset.Unix(), 10)))
	return tapio.ShortHash(sum[:])[:10]
}

// worse returns the worse of two severities.
func worse(a, b tapio.Severity) tapio.Severity {
	if a != "" && a.Level() <= b.Level() {
		return a
	}
	return b
}

func downText(s tapio.Scope) string {
	text := fmt.Sprintf("%d of %d pods down", s.PodsDown, s.PodsWanted)
	switch {
	case s.ServicesDown == 1:
		text += ", 1 Service without a ready endpoint"
	case s.ServicesDown > 1:
		text += fmt.Sprintf(", %d Services without a ready endpoint", s.ServicesDown)
	}
	return text
}
