package diagnosis

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// keptEvents bounds the evidence of one pattern on one subject: the first ones
// show the onset, the last ones the present, and counts carry the rest.
const keptEvents = 24

// Finding is a template that matched on a subject.
type Finding struct {
	Template    *Template
	Subject     tapio.Entity
	CauseEntity tapio.Entity
	Facts       map[string]string
	Standing    tapio.Standing // the template's, or less where its evidence says so
	Evidence    []*tapio.Event // by time
	Count       int            // occurrences of what the first pattern asks for
	First, Last time.Time      // of the evidence of patterns that must match

	asked map[string]bool // IDs of the evidence of patterns that must match
}

// Asked reports whether the event is evidence of a pattern that must match,
// rather than of one that only tells more.
func (f *Finding) Asked(ev *tapio.Event) bool { return f.asked[ev.ID] }

// Matcher remembers which patterns of which templates matched on which
// subjects.
type Matcher struct {
	templates []*Template
	byType    map[tapio.EventType][]*reference
	matches   map[key]*match
}

type reference struct {
	template *Template
	pattern  *pattern
}

type key struct {
	template string
	subject  tapio.Entity
}

type match struct {
	seen  [][]sighting // by pattern
	facts map[string]string
	cause tapio.Entity
	sure  tapio.Standing // as a derived event says, where it does
	last  time.Time
}

type sighting struct {
	event *tapio.Event
	count int
}

// NewMatcher returns a Matcher for the templates.
func NewMatcher(templates []*Template) *Matcher {
	m := &Matcher{
		templates: templates,
		byType:    map[tapio.EventType][]*reference{},
		matches:   map[key]*match{},
	}
	for _, t := range templates {
		for i := range t.patterns {
			p := &t.patterns[i]
			for _, typ := range p.types {
				m.byType[typ] = append(m.byType[typ], &reference{t, p})
			}
		}
	}
	return m
}

// Relevant reports whether any template asks for events of the type.
func (m *Matcher) Relevant(t tapio.EventType) bool { return len(m.byType[t]) > 0 }

// Observe takes in an event. resolve names the subjects of the given sort that
// the event's entity leads to; weight says how many occurrences one exit
// stands for. It returns the findings that the event made or added to.
func (m *Matcher) Observe(ev *tapio.Event, weight int, resolve func(subject string) []tapio.Entity) []*Finding {
	var out []*Finding
	for _, r := range m.byType[ev.Type] {
		if !r.pattern.matches(ev) {
			continue
		}
		for _, subject := range resolve(r.template.Subject) {
			k := key{r.template.ID, subject}
			x := m.matches[k]
			if x == nil {
				x = &match{seen: make([][]sighting, len(r.template.patterns)), facts: map[string]string{}}
				m.matches[k] = x
			}
			x.add(r, ev, weight, subject)
			if f := x.finding(r.template, subject, ev.Time); f != nil {
				out = append(out, f)
			}
		}
	}
	return out
}

// Forget drops what is older than any window at the given time, and all of a
// subject that is named.
func (m *Matcher) Forget(now time.Time) {
	maps.DeleteFunc(m.matches, func(_ key, x *match) bool { return now.Sub(x.last) > time.Hour })
}

// Drop forgets what matched on a subject, so that a resolved story starts
// afresh.
func (m *Matcher) Drop(subject tapio.Entity) {
	for _, t := range m.templates {
		delete(m.matches, key{t.ID, subject})
	}
}

// DropFinding forgets what made up one finding: what else was begun on its
// subject goes on, such as the count of the crashes of a loop.
func (m *Matcher) DropFinding(f *Finding) { delete(m.matches, key{f.Template.ID, f.Subject}) }

