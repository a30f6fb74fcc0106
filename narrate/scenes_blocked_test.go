package narrate

import "github.com/yairfalse/tapio"

// blockedScene is a pod of checkout that gets no further for a reason that the
// engine found.
func blockedScene(template, reason string, cause tapio.Entity, detail, said string, pairs ...string) scene {
	f := facts(append([]string{tapio.FactPodName, pod1.Name, tapio.FactReason, reason, tapio.FactDetail, detail, tapio.FactSaid, said, tapio.FactKind, string(cause.Kind), tapio.FactObject, cause.Name}, pairs...)...)
	e := ev(0, tapio.PodBlocked, pod1, "reason", reason, tapio.AttrDetail, detail, "message", said, tapio.AttrKind, string(cause.Kind), tapio.AttrObject, cause.Name)
	sc := scene{template: template, subject: checkout, facts: f, events: []tapio.StoryEvent{repeated(2, 30, e)}, scope: some, pods: podNames[:1]}
	if !cause.IsZero() {
		sc.cause = cause
	}
	return sc
}

// refusedScene is checkout whose pods the API server refuses.
func refusedScene(template string, what tapio.EventType, reason string, cause tapio.Entity, message string, pairs ...string) scene {
	f := facts(append([]string{tapio.FactReason, reason, tapio.FactMessage, message, tapio.FactKind, string(cause.Kind), tapio.FactObject, cause.Name}, pairs...)...)
	e := ev(0, what, checkout, "reason", reason, "message", message, tapio.AttrKind, string(cause.Kind), tapio.AttrObject, cause.Name)
	return scene{template: template, subject: checkout, cause: cause, facts: f, events: []tapio.StoryEvent{repeated(4, 60, e)}, scope: some}
}

