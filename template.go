package tapio

import "fmt"

// Cause is a code that says why: an API, listed with its signals in the
// documentation of failures.
type Cause string

// The causes that the shipped templates can find.
const (
	CauseUnknown Cause = "unknown"

	CauseAppError        Cause = "container.app_error"
	CauseCleanExitLoop   Cause = "container.clean_exit_loop"
	CauseOOMLimit        Cause = "container.oom_limit"
	CauseLivenessFailed  Cause = "container.liveness_failed"
	CauseReadinessFailed Cause = "container.readiness_failed"
	CauseCrashSignal     Cause = "container.crash_signal"
	CauseCommandNotFound Cause = "container.command_not_found"

	CauseStartupFailed    Cause = "container.startup_failed"
	CauseOOMChild         Cause = "container.oom_child"
	CauseKilledExternally Cause = "container.killed_externally"
	CausePermissionDenied Cause = "container.permission_denied"
	CauseExecFormat       Cause = "container.exec_format"
	CauseHookFailed       Cause = "container.hook_failed"
	CauseCreateFailed     Cause = "container.create_failed"
	CauseSandboxFailed    Cause = "sandbox.create_failed"

	CauseConfigMapMissing Cause = "config.configmap_missing"
	CauseSecretMissing    Cause = "config.secret_missing"
	CauseKeyMissing       Cause = "config.key_missing"
	CauseRunAsNonRoot     Cause = "config.run_as_non_root"

	CauseImageNotFound       Cause = "image.not_found"
	CauseImageUnauthorized   Cause = "image.unauthorized"
	CauseRegistryUnreachable Cause = "image.registry_unreachable"
	CauseRateLimited         Cause = "image.rate_limited"
	CauseRegistryTLS         Cause = "image.registry_tls"
	CausePlatformMismatch    Cause = "image.platform_mismatch"
	CauseInvalidImageName    Cause = "image.invalid_name"
	CauseNeverPull           Cause = "image.never_pull"
	CausePullSlow            Cause = "image.pull_slow"

	CauseInsufficientCPU    Cause = "sched.insufficient_cpu"
	CauseInsufficientMemory Cause = "sched.insufficient_memory"
	CauseTaint              Cause = "sched.taint"
	CauseNodeAffinity       Cause = "sched.node_affinity"

	CauseInsufficientResource Cause = "sched.insufficient_resource"
	CauseTooManyPods          Cause = "sched.too_many_pods"
	CauseCordoned             Cause = "sched.cordoned"
	CausePodAffinity          Cause = "sched.pod_affinity"
	CauseTopologySpread       Cause = "sched.topology_spread"
	CauseHostPort             Cause = "sched.host_port"
	CauseVolumeUnbound        Cause = "sched.volume_unbound"
	CauseVolumeZone           Cause = "sched.volume_zone"
	CauseClaimMissing         Cause = "sched.pvc_missing"
	CauseGated                Cause = "sched.gated"

	CauseNoClass            Cause = "storage.no_class"
	CauseProvisioningFailed Cause = "storage.provisioning_failed"
	CauseNoVolume           Cause = "storage.no_volume"
	CauseClaimLost          Cause = "storage.claim_lost"
	CauseClaimMismatch      Cause = "storage.claim_mismatch"
	CauseVolumeTaken        Cause = "storage.volume_taken"
	CauseMultiAttach        Cause = "storage.multi_attach"
	CauseAttachFailed       Cause = "storage.attach_failed"
	CauseMountFailed        Cause = "storage.mount_failed"

	CauseLimitRange            Cause = "admission.limit_range"
	CausePodSecurity           Cause = "admission.pod_security"
	CauseWebhookDenied         Cause = "admission.webhook_denied"
	CauseWebhookDown           Cause = "admission.webhook_down"
	CauseServiceAccountMissing Cause = "admission.service_account_missing"

	CausePodDeadlineExceeded Cause = "pod.deadline_exceeded"
	CauseJobDeadlineExceeded Cause = "job.deadline_exceeded"
	CauseBackoffLimit        Cause = "job.backoff_limit"
	CauseCronJobMissed       Cause = "cronjob.missed"
	CauseCronJobInvalid      Cause = "cronjob.invalid"
	CauseScalerMaxed         Cause = "hpa.maxed"
	CauseNoMetrics           Cause = "hpa.no_metrics"
	CauseBudgetBlocksDrain   Cause = "pdb.blocks_drain"

	CauseQuota              Cause = "admission.quota"
	CauseNodeNotReady       Cause = "node.not_ready"
	CauseNodeMemoryPressure Cause = "node.memory_pressure"
	CauseNodeDiskPressure   Cause = "node.disk_pressure"
	CauseNodePIDPressure    Cause = "node.pid_pressure"

	CauseNodeRuntimeDown       Cause = "node.runtime_down"
	CauseNodeNetworkNotReady   Cause = "node.network_not_ready"
	CauseNodeKubeletDown       Cause = "node.kubelet_down"
	CauseNodeGone              Cause = "node.gone"
	CauseNodeRebooted          Cause = "node.rebooted"
	CauseNodeShutdown          Cause = "node.shutdown"
	CauseNodeReadOnly          Cause = "node.readonly_filesystem"
	CauseNodeKernelFault       Cause = "node.kernel_fault"
	CauseSchedulerDown         Cause = "scheduler.down"
	CauseSchedulerSlow         Cause = "scheduler.slow"
	CauseControllerManagerDown Cause = "controller_manager.down"
	CauseControllerManagerLag  Cause = "controller_manager.lag"
	CauseAPIServiceUnavailable Cause = "apiservice.unavailable"
	CauseCertExpired           Cause = "cert.expired"
	CauseCertExpiring          Cause = "cert.expiring"
	CauseEtcdNoLeader          Cause = "etcd.no_leader"
	CauseEtcdLeaderChanged     Cause = "etcd.leader_changed"
	CauseEtcdSlow              Cause = "etcd.slow"
	CauseEtcdNoSpace           Cause = "etcd.no_space"
	CauseEtcdCorrupt           Cause = "etcd.corrupt"
	CauseEtcdDown              Cause = "etcd.down"
	CauseAPIServerDown         Cause = "apiserver.down"
	CauseAPIServerOverloaded   Cause = "apiserver.overloaded"
	CauseAPIServerThrottled    Cause = "apiserver.throttled"
	CauseAPIServerSlow         Cause = "apiserver.slow"

	CauseEphemeralStorage Cause = "pod.ephemeral_storage"
	CausePreempted        Cause = "pod.preempted"

	CauseRolloutStuck     Cause = "rollout.stuck"
	CauseNoReadyEndpoints Cause = "service.no_ready_endpoints"
	CauseSelectorMismatch Cause = "service.selector_mismatch"
	CausePortMismatch     Cause = "service.port_mismatch"
	CauseProtocolMismatch Cause = "service.protocol_mismatch"
	CauseWrongAddress     Cause = "config.wrong_address"
	CauseWrongDNS         Cause = "config.wrong_dns"
	CauseDNSFailing       Cause = "dns.failing"
	CauseProxyDown        Cause = "node.proxy_down"
	CauseScaledToZero     Cause = "workload.scaled_to_zero"
	CauseMisrouted        Cause = "route.misrouted"
	CausePolicyDenied     Cause = "network.policy_denied"
	CauseCPUStarved       Cause = "container.cpu_starved"
)

