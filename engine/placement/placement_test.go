package placement

import (
	"strings"
	"testing"

	"github.com/yairfalse/tapio"
)

func node(name string, change ...func(*tapio.State)) Node {
	s := &tapio.State{
		Entity: tapio.Entity{Kind: tapio.KindNode, Name: name},
		Labels: map[string]string{"kubernetes.io/hostname": name},
		Node: &tapio.NodeState{
			Ready: "True", Allocatable: tapio.Resources{CPU: "4", Memory: "8Gi"}, Extra: map[string]string{"pods": "110"},
		},
	}
	for _, c := range change {
		c(s)
	}
	return Node{State: s}
}

func labelled(k, v string) func(*tapio.State) { return func(s *tapio.State) { s.Labels[k] = v } }
func cordoned(s *tapio.State)                 { s.Node.Unschedulable = true }
func tainted(t string) func(*tapio.State) {
	return func(s *tapio.State) { s.Node.Taints = append(s.Node.Taints, t) }
}

func with(n Node, pods ...*tapio.State) Node {
	n.Pods = append(n.Pods, pods...)
	return n
}

func pod(change ...func(*tapio.PodState)) *tapio.State {
	s := &tapio.State{
		Entity: tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "web-a"}, Labels: map[string]string{"app": "web"},
		Pod: &tapio.PodState{Phase: "Pending", Placement: &tapio.Placement{}},
	}
	for _, c := range change {
		c(s.Pod)
	}
	return s
}

func cpu(q string) func(*tapio.PodState) { return func(p *tapio.PodState) { p.Requests.CPU = q } }
func wants(k, v string) func(*tapio.PodState) {
	return func(p *tapio.PodState) { p.Placement.NodeSelector = map[string]string{k: v} }
}

func isFor(node string) func(*tapio.PodState) {
	return func(p *tapio.PodState) {
		p.Placement.NodeTerms = []tapio.NodeTerm{{Fields: []tapio.Requirement{{Key: "metadata.name", Operator: "In", Values: []string{node}}}}}
	}
}

func TestJudge(t *testing.T) {
	master := func() Node {
		return node("master", labelled("node-role.kubernetes.io/control-plane", ""), tainted("node-role.kubernetes.io/control-plane:NoSchedule"))
	}
	tests := []struct {
		name    string
		pod     *tapio.State
		message string
		nodes   []Node
		want    Obstacle
		on      string // nodes
		detail  string // part of it
	}{
		{"larger than any node", pod(cpu("16")), "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient cpu.",
			[]Node{master(), node("n1"), node("n2")}, CPU, "n1 n2", "larger than any node: the largest, n1, has 4"},
		{"what is left", pod(cpu("2")), "0/1 nodes are available: 1 Insufficient cpu.", []Node{with(node("n1"), pod(cpu("3")))}, CPU, "n1", "node n1, which has most left, has 1"},
		{"pods of other namespaces are not known", pod(cpu("2")), "0/1 nodes are available: 1 Insufficient cpu.", []Node{node("n1")}, CPU, "n1", "one pod asks for 2 CPU"},
		{"the control plane is never the answer", pod(cpu("1")), "0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable.",
			[]Node{master(), node("n1", cordoned)}, Cordoned, "n1", "n1"},
		{"a control plane that takes pods is a node like any other", pod(wants("disk", "ssd")), "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
			[]Node{node("n1", labelled("node-role.kubernetes.io/control-plane", ""))}, NodeAffinity, "n1", "no node has the label disk"},
		{"a cordon of the node that is meant", pod(wants("disk", "ssd")), "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) were unschedulable.",
			[]Node{node("n1", labelled("disk", "ssd"), cordoned), node("n2")}, Cordoned, "n1", "n1"},
		{"a cordon elsewhere", pod(wants("disk", "nvme")), "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) were unschedulable.",
			[]Node{node("n1", labelled("disk", "ssd"), cordoned), node("n2")}, NodeAffinity, "n2", "disk=ssd on n1"},
		{"the meant node is full", pod(wants("disk", "ssd"), cpu("3")), "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node affinity/selector.",
			[]Node{with(node("n1", labelled("disk", "ssd")), pod(cpu("2"))), node("n2")}, CPU, "n1", ""},
		{"a sick node with room, before a full one", pod(cpu("3")), "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }.",
			[]Node{with(node("n1"), pod(cpu("2"))), node("n2", tainted("node.kubernetes.io/disk-pressure:NoSchedule"))}, Taint, "n2", "node.kubernetes.io/disk-pressure on n2"},
		{"a full node, before one that is set apart", pod(cpu("3")), "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {dedicated: gpu}.",
			[]Node{with(node("n1"), pod(cpu("2"))), node("n2", tainted("dedicated=gpu:NoSchedule"))}, CPU, "n1", ""},
		{"finished pods take no room", pod(cpu("3")), "", []Node{with(node("n1", cordoned), &tapio.State{Pod: &tapio.PodState{Phase: "Succeeded", Requests: tapio.Resources{CPU: "4"}}})}, Cordoned, "n1", ""},
		{"no nodes known", pod(), "0/3 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 node(s) didn't have free ports for the requested pod ports.", nil, HostPort, "", ""},
		{"old words", pod(), "0/1 nodes are available: 1 node(s) had taint {a: b}, that the pod didn't tolerate.", nil, Taint, "", ""},
		{"a DaemonSet's pod on its own node", pod(cpu("3"), isFor("n1")), "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [NodeAffinity].",
			[]Node{with(node("n1"), pod(cpu("2"))), with(node("n2"), pod(cpu("3")))}, CPU, "n1", "node n1, which has most left, has 2"},
		{"a DaemonSet's pod that asks for what its node lacks", pod(wants("disk", "ssd"), isFor("n1")), "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
			[]Node{node("n1"), node("n2", labelled("disk", "ssd"))}, NodeAffinity, "n1", "no node has the label disk"},
		{"a volume elsewhere", pod(), "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity.", nil, VolumeZone, "", ""},
		{"lost claim", pod(), `0/5 nodes are available: persistentvolumeclaim "data" bound to non-existent persistentvolume "pv-1". not found`, []Node{node("n1")}, ClaimLost, "", ""},
		{"claim", pod(), `0/1 nodes are available: persistentvolumeclaim "data" not found. preemption: 0/1 nodes are available: 1 Insufficient cpu`, []Node{node("n1")}, ClaimMissing, "", ""},
	}
	for _, test := range tests {
		v, ok := Judge(test.pod, test.message, test.nodes, nil)
		if !ok || v.Obstacle != test.want || strings.Join(v.Nodes, " ") != test.on || !strings.Contains(v.Detail, test.detail) {
			t.Errorf("%s: %+v, want %s on %q with %q", test.name, v, test.want, test.on, test.detail)
		}
	}
	if v, ok := Judge(pod(), "running PreBind plugin failed", nil, nil); ok {
		t.Errorf("words that are not understood give %+v", v)
	}
}

