package facts

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/yairfalse/tapio"
)

// FuzzBetween decodes two versions of an object of any kind, strips them and
// asks what changed: nothing may panic, and what is told must be valid and
// survive being written to a recording and read back.
func FuzzBetween(f *testing.F) {
	kinds := []func() runtime.Object{
		func() runtime.Object { return new(corev1.Pod) },
		func() runtime.Object { return new(corev1.Event) },
		func() runtime.Object { return new(eventsv1.Event) },
		func() runtime.Object { return new(appsv1.Deployment) },
		func() runtime.Object { return new(appsv1.ReplicaSet) },
		func() runtime.Object { return new(appsv1.StatefulSet) },
		func() runtime.Object { return new(corev1.Node) },
		func() runtime.Object { return new(discoveryv1.EndpointSlice) },
		func() runtime.Object { return new(corev1.Service) },
		func() runtime.Object { return new(batchv1.Job) },
		func() runtime.Object { return new(metav1.PartialObjectMetadata) },
		func() runtime.Object { return new(networkingv1.NetworkPolicy) },
		func() runtime.Object { return new(networkingv1.Ingress) },
		func() runtime.Object { return new(unstructured.Unstructured) },
		func() runtime.Object { return new(corev1.ConfigMap) },
	}
	for name, kind := range map[string]uint8{"crash": 0, "event": 1, "deployment": 3, "node": 6, "service": 8} {
		data, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		var list struct{ Items []json.RawMessage }
		if err := json.Unmarshal(data, &list); err != nil {
			f.Fatal(err)
		}
		for i, item := range list.Items {
			f.Add(kind+uint8(min(i, 1)), []byte(item), []byte(item), true)
			f.Add(kind+uint8(min(i, 1)), []byte(`{"metadata":{"name":"x"}}`), []byte(item), false)
		}
	}
	for kind, text := range map[uint8]string{
		11: `{"metadata":{"name":"p"},"spec":{"podSelector":{},"egress":[{"to":[{"namespaceSelector":{}}],"ports":[{"port":53,"protocol":"UDP"}]}]}}`,
		12: `{"metadata":{"name":"i"},"spec":{"rules":[{"http":{"paths":[{"path":"/","backend":{"service":{"name":"web","port":{"number":80}}}}]}}]}}`,
		13: `{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"r"},"spec":{"rules":[{"matches":[{"path":{"value":"/"}}],"backendRefs":[{"name":"web","port":80}]}]}}`,
		14: `{"metadata":{"name":"c"},"data":{"url":"http://api:80"}}`,
	} {
		f.Add(kind, []byte(`{}`), []byte(text), true)
		f.Add(kind, []byte(text), []byte(text), false)
	}
	f.Fuzz(func(t *testing.T, kind uint8, before, after []byte, listed bool) {
		decode := func(data []byte) runtime.Object {
			o := kinds[int(kind)%len(kinds)]()
			if json.Unmarshal(data, o) != nil {
				return nil
			}
			Strip(o)
			return o
		}
		old, new := decode(before), decode(after)
		related := &cluster{}
		if d, ok := new.(*appsv1.Deployment); ok {
			related.deployment = d
		}
		for _, o := range []runtime.Object{old, new} {
			if r, ok := o.(*appsv1.ReplicaSet); ok {
				related.sets = append(related.sets, r)
			}
		}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, obs := range Between(old, new, at, listed, related) {
			if err := obs.Validate(); err != nil {
				t.Fatalf("invalid observation: %v", err)
			}
			if obs.Event != nil && len(obs.Event.Message) > maxMessage {
				t.Fatalf("message of %d bytes", len(obs.Event.Message))
			}
			data, err := json.Marshal(obs)
			if err != nil {
				t.Fatalf("can't be recorded: %v", err)
			}
			back, err := tapio.DecodeObservation(data)
			if err != nil {
				t.Fatalf("can't be read back: %v", err)
			}
			if again, err := json.Marshal(back); err != nil || !reflect.DeepEqual(data, again) {
				t.Fatalf("reads back as another: %v\n%s\n%s", err, data, again)
			}
		}
	})
}