// Rank is a template's place in the order of precedence when more than one
// explains the same symptom: the most upstream wins.
type Rank string

// The ranks, most upstream first.
const (
	RankNode           Rank = "node"
	RankInfrastructure Rank = "infrastructure" // shared storage, registry, DNS, webhook
	RankConfig         Rank = "config"         // configuration, admission, scheduling
	RankChange         Rank = "change"
	RankContainer      Rank = "container"
	RankProbe          Rank = "probe"
	RankSymptom        Rank = "symptom" // says that it hurts, not why
)

// Template is one failure pattern as data: what must match, what it explains
// and the words for it.
type Template struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Category string   `json:"category"` // availability, performance, security
	Cause    Cause    `json:"cause"`    // unknown for a template that only names a symptom
	Rank     Rank     `json:"rank"`
	Standing Standing `json:"standing"`
	// Subject is the kind of thing the pattern's events are gathered on:
	// workload, service, node or component (of the control plane).
	Subject string `json:"subject"`
	// CauseEntity says where the object at fault is found: subject, container,
	// component (the node that the named part of the control plane runs on, or
	// that part), "Component/etcd" (that part),
	// a kind with the fact that names the object ("ConfigMap:object"), or
	// "kind:object" where the kind is a captured fact too.
	CauseEntity string         `json:"cause_entity,omitempty"`
	Pattern     []EventPattern `json:"pattern"`
	TimeWindow  Duration       `json:"time_window"` // greatest time between first and last event
	Hold        Duration       `json:"hold"`        // how long it must last before it is told
	Explains    []Explanation  `json:"explains,omitempty"`
	// StartupGrace is how long a pod may take to become ready for the first
	// time before it counts as failing; 0 gives none.
	StartupGrace Duration `json:"startup_grace,omitempty"`

	TitleTemplate       string   `json:"title_template"`
	DescriptionTemplate string   `json:"description_template"` // first sentence: what happens
	CauseTemplate       string   `json:"cause_template"`       // second sentence: why
	ImpactTemplate      string   `json:"impact_template,omitempty"`
	Recommendations     []string `json:"recommendations"`
	Action              Action   `json:"action"`                // text and command are templates too
	Check               string   `json:"check,omitempty"`       // what an unknown story says was ruled out
	RunbookURL          string   `json:"runbook_url,omitempty"` //

	DefaultSeverity     Severity `json:"default_severity"`
	BusinessImpactScale float64  `json:"business_impact_scale,omitempty"` // multiplier of the seed design; 0 means 1
}

// EventPattern matches events on entities that lead to the template's subject.
type EventPattern struct {
	Type      EventType         `json:"type"`                // alternatives are separated by "|"
	Reason    string            `json:"reason,omitempty"`    // regular expression over the whole reason
	Severity  Severity          `json:"severity,omitempty"`  // at least this
	Condition string            `json:"condition,omitempty"` // CEL over the event
	Capture   map[string]string `json:"capture,omitempty"`   // fact → regular expression over the message; group 1
	MinCount  int               `json:"min_count,omitempty"` // 0 means 1
	MaxAge    Duration          `json:"max_age,omitempty"`   // 0 means the time window
	Optional  bool              `json:"optional,omitempty"`  // tells more, but need not match
}

// Explanation says which symptoms a template explains, and over which relation
// they must touch the same objects.
type Explanation struct {
	Symptom string `json:"symptom"` // an event type
	// Over is self (the same container or pod), node (pods on it, Services
	// before them), selects (pods behind the Service at fault), references (pods that name the claim, ConfigMap, Secret or service account
	// at fault), component (what waits for the part of the control plane at
	// fault), namespace or cluster (anything in it). What calls a Service
	// that is at fault, and says so, is explained without being listed.
	Over string `json:"over"`
}

// FieldError says what is wrong with one field of a template.
type FieldError struct {
	Template string // its ID
	Field    string // path of the field, such as "pattern[0].condition"
	Err      error
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("template %q: %s: %v", e.Template, e.Field, e.Err)
}

// Unwrap returns what is wrong, without the place.
func (e *FieldError) Unwrap() error { return e.Err }