func (x *match) add(r *reference, ev *tapio.Event, weight int, subject tapio.Entity) {
	list := x.seen[r.pattern.index]
	count := weight
	if ev.Type == tapio.KubernetesEvent {
		// A repeated Event object carries its count: the newer replaces the older.
		count = max(1, ev.Count)
		list = slices.DeleteFunc(list, func(s sighting) bool {
			return s.event.Entity == ev.Entity && s.event.Reason == ev.Reason && s.event.Message == ev.Message
		})
	}
	at, _ := slices.BinarySearchFunc(list, ev.Time, func(s sighting, t time.Time) int { return s.event.Time.Compare(t) })
	list = slices.Insert(list, at, sighting{ev, count})
	if len(list) > keptEvents {
		list[0].count += list[1].count
		list = slices.Delete(list, 1, 2)
	}
	x.seen[r.pattern.index] = list
	if ev.Time.After(x.last) {
		x.last = ev.Time
	}
	x.capture(r, ev, subject)
}

// capture keeps the facts that the words will need. The newest event wins, and
// one of a pattern that must match wins over an optional one.
func (x *match) capture(r *reference, ev *tapio.Event, subject tapio.Entity) {
	set := func(fact, value string) {
		if value != "" && (!r.pattern.Optional || x.facts[fact] == "") {
			x.facts[fact] = value
		}
	}
	if ev.Entity.Kind == tapio.KindPod {
		set(tapio.FactPodName, ev.Entity.Name)
	}
	set(tapio.FactContainer, ev.Entity.Container)
	set(tapio.FactReason, ev.Reason)
	set(tapio.FactMessage, oneLine(ev.Message))
	set(tapio.FactImage, ev.Attrs[tapio.AttrImage])
	set(tapio.FactRegistry, registryOf(ev.Attrs[tapio.AttrImage]))
	set(tapio.FactLimit, ev.Attrs[tapio.AttrMemoryLimit])
	set(tapio.FactResource, ev.Attrs[tapio.AttrResource])
	set(tapio.FactNodeName, ev.Attrs[tapio.AttrNode])
	set(tapio.FactLastError, ev.Attrs[tapio.AttrLastError])
	set(tapio.FactSelector, ev.Attrs[tapio.AttrSelector])
	set(tapio.FactKind, ev.Attrs[tapio.AttrKind])
	set(tapio.FactObject, ev.Attrs[tapio.AttrObject])
	set(tapio.FactDetail, ev.Attrs[tapio.AttrDetail])
	set(tapio.FactTaint, ev.Attrs[tapio.AttrTaint])
	if ev.Type == tapio.ContainerExit {
		set(tapio.FactExitCode, ev.Attrs[tapio.AttrExitCode])
		set(tapio.FactSignal, signalName(ev))
		if ev.Reason == "Error" {
			set(tapio.FactLastError, lastLine(ev.Message))
		}
	}
	if ev.Type == tapio.NodePressure || ev.Type == tapio.NodeProblem {
		set(tapio.FactCondition, ev.Reason)
	}
	if ev.Type == tapio.AppError {
		for fact, attr := range appErrorFacts {
			if !r.pattern.Optional {
				delete(x.facts, fact) // of another error
			}
			set(fact, ev.Attrs[attr])
		}
		set(tapio.FactClass, ev.Reason)
	}
	for fact, re := range r.pattern.captures {
		if g := re.FindStringSubmatch(ev.Message); g != nil {
			set(fact, g[1])
			if fact == tapio.FactImage {
				set(tapio.FactRegistry, registryOf(g[1]))
			}
		}
	}
	if !r.pattern.Optional {
		x.sure = tapio.Standing(ev.Attrs[tapio.AttrStanding])
		x.cause = causeEntity(r.template.CauseEntity, subject, ev, x.facts)
	}
}

