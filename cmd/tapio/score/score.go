// Package score holds the stories of labelled cases against what is right and
// counts: accuracy on cause, on object and on both, confusion, false stories,
// calibration, time.
//
// It is plain counting. It runs no engine and reads no file: a [Result] brings
// a case's stories in the order in which they matter, and [Tally] makes the
// [Report] of all. The same results always give the same report.
//
// # What counts
//
// The first answer is the cause and the entity of the first story. The first
// three are the stories' causes in their order, and then the stories' other
// hypotheses in theirs. The cause is right where it is the expected one or one
// of the alternatives. When the object is right, [Objects] says. Both are right
// where one answer has the right cause and the right object.
//
// Where something else is wrong at the same time, a story that is right about
// that is set aside: only the others are answers.
//
// On a healthy case every story is false, and the case is right where there is
// none. Elsewhere a story is extra where neither its entity nor its subject nor
// anything that it affects is the object at fault or is known to be affected.
package score

import (
	"slices"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/cases"
)

// depth is how many answers "within the first three" looks at.
const depth = 3

// Answer is one thing that was told: a story's cause, or one of its other
// hypotheses.
type Answer struct {
	Cause    tapio.Cause    `json:"cause"`
	Entity   tapio.Entity   `json:"entity"`
	Subject  tapio.Entity   `json:"subject"` // what the story is about
	Standing tapio.Standing `json:"standing"`
}

// Result is what was told of one case.
type Result struct {
	Case    cases.Case
	Stories []tapio.Story // what is told in the end, the one that matters most first
	Objects *Objects
	Took    time.Duration // from the folder to the words
}

// Verdict is the judgement of one case.
type Verdict struct {
	Case     string       `json:"case"`
	Label    string       `json:"label,omitempty"`
	Evidence string       `json:"evidence,omitempty"`
	Healthy  bool         `json:"healthy,omitempty"`
	Cause    tapio.Cause  `json:"cause,omitempty"`
	Entity   tapio.Entity `json:"entity,omitzero"`

	First Hit  `json:"first"`
	Three Hit  `json:"three"`
	Named bool `json:"named"` // the first story's entity alone names the object

	Told     []Answer `json:"told"`               // the stories' causes and then their other hypotheses
	Stories  int      `json:"stories"`            //
	Extra    int      `json:"extra"`              // stories about something else; on a healthy case, all
	Strange  []Answer `json:"strange,omitempty"`  // what those say
	Affected *float64 `json:"affected,omitempty"` // share of what is hurt that the first story names
	Millis   float64  `json:"ms"`
}

// Hit says what an answer got right.
type Hit struct {
	Cause  bool `json:"cause"`
	Object bool `json:"object"`
	Both   bool `json:"both"`
}

// Judge holds one case's stories against what is right.
func Judge(r Result) Verdict {
	x := r.Case.Expect
	r.Stories = slices.DeleteFunc(slices.Clone(r.Stories), func(s tapio.Story) bool {
		return slices.ContainsFunc(x.Also, func(i cases.Incident) bool {
			return s.Cause == i.Cause && r.Objects.same(s.CauseEntity, i.Entity)
		})
	})
	v := Verdict{
		Case: r.Case.Name, Label: x.Label, Evidence: x.Evidence, Healthy: x.Healthy, Cause: x.Cause, Entity: x.Entity,
		Told: answers(r.Stories), Stories: len(r.Stories), Millis: float64(r.Took.Microseconds()) / 1000,
	}
	if x.Healthy {
		v.Extra = len(r.Stories)
		v.Strange = v.Told[:min(len(r.Stories), len(v.Told))]
		well := len(r.Stories) == 0
		v.First = Hit{well, well, well}
		v.Three, v.Named = v.First, well
		return v
	}
	causes := append([]tapio.Cause{x.Cause}, x.Alternatives...)
	truths := append([]tapio.Entity{x.Entity}, x.EntityAlternatives...)
	for i, a := range v.Told[:min(depth, len(v.Told))] {
		var h Hit
		h.Cause = slices.Contains(causes, a.Cause)
		h.Object = r.Objects.right(a, truths)
		h.Both = h.Cause && h.Object
		if i == 0 {
			v.First = h
			v.Named = r.Objects.named(a, truths)
		}
		v.Three.Cause = v.Three.Cause || h.Cause
		v.Three.Object = v.Three.Object || h.Object
		v.Three.Both = v.Three.Both || h.Both
	}
	hurt := slices.Concat(truths, x.Affected)
	for _, s := range r.Stories {
		if !slices.ContainsFunc(slices.Concat([]tapio.Entity{s.CauseEntity, s.Subject}, s.Affected), func(e tapio.Entity) bool {
			return slices.ContainsFunc(hurt, func(t tapio.Entity) bool { return r.Objects.same(e, t) })
		}) {
			v.Extra++
			v.Strange = append(v.Strange, Answer{s.Cause, s.CauseEntity, s.Subject, s.Standing})
		}
	}
	if len(x.Affected) > 0 && len(r.Stories) > 0 {
		named := 0
		for _, t := range x.Affected {
			s := r.Stories[0]
			if slices.ContainsFunc(append(slices.Clone(s.Affected), s.Subject), func(e tapio.Entity) bool { return r.Objects.same(e, t) }) {
				named++
			}
		}
		share := float64(named) / float64(len(x.Affected))
		v.Affected = &share
	}
	return v
}

// answers lists what the stories claim, and then what else they considered.
func answers(stories []tapio.Story) []Answer {
	out := []Answer{}
	add := func(a Answer) {
		if !slices.ContainsFunc(out, func(o Answer) bool { return o.Cause == a.Cause && o.Entity == a.Entity }) {
			out = append(out, a)
		}
	}
	for _, s := range stories {
		add(Answer{s.Cause, s.CauseEntity, s.Subject, s.Standing})
	}
	for _, s := range stories {
		for _, h := range s.Hypotheses {
			if !h.Chosen {
				add(Answer{h.Cause, h.Entity, s.Subject, h.Standing})
			}
		}
	}
	return out
}
