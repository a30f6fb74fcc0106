package engine

import (
	"time"

	"github.com/yairfalse/tapio"
)

// maxAsked bounds the logs, and the ConfigMaps, that one incident asks for:
// reads go through the API server, and what three pods of a workload say the
// fourth says too.
const maxAsked = 6

// wordsPatience is how long a story waits for the first log asked for. Where the
// collector can read none it says so, and nothing is waited for.
const wordsPatience = 15 * time.Second

// askForLogs wants the last lines of the containers that an event shows to be
// in trouble: of the run that ended, or of the one that runs and doesn't serve.
func (e *Engine) askForLogs(inc *incident, ev *tapio.Event) {
	switch ev.Type {
	case tapio.ContainerExit:
		if ev.Reason == "Error" || ev.Reason == "Completed" || ev.Reason == "OOMKilled" {
			// By the time somebody looks, the next run may have begun.
			e.askForLog(inc, ev.Attrs[tapio.AttrContainerID], tapio.Want{Kind: tapio.WantLog, Entity: ev.Entity, Previous: true, Run: ev.Attrs[tapio.AttrContainerID]})
		}
	case tapio.KubernetesEvent:
		if ev.Reason == "Unhealthy" && ev.Entity.Container != "" {
			e.askForPresent(inc, ev.Entity)
		}
	case tapio.PodStuck:
		e.askForPresent(inc, ev.Entity)
	case tapio.PodNotReady:
		e.askForPod(inc, ev.Entity)
	case tapio.EndpointsRemoved:
		for _, p := range e.graph.Selected(ev.Entity) {
			if !p.Pod.Ready {
				e.askForPod(inc, p.Entity)
			}
		}
	}
}

// unheard reports whether the incident is held back because what its containers
// say of themselves is still being read: where all that is known is that they
// fail, those words often make it part of another story, and a thread that was
// begun can only point there.
func (inc *incident) unheard(at time.Time) bool {
	if inc.answered || inc.wondered.IsZero() || at.Sub(inc.wondered) >= wordsPatience {
		return false
	}
	t := inc.chosen.Template
	return t.IsSymptom() || t.Welcomes(tapio.AppError)
}

// askForPod wants the log of the containers of a pod that run and aren't ready.
func (e *Engine) askForPod(inc *incident, pod tapio.Entity) {
	s := e.graph.State(pod)
	if s == nil || s.Pod == nil || s.Pod.Terminating {
		return
	}
	for _, c := range s.Pod.Containers {
		if c.State != "running" || c.Ready || c.Init {
			continue
		}
		entity := pod
		entity.Container = c.Name
		e.askForPresent(inc, entity)
	}
}

// askForPresent wants the log of the run that goes on.
func (e *Engine) askForPresent(inc *incident, container tapio.Entity) {
	e.askForLog(inc, "now "+container.String(), tapio.Want{Kind: tapio.WantLog, Entity: container})
}

// askForLog wants one log once; id tells the runs of a container apart.
func (e *Engine) askForLog(inc *incident, id string, want tapio.Want) {
	if inc.asked[id] || len(inc.asked) >= maxAsked || !e.graph.Exists(want.Entity) {
		return
	}
	inc.asked[id] = true
	if inc.wondered.IsZero() {
		inc.wondered = e.now
	}
	e.wants = append(e.wants, want)
	e.askForConfig(inc, want.Entity)
}

// askForConfig wants the values of the ConfigMaps that a container takes its
// settings from, once for each pod: who mends one makes new pods.
func (e *Engine) askForConfig(inc *incident, container tapio.Entity) {
	for _, s := range e.settings(container) {
		if s.from.Kind != tapio.KindConfigMap {
			continue
		}
		from := s.from
		from.Namespace = container.Namespace
		if id := "values of " + from.Name + " for " + container.Name; !inc.configs[id] && len(inc.configs) < maxAsked && e.graph.Exists(from) {
			inc.configs[id] = true
			e.wants = append(e.wants, tapio.Want{Kind: tapio.WantConfig, Entity: from})
		}
	}
}
