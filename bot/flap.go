package bot

import (
	"fmt"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
)

// A story that comes and goes would post twice for each round. From the
// flapAfter'th return within flapWithin on, its coming and going is told as
// one: the root message stays true at the pace of growth, and one reply, at
// most every flapEvery, says how often it was.
const (
	flapAfter  = 3
	flapWithin = time.Hour
	flapEvery  = 10 * time.Minute
	flapHold   = 5 * time.Minute // how long a resolution must last before a reply says so
	maxFlaps   = 60              // returns that are remembered
)

// newsFlap tells that a story comes and goes.
const newsFlap tapio.NewsKind = "flapping"

// flaps counts how often the story came back within the hour before a time.
func (t *thread) flaps(at time.Time) int {
	n := 0
	for _, f := range t.Flaps {
		if at.Sub(f) < flapWithin {
			n++
		}
	}
	return n
}

// flapping reports whether the story comes and goes.
func (t *thread) flapping(at time.Time) bool { return t.flaps(at) >= flapAfter }

// cameBack remembers a return.
func (t *thread) cameBack(at time.Time) {
	t.Flaps = append(slices.DeleteFunc(t.Flaps, func(f time.Time) bool { return at.Sub(f) >= flapWithin }), at)
	if over := len(t.Flaps) - maxFlaps; over > 0 {
		t.Flaps = slices.Delete(t.Flaps, 0, over)
	}
}

// fold takes the news of a story that comes and goes: what says that it came
// back or went becomes one fact that waits, and replaces the one that waited.
func (t *thread) fold(s *tapio.Story, news []fact, now time.Time) {
	for _, f := range news {
		if f.Kind != tapio.NewsReopened && f.Kind != tapio.NewsResolved {
			t.hear(f)
		}
	}
	at := now
	if due := t.FlapTold.Add(flapEvery); due.After(now) {
		at = due
	}
	t.News = slices.DeleteFunc(t.News, func(f fact) bool {
		if f.Kind == newsFlap && f.At.Before(at) {
			at = f.At
		}
		return f.Kind == newsFlap || f.Kind == tapio.NewsResolved
	})
	if s.Status == tapio.StatusResolved {
		for _, f := range news {
			if f.Kind == tapio.NewsResolved {
				f.At = now.Add(flapHold)
				t.News = append(t.News, f)
			}
		}
		return
	}
	t.News = append(t.News, fact{
		Kind: newsFlap, Time: s.Updated, At: at,
		Text: fmt.Sprintf("it came back for the %s time in an hour. Until that ends, this thread says so at most every %s; the message above stays true.",
			ordinal(t.flaps(s.Updated)), duration(flapEvery)),
	})
}

// ordinal writes a number as a rank: 1st, 2nd, 3rd, 4th, 11th.
func ordinal(n int) string {
	end := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			end = "st"
		case 2:
			end = "nd"
		case 3:
			end = "rd"
		}
	}
	return fmt.Sprint(n) + end
}
