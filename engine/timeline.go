package engine

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/diagnosis"
)

// citedRepeats is how many occurrences of the same thing are kept as evidence
// of their own; the line's count stands for the rest.
const citedRepeats = 3

// record puts an event into the incident's evidence and timeline. The same
// thing happening again to the same workload adds to its line's count.
func (e *Engine) record(inc *incident, ev *tapio.Event, role tapio.Role) {
	if inc.counted[ev.ID] {
		return
	}
	inc.counted[ev.ID] = true
	inc.fresh = true
	if ev.Type == tapio.ContainerLog {
		inc.cite(ev)
		return
	}
	defer e.recall(inc, ev)
	if started, err := time.Parse(time.RFC3339, ev.Attrs[tapio.AttrStartedAt]); err == nil && ev.Type == tapio.ContainerExit {
		// How long it ran well before it failed for the first time says nothing.
		if !started.Before(inc.onset) || ev.Int(tapio.AttrRestarts) >= 2 {
			inc.longest = max(inc.longest, ev.Time.Sub(started))
		}
	}
	count := inc.newCount(ev)
	if t := e.line(inc, ev); t != nil {
		if t.Count++; t.Count <= citedRepeats {
			inc.cite(ev)
		}
		t.Count += count - 1
		t.Last = maxTime(maxTime(t.Last, t.Timestamp), ev.Time)
		if ev.Time.Before(t.Timestamp.Truncate(coarseness(ev))) {
			t.Timestamp = ev.Time
		}
		if ev.Type == tapio.WorkloadAvailable {
			// That all is there again says something for the last time only.
			t.Timestamp, t.Last, t.Count = t.Last, time.Time{}, 1
		}
		e.sortTimeline(inc)
		return
	}
	if len(inc.timeline) >= maxTimeline && role != tapio.RoleChange && role != tapio.RoleRecovery {
		return
	}
	inc.cite(ev)
	inc.timeline = append(inc.timeline, tapio.StoryEvent{
		ID: ev.ID, Timestamp: ev.Time, Count: count, Source: ev.Source, Type: ev.Type, Role: role,
		Entity: ev.Entity, Severity: ev.Severity, Data: data(ev),
	})
	e.sortTimeline(inc)
}

// cite keeps the event as evidence.
func (inc *incident) cite(ev *tapio.Event) {
	if inc.cited[ev.ID] || len(inc.evidence) >= maxEvidence {
		return
	}
	inc.cited[ev.ID] = true
	inc.evidence = append(inc.evidence, tapio.Evidence{
		ID: ev.ID, Time: ev.Time, Source: ev.Source, Type: ev.Type, Entity: ev.Entity, Text: evidenceText(ev),
	})
}

// newCount is how many occurrences the event adds. A Kubernetes Event carries
// the sum of all so far.
func (inc *incident) newCount(ev *tapio.Event) int {
	if ev.Type != tapio.KubernetesEvent {
		return 1
	}
	series := ev.Entity.String() + "\x00" + ev.Reason + "\x00" + ev.Message
	n := max(1, ev.Count)
	added := max(1, n-inc.series[series])
	inc.series[series] = max(n, inc.series[series])
	return added
}

// line returns the line of the timeline that the event repeats, or nil.
func (e *Engine) line(inc *incident, ev *tapio.Event) *tapio.StoryEvent {
	if once(ev.Type) {
		return nil
	}
	group := e.group(ev.Entity)
	for i := range inc.timeline {
		t := &inc.timeline[i]
		if t.Type != ev.Type || e.group(t.Entity) != group {
			continue
		}
		reason, _ := t.Data["reason"].(string)
		message, _ := t.Data["message"].(string)
		if reason == ev.Reason && (ev.Type != tapio.KubernetesEvent || shape(message) == shape(ev.Message)) {
			return t
		}
	}
	return nil
}

// coarseness is what the time of an event may be cut to: the kubelet tells the
// end of a container to the second. That which a runtime told more finely is
// not taken back for another end in the same second.
func coarseness(ev *tapio.Event) time.Duration {
	if ev.Type == tapio.ContainerExit {
		return time.Second
	}
	return 1
}

// shape is the part of a Kubernetes Event's message that names no pod and no
// address: what comes before the first colon or the pod's name.
func shape(message string) string {
	message, _, _ = strings.Cut(message, ": ")
	message, _, _ = strings.Cut(message, " in pod ")
	return message
}

// once reports whether each event of the type is a line of its own.
func once(t tapio.EventType) bool {
	switch t {
	case tapio.WorkloadRollout, tapio.WorkloadScaled, tapio.ConfigChanged, tapio.ServiceChanged, tapio.QuotaChanged, tapio.NodeChanged:
		return true
	}
	return false
}

