package dump

import (
	"path/filepath"
	"strings"
)

// part is a kind of which a dump may hold nothing, because nobody asked for it
// or because there was none: only a list of it, also an empty one, tells.
type part struct {
	kinds []string // any of them will do
	files []string // base names of the files that kubectl writes them to
	hides string   // what cannot be told without it
}

// parts lists what a whole dump holds.
func parts() []part {
	return []part{
		{[]string{"Pod"}, []string{"pods"}, "nearly every story begins with a pod"},
		{[]string{"Event"}, []string{"events"}, "failed pulls, probes, mounts and scheduling lack the words of who saw them"},
		{[]string{"Node"}, []string{"nodes"}, "sick, full and cordoned nodes"},
		{[]string{"Deployment"}, []string{"deployments"}, "how many pods are wanted, and rollouts that are stuck"},
		{[]string{"ReplicaSet"}, []string{"replicasets"}, "which Deployment a pod is of, and what a rollout changed"},
		{[]string{"Service"}, []string{"services"}, "selectors and ports that lead nowhere"},
		{[]string{"EndpointSlice", "Endpoints"}, []string{"endpointslices", "endpoints"}, "Services that nobody answers for"},
		{[]string{"PersistentVolumeClaim"}, []string{"persistentvolumeclaims"}, "why a claim is not bound"},
		{[]string{"PersistentVolume"}, []string{"persistentvolumes"}, "which volume nearly fits a claim"},
		{[]string{"ResourceQuota"}, []string{"resourcequotas"}, "quotas that are used up"},
		{[]string{"ConfigMap"}, []string{"configmaps"}, "settings that name what is not there"},
		{[]string{"NetworkPolicy"}, []string{"networkpolicies"}, "policies that keep pods from talking"},
		{[]string{"Lease"}, []string{"leases"}, "a scheduler, controller manager or kubelet that stopped"},
	}
}

// mark notes that the dump was asked for a kind.
func (r *reader) mark(kind string) { r.asked[kind] = true }

// markFile notes what the name of a file says that it was asked for: a list
// without items names no kind.
func (r *reader) markFile(name string) {
	base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	for _, p := range parts() {
		for i, file := range p.files {
			if base == file {
				r.mark(p.kinds[i])
			}
		}
	}
}

// missing says, a clause each, what the dump does not hold and what that hides.
func (r *reader) missing() []string {
	var out []string
	for _, p := range parts() {
		there := false
		for _, k := range p.kinds {
			there = there || r.asked[k]
		}
		if !there {
			out = append(out, strings.Join(p.files, " or ")+" ("+p.hides+")")
		}
	}
	if len(r.logs) == 0 {
		out = append(out, "logs (what the application itself says)")
	}
	return out
}
