package controlplane

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what the collector counts:
//
//	tapio_controlplane_requests_total{target,request,result}  requests sent: target etcd or api-server, result an HTTP status, or ok or error
//	tapio_controlplane_observations_total{type}               observations sent: event, state
//	tapio_controlplane_problems{component}                    problems that stand now
type metrics struct {
	requests     *prometheus.CounterVec
	observations *prometheus.CounterVec
	problems     *prometheus.GaugeVec
}

func newMetrics() *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "tapio", Subsystem: "controlplane", Name: name, Help: help}
	}
	return &metrics{
		requests:     prometheus.NewCounterVec(prometheus.CounterOpts(opts("requests_total", "Requests sent to the control plane.")), []string{"target", "request", "result"}),
		observations: prometheus.NewCounterVec(prometheus.CounterOpts(opts("observations_total", "Observations sent.")), []string{"type"}),
		problems:     prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("problems", "Problems of a component that stand now.")), []string{"component"}),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.requests, m.observations, m.problems} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// counted counts what goes over an HTTP connection.
type counted struct {
	next   http.RoundTripper
	target string
	count  *prometheus.CounterVec
}

// RoundTrip passes the request on and counts it by its path and status.
func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	result := "error"
	if err == nil {
		result = strconv.Itoa(resp.StatusCode)
	}
	c.count.WithLabelValues(c.target, r.URL.Path, result).Inc()
	return resp, err
}