// worthALine leaves out the losses and gains of single endpoints: how many pods
// are down is told by the story's scope. That nobody answers, and that somebody
// does again, is worth a line.
func worthALine(ev *tapio.Event) bool {
	switch ev.Type {
	case tapio.EndpointsRemoved:
		return ev.Int(tapio.AttrReadyAfter) == 0
	case tapio.EndpointsAdded:
		return ev.Int(tapio.AttrReadyBefore) == 0
	}
	return true
}

// group is what repeats are counted on: the container of that name in any pod
// of the workload.
func (e *Engine) group(entity tapio.Entity) tapio.Entity {
	g := e.graph.Workload(entity)
	g.Container = entity.Container
	return g
}

func (e *Engine) sortTimeline(inc *incident) {
	slices.SortStableFunc(inc.timeline, func(a, b tapio.StoryEvent) int { return a.Timestamp.Compare(b.Timestamp) })
}

func data(ev *tapio.Event) map[string]any {
	d := make(map[string]any, len(ev.Attrs)+3)
	for k, v := range ev.Attrs {
		d[k] = bounded(v)
	}
	if ev.Reason != "" {
		d["reason"] = ev.Reason
	}
	if ev.Message != "" {
		d["message"] = bounded(ev.Message)
	}
	if len(ev.Changes) > 0 {
		d["changes"] = ev.Changes
	}
	return d
}

// bounded cuts a text to the 2,000 bytes that evidence may hold, on a rune.
func bounded(s string) string {
	const most = 2000
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-3], "") + "…"
}

func evidenceText(ev *tapio.Event) string {
	var parts []string
	for _, p := range []string{ev.Reason, ev.Message} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if code := ev.Attrs[tapio.AttrExitCode]; code != "" {
		parts = append(parts, "exit code "+code)
	}
	for _, c := range ev.Changes {
		parts = append(parts, c.Field+": "+c.From+" → "+c.To)
	}
	return bounded(strings.Join(parts, ": "))
}

// addRoles marks what the chosen finding must see as the cause, and everything
// else that was one before as a symptom.
func (inc *incident) addRoles(f *diagnosis.Finding) {
	cause := map[string]bool{}
	for _, ev := range f.Evidence {
		if f.Asked(ev) {
			cause[ev.ID] = true
		}
	}
	for i := range inc.timeline {
		t := &inc.timeline[i]
		switch {
		case cause[t.ID] && t.Role == tapio.RoleSymptom:
			t.Role = tapio.RoleCause
		case t.Role == tapio.RoleCause && !cause[t.ID]:
			t.Role = tapio.RoleSymptom
		}
	}
}

// markDecisive picks the lines of the root message: the trigger, the first
// sign of the cause and what it led to last.
func (inc *incident) markDecisive() {
	picked := 0
	pick := func(i int) {
		if i >= 0 && !inc.timeline[i].Decisive && picked < 3 {
			inc.timeline[i].Decisive = true
			picked++
		}
	}
	first := func(role tapio.Role) int {
		return slices.IndexFunc(inc.timeline, func(t tapio.StoryEvent) bool { return t.Role == role })
	}
	last := func(roles ...tapio.Role) int {
		for i := len(inc.timeline) - 1; i >= 0; i-- {
			if slices.Contains(roles, inc.timeline[i].Role) && !inc.timeline[i].Decisive {
				return i
			}
		}
		return -1
	}
	for i := range inc.timeline {
		inc.timeline[i].Decisive = false
	}
	pick(first(tapio.RoleTrigger))
	pick(first(tapio.RoleCause))
	pick(last(tapio.RoleChange))
	pick(last(tapio.RoleEffect))
	pick(last(tapio.RoleSymptom, tapio.RoleCause))
	pick(last(tapio.RoleEffect, tapio.RoleSymptom))
}

// gather takes in the effects and changes that were seen before the incident
// was known, and those on the Services before its workloads.
func (e *Engine) gather(inc *incident) {
	for _, entity := range e.concerned(inc) {
		for _, ev := range e.recent[entity] {
			if (ev.Type == tapio.EndpointsRemoved || ev.Type == tapio.EtcdLeaderChanged) && worthALine(ev) && !ev.Time.Before(inc.onset.Add(-30*time.Second)) {
				e.record(inc, ev, tapio.RoleEffect)
			}
		}
	}
	inc.addRoles(inc.chosen)
}

// concerned lists the objects whose changes and effects belong to the
// incident: what it affects, the Services before that, the ConfigMaps and
// Secrets its pods name, and the object at fault.
func (e *Engine) concerned(inc *incident) []tapio.Entity {
	set := map[tapio.Entity]bool{inc.subject: true}
	if inc.chosen != nil {
		set[inc.chosen.CauseEntity.Object()] = true
		set[e.graph.Workload(inc.chosen.CauseEntity)] = true
	}
	for entity := range inc.affected {
		set[entity] = true
		if entity.Kind == tapio.KindNode || entity.Kind == tapio.KindService {
			continue
		}
		for _, svc := range e.graph.ServicesOf(entity) {
			set[svc] = true
		}
		for _, p := range e.graph.Pods(entity) {
			for _, r := range p.Pod.References {
				set[r] = true
			}
		}
	}
	out := make([]tapio.Entity, 0, len(set))
	for entity := range set {
		out = append(out, entity)
	}
	slices.SortFunc(out, tapio.Entity.Compare)
	return out
}

