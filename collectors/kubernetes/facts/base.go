package facts

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/yairfalse/tapio"
)

// maxMessage bounds every message, in bytes: an API server's own limit for the
// message of an Event is 1,024, and a pull error is rarely longer.
const maxMessage = 2000

// base returns the part of a state that all kinds share.
func base(kind tapio.Kind, o metav1.Object) tapio.State {
	return tapio.State{
		Entity:      entity(kind, o),
		UID:         string(o.GetUID()),
		Created:     utc(o.GetCreationTimestamp().Time),
		Labels:      o.GetLabels(),
		Annotations: routing(o.GetAnnotations()),
		Owner:       owner(o),
		Terminating: o.GetDeletionTimestamp() != nil && kind != tapio.KindPod,
	}
}

// entity names an object.
func entity(kind tapio.Kind, o metav1.Object) tapio.Entity {
	return reference(kind, o.GetNamespace(), o.GetName())
}

// reference names an object of which kind, namespace and name are known.
// Cluster-wide kinds lose the namespace that some references carry.
func reference(kind tapio.Kind, namespace, name string) tapio.Entity {
	switch kind {
	case tapio.KindNode, tapio.KindNamespace, tapio.KindPersistentVolume, tapio.KindStorageClass,
		tapio.KindValidatingWebhook, tapio.KindMutatingWebhook:
		namespace = ""
	}
	return tapio.Entity{Kind: kind, Namespace: namespace, Name: name}
}

// owner returns the controller of o, or nothing.
func owner(o metav1.Object) tapio.Entity {
	ref := metav1.GetControllerOfNoCopy(o)
	if ref == nil || ref.Kind == "" || ref.Name == "" {
		return tapio.Entity{}
	}
	return reference(tapio.Kind(ref.Kind), o.GetNamespace(), ref.Name)
}

// routing returns the annotations that say whose an object is.
func routing(annotations map[string]string) map[string]string {
	var out map[string]string
	for k, v := range annotations {
		if isRouting(k) {
			if out == nil {
				out = make(map[string]string, 4)
			}
			out[k] = bound(v, maxMessage)
		}
	}
	return out
}

func isRouting(annotation string) bool {
	return strings.HasPrefix(annotation, "tapio.dev/") || strings.HasPrefix(annotation, "a8r.io/")
}

// attrs makes attributes of pairs of key and value, without empty values.
func attrs(pairs ...string) map[string]string {
	out := make(map[string]string, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		set(out, pairs[i], pairs[i+1])
	}
	return out
}

// set sets an attribute, unless its value is empty.
func set(attrs map[string]string, key, value string) {
	if value != "" {
		attrs[key] = value
	}
}

// flag is the attribute value of something that is so, or nothing.
func flag(set bool) string {
	if set {
		return "true"
	}
	return ""
}

// utc returns t in UTC, or the zero time where no clock can have shown it:
// runtimes write 1970 for "never".
func utc(t time.Time) time.Time {
	t = t.UTC()
	if y := t.Year(); y <= 1970 || y > 9000 {
		return time.Time{}
	}
	return t
}

// first returns the first of the times that is set.
func first(times ...time.Time) time.Time {
	for _, t := range times {
		if t = utc(t); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// bound cuts s to at most n bytes, at the border of a character.
func bound(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const dots = "…"
	n -= len(dots)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n]) + dots
}

var numbers = regexp.MustCompile(`(?:\d+(?:\.\d+)?(?:ms|µs|[hms]\b|[hm])?)+`)

// sameWords reports whether two messages differ at most in counts and durations
// ("back-off 10s", "back-off 1m20s").
func sameWords(a, b string) bool {
	return a == b || numbers.ReplaceAllLiteralString(a, "#") == numbers.ReplaceAllLiteralString(b, "#")
}
