package narrate

import "github.com/yairfalse/tapio"

const (
	task  = `failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: `
	photo = "registry.example.com/shop/checkout:1.9"
)

// exitScene is a container of checkout that ends again and again.
func exitScene(template, reason, code, message string, pairs ...string) scene {
	f := facts(append(pairs, tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactExitCode, code, tapio.FactReason, reason, tapio.FactMessage, message, tapio.FactFailures, "4")...)
	e := ev(0, tapio.ContainerExit, in(pod1, "app"), "reason", reason, tapio.AttrExitCode, code, "message", message)
	return scene{template: template, subject: checkout, cause: in(checkout, "app"), facts: f, events: []tapio.StoryEvent{repeated(4, 200, e)}, scope: some, pods: podNames[:1]}
}

// noteScene is a Kubernetes Event about a pod of checkout, or its container.
func noteScene(template string, about tapio.Entity, reason, message string, pairs ...string) scene {
	f := facts(append([]string{tapio.FactContainer, about.Container, tapio.FactPodName, pod1.Name, tapio.FactReason, reason, tapio.FactMessage, message, tapio.FactFailures, "6"}, pairs...)...)
	sc := scene{template: template, subject: checkout, facts: f, scope: some, pods: podNames[:1]}
	sc.events = []tapio.StoryEvent{repeated(6, 300, ev(0, tapio.KubernetesEvent, about, "reason", reason, "message", message))}
	if about.Container != "" {
		sc.cause = in(checkout, about.Container)
	}
	return sc
}

// pullScene is an image of checkout that cannot be pulled.
func pullScene(template, reason, message string, cause tapio.Entity, pairs ...string) scene {
	f := facts(append([]string{tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactImage, photo, tapio.FactRegistry, "registry.example.com", tapio.FactReason, reason, tapio.FactMessage, message}, pairs...)...)
	e := ev(0, tapio.ContainerWaiting, in(pod1, "app"), "reason", reason, tapio.AttrImage, photo, "message", message)
	return scene{template: template, subject: checkout, cause: cause, facts: f, events: []tapio.StoryEvent{e}, scope: some, pods: podNames[:1]}
}

