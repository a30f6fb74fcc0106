package facts

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/yairfalse/tapio"
)

// at is when the tests' collector sees things: some minutes after the objects
// in testdata were recorded.
var at = time.Date(2026, 11, 23, 12, 45, 0, 123456000, time.UTC)

// load reads the objects of a recorded list, stripped.
func load(t *testing.T, name string) []runtime.Object {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Items []json.RawMessage }
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	var out []runtime.Object
	for _, raw := range list.Items {
		o, _, err := scheme.Codecs.UniversalDeserializer().Decode(raw, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Strip(o); err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
	return out
}

// edit returns a copy of o with an edit.
func edit[P runtime.Object](o P, how func(P)) P {
	c := o.DeepCopyObject().(P)
	how(c)
	return c
}

// told returns the events of what changed, one line each: time, type, entity,
// reason, attributes and changes. It checks what holds for all of them.
func told(t *testing.T, old, new runtime.Object, listed bool, related Related) []string {
	t.Helper()
	var out []string
	for i, o := range Between(old, new, at, listed, related) {
		if err := o.Validate(); err != nil {
			t.Errorf("observation %d: %v", i, err)
		}
		if o.State != nil {
			continue
		}
		e := o.Event
		if !e.Seen.Equal(at) || e.Source != tapio.SourceKubernetes || e.Listed != listed || e.Severity == "" || e.Time.Location() != time.UTC {
			t.Errorf("event is not complete: %+v", e)
		}
		out = append(out, line(e))
	}
	return out
}

func line(e *tapio.Event) string {
	var b strings.Builder
	when := e.Time.Format("15:04:05")
	if e.Time.Equal(at) {
		when = "now"
	}
	fmt.Fprintf(&b, "%s %s %s", when, e.Type, e.Entity)
	if e.Reason != "" {
		fmt.Fprintf(&b, " %s", e.Reason)
	}
	var keys []string
	for k := range e.Attrs {
		switch k { // the same in all events of an object
		case tapio.AttrUID, tapio.AttrNode, tapio.AttrImage, tapio.AttrMemoryLimit, tapio.AttrContainerID, tapio.AttrStartedAt, tapio.AttrRestarts, tapio.AttrTemplateHash:
			continue
		}
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, " %s=%s", k, e.Attrs[k])
	}
	for _, c := range e.Changes {
		fmt.Fprintf(&b, "; %s: %q → %q", c.Field, c.From, c.To)
	}
	return b.String()
}

func want(t *testing.T, got []string, lines ...string) {
	t.Helper()
	if d := cmp.Diff(lines, got); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}

func wantStates(t *testing.T, obs []tapio.Observation, n int) {
	t.Helper()
	got := 0
	for _, o := range obs {
		if o.State != nil {
			got++
		}
	}
	if got != n {
		t.Errorf("%d states, want %d", got, n)
	}
}

// cluster is the objects that a test relates.
type cluster struct {
	deployment *appsv1.Deployment
	sets       []*appsv1.ReplicaSet
}

func (c *cluster) ReplicaSets(string, types.UID, string) []*appsv1.ReplicaSet { return c.sets }

func (c *cluster) Deployment(namespace, name string) *appsv1.Deployment {
	if c.deployment != nil && c.deployment.Namespace == namespace && c.deployment.Name == name {
		return c.deployment
	}
	return nil
}

func TestStateIsToldWhenItChanges(t *testing.T) {
	pod := load(t, "crash")[0].(*corev1.Pod)
	wantStates(t, Between(nil, pod, at, true, nil), 1)
	wantStates(t, Between(pod, pod, at, false, nil), 0)
	wantStates(t, Between(pod, edit(pod, func(p *corev1.Pod) { p.ResourceVersion = "2" }), at, false, nil), 0)
	wantStates(t, Between(pod, edit(pod, func(p *corev1.Pod) { p.Labels["x"] = "y" }), at, false, nil), 1)

	gone := Between(pod, nil, at, false, nil)
	last := gone[len(gone)-1].State
	if last == nil || !last.Deleted || last.UID != string(pod.UID) || last.Pod != nil {
		t.Errorf("the last observation of a deleted pod is %+v", last)
	}
	if gone[0].Event == nil || gone[0].Event.Type != tapio.PodDeleted {
		t.Errorf("the first observation of a deleted pod is %+v", gone[0])
	}
}

func TestObjectReplacedByAnotherOfItsName(t *testing.T) {
	pod := load(t, "crash")[0].(*corev1.Pod)
	fresh := edit(pod, func(p *corev1.Pod) {
		p.UID, p.CreationTimestamp = "other", metav1.NewTime(at)
		p.Status = corev1.PodStatus{Phase: corev1.PodPending}
		p.Spec.NodeName = ""
	})
	want(t, told(t, pod, fresh, false, nil),
		"now pod.deleted Pod/default/crash-6b4df6bc57-fb5gt",
		"now pod.created Pod/default/crash-6b4df6bc57-fb5gt",
	)
	obs := Between(pod, fresh, at, false, nil)
	if !obs[1].State.Deleted || obs[2].State.UID != "other" {
		t.Errorf("states are not gone and then new: %+v, %+v", obs[1].State, obs[2].State)
	}
}

func TestNothingOfWhatIsUnknown(t *testing.T) {
	pod := load(t, "crash")[0]
	node := load(t, "node")[0]
	for name, pair := range map[string][2]runtime.Object{
		"nothing":      {nil, nil},
		"other kinds":  {pod, node},
		"unknown kind": {nil, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "x"}}},
		"nil pointer":  {nil, (*corev1.Pod)(nil)},
		"nameless":     {nil, &corev1.Pod{}},
	} {
		if got := Between(pair[0], pair[1], at, false, nil); len(got) != 0 {
			t.Errorf("%s: %d observations, want none", name, len(got))
		}
	}
}

func TestPodState(t *testing.T) {
	pod := load(t, "crash")[0].(*corev1.Pod)
	got := Between(nil, pod, at, true, nil)[0].State
	wanted := &tapio.State{
		Entity: tapio.Entity{Kind: "Pod", Namespace: "default", Name: "crash-6b4df6bc57-fb5gt"},
		UID:    "4ff36bd8-fd73-4ccb-a0e1-d14fa471272f", Created: time.Date(2026, 11, 23, 12, 38, 24, 0, time.UTC), Listed: true,
		Labels: map[string]string{"app": "crash", "pod-template-hash": "6b4df6bc57"},
		Owner:  tapio.Entity{Kind: "ReplicaSet", Namespace: "default", Name: "crash-6b4df6bc57"},
		Pod: &tapio.PodState{
			Phase: "Running", Node: "node-1", Scheduled: true, Considered: true, ReadySince: time.Date(2026, 11, 23, 12, 40, 6, 0, time.UTC),
			RestartPolicy: "Always", IP: "10.244.1.5", TemplateHash: "6b4df6bc57",
			Containers: []tapio.ContainerState{{
				Name: "app", Image: "testbed.local/busybox:1", Restarts: 4, State: "terminated", Reason: "Error", ExitCode: 1,
				Since: time.Date(2026, 11, 23, 12, 40, 5, 0, time.UTC),
			}},
			References: []tapio.Entity{{Kind: "ServiceAccount", Namespace: "default", Name: "default"}},
			Spec:       got.Pod.Spec, // TestPodSpec
		},
	}
	if d := cmp.Diff(wanted, got); d != "" {
		t.Errorf("state (-want +got):\n%s", d)
	}
}
