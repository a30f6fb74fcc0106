package topology

import (
	"maps"
	"slices"

	"github.com/yairfalse/tapio"
)

// ReplicaSets returns how many pods the ReplicaSets of a Deployment ask for
// together, and whether ReplicaSets of its namespace are known at all.
func (g *Graph) ReplicaSets(deployment tapio.Entity) (known bool, wanted int) {
	for child := range g.children[deployment] {
		if s := g.State(child); s != nil && s.Workload != nil && g.Exists(child) {
			known = true
			wanted += int(s.Workload.Replicas.Desired)
		}
	}
	return known || g.sets[deployment.Namespace] > 0, wanted
}

// ControlPlane returns the nodes that are labelled as the control plane's,
// sorted.
func (g *Graph) ControlPlane() []tapio.Entity {
	var out []tapio.Entity
	for node := range g.masters {
		if g.Exists(node) {
			out = append(out, node)
		}
	}
	slices.SortFunc(out, tapio.Entity.Compare)
	return out
}

// isMaster reports whether the node carries a label of the control plane, as
// kubeadm and others set them.
func isMaster(s *tapio.State) bool {
	if s.Node == nil {
		return false
	}
	for _, l := range []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master", "node-role.kubernetes.io/controlplane"} {
		if v, ok := s.Labels[l]; ok && v != "false" {
			return true
		}
	}
	return false
}

// Images returns the images that containers run from now, each once, sorted.
func (g *Graph) Images() []string {
	seen := map[string]bool{}
	for _, pods := range g.pods {
		for pod := range pods {
			if !g.Exists(pod) {
				continue
			}
			for _, c := range g.State(pod).Pod.Containers {
				if c.State == "running" {
					seen[c.Image] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
