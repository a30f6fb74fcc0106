package narrate

import (
	"strings"

	"github.com/yairfalse/tapio"
)

// derived words a fact that the engine concluded from what several objects say.
func derived(e *tapio.StoryEvent, s *tapio.Story, name string) string {
	object := strings.TrimSpace(inline(data(e, tapio.AttrKind)) + " " + inline(data(e, tapio.AttrObject)))
	detail := quote(data(e, tapio.AttrDetail))
	if detail != "" {
		detail = ": " + detail
	}
	reason := data(e, "reason")
	switch e.Type {
	case tapio.PodPreempted:
		if object != "" {
			return "a pod of " + name + " had to go for " + lower(object)
		}
		return "a pod of " + name + " had to go for one of a higher priority"
	case tapio.DrainBlocked:
		return name + " can't be evicted from node " + inline(data(e, tapio.AttrNode)) + because(object) + detail
	case tapio.ScalerBlocked:
		if reason == "TooManyReplicas" {
			return name + " wants more pods than it may have" + detail
		}
		return name + " can't scale" + because(inline(reason)) + quoted(data(e, "message"))
	case tapio.PodsRefused:
		return "pods of " + name + " are refused by " + or(object, "a rule") + detail
	}
	return name + " waits" + because(or(obstacles()[reason], inline(reason))) + detail
}

// obstacles words the reasons of a pod that gets no further.
func obstacles() map[string]string {
	return map[string]string{
		"InsufficientCPU": "too little CPU", "InsufficientMemory": "too little memory", "InsufficientResource": "too little of a resource",
		"TooManyPods": "nodes full of pods", "Taint": "a taint", "Cordoned": "cordoned nodes", "NodeAffinity": "no node with its labels",
		"PodAffinity": "its affinity to other pods", "TopologySpread": "its spread rule", "HostPort": "a host port that is taken",
		"VolumeZone": "a volume in another place", "NoVolume": "no volume", "Unbound": "a claim that is not bound",
		"ClaimMissing": "a claim that does not exist", "Gated": "a scheduling gate", "NoClass": "a missing storage class",
		"Mismatch": "a volume that does not fit", "VolumeTaken": "a volume that is taken", "ClaimLost": "a volume that is lost",
		"Provisioning": "a volume that is not made", "StorageQuota": "a storage quota", "MultiAttach": "a volume that is attached elsewhere",
		"AttachFailed": "a volume that can't be attached", "MountFailed": "a volume that can't be mounted",
	}
}
