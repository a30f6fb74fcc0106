package engine

import (
	"maps"
	"slices"
	"strconv"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/diagnosis"
)

// revise makes the incident's next revision.
func (e *Engine) revise(inc *incident) tapio.Story {
	t := inc.chosen.Template
	if inc.severity == "" {
		inc.severity = e.severityOf(inc)
	}
	inc.markDecisive()
	owner := e.owner(inc)
	s := tapio.Story{
		ID:       inc.last.ID,
		Revision: inc.last.Revision + 1,
		Cluster:  e.opts.Cluster,
		Status:   inc.status,
		Severity: inc.severity,
		Template: t.ID,

		Timestamp: inc.onset,
		Opened:    inc.opened,
		Updated:   e.now,
		Resolved:  inc.resolved,

		Cause:       t.Cause,
		CauseEntity: inc.chosen.CauseEntity,
		Standing:    inc.chosen.Standing,
		Trigger:     inc.trigger,
		Hypotheses:  e.hypotheses(inc),

		Subject:         inc.subject,
		Affected:        slices.SortedFunc(maps.Keys(inc.affected), tapio.Entity.Compare),
		AffectedPods:    slices.Sorted(maps.Keys(inc.pods)),
		RelatedServices: e.relatedServices(inc),
		WorkloadType:    string(inc.subject.Kind),
		BusinessService: owner.Service,
		Scope:           inc.scope,
		Owner:           owner,
		Touches:         e.others(inc, owner),

		Timeline: slices.Clone(inc.timeline),
		Evidence: slices.Clone(inc.evidence),
		Gaps:     slices.Clone(inc.gaps),
		News:     inc.news,

		Absorbed: slices.Clone(inc.absorbed),
		Follows:  inc.follows,
		Backlog:  inc.backlog,
	}
	if layer(s.Cause) > 0 {
		s.WorkloadType, s.BusinessService, s.CriticalPath = tapio.WorkloadControlPlane, tapio.ServiceKubernetesCluster, true
	}
	if inc.absorbedInto != nil {
		s.AbsorbedInto = inc.absorbedInto.last.ID
	}
	for _, p := range slices.Backward(e.past[inc.subject]) {
		if p.id != s.ID && p.cause == s.Cause && len(s.SimilarIncidents) < 5 && !slices.Contains(s.SimilarIncidents, p.id) {
			s.SimilarIncidents = append(s.SimilarIncidents, p.id)
		}
	}
	switch end := s.Resolved; {
	case end.IsZero():
		s.Duration = s.Updated.Sub(s.Timestamp)
	default:
		s.Duration = end.Sub(s.Timestamp)
	}
	if s.Cause == tapio.CauseUnknown {
		s.Standing = tapio.StandingUnknown
		s.Checked = e.checked(inc)
	}
	s.Confidence = e.confidence(s.Standing)
	s.Facts = e.facts(inc, s.RelatedServices)
	inc.news = nil
	inc.fresh = false
	inc.emitted = e.now
	inc.last = s
	return s
}

// owner is whom the story is told to: whom the cause belongs to, where that is
// proven and has an owner who is told of things somewhere, otherwise whom what
// hurts belongs to. A Service that names nobody is its pods'
// owner's; what is deleted stays with whom it was told to.
func (e *Engine) owner(inc *incident) tapio.Owner {
	if st := inc.chosen.Template.Standing; st == tapio.StandingCertain || st == tapio.StandingLikely {
		at := inc.chosen.CauseEntity.Object()
		if w := e.graph.Workload(at); !w.IsZero() {
			at = w
		}
		if o, _ := e.graph.Owner(at); o.Channel != "" {
			return o
		}
	}
	owner, _ := e.graph.Owner(inc.subject)
	if owner.Channel == "" && inc.subject.Kind == tapio.KindService {
		for _, p := range e.graph.Selected(inc.subject) {
			if o, _ := e.graph.Owner(e.graph.Workload(p.Entity)); o.Channel != "" {
				return o
			}
		}
	}
	if owner == (tapio.Owner{}) && !e.graph.Exists(inc.subject) {
		return inc.last.Owner
	}
	return owner
}

// maxTouches bounds how many other owners a story names.
const maxTouches = 20

