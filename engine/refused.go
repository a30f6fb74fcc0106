package engine

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/agnivade/levenshtein"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/yairfalse/tapio"
)

var (
	limited    = regexp.MustCompile(`(maximum|minimum) (\S+) usage per (\w+) is ([^,.\]\s]+)`)
	ratio      = regexp.MustCompile(`(\S+) max limit to request ratio per (\w+) is ([^,\]\s]+)`)
	denied     = regexp.MustCompile(`admission webhook "([^"]+)" denied the request`)
	policy     = regexp.MustCompile(`ValidatingAdmissionPolicy '([^']+)'`)
	uncallable = regexp.MustCompile(`failed calling webhook "([^"]+)"`)
)

// refused derives from a refusal which object refuses, where the message names
// only a rule of it.
func (e *Engine) refused(ev *tapio.Event) []tapio.Story {
	created := ev.Type == tapio.ReplicaFailure || ev.Type == tapio.KubernetesEvent && ev.Reason == "FailedCreate"
	switch {
	case ev.Type == tapio.KubernetesEvent && ev.Reason == "Preempted" && ev.Entity.Kind == tapio.KindPod:
		return e.preempted(ev)
	case !created:
		return nil
	}
	if m := limited.FindStringSubmatch(ev.Message); m != nil {
		word := map[string]string{"maximum": "max", "minimum": "min"}[m[1]]
		o := obstacle{reason: "LimitRange", kind: tapio.KindLimitRange, object: e.limitRange(ev.Entity.Namespace, m[3]+"."+word+"."+m[2], m[4]), detail: rule(ev.Message), resource: m[2]}
		return e.derive(tapio.PodsRefused, ev.Entity, ev, o)
	}
	if m := ratio.FindStringSubmatch(ev.Message); m != nil {
		o := obstacle{reason: "LimitRange", kind: tapio.KindLimitRange, object: e.limitRange(ev.Entity.Namespace, m[2]+".ratio."+m[1], m[3]), detail: rule(ev.Message), resource: m[1]}
		return e.derive(tapio.PodsRefused, ev.Entity, ev, o)
	}
	if m := uncallable.FindStringSubmatch(ev.Message); m != nil {
		o := e.webhook(m[1])
		o.reason, o.detail = "WebhookDown", callError(ev.Message)
		return e.derive(tapio.PodsRefused, ev.Entity, ev, o)
	}
	if m := denied.FindStringSubmatch(ev.Message); m != nil {
		o := e.webhook(m[1])
		o.reason = "WebhookDenied"
		if _, why, ok := strings.Cut(ev.Message, "denied the request: "); ok {
			o.detail = clipped(why)
		}
		return e.derive(tapio.PodsRefused, ev.Entity, ev, o)
	}
	if m := policy.FindStringSubmatch(ev.Message); m != nil {
		o := obstacle{reason: "WebhookDenied", kind: "ValidatingAdmissionPolicy", object: m[1]}
		if _, why, ok := strings.Cut(ev.Message, "denied request: "); ok {
			o.detail = clipped(why)
		}
		return e.derive(tapio.PodsRefused, ev.Entity, ev, o)
	}
	return nil
}

// rule is the part of a LimitRange's refusal that names the rule.
func rule(message string) string {
	if _, rest, ok := strings.Cut(message, "is forbidden: "); ok {
		message = rest
	}
	return clipped(strings.Trim(message, "[]"))
}

// callError is why a webhook could not be called.
func callError(message string) string {
	if i := strings.Index(message, "failed to call webhook: "); i >= 0 {
		message = message[i+len("failed to call webhook: "):]
	} else if i := strings.Index(message, "failed calling webhook"); i >= 0 {
		if _, rest, ok := strings.Cut(message[i:], ": "); ok {
			message = rest
		}
	}
	return clipped(message)
}

// limitRange names the LimitRange of a namespace that sets the limit, or the
// only one that there is.
func (e *Engine) limitRange(namespace, key, value string) string {
	all := e.graph.All(tapio.KindLimitRange, namespace)
	for _, l := range all {
		if l.Limit != nil && l.Limit.Limits[key] == value {
			return l.Entity.Name
		}
	}
	if len(all) == 1 {
		return all[0].Entity.Name
	}
	return ""
}

