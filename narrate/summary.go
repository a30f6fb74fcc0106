package narrate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// maxCited is how many pieces of evidence one sentence names.
const maxCited = 3

// maxChecked is how many of the things that were ruled out a sentence names.
const maxChecked = 5

// summary words the story in short: what and since when, then why, and where
// it applies: what changed just before, that it was found already failing, of
// what it is a part, and what may have been missed.
func (t *teller) summary() []tapio.Sentence {
	s := t.story
	what := t.run(t.words.description, maxSentence)
	if what == "" {
		what = fmt.Sprintf("%s %s in trouble %s.", t.view.Who, t.view.HasBeen, t.view.When)
	}
	out := []tapio.Sentence{
		{Text: what, Evidence: t.cite(tapio.RoleSymptom, tapio.RoleCause, tapio.RoleEffect)},
		{Text: t.why(), Evidence: t.citeCause()},
	}
	if text := triggerSentence(s); text != "" {
		out = append(out, tapio.Sentence{Text: clip(text, maxSentence), Evidence: t.held(s.Trigger.Evidence)})
	}
	if s.Backlog {
		out = append(out, tapio.Sentence{Text: "It was already so when Tapio first looked, at " + clock(s.Opened, s.Updated) + "."})
	}
	if s.Status == tapio.StatusAbsorbed {
		out = append(out, tapio.Sentence{Text: "Story " + inline(s.AbsorbedInto) + " explains this one and goes on in its place."})
	}
	if text := gapSentence(s); text != "" {
		out = append(out, tapio.Sentence{Text: text})
	}
	return out
}

// rootCause is the sentence that says why, as the summary has it.
func (t *teller) rootCause() string { return t.story.Summary[1].Text }

// why words the cause with the standing that it has.
func (t *teller) why() string {
	if t.story.Cause == tapio.CauseUnknown || t.story.Standing == tapio.StandingUnknown {
		return t.unproven()
	}
	text := t.run(t.words.cause, maxSentence)
	if text == "" {
		return t.generalCause()
	}
	switch t.story.Standing {
	case tapio.StandingLikely:
		return "Most likely " + lower(text)
	case tapio.StandingPossible:
		return "Possibly " + lower(text)
	}
	return text
}

// unproven says that nothing was proven, and what was looked at.
func (t *teller) unproven() string {
	if len(t.story.Checked) == 0 {
		return "The cause is not proven."
	}
	var ruled []string
	for _, c := range t.story.Checked {
		ruled = append(ruled, inline(c))
	}
	rest := ""
	if n := len(ruled) - maxChecked; n > 0 {
		ruled, rest = ruled[:maxChecked], fmt.Sprintf("; and %d more", n)
	}
	return clip("The cause is not proven. Checked and not found: "+strings.Join(ruled, "; ")+rest+".", maxSentence)
}

// generalCause is the cause of a story whose template has no words for it.
func (t *teller) generalCause() string {
	name := or(t.names[t.story.Cause], string(t.story.Cause))
	text := "The cause"
	switch t.story.Standing {
	case tapio.StandingLikely:
		text = "The most likely cause"
	case tapio.StandingPossible:
		text = "A possible cause"
	}
	return clip(fmt.Sprintf("%s is %s on %s.", text, inline(name), nameOf(t.story.CauseEntity, t.story)), maxSentence)
}

// cite returns the evidence of the timeline's entries that play one of the
// roles: the decisive ones first, then the oldest.
func (t *teller) cite(roles ...tapio.Role) []string {
	var ids []string
	for _, decisive := range []bool{true, false} {
		for i := range t.story.Timeline {
			e := &t.story.Timeline[i]
			if slices.Contains(roles, e.Role) && e.Decisive == decisive {
				ids = append(ids, e.ID)
			}
		}
	}
	return t.held(ids...)
}

// citeCause returns the evidence for the chosen hypothesis.
func (t *teller) citeCause() []string {
	for _, h := range t.story.Hypotheses {
		if h.Chosen {
			if ids := t.held(h.For...); len(ids) > 0 {
				return ids
			}
		}
	}
	return t.cite(tapio.RoleCause, tapio.RoleSymptom)
}

// held returns those IDs that the story has evidence for, at most maxCited,
// each once, in the order given.
func (t *teller) held(ids ...string) []string {
	var out []string
	for _, id := range ids {
		has := slices.ContainsFunc(t.story.Evidence, func(e tapio.Evidence) bool { return e.ID == id })
		if has && !slices.Contains(out, id) && len(out) < maxCited {
			out = append(out, id)
		}
	}
	return out
}

// triggerSentence says what was changed before it began, or "".
func triggerSentence(s *tapio.Story) string {
	t := s.Trigger
	if t == nil {
		return ""
	}
	lead := "It began right after "
	switch d := s.Timestamp.Sub(t.Time); {
	case d >= time.Second:
		lead = "It began " + span(d) + " after "
	case d <= -time.Second:
		lead = "It began " + span(d) + " before Tapio saw "
	}
	var b strings.Builder
	b.WriteString(lead + changeNoun(t, s))
	if who := actor(t.Manager); who != "" {
		b.WriteString(", made by " + who)
	}
	if what := changes(t.Changes); what != "" {
		b.WriteString(", which changed " + what)
	}
	b.WriteString(".")
	return b.String()
}

// changeNoun names a change: "rollout 4 of checkout".
func changeNoun(t *tapio.Trigger, s *tapio.Story) string {
	name := nameOf(t.Entity, s)
	switch t.Type {
	case tapio.WorkloadRollout:
		switch rev := revision(t.Entity, t.Revision); {
		case reasonOf(s, t.Evidence) == "Created":
			return "the creation of " + name
		case reasonOf(s, t.Evidence) == "Restarted":
			return "a restart of " + name
		case rev != "":
			return "rollout " + rev + " of " + name
		}
		return "a rollout of " + name
	case tapio.WorkloadScaled:
		return "the scaling of " + name
	case tapio.NodeCordoned:
		return "the cordoning of " + name
	case tapio.ConfigChanged:
		switch reasonOf(s, t.Evidence) {
		case "Created":
			return "the creation of " + name
		case "Deleted":
			return "the deletion of " + name
		}
	}
	return "an edit of " + name
}

// reasonOf returns the reason of a timeline entry, such as Created.
func reasonOf(s *tapio.Story, id string) string {
	for i := range s.Timeline {
		if s.Timeline[i].ID == id {
			return data(&s.Timeline[i], "reason")
		}
	}
	return ""
}

// gapSentence says what Tapio may have missed, or "".
func gapSentence(s *tapio.Story) string {
	if len(s.Gaps) == 0 {
		return ""
	}
	g := s.Gaps[0]
	more := ""
	if n := len(s.Gaps) - 1; n > 0 {
		more = fmt.Sprintf(" There were %s more.", count(n, "such gap"))
		if n == 1 {
			more = " There was 1 more such gap."
		}
	}
	return clip(missed(g, s.Updated)+more, maxSentence)
}

// missed words one gap.
func missed(g tapio.Gap, ref time.Time) string {
	what := inline(g.Resource)
	switch {
	case what == "" && g.Source == tapio.SourceKubernetes:
		what = "the cluster"
	case what == "":
		what = inline(string(g.Source)) + " events"
	}
	text := upper(between(g.From, g.To, ref)) + " Tapio could not see " + what
	if g.Reason != "" {
		text += " (" + quote(g.Reason) + ")"
	}
	if g.Dropped > 0 {
		text += " and lost " + count(g.Dropped, "observation")
	}
	return text + ": something may be missing."
}
