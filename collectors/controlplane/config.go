package controlplane

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// Config says what is watched, how often, and from when on it is told. The
// names are those of the seed design; [Config.Check] says what can't be meant.
type Config struct {
	MonitorEtcd       bool `json:"monitor_etcd"`
	MonitorAPIServer  bool `json:"monitor_api_server"`
	MonitorScheduler  bool `json:"monitor_scheduler"`
	MonitorController bool `json:"monitor_controller"`

	EtcdEndpoints []string       `json:"etcd_endpoints"` // URLs; empty: etcd is not asked
	EtcdTimeout   tapio.Duration `json:"etcd_timeout"`   // of one request
	EtcdCAFile    string         `json:"etcd_ca_file"`
	EtcdCertFile  string         `json:"etcd_cert_file"`
	EtcdKeyFile   string         `json:"etcd_key_file"`

	APIServerEndpoint string `json:"api_server_endpoint"` // URL; empty: the one of the kubeconfig

	// SchedulerEndpoint and ControllerManagerEndpoint are URLs whose /metrics are
	// read with the credentials of the kubeconfig; empty: they are not. Certificates
	// are verified with ComponentCAFile, or else the cluster's CA.
	SchedulerEndpoint         string `json:"scheduler_endpoint"`
	ControllerManagerEndpoint string `json:"controller_manager_endpoint"`
	ComponentCAFile           string `json:"component_ca_file"`

	PollInterval    tapio.Duration `json:"poll_interval"`    // of members and certificates
	HealthInterval  tapio.Duration `json:"health_interval"`  // of health, latency and leases
	MetricsInterval tapio.Duration `json:"metrics_interval"` // of /metrics; 0: never

	EtcdLatencyThreshold      tapio.Duration `json:"etcd_latency_threshold"`
	APIServerLatencyThreshold tapio.Duration `json:"api_server_latency_threshold"`
	LeaderElectionTimeout     tapio.Duration `json:"leader_election_timeout"`
	// FailureThreshold is how many checks in a row must fail before it is told:
	// what is over before that is a blip.
	FailureThreshold int `json:"failure_threshold"`
	// CertificateWarning is how long before its end a certificate is told of.
	CertificateWarning tapio.Duration `json:"certificate_warning"`
}

// Mistake is a value that can't be meant: the field, by its JSON name, and
// what is wrong with it.
type Mistake struct{ Field, Text string }

// Check returns the mistakes of a Config.
func (c *Config) Check() []Mistake {
	var out []Mistake
	add := func(field, format string, args ...any) {
		out = append(out, Mistake{field, fmt.Sprintf(format, args...)})
	}
	for i, e := range c.EtcdEndpoints {
		if u, err := url.Parse(e); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			add(fmt.Sprintf("etcd_endpoints[%d]", i), "%q is not a URL such as https://10.0.0.1:2379", e)
		}
	}
	if (c.EtcdCertFile == "") != (c.EtcdKeyFile == "") {
		add("etcd_cert_file", "a client certificate needs both etcd_cert_file and etcd_key_file")
	}
	if e := c.APIServerEndpoint; e != "" {
		if u, err := url.Parse(e); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			add("api_server_endpoint", "%q is not a URL such as https://10.0.0.1:6443; leave it empty for the one of the kubeconfig", e)
		}
	}
	for _, e := range []struct{ field, value, port string }{
		{"scheduler_endpoint", c.SchedulerEndpoint, "10259"}, {"controller_manager_endpoint", c.ControllerManagerEndpoint, "10257"},
	} {
		if u, err := url.Parse(e.value); e.value != "" && (err != nil || u.Host == "" || u.Scheme != "https") {
			add(e.field, "%q is not a URL such as https://10.0.0.1:%s", e.value, e.port)
		}
	}
	for _, d := range []struct {
		field string
		value tapio.Duration
		least time.Duration
	}{
		{"etcd_timeout", c.EtcdTimeout, 100 * time.Millisecond},
		{"poll_interval", c.PollInterval, time.Second},
		{"health_interval", c.HealthInterval, time.Second},
		{"etcd_latency_threshold", c.EtcdLatencyThreshold, time.Millisecond},
		{"api_server_latency_threshold", c.APIServerLatencyThreshold, time.Millisecond},
		{"leader_election_timeout", c.LeaderElectionTimeout, 10 * time.Second},
	} {
		if time.Duration(d.value) < d.least {
			add(d.field, "is %s; it must be at least %s", time.Duration(d.value), d.least)
		}
	}
	if m := time.Duration(c.MetricsInterval); m != 0 && m < 5*time.Second {
		add("metrics_interval", "is %s; it must be at least 5s, or 0 for never: /metrics of an API server can be megabytes", m)
	}
	if c.FailureThreshold < 1 {
		add("failure_threshold", "is %d; say how many checks in a row must fail, such as 3", c.FailureThreshold)
	}
	return out
}

// apiServer reports whether anything is asked of the API server.
func (c *Config) apiServer() bool {
	return c.MonitorAPIServer || c.MonitorScheduler || c.MonitorController
}

// etcdTLS is how etcd is spoken to, or nil for plain connections.
func (c *Config) etcdTLS() (*tls.Config, error) {
	encrypted := false
	for _, e := range c.EtcdEndpoints {
		encrypted = encrypted || strings.HasPrefix(e, "https:")
	}
	if !encrypted {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.EtcdCAFile != "" {
		text, err := os.ReadFile(c.EtcdCAFile)
		if err != nil {
			return nil, fmt.Errorf("read etcd_ca_file: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("etcd_ca_file %s holds no certificate", c.EtcdCAFile)
		}
	}
	if c.EtcdCertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.EtcdCertFile, c.EtcdKeyFile)
		if err != nil {
			return nil, fmt.Errorf("read etcd_cert_file and etcd_key_file: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}
