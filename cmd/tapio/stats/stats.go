// Package stats counts how well stories were told: how often their cause was
// right where people said so, how much noise they made, and how long it took
// until they were told and until their cause was known.
//
// It counts what it is given and asks nobody.
package stats

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/yairfalse/tapio"
)

// brief is how soon after it was told a story may end and count as noise:
// whoever was pinged found nothing left to do.
const brief = 2 * time.Minute

// Told is a story with all that is kept of it.
type Told struct {
	Story     tapio.Story
	Revisions []tapio.Revision // oldest first
	Notes     []tapio.Note
	Feedback  []tapio.Feedback
}

// Verdicts counts what people said of causes.
type Verdicts struct {
	Right int `json:"right"`
	Wrong int `json:"wrong"`
}

// Accuracy is the share that was right, or nil where nobody said anything.
func (v Verdicts) Accuracy() *float64 {
	if v.Right+v.Wrong == 0 {
		return nil
	}
	a := float64(v.Right) / float64(v.Right+v.Wrong)
	return &a
}

// Spread is how long something took.
type Spread struct {
	Count  int           `json:"count"`
	Median time.Duration `json:"median"` // nanoseconds
	P90    time.Duration `json:"p90"`
	Most   time.Duration `json:"most"`
}

// Stats is what is counted.
type Stats struct {
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until"`
	Truncated bool      `json:"truncated,omitempty"` // there were more stories than are counted at once

	Stories  int `json:"stories"`
	Open     int `json:"open"`
	Resolved int `json:"resolved"`
	Absorbed int `json:"absorbed"` // told as part of another one
	Unknown  int `json:"unknown"`  // cause not found

	// Accuracy.
	Feedback Verdicts                    `json:"feedback"`
	Accuracy *float64                    `json:"accuracy"` // null: nobody said anything
	Standing map[tapio.Standing]Verdicts `json:"by_standing"`
	Causes   map[tapio.Cause]Verdicts    `json:"by_cause"` // as told

	// Noise.
	PerDay    float64 `json:"stories_per_day"`
	Revisions float64 `json:"revisions_per_story"`
	Brief     int     `json:"brief"` // over within two minutes of being told
	Acked     int     `json:"acked"`
	Muted     int     `json:"muted"`

	// Time to insight, from the onset on.
	ToStory Spread `json:"time_to_story"` // until it was told
	ToCause Spread `json:"time_to_cause"` // until its cause was known
}

// Count counts stories that changed in a period. Those that were already there
// when Tapio first looked say nothing about how long anything took.
func Count(since, until time.Time, all []Told) Stats {
	s := Stats{Since: since, Until: until, Standing: map[tapio.Standing]Verdicts{}, Causes: map[tapio.Cause]Verdicts{}}
	var toStory, toCause []time.Duration
	revisions := 0
	for i := range all {
		t := &all[i]
		st := &t.Story
		s.Stories++
		revisions += max(len(t.Revisions), st.Revision)
		switch st.Status {
		case tapio.StatusOpen:
			s.Open++
		case tapio.StatusResolved:
			s.Resolved++
			if st.Resolved.Sub(st.Opened) < brief {
				s.Brief++
			}
		case tapio.StatusAbsorbed:
			s.Absorbed++
		}
		if st.Cause == tapio.CauseUnknown && st.Status != tapio.StatusAbsorbed {
			s.Unknown++
		}
		for _, f := range t.Feedback {
			s.add(f)
		}
		if hasNote(t.Notes, tapio.NoteAck) {
			s.Acked++
		}
		if hasNote(t.Notes, tapio.NoteMute) {
			s.Muted++
		}
		if st.Backlog {
			continue
		}
		toStory = append(toStory, max(st.Opened.Sub(st.Timestamp), 0))
		if d, ok := insight(t); ok {
			toCause = append(toCause, d)
		}
	}
	s.Accuracy = s.Feedback.Accuracy()
	s.ToStory, s.ToCause = spread(toStory), spread(toCause)
	if s.Stories > 0 {
		s.Revisions = float64(revisions) / float64(s.Stories)
	}
	if days := until.Sub(since).Hours() / 24; days > 0 {
		s.PerDay = float64(s.Stories-s.Absorbed) / days
	}
	return s
}

