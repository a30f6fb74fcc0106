package narrate

import "github.com/yairfalse/tapio"

// kernelScenes are the stories that a node's kernel tells together with the
// API.
func kernelScenes() []scene {
	saw := func(seconds int, typ tapio.EventType, message string, pairs ...string) tapio.StoryEvent {
		e := ev(seconds, typ, in(pod1, "app"), append([]string{"message", message}, pairs...)...)
		e.Source = tapio.SourceEBPF
		return e
	}
	called := func(seconds int, typ tapio.EventType, message string) tapio.StoryEvent {
		e := ev(seconds, typ, service, "message", message)
		e.Source = tapio.SourceEBPF
		return e
	}
	killed := func(code, reason string) tapio.StoryEvent {
		return repeated(3, 120, as(tapio.RoleSymptom, ev(1, tapio.ContainerExit, in(pod1, "app"), "reason", reason, tapio.AttrExitCode, code)))
	}
	base := []string{tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactFailures, "3"}
	with := func(pairs ...string) map[string]string { return facts(append(pairs, base...)...) }
	return []scene{{
		template: "node-out-of-memory", subject: checkout, cause: node,
		facts: with(tapio.FactNodeName, "node-7", tapio.FactDetail, "process 4711 (java)", tapio.FactLimit, "2Gi", tapio.FactExitCode, "137"),
		events: []tapio.StoryEvent{
			saw(0, tapio.OOMOfNode, "process 4711 (java) was killed because the node had no memory left"), killed("137", "OOMKilled"), gone,
		},
		scope: down, pods: podNames, services: web,
	}, {
		template: "container-oom-child-seen", subject: checkout, cause: in(checkout, "app"),
		facts: with(tapio.FactDetail, "process 4711 (worker)", tapio.FactLimit, "256Mi"),
		events: []tapio.StoryEvent{
			repeated(3, 120, saw(0, tapio.OOMOfChild, "process 4711 (worker) was killed at the memory limit of its container, 256Mi")),
		},
		pods: podNames[:1],
	}, {
		template: "container-killed-by", subject: checkout, cause: in(checkout, "app"), standing: tapio.StandingLikely,
		facts: with(tapio.FactDetail, "process 77 (pkill) of the node", tapio.FactExitCode, "137", tapio.FactSignal, "SIGKILL"),
		events: []tapio.StoryEvent{
			repeated(3, 120, saw(0, tapio.KilledBy, "process 4711 (app) was ended by SIGKILL, sent by the node's process 77 (pkill)")), killed("137", "Error"),
		},
		scope: some, pods: podNames[:1],
	}, {
		template: "service-port-refused", subject: service, standing: tapio.StandingLikely,
		facts: facts(tapio.FactServiceName, "checkout", tapio.FactDetail, "nothing listens on port 8081 of its pods, to which its port 80 leads, or not on their address"),
		events: []tapio.StoryEvent{
			repeated(9, 60, called(0, tapio.ConnectionFailed, "cart-1: connections to 10.96.0.7:80 were refused")),
			called(40, tapio.PortRefused, "calls of cart are refused though all its pods are ready"),
		},
		services: web,
	}}
}