// follow gives an event that no template asks for to the incidents it concerns.
func (e *Engine) follow(ev *tapio.Event) []tapio.Story {
	if !told(ev) || !worthALine(ev) {
		return nil
	}
	var out []tapio.Story
	for _, inc := range e.live {
		if inc.absorbedInto != nil || inc.status == tapio.StatusResolved || !e.concerns(inc, ev) {
			continue
		}
		switch ev.Type {
		case tapio.ContainerLog:
			inc.answered = true
			if ev.Reason == tapio.LogUnread {
				break
			}
			inc.heard = true
			if ev.Message != "" {
				e.learn(inc, ev)
			}
		case tapio.EndpointsRemoved:
			e.record(inc, ev, tapio.RoleEffect)
		case tapio.WorkloadAvailable, tapio.EndpointsAdded, tapio.NodeReady, tapio.NodeKubeletUp, tapio.NodeRuntimeUp, tapio.NodeAgentBack, tapio.NodePressureEnded, tapio.NodeProblemEnded, tapio.APIServiceAvailable, tapio.JobComplete, tapio.ImagePulled, tapio.CRIImagePulled,
			tapio.EtcdHealthy, tapio.APIServerHealthy, tapio.SchedulerHealthy, tapio.ControllerHealthy, tapio.WebhookAnswering:
			if ev.Time.After(inc.onset) {
				e.record(inc, ev, tapio.RoleRecovery)
			}
		case tapio.EtcdLeaderChanged, tapio.EtcdCompaction:
			e.record(inc, ev, tapio.RoleEffect)
		case tapio.KubernetesEvent: // the autoscaler is at work
			inc.patience = e.now.Add(scaleUpPatience)
		default:
			if !ev.Time.After(inc.onset.Add(triggerSlack)) {
				e.findTrigger(inc)
				break
			}
			e.record(inc, ev, tapio.RoleChange)
			if inc.status == tapio.StatusOpen {
				inc.addNews(tapio.News{Kind: tapio.NewsChange, Time: ev.Time, Now: string(ev.Type), Evidence: []string{ev.ID}})
			}
		}
		if inc.status == tapio.StatusOpen && len(inc.news) > 0 {
			out = append(out, e.revise(inc))
		}
	}
	return out
}

func (e *Engine) concerns(inc *incident, ev *tapio.Event) bool {
	entity := ev.Entity.Object()
	if inc.affected[entity] || entity.Kind == tapio.KindPod && inc.affected[e.graph.Workload(entity)] {
		return true
	}
	switch entity.Kind {
	case tapio.KindService:
		return inc.subject.Kind != tapio.KindNode && e.serves(entity, inc)
	case tapio.KindImage: // that it came is news where it was missed
		return inc.chosen != nil && inc.chosen.CauseEntity.Kind == tapio.KindImage && isImage(entity.Name, inc.chosen.CauseEntity.Name)
	case tapio.KindConfigMap, tapio.KindSecret, tapio.KindResourceQuota:
		return slices.Contains(e.concerned(inc), entity)
	}
	return false
}

// learn takes in the log lines that were wanted. A log is judged together with
// an exit of the incident's own containers only.
func (e *Engine) learn(inc *incident, ev *tapio.Event) {
	if _, asked := inc.chosen.Template.Requires(tapio.ContainerExit); !asked && !inc.isAbout(tapio.AppError) {
		return
	}
	e.record(inc, ev, tapio.RoleSymptom)
	line := ev.Attrs[tapio.AttrLastError]
	if line == "" || line == inc.lastError {
		return
	}
	first := inc.lastError == ""
	inc.lastError = line
	inc.fresh = true
	if first && inc.status == tapio.StatusOpen {
		inc.addNews(tapio.News{Kind: tapio.NewsLog, Time: ev.Time, Now: line, Evidence: []string{ev.ID}})
	}
}

// isAbout reports whether a finding of the incident rests on events of the
// type.
func (inc *incident) isAbout(typ tapio.EventType) bool {
	for _, f := range inc.findings {
		if _, asked := f.Template.Requires(typ); asked {
			return true
		}
	}
	return false
}

// restoreData gives timeline data back the type it had before it was stored.
func restoreData(d map[string]any) {
	raw, ok := d["changes"].([]any)
	if !ok {
		return
	}
	var changes []tapio.Change
	if b, err := json.Marshal(raw); err == nil && json.Unmarshal(b, &changes) == nil {
		d["changes"] = changes
	}
}