func TestTolerations(t *testing.T) {
	list := []tapio.Toleration{{Key: "a", Operator: "Exists"}, {Key: "b", Value: "1", Effect: "NoSchedule"}}
	for taint, want := range map[string]bool{
		"a=x:NoSchedule": true, "a:NoExecute": true, "b=1:NoSchedule": true, "b=1:NoExecute": false, "b=2:NoSchedule": false, "c:NoSchedule": false,
	} {
		key, value, effect := splitTaint(taint)
		if got := tolerates(list, key, value, effect); got != want {
			t.Errorf("%s is borne: %v, want %v", taint, got, want)
		}
	}
	if !tolerates([]tapio.Toleration{{Operator: "Exists"}}, "x", "y", "NoExecute") {
		t.Error("a toleration without a key does not bear everything")
	}
}

func TestRequirements(t *testing.T) {
	labels := map[string]string{"disk": "ssd", "cores": "8"}
	tests := []struct {
		r    tapio.Requirement
		want bool
	}{
		{tapio.Requirement{Key: "disk", Operator: "In", Values: []string{"hdd", "ssd"}}, true},
		{tapio.Requirement{Key: "disk", Operator: "NotIn", Values: []string{"ssd"}}, false},
		{tapio.Requirement{Key: "gpu", Operator: "NotIn", Values: []string{"a"}}, true},
		{tapio.Requirement{Key: "gpu", Operator: "Exists"}, false},
		{tapio.Requirement{Key: "gpu", Operator: "DoesNotExist"}, true},
		{tapio.Requirement{Key: "cores", Operator: "Gt", Values: []string{"4"}}, true},
		{tapio.Requirement{Key: "cores", Operator: "Lt", Values: []string{"4"}}, false},
		{tapio.Requirement{Key: "disk", Operator: "Gt", Values: []string{"4"}}, false},
	}
	for _, test := range tests {
		if got := satisfies(&test.r, labels); got != test.want {
			t.Errorf("%+v: %v, want %v", test.r, got, test.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0/4 nodes are available: 1 node(s) had untolerated taint {a: b}, 3 Insufficient example.com/gpu. preemption: x")
	f.Add(`persistentvolumeclaim "" not found, 99999999999999999999 Too many pods`)
	f.Fuzz(func(t *testing.T, message string) {
		Judge(pod(cpu(message)), message, []Node{node("n1", tainted(message))}, nil)
	})
}
