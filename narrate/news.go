package narrate

import (
	"fmt"
	"slices"

	"github.com/yairfalse/tapio"
)

// news words what this revision changed.
func (t *teller) news() {
	for i := range t.story.News {
		n := &t.story.News[i]
		n.Text = clip(t.newsText(n), maxSentence)
	}
}

func (t *teller) newsText(n *tapio.News) string {
	s := t.story
	was, now := quote(n.Was), quote(n.Now)
	switch n.Kind {
	case tapio.NewsOpened:
		return s.Summary[0].Text
	case tapio.NewsCause:
		if n.Was == "" || n.Was == string(tapio.CauseUnknown) {
			return "Cause found: " + s.RootCause
		}
		if n.Now == string(tapio.CauseUnknown) {
			return "It is not " + t.causeName(n.Was) + " after all. " + s.RootCause
		}
		return "The cause is another one than told before (" + t.causeName(n.Was) + "): " + s.RootCause
	case tapio.NewsTrigger:
		if text := triggerSentence(s); text != "" {
			return text
		}
		return "A change came just before: " + or(now, was) + "."
	case tapio.NewsScope:
		return "It grew: " + fromTo(was, now) + "."
	case tapio.NewsSeverity:
		return "It got worse: " + fromTo(severityName(was), severityName(now)) + "."
	case tapio.NewsChange:
		for _, id := range n.Evidence {
			for j := range s.Timeline {
				if e := &s.Timeline[j]; e.ID == id {
					return upperUnlessName(happened(e, s), t.view) + "."
				}
			}
		}
		return "Something was changed: " + fromTo(was, now) + "."
	case tapio.NewsLog:
		if last := or(now, t.view.LastError); last != "" {
			return "The log of " + t.view.TheContainer + " says “" + last + "”."
		}
		return "The log of " + t.view.TheContainer + " came in."
	case tapio.NewsResolved:
		return or(s.Resolution, "It recovered.")
	case tapio.NewsReopened:
		return t.reopened(was)
	case tapio.NewsAbsorbed:
		return "This is part of story " + or(now, inline(s.AbsorbedInto)) + ", which explains it and goes on in its place."
	case tapio.NewsAbsorbs:
		switch {
		case now != "" && was != "":
			return fmt.Sprintf("This explains story %s too: %s.", was, now)
		case or(now, was) != "":
			return "This explains story " + or(now, was) + " too."
		}
		return "This explains another story too."
	case tapio.NewsMeanwhile:
		if now == "" {
			return "Without the API server, from " + was + " UTC, nothing else happened that Tapio could find afterwards."
		}
		return "What happened without the API server, from " + was + " UTC, as found afterwards: " + now + "."
	case tapio.NewsGap:
		for _, g := range slices.Backward(s.Gaps) {
			if g.To.Equal(n.Time) {
				return missed(g, s.Updated)
			}
		}
		text := "Tapio could not see everything"
		if was != "" {
			text += " since " + was + " UTC"
		}
		if now != "" {
			text += " (" + now + ")"
		}
		return text + ": something may be missing."
	}
	return "New: " + fromTo(was, now) + "."
}

// reopened says that it fails again. Was is when it had been resolved.
func (t *teller) reopened(was string) string {
	lead := "It fails again"
	if was != "" {
		lead += ", after it was resolved at " + was + " UTC"
	}
	return lead + ": " + t.story.Summary[0].Text
}

func (t *teller) causeName(code string) string {
	return inline(or(t.names[tapio.Cause(code)], code))
}

// severityName turns a severity into what on-call people call it.
func severityName(word string) string {
	if l := tapio.Severity(word).Level(); l < 5 {
		return fmt.Sprintf("SEV%d", l)
	}
	return word
}

func fromTo(was, now string) string {
	switch {
	case was == "":
		return or(now, "more is affected")
	case now == "":
		return was
	}
	return was + " → " + now
}
