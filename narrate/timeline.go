package narrate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// data returns a text attribute of a timeline entry, as the source wrote it.
func data(e *tapio.StoryEvent, key string) string {
	s, _ := e.Data[key].(string)
	return s
}

// describe words one line of the timeline.
func describe(e *tapio.StoryEvent, s *tapio.Story) string {
	text := happened(e, s)
	if e.Count > 1 {
		text += ", " + times(e.Count)
		if e.Last.After(e.Timestamp) {
			text += " " + between(e.Timestamp, e.Last, s.Updated)
		}
	}
	return text + seenBy(e)
}

// seenBy names who saw what a line tells, where an agent of a node did.
func seenBy(e *tapio.StoryEvent) string {
	switch e.Source {
	case tapio.SourceCRI, tapio.SourceEBPF, tapio.SourceAgent:
	default:
		if len(e.Witnesses) == 0 {
			return ""
		}
	}
	names := []string{badge(e.Source)}
	for _, w := range e.Witnesses {
		if name := badge(w); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return " [" + strings.Join(names, ", ") + "]"
}

// badge is what a reader calls a source.
func badge(s tapio.Source) string {
	switch s {
	case tapio.SourceKubernetes:
		return "k8s"
	case tapio.SourceCRI:
		return "runtime"
	case tapio.SourceEBPF:
		return "kernel"
	case tapio.SourceAgent:
		return "agent"
	}
	return inline(string(s))
}

func happened(e *tapio.StoryEvent, s *tapio.Story) string {
	name := subjectOf(e, s)
	said := quoted(data(e, "message"))
	reason := inline(data(e, "reason"))
	switch e.Type {
	case tapio.ContainerExit:
		if s.Cause == tapio.CauseNodeMemoryPressure && reason == "OOMKilled" { // whose memory it was, the status doesn't say
			return containerOf(e, s) + " was killed for memory (OOMKilled)"
		}
		return containerOf(e, s) + " " + exited(e)
	case tapio.ContainerWaiting:
		return containerOf(e, s) + " " + waiting(reason, data(e, tapio.AttrImage)) + said
	case tapio.ContainerStarted:
		return containerOf(e, s) + " started"
	case tapio.ContainerLog:
		if last := quote(or(data(e, tapio.AttrLastError), data(e, "message"))); last != "" {
			return containerOf(e, s) + " logged “" + last + "”"
		}
		return containerOf(e, s) + " left nothing in its log"
	case tapio.AppError:
		if said == "" { // its node's kernel saw it
			return containerOf(e, s) + " called " + or(inline(data(e, tapio.AttrPeer)), "others") + " in vain"
		}
		return containerOf(e, s) + " said" + said
	case tapio.PodCreated:
		return name + " was created"
	case tapio.PodScheduled:
		if node := inline(data(e, tapio.AttrNode)); node != "" {
			return name + " was put on node " + node
		}
		return name + " got a node"
	case tapio.PodUnschedulable:
		return name + " found no node" + said
	case tapio.PodReady:
		return name + " became ready"
	case tapio.PodNotReady:
		return name + " is no longer ready" + because(reason)
	case tapio.PodFailed:
		return name + " failed" + because(reason) + said
	case tapio.PodEvicted:
		if r := resourceName(data(e, tapio.AttrResource)); r != "" {
			return name + " was evicted: its node is short of " + r
		}
		return name + " was evicted" + said
	case tapio.PodDeleted:
		return name + " was deleted"
	case tapio.NodeReady:
		return name + " is ready"
	case tapio.NodeNotReady:
		if data(e, tapio.AttrStatus) == "Unknown" {
			return name + " stopped reporting" + said
		}
		return name + " is not ready" + because(reason) + said
	case tapio.NodeKubeletDown:
		return "the kubelet of " + name + " stopped answering on its own node"
	case tapio.NodeKubeletUp:
		return "the kubelet of " + name + " answers again"
	case tapio.NodeRuntimeDown:
		return "the container runtime of " + name + " stopped answering on its own node"
	case tapio.NodeRuntimeUp:
		return "the container runtime of " + name + " answers again"
	case tapio.NodeUnanswering:
		return name + " gives its peers no answer" + said
	case tapio.NodeAgentLost:
		return "Tapio's agent on " + name + " was heard for the last time"
	case tapio.NodeAgentBack:
		return "Tapio's agent on " + name + " is heard again"
	case tapio.NodePressure:
		return name + " is short of " + pressureOf(reason) + because(reason)
	case tapio.NodePressureEnded:
		return name + " has enough " + pressureOf(reason) + " again"
	case tapio.APIServiceUnavailable:
		return name + " is not available" + because(reason) + said
	case tapio.APIServiceAvailable:
		return name + " is available again"
	case tapio.PodUnseen, tapio.SchedulingLatency:
		return name + " waits for a scheduler" + said
	case tapio.WorkloadUnattended, tapio.ControllerLag:
		return "no controller follows the spec of " + name + said
	case tapio.EtcdHealthy, tapio.APIServerHealthy, tapio.SchedulerHealthy, tapio.ControllerHealthy:
		return name + " is well again"
	case tapio.EtcdLeaderChanged:
		return "etcd elected another leader" + said
	case tapio.EtcdCompaction:
		return "etcd was compacted" + said
	case tapio.EtcdUnhealthy, tapio.EtcdHighLatency, tapio.EtcdStorageFull:
		if m := inline(data(e, tapio.AttrObject)); m != "" {
			return "member " + m + " of etcd: " + troubles[reason] + said
		}
		return name + ": " + troubles[reason] + said
	case tapio.APIServerUnhealthy, tapio.APIServerOverload, tapio.APIServerThrottling, tapio.SchedulerUnhealthy, tapio.ControllerUnhealthy:
		return name + ": " + troubles[reason] + said
	case tapio.CertificateExpiring:
		return "the certificate of " + inline(data(e, tapio.AttrObject)) + " ends soon" + said
	case tapio.WebhookFailing:
		return "the API server could not call an admission webhook" + said
	case tapio.WebhookAnswering:
		return "the API server can call its admission webhooks again"
	case tapio.ImageNearMatch:
		if near := inline(data(e, tapio.AttrNearest)); near != "" {
			return containerOf(e, s) + ": image " + inline(data(e, tapio.AttrImage)) + " differs little from " + near
		}
		return containerOf(e, s) + ": image " + inline(data(e, tapio.AttrImage)) + " was refused, though official images are open to all"
	case tapio.LimitTiny:
		return containerOf(e, s) + " was killed at its start" + said
	case tapio.OOMRecord:
		return containerOf(e, s) + " ended as the kernel of its node ran out of memory for a process" + said
	case tapio.OOMOfNode, tapio.OOMOfChild, tapio.OOMUnsaid, tapio.KilledBy:
		return containerOf(e, s) + ": " + or(inline(data(e, "message")), "a process was killed")
	case tapio.PortRefused:
		return name + ": " + or(inline(data(e, "message")), "calls are refused")
	case tapio.NodeProblem:
		return name + " reports " + or(reason, "a problem") + said
	case tapio.NodeProblemEnded:
		return name + " no longer reports " + or(reason, "a problem")
	case tapio.NodeCordoned:
		return name + " was cordoned" + by(e)
	case tapio.NodeUncordoned:
		return name + " was uncordoned" + by(e)
	case tapio.NodeDeleted:
		return name + " was deleted"
	case tapio.WorkloadRollout:
		return rollout(e, name)
	case tapio.WorkloadScaled:
		return name + " was scaled" + edited(e)
	case tapio.ImagePullSlow:
		return containerOf(e, s) + ": image " + inline(data(e, tapio.AttrImage)) + " is on its way to " + or(inline(data(e, tapio.AttrNode)), "the node")
	case tapio.ImagePulled, tapio.CRIImagePulled:
		return pulled(e, s)
	case tapio.PodStuck:
		return name + " has not become ready" + said
	case tapio.WorkloadStuck:
		return "the rollout of " + name + " made no progress within its deadline"
	case tapio.ReplicaFailure:
		return "pods of " + name + " cannot be created" + said
	case tapio.WorkloadAvailable:
		return name + " has all its pods"
	case tapio.JobFailed:
		return name + " gave up" + because(reason) + said
	case tapio.JobComplete:
		return name + " is complete"
	case tapio.EndpointsRemoved, tapio.EndpointsAdded:
		return endpoints(e, name)
	case tapio.ServiceSelectsNone:
		return "the selector of " + name + parens(inline(data(e, tapio.AttrSelector))) + " matches no pod"
	case tapio.ServiceChanged, tapio.QuotaChanged, tapio.NodeChanged:
		return name + " was changed" + edited(e)
	case tapio.ConfigChanged:
		return name + " was " + configVerb(reason) + edited(e)
	case tapio.PodBlocked, tapio.PodsRefused, tapio.DrainBlocked, tapio.PodPreempted, tapio.ScalerBlocked:
		return derived(e, s, name)
	case tapio.KubernetesEvent:
		return kubernetesEvent(e, s, reason)
	case tapio.MemoryPressure:
		return name + " is short of memory"
	case tapio.ConnectionFailed:
		return "connections to " + name + " fail" + said
	}
	return strings.TrimSpace(fmt.Sprintf("%s: %s", name, inline(or(reason, string(e.Type))))) + said
}

// nameOf names an entity for a reader of the story: pods and workloads by name,
// with their namespace where it is not the story's own; others with their kind.
func nameOf(e tapio.Entity, s *tapio.Story) string {
	name := inline(e.Name)
	full := name
	if e.Namespace != "" {
		full = inline(e.Namespace) + "/" + name
	}
	home := s.Subject.Namespace
	switch e.Kind {
	case tapio.KindPod, tapio.KindDeployment, tapio.KindStatefulSet, tapio.KindDaemonSet, tapio.KindReplicaSet:
		if e.Namespace == home {
			return name
		}
		return full
	case tapio.KindNode:
		return "node " + name
	case tapio.KindComponent:
		return name
	case tapio.KindImage:
		return "image " + name
	case tapio.KindRegistry:
		return "registry " + name
	case tapio.KindJob, tapio.KindCronJob:
		if e.Namespace == home {
			return string(e.Kind) + " " + name
		}
	}
	return inline(string(e.Kind)) + " " + full
}

// subjectOf names what a timeline entry is about. An entry that stands for
// repeats on several pods of the story's workload names the workload.
func subjectOf(e *tapio.StoryEvent, s *tapio.Story) string {
	obj := e.Entity.Object()
	if e.Count > 1 && len(s.AffectedPods) > 1 && obj.Kind == tapio.KindPod && s.Subject.Kind.IsWorkload() &&
		obj.Namespace == s.Subject.Namespace && strings.HasPrefix(obj.Name, s.Subject.Name+"-") {
		if e.Entity.Container != "" {
			return "pods of " + nameOf(s.Subject, s)
		}
		return "a pod of " + nameOf(s.Subject, s)
	}
	return nameOf(obj, s)
}

// containerOf names a container in its pod, or in the pods of its workload.
func containerOf(e *tapio.StoryEvent, s *tapio.Story) string {
	name := subjectOf(e, s)
	if e.Entity.Container == "" {
		return name + ": a container"
	}
	kind := "container"
	if data(e, tapio.AttrInit) == "true" {
		kind = "init container"
	}
	return name + ": " + kind + " " + inline(e.Entity.Container)
}

// exited words how a container ended. What a code above 128 means is left to
// the reason: only OOMKilled says that memory ran out.
func exited(e *tapio.StoryEvent) string {
	reason, code := inline(data(e, "reason")), data(e, tapio.AttrExitCode)
	how := exit(code)
	said := quoted(data(e, "message"))
	switch {
	case reason == "OOMKilled":
		how, _, _ = strings.Cut(how, " (") // the reason says more than the signal
		if limit := size(inline(data(e, tapio.AttrMemoryLimit))); limit != "" {
			return "was killed at its memory limit of " + limit + parens("OOMKilled", how) + said
		}
		return "was killed at its memory limit" + parens("OOMKilled", how) + said
	case reason == "StartError" || reason == "ContainerCannotRun" || reason == "RunContainerError":
		return "could not be started" + parens(reason, how) + said
	case code == "0":
		return "finished" + parens(how) + said
	case reason == "" || reason == "Error":
		if how == "" {
			return "failed" + said
		}
		return "failed with " + how + said
	}
	return "ended" + parens(reason, how) + said
}

func waiting(reason, image string) string {
	of := "its image"
	if image != "" {
		of = "image " + inline(image)
	}
	switch reason {
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable":
		return "cannot pull " + of
	case "InvalidImageName":
		return "cannot start: the name of " + of + " is not valid"
	case "ErrImageNeverPull":
		return "cannot start: " + of + " is not on the node and may not be pulled"
	case "CrashLoopBackOff":
		return "waits before its next restart (CrashLoopBackOff)"
	case "CreateContainerConfigError", "CreateContainerError":
		return "cannot be created (" + reason + ")"
	case "":
		return "is waiting"
	}
	return "cannot start (" + reason + ")"
}

func rollout(e *tapio.StoryEvent, name string) string {
	rev := revision(e.Entity, data(e, tapio.AttrRevision))
	what := changes(changesIn(e))
	var b strings.Builder
	switch {
	case data(e, "reason") == "Created":
		b.WriteString(name + " was created")
	case data(e, "reason") == "Restarted":
		b.WriteString(name + " was restarted")
	case data(e, tapio.AttrRollback) == "true":
		b.WriteString(name + " was rolled back")
		if rev != "" {
			b.WriteString(" (rollout " + rev + ")")
		}
	case rev != "":
		b.WriteString("rollout " + rev + " of " + name + " began")
	default:
		b.WriteString("a rollout of " + name + " began")
	}
	if what != "" {
		b.WriteString(": " + what)
	}
	b.WriteString(by(e))
	return b.String()
}

// edited words what was changed and by whom, behind a verb.
func edited(e *tapio.StoryEvent) string {
	if what := changes(changesIn(e)); what != "" {
		return ": " + what + by(e)
	}
	return by(e)
}

func by(e *tapio.StoryEvent) string {
	if who := actor(data(e, tapio.AttrManager)); who != "" {
		return ", by " + who
	}
	return ""
}

func endpoints(e *tapio.StoryEvent, name string) string {
	before, err1 := strconv.Atoi(data(e, tapio.AttrReadyBefore))
	after, err2 := strconv.Atoi(data(e, tapio.AttrReadyAfter))
	known := err1 == nil && err2 == nil
	switch {
	case e.Type == tapio.EndpointsAdded && known:
		return fmt.Sprintf("%s has %s (before: %d)", name, count(after, "ready endpoint"), before)
	case e.Type == tapio.EndpointsAdded:
		return name + " has more ready endpoints"
	case err2 == nil && err1 != nil && after == 0:
		return name + " has no ready endpoint"
	case !known:
		return name + " lost endpoints"
	case before == 1 && after == 0:
		return "the only endpoint of " + name + " is gone"
	case before-after == 1:
		return fmt.Sprintf("1 of %s of %s is gone", count(before, "endpoint"), name)
	}
	return fmt.Sprintf("%d of %s of %s are gone", before-after, count(before, "endpoint"), name)
}

func configVerb(reason string) string {
	switch reason {
	case "Created":
		return "created"
	case "Deleted":
		return "deleted"
	}
	return "edited"
}

// pulled tells that an image has come, and how long that took at most.
func pulled(e *tapio.StoryEvent, s *tapio.Story) string {
	took := ""
	if d, err := time.ParseDuration(data(e, tapio.AttrPullTime)); err == nil {
		took = " after " + span(d)
	}
	if e.Type == tapio.CRIImagePulled {
		return or(inline(data(e, tapio.AttrNode)), "the node") + " has image " + inline(data(e, tapio.AttrImage)) + took
	}
	return containerOf(e, s) + ": its image has come" + took
}

func kubernetesEvent(e *tapio.StoryEvent, s *tapio.Story, reason string) string {
	subject := subjectOf(e, s)
	if e.Entity.Container != "" {
		subject = containerOf(e, s)
	}
	msg := quote(data(e, "message"))
	switch {
	case reason == "BackOff" && strings.Contains(msg, "restarting failed container"):
		return subject + " waits before its next restart (BackOff)"
	case reason == "Unhealthy" && msg != "":
		return subject + ": “" + msg + "”"
	case msg == "":
		return subject + ": Kubernetes reports " + or(reason, "an event")
	case reason == "":
		return subject + ": “" + msg + "”"
	}
	return subject + ": " + reason + ", “" + msg + "”"
}

// pressureOf names what a node is short of, by its condition's type.
func pressureOf(condition string) string {
	switch condition {
	case "MemoryPressure":
		return "memory"
	case "DiskPressure":
		return "disk space"
	case "PIDPressure":
		return "process IDs"
	}
	return "resources"
}

func resourceName(r string) string {
	switch r {
	case "ephemeral-storage", "nodefs", "imagefs":
		return "disk space"
	case "pids":
		return "process IDs"
	}
	return inline(r)
}

// quoted puts the words of a source behind a statement.
func quoted(msg string) string {
	if msg = quote(msg); msg != "" {
		return ": “" + msg + "”"
	}
	return ""
}

func because(reason string) string { return parens(reason) }

// parens writes what is known in brackets: " (OOMKilled, exit 137)".
func parens(words ...string) string {
	var known []string
	for _, w := range words {
		if w != "" {
			known = append(known, w)
		}
	}
	if len(known) == 0 {
		return ""
	}
	return " (" + strings.Join(known, ", ") + ")"
}

// troubles words what stands against a part of the control plane.
var troubles = map[string]string{
	"NoLeader": "no leader", "Unreachable": "no answer", "MemberDown": "no answer", "Corrupt": "its data is corrupt",
	"Unstable": "one leader after the other", "Slow": "slow", "MemberSlow": "slow", "MemberLags": "behind the others", "SlowDisk": "its disk is slow",
	"NoSpace": "no space left", "NearlyFull": "nearly full", "NotReady": "not ready", "StorageFailing": "etcd does not answer it",
	"Rejecting": "requests are refused", "Throttled": "Tapio's requests are refused", "LeaseExpired": "no sign of life",
}