func blockedScenes() []scene {
	claim := entity(tapio.KindPersistentVolumeClaim, "checkout-data")
	none := tapio.Entity{}
	hook := tapio.Entity{Kind: tapio.KindValidatingWebhook, Name: "policy.example.com"}
	job, cron := entity(tapio.KindJob, "nightly-export"), entity(tapio.KindCronJob, "nightly")
	hpa := entity(tapio.KindHPA, "checkout")
	ended := func(template, reason, message string) scene {
		return scene{template: template, subject: job, facts: facts(tapio.FactReason, reason, tapio.FactMessage, message, tapio.FactPodName, "nightly-export-4kd8s"),
			events: []tapio.StoryEvent{ev(0, tapio.JobFailed, job, "reason", reason, "message", message)}, scope: tapio.Scope{Workloads: 1, PodsDown: 1, PodsWanted: 1, WorstDown: 1}}
	}
	scheduled := func(template, reason, message string) scene {
		return scene{template: template, subject: cron, facts: facts(tapio.FactReason, reason, tapio.FactMessage, message),
			events: []tapio.StoryEvent{ev(0, tapio.KubernetesEvent, cron, "reason", reason, "message", message)}, scope: tapio.Scope{Workloads: 1}}
	}
	scaler := func(template, reason, message string) scene {
		return scene{template: template, subject: checkout, cause: hpa, facts: facts(tapio.FactReason, reason, tapio.FactMessage, message, tapio.FactKind, string(hpa.Kind), tapio.FactObject, hpa.Name, tapio.FactDetail, "4 of at most 4 pods"),
			events: []tapio.StoryEvent{ev(0, tapio.ScalerBlocked, hpa, "reason", reason, "message", message, tapio.AttrDetail, "4 of at most 4 pods")}, scope: some}
	}
	drain := blockedScene("pdb-blocks-drain", "BudgetBlocks", entity(tapio.KindPDB, "checkout"), "it wants 3 healthy pods of 3, and 3 are healthy", "", tapio.FactNodeName, "node-7")
	drain.events = []tapio.StoryEvent{ev(0, tapio.DrainBlocked, pod1, "reason", "BudgetBlocks", tapio.AttrKind, "PodDisruptionBudget", tapio.AttrObject, "checkout", tapio.AttrNode, "node-7", tapio.AttrDetail, "it wants 3 healthy pods of 3, and 3 are healthy")}
	drain.scope = tapio.Scope{Workloads: 1, PodsWanted: 3}
	return []scene{
		blockedScene("sched-insufficient-resource", "InsufficientResource", none, "one pod asks for 1 of nvidia.com/gpu, and no node has any left", "3 Insufficient nvidia.com/gpu", tapio.FactResource, "nvidia.com/gpu"),
		blockedScene("sched-too-many-pods", "TooManyPods", none, "", "3 Too many pods"),
		blockedScene("sched-cordoned", "Cordoned", node, "node-7", "1 node(s) were unschedulable, 2 Insufficient cpu", tapio.FactNodeName, "node-7"),
		blockedScene("sched-pod-affinity", "PodAffinity", none, "it must not run near pods with app=checkout, and each node that could take it has one", "3 node(s) didn't match pod anti-affinity rules"),
		blockedScene("sched-topology-spread", "TopologySpread", none, "over topology.kubernetes.io/zone the counts may differ by 1 at most", "3 node(s) didn't match pod topology spread constraints"),
		blockedScene("sched-host-port", "HostPort", none, "port 8080/TCP of the node is taken by shop/web-1", "3 node(s) didn't have free ports for the requested pod ports"),
		blockedScene("sched-volume-unbound", "Unbound", claim, "", "pod has unbound immediate PersistentVolumeClaims"),
		blockedScene("sched-volume-zone", "VolumeZone", claim, "volume pv-1 can be used only on nodes with topology.kubernetes.io/zone=eu-1a", "3 node(s) had volume node affinity conflict"),
		blockedScene("sched-pvc-missing", "ClaimMissing", claim, "there is a claim checkout-date", `persistentvolumeclaim "checkout-data" not found`),
		blockedScene("sched-gated", "Gated", pod1, "it waits for example.com/quota", ""),
		blockedScene("storage-no-class", "NoClass", claim, "there is no class fats; there is fast", ""),
		blockedScene("storage-provisioning-failed", "Provisioning", claim, "failed to provision volume with StorageClass: quota exceeded", ""),
		blockedScene("storage-no-volume", "NoVolume", claim, "it asks for 10Gi ReadWriteOnce without a class, and no such volume is free", ""),
		blockedScene("storage-claim-mismatch", "Mismatch", claim, "volume pv-1 comes nearest, but it holds 1Gi, asked is 10Gi", ""),
		blockedScene("storage-volume-taken", "VolumeTaken", claim, "volume pv-1 is Released: it is still kept for the deleted claim old", ""),
		blockedScene("storage-claim-lost", "ClaimLost", claim, "its volume pv-1 is gone", ""),
		blockedScene("storage-multi-attach", "MultiAttach", claim, "Volume is already used by pod(s) checkout-7d9f8-b9wqz", ""),
		blockedScene("storage-attach-failed", "AttachFailed", claim, "disk is attached to another instance", ""),
		blockedScene("storage-mount-failed", "MountFailed", none, "mount.nfs: Connection timed out", ""),
		blockedScene("admission-quota-storage", "StorageQuota", entity(tapio.KindResourceQuota, "storage"), "it leaves 1Gi of storage, and the free volume pv-1 has 2Gi", ""),
		refusedScene("admission-quota-unspecified", tapio.KubernetesEvent, "FailedCreate", entity(tapio.KindResourceQuota, "team-quota"), `pods "x" is forbidden: failed quota: team-quota: must specify limits.cpu for: app`, tapio.FactResource, "limits.cpu", tapio.FactDetail, "must specify limits.cpu for: app"),
		refusedScene("admission-limit-range", tapio.PodsRefused, "LimitRange", entity(tapio.KindLimitRange, "sizes"), `pods "x" is forbidden: maximum cpu usage per Container is 1, but limit is 2`, tapio.FactResource, "cpu", tapio.FactDetail, "maximum cpu usage per Container is 1, but limit is 2"),
		refusedScene("admission-pod-security", tapio.ReplicaFailure, "FailedCreate", tapio.Entity{Kind: tapio.KindNamespace, Name: "shop"}, `pods "x" is forbidden: violates PodSecurity "restricted:latest": privileged`, tapio.FactKey, "restricted", tapio.FactDetail, "privileged (container app must not set privileged)"),
		refusedScene("admission-webhook-denied", tapio.PodsRefused, "WebhookDenied", hook, `admission webhook "policy.example.com" denied the request: no owner label`, tapio.FactDetail, "no owner label"),
		refusedScene("admission-webhook-down", tapio.PodsRefused, "WebhookDown", hook, `failed calling webhook "policy.example.com": connection refused`, tapio.FactDetail, "connection refused"),
		refusedScene("admission-service-account-missing", tapio.KubernetesEvent, "FailedCreate", entity(tapio.KindServiceAccount, "runner"), `error looking up service account shop/runner: serviceaccount "runner" not found`),
		ended("job-backoff-limit", "BackoffLimitExceeded", "Job has reached the specified backoff limit"),
		ended("job-deadline-exceeded", "DeadlineExceeded", "Job was active longer than specified deadline"),
		{template: "pod-deadline-exceeded", subject: entity(tapio.KindPod, "import"), facts: facts(tapio.FactPodName, "import", tapio.FactReason, "DeadlineExceeded"),
			events: []tapio.StoryEvent{ev(0, tapio.PodFailed, entity(tapio.KindPod, "import"), "reason", "DeadlineExceeded", "message", "Pod was active on the node longer than the specified deadline")}, scope: some},
		scheduled("cronjob-missed", "MissSchedule", "Missed scheduled time to start a job: Fri, 02 Jan 2026 14:00:00 +0000"),
		scheduled("cronjob-invalid", "UnknownTimeZone", `invalid timeZone: "Mars/Base": unknown time zone Mars/Base`),
		scaler("hpa-maxed", "TooManyReplicas", "the desired replica count is more than the maximum replica count"),
		scaler("hpa-no-metrics", "FailedGetResourceMetric", "the HPA was unable to compute the replica count: failed to get cpu utilization"),
		drain,
	}
}
