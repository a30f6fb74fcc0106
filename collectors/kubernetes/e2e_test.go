//go:build e2e

// The tests of this file need a cluster: the one that KUBECONFIG names, which
// must be able to run TAPIO_E2E_IMAGE (an image with sh; by default the one of
// the test cluster). They need no access to its nodes: outages are made by a
// proxy between the collector and the API server.

package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/yairfalse/tapio"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// patience is how long a test waits for something that a cluster does.
const patience = 60 * time.Second

func clusterConfig(t *testing.T) *rest.Config {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		t.Fatal("KUBECONFIG is not set: give these tests a cluster, such as the one of deploy/testbed")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func image() string {
	if image := os.Getenv("TAPIO_E2E_IMAGE"); image != "" {
		return image
	}
	return "testbed.local/busybox:1"
}

// workspace is a namespace of the test's own.
type workspace struct {
	kubernetes.Interface
	ns string
}

func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	config := clusterConfig(t)
	config.QPS, config.Burst = 100, 200
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "collector-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	w := &workspace{client, ns.Name}
	w.eventually(t, "the default service account", func() bool {
		_, err := client.CoreV1().ServiceAccounts(w.ns).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	})
	return w
}

func (w *workspace) eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s within %s", what, patience)
		}
	}
}

// pod creates a pod that runs a shell command.
func (w *workspace) pod(t *testing.T, name, command string) {
	t.Helper()
	grace := int64(0)
	_, err := w.CoreV1().Pods(w.ns).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{TerminationGracePeriodSeconds: &grace, Containers: []corev1.Container{{
			Name: "app", Image: image(), Command: []string{"sh", "-c", command},
			VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
		}}, Volumes: []corev1.Volume{{Name: "data"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// running waits until a pod runs.
func (w *workspace) running(t *testing.T, name string) {
	t.Helper()
	w.eventually(t, "running pod "+name, func() bool {
		pod, err := w.CoreV1().Pods(w.ns).Get(t.Context(), name, metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning
	})
}

// collected is what a running collector has sent.
type collected struct {
	*Collector
	t  *testing.T
	ns string

	mu  sync.Mutex
	all []tapio.Observation
}

// collect runs a collector until the test ends and waits for its first listing.
func collect(t *testing.T, ns string, o Options, change func(*Collector)) *collected {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(c)
	}
	got := &collected{Collector: c, t: t, ns: ns}
	ctx, cancel := context.WithCancel(context.Background())
	out := make(chan tapio.Observation)
	var running sync.WaitGroup
	ended := make(chan error, 1)
	running.Go(func() {
		ended <- c.Run(ctx, out)
		close(out)
	})
	running.Go(func() {
		var last time.Time
		for o := range out {
			if err := o.Validate(); err != nil {
				t.Errorf("invalid observation: %v", err)
			}
			if o.Time.Before(last) {
				t.Errorf("time %v after %v", o.Time, last)
			}
			last = o.Time
			got.mu.Lock()
			got.all = append(got.all, o)
			got.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	select {
	case <-c.Synced():
	case err := <-ended:
		t.Fatalf("Run: %v", err)
	case <-time.After(patience):
		t.Fatalf("no first listing within %s", patience)
	}
	return got
}

// find returns the observations of the test's namespace that match.
func (c *collected) find(match func(o *tapio.Observation) bool) (found []tapio.Observation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.all {
		o := &c.all[i]
		inside := o.Gap != nil || o.State != nil && o.State.Entity.Namespace == c.ns || o.Event != nil && o.Event.Entity.Namespace == c.ns
		if inside && match(o) {
			found = append(found, *o)
		}
	}
	return found
}

// await waits for an observation.
func (c *collected) await(what string, match func(o *tapio.Observation) bool) tapio.Observation {
	c.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if found := c.find(match); len(found) > 0 {
			return found[0]
		}
	}
	all := describeAll(c.find(func(o *tapio.Observation) bool { return true }))
	c.t.Fatalf("no %s within %s; the last of what there was:\n%s", what, patience, strings.Join(all[max(0, len(all)-30):], "\n"))
	return tapio.Observation{}
}

func isState(kind tapio.Kind, name string, match func(*tapio.State) bool) func(*tapio.Observation) bool {
	return func(o *tapio.Observation) bool {
		return o.State != nil && o.State.Entity.Kind == kind && o.State.Entity.Name == name && match(o.State)
	}
}

func isEvent(typ tapio.EventType, name string, match func(*tapio.Event) bool) func(*tapio.Observation) bool {
	return func(o *tapio.Observation) bool {
		return o.Event != nil && o.Event.Type == typ && o.Event.Entity.Name == name && match(o.Event)
	}
}

// hop stands between the collector and the API server.
type hop struct {
	config  *rest.Config // how to reach it
	down    atomic.Bool  // connections are closed without an answer
	expired atomic.Bool  // watches ask for a place in history that is long gone

	mu     sync.Mutex
	cancel map[int]context.CancelFunc
	next   int
}

func newHop(t *testing.T) *hop {
	config := clusterConfig(t)
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: target.Scheme, Host: target.Host}) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler)
		},
	}
	h := &hop{cancel: make(map[int]context.CancelFunc)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.down.Load() {
			panic(http.ErrAbortHandler)
		}
		q := r.URL.Query()
		if h.expired.Load() && q.Get("watch") != "" && q.Get("sendInitialEvents") == "" {
			q.Set("resourceVersion", "1")
			r.URL.RawQuery = q.Encode()
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		h.mu.Lock()
		id := h.next
		h.next++
		h.cancel[id] = cancel
		h.mu.Unlock()
		defer func() {
			h.mu.Lock()
			delete(h.cancel, id)
			h.mu.Unlock()
		}()
		proxy.ServeHTTP(w, r.WithContext(ctx))
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	t.Cleanup(func() {
		h.cut()
		server.Close()
	})
	h.config = &rest.Config{Host: server.URL}
	return h
}

// cut ends everything that is under way.
func (h *hop) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, cancel := range h.cancel {
		cancel()
	}
}

func describeAll(observations []tapio.Observation) (out []string) {
	for _, o := range observations {
		switch {
		case o.Event != nil:
			out = append(out, fmt.Sprintf("%s %s count=%d listed=%v %s %.60q", o.Event.Type, o.Event.Entity, o.Event.Count, o.Event.Listed, o.Event.Reason, o.Event.Message))
		case o.State != nil:
			out = append(out, fmt.Sprintf("state %s listed=%v deleted=%v", o.State.Entity, o.State.Listed, o.State.Deleted))
		case o.Gap != nil:
			out = append(out, fmt.Sprintf("gap %s %s %s", o.Gap.Resource, o.Gap.To.Sub(o.Gap.From), o.Gap.Reason))
		}
	}
	return out
}

func counted(m *metrics, result string) int {
	return int(testutil.ToFloat64(m.wants.WithLabelValues(result)))
}
