package narrate

import (
	"fmt"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// impact says who is hurt, by counts that the engine saw and nothing else:
// never users, never money.
func impact(s *tapio.Story, v *View) string {
	var parts []string
	services := servicesHurt(s, v)
	if s.Scope.PodsWanted > 0 || s.Scope.WorstDown > 0 || services == "" {
		parts = append(parts, podsHurt(s, v))
	}
	if services != "" {
		parts = append(parts, services)
	}
	if v.BusinessService != "" {
		parts = append(parts, "business service: "+v.BusinessService)
	}
	return upperUnlessName(strings.Join(parts, "; "), v) + "."
}

// upperUnlessName starts a sentence with a capital unless a name starts it.
func upperUnlessName(text string, v *View) string {
	if v.Workload != "" && strings.HasPrefix(text, v.Workload) {
		return text
	}
	return upper(text)
}

// podsHurt words how many pods are down: "3 of 6 pods of checkout are down
// (worst: 4)".
func podsHurt(s *tapio.Story, v *View) string {
	sc := s.Scope
	down, verb := sc.PodsDown, "are"
	if v.Over {
		down, verb = sc.WorstDown, "were"
	}
	of := whose(s, v)
	if s.Subject.Kind == tapio.KindComponent && sc.WorstDown == 0 {
		if v.Over {
			return "what ran kept running"
		}
		return "what runs keeps running"
	}
	switch {
	case sc.WorstDown == 0 && down == 0:
		if sc.PodsWanted == 0 {
			of = "" // it has none, or none is known
		}
		if v.Over {
			return "no pod" + of + " was down"
		}
		return "no pod" + of + " is down"
	case down == 0:
		return fmt.Sprintf("no pod%s is down now (worst: %d of %d)", of, sc.WorstDown, max(sc.PodsWanted, sc.WorstDown))
	}
	wanted := max(sc.PodsWanted, down)
	if wanted == 1 {
		verb = map[string]string{"are": "is", "were": "was"}[verb]
		return fmt.Sprintf("the only pod%s %s down", of, verb)
	}
	if down == 1 {
		verb = map[string]string{"are": "is", "were": "was"}[verb]
	}
	text := fmt.Sprintf("%s%s %s down", share(down, wanted), of, verb)
	if v.Over {
		return "at worst " + text
	}
	if sc.WorstDown > down {
		text += fmt.Sprintf(" (worst: %d)", sc.WorstDown)
	}
	return text
}

// share words a part of several pods: "3 of 6 pods", "both pods", "all 6 pods".
func share(down, wanted int) string {
	switch {
	case down < wanted:
		return fmt.Sprintf("%d of %d pods", down, wanted)
	case wanted == 2:
		return "both pods"
	}
	return fmt.Sprintf("all %d pods", wanted)
}

// whose says to what the counted pods belong.
func whose(s *tapio.Story, v *View) string {
	switch s.Subject.Kind {
	case tapio.KindNode:
		return " on node " + v.Workload
	case tapio.KindService:
		return " behind " + nameOf(s.Subject, s)
	case tapio.KindPod:
		return ""
	case tapio.KindComponent:
		return " that wait for " + v.Workload
	}
	return " of " + v.Who
}

// servicesHurt words which Services have nobody to answer.
func servicesHurt(s *tapio.Story, v *View) string {
	down := s.Scope.ServicesDown
	verb := "has"
	if v.Over {
		down, verb = s.Scope.WorstSvcDown, "had"
	}
	if down == 0 {
		return ""
	}
	names := s.RelatedServices
	if s.Subject.Kind == tapio.KindService && down == 1 {
		return nameOf(s.Subject, s) + " " + verb + " no ready endpoint"
	}
	if down == 1 && len(names) == 1 {
		return "Service " + serviceName(names[0], s) + " " + verb + " no ready endpoint"
	}
	if down == 1 {
		return "1 Service " + verb + " no ready endpoint"
	}
	if verb == "has" {
		verb = "have"
	}
	if down == len(names) && down <= 4 {
		var full []string
		for _, n := range names {
			full = append(full, serviceName(n, s))
		}
		return "Services " + list(full, 4) + " " + verb + " no ready endpoint"
	}
	return fmt.Sprintf("%d Services %s no ready endpoint", down, verb)
}

// serviceName gives a Service's name its namespace.
func serviceName(name string, s *tapio.Story) string {
	name = inline(name)
	if strings.Contains(name, "/") || s.Subject.Namespace == "" {
		return name
	}
	return inline(s.Subject.Namespace) + "/" + name
}

// resolution says how it ended: after what change, how long it took and what
// was worst. It claims no more than the order of things.
func resolution(s *tapio.Story, v *View) string {
	if s.Status != tapio.StatusResolved {
		return ""
	}
	var b strings.Builder
	if fix := lastChange(s); fix != nil {
		b.WriteString("It recovered ")
		if d := ended(s).Sub(fix.Timestamp); d >= time.Second {
			b.WriteString(span(d) + " after ")
		} else {
			b.WriteString("after ")
		}
		b.WriteString(fixNoun(fix, s))
	} else {
		b.WriteString("It recovered without a change that Tapio could see")
	}
	fmt.Fprintf(&b, ". It lasted %s", span(s.Duration))
	switch worst, wanted := s.Scope.WorstDown, max(s.Scope.PodsWanted, s.Scope.WorstDown); {
	case wanted == 1 && worst == 1:
		b.WriteString("; its only pod was down")
	case worst == 1:
		fmt.Fprintf(&b, "; at worst %s was down", share(worst, wanted))
	case worst > 0:
		fmt.Fprintf(&b, "; at worst %s were down", share(worst, wanted))
	}
	b.WriteString(".")
	return b.String()
}

// lastChange returns the last change since the onset that came before the
// recovery, or nil.
func lastChange(s *tapio.Story) *tapio.StoryEvent {
	end := ended(s)
	for i := len(s.Timeline) - 1; i >= 0; i-- {
		if e := &s.Timeline[i]; e.Role == tapio.RoleChange && !e.Timestamp.After(end) {
			return e
		}
	}
	return nil
}

// maxFix is how long a change may be, in bytes, to be named with what it fixed.
const maxFix = 60

// fixNoun names a change that helped: "the rollback of checkout (rollout 5, by
// kubectl rollout)".
func fixNoun(e *tapio.StoryEvent, s *tapio.Story) string {
	name := nameOf(e.Entity, s)
	rev := revision(e.Entity, data(e, tapio.AttrRevision))
	var known []string
	noun := ""
	switch {
	case e.Type == tapio.WorkloadRollout && data(e, tapio.AttrRollback) == "true":
		noun = "the rollback of " + name
		if rev != "" {
			known = append(known, "rollout "+rev)
		}
	case e.Type == tapio.WorkloadRollout && data(e, "reason") == "Restarted":
		noun = "a restart of " + name
	case e.Type == tapio.WorkloadRollout && rev != "":
		noun = "rollout " + rev + " of " + name
	case e.Type == tapio.WorkloadRollout:
		noun = "a rollout of " + name
	case e.Type == tapio.WorkloadScaled:
		noun = "the scaling of " + name
	case e.Type == tapio.ConfigChanged && data(e, "reason") == "Created":
		noun = "the creation of " + name
	case e.Type == tapio.ConfigChanged && data(e, "reason") == "Deleted":
		noun = "the deletion of " + name
	case e.Type == tapio.ConfigChanged, e.Type == tapio.ServiceChanged, e.Type == tapio.QuotaChanged:
		noun = "an edit of " + name
	default:
		noun = "this: " + happened(e, s)
		return noun
	}
	// What a rollback changed back is what the trigger changed, and the timeline
	// has all of a long change.
	if what := changes(changesIn(e)); what != "" && len(what) <= maxFix && data(e, tapio.AttrRollback) != "true" {
		known = append(known, what)
	}
	if who := actor(data(e, tapio.AttrManager)); who != "" {
		known = append(known, "by "+who)
	}
	return noun + parens(known...)
}
