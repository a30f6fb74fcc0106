package controlplane

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yairfalse/tapio"
	"k8s.io/client-go/rest"
)

// broken is an API server that answers in time that it is not ready, and whose
// metrics never come.
type broken struct{}

func (broken) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/metrics" {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: http.StatusInternalServerError, Body: io.NopCloser(strings.NewReader("[-]etcd failed: reason withheld")), Request: r}, nil
}

// TestHangingMetrics has metrics that hang longer than a health interval: the
// health is asked at its intervals nevertheless.
func TestHangingMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := tapio.Duration(time.Second)
		c, err := New(Options{API: &rest.Config{Host: "http://api", Transport: broken{}}, Config: Config{
			MonitorAPIServer: true, EtcdTimeout: second, PollInterval: 30 * second, HealthInterval: second, MetricsInterval: 5 * second,
			EtcdLatencyThreshold: second, APIServerLatencyThreshold: second, LeaderElectionTimeout: 10 * second, FailureThreshold: 3,
		}})
		if err != nil {
			t.Fatal(err)
		}
		out := make(chan tapio.Observation)
		go c.Run(t.Context(), out)
		began := time.Now()
		for o := range out {
			if o.Event == nil {
				continue
			}
			if o.Event.Type != tapio.APIServerUnhealthy || o.Event.Reason != notReady {
				t.Errorf("told %s %s", o.Event.Type, o.Event.Reason)
			}
			break
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("told after %s, want the third check", took)
		}
	})
}