// others lists what is hurt of others than the owner, by owner and namespace.
func (e *Engine) others(inc *incident, owner tapio.Owner) []tapio.Touch {
	var out []tapio.Touch
	for _, a := range slices.SortedFunc(maps.Keys(inc.affected), tapio.Entity.Compare) {
		o, ignored := e.graph.Owner(a)
		if ignored || a.Namespace == "" || o == owner || o.Channel != "" && o.Channel == owner.Channel {
			continue
		}
		i := slices.IndexFunc(out, func(t tapio.Touch) bool { return t.Owner == o && t.Namespace == a.Namespace })
		if i < 0 {
			if len(out) == maxTouches {
				continue
			}
			i = len(out)
			out = append(out, tapio.Touch{Owner: o, Namespace: a.Namespace})
		}
		out[i].Affected = append(out[i].Affected, a)
	}
	return out
}

func (e *Engine) hypotheses(inc *incident) []tapio.Hypothesis {
	out := []tapio.Hypothesis{inc.hypothesis(inc.chosen, "")}
	out[0].Chosen = true
	rest := slices.SortedFunc(maps.Values(inc.findings), func(a, b *diagnosis.Finding) int {
		if c := a.Compare(b); c != 0 {
			return c
		}
		return a.Subject.Compare(b.Subject)
	})
	for _, f := range rest {
		if f != inc.chosen && len(out) < 6 {
			why := inc.against[f]
			if why == "" {
				why = "explained by what lies deeper: " + inc.chosen.Template.Name
			}
			out = append(out, inc.hypothesis(f, why))
		}
	}
	return out
}

func (inc *incident) hypothesis(f *diagnosis.Finding, against string) tapio.Hypothesis {
	h := tapio.Hypothesis{
		Template: f.Template.ID, Cause: f.Template.Cause, Entity: f.CauseEntity,
		Standing: f.Standing, For: inc.evidenceIDs(f),
	}
	if against != "" {
		h.Against = []string{against}
	}
	return h
}

// checked lists what could have explained what is seen and did not: the checks
// of the templates that ask for the same kinds of events.
func (e *Engine) checked(inc *incident) []string {
	var out []string
	for _, t := range e.opts.Templates {
		c := e.templates[t.ID]
		if t.Check == "" || t.Subject != inc.chosen.Template.Subject || c == inc.chosen.Template {
			continue
		}
		for _, typ := range c.Types() {
			if _, asked := inc.chosen.Template.Requires(typ); asked || typ == tapio.AppError && inc.heard {
				out = append(out, t.Check)
				break
			}
		}
	}
	return out
}

func (e *Engine) relatedServices(inc *incident) []string {
	set := map[string]bool{}
	if inc.subject.Kind == tapio.KindService {
		set[inc.subject.Namespace+"/"+inc.subject.Name] = true
	}
	for entity := range inc.affected {
		switch {
		case entity.Kind == tapio.KindService:
			set[entity.Namespace+"/"+entity.Name] = true
		case entity.Kind.IsWorkload() || entity.Kind == tapio.KindPod:
			for _, svc := range e.graph.ServicesOf(entity) {
				set[svc.Namespace+"/"+svc.Name] = true
			}
		}
	}
	if svc := inc.chosen.Facts[tapio.FactObject]; inc.chosen.Facts[tapio.FactKind] == string(tapio.KindService) && says(inc.chosen) {
		set[svc] = true // whom it calls
	}
	for _, svc := range inc.last.RelatedServices {
		set[svc] = true // it was, even if it or its pods are gone now
	}
	return slices.Sorted(maps.Keys(set))
}

