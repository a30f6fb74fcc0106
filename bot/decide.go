package bot

import (
	"time"

	"github.com/yairfalse/tapio"
)

// step is what a new revision means for the root message.
type step string

const (
	stepSilence step = "silence"
	stepPost    step = "post"     // a root message of its own
	stepBacklog step = "backlog"  // a line in the summary of failures that were already there
	stepEditNow step = "edit now" // the state changed
	stepEdit    step = "edit"     // it grew
	stepDrop    step = "drop"     // a root message that isn't out yet won't be needed
)

// decision is the answer to a new revision, and why.
type decision struct {
	step  step
	why   string
	news  []tapio.News // each becomes part of a reply
	loud  bool         // the reply also goes to the channel
	flush bool         // the reply doesn't wait for more news
	clear bool         // an acknowledgement no longer holds
}

// decide compares what was said with a new revision. said is nil where the
// story has no thread. It is the only place that knows when to speak.
func decide(said *thread, s *tapio.Story, now time.Time) decision {
	if said == nil {
		return decideFirst(s, now)
	}
	if s.Revision <= said.Revision {
		return decision{step: stepSilence, why: "this revision was already told"}
	}
	d := decideNext(said, s, now)
	if d.step == stepSilence || d.step == stepDrop {
		return d
	}
	for _, n := range s.News {
		if tellable(n.Kind) {
			d.news = append(d.news, n)
		}
	}
	return d
}

// decideFirst is about a story of which nothing was said.
func decideFirst(s *tapio.Story, now time.Time) decision {
	switch s.Status {
	case tapio.StatusSuspected:
		return decision{step: stepSilence, why: "it is only suspected"}
	case tapio.StatusAbsorbed:
		return decision{step: stepSilence, why: "another story tells it and this one was never told"}
	case tapio.StatusResolved:
		if s.Backlog {
			return decision{step: stepSilence, why: "it began before Tapio first looked and is over"}
		}
		if now.Sub(s.Resolved) > tellWithin {
			return decision{step: stepSilence, why: "it was over long before it could be told"}
		}
		return decision{step: stepPost, why: "it came and went before it could be told"}
	}
	if s.Backlog {
		return decision{step: stepBacklog, why: "it was failing before Tapio first looked"}
	}
	return decision{step: stepPost, why: "the story is new"}
}

// decideNext is about the next revision of a story that has a thread.
func decideNext(said *thread, s *tapio.Story, now time.Time) decision {
	told := said.RootTS != "" || said.Intent != nil
	worse := s.Severity.Level() < said.Severity.Level()
	d := decision{step: stepEdit, why: "the story grew"}
	switch {
	case s.Status == tapio.StatusSuspected:
		return decision{step: stepSilence, why: "it is only suspected"}

	case s.Status == tapio.StatusAbsorbed && said.Status != tapio.StatusAbsorbed:
		if !told && said.Board == "" {
			return decision{step: stepDrop, why: "another story tells it and its own message isn't out yet"}
		}
		d = decision{step: stepEditNow, why: "another story tells it now", flush: true}

	case s.Status == tapio.StatusResolved && said.Status != tapio.StatusResolved:
		if !told && said.Board == "" && now.Sub(s.Resolved) > tellWithin {
			return decision{step: stepDrop, why: "it was over long before it could be told"}
		}
		d = decision{step: stepEditNow, why: "the story is resolved", flush: true}

	case s.Status == tapio.StatusOpen && said.Status != tapio.StatusOpen:
		d = decision{step: stepEditNow, why: "the story came back", flush: true, loud: told, clear: true}
		if said.Board != "" {
			d.step, d.why = stepPost, "a failure of the summary came back"
		}

	case s.Status != tapio.StatusOpen:
		d.why = "more is known of a story that ended"

	case worse:
		d = decision{step: stepEditNow, why: "it got worse", flush: true, loud: told}
		if said.Board != "" {
			d.step, d.why = stepPost, "a failure of the summary got worse"
		}
	}
	return d
}

// tellable reports whether this kind of news is worth a reply. That a story
// opened is what the root message says; that it is part of another one is told
// with a link, which only the thread can know.
func tellable(k tapio.NewsKind) bool {
	return k != tapio.NewsOpened && k != tapio.NewsAbsorbed
}