func (s *Stats) add(f tapio.Feedback) {
	one := Verdicts{Wrong: 1}
	if f.Good {
		one = Verdicts{Right: 1}
	}
	plus := func(v Verdicts) Verdicts { return Verdicts{v.Right + one.Right, v.Wrong + one.Wrong} }
	s.Feedback = plus(s.Feedback)
	s.Standing[f.Standing] = plus(s.Standing[f.Standing])
	s.Causes[f.Told] = plus(s.Causes[f.Told])
}

func hasNote(notes []tapio.Note, kind tapio.NoteKind) bool {
	return slices.ContainsFunc(notes, func(n tapio.Note) bool { return n.Kind == kind })
}

// insight is how long after the onset the first revision knew the cause that
// the last one tells.
func insight(t *Told) (time.Duration, bool) {
	if t.Story.Cause == tapio.CauseUnknown {
		return 0, false
	}
	for i := range t.Revisions {
		if r := &t.Revisions[i].Story; r.Cause == t.Story.Cause {
			return max(r.Updated.Sub(t.Story.Timestamp), 0), true
		}
	}
	return 0, false
}

func spread(d []time.Duration) Spread {
	if len(d) == 0 {
		return Spread{}
	}
	slices.Sort(d)
	return Spread{Count: len(d), Median: d[(len(d)-1)/2], P90: d[(len(d)-1)*9/10], Most: d[len(d)-1]}
}

// Text writes the numbers for a person.
func (s *Stats) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }
	line("Stories from %s to %s", s.Since.Format("2 Jan 2006 15:04"), s.Until.Format("2 Jan 2006 15:04 MST"))
	line("  told\t%d\t%.1f a day; %d open, %d resolved, %d part of another", s.Stories, s.PerDay, s.Open, s.Resolved, s.Absorbed)
	line("  cause unknown\t%d\t%s", s.Unknown, share(s.Unknown, s.Stories-s.Absorbed))
	line("Accuracy, by what people said")
	if s.Accuracy == nil {
		line("  nobody said anything yet: /tapio feedback NAME, or ⋮ Wrong cause in Slack")
	} else {
		line("  right\t%d of %d\t%s", s.Feedback.Right, s.Feedback.Right+s.Feedback.Wrong, share(s.Feedback.Right, s.Feedback.Right+s.Feedback.Wrong))
		for _, st := range slices.Sorted(maps.Keys(s.Standing)) {
			v := s.Standing[st]
			line("    %s\t%d of %d\t%s", st, v.Right, v.Right+v.Wrong, share(v.Right, v.Right+v.Wrong))
		}
		for _, c := range s.wrongest() {
			line("    %s\twrong %s", c, strings.TrimSpace(times(s.Causes[c].Wrong)))
		}
	}
	line("Noise")
	line("  changes per story\t%.1f", s.Revisions)
	line("  over within %s\t%d\t%s", brief, s.Brief, share(s.Brief, s.Stories))
	line("  acknowledged\t%d\t%s", s.Acked, share(s.Acked, s.Stories))
	line("  muted\t%d\t%s", s.Muted, share(s.Muted, s.Stories))
	line("Time to insight, from the first symptom on\tmedian\t9 of 10\tmost")
	line("  until told\t%s", s.ToStory.words())
	line("  until the cause was known\t%s", s.ToCause.words())
	if s.Truncated {
		line("There were more stories; only the newest are counted. Shorten --since.")
	}
	return t.Flush()
}

// wrongest are the causes that were called wrong, most often first.
func (s *Stats) wrongest() []tapio.Cause {
	var out []tapio.Cause
	for c, v := range s.Causes {
		if v.Wrong > 0 {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(x, y tapio.Cause) int {
		return cmp.Or(cmp.Compare(s.Causes[y].Wrong, s.Causes[x].Wrong), cmp.Compare(x, y))
	})
	return out[:min(len(out), 5)]
}

func (s Spread) words() string {
	if s.Count == 0 {
		return "–"
	}
	round := func(d time.Duration) time.Duration {
		if d < time.Minute {
			return d.Round(100 * time.Millisecond)
		}
		return d.Round(time.Second)
	}
	return fmt.Sprintf("%s\t%s\t%s", round(s.Median), round(s.P90), round(s.Most))
}

func share(n, of int) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %%", 100*float64(n)/float64(of))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
