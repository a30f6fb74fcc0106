package engine

import (
	"strings"

	"github.com/yairfalse/tapio"
)

// observeGap remembers that a source may have missed things and tells the open
// stories that it overlaps.
func (e *Engine) observeGap(g tapio.Gap) []tapio.Story {
	e.control.begun = e.now
	e.gaps = append(e.gaps, g)
	if len(e.gaps) > maxGaps {
		e.gaps = e.gaps[1:]
	}
	var out []tapio.Story
	for _, inc := range e.live {
		if inc.status == tapio.StatusOpen && inc.addGap(g) {
			inc.addNews(tapio.News{Kind: tapio.NewsGap, Time: g.To, Was: g.From.UTC().Format("15:04"), Now: g.Reason})
			out = append(out, e.revise(inc))
		}
	}
	return out
}

// addGap reports whether the gap is a new one for the story. One outage makes
// a gap for each kind that is watched: those of one source that overlap are
// one.
func (inc *incident) addGap(g tapio.Gap) bool {
	for i := range inc.gaps {
		o := &inc.gaps[i]
		if o.Source != g.Source || g.From.After(o.To) || o.From.After(g.To) {
			continue
		}
		if g.From.Before(o.From) {
			o.From = g.From
		}
		o.To = maxTime(o.To, g.To)
		o.Dropped += g.Dropped
		if !strings.Contains(o.Resource, g.Resource) && len(o.Resource) < 60 {
			o.Resource += ", " + g.Resource
		}
		inc.fresh = true
		return false
	}
	inc.gaps = append(inc.gaps, g)
	return true
}
