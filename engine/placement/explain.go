package placement

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/yairfalse/tapio"
)

// explain adds to the verdict what was compared.
func (j *judge) explain(v *Verdict) {
	switch v.Obstacle {
	case CPU, Memory, Resource:
		v.Detail = j.shortage(v)
	case Cordoned:
		v.Detail = and(v.Nodes)
	case Taint:
		v.Detail = fmt.Sprintf("%s on %s", v.Taint, and(v.Nodes))
	case NodeAffinity:
		v.Detail = j.mismatch()
	case PodAffinity:
		v.Detail = j.beside(v)
	case HostPort:
		if f := j.failure(v); !f.guessed {
			v.Detail = fmt.Sprintf("port %s of the node is taken by %s", f.what, f.detail)
		}
	case Spread:
		if f := j.failure(v); f.detail == "missing" {
			v.Detail = fmt.Sprintf("%s lacks the label %s", and(v.Nodes), f.what)
		} else if len(j.pod.Pod.Placement.Spread) > 0 {
			r := j.pod.Pod.Placement.Spread[0]
			v.Detail = fmt.Sprintf("over %s the counts may differ by %d at most", r.TopologyKey, r.MaxSkew)
		}
	case VolumeZone:
		if f := j.failure(v); f.what != "" {
			v.Object = f.what
			v.Detail = j.home(f.what)
		}
	}
}

// failure returns what the first node of the verdict failed.
func (j *judge) failure(v *Verdict) failure {
	for _, c := range j.usable {
		if len(v.Nodes) > 0 && c.State.Entity.Name == v.Nodes[0] {
			return c.fails[v.Obstacle]
		}
	}
	return failure{}
}

// shortage compares what the pod requests with what the nodes have.
func (j *judge) shortage(v *Verdict) string {
	name := v.Resource
	asks := j.pod.Pod.Extra[name]
	if v.Obstacle != Resource {
		asks = of(j.pod.Pod.Requests, name)
	}
	if asks == "" {
		return ""
	}
	unit := " of " + name
	if v.Obstacle == CPU {
		unit = " CPU"
	}
	never := len(j.usable) > 0
	var largest, roomiest *candidate
	for _, c := range j.usable {
		f, ok := c.fails[v.Obstacle]
		never = never && ok && f.never
		if largest == nil || more(allocatable(c, name), allocatable(largest, name)) {
			largest = c
		}
		if ok && !f.guessed && (roomiest == nil || more(f.detail, roomiest.fails[v.Obstacle].detail)) {
			roomiest = c
		}
	}
	switch {
	case never && allocatable(largest, name) == "":
		return fmt.Sprintf("one pod asks for %s%s, which no node has", asks, unit)
	case never:
		return fmt.Sprintf("one pod asks for %s%s, larger than any node: the largest, %s, has %s", asks, unit, largest.State.Entity.Name, plain(allocatable(largest, name)))
	case roomiest != nil && len(v.Nodes) > 0:
		left := plain(roomiest.fails[v.Obstacle].detail)
		if left == "nothing" {
			return fmt.Sprintf("one pod asks for %s%s, and no node has any left", asks, unit)
		}
		return fmt.Sprintf("one pod asks for %s%s, and node %s, which has most left, has %s", asks, unit, roomiest.State.Entity.Name, left)
	}
	return fmt.Sprintf("one pod asks for %s%s", asks, unit)
}

// plain writes a negative rest as nothing, and bytes as people read them.
func plain(s string) string {
	q, ok := amount(s)
	switch {
	case strings.HasPrefix(s, "-"), s == "0":
		return "nothing"
	case ok && strings.HasSuffix(s, "i") && q.Value() >= 1<<30:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(q.Value())/(1<<30)), ".0") + "Gi"
	case ok && strings.HasSuffix(s, "Ki"):
		return fmt.Sprintf("%dMi", q.Value()>>20)
	}
	return s
}

func allocatable(c *candidate, name string) string {
	if name == "cpu" || name == "memory" {
		return of(c.State.Node.Allocatable, name)
	}
	return c.State.Node.Extra[name]
}

func more(a, b string) bool {
	qa, okA := amount(a)
	qb, okB := amount(b)
	return okA && (!okB || qa.Cmp(qb) > 0)
}

// mismatch says which label the pod asks for that no node has, and what comes
// nearest.
func (j *judge) mismatch() string {
	var asked []string
	place := j.pod.Pod.Placement
	var missing *tapio.Requirement
	look := func(r tapio.Requirement) {
		asked = append(asked, requirementText(&r))
		met := slices.ContainsFunc(j.usable, func(c *candidate) bool { return satisfies(&r, c.State.Labels) })
		if !met && missing == nil {
			missing = &r
		}
	}
	for _, k := range slices.Sorted(maps.Keys(place.NodeSelector)) {
		look(tapio.Requirement{Key: k, Operator: "In", Values: []string{place.NodeSelector[k]}})
	}
	for i := range place.NodeTerms {
		for _, r := range place.NodeTerms[i].Labels {
			look(r)
		}
	}
	if len(asked) == 0 {
		return ""
	}
	text := "the pod asks for " + and(asked)
	if missing == nil {
		if len(asked) > 1 {
			text += ", and no node has all of them"
		}
		return text
	}
	if near := j.nearest(missing); near != "" {
		return text + "; " + near
	}
	return text + "; no node has the label " + missing.Key
}

// nearest says which label of a node comes nearest to the one that is asked
// for: the same key with another value, or a key that is written alike.
func (j *judge) nearest(r *tapio.Requirement) string {
	values := map[string][]string{}
	for _, c := range j.usable {
		if v, ok := c.State.Labels[r.Key]; ok {
			values[v] = append(values[v], c.State.Entity.Name)
		}
	}
	if len(values) > 0 {
		var parts []string
		for _, v := range slices.Sorted(maps.Keys(values)) {
			parts = append(parts, fmt.Sprintf("%s=%s on %s", r.Key, v, and(values[v])))
		}
		return "there is " + and(parts)
	}
	best, least := "", 1+len(r.Key)/3
	for _, c := range j.usable {
		for _, k := range slices.Sorted(maps.Keys(c.State.Labels)) {
			if d := levenshtein.ComputeDistance(k, r.Key); d < least {
				best, least = fmt.Sprintf("%s has %s=%s", c.State.Entity.Name, k, c.State.Labels[k]), d
			}
		}
	}
	return best
}

// beside says which pods keep this one away, or are missed.
func (j *judge) beside(v *Verdict) string {
	switch f := j.failure(v); f.what {
	case "near":
		return "it must run near pods with " + f.detail + ", and there is no such pod where it may run"
	case "away":
		return "it must not run near pods with " + f.detail + ", and each node that could take it has one"
	case "kept away":
		return f.detail + " keeps pods like it away"
	}
	return ""
}

// home says where a volume can be used.
func (j *judge) home(volume string) string {
	for _, v := range j.volumes {
		if v.Entity.Name != volume {
			continue
		}
		var parts []string
		for i := range v.Volume.Nodes {
			for _, r := range v.Volume.Nodes[i].Labels {
				parts = append(parts, requirementText(&r))
			}
		}
		for _, k := range slices.Sorted(maps.Keys(v.Volume.Zones)) {
			parts = append(parts, k+"="+v.Volume.Zones[k])
		}
		if len(parts) > 0 {
			return fmt.Sprintf("volume %s can be used only on nodes with %s", volume, and(slices.Compact(parts)))
		}
	}
	return ""
}
