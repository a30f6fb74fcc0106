package trial

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/library"
)

// start is when every test begins.
var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// settled is how old the test's cluster is: long past any start-up grace.
const settled = 24 * time.Hour

// world is the small cluster of a test and how it is.
type world struct {
	c        library.Cluster
	ns       string
	workload tapio.Entity
	pods     []tapio.Entity

	down     bool   // the workload's pods are not ready
	node     string // Ready of the node
	pressure string // a condition of the node that is true
}

// newWorld fills in the defaults.
func newWorld(c library.Cluster) (*world, error) {
	c.Workload = cmp.Or(c.Workload, "Deployment/shop/checkout")
	parts := strings.Split(c.Workload, "/")
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return nil, fmt.Errorf("cluster.workload: %q is not Kind/namespace/name, such as Deployment/shop/checkout", c.Workload)
	}
	w := &world{c: c, ns: parts[1], workload: tapio.Entity{Kind: tapio.Kind(parts[0]), Namespace: parts[1], Name: parts[2]}, node: "True"}
	switch w.workload.Kind {
	case tapio.KindDeployment, tapio.KindStatefulSet, tapio.KindDaemonSet, tapio.KindJob:
	default:
		return nil, fmt.Errorf("cluster.workload: %q is none of Deployment, StatefulSet, DaemonSet, Job", w.workload.Kind)
	}
	w.c.Replicas = cmp.Or(c.Replicas, 1)
	if w.c.Replicas < 1 || w.c.Replicas > 100 {
		return nil, fmt.Errorf("cluster.replicas: %d is not 1 to 100", w.c.Replicas)
	}
	w.c.Container = cmp.Or(c.Container, "app")
	w.c.Image = cmp.Or(c.Image, "registry.example.com/"+w.workload.Name+":1")
	w.c.Service = cmp.Or(c.Service, w.workload.Name)
	w.c.Node = cmp.Or(c.Node, "node-1")
	for i := range w.c.Replicas {
		name := fmt.Sprintf("%s-%d", w.workload.Name, i)
		if w.workload.Kind == tapio.KindDeployment {
			name = w.replicaSet().Name + "-" + strconv.Itoa(int(i))
		}
		w.pods = append(w.pods, tapio.Entity{Kind: tapio.KindPod, Namespace: w.ns, Name: name})
	}
	return w, nil
}

func (w *world) replicaSet() tapio.Entity {
	return tapio.Entity{Kind: tapio.KindReplicaSet, Namespace: w.ns, Name: w.workload.Name + "-1"}
}

func (w *world) service() tapio.Entity {
	return tapio.Entity{Kind: tapio.KindService, Namespace: w.ns, Name: w.c.Service}
}

func (w *world) nodeEntity() tapio.Entity {
	return tapio.Entity{Kind: tapio.KindNode, Name: w.c.Node}
}

