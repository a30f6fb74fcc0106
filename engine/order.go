package engine

import (
	"cmp"
	"math"
	"slices"

	"github.com/yairfalse/tapio"
)

// Order sorts stories so that the one that matters most comes first: those
// with a cause before those that only say what hurts, then by severity, the
// more upstream cause, how many workloads and then pods it hurts, the newer
// onset, and the ID. Absorbed and resolved stories come last.
func (e *Engine) Order(stories []tapio.Story) {
	slices.SortStableFunc(stories, func(a, b tapio.Story) int {
		return cmp.Or(
			cmp.Compare(past(a.Status), past(b.Status)),
			compareBool(e.isSymptom(a), e.isSymptom(b)),
			cmp.Compare(a.Severity.Level(), b.Severity.Level()),
			cmp.Compare(e.precedence(a), e.precedence(b)),
			cmp.Compare(b.Scope.Workloads, a.Scope.Workloads),
			cmp.Compare(b.Scope.PodsDown, a.Scope.PodsDown),
			b.Timestamp.Compare(a.Timestamp),
			cmp.Compare(a.ID, b.ID),
		)
	})
}

func past(s tapio.Status) int {
	switch s {
	case tapio.StatusAbsorbed:
		return 2
	case tapio.StatusResolved:
		return 1
	}
	return 0
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// isSymptom reports whether the story says that it hurts and not why.
func (e *Engine) isSymptom(s tapio.Story) bool {
	t := e.templates[s.Template]
	return s.Cause == tapio.CauseUnknown || t != nil && t.IsSymptom()
}

// precedence is the place of the story's template in the order of ranks, 0 is
// most upstream. A story of a template that was removed comes last.
func (e *Engine) precedence(s tapio.Story) int {
	if t := e.templates[s.Template]; t != nil {
		return t.Precedence()
	}
	return math.MaxInt
}
