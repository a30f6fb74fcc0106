package dump

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/yairfalse/tapio/collectors/kubernetes/facts"
)

// object is what all decoded objects are.
type object interface {
	k8sruntime.Object
	metav1.Object
}

// known returns what makes an empty object of a kind that has a meaning here,
// or nil. Versions of one group differ in nothing that is read.
func known(kind, version string) func() object {
	group, _, ok := strings.Cut(version, "/")
	if !ok {
		group = ""
	}
	switch group + "/" + kind {
	case "/Pod":
		return func() object { return new(corev1.Pod) }
	case "/Event":
		return func() object { return new(corev1.Event) }
	case "events.k8s.io/Event":
		return func() object { return new(eventsv1.Event) }
	case "/Node":
		return func() object { return new(corev1.Node) }
	case "/Namespace":
		return func() object { return new(corev1.Namespace) }
	case "/Service":
		return func() object { return new(corev1.Service) }
	case "/Endpoints":
		return func() object { return new(corev1.Endpoints) }
	case "/ConfigMap":
		return func() object { return new(corev1.ConfigMap) }
	case "/PersistentVolumeClaim":
		return func() object { return new(corev1.PersistentVolumeClaim) }
	case "/PersistentVolume":
		return func() object { return new(corev1.PersistentVolume) }
	case "/ResourceQuota":
		return func() object { return new(corev1.ResourceQuota) }
	case "/LimitRange":
		return func() object { return new(corev1.LimitRange) }
	case "apps/Deployment":
		return func() object { return new(appsv1.Deployment) }
	case "apps/ReplicaSet":
		return func() object { return new(appsv1.ReplicaSet) }
	case "apps/StatefulSet":
		return func() object { return new(appsv1.StatefulSet) }
	case "apps/DaemonSet":
		return func() object { return new(appsv1.DaemonSet) }
	case "batch/Job":
		return func() object { return new(batchv1.Job) }
	case "batch/CronJob":
		return func() object { return new(batchv1.CronJob) }
	case "discovery.k8s.io/EndpointSlice":
		return func() object { return new(discoveryv1.EndpointSlice) }
	case "storage.k8s.io/StorageClass":
		return func() object { return new(storagev1.StorageClass) }
	case "autoscaling/HorizontalPodAutoscaler":
		return func() object { return new(autoscalingv2.HorizontalPodAutoscaler) }
	case "admissionregistration.k8s.io/ValidatingWebhookConfiguration":
		return func() object { return new(admissionv1.ValidatingWebhookConfiguration) }
	case "admissionregistration.k8s.io/MutatingWebhookConfiguration":
		return func() object { return new(admissionv1.MutatingWebhookConfiguration) }
	case "networking.k8s.io/NetworkPolicy":
		return func() object { return new(networkingv1.NetworkPolicy) }
	case "networking.k8s.io/Ingress":
		return func() object { return new(networkingv1.Ingress) }
	case "gateway.networking.k8s.io/HTTPRoute", "apiregistration.k8s.io/APIService":
		return func() object { return new(unstructured.Unstructured) }
	case "policy/PodDisruptionBudget":
		return func() object { return new(policyv1.PodDisruptionBudget) }
	case "coordination.k8s.io/Lease":
		return func() object { return new(coordinationv1.Lease) }
	}
	return nil
}

// task is one object to decode, and where it stands.
type task struct {
	file string
	at   int64 // byte offset in the file
	kind string
	raw  json.RawMessage
	make func() object
}

// batch is a run of tasks in the order in which they stand, and what became of
// them.
type batch struct {
	tasks    []task
	objects  []object
	warnings []string
	newest   time.Time
}

// decoding turns JSON into stripped objects on all processors, in order.
type decoding struct {
	ctx     context.Context
	current *batch
	size    int // bytes in current
	batches []*batch
	// work is filled by the reader of files and closed by it. Two batches for
	// each worker keep them busy; a full channel holds the reader back.
	work    chan *batch
	workers sync.WaitGroup
	once    sync.Once
	newest  time.Time
}

func newDecoding(ctx context.Context) *decoding {
	n := runtime.GOMAXPROCS(0)
	d := &decoding{ctx: ctx, current: new(batch), work: make(chan *batch, 2*n)}
	for range n {
		d.workers.Go(func() {
			for b := range d.work {
				b.run()
			}
		})
	}
	return d
}

// batchBytes is how much JSON is handed over at once: enough that handing over
// costs nothing, little enough that all processors get some.
const batchBytes = 256 << 10

func (d *decoding) add(t task) error {
	d.current.tasks = append(d.current.tasks, t)
	if d.size += len(t.raw); d.size < batchBytes {
		return nil
	}
	return d.flush()
}

func (d *decoding) flush() error {
	b := d.current
	d.current, d.size = new(batch), 0
	d.batches = append(d.batches, b)
	select {
	case d.work <- b:
		return nil
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
}

// stop ends the workers. It may be called twice.
func (d *decoding) stop() {
	d.once.Do(func() { close(d.work) })
	d.workers.Wait()
}

// finish waits for the workers and returns all objects in order.
func (d *decoding) finish(warn func(string, ...any)) ([]object, error) {
	if err := d.flush(); err != nil {
		return nil, err
	}
	d.stop()
	var out []object
	for _, b := range d.batches {
		out = append(out, b.objects...)
		for _, w := range b.warnings {
			warn("%s", w)
		}
		if b.newest.After(d.newest) {
			d.newest = b.newest
		}
	}
	d.batches = nil
	return out, nil
}

func (b *batch) run() {
	b.objects = make([]object, 0, len(b.tasks))
	for i := range b.tasks {
		t := &b.tasks[i]
		o := t.make()
		if err := json.Unmarshal(t.raw, o); err != nil {
			b.warnings = append(b.warnings, fmt.Sprintf("%s: the %s at byte %d is left out: %v", t.file, t.kind, t.at, err))
			continue
		}
		if when := newest(o); when.After(b.newest) {
			b.newest = when
		}
		if o.GetName() == "" {
			continue
		}
		facts.Strip(o) // in place; it never fails
		b.objects = append(b.objects, o)
	}
	b.tasks = nil
}
