package narrate

import "github.com/yairfalse/tapio"

var (
	checkout  = entity(tapio.KindDeployment, "checkout")
	pod1      = entity(tapio.KindPod, "checkout-7d9f8-x2x7k")
	service   = entity(tapio.KindService, "checkout")
	node      = entity(tapio.KindNode, "node-7")
	podNames  = []string{"shop/checkout-7d9f8-b9wqz", "shop/checkout-7d9f8-x2x7k"}
	web       = []string{"shop/checkout"}
	down      = tapio.Scope{PodsDown: 3, PodsWanted: 6, WorstDown: 4, Workloads: 1, ServicesDown: 1, WorstSvcDown: 1}
	some      = tapio.Scope{PodsDown: 1, PodsWanted: 3, WorstDown: 1, Workloads: 1}
	byKubectl = &tapio.Trigger{Manager: "kubectl-client-side-apply", Revision: "4", From: "3"}
)

func facts(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// rolled is a rollout before it began that made these changes.
func rolled(triples ...string) tapio.StoryEvent {
	return as(tapio.RoleTrigger, changed(ev(-40, tapio.WorkloadRollout, checkout,
		"reason", "Updated", tapio.AttrRevision, "4", tapio.AttrFromRevision, "3", tapio.AttrManager, "kubectl-client-side-apply"), triples...))
}

// back is the rollback that mends it.
func back(triples ...string) []tapio.StoryEvent {
	return []tapio.StoryEvent{
		as(tapio.RoleChange, changed(ev(540, tapio.WorkloadRollout, checkout, "reason", "RolledBack",
			tapio.AttrRevision, "5", tapio.AttrFromRevision, "4", tapio.AttrRollback, "true", tapio.AttrManager, "kubectl-rollout"), triples...)),
		as(tapio.RoleRecovery, ev(600, tapio.WorkloadAvailable, checkout)),
	}
}

var gone = as(tapio.RoleEffect, ev(5, tapio.EndpointsRemoved, service, tapio.AttrReadyBefore, "2", tapio.AttrReadyAfter, "0"))

func scenes() []scene {
	return []scene{{
		template: "container-oom-limit", subject: checkout, cause: in(checkout, "app"), trigger: byKubectl,
		facts:  facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactExitCode, "137", tapio.FactReason, "OOMKilled", tapio.FactLimit, "32Mi", tapio.FactFailures, "12"),
		events: []tapio.StoryEvent{rolled("containers[app].resources.limits.memory", "256Mi", "32Mi"), repeated(12, 240, ev(0, tapio.ContainerExit, in(pod1, "app"), "reason", "OOMKilled", tapio.AttrExitCode, "137", tapio.AttrMemoryLimit, "32Mi")), gone, repeated(9, 300, as(tapio.RoleSymptom, ev(12, tapio.KubernetesEvent, in(pod1, "app"), "reason", "BackOff", "message", "Back-off restarting failed container app in pod checkout-7d9f8-x2x7k_shop(…)")))},
		after:  back("containers[app].resources.limits.memory", "32Mi", "256Mi"),
		scope:  down, pods: podNames, services: web, with: func(s *tapio.Story) { s.BusinessService = "Payments" },
	}, {
		template: "container-app-error", subject: checkout, cause: in(checkout, "app"), trigger: byKubectl,
		facts:  facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactExitCode, "1", tapio.FactReason, "Error", tapio.FactLastError, `panic: DATABASE_URL: parse "postgress://db": unknown scheme`, tapio.FactFailures, "5"),
		events: []tapio.StoryEvent{rolled("containers[app].env[DATABASE_URL]", "postgres://db", "postgress://db", "containers[app].image", "registry.example.com/shop/checkout:1.8", "registry.example.com/shop/checkout:1.9"), repeated(5, 200, ev(0, tapio.ContainerExit, in(pod1, "app"), "reason", "Error", tapio.AttrExitCode, "1")), as(tapio.RoleSymptom, ev(2, tapio.ContainerLog, in(pod1, "app"), tapio.AttrLastError, `panic: DATABASE_URL: parse "postgress://db": unknown scheme`)), gone},
		after:  back("containers[app].image", "registry.example.com/shop/checkout:1.9", "registry.example.com/shop/checkout:1.8"),
		scope:  some, pods: podNames[:1], services: web,
	}, {
		template: "container-clean-exit-loop", subject: checkout, cause: in(checkout, "app"),
		facts:  facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactExitCode, "0", tapio.FactReason, "Completed", tapio.FactFailures, "4"),
		events: []tapio.StoryEvent{repeated(4, 300, ev(0, tapio.ContainerExit, in(pod1, "app"), "reason", "Completed", tapio.AttrExitCode, "0"))},
		scope:  some, pods: podNames[:1],
	}, {
		template: "container-liveness-failed", subject: checkout, cause: in(checkout, "app"),
		facts:  facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactReason, "Unhealthy", tapio.FactMessage, `Liveness probe failed: Get "http://10.2.0.7:8080/healthz": context deadline exceeded`, tapio.FactFailures, "3"),
		events: []tapio.StoryEvent{repeated(9, 250, ev(0, tapio.KubernetesEvent, in(pod1, "app"), "reason", "Unhealthy", "message", `Liveness probe failed: Get "http://10.2.0.7:8080/healthz": context deadline exceeded`)), repeated(3, 260, ev(20, tapio.KubernetesEvent, in(pod1, "app"), "reason", "Killing", "message", "Container app failed liveness probe, will be restarted")), repeated(3, 290, as(tapio.RoleSymptom, ev(50, tapio.ContainerExit, in(pod1, "app"), "reason", "Error", tapio.AttrExitCode, "137")))},
		scope:  some, pods: podNames[:1],
	}, {
		template: "container-readiness-failed", subject: checkout, cause: in(checkout, "app"), standing: tapio.StandingLikely, trigger: byKubectl,
		facts:  facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactReason, "Unhealthy", tapio.FactMessage, "Readiness probe failed: HTTP probe failed with statuscode: 503"),
		events: []tapio.StoryEvent{rolled("containers[app].readinessProbe.httpGet.path", "/ready", "/readyz"), repeated(20, 340, ev(0, tapio.KubernetesEvent, in(pod1, "app"), "reason", "Unhealthy", "message", "Readiness probe failed: HTTP probe failed with statuscode: 503")), as(tapio.RoleSymptom, ev(1, tapio.PodNotReady, pod1, "reason", "ContainersNotReady")), as(tapio.RoleEffect, ev(2, tapio.EndpointsRemoved, service, tapio.AttrReadyBefore, "3", tapio.AttrReadyAfter, "2"))},
		after:  back("containers[app].readinessProbe.httpGet.path", "/readyz", "/ready"),
		scope:  some, pods: podNames[:1], services: web,
	}, {
		template: "container-crash-signal", subject: checkout, cause: in(checkout, "app"),
		facts:  facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactExitCode, "139", tapio.FactSignal, "SIGSEGV", tapio.FactReason, "Error", tapio.FactFailures, "6"),
		events: []tapio.StoryEvent{repeated(6, 280, ev(0, tapio.ContainerExit, in(pod1, "app"), "reason", "Error", tapio.AttrExitCode, "139"))},
		scope:  some, pods: podNames[:1],
	}, {
		template: "container-command-not-found", subject: checkout, cause: in(checkout, "app"), trigger: byKubectl,
		facts:  facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactExitCode, "128", tapio.FactReason, "StartError", tapio.FactMessage, `failed to create containerd task: exec: "/bin/checkoutd": stat /bin/checkoutd: no such file or directory`, tapio.FactDetail, `exec: "/bin/checkoutd": stat /bin/checkoutd: no such file or directory`, tapio.FactFailures, "4"),
		events: []tapio.StoryEvent{rolled("containers[app].command", "/bin/checkout", "/bin/checkoutd"), repeated(4, 180, ev(0, tapio.ContainerExit, in(pod1, "app"), "reason", "StartError", tapio.AttrExitCode, "128", "message", `failed to create containerd task: exec: "/bin/checkoutd": stat /bin/checkoutd: no such file or directory`))},
		after:  back("containers[app].command", "/bin/checkoutd", "/bin/checkout"),
		scope:  some, pods: podNames[:1],
	}, {
		template: "config-configmap-missing", subject: checkout, cause: entity(tapio.KindConfigMap, "checkout-config"), trigger: &tapio.Trigger{Manager: "helm"},
		facts:  facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactObject, "checkout-config", tapio.FactReason, "CreateContainerConfigError", tapio.FactMessage, `configmap "checkout-config" not found`),
		events: []tapio.StoryEvent{as(tapio.RoleTrigger, ev(-95, tapio.ConfigChanged, entity(tapio.KindConfigMap, "checkout-config"), "reason", "Deleted", tapio.AttrManager, "helm")), ev(0, tapio.ContainerWaiting, in(pod1, "app"), "reason", "CreateContainerConfigError", "message", `configmap "checkout-config" not found`)},
		after:  []tapio.StoryEvent{as(tapio.RoleChange, ev(560, tapio.ConfigChanged, entity(tapio.KindConfigMap, "checkout-config"), "reason", "Created", tapio.AttrManager, "kubectl-create")), as(tapio.RoleRecovery, ev(600, tapio.WorkloadAvailable, checkout))},
		scope:  some, pods: podNames[:1],
	}, {
		template: "config-secret-missing", subject: checkout, cause: entity(tapio.KindSecret, "db-credentials"),
		facts:  facts(tapio.FactPodName, pod1.Name, tapio.FactObject, "db-credentials", tapio.FactReason, "FailedMount", tapio.FactMessage, `MountVolume.SetUp failed for volume "db" : secret "db-credentials" not found`),
		events: []tapio.StoryEvent{repeated(8, 300, ev(0, tapio.KubernetesEvent, pod1, "reason", "FailedMount", "message", `MountVolume.SetUp failed for volume "db" : secret "db-credentials" not found`))},
		scope:  tapio.Scope{PodsDown: 6, PodsWanted: 6, WorstDown: 6, Workloads: 1, ServicesDown: 1, WorstSvcDown: 1}, pods: podNames, services: web,
	}, {
		template: "config-key-missing", subject: checkout, cause: entity(tapio.KindConfigMap, "checkout-config"), trigger: byKubectl,
		facts:  facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactKind, "ConfigMap", tapio.FactObject, "checkout-config", tapio.FactKey, "LOG_LEVEL", tapio.FactReason, "CreateContainerConfigError", tapio.FactMessage, `couldn't find key LOG_LEVEL in ConfigMap shop/checkout-config`),
		events: []tapio.StoryEvent{rolled("containers[app].env[LOG_LEVEL]", "", `from {"configMapKeyRef":{"key":"LOG_LEVEL","name":"checkout-config"}}`), ev(0, tapio.ContainerWaiting, in(pod1, "app"), "reason", "CreateContainerConfigError", "message", `couldn't find key LOG_LEVEL in ConfigMap shop/checkout-config`)},
		after:  back("containers[app].env[LOG_LEVEL]", `from {"configMapKeyRef":{"key":"LOG_LEVEL","name":"checkout-config"}}`, ""),
		scope:  some, pods: podNames[:1],
	}, {
		template: "image-not-found", subject: checkout, cause: entity(tapio.KindImage, "registry.example.com/shop/checkout:1.9"), trigger: &tapio.Trigger{Manager: "argocd-controller", Revision: "4", From: "3"},
		facts:  facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactImage, "registry.example.com/shop/checkout:1.9", tapio.FactRegistry, "registry.example.com", tapio.FactReason, "ErrImagePull"),
		events: []tapio.StoryEvent{rolled("containers[app].image", "registry.example.com/shop/checkout:1.8", "registry.example.com/shop/checkout:1.9"), ev(0, tapio.ContainerWaiting, in(pod1, "app"), "reason", "ErrImagePull", tapio.AttrImage, "registry.example.com/shop/checkout:1.9", "message", `failed to resolve reference "registry.example.com/shop/checkout:1.9": registry.example.com/shop/checkout:1.9: not found`)},
		after:  back("containers[app].image", "registry.example.com/shop/checkout:1.9", "registry.example.com/shop/checkout:1.8"),
		scope:  tapio.Scope{PodsWanted: 3, Workloads: 1}, pods: podNames[:1],
	}, {
		template: "image-unauthorized", subject: checkout, cause: entity(tapio.KindImage, "registry.example.com/shop/checkout:1.9"),
		facts:  facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactImage, "registry.example.com/shop/checkout:1.9", tapio.FactRegistry, "registry.example.com", tapio.FactReason, "ErrImagePull", tapio.FactDetail, "401 Unauthorized"),
		events: []tapio.StoryEvent{ev(0, tapio.ContainerWaiting, in(pod1, "app"), "reason", "ErrImagePull", tapio.AttrImage, "registry.example.com/shop/checkout:1.9", "message", `failed to authorize: failed to fetch anonymous token: 401 Unauthorized`)},
		scope:  some, pods: podNames[:1],
	}, {
		template: "image-registry-unreachable", subject: checkout, cause: entity(tapio.KindRegistry, "registry.example.com"),
		facts:  facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactImage, "registry.example.com/shop/checkout:1.9", tapio.FactRegistry, "registry.example.com", tapio.FactReason, "ErrImagePull", tapio.FactDetail, "dial tcp 203.0.113.9:443: i/o timeout"),
		events: []tapio.StoryEvent{ev(0, tapio.ContainerWaiting, in(pod1, "app"), "reason", "ErrImagePull", tapio.AttrImage, "registry.example.com/shop/checkout:1.9", "message", `failed to do request: Head "https://registry.example.com/v2/shop/checkout/manifests/1.9": dial tcp 203.0.113.9:443: i/o timeout`), ev(20, tapio.ContainerWaiting, in(entity(tapio.KindPod, "cart-5c8d-k2j4h"), "app"), "reason", "ErrImagePull", tapio.AttrImage, "registry.example.com/shop/cart:2.1")},
		scope:  tapio.Scope{PodsDown: 4, PodsWanted: 11, WorstDown: 4, Workloads: 3}, pods: podNames,
	}, {
		template: "sched-insufficient-cpu", subject: checkout, trigger: &tapio.Trigger{Manager: "kubectl-scale"},
		facts:  facts(tapio.FactPodName, pod1.Name, tapio.FactMessage, "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.", tapio.FactSaid, "3 Insufficient cpu"),
		events: []tapio.StoryEvent{as(tapio.RoleTrigger, changed(ev(-2, tapio.WorkloadScaled, checkout, tapio.AttrManager, "kubectl-scale"), "replicas", "3", "6")), repeated(3, 120, ev(0, tapio.PodUnschedulable, pod1, "message", "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."))},
		after:  []tapio.StoryEvent{as(tapio.RoleChange, changed(ev(590, tapio.WorkloadScaled, checkout, tapio.AttrManager, "kubectl-scale"), "replicas", "6", "3"))},
		scope:  tapio.Scope{PodsDown: 3, PodsWanted: 6, WorstDown: 3, Workloads: 1}, pods: podNames,
	}, {
		template: "sched-insufficient-memory", subject: checkout, trigger: byKubectl,
		facts:  facts(tapio.FactPodName, pod1.Name, tapio.FactSaid, "1 node(s) were unschedulable, 2 Insufficient memory"),
		events: []tapio.StoryEvent{rolled("containers[app].resources.requests.memory", "1Gi", "100Gi"), ev(0, tapio.PodUnschedulable, pod1, "message", "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient memory.")},
		after:  back("containers[app].resources.requests.memory", "100Gi", "1Gi"),
		scope:  some, pods: podNames[:1],
	}, {
		template: "sched-taint", subject: checkout,
		facts:  facts(tapio.FactPodName, pod1.Name, tapio.FactTaint, "dedicated: batch", tapio.FactSaid, "1 node(s) had untolerated taint(s)"),
		events: []tapio.StoryEvent{ev(0, tapio.PodUnschedulable, pod1, "message", "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: batch}.")},
		scope:  some, pods: podNames[:1],
	}, {
		template: "sched-node-affinity", subject: checkout,
		facts:  facts(tapio.FactPodName, pod1.Name, tapio.FactSaid, "1 node(s) didn't match Pod's node affinity/selector"),
		events: []tapio.StoryEvent{ev(0, tapio.PodUnschedulable, pod1, "message", "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")},
		scope:  some, pods: podNames[:1],
	}, {
		template: "admission-quota", subject: checkout, cause: entity(tapio.KindResourceQuota, "team-quota"),
		facts:  facts(tapio.FactObject, "team-quota", tapio.FactResource, "requests.cpu", tapio.FactReason, "FailedCreate", tapio.FactDetail, "requested: requests.cpu=2, used: requests.cpu=9, limited: requests.cpu=10"),
		events: []tapio.StoryEvent{ev(0, tapio.ReplicaFailure, checkout, "reason", "FailedCreate", "message", `pods "checkout-7d9f8-" is forbidden: exceeded quota: team-quota, requested: requests.cpu=2, used: requests.cpu=9, limited: requests.cpu=10`)},
		scope:  tapio.Scope{PodsDown: 2, PodsWanted: 6, WorstDown: 2, Workloads: 1},
	}, {
		template: "node-not-ready", subject: node,
		facts:  facts(tapio.FactNodeName, "node-7", tapio.FactReason, "NodeStatusUnknown", tapio.FactMessage, "Kubelet stopped posting node status."),
		events: []tapio.StoryEvent{ev(0, tapio.NodeNotReady, node, "reason", "NodeStatusUnknown", tapio.AttrStatus, "Unknown", "message", "Kubelet stopped posting node status."), as(tapio.RoleEffect, repeated(2, 2, ev(1, tapio.PodNotReady, pod1))), gone},
		after:  []tapio.StoryEvent{as(tapio.RoleRecovery, ev(600, tapio.NodeReady, node))},
		scope:  tapio.Scope{PodsDown: 12, PodsWanted: 12, WorstDown: 12, Workloads: 4, ServicesDown: 1, WorstSvcDown: 1}, pods: podNames, services: web,
	}, {
		template: "k8s-resource-starvation-memory", subject: node,
		facts:  facts(tapio.FactNodeName, "node-7", tapio.FactCondition, "MemoryPressure", tapio.FactEvicted, "3", tapio.FactResource, "memory"),
		events: []tapio.StoryEvent{ev(0, tapio.NodePressure, node, "reason", "MemoryPressure"), repeated(3, 60, as(tapio.RoleEffect, ev(8, tapio.PodEvicted, pod1, tapio.AttrResource, "memory", "message", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 72Mi.")))},
		after:  []tapio.StoryEvent{as(tapio.RoleRecovery, ev(590, tapio.NodePressureEnded, node, "reason", "MemoryPressure"))},
		scope:  tapio.Scope{PodsDown: 3, PodsWanted: 14, WorstDown: 3, Workloads: 2}, pods: podNames,
	}, {
		template: "k8s-resource-starvation-disk", subject: node,
		facts:  facts(tapio.FactNodeName, "node-7", tapio.FactCondition, "DiskPressure", tapio.FactEvicted, "1", tapio.FactResource, "ephemeral-storage"),
		events: []tapio.StoryEvent{ev(0, tapio.NodePressure, node, "reason", "DiskPressure"), as(tapio.RoleEffect, ev(8, tapio.PodEvicted, pod1, tapio.AttrResource, "ephemeral-storage"))},
		scope:  tapio.Scope{PodsDown: 1, PodsWanted: 14, WorstDown: 1, Workloads: 1}, pods: podNames[:1],
	}, {
		template: "k8s-resource-starvation-pid", subject: node,
		facts:  facts(tapio.FactNodeName, "node-7", tapio.FactCondition, "PIDPressure"),
		events: []tapio.StoryEvent{ev(0, tapio.NodePressure, node, "reason", "PIDPressure")},
		scope:  tapio.Scope{PodsWanted: 14},
	}, {
		template: "rollout-stuck", subject: checkout, standing: tapio.StandingLikely, trigger: byKubectl,
		facts:  facts(tapio.FactReason, "ProgressDeadlineExceeded", tapio.FactMessage, `ReplicaSet "checkout-7d9f8" has timed out progressing.`),
		events: []tapio.StoryEvent{rolled("containers[app].image", "checkout:1.8", "checkout:1.9"), ev(0, tapio.WorkloadStuck, checkout, "reason", "ProgressDeadlineExceeded", "message", `ReplicaSet "checkout-7d9f8" has timed out progressing.`)},
		after:  back("containers[app].image", "checkout:1.9", "checkout:1.8"),
		scope:  some, pods: podNames[:1],
	}, {
		template: "k8s-service-disruption", subject: service, standing: tapio.StandingLikely,
		facts:  facts(tapio.FactServiceName, "checkout", tapio.FactSelector, "app=checkout", tapio.FactLost, "2"),
		events: []tapio.StoryEvent{repeated(2, 1, as(tapio.RoleSymptom, ev(-1, tapio.PodNotReady, pod1))), as(tapio.RoleCause, gone)},
		after:  []tapio.StoryEvent{as(tapio.RoleRecovery, ev(600, tapio.EndpointsAdded, service, tapio.AttrReadyBefore, "0", tapio.AttrReadyAfter, "2"))},
		scope:  tapio.Scope{PodsDown: 2, PodsWanted: 2, WorstDown: 2, ServicesDown: 1, WorstSvcDown: 1}, pods: podNames, services: web,
		with: func(s *tapio.Story) { s.BusinessService = "Payments" },
	}, {
		template: "service-selector-mismatch", subject: service, trigger: &tapio.Trigger{Manager: "kubectl-edit"},
		facts:  facts(tapio.FactServiceName, "checkout", tapio.FactSelector, "app=chekcout", tapio.FactLost, "2"),
		events: []tapio.StoryEvent{as(tapio.RoleTrigger, changed(ev(-1, tapio.ServiceChanged, service, tapio.AttrManager, "kubectl-edit"), "selector[app]", "checkout", "chekcout")), ev(0, tapio.ServiceSelectsNone, service, tapio.AttrSelector, "app=chekcout", tapio.AttrNearest, "checkout"), gone},
		after:  []tapio.StoryEvent{as(tapio.RoleChange, changed(ev(590, tapio.ServiceChanged, service, tapio.AttrManager, "kubectl-set"), "selector[app]", "chekcout", "checkout"))},
		scope:  tapio.Scope{ServicesDown: 1, WorstSvcDown: 1}, services: web,
	}, {
		template: "service-port-mismatch", subject: service, standing: tapio.StandingLikely, trigger: &tapio.Trigger{Manager: "kubectl-edit"},
		facts:    facts(tapio.FactServiceName, "checkout", tapio.FactDetail, "port 80 sends to port 8081 of checkout, which no container declares (container app declares 8080)"),
		events:   []tapio.StoryEvent{as(tapio.RoleTrigger, changed(ev(0, tapio.ServiceChanged, service, tapio.AttrManager, "kubectl-edit"), "ports[80].targetPort", "8080", "8081")), ev(0, tapio.ServicePortMismatch, service, "reason", "UndeclaredPort", "message", "port 80 sends to port 8081 of checkout, which no container declares (container app declares 8080)", tapio.AttrNearest, "8080")},
		after:    []tapio.StoryEvent{as(tapio.RoleChange, changed(ev(590, tapio.ServiceChanged, service, tapio.AttrManager, "kubectl-edit"), "ports[80].targetPort", "8081", "8080"))},
		services: web,
	}, {
		template: "service-protocol-mismatch", subject: service, standing: tapio.StandingLikely,
		facts:    facts(tapio.FactServiceName, "checkout", tapio.FactDetail, "port 80 is UDP, and container app of checkout listens on port 8080 with TCP"),
		events:   []tapio.StoryEvent{ev(0, tapio.ServiceProtocolMismatch, service, "reason", "UDP", "message", "port 80 is UDP, and container app of checkout listens on port 8080 with TCP", tapio.AttrNearest, "TCP")},
		services: web,
	}, {
		template: "k8s-pod-crashloop", subject: checkout,
		facts:   facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactExitCode, "137", tapio.FactReason, "Error", tapio.FactFailures, "7"),
		events:  []tapio.StoryEvent{repeated(7, 300, ev(0, tapio.ContainerExit, in(pod1, "app"), "reason", "Error", tapio.AttrExitCode, "137")), repeated(6, 310, ev(10, tapio.KubernetesEvent, in(pod1, "app"), "reason", "BackOff", "message", "Back-off restarting failed container app in pod checkout-7d9f8-x2x7k_shop(…)"))},
		scope:   some,
		checked: []string{"killed at its memory limit (no container status says OOMKilled)", "an error exit of the application (no container ended with exit 1 to 125)", "killed for a failing liveness probe (the kubelet reported none)"},
		pods:    podNames[:1],
	}, {
		template: "pod-not-starting", subject: checkout,
		facts:  facts(tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactReason, "CreateContainerError", tapio.FactMessage, "failed to reserve container name"),
		events: []tapio.StoryEvent{ev(0, tapio.ContainerWaiting, in(pod1, "app"), "reason", "CreateContainerError", "message", "failed to reserve container name")},
		scope:  some, pods: podNames[:1], checked: []string{"a missing ConfigMap (no container reported one)"},
	}, {
		template: "pod-pending", subject: checkout,
		facts:  facts(tapio.FactPodName, pod1.Name, tapio.FactMessage, "0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules."),
		events: []tapio.StoryEvent{ev(0, tapio.PodUnschedulable, pod1, "message", "0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules.")},
		scope:  some, pods: podNames[:1], checked: []string{"too little CPU on the nodes (the scheduler did not say so)", "too little memory on the nodes (the scheduler did not say so)"},
	}, {
		template: "pod-not-ready", subject: checkout,
		facts:  facts(tapio.FactPodName, pod1.Name, tapio.FactReason, "ReadinessGatesNotReady"),
		events: []tapio.StoryEvent{ev(0, tapio.PodNotReady, pod1, "reason", "ReadinessGatesNotReady")},
		scope:  some, pods: podNames[:1],
	}, {
		template: "pod-stuck", subject: checkout,
		facts: facts(tapio.FactContainer, "wait-for-db", tapio.FactPodName, pod1.Name, tapio.FactReason, "InitRunning",
			"detail", "init container wait-for-db runs and has not finished, and the others wait for it"),
		events: []tapio.StoryEvent{ev(0, tapio.PodStuck, in(pod1, "wait-for-db"), "reason", "InitRunning", "message", "init container wait-for-db runs and has not finished, and the others wait for it")},
		scope:  some, pods: podNames[:1],
	}, {
		template: "pods-not-created", subject: checkout,
		facts:  facts(tapio.FactReason, "FailedCreate", tapio.FactMessage, `admission webhook "policy.example.com" denied the request: no owner label`),
		events: []tapio.StoryEvent{ev(0, tapio.ReplicaFailure, checkout, "reason", "FailedCreate", "message", `admission webhook "policy.example.com" denied the request: no owner label`)},
		scope:  some, checked: []string{"a used-up quota (no controller reported one)"},
	}, {
		template: "job-failed", subject: entity(tapio.KindJob, "nightly-export"),
		facts:  facts(tapio.FactPodName, "nightly-export-4kd8s", tapio.FactContainer, "export", tapio.FactReason, "BackoffLimitExceeded", tapio.FactFailures, "3", tapio.FactExitCode, "2", tapio.FactLastError, "error: bucket exports does not exist"),
		events: []tapio.StoryEvent{as(tapio.RoleSymptom, repeated(3, 0, ev(-60, tapio.ContainerExit, in(entity(tapio.KindPod, "nightly-export-4kd8s"), "export"), "reason", "Error", tapio.AttrExitCode, "2"))), ev(0, tapio.JobFailed, entity(tapio.KindJob, "nightly-export"), "reason", "BackoffLimitExceeded", "message", "Job has reached the specified backoff limit")},
		scope:  tapio.Scope{Workloads: 1, PodsDown: 1, PodsWanted: 1, WorstDown: 1}, pods: []string{"shop/nightly-export-4kd8s"},
	}}
}
