package kubernetes

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/yairfalse/tapio"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

func TestNewSaysWhatIsWrong(t *testing.T) {
	registry := prometheus.NewRegistry()
	config := &rest.Config{Host: "127.0.0.1:1"}
	if _, err := New(Options{Config: config, Registerer: registry}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		options Options
		want    string
	}{
		{"no configuration", Options{}, "give a kubeconfig or run inside a cluster"},
		{"an empty namespace", Options{Config: config, Namespaces: []string{"shop", ""}}, "leave the list empty"},
		{"a certificate that is none", Options{Config: &rest.Config{Host: "https://127.0.0.1:1", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("x")}}}, "make a client for https://127.0.0.1:1"},
		{"metrics that exist", Options{Config: config, Registerer: registry}, "register the metrics"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := New(test.options); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestNewLeavesTheConfigurationAlone(t *testing.T) {
	config := &rest.Config{Host: "127.0.0.1:1"}
	if _, err := New(Options{Config: config}); err != nil {
		t.Fatal(err)
	}
	if config.ContentType != "" || config.RateLimiter != nil || config.UserAgent != "" {
		t.Errorf("the caller's configuration was changed: %v", config)
	}
}

func TestRunFailsFastWhereNothingListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	listener.Close()
	c := newCollector(t, host)
	err = c.Run(t.Context(), make(chan tapio.Observation))
	if err == nil || !strings.Contains(err.Error(), host) || !strings.Contains(err.Error(), "kubeconfig context is the right one") {
		t.Errorf("error %v, want one that names %s and what to check", err, host)
	}
	if err := c.Run(t.Context(), make(chan tapio.Observation)); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("second Run: %v, want an error that says so", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newCollector(t, host).Run(ctx, make(chan tapio.Observation)); err != nil {
		t.Errorf("Run that was told to stop: %v, want nil", err)
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	c := newCollector(t, "127.0.0.1:1")
	c.queue.put(event("a"))
	c.metrics.want("answered")
	c.metrics.watch(scopedKind{kinds()[0], ""}, func() bool { return true })
	problems, err := testutil.CollectAndLint(c.metrics)
	if err != nil || len(problems) != 0 {
		t.Errorf("%v %v", problems, err)
	}
	want := `
# HELP tapio_kubernetes_queue_length Observations that wait in the queue.
# TYPE tapio_kubernetes_queue_length gauge
tapio_kubernetes_queue_length 1
# HELP tapio_kubernetes_watch_up 1 while a resource is listed and watched.
# TYPE tapio_kubernetes_watch_up gauge
tapio_kubernetes_watch_up{namespace="",resource="namespaces"} 1
`
	if err := testutil.CollectAndCompare(c.metrics, strings.NewReader(want), "tapio_kubernetes_queue_length", "tapio_kubernetes_watch_up"); err != nil {
		t.Error(err)
	}
}

func TestKindsSayWhatTheyLack(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range kinds() {
		if k.lacks == "" || k.object == nil || seen[k.resource] {
			t.Errorf("%s is incomplete or listed twice", k.resource)
		}
		if k.resource == "secrets" {
			t.Error("Secrets are never read")
		}
		seen[k.resource] = true
	}
}

func TestClientLibraryLogsQuietly(t *testing.T) {
	var out bytes.Buffer
	handler := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})
	klog.SetSlogLogger(slog.New(quiet{handler}))
	klog.InfoS("chatter")
	klog.ErrorS(nil, "watch failed")
	klog.LoggerWithName(klog.Background(), "reflector").WithValues("type", "Pod").Info("more chatter")
	if got := out.String(); strings.Contains(got, "chatter") || !strings.Contains(got, `level=WARN msg="watch failed"`) {
		t.Errorf("logged:\n%s", got)
	}
}