// appErrorFacts are what an application's words name, and the attributes that
// hold it.
var appErrorFacts = map[string]string{
	tapio.FactPeer: tapio.AttrPeer, tapio.FactPort: tapio.AttrPort, tapio.FactSystem: tapio.AttrSystem, tapio.FactUser: tapio.AttrUser,
	tapio.FactDatabase: tapio.AttrDatabase, tapio.FactPath: tapio.AttrPath, tapio.FactMissing: tapio.AttrMissing, tapio.FactVerb: tapio.AttrVerb,
	tapio.FactAccount: tapio.AttrAccount, tapio.FactVolume: tapio.AttrVolume, tapio.FactClaim: tapio.AttrClaim, tapio.FactOrigin: tapio.AttrOrigin,
	tapio.FactConfirmed: tapio.AttrConfirmed, tapio.FactKind: tapio.AttrKind, tapio.FactObject: tapio.AttrObject,
	tapio.FactDetail: tapio.AttrDetail,
}

func causeEntity(spec string, subject tapio.Entity, ev *tapio.Event, facts map[string]string) tapio.Entity {
	switch spec {
	case "", "subject":
		return subject
	case "container":
		subject.Container = ev.Entity.Container
		return subject
	case "namespace":
		return tapio.Entity{Kind: tapio.KindNamespace, Name: ev.Entity.Namespace}
	case "component":
		if node := ev.Attrs[tapio.AttrNode]; node != "" {
			return tapio.Entity{Kind: tapio.KindNode, Name: node}
		}
		return tapio.Entity{Kind: tapio.KindComponent, Name: cmp.Or(ev.Attrs[tapio.AttrComponent], "kube-apiserver")}
	}
	if name, ok := strings.CutPrefix(spec, "Component/"); ok {
		return tapio.Entity{Kind: tapio.KindComponent, Name: name}
	}
	kind, fact, _ := strings.Cut(spec, ":")
	if kind == tapio.FactKind {
		kind = facts[tapio.FactKind]
	}
	e := tapio.Entity{Kind: tapio.Kind(kind), Name: facts[fact]}
	switch e.Kind {
	case tapio.KindComponent, tapio.KindAPIService, tapio.KindImage, tapio.KindRegistry, tapio.KindNode, tapio.KindHost, tapio.KindPersistentVolume, tapio.KindStorageClass,
		tapio.KindNamespace, tapio.KindValidatingWebhook, tapio.KindMutatingWebhook, "ValidatingAdmissionPolicy":
	default:
		e.Namespace = ev.Entity.Namespace
		if ns, name, ok := strings.Cut(e.Name, "/"); ok { // it says whose it is
			e.Namespace, e.Name = ns, name
		}
	}
	if e.Name == "" || e.Kind == "" {
		return subject
	}
	return e
}

