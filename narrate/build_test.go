package narrate

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"sigs.k8s.io/yaml"
)

// library reads the shipped templates as files, because narrate does not import
// the engine. Callers must not change what it returns.
func library(t testing.TB) []tapio.Template {
	t.Helper()
	all, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var shipped = sync.OnceValues(func() ([]tapio.Template, error) {
	files, err := filepath.Glob("../engine/templates/*.yaml")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no template files: %v", err)
	}
	var all []tapio.Template
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var doc struct {
			Templates []tapio.Template `json:"templates"`
		}
		if err := yaml.UnmarshalStrict(raw, &doc); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		all = append(all, doc.Templates...)
	}
	return all, nil
})

// narrator returns the one Narrator of all tests: parsing all words takes
// longer than most of them.
func narrator(t testing.TB) *Narrator {
	t.Helper()
	n, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var parsed = sync.OnceValues(func() (*Narrator, error) {
	all, err := shipped()
	if err != nil {
		return nil, err
	}
	return New(all)
})

// noon is when every scene begins.
var noon = time.Date(2026, 11, 2, 14, 2, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// scene is a story in the form in which the engine hands it over, written down
// shortly.
type scene struct {
	name     string // of the golden files; the template's ID where it is empty
	template string
	subject  tapio.Entity
	cause    tapio.Entity // the object at fault; the subject where it is zero
	standing tapio.Standing
	severity tapio.Severity // high where it is empty
	facts    map[string]string
	trigger  *tapio.Trigger
	events   []tapio.StoryEvent
	after    []tapio.StoryEvent // what the resolved revision adds
	scope    tapio.Scope
	pods     []string
	services []string
	checked  []string
	with     func(*tapio.Story) // what else is set
}

// story builds the scene six minutes in, or resolved after ten.
func (sc scene) story(t testing.TB, templates []tapio.Template, resolved bool) tapio.Story {
	t.Helper()
	s := tapio.Story{
		ID: "7h2k9m4q1x", Revision: 2, Cluster: "prod-eu", Status: tapio.StatusOpen, Severity: sc.severity,
		Template: sc.template, Timestamp: noon, Opened: at(30), Updated: at(360), Duration: 6 * time.Minute,
		Subject: sc.subject, CauseEntity: sc.cause, Standing: sc.standing, Trigger: sc.trigger, Checked: sc.checked,
		AffectedPods: sc.pods, RelatedServices: sc.services, WorkloadType: string(sc.subject.Kind), Scope: sc.scope,
		Owner: tapio.Owner{Team: "payments", Channel: "#payments"}, Affected: []tapio.Entity{sc.subject},
	}
	found := false
	for _, tm := range templates {
		if tm.ID == sc.template {
			s.Cause, found = tm.Cause, true
			if s.Severity == "" {
				s.Severity = tm.DefaultSeverity
			}
		}
	}
	if !found {
		t.Fatalf("scene of an unknown template %q", sc.template)
	}
	if s.CauseEntity.IsZero() {
		s.CauseEntity = sc.subject
	}
	if s.Cause == tapio.CauseUnknown {
		s.Standing = tapio.StandingUnknown
	} else if s.Standing == "" {
		s.Standing = tapio.StandingCertain
	}
	s.Facts = map[string]string{
		tapio.FactWorkload: sc.subject.Name, tapio.FactNamespace: sc.subject.Namespace,
		tapio.FactRef: sc.subject.Kind.Kubectl() + "/" + sc.subject.Name,
	}
	for k, v := range sc.facts {
		s.Facts[k] = v
	}
	events := sc.events
	if resolved {
		events = append(append([]tapio.StoryEvent{}, events...), sc.after...)
		s.Status, s.Revision, s.Updated = tapio.StatusResolved, 4, at(660)
		s.Resolved, s.Duration = at(600), 10*time.Minute
		s.Scope.PodsDown, s.Scope.ServicesDown = 0, 0
		s.News = []tapio.News{{Kind: tapio.NewsResolved, Time: at(600)}}
	} else {
		s.News = []tapio.News{{Kind: tapio.NewsOpened, Time: noon, Now: string(s.Cause)}}
	}
	var chosen []string
	decisive := 0
	for i, e := range events {
		e.ID = "e" + strconv.Itoa(i+1)
		if e.Source == "" {
			e.Source = tapio.SourceKubernetes
		}
		if e.Role == "" {
			e.Role = tapio.RoleCause
		}
		if e.Role == tapio.RoleCause {
			chosen = append(chosen, e.ID)
		}
		if e.Role != tapio.RoleRecovery && decisive < 3 {
			e.Decisive = true
			decisive++
		}
		if e.Role == tapio.RoleTrigger && s.Trigger != nil {
			trigger := *s.Trigger
			trigger.Evidence, trigger.Time, trigger.Type, trigger.Entity = e.ID, e.Timestamp, e.Type, e.Entity
			trigger.Changes = changesIn(&e)
			s.Trigger = &trigger
		}
		s.Timeline = append(s.Timeline, e)
		s.Evidence = append(s.Evidence, tapio.Evidence{ID: e.ID, Time: e.Timestamp, Source: e.Source, Type: e.Type, Entity: e.Entity, Text: raw(e)})
	}
	s.Hypotheses = []tapio.Hypothesis{{Template: sc.template, Cause: s.Cause, Entity: s.CauseEntity, Standing: s.Standing, For: chosen, Chosen: true}}
	if sc.with != nil {
		sc.with(&s)
	}
	return s
}

// raw is the text of a piece of evidence, as the engine writes it.
func raw(e tapio.StoryEvent) string {
	var parts []string
	for _, k := range []string{"reason", "message"} {
		if v := data(&e, k); v != "" {
			parts = append(parts, v)
		}
	}
	if v := data(&e, tapio.AttrExitCode); v != "" {
		parts = append(parts, "exit code "+v)
	}
	for _, c := range changesIn(&e) {
		parts = append(parts, fmt.Sprintf("%s: %s → %s", c.Field, c.From, c.To))
	}
	return strings.Join(parts, ": ")
}

// ev builds a timeline entry from pairs of attribute and value.
func ev(second int, typ tapio.EventType, entity tapio.Entity, pairs ...string) tapio.StoryEvent {
	e := tapio.StoryEvent{Timestamp: at(second), Type: typ, Entity: entity, Count: 1, Severity: tapio.SeverityMedium, Data: map[string]any{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		e.Data[pairs[i]] = pairs[i+1]
	}
	return e
}

func as(r tapio.Role, e tapio.StoryEvent) tapio.StoryEvent { e.Role = r; return e }

func repeated(n, last int, e tapio.StoryEvent) tapio.StoryEvent {
	e.Count, e.Last = n, at(last)
	return e
}

func changed(e tapio.StoryEvent, triples ...string) tapio.StoryEvent {
	var cs []tapio.Change
	for i := 0; i+2 < len(triples); i += 3 {
		cs = append(cs, tapio.Change{Field: triples[i], From: triples[i+1], To: triples[i+2]})
	}
	e.Data["changes"] = cs
	return e
}

func entity(kind tapio.Kind, name string) tapio.Entity {
	if kind == tapio.KindNode || kind == tapio.KindImage || kind == tapio.KindRegistry {
		return tapio.Entity{Kind: kind, Name: name}
	}
	return tapio.Entity{Kind: kind, Namespace: "shop", Name: name}
}

func in(e tapio.Entity, container string) tapio.Entity { e.Container = container; return e }
