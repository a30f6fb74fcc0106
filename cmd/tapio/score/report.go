package score

import (
	"cmp"
	"maps"
	"slices"

	"github.com/yairfalse/tapio"
)

// Report is the scoreboard.
type Report struct {
	Total Counts `json:"total"` // the labelled cases that are not healthy

	Causes   []Group `json:"causes"`   // by expected cause
	Labels   []Group `json:"labels"`   // by the source's own label
	Evidence []Group `json:"evidence"` // by where the decisive evidence is

	Healthy       int          `json:"healthy"`        // healthy cases
	FalseStories  int          `json:"false_stories"`  // stories of healthy cases
	ExtraStories  int          `json:"extra_stories"`  // stories of other cases that are about something else
	Strange       []Strange    `json:"strange"`        // what the false and the extra stories say, by cause
	Confusion     []Pair       `json:"confusion"`      //
	Calibration   []Calibrated `json:"calibration"`    //
	Time          Times        `json:"time"`           //
	Misses        []Miss       `json:"misses"`         //
	Cases         []Verdict    `json:"cases"`          //
	MeanAffected  *float64     `json:"mean_affected"`  // share of what is hurt that the first story names, where it is known
	AffectedCases int          `json:"affected_cases"` // of so many cases
}

// Counts says how many of the cases were right.
type Counts struct {
	Cases int   `json:"cases"`
	First Right `json:"first"` // by the first story
	Three Right `json:"three"` // within the first three answers
	Named int   `json:"named"` // the first story's entity alone names the object
}

// Right counts what was right.
type Right struct {
	Cause  int `json:"cause"`
	Object int `json:"object"`
	Both   int `json:"both"`
}

// Share returns how much of the cases the number is, or 1 where there are none.
func (c Counts) Share(n int) float64 {
	if c.Cases == 0 {
		return 1
	}
	return float64(n) / float64(c.Cases)
}

func (c *Counts) add(v Verdict) {
	c.Cases++
	count := func(n *int, yes bool) {
		if yes {
			*n++
		}
	}
	count(&c.First.Cause, v.First.Cause)
	count(&c.First.Object, v.First.Object)
	count(&c.First.Both, v.First.Both)
	count(&c.Three.Cause, v.Three.Cause)
	count(&c.Three.Object, v.Three.Object)
	count(&c.Three.Both, v.Three.Both)
	count(&c.Named, v.Named)
}

// Group is the cases that have a word in common.
type Group struct {
	Name string `json:"name"`
	Counts
}

// Pair is an expected cause and what was told in its stead.
type Pair struct {
	Expected tapio.Cause `json:"expected"`
	Told     tapio.Cause `json:"told"` // empty where nothing was told
	Cases    int         `json:"cases"`
}

// Strange is how many stories of a cause were false or about something else.
type Strange struct {
	Cause   tapio.Cause `json:"cause"`
	Stories int         `json:"stories"`
}

// Calibrated is how often first stories of one standing were right on both.
type Calibrated struct {
	Standing tapio.Standing `json:"standing"`
	Cases    int            `json:"cases"`
	Right    int            `json:"right"`
}

// Times is how long the cases took, in milliseconds.
type Times struct {
	Median float64 `json:"median_ms"`
	P95    float64 `json:"p95_ms"`
	Max    float64 `json:"max_ms"`
}

// Miss is a case whose first story is not right on both, or a healthy one of
// which a story was told.
type Miss struct {
	Verdict
	Why string `json:"why"`
}

// Tally judges all results.
func Tally(results []Result) Report {
	var (
		r        = Report{Confusion: []Pair{}, Misses: []Miss{}, Cases: []Verdict{}}
		causes   = map[string]*Group{}
		labels   = map[string]*Group{}
		evidence = map[string]*Group{}
		pairs    = map[Pair]int{}
		strange  = map[tapio.Cause]int{}
		standing = map[tapio.Standing]*Calibrated{}
		millis   []float64
		affected float64
	)
	for _, x := range results {
		v := Judge(x)
		r.Cases = append(r.Cases, v)
		millis = append(millis, v.Millis)
		for _, a := range v.Strange {
			strange[a.Cause]++
		}
		if v.Healthy {
			r.Healthy++
			r.FalseStories += v.Extra
			if v.Extra > 0 {
				r.Misses = append(r.Misses, Miss{v, "a false story"})
			}
			continue
		}
		r.Total.add(v)
		r.ExtraStories += v.Extra
		group(causes, string(v.Cause)).add(v)
		group(labels, v.Label).add(v)
		group(evidence, v.Evidence).add(v)
		if v.Affected != nil {
			affected += *v.Affected
			r.AffectedCases++
		}
		if len(v.Told) > 0 {
			s := v.Told[0].Standing
			if standing[s] == nil {
				standing[s] = &Calibrated{Standing: s}
			}
			standing[s].Cases++
			if v.First.Both {
				standing[s].Right++
			}
		}
		if !v.First.Cause {
			p := Pair{Expected: v.Cause}
			if len(v.Told) > 0 {
				p.Told = v.Told[0].Cause
			}
			pairs[p]++
		}
		if !v.First.Both {
			r.Misses = append(r.Misses, Miss{v, why(v)})
		}
	}
	r.Causes, r.Labels, r.Evidence = sorted(causes), sorted(labels), sorted(evidence)
	for p, n := range pairs {
		p.Cases = n
		r.Confusion = append(r.Confusion, p)
	}
	slices.SortFunc(r.Confusion, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(b.Cases, a.Cases), cmp.Compare(a.Expected, b.Expected), cmp.Compare(a.Told, b.Told))
	})
	r.Strange = []Strange{}
	for c, n := range strange {
		r.Strange = append(r.Strange, Strange{c, n})
	}
	slices.SortFunc(r.Strange, func(a, b Strange) int {
		return cmp.Or(cmp.Compare(b.Stories, a.Stories), cmp.Compare(a.Cause, b.Cause))
	})
	r.Calibration = []Calibrated{}
	for _, s := range []tapio.Standing{tapio.StandingCertain, tapio.StandingLikely, tapio.StandingPossible, tapio.StandingUnknown} {
		if c := standing[s]; c != nil {
			r.Calibration = append(r.Calibration, *c)
		}
	}
	if r.AffectedCases > 0 {
		affected /= float64(r.AffectedCases)
		r.MeanAffected = &affected
	}
	slices.Sort(millis)
	r.Time = Times{Median: quantile(millis, 0.5), P95: quantile(millis, 0.95), Max: quantile(millis, 1)}
	return r
}

// why says in a few words what was wrong with the first story.
func why(v Verdict) string {
	switch {
	case len(v.Told) == 0:
		return "nothing told"
	case v.Three.Both:
		return "told, but not first"
	case v.First.Cause:
		return "right cause, wrong object"
	case v.First.Object:
		return "right object, wrong cause"
	}
	return "wrong cause and object"
}

// group returns the group of the name; cases without a name make none.
func group(m map[string]*Group, name string) *Group {
	if m[name] == nil {
		m[name] = &Group{Name: name}
	}
	return m[name]
}

func sorted(m map[string]*Group) []Group {
	delete(m, "")
	out := []Group{}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, *m[name])
	}
	return out
}

// quantile returns the smallest number that so much of the sorted list does
// not exceed.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := int(q*float64(len(sorted)) + 0.999999)
	return sorted[max(1, min(i, len(sorted)))-1]
}