// facts gathers the variables for the words.
func (e *Engine) facts(inc *incident, services []string) map[string]string {
	f := maps.Clone(inc.chosen.Facts)
	if f == nil {
		f = map[string]string{}
	}
	put := func(key, value string) {
		if value != "" {
			f[key] = value
		}
	}
	subject := inc.chosen.Subject
	put(tapio.FactWorkload, subject.Name)
	put(tapio.FactNamespace, subject.Namespace)
	put(tapio.FactRef, subject.Kind.Kubectl()+"/"+subject.Name)
	if f[tapio.FactLimit] == "" {
		put(tapio.FactLimit, e.memoryLimit(inc.chosen))
	}
	if inc.chosen.Count > 0 {
		put(tapio.FactFailures, strconv.Itoa(e.failures(inc)))
	}
	if inc.lastError != "" {
		put(tapio.FactLastError, inc.lastError)
	}
	if len(services) > 0 && f[tapio.FactServiceName] == "" {
		_, name := splitName(services[0])
		put(tapio.FactServiceName, name)
	}
	switch subject.Kind {
	case tapio.KindNode:
		put(tapio.FactNodeName, subject.Name)
	case tapio.KindService:
		put(tapio.FactServiceName, subject.Name)
		if s := e.graph.State(subject); s != nil && s.Service != nil && f[tapio.FactSelector] == "" {
			put(tapio.FactSelector, formatLabels(s.Service.Selector))
		}
	}
	evicted, lost := 0, 0
	for _, t := range inc.timeline {
		switch t.Type {
		case tapio.PodEvicted:
			evicted += t.Count
		case tapio.EndpointsRemoved:
			before, _ := t.Data[tapio.AttrReadyBefore].(string)
			after, _ := t.Data[tapio.AttrReadyAfter].(string)
			b, _ := strconv.Atoi(before)
			a, _ := strconv.Atoi(after)
			lost += max(0, b-a)
		}
	}
	if evicted > 0 {
		put(tapio.FactEvicted, strconv.Itoa(evicted))
	}
	if lost > 0 {
		put(tapio.FactLost, strconv.Itoa(lost))
	}
	return f
}

// memoryLimit is the limit of the container at fault, or of the pod's only one
// that has a limit, as its pods say.
func (e *Engine) memoryLimit(f *diagnosis.Finding) string {
	for _, p := range e.graph.Pods(f.Subject) {
		limit := ""
		for _, c := range p.Pod.Containers {
			switch {
			case c.Limits.Memory == "" || f.CauseEntity.Container != "" && c.Name != f.CauseEntity.Container:
			case limit != "":
				return ""
			default:
				limit = c.Limits.Memory
			}
		}
		if limit != "" {
			return limit
		}
	}
	return ""
}

// failures is how often what the chosen template counts has been seen, over
// the whole story.
func (e *Engine) failures(inc *incident) int {
	n := 0
	for _, t := range inc.timeline {
		if t.Role == tapio.RoleCause {
			n += t.Count
		}
	}
	return max(n, inc.chosen.Count)
}

func splitName(s string) (namespace, name string) {
	for i := range s {
		if s[i] == '/' {
			return s[:i], s[i+1:]
		}
	}
	return "", s
}

// revive makes an incident of a story that an earlier run told.
func (e *Engine) revive(s tapio.Story) {
	t := e.templates[s.Template]
	if t == nil {
		return // its template was removed; what fails now begins a new story
	}
	f := &diagnosis.Finding{
		Template: t, Subject: s.Subject, CauseEntity: s.CauseEntity, Facts: maps.Clone(s.Facts),
		First: s.Timestamp, Last: s.Timestamp,
	}
	inc := &incident{
		subject: s.Subject, status: s.Status, chosen: f,
		findings: map[string]*diagnosis.Finding{t.ID + " " + s.Subject.String(): f},
		affected: map[tapio.Entity]bool{}, pods: map[string]bool{},
		cited: map[string]bool{}, counted: map[string]bool{}, series: map[string]int{}, asked: map[string]bool{}, configs: map[string]bool{},
		timeline: slices.Clone(s.Timeline), evidence: slices.Clone(s.Evidence), gaps: slices.Clone(s.Gaps),
		trigger: s.Trigger, onset: s.Timestamp, found: s.Opened, lastBad: s.Updated,
		opened: s.Opened, resolved: s.Resolved, emitted: s.Updated, severity: s.Severity, scope: s.Scope, announced: s.Scope,
		lastError: s.Facts[tapio.FactLastError], absorbed: slices.Clone(s.Absorbed), follows: s.Follows,
		backlog: s.Backlog, last: s,
	}
	if s.Status == tapio.StatusResolved {
		clear(inc.findings)
	}
	for _, a := range s.Affected {
		inc.affected[a] = true
	}
	for _, p := range s.AffectedPods {
		inc.pods[p] = true
	}
	for _, x := range s.Evidence {
		inc.cited[x.ID], inc.counted[x.ID] = true, true
		e.seen[x.ID] = s.Updated
	}
	for i := range inc.timeline {
		inc.counted[inc.timeline[i].ID] = true
		e.seen[inc.timeline[i].ID] = s.Updated
		restoreData(inc.timeline[i].Data)
	}
	e.live = append(e.live, inc)
	e.isRestored = true
}