// finding returns what the match amounts to at the time of its newest event,
// or nil while a pattern that must match lacks events.
func (x *match) finding(t *Template, subject tapio.Entity, now time.Time) *Finding {
	f := &Finding{Template: t, Subject: subject, CauseEntity: x.cause, Facts: maps.Clone(x.facts), Standing: t.Standing, asked: map[string]bool{}}
	if standingOrder(x.sure) > standingOrder(t.Standing) {
		f.Standing = x.sure
	}
	first := true
	for i := range t.patterns {
		p := &t.patterns[i]
		n := 0
		for _, s := range x.seen[i] {
			age := x.last.Sub(s.event.Time)
			if t.TimeWindow > 0 && age > time.Duration(t.TimeWindow) && !p.Optional {
				continue
			}
			if p.MaxAge > 0 && now.Sub(s.event.Time) > time.Duration(p.MaxAge) {
				continue
			}
			n += s.count
			f.Evidence = append(f.Evidence, s.event)
			if p.Optional {
				continue
			}
			f.asked[s.event.ID] = true
			if f.First.IsZero() || s.event.Time.Before(f.First) {
				f.First = s.event.Time
			}
			if s.event.Time.After(f.Last) {
				f.Last = s.event.Time
			}
		}
		if !p.Optional {
			if n < max(1, p.MinCount) {
				return nil
			}
			if first {
				f.Count, first = n, false
			}
		}
	}
	slices.SortStableFunc(f.Evidence, func(a, b *tapio.Event) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	f.Evidence = slices.CompactFunc(f.Evidence, func(a, b *tapio.Event) bool { return a.ID == b.ID })
	return f
}

// Compare orders findings: the one to believe first. What is merely possible
// comes after what is known better; else rank decides, then standing, then
// which came last, then the template's ID.
func (f *Finding) Compare(o *Finding) int {
	if c := f.doubt() - o.doubt(); c != 0 {
		return c
	}
	if c := f.Template.order - o.Template.order; c != 0 {
		return c
	}
	if c := standingOrder(f.Standing) - standingOrder(o.Standing); c != 0 {
		return c
	}
	if c := o.Last.Compare(f.Last); c != 0 {
		return c
	}
	return strings.Compare(f.Template.ID, o.Template.ID)
}

// doubt is 0 for a cause that more than its time speaks for, 1 for one that is
// merely possible, and 2 for a symptom, which names no cause.
func (f *Finding) doubt() int {
	switch {
	case f.Template.IsSymptom():
		return 2
	case f.Standing == tapio.StandingPossible:
		return 1
	}
	return 0
}

func standingOrder(s tapio.Standing) int {
	return slices.Index([]tapio.Standing{tapio.StandingCertain, tapio.StandingLikely, tapio.StandingPossible, tapio.StandingUnknown}, s)
}

// IsSymptom reports whether the template names what hurts, not why.
func (t *Template) IsSymptom() bool { return t.Rank == tapio.RankSymptom }

// Precedence is the place of the template's rank in the order of ranks; 0 is
// the most upstream.
func (t *Template) Precedence() int { return t.order }

// Loops reports whether what the template counts comes and goes: a container
// that ends or is killed again and again may look well in between.
func (t *Template) Loops() bool {
	if _, ok := t.Requires(tapio.ContainerExit); ok {
		return true
	}
	if _, ok := t.Requires(tapio.PodEvicted); ok {
		return true
	}
	return slices.ContainsFunc(t.Explains, func(x tapio.Explanation) bool {
		return x.Symptom == string(tapio.ContainerExit) && x.Over == "self" && t.Rank == tapio.RankProbe
	})
}

// Types returns the event types that the template must see.
func (t *Template) Types() []tapio.EventType {
	var out []tapio.EventType
	for _, p := range t.patterns {
		if !p.Optional {
			out = append(out, p.types...)
		}
	}
	return out
}

// Requires reports whether events of the type count towards the template's
// match, and how many it must see.
func (t *Template) Requires(typ tapio.EventType) (min int, ok bool) {
	for _, p := range t.patterns {
		if !p.Optional && slices.Contains(p.types, typ) {
			return max(1, p.MinCount), true
		}
	}
	return 0, false
}

// Welcomes reports whether events of the type are no condition of the template,
// but part of what it tells.
func (t *Template) Welcomes(typ tapio.EventType) bool {
	return slices.ContainsFunc(t.patterns, func(p pattern) bool { return p.Optional && slices.Contains(p.types, typ) })
}

// oneLine bounds a message to what a sentence can hold.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 300 {
		return string(r[:299]) + "…"
	}
	return s
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return oneLine(lines[len(lines)-1])
}

// registryOf returns the host of an image reference, as the container runtime
// reads it: a first element without a dot or a port is no host.
func registryOf(image string) string {
	if image == "" {
		return ""
	}
	host, _, ok := strings.Cut(image, "/")
	if !ok || (!strings.ContainsAny(host, ".:") && host != "localhost") {
		return "docker.io"
	}
	return host
}

// signals are Linux's numbers, wherever Tapio itself runs.
var signals = map[int]string{
	2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM",
}

// signalName names the signal that ended a container, where its exit code or
// the runtime tells: 128 plus its number, by the convention of shells.
func signalName(ev *tapio.Event) string {
	n := ev.Int(tapio.AttrSignal)
	if code := ev.Int(tapio.AttrExitCode); n == 0 && code > 128 {
		n = code - 128
	}
	return signals[n]
}
