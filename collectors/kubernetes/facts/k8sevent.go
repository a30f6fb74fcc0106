package facts

import (
	"cmp"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"

	"github.com/yairfalse/tapio"
)

// note is an Event object as both of its APIs show it: the same words, times
// and counts, so that the fact has one ID whichever API it came by.
type note struct {
	about       corev1.ObjectReference
	related     string // Kind/namespace/name of the other object
	kind        string // Normal or Warning
	reason      string
	message     string
	component   string
	node        string // of the kubelet that reported it
	count       int32
	first, last time.Time
}

func coreNote(e *corev1.Event) note {
	n := note{
		about: e.InvolvedObject, related: relatedName(e.Related), kind: e.Type, reason: e.Reason, message: e.Message,
		component: cmp.Or(e.ReportingController, e.Source.Component), node: e.Source.Host,
		count: e.Count, first: first(e.FirstTimestamp.Time, e.EventTime.Time),
		last: latest(e.LastTimestamp.Time, e.EventTime.Time),
	}
	if e.Series != nil {
		n.count, n.last = max(n.count, e.Series.Count), latest(n.last, e.Series.LastObservedTime.Time)
	}
	n.last = first(n.last, n.first, e.CreationTimestamp.Time)
	return n
}

func newNote(e *eventsv1.Event) note {
	n := note{
		about: e.Regarding, related: relatedName(e.Related), kind: e.Type, reason: e.Reason, message: e.Note,
		component: cmp.Or(e.ReportingController, e.DeprecatedSource.Component), node: e.DeprecatedSource.Host,
		count: e.DeprecatedCount, first: first(e.DeprecatedFirstTimestamp.Time, e.EventTime.Time),
		last: latest(e.DeprecatedLastTimestamp.Time, e.EventTime.Time),
	}
	if e.Series != nil {
		n.count, n.last = max(n.count, e.Series.Count), latest(n.last, e.Series.LastObservedTime.Time)
	}
	n.last = first(n.last, n.first, e.CreationTimestamp.Time)
	return n
}

// note tells an Event object that is new, or that was counted once more. That
// one expired is no fact.
func (t *teller) note(old *note, n note) {
	if old != nil && *old == n || n.about.Kind == "" || n.about.Name == "" {
		return
	}
	severity := tapio.SeverityInfo
	if n.kind == corev1.EventTypeWarning {
		severity = tapio.SeverityMedium
	}
	about := reference(tapio.Kind(n.about.Kind), n.about.Namespace, n.about.Name)
	if about.Kind == tapio.KindPod {
		about.Container = cmp.Or(containerOf(n.about.FieldPath), containerIn(n.message))
	}
	seen := ""
	if !n.first.IsZero() {
		seen = n.first.Format(time.RFC3339)
	}
	t.event(tapio.Event{
		Time: n.last, Type: tapio.KubernetesEvent, Severity: severity, Entity: about,
		Reason: n.reason, Message: n.message, Count: int(n.count),
		Attrs: attrs(
			tapio.AttrEventType, n.kind,
			tapio.AttrComponent, n.component,
			tapio.AttrNode, n.node,
			tapio.AttrFirstSeen, seen,
			tapio.AttrFieldPath, n.about.FieldPath,
			tapio.AttrRelated, n.related,
			tapio.AttrUID, string(n.about.UID),
		),
	})
}

func relatedName(r *corev1.ObjectReference) string {
	if r == nil || r.Kind == "" || r.Name == "" {
		return ""
	}
	return reference(tapio.Kind(r.Kind), r.Namespace, r.Name).String()
}

// containerOf returns the container that a field path names, such as
// spec.containers{app}.
func containerOf(fieldPath string) string {
	list, name, ok := strings.Cut(fieldPath, "{")
	if !ok || !strings.HasPrefix(list, "spec.") || !strings.HasSuffix(name, "}") {
		return ""
	}
	return strings.TrimSuffix(name, "}")
}

// named matches the kubelet's messages that name a container.
var named = regexp.MustCompile(`^(?:Container ([a-z0-9-]+) failed |(?:Stopping container|Created container:?|Started container|Back-off restarting failed container|Error: failed to start container) "?([a-z0-9-]+)"?(?:$|[ :,]))`)

// containerIn returns the container that a message names: what prints events
// often leaves out the field path.
func containerIn(message string) string {
	if m := named.FindStringSubmatch(message); m != nil {
		return m[1] + m[2]
	}
	return ""
}

// latest returns the latest of the times that are set.
func latest(times ...time.Time) time.Time {
	var out time.Time
	for _, t := range times {
		if t = utc(t); t.After(out) {
			out = t
		}
	}
	return out
}

func coreEvents(t *teller, old, new *corev1.Event) {
	if new == nil {
		return
	}
	var was *note
	if old != nil && old.UID == new.UID {
		n := coreNote(old)
		was = &n
	}
	t.note(was, coreNote(new))
}

func newEvents(t *teller, old, new *eventsv1.Event) {
	if new == nil {
		return
	}
	var was *note
	if old != nil && old.UID == new.UID {
		n := newNote(old)
		was = &n
	}
	t.note(was, newNote(new))
}