// states are all objects as they are now.
func (w *world) states() []*tapio.State {
	labels := map[string]string{"app": w.workload.Name}
	replicas := tapio.ReplicaStatus{Desired: w.c.Replicas, Current: w.c.Replicas, Updated: w.c.Replicas, Ready: w.c.Replicas, Available: w.c.Replicas}
	if w.down {
		replicas.Ready, replicas.Available = 0, 0
	}
	out := []*tapio.State{{Entity: tapio.Entity{Kind: tapio.KindNamespace, Name: w.ns}}}
	node := &tapio.NodeState{Ready: w.node, ReadySince: start.Add(-settled)}
	if w.pressure != "" {
		node.Pressures = []string{w.pressure}
	}
	out = append(out, &tapio.State{Entity: w.nodeEntity(), Node: node})
	annotations := map[string]string{}
	for k, v := range w.c.Annotations {
		annotations["tapio.dev/"+strings.TrimPrefix(k, "tapio.dev/")] = v
	}
	out = append(out, &tapio.State{Entity: w.workload, Annotations: annotations, Workload: &tapio.WorkloadState{Replicas: replicas, TemplateLabels: labels}})
	owner := w.workload
	if w.workload.Kind == tapio.KindDeployment {
		owner = w.replicaSet()
		out = append(out, &tapio.State{Entity: owner, Owner: w.workload, Workload: &tapio.WorkloadState{Replicas: replicas, TemplateLabels: labels}})
	}
	backends := &tapio.EndpointsState{Service: w.c.Service}
	for _, p := range w.pods {
		c := tapio.ContainerState{Name: w.c.Container, Image: w.c.Image, Ready: !w.down, State: "running", Since: start.Add(-settled), Limits: tapio.Resources{Memory: w.c.MemoryLimit}}
		out = append(out, &tapio.State{Entity: p, Owner: owner, Labels: labels, Pod: &tapio.PodState{
			Phase: "Running", Node: w.c.Node, Ready: !w.down, ReadySince: start.Add(-settled), Scheduled: true, RestartPolicy: "Always",
			Containers: []tapio.ContainerState{c},
		}})
		backends.Backends = append(backends.Backends, tapio.Endpoint{Pod: p.Name, Ready: !w.down})
	}
	slice := w.service()
	slice.Kind = tapio.KindEndpointSlice
	out = append(out,
		&tapio.State{Entity: w.service(), Service: &tapio.ServiceState{Type: "ClusterIP", Selector: labels}},
		&tapio.State{Entity: slice, Endpoints: backends},
	)
	for _, s := range out {
		s.Created = start.Add(-settled)
	}
	return out
}

// step makes the event of a step, and changes how the world is.
func (w *world) step(i int, s library.Step) (*tapio.Event, error) {
	at := start.Add(time.Duration(s.At))
	ev := &tapio.Event{
		Time: at, Seen: at, Source: tapio.SourceKubernetes, Type: s.Type, Severity: cmp.Or(s.Severity, tapio.SeverityMedium),
		Reason: s.Reason, Message: s.Message, Count: s.Count, Changes: s.Changes, Attrs: map[string]string{},
	}
	for k, v := range s.Attrs {
		ev.Attrs[k] = v
	}
	if s.Type == "" {
		return nil, fmt.Errorf("observe[%d].type: is missing; container.exit, container.waiting or k8s.event are the most usual", i)
	}
	on := s.On
	if on == "" {
		on = usually(s.Type)
	}
	switch on {
	case "container":
		ev.Entity = w.pods[0]
		ev.Entity.Container = w.c.Container
		w.down = !s.Ready
	case "pod":
		ev.Entity = w.pods[0]
		w.down = !s.Ready
	case "workload":
		ev.Entity = w.workload
		w.down = !s.Ready
	case "service":
		ev.Entity = w.service()
		w.down = !s.Ready
	case "node":
		ev.Entity = w.nodeEntity()
		w.node, w.pressure = "True", ""
		if s.Type == tapio.NodePressure {
			w.pressure = s.Reason
		} else if !s.Ready {
			w.node = cmp.Or(s.Attrs[tapio.AttrStatus], "False")
		}
	default:
		return nil, fmt.Errorf("observe[%d].on: %q is none of container, pod, workload, service, node", i, s.On)
	}
	if ev.Entity.Kind == tapio.KindPod {
		put(ev.Attrs, tapio.AttrNode, w.c.Node)
		put(ev.Attrs, tapio.AttrImage, w.c.Image)
	}
	if s.Type == tapio.ContainerExit {
		put(ev.Attrs, tapio.AttrExitCode, strconv.Itoa(s.ExitCode))
		put(ev.Attrs, tapio.AttrContainerID, fmt.Sprintf("containerd://%d", i))
	}
	ev.SetID()
	return ev, nil
}

func put(attrs map[string]string, key, value string) {
	if _, ok := attrs[key]; !ok {
		attrs[key] = value
	}
}

// usually is what events of a type are about.
func usually(t tapio.EventType) string {
	kind, _, _ := strings.Cut(string(t), ".")
	switch kind {
	case "container":
		return "container"
	case "node", "workload":
		return kind
	case "service", "endpoints":
		return "service"
	}
	return "pod"
}
