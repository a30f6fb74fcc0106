package narrate

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/yairfalse/tapio"
)

// Bounds of a rendered story. What is left out is counted in its place.
const (
	maxTimelineShown = 60
	maxEvidenceShown = 30
	maxPodsShown     = 10
	maxEvidenceText  = 400 // characters of one piece of evidence
)

// numbered is the evidence of a story in the order in which its sentences cite
// it, then the rest in the order of time.
type numbered struct {
	list []tapio.Evidence
	num  map[string]int // by evidence ID, from 1
}

func number(s *tapio.Story) numbered {
	n := numbered{num: map[string]int{}}
	byID := map[string]tapio.Evidence{}
	for _, e := range s.Evidence {
		byID[e.ID] = e
	}
	add := func(e tapio.Evidence) {
		if n.num[e.ID] == 0 {
			n.list = append(n.list, e)
			n.num[e.ID] = len(n.list)
		}
	}
	for _, sentence := range s.Summary {
		for _, id := range sentence.Evidence {
			if e, ok := byID[id]; ok {
				add(e)
			}
		}
	}
	rest := slices.Clone(s.Evidence)
	slices.SortStableFunc(rest, func(a, b tapio.Evidence) int { return a.Time.Compare(b.Time) })
	for _, e := range rest {
		add(e)
	}
	return n
}

// marks writes the numbers behind a sentence: " [1][2]".
func (n numbered) marks(ids []string) string {
	var b []byte
	for _, id := range ids {
		if i := n.num[id]; i > 0 {
			b = fmt.Appendf(b, "[%d]", i)
		}
	}
	if len(b) == 0 {
		return ""
	}
	return " " + string(b)
}

// shown returns the timeline as far as it is shown: all of it, or its start,
// its end and how many lines are left out between them.
func shown(events []tapio.StoryEvent) (head []tapio.StoryEvent, left int, tail []tapio.StoryEvent) {
	if len(events) <= maxTimelineShown {
		return events, 0, nil
	}
	half := maxTimelineShown / 2
	return events[:half], len(events) - 2*half, events[len(events)-half:]
}

// stamp returns the layout for the times of a story: with the date where it
// does not all happen on one day.
func stamp(s *tapio.Story) string {
	first := s.Timestamp.UTC()
	layout := "15:04:05"
	check := func(t time.Time) {
		if t = t.UTC(); t.Year() != first.Year() || t.YearDay() != first.YearDay() {
			layout = "2 Jan 15:04:05"
		}
	}
	for i := range s.Timeline {
		check(s.Timeline[i].Timestamp)
	}
	for i := range s.Evidence {
		check(s.Evidence[i].Time)
	}
	return layout
}

// role words why a timeline line matters, for behind it, or "".
func role(e *tapio.StoryEvent, s *tapio.Story) string {
	switch {
	case e.Role == tapio.RoleTrigger:
		return "← change before it began"
	case e.Role == tapio.RoleCause && e.Decisive:
		switch s.Standing {
		case tapio.StandingCertain:
			return "← cause"
		case tapio.StandingLikely:
			return "← likely cause"
		case tapio.StandingPossible:
			return "← possible cause"
		}
	}
	return ""
}

// period words when it happened: "since 14:02 UTC (6 min)".
func period(s *tapio.Story) string {
	if s.Status == tapio.StatusResolved {
		return stretch(s.Timestamp, ended(s), s.Timestamp) + " (" + span(s.Duration) + ")"
	}
	return "since " + clock(s.Timestamp, s.Updated) + " (" + span(s.Duration) + ")"
}

// place words what the story is about: "Deployment shop/checkout".
func place(s *tapio.Story) string {
	e := s.Subject
	name := e.Name
	if e.Namespace != "" {
		name = e.Namespace + "/" + name
	}
	return inline(string(e.Kind) + " " + name)
}

// causeLine words code, object and standing.
func causeLine(s *tapio.Story) string {
	text := inline(string(s.Cause))
	if s.Cause != tapio.CauseUnknown {
		text += parens(inline(string(s.Standing)))
	}
	if s.Cause != tapio.CauseUnknown && !s.CauseEntity.IsZero() {
		text += " on " + objectName(s.CauseEntity)
	}
	if s.Confidence != nil {
		text += fmt.Sprintf(" (right in %.0f %% of Tapio's own labelled cases of this standing)", *s.Confidence*100)
	}
	return text
}

// objectName writes an entity with everything that identifies it.
func objectName(e tapio.Entity) string {
	name := e.Name
	if e.Namespace != "" {
		name = e.Namespace + "/" + name
	}
	name = string(e.Kind) + " " + name
	if e.Container != "" {
		name += ", container " + e.Container
	}
	return inline(name)
}

// ownerLine words whom it is told to, or "".
func ownerLine(o tapio.Owner) string {
	var known []string
	for _, w := range []string{o.Team, o.Channel, o.Service} {
		if w = inline(w); w != "" && !slices.Contains(known, w) {
			known = append(known, w)
		}
	}
	return strings.Join(known, ", ")
}

// podsLine names the affected pods, or "".
func podsLine(pods []string) string {
	var names []string
	for _, p := range pods[:min(len(pods), maxPodsShown)] {
		names = append(names, inline(p))
	}
	text := strings.Join(names, ", ")
	if left := len(pods) - len(names); left > 0 {
		text += fmt.Sprintf(" and %d more", left)
	}
	return text
}

// columns counts the terminal columns that text takes: 0 for combining marks, 2
// for wide East Asian characters and pictures, otherwise 1.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3,
			r >= 0xf900 && r <= 0xfaff, r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60,
			r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
			n += 2
		default:
			n++
		}
	}
	return n
}

// writeAll writes one rendered story.
func writeAll(w io.Writer, page []byte) error {
	if _, err := w.Write(page); err != nil {
		return fmt.Errorf("write story: %w", err)
	}
	return nil
}