func startScenes() []scene {
	outside := exitScene("container-killed-externally", "Error", "137", "")
	outside.standing = tapio.StandingPossible
	registry := entity(tapio.KindRegistry, "registry.example.com")
	image := entity(tapio.KindImage, photo)
	resolve := `failed to pull and unpack image "` + photo + `": failed to resolve reference "` + photo + `": `
	return []scene{
		exitScene("container-permission-denied", "StartError", "128", task+`exec: "/app/run": permission denied`, tapio.FactDetail, `exec: "/app/run": permission denied`),
		exitScene("container-exec-format", "StartError", "128", task+`exec /app/run: exec format error`, tapio.FactDetail, "exec /app/run: exec format error"),
		exitScene("container-create-failed", "StartError", "128", task+`error during container init: error mounting "/c" to rootfs at "/etc": not a directory`, tapio.FactDetail, `error mounting "/c" to rootfs at "/etc": not a directory`),
		outside,
		noteScene("container-startup-failed", in(pod1, "app"), "Killing", "Container app failed startup probe, will be restarted", tapio.FactDetail, "HTTP probe failed with statuscode: 503"),
		noteScene("container-hook-failed", in(pod1, "app"), "FailedPostStartHook", "PostStartHook failed"),
		noteScene("sandbox-create-failed", pod1, "FailedCreatePodSandBox", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "0a": plugin type="calico" failed (add): unauthorized`, tapio.FactDetail, `plugin type="calico" failed (add): unauthorized`),
		noteScene("pod-ephemeral-storage", pod1, "Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi.", tapio.FactDetail, "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."),
		noteScene("pod-preempted", pod1, "Preempted", "Preempted by batch/import-7 on node node-7", tapio.FactObject, "batch/import-7", tapio.FactNodeName, "node-7"),
		pullScene("config-run-as-non-root", "CreateContainerConfigError", `container has runAsNonRoot and image will run as root (pod: "checkout-7d9f8-x2x7k_shop(0a)", container: app)`, in(checkout, "app"), tapio.FactDetail, "image will run as root"),
		pullScene("image-rate-limited", "ErrImagePull", resolve+"429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit", registry, tapio.FactDetail, "429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit"),
		pullScene("image-registry-tls", "ErrImagePull", resolve+"tls: failed to verify certificate: x509: certificate signed by unknown authority", registry, tapio.FactDetail, "tls: failed to verify certificate: x509: certificate signed by unknown authority"),
		pullScene("image-platform-mismatch", "ErrImagePull", `failed to pull and unpack image "`+photo+`": no match for platform in manifest sha256:0a: not found`, image, tapio.FactDetail, "no match for platform in manifest sha256:0a"),
		pullScene("image-invalid-name", "InvalidImageName", `Failed to apply default image tag "shop/Checkout:1.9": couldn't parse image name "shop/Checkout:1.9": invalid reference format: repository name must be lowercase`, in(checkout, "app"), tapio.FactImage, "shop/Checkout:1.9", tapio.FactDetail, "invalid reference format: repository name must be lowercase"),
		pullScene("image-never-pull", "ErrImageNeverPull", `Container image "`+photo+`" is not present with pull policy of Never`, in(checkout, "app")),
		misspelt(image),
		slowPull(image),
		exitScene("container-limit-tiny", "StartError", "128", task+"signal: killed", tapio.FactLimit, "5Mi"),
		noteScene("container-oom-child", in(pod1, "app"), "OOMKilling", "Memory cgroup out of memory: Killed process 4711 (worker)"),
		pullScene("config-pull-secret-missing", "ErrImagePull", resolve+"pull access denied, repository does not exist or may require authorization", entity(tapio.KindSecret, "registry-login"), tapio.FactObject, "registry-login"),
	}
}

// slowPull is an image that a node still pulls, and that comes at last.
func slowPull(image tapio.Entity) scene {
	began := ev(0, tapio.ImagePullSlow, in(pod1, "app"), "reason", "Pulling", tapio.AttrImage, image.Name, tapio.AttrNode, "worker-3")
	came := as(tapio.RoleRecovery, ev(200, tapio.ImagePulled, in(pod1, "app"), tapio.AttrImage, image.Name, tapio.AttrNode, "worker-3", tapio.AttrPullTime, "7m20s"))
	seen := as(tapio.RoleRecovery, ev(199, tapio.CRIImagePulled, image, tapio.AttrImage, image.Name, tapio.AttrNode, "worker-3"))
	seen.Source = tapio.SourceCRI
	return scene{
		template: "image-pull-slow", subject: checkout, cause: image, scope: some, pods: podNames[:1],
		facts:  facts(tapio.FactPodName, pod1.Name, tapio.FactContainer, "app", tapio.FactImage, image.Name, tapio.FactNodeName, "worker-3"),
		events: []tapio.StoryEvent{began, seen, came},
	}
}

// misspelt is an image whose name differs by a letter from one in use.
func misspelt(image tapio.Entity) scene {
	sc := pullScene("image-misspelt", "ErrImagePull", "403 Forbidden", image)
	sc.standing = tapio.StandingLikely
	near := ev(0, tapio.ImageNearMatch, in(pod1, "app"), "reason", "Refused", tapio.AttrImage, photo, tapio.AttrNearest, "registry.example.com/shop/check-out:1.8")
	sc.events = append([]tapio.StoryEvent{near}, as(tapio.RoleSymptom, sc.events[0]))
	return sc
}

// nodeScene is a node that reports something bad.
func nodeScene(template string, typ tapio.EventType, reason, message string, pairs ...string) scene {
	return scene{
		template: template, subject: node, facts: facts(tapio.FactNodeName, node.Name, tapio.FactReason, reason, tapio.FactMessage, message, tapio.FactCondition, reason),
		events: []tapio.StoryEvent{ev(0, typ, node, append([]string{"reason", reason, "message", message}, pairs...)...), as(tapio.RoleEffect, ev(3, tapio.PodNotReady, pod1))},
		scope:  tapio.Scope{PodsDown: 2, PodsWanted: 9, WorstDown: 2, Workloads: 2}, pods: podNames,
	}
}

func nodeScenes() []scene {
	return []scene{
		nodeScene("node-runtime-down", tapio.NodeNotReady, "KubeletNotReady", "container runtime is down", tapio.AttrStatus, "False"),
		nodeScene("node-runtime-unreachable", tapio.KubernetesEvent, "ContainerGCFailed", "rpc error: code = Unavailable desc = connection error: dial unix /run/containerd/containerd.sock: connect: connection refused"),
		nodeScene("node-network-not-ready", tapio.NodeNotReady, "KubeletNotReady", "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized", tapio.AttrStatus, "False"),
		nodeScene("node-rebooted", tapio.KubernetesEvent, "Rebooted", "Node node-7 has been rebooted, boot id: 0a1b2c"),
		nodeScene("node-kubelet-down", tapio.NodeKubeletDown, "", "the kubelet does not answer: Get \"http://127.0.0.1:10248/healthz\": dial tcp 127.0.0.1:10248: connect: connection refused"),
		nodeScene("node-gone", tapio.NodeNotReady, "NodeStatusUnknown", "Kubelet stopped posting node status.", tapio.AttrStatus, "Unknown"),
		nodeScene("node-shutdown", tapio.NodeNotReady, "KubeletNotReady", "node is shutting down", tapio.AttrStatus, "False"),
		nodeScene("node-readonly-filesystem", tapio.NodeProblem, "ReadonlyFilesystem", "EXT4-fs error (device sda1): Remounting filesystem read-only"),
		nodeScene("node-kernel-fault", tapio.NodeProblem, "KernelDeadlock", "task umount:21568 blocked for more than 120 seconds."),
		nodeScene("node-kernel-fault-events", tapio.KubernetesEvent, "TaskHung", "INFO: task kworker/u8:2 blocked for more than 120 seconds."),
	}
}

// componentScene is a workload that waits for a part of the control plane.
func componentScene(template string, typ tapio.EventType, cause tapio.Entity, reason, message string) scene {
	about := checkout
	if typ == tapio.PodUnseen || typ == tapio.SchedulingLatency {
		about = pod1
	}
	f := facts(tapio.FactReason, reason, tapio.FactMessage, message)
	if cause.Kind == tapio.KindNode {
		f[tapio.FactNodeName] = cause.Name
	}
	return scene{
		template: template, subject: checkout, cause: cause, standing: tapio.StandingLikely, facts: f,
		events: []tapio.StoryEvent{ev(0, typ, about, "reason", reason, "message", message)},
		scope:  some, pods: podNames[:1],
	}
}

func controlScenes() []scene {
	master := entity(tapio.KindNode, "master-1")
	component := func(name string) tapio.Entity { return tapio.Entity{Kind: tapio.KindComponent, Name: name} }
	refused := func(template, name, message string) scene {
		sc := componentScene(template, tapio.ReplicaFailure, component(name), "FailedCreate", message)
		sc.standing = ""
		return sc
	}
	down := refused("apiserver-down", "kube-apiserver", "the server is currently unable to handle the request")
	down.standing = tapio.StandingLikely
	return []scene{
		componentScene("scheduler-down", tapio.PodUnseen, master, "Down", "no word of kube-scheduler about the pod in 40 s; its lease was last renewed 130 s ago"),
		componentScene("scheduler-slow", tapio.SchedulingLatency, component("kube-scheduler"), "Slow", "no word of kube-scheduler about the pod in 80 s; its lease was last renewed 4 s ago"),
		componentScene("controller-manager-down", tapio.WorkloadUnattended, master, "Down", "generation 4, observed 3; its lease was last renewed 90 s ago"),
		componentScene("controller-manager-lag", tapio.ControllerLag, component("kube-controller-manager"), "Lag", "generation 4, observed 3; its lease was last renewed 2s ago"),
		refused("etcd-no-space", "etcd", "etcdserver: mvcc: database space exceeded"),
		refused("etcd-no-leader", "etcd", "etcdserver: no leader"),
		refused("etcd-leader-changed", "etcd", "etcdserver: leader changed"),
		refused("etcd-slow", "etcd", "etcdserver: request timed out"),
		refused("etcd-corrupt", "etcd", "etcdserver: corrupt cluster"),
		refused("apiserver-overloaded", "kube-apiserver", "the server has received too many requests and has asked us to try again later"),
		refused("apiserver-throttled", "kube-apiserver", "client rate limiter Wait returned an error: context deadline exceeded"),
		refused("apiserver-slow", "kube-apiserver", "Timeout: request did not complete within requested timeout"),
		down,
	}
}

// partScenes are stories of the parts of the control plane themselves.
func partScenes() []scene {
	part := func(template, name string, typ tapio.EventType, reason, message string, pairs ...string) scene {
		c := tapio.Entity{Kind: tapio.KindComponent, Name: name}
		f := facts(append([]string{tapio.FactReason, reason, tapio.FactMessage, message, tapio.FactWorkload, name}, pairs...)...)
		sc := scene{
			template: template, subject: c, cause: c, facts: f, standing: tapio.StandingLikely,
			events: []tapio.StoryEvent{ev(0, typ, c, "reason", reason, "message", message)},
		}
		for i := range sc.events {
			sc.events[i].Source = tapio.SourceControlPlane
		}
		return sc
	}
	of := func(sc scene, standing tapio.Standing, cause string) scene {
		sc.standing = standing
		if cause != "" {
			sc.cause.Name = cause
		}
		return sc
	}
	const sure = tapio.StandingCertain
	held := part("scheduler-lease-expired", tapio.ComponentScheduler, tapio.SchedulerUnhealthy, "LeaseExpired", "its lease has not been renewed for 38 s, and nobody has taken it over")
	held.scope, held.pods = tapio.Scope{PodsDown: 2, PodsWanted: 5, WorstDown: 2, Workloads: 2}, podNames[:1]
	held.events = append(held.events, as(tapio.RoleEffect, ev(40, tapio.PodUnseen, pod1, "message", "no word of kube-scheduler about the pod in 30 s")))
	back := part("apiserver-unreachable", tapio.ComponentAPIServer, tapio.APIServerUnhealthy, "Unreachable", "connect: connection refused; 25 of Tapio's 25 watches have no contact")
	hook := part("webhook-calls-failing", tapio.ComponentWebhooks, tapio.WebhookFailing, "CallFailed", "12 calls of webhook policy.example.com failed within 60 s", tapio.FactKind, "ValidatingWebhookConfiguration", tapio.FactObject, "policy", tapio.FactDetail, "policy.example.com")
	hook.cause, hook.standing = tapio.Entity{Kind: tapio.KindValidatingWebhook, Name: "policy"}, sure
	return []scene{
		of(part("etcd-leaderless", tapio.ComponentEtcd, tapio.EtcdUnhealthy, "NoLeader", "1 of 3 members answers, and no leader is known"), sure, ""),
		part("etcd-unreachable", tapio.ComponentEtcd, tapio.EtcdUnhealthy, "Unreachable", "none of 3 members answers: connection refused"),
		of(part("etcd-no-writes", tapio.ComponentEtcd, tapio.EtcdUnhealthy, "NoWrites", "none of 4 leases in kube-system has been renewed for 35 s, the API server's own included, and they can be read"), tapio.StandingPossible, ""),
		of(part("etcd-member-down", tapio.ComponentEtcd, tapio.EtcdUnhealthy, "MemberDown", "it does not answer: connection refused", tapio.FactObject, "etcd-2"), tapio.StandingLikely, "etcd-2"),
		of(part("etcd-latency", tapio.ComponentEtcd, tapio.EtcdHighLatency, "Slow", "a consistent read takes 420 ms through each of 3 members", tapio.FactDetail, "etcd-1: a fsync of its log takes 310 ms on average"), sure, ""),
		of(part("etcd-member-slow", tapio.ComponentEtcd, tapio.EtcdHighLatency, "MemberSlow", "it takes 380 ms to answer", tapio.FactObject, "etcd-3"), tapio.StandingLikely, "etcd-3"),
		of(part("etcd-alarm-no-space", tapio.ComponentEtcd, tapio.EtcdStorageFull, "NoSpace", "alarm NOSPACE; its database is 2.0 GiB of 2.0 GiB, 1.9 GiB of it in use", tapio.FactObject, "etcd-1"), sure, ""),
		of(part("etcd-nearly-full", tapio.ComponentEtcd, tapio.EtcdStorageFull, "NearlyFull", "its database is 1.9 GiB of 2.0 GiB, 300 MiB of it in use", tapio.FactObject, "etcd-1"), tapio.StandingLikely, "etcd-1"),
		of(part("etcd-alarm-corrupt", tapio.ComponentEtcd, tapio.EtcdUnhealthy, "Corrupt", "alarm CORRUPT", tapio.FactObject, "etcd-2"), sure, "etcd-2"),
		of(part("etcd-unstable", tapio.ComponentEtcd, tapio.EtcdLeaderChanged, "Unstable", "its leader changed 4 times in 10 min"), sure, ""),
		back,
		of(part("apiserver-not-ready", tapio.ComponentAPIServer, tapio.APIServerUnhealthy, "NotReady", "failing checks: poststarthook/rbac/bootstrap-roles", tapio.FactDetail, "poststarthook/rbac/bootstrap-roles"), sure, ""),
		of(part("apiserver-without-etcd", tapio.ComponentAPIServer, tapio.APIServerUnhealthy, "NotReady", "failing checks: etcd, etcd-readiness", tapio.FactDetail, "etcd, etcd-readiness"), tapio.StandingLikely, tapio.ComponentEtcd),
		of(part("apiserver-rejecting", tapio.ComponentAPIServer, tapio.APIServerOverload, "Rejecting", "it refuses 42 requests a second (429), most of priority level workload-low", tapio.FactDetail, "workload-low"), sure, ""),
		of(part("apiserver-latency", tapio.ComponentAPIServer, tapio.APIServerOverload, "Slow", "a cheap read took 2210 ms", tapio.FactDetail, "calls of webhook policy.example.com take 1.8 s"), sure, ""),
		of(part("apiserver-refuses-tapio", tapio.ComponentAPIServer, tapio.APIServerThrottling, "Throttled", "the server has received too many requests and has asked us to try again later"), sure, ""),
		held,
		part("controller-manager-lease-expired", tapio.ComponentControllerManager, tapio.ControllerUnhealthy, "LeaseExpired", "its lease has not been renewed for 41 s, and nobody has taken it over"),
		part("scheduler-slow-attempts", tapio.ComponentScheduler, tapio.SchedulerUnhealthy, "Slow", "an attempt to place a pod takes 1.8 s on average, and 240 wait to be placed"),
		part("controller-manager-behind", tapio.ComponentControllerManager, tapio.ControllerUnhealthy, "Slow", "work waits 24 s on average in its queue replicaset, which holds 310"),
		part("scheduler-unstable", tapio.ComponentScheduler, tapio.SchedulerUnhealthy, "Unstable", "its leader changed 5 times in 10 min"),
		part("controller-manager-unstable", tapio.ComponentControllerManager, tapio.ControllerUnhealthy, "Unstable", "its leader changed 5 times in 10 min"),
		of(part("control-plane-certificate-expiring", tapio.ComponentCertificates, tapio.CertificateExpiring, "Expiring", "it ends at 2026-11-05T10:00:00Z", tapio.FactObject, "the API server"), sure, ""),
		hook,
	}
}

func certScenes() []scene {
	const expired = "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-02T14:02:00Z is after 2026-11-01T00:00:00Z"
	api := tapio.Entity{Kind: tapio.KindAPIService, Name: "v1beta1.metrics.k8s.io"}
	hook := tapio.Entity{Kind: tapio.KindValidatingWebhook, Name: "policy"}
	part := func(template, message string) scene {
		return scene{template: template, subject: api, facts: facts(tapio.FactReason, "FailedDiscoveryCheck", tapio.FactMessage, message),
			events: []tapio.StoryEvent{ev(0, tapio.APIServiceUnavailable, api, "reason", "FailedDiscoveryCheck", "message", message)}}
	}
	refusedPods := scene{template: "cert-expired-webhook", subject: checkout, cause: hook, scope: some,
		facts:  facts(tapio.FactKind, string(hook.Kind), tapio.FactObject, hook.Name, tapio.FactDetail, expired),
		events: []tapio.StoryEvent{ev(0, tapio.PodsRefused, checkout, "reason", "WebhookDown", "message", `failed calling webhook "policy.example.com": `+expired)}}
	return []scene{
		refusedPods,
		pullScene("cert-expired-registry", "ErrImagePull", expired, entity(tapio.KindRegistry, "registry.example.com"), tapio.FactDetail, expired),
		part("cert-expired-apiservice", "failing or missing response from https://10.96.3.4:443/apis: "+expired),
		part("apiservice-unavailable", "failing or missing response from https://10.96.3.4:443/apis: connect: connection refused"),
		nodeScene("cert-expired-node", tapio.NodeNotReady, "KubeletNotReady", expired, tapio.AttrStatus, "False"),
	}
}
