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
	stepStorm   step = "storm"    // a line in the list of a storm
	stepEditNow step = "edit now" // the state changed
	stepEdit    step = "edit"     // it grew
	stepHold    step = "hold"     // nothing, or nothing yet: it is muted, or people don't want to see it
	stepDrop    step = "drop"     // a root message that isn't out yet won't be needed
)

// What else a revision may lead to; counted as steps are.
const (
	alsoReply     step = "reply"
	alsoBroadcast step = "broadcast" // a reply that the channel sees too
	alsoDirect    step = "direct message"
)

// reason says why a step was taken, in words that logs and metrics show.
type reason string

const (
	whyTold        reason = "this revision was already told"
	whySuspected   reason = "it is only suspected"
	whyElsewhere   reason = "another story tells it and this one was never told"
	whyOldAndOver  reason = "it began before Tapio first looked and is over"
	whyLongOver    reason = "it was over long before it could be told"
	whyCameAndWent reason = "it came and went before it could be told"
	whyOld         reason = "it was failing before Tapio first looked"
	whyNew         reason = "the story is new"
	whyStorm       reason = "too many stories begin at once"
	whyPart        reason = "another story tells it now"
	whyPartUntold  reason = "another story tells it and its own message isn't out yet"
	whyResolved    reason = "the story is resolved"
	whyCameBack    reason = "the story came back"
	whyListBack    reason = "a failure of a summary came back"
	whyListWorse   reason = "a failure of a summary got worse"
	whyMore        reason = "more is known of a story that ended"
	whyWorse       reason = "it got worse"
	whyWorseAgain  reason = "it is as bad again as it was before"
	whyGrew        reason = "the story grew"
	whyFlapping    reason = "it comes and goes"
	whyMuted       reason = "it is muted"
	whyHushed      reason = "people deleted its message twice"
	whyNews        reason = "something new is known"
	whyTookCare    reason = "who took care of it may not see the thread"
	whySame        reason = "it would look the same"
)

// room is what decide must know of the place where a story is told.
type room struct {
	now   time.Time
	storm bool // so many stories begin there that they are told in one list
	muted bool // somebody silenced the story
}

// decision is the answer to a new revision, and why.
type decision struct {
	step   step
	why    reason
	news   []tapio.News // each becomes part of a reply
	loud   bool         // the reply also goes to the channel
	flush  bool         // the reply doesn't wait for more news
	clear  bool         // an acknowledgement no longer holds
	fold   bool         // it comes and goes: that is told once in a while, not each time
	direct bool         // who acknowledged it is told directly
}

// outcome is a step and why it was taken.
type outcome struct {
	step step
	why  reason
}

// outcomes lists all that the decision leads to, for log and metrics.
func (d *decision) outcomes() []outcome {
	out := []outcome{{d.step, d.why}}
	if d.step == stepSilence || d.step == stepDrop {
		return out
	}
	if len(d.news) > 0 {
		if d.loud {
			out = append(out, outcome{alsoBroadcast, d.why})
		} else {
			out = append(out, outcome{alsoReply, whyNews})
		}
	}
	if d.direct {
		out = append(out, outcome{alsoDirect, whyTookCare})
	}
	return out
}

// decide compares what was said with a new revision. said is nil where the
// story has no thread. It is the only place that knows when to speak.
func decide(said *thread, s *tapio.Story, in room) decision {
	if said == nil {
		d := decideFirst(s, in)
		if in.muted && d.step != stepSilence {
			return decision{step: stepHold, why: whyMuted}
		}
		return d
	}
	if s.Revision <= said.Revision {
		return decision{step: stepSilence, why: whyTold}
	}
	d := decideNext(said, s, in)
	if d.step == stepSilence || d.step == stepDrop || d.step == stepHold {
		return d
	}
	if in.muted {
		return d.mutedFor(said)
	}
	for _, n := range s.News {
		if tellable(n.Kind) {
			d.news = append(d.news, n)
		}
	}
	return d
}