// webhook names the configuration that a webhook is part of. Where it is not
// known the webhook's own name stands for it.
func (e *Engine) webhook(name string) obstacle {
	for _, kind := range []tapio.Kind{tapio.KindValidatingWebhook, tapio.KindMutatingWebhook} {
		for _, c := range e.graph.All(kind, "") {
			if c.Webhook == nil {
				continue
			}
			for _, h := range c.Webhook.Hooks {
				if h.Name == name {
					return obstacle{kind: kind, object: c.Entity.Name}
				}
			}
		}
	}
	return obstacle{kind: tapio.KindValidatingWebhook, object: name}
}

// refusesClaim names a quota of the namespace that leaves no room for another
// claim, and how much it leaves.
func (e *Engine) refusesClaim(claim tapio.Entity) (quota, detail string) {
	size, of := e.sizeOf(claim)
	for _, q := range e.graph.All(tapio.KindResourceQuota, claim.Namespace) {
		if q.Quota == nil || q.Quota.Scoped {
			continue
		}
		for _, name := range []string{"persistentvolumeclaims", "count/persistentvolumeclaims"} {
			if room, ok := left(q.Quota, name); ok && room.Sign() <= 0 {
				return q.Entity.Name, fmt.Sprintf("it allows %s claims, and all are used", q.Quota.Hard[name])
			}
		}
		room, ok := left(q.Quota, "requests.storage")
		if !ok {
			continue
		}
		if room.Sign() <= 0 {
			return q.Entity.Name, fmt.Sprintf("it allows %s of storage, and all is used", q.Quota.Hard["requests.storage"])
		}
		if !size.IsZero() && size.Cmp(room) > 0 {
			return q.Entity.Name, fmt.Sprintf("it leaves %s of storage, and %s has %s", room.String(), of, size.String())
		}
	}
	return "", ""
}

// left is what a quota leaves of a resource.
func left(q *tapio.QuotaState, name string) (resource.Quantity, bool) {
	room, err := resource.ParseQuantity(q.Hard[name])
	if err != nil {
		return room, false
	}
	if used, err := resource.ParseQuantity(q.Used[name]); err == nil {
		room.Sub(used)
	}
	return room, true
}

// sizeOf guesses how large a claim that does not exist would be: as its
// siblings of one StatefulSet, or as the smallest volume that waits for a
// claim.
func (e *Engine) sizeOf(claim tapio.Entity) (size resource.Quantity, of string) {
	if i := strings.LastIndexByte(claim.Name, '-'); i > 0 {
		for _, c := range e.graph.All(claim.Kind, claim.Namespace) {
			if c.Claim == nil || !strings.HasPrefix(c.Entity.Name, claim.Name[:i+1]) {
				continue
			}
			if q, err := resource.ParseQuantity(c.Claim.Requested); err == nil && q.Cmp(size) > 0 {
				size, of = q, "its sibling "+c.Entity.Name
			}
		}
	}
	if !size.IsZero() {
		return size, of
	}
	for _, v := range e.graph.All(tapio.KindPersistentVolume, "") {
		if v.Volume == nil || v.Volume.Phase != "Available" || !v.Volume.Claim.IsZero() {
			continue
		}
		if q, err := resource.ParseQuantity(v.Volume.Capacity); err == nil && (size.IsZero() || q.Cmp(size) < 0) {
			size, of = q, "the free volume "+v.Entity.Name
		}
	}
	return size, of
}

// nearName returns the name among the objects that differs least from a
// misspelt one, or "" where none is near. Numbered siblings are not misspelt.
func nearName(name string, objects []*tapio.State) string {
	best, least := "", cmp.Or(len(name)/4, 1)+1
	for _, o := range objects {
		n := o.Entity.Name
		if strings.TrimRight(n, "0123456789") == strings.TrimRight(name, "0123456789") {
			continue
		}
		if d := levenshtein.ComputeDistance(n, name); d < least {
			best, least = n, d
		}
	}
	return best
}
