package controlplane

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"k8s.io/client-go/rest"
)

const partPage = `# TYPE scheduler_pending_pods gauge
scheduler_pending_pods{queue="active"} 7
scheduler_pending_pods{queue="backoff"} 2
scheduler_pending_pods{queue="unschedulable"} 40
# TYPE scheduler_scheduling_attempt_duration_seconds histogram
scheduler_scheduling_attempt_duration_seconds_bucket{profile="default-scheduler",result="scheduled",le="+Inf"} %[1]d
scheduler_scheduling_attempt_duration_seconds_sum{profile="default-scheduler",result="scheduled"} %[2]d
scheduler_scheduling_attempt_duration_seconds_count{profile="default-scheduler",result="scheduled"} %[1]d
# TYPE workqueue_depth gauge
workqueue_depth{name="replicaset"} 300
workqueue_depth{name="job"} 1
# TYPE workqueue_queue_duration_seconds histogram
workqueue_queue_duration_seconds_bucket{name="replicaset",le="+Inf"} %[1]d
workqueue_queue_duration_seconds_sum{name="replicaset"} %[2]d
workqueue_queue_duration_seconds_count{name="replicaset"} %[1]d
workqueue_queue_duration_seconds_bucket{name="job",le="+Inf"} 3
workqueue_queue_duration_seconds_sum{name="job"} 900
workqueue_queue_duration_seconds_count{name="job"} 3
`

// TestParts reads metrics over TLS: two slow intervals are told, then two quick
// ones end it. The credentials go to nobody whose certificate is not trusted.
func TestParts(t *testing.T) {
	count, sum, asked := 0, 0, ""
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path + " " + r.Header.Get("Authorization")
		fmt.Fprintf(w, partPage, count, sum)
	}))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	second := tapio.Duration(time.Second)
	config := Config{
		MonitorScheduler: true, MonitorController: true, SchedulerEndpoint: server.URL, ControllerManagerEndpoint: server.URL + "/", ComponentCAFile: ca,
		EtcdTimeout: second, PollInterval: second, HealthInterval: second, MetricsInterval: 5 * second, EtcdLatencyThreshold: second,
		APIServerLatencyThreshold: second, LeaderElectionTimeout: 10 * second, FailureThreshold: 3,
	}
	// That the API server is trusted blindly says nothing of others.
	api := &rest.Config{Host: "https://127.0.0.1:1", BearerToken: "mine", TLSClientConfig: rest.TLSClientConfig{Insecure: true, ServerName: "api"}}
	c, err := New(Options{Config: config, API: api})
	if err != nil {
		t.Fatal(err)
	}
	if m := c.Missing(); slices.ContainsFunc(m, func(s string) bool { return strings.Contains(s, "metrics of kube-") }) {
		t.Errorf("missing: %q", m)
	}
	var told []string
	round := func(n, seconds int) {
		count, sum = count+n, sum+seconds
		for _, p := range c.api.parts {
			for _, o := range p.scrape(t.Context())() {
				if o.Event != nil {
					told = append(told, fmt.Sprintf("%s %s: %s", o.Event.Type, o.Event.Reason, o.Event.Message))
				}
			}
		}
	}
	for _, p := range c.api.parts {
		p.lease.monitor.said = true // by its lease
	}
	round(100, 1)
	round(10, 150)
	if told != nil {
		t.Errorf("told after one slow interval: %q", told)
	}
	round(10, 150)
	round(100, 1)
	round(100, 1)
	want := []string{
		"scheduler_unhealthy Slow: an attempt to place a pod takes 15.0 s on average, and 9 wait to be placed",
		"controller_unhealthy Slow: work waits 15 s on average in its queue replicaset, which holds 300",
		"scheduler_healthy : ", "controller_healthy : ",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}

	// The work of a component that was stopped waited meanwhile.
	told = nil
	silence := func(since time.Duration, back bool) {
		for _, p := range c.api.parts {
			p.lease.moved, p.lease.back = time.Now().Add(-since), time.Time{}
			if back {
				p.lease.moved, p.lease.back = time.Now(), time.Now()
			}
		}
	}
	silence(20*time.Second, false)
	round(10, 300)
	silence(0, true)
	round(10, 300)
	silence(0, false)
	round(100, 1)
	if told != nil {
		t.Errorf("told of work that waited while nobody worked: %q", told)
	}
	if asked != "/metrics Bearer mine" {
		t.Errorf("asked for %q", asked)
	}

	asked = ""
	config.ComponentCAFile = ""
	if c, err = New(Options{Config: config, API: api}); err != nil {
		t.Fatal(err)
	}
	round(1, 1)
	if asked != "" {
		t.Errorf("a server that nobody vouches for got %q", asked)
	}
	if m := c.Missing(); !slices.ContainsFunc(m, func(s string) bool {
		return strings.HasPrefix(s, "metrics of "+tapio.ComponentScheduler+" at "+server.URL) && strings.Contains(s, "certificate")
	}) {
		t.Errorf("missing: %q", m)
	}
}

func FuzzPart(f *testing.F) {
	f.Add(fmt.Sprintf(partPage, 1, 2))
	f.Add("workqueue_depth{name=\"x\"} NaN\n")
	f.Fuzz(func(t *testing.T, page string) {
		s, err := readPart(strings.NewReader(page))
		if err == nil {
			slowScheduler(scrapedPart{}, s)
			slowController(scrapedPart{}, s)
		}
	})
}
