package engine

import (
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// clusterState reads the kinds of a cluster that pods ask something of:
// volumes, classes, quotas, budgets, autoscalers, webhooks. It reports false
// for any other.
func clusterState(s *tapio.State, what string, o options) bool {
	ns := s.Entity.Namespace
	words := func(key string) []string {
		if o[key] == "" {
			return nil
		}
		return strings.Split(o[key], ",")
	}
	switch what {
	case "component":
		s.Entity.Kind = tapio.KindComponent
		s.Component = &tapio.ComponentState{Status: "healthy"}
		for _, p := range words("problems") {
			s.Component.Status = "unhealthy"
			f := strings.Split(p+"::", ":")
			s.Component.Problems = append(s.Component.Problems, tapio.ComponentProblem{Type: tapio.EventType(f[0]), Reason: f[1], Object: f[2], Since: s.Created})
		}
	case "claim":
		s.Entity.Kind = tapio.KindPersistentVolumeClaim
		_, given := o["class"]
		s.Claim = &tapio.ClaimState{Phase: o.get("phase", "Pending"), Volume: o["volume"], Class: o["class"], ClassGiven: given, Requested: o["size"], Modes: words("modes")}
		if sel, ok := o["selector"]; ok {
			s.Claim.Selector = &tapio.LabelSelector{Labels: labels(sel)}
		}
	case "configmap":
		s.Entity.Kind = tapio.KindConfigMap
		if o["values"] != "" {
			s.Config = &tapio.ConfigState{Values: labels(o["values"])}
		}
	case "volume":
		s.Entity.Kind = tapio.KindPersistentVolume
		s.Volume = &tapio.VolumeState{Phase: o.get("phase", "Available"), Capacity: o["size"], Class: o["class"], Modes: words("modes")}
		if claim, ok := o["claim"]; ok {
			namespace, name, _ := strings.Cut(claim, "/")
			s.Volume.Claim = tapio.Entity{Kind: tapio.KindPersistentVolumeClaim, Namespace: namespace, Name: name}
		}
		if zone, ok := o["zone"]; ok {
			s.Volume.Nodes = []tapio.NodeTerm{{Labels: []tapio.Requirement{{Key: "zone", Operator: "In", Values: []string{zone}}}}}
		}
	case "class":
		s.Entity.Kind = tapio.KindStorageClass
		s.Class = &tapio.ClassState{Provisioner: o.get("provisioner", "kubernetes.io/no-provisioner"), WaitsForPod: o["waits"] == "true", Default: o["default"] == "true"}
	case "quota":
		s.Entity.Kind = tapio.KindResourceQuota
		s.Quota = &tapio.QuotaState{Hard: labels(o["hard"]), Used: labels(o["used"])}
	case "limits":
		s.Entity.Kind = tapio.KindLimitRange
		s.Limit = &tapio.LimitState{Limits: labels(o["limits"])}
	case "budget":
		s.Entity.Kind = tapio.KindPDB
		s.Budget = &tapio.BudgetState{Selector: labels(o["selector"]), Allowed: o.int("allowed", 0), Wanted: o.int("wanted", 1), Expected: o.int("expected", 1), Healthy: o.int("healthy", 1)}
	case "autoscaler":
		s.Entity.Kind = tapio.KindHPA
		s.Scaler = &tapio.ScalerState{Target: tapio.Entity{Kind: tapio.KindDeployment, Namespace: ns, Name: o.get("target", s.Entity.Name)}, Min: o.int("min", 1), Max: o.int("max", 4), Current: o.int("current", 4)}
		if reason, ok := o["inactive"]; ok {
			s.Scaler.Conditions = []tapio.Condition{{Type: "ScalingActive", Status: "False", Reason: reason}}
		}
	case "webhook":
		s.Entity.Kind = tapio.KindValidatingWebhook
		for _, name := range words("hooks") {
			s.Webhook = &tapio.WebhookState{Hooks: []tapio.Webhook{{Name: name, Policy: "Fail"}}}
		}
	default:
		return false
	}
	return true
}

// room reads what a node has for pods.
func room(at time.Time, n *tapio.NodeState, o options) {
	n.Allocatable = tapio.Resources{CPU: o.get("cpu", "4"), Memory: o.get("memory", "8Gi")}
	n.Extra = map[string]string{"pods": o.get("pods", "110")}
	n.Unschedulable = o["cordoned"] == "true"
	if n.Unschedulable {
		n.Taints = append(n.Taints, "node.kubernetes.io/unschedulable:NoSchedule")
		n.CordonedSince = at
	}
	if t := o["taints"]; t != "" {
		n.Taints = append(n.Taints, strings.Split(t, ",")...)
	}
}

// asks reads what a pod takes of a node and, while it has none, asks of one.
func asks(p *tapio.PodState, ns string, o options) {
	p.Requests = tapio.Resources{CPU: o["cpu"], Memory: o["memory"]}
	if ports := o["hostports"]; ports != "" {
		p.HostPorts = strings.Split(ports, ",")
	}
	if apart, ok := o["apart"]; ok {
		p.AntiAffinity = []tapio.PodTerm{{Selector: &tapio.LabelSelector{Labels: labels(apart)}, TopologyKey: "kubernetes.io/hostname"}}
	}
	for _, claim := range strings.Split(o["claims"], ",") {
		if claim != "" {
			p.References = append(p.References, tapio.Entity{Kind: tapio.KindPersistentVolumeClaim, Namespace: ns, Name: claim})
		}
	}
	if p.Node != "" {
		return
	}
	p.Placement = &tapio.Placement{}
	if sel, ok := o["nodes"]; ok {
		p.Placement.NodeSelector = labels(sel)
	}
	if gate, ok := o["gate"]; ok {
		p.Placement.Gates = []string{gate}
	}
	if spread, ok := o["spread"]; ok {
		p.Placement.Spread = []tapio.SpreadRule{{Selector: &tapio.LabelSelector{Labels: labels(spread)}, TopologyKey: "zone", MaxSkew: 1}}
	}
	if near, ok := o["near"]; ok {
		p.Placement.Affinity = []tapio.PodTerm{{Selector: &tapio.LabelSelector{Labels: labels(near)}, TopologyKey: "kubernetes.io/hostname"}}
	}
}
