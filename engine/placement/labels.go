package placement

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/yairfalse/tapio"
)

// admits reports whether a node has the labels that a pod asks for.
func admits(p *tapio.Placement, node *tapio.State) bool {
	for k, v := range p.NodeSelector {
		if node.Labels[k] != v {
			return false
		}
	}
	return len(p.NodeTerms) == 0 || matchesTerms(p.NodeTerms, node)
}

func matchesTerms(terms []tapio.NodeTerm, node *tapio.State) bool {
	return slices.ContainsFunc(terms, func(t tapio.NodeTerm) bool {
		if len(t.Labels)+len(t.Fields) == 0 {
			return false // an empty term matches nothing
		}
		for i := range t.Labels {
			if !satisfies(&t.Labels[i], node.Labels) {
				return false
			}
		}
		for i := range t.Fields {
			if !satisfies(&t.Fields[i], map[string]string{"metadata.name": node.Entity.Name}) {
				return false
			}
		}
		return true
	})
}

// meantFor reports whether the pod could be meant for the node: each pod of a
// DaemonSet names the one that it is for.
func meantFor(p *tapio.Placement, node string) bool {
	return len(p.NodeTerms) == 0 || slices.ContainsFunc(p.NodeTerms, func(t tapio.NodeTerm) bool {
		return !slices.ContainsFunc(t.Fields, func(r tapio.Requirement) bool {
			return !satisfies(&r, map[string]string{"metadata.name": node})
		})
	})
}

// usableOn reports whether a volume can be used on the node.
func usableOn(v *tapio.VolumeState, node *tapio.State) bool {
	if v == nil {
		return true
	}
	for key, zone := range v.Zones {
		// A zone may be a list: "a__b".
		if have, ok := node.Labels[key]; ok && !slices.Contains(strings.Split(zone, "__"), have) {
			return false
		}
	}
	return len(v.Nodes) == 0 || matchesTerms(v.Nodes, node)
}

// Matches reports whether the selector takes in the labels. Nil takes in
// nothing, an empty selector everything.
func Matches(s *tapio.LabelSelector, labels map[string]string) bool {
	if s == nil {
		return false
	}
	for k, v := range s.Labels {
		if labels[k] != v {
			return false
		}
	}
	for i := range s.Expressions {
		if !satisfies(&s.Expressions[i], labels) {
			return false
		}
	}
	return true
}

func satisfies(r *tapio.Requirement, labels map[string]string) bool {
	v, ok := labels[r.Key]
	switch r.Operator {
	case "In":
		return ok && slices.Contains(r.Values, v)
	case "NotIn":
		return !ok || !slices.Contains(r.Values, v)
	case "Exists":
		return ok
	case "DoesNotExist":
		return !ok
	case "Gt", "Lt":
		if !ok || len(r.Values) != 1 {
			return false
		}
		have, err1 := strconv.ParseInt(v, 10, 64)
		want, err2 := strconv.ParseInt(r.Values[0], 10, 64)
		return err1 == nil && err2 == nil && (r.Operator == "Gt" && have > want || r.Operator == "Lt" && have < want)
	}
	return false
}

func selectorText(s *tapio.LabelSelector) string {
	if s == nil {
		return "no label"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
		parts = append(parts, k+"="+s.Labels[k])
	}
	for i := range s.Expressions {
		parts = append(parts, requirementText(&s.Expressions[i]))
	}
	if len(parts) == 0 {
		return "any label"
	}
	return strings.Join(parts, ", ")
}

// requirementText writes a requirement as people do: "disk in (ssd, nvme)".
func requirementText(r *tapio.Requirement) string {
	switch r.Operator {
	case "In":
		if len(r.Values) == 1 {
			return r.Key + "=" + r.Values[0]
		}
		return r.Key + " in (" + strings.Join(r.Values, ", ") + ")"
	case "NotIn":
		return r.Key + " not in (" + strings.Join(r.Values, ", ") + ")"
	case "Exists":
		return "the label " + r.Key
	case "DoesNotExist":
		return "no label " + r.Key
	case "Gt":
		return r.Key + " > " + strings.Join(r.Values, "")
	case "Lt":
		return r.Key + " < " + strings.Join(r.Values, "")
	}
	return r.Key
}
