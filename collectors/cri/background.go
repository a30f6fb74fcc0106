package cri

import (
	"strings"

	"github.com/yairfalse/tapio"
)

// background is what the labels of a pod hint of its owners. They are hints:
// the API's owner references, which the runtime doesn't know, decide.
func background(labels map[string]string, pod string) *tapio.KubernetesContext {
	k := &tapio.KubernetesContext{}
	job := labels["batch.kubernetes.io/job-name"]
	if job == "" {
		job = labels["job-name"]
	}
	switch hash := labels["pod-template-hash"]; {
	case job != "":
		k.WorkloadType = "Job"
		k.OwnerChain = []string{"Job/" + job}
	case hash != "":
		set, _, _ := cutLast(pod, "-")
		deployment, ok := strings.CutSuffix(set, "-"+hash)
		if !ok {
			return nil
		}
		k.WorkloadType = "Deployment"
		k.OwnerChain = []string{"Deployment/" + deployment, "ReplicaSet/" + set}
	case labels["statefulset.kubernetes.io/pod-name"] != "":
		set, _, _ := cutLast(pod, "-")
		k.WorkloadType = "StatefulSet"
		k.OwnerChain = []string{"StatefulSet/" + set}
	case labels["controller-revision-hash"] != "":
		set, _, _ := cutLast(pod, "-")
		k.WorkloadType = "DaemonSet"
		k.OwnerChain = []string{"DaemonSet/" + set}
	default:
		return nil
	}
	return k
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