// mutedFor is what is left of a decision about a muted story: a message that is
// out stays true, as edits ping nobody, and nothing else is said.
func (d decision) mutedFor(said *thread) decision {
	if said.RootTS == "" && said.Intent == nil && said.Board == "" {
		return decision{step: stepHold, why: whyMuted, clear: d.clear}
	}
	if d.step == stepPost {
		d.step = stepEditNow // the list tells it on
	}
	return decision{step: d.step, why: d.why, clear: d.clear}
}

// decideFirst is about a story of which nothing was said.
func decideFirst(s *tapio.Story, in room) decision {
	switch s.Status {
	case tapio.StatusSuspected:
		return decision{step: stepSilence, why: whySuspected}
	case tapio.StatusAbsorbed:
		return decision{step: stepSilence, why: whyElsewhere}
	case tapio.StatusResolved:
		if s.Backlog {
			return decision{step: stepSilence, why: whyOldAndOver}
		}
		if in.now.Sub(s.Resolved) > tellWithin {
			return decision{step: stepSilence, why: whyLongOver}
		}
		if in.storm {
			return decision{step: stepStorm, why: whyStorm}
		}
		return decision{step: stepPost, why: whyCameAndWent}
	}
	switch {
	case s.Backlog:
		return decision{step: stepBacklog, why: whyOld}
	case in.storm:
		return decision{step: stepStorm, why: whyStorm}
	}
	return decision{step: stepPost, why: whyNew}
}

// decideNext is about the next revision of a story that has a thread.
func decideNext(said *thread, s *tapio.Story, in room) decision {
	told := said.RootTS != "" || said.Intent != nil
	worse := s.Severity.Level() < said.Severity.Level()
	back := s.Status == tapio.StatusOpen && said.Status != tapio.StatusOpen
	switch {
	case s.Status == tapio.StatusSuspected:
		return decision{step: stepSilence, why: whySuspected}

	case said.Hushed && !back && !worse:
		return decision{step: stepHold, why: whyHushed} // what leads to it stays true

	case s.Status == tapio.StatusAbsorbed && said.Status != tapio.StatusAbsorbed:
		if !told && said.Board == "" {
			return decision{step: stepDrop, why: whyPartUntold}
		}
		return decision{step: stepEditNow, why: whyPart, flush: true}

	case s.Status == tapio.StatusResolved && said.Status != tapio.StatusResolved:
		if !told && said.Board == "" && in.now.Sub(s.Resolved) > tellWithin {
			return decision{step: stepDrop, why: whyLongOver}
		}
		if said.flapping(s.Updated) {
			return decision{step: stepEdit, why: whyFlapping, fold: true}
		}
		return decision{step: stepEditNow, why: whyResolved, flush: true}

	case back:
		d := decision{step: stepEditNow, why: whyCameBack, flush: true, loud: told, clear: true, direct: said.Ack != nil}
		switch {
		case said.Hushed, said.Board != "" && !in.storm:
			d.step, d.why = stepPost, whyListBack
			if said.Hushed {
				d.why = whyCameBack
			}
		case said.Status == tapio.StatusResolved && said.flaps(s.Updated)+1 >= flapAfter:
			d = decision{step: stepEdit, why: whyFlapping, fold: true}
		}
		return d

	case s.Status != tapio.StatusOpen:
		return decision{step: stepEdit, why: whyMore}

	case worse:
		d := decision{step: stepEditNow, why: whyWorse, flush: true, loud: told, direct: said.Ack != nil}
		switch {
		case said.Hushed:
			d.step = stepPost
		case said.Board != "" && !in.storm:
			d.step, d.why = stepPost, whyListWorse
		case said.Worst != "" && s.Severity.Level() >= said.Worst.Level():
			d.why, d.loud, d.direct = whyWorseAgain, false, false
		}
		return d
	}
	return decision{step: stepEdit, why: whyGrew}
}

// tellable reports whether this kind of news is worth a reply. That a story
// opened is what the root message says; that it is part of another one is told
// with a link, which only the thread can know.
func tellable(k tapio.NewsKind) bool {
	return k != tapio.NewsOpened && k != tapio.NewsAbsorbed
}
