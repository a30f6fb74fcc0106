package engine

import (
	"slices"

	"github.com/yairfalse/tapio"
)

// subjects names what the event's entity leads to.
func (e *Engine) subjects(ev *tapio.Event, sort string) []tapio.Entity {
	entity := ev.Entity.Object()
	isPod := entity.Kind == tapio.KindPod
	switch sort {
	case "workload":
		switch {
		case isPod || entity.Kind.IsWorkload():
			return []tapio.Entity{e.graph.Workload(entity)}
		case entity.Kind == tapio.KindPersistentVolumeClaim:
			var out []tapio.Entity
			for _, p := range e.graph.Users(entity) {
				if w := e.graph.Workload(p.Entity); !slices.Contains(out, w) {
					out = append(out, w)
				}
			}
			return out
		case entity.Kind == tapio.KindAPIService:
			return []tapio.Entity{entity}
		case entity.Kind == tapio.KindHPA:
			if s := e.graph.State(entity); s != nil && s.Scaler != nil {
				return []tapio.Entity{s.Scaler.Target}
			}
		}
	case "node":
		if entity.Kind == tapio.KindNode {
			return []tapio.Entity{entity}
		}
		if n := e.graph.Node(entity); isPod && !n.IsZero() {
			return []tapio.Entity{n}
		}
		if n := ev.Attrs[tapio.AttrNode]; isPod && n != "" {
			return []tapio.Entity{{Kind: tapio.KindNode, Name: n}}
		}
	case "component":
		if entity.Kind == tapio.KindComponent {
			return []tapio.Entity{entity}
		}
	case "service":
		if entity.Kind == tapio.KindService {
			return []tapio.Entity{entity}
		}
		if isPod || entity.Kind.IsWorkload() {
			return e.graph.ServicesOf(entity)
		}
	}
	return nil
}
