package topology

import (
	"strings"

	"github.com/yairfalse/tapio"
)

// annotation keys, by DESIGN: ours first, then the published ones.
var annotations = struct{ channel, team, service, runbook []string }{
	channel: []string{"tapio.dev/channel", "a8r.io/chat"},
	team:    []string{"tapio.dev/team", "a8r.io/owner"},
	service: []string{"tapio.dev/service"},
	runbook: []string{"tapio.dev/runbook", "a8r.io/runbook"},
}

// Owner returns whom a story about the entity is told to, and whether it is to
// be ignored. The nearest annotation wins: pod template, workload, namespace.
func (g *Graph) Owner(e tapio.Entity) (owner tapio.Owner, ignored bool) {
	var layers []map[string]string
	if s := g.State(e); s != nil {
		if s.Workload != nil {
			layers = append(layers, s.Workload.TemplateAnnotations)
		}
		layers = append(layers, s.Annotations)
	}
	if e.Namespace != "" {
		if ns := g.State(tapio.Entity{Kind: tapio.KindNamespace, Name: e.Namespace}); ns != nil {
			layers = append(layers, ns.Annotations)
		}
	}
	find := func(keys ...string) string {
		for _, l := range layers {
			for _, k := range keys {
				if v := strings.TrimSpace(l[k]); v != "" {
					return v
				}
			}
		}
		return ""
	}
	owner = tapio.Owner{
		Channel: find(annotations.channel...),
		Team:    find(annotations.team...),
		Service: find(annotations.service...),
		Runbook: find(annotations.runbook...),
	}
	return owner, find("tapio.dev/ignore") == "true"
}
