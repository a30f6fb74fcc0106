package controlplane

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/yairfalse/tapio"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const (
	// probeTimeout bounds one request: /readyz asks etcd twice, 2 s each, and a
	// health interval is 10 s.
	probeTimeout = 8 * time.Second
	// maxAnswer bounds what is read of an answer, in bytes: a page of leases is
	// some 100 KB at most.
	maxAnswer  = 1 << 20
	readyzPath = "/readyz"
	// leasesPath is answered from etcd, as no resourceVersion is given: it is the
	// cheap read whose latency is measured.
	leasesPath = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
)

// Reasons of what stands against the API server.
const (
	unreachable    = "Unreachable"
	notReady       = "NotReady"
	storageFailing = "StorageFailing"
	slow           = "Slow"
	throttled      = "Throttled"
	rejecting      = "Rejecting"
	expiring       = "Expiring"
)

// apiServer asks the API server.
type apiServer struct {
	c       *Collector
	base    *url.URL
	http    *http.Client
	client  time.Time // when the client's own certificate ends; zero: it has none
	watches func() (all, lost int)
	server  *monitor
	certs   *monitor
	hooks   *monitor
	leases  []*lease
	parts   []*part
	writes  *writes // nil: etcd says itself how it is
	scraped scrapedAPI
}

func newAPIServer(c *Collector, config *rest.Config, watches func() (all, lost int)) (*apiServer, error) {
	given := config
	config = rest.CopyConfig(given)
	if c.config.APIServerEndpoint != "" {
		config.Host = c.config.APIServerEndpoint
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return counted{next, "api-server", c.metrics.requests} })
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("control plane: make a client for %s: %w", config.Host, err)
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("control plane: %s is no address of an API server: %w", config.Host, err)
	}
	a := &apiServer{c: c, base: base, http: client, watches: watches, client: clientCertificate(config)}
	a.server = newMonitor(tapio.ComponentAPIServer, tapio.APIServerHealthy, c.config.FailureThreshold)
	a.certs = newMonitor(tapio.ComponentCertificates, "", 1)
	a.hooks = newMonitor(tapio.ComponentWebhooks, tapio.WebhookAnswering, c.config.FailureThreshold)
	if c.config.MonitorScheduler {
		a.leases = append(a.leases, newLease(c, tapio.ComponentScheduler, tapio.SchedulerHealthy, tapio.SchedulerUnhealthy))
	}
	if c.config.MonitorController {
		a.leases = append(a.leases, newLease(c, tapio.ComponentControllerManager, tapio.ControllerHealthy, tapio.ControllerUnhealthy))
	}
	if c.config.MetricsInterval > 0 {
		if a.parts, err = newParts(c, given, a.leases); err != nil {
			return nil, err
		}
	}
	if c.config.MonitorEtcd && len(c.config.EtcdEndpoints) == 0 {
		a.writes = newWrites(c)
	}
	return a, nil
}

// clientCertificate returns when the client certificate of the configuration
// ends, or zero.
func clientCertificate(config *rest.Config) time.Time {
	t, err := rest.TLSConfigFor(config)
	if err != nil || t == nil || len(t.Certificates) == 0 || len(t.Certificates[0].Certificate) == 0 {
		return time.Time{}
	}
	leaf, err := x509.ParseCertificate(t.Certificates[0].Certificate[0])
	if err != nil {
		return time.Time{}
	}
	return leaf.NotAfter.UTC()
}

// answer is what came of one request.
type answer struct {
	status   int // 0: nobody answered
	body     []byte
	took     time.Duration
	err      error
	notAfter time.Time // of the certificate that was shown
}

func (a *apiServer) get(ctx context.Context, path, query string) answer {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	u := *a.base
	u.Path, u.RawQuery = strings.TrimSuffix(u.Path, "/")+path, query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return answer{err: err}
	}
	req.Header.Set("Accept", "application/json, */*")
	began := time.Now()
	resp, err := a.http.Do(req)
	if err != nil {
		// A connection that answers nothing must not be the next one's too.
		a.http.CloseIdleConnections()
		return answer{err: err, took: time.Since(began)}
	}
	defer resp.Body.Close()
	out := answer{status: resp.StatusCode}
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		out.notAfter = resp.TLS.PeerCertificates[0].NotAfter.UTC()
	}
	out.body, out.err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	out.took = time.Since(began)
	if out.err != nil {
		out.status = 0
	}
	return out
}

// gone reports whether nobody answered, or only what stands before the server.
func (x answer) gone() bool {
	return x.status == 0 || x.status == http.StatusBadGateway || x.status == http.StatusServiceUnavailable || x.status == http.StatusGatewayTimeout
}

// why says in a few words what was answered instead.
func (x answer) why() string {
	switch {
	case errors.Is(x.err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", probeTimeout)
	case x.err != nil:
		return innermost(x.err)
	}
	var status metav1.Status
	if json.Unmarshal(x.body, &status) == nil && status.Message != "" {
		return clip(status.Message)
	}
	return strings.TrimSpace(strconv.Itoa(x.status) + " " + http.StatusText(x.status))
}

// health asks the server and returns what to make of the answers.
func (a *apiServer) health(ctx context.Context) func(time.Time) []tapio.Observation {
	var ready, list answer
	var asked sync.WaitGroup
	asked.Go(func() { ready = a.get(ctx, readyzPath, "verbose") })
	asked.Go(func() { list = a.get(ctx, leasesPath, "limit=200") })
	asked.Wait()
	return func(now time.Time) []tapio.Observation {
		var out []tapio.Observation
		if a.c.config.MonitorAPIServer {
			out = a.judge(now, ready, list)
		}
		if list.status != http.StatusOK {
			if list.status == http.StatusForbidden {
				a.c.lacks("leases of kube-system: the credentials lack list on leases — a scheduler or controller manager that is down is told once pods wait for it")
			}
			return out
		}
		var leases coordinationv1.LeaseList
		if err := json.Unmarshal(list.body, &leases); err != nil {
			a.c.lacks("leases of kube-system: the answer could not be read (" + clip(err.Error()) + ") — a scheduler or controller manager that is down is told once pods wait for it")
			return out
		}
		if a.writes != nil {
			out = append(out, a.writes.check(now, leases.Items)...)
		}
		for _, l := range a.leases {
			out = append(out, l.check(now, leases.Items)...)
		}
		return out
	}
}

// judge compares what was answered with the thresholds.
func (a *apiServer) judge(now time.Time, ready, list answer) []tapio.Observation {
	if ready.gone() && list.gone() {
		s := symptom{typ: tapio.APIServerUnhealthy, severity: tapio.SeverityCritical, reason: unreachable, message: list.why() + a.lostWatches()}
		// Of all else nothing is known now.
		return a.server.check(now, []symptom{s}, func(s *symptom) bool { return s.reason == unreachable })
	}
	limit := time.Duration(a.c.config.APIServerLatencyThreshold)
	var found []symptom
	add := func(typ tapio.EventType, severity tapio.Severity, reason, message, detail string) {
		s := symptom{typ: typ, severity: severity, reason: reason, message: message}
		if detail != "" {
			s.attrs = map[string]string{tapio.AttrDetail: detail}
		}
		found = append(found, s)
	}
	switch {
	case ready.status == http.StatusOK:
	case ready.status == http.StatusUnauthorized, ready.status == http.StatusForbidden:
		a.c.lacks("/readyz of the API server: the credentials may not get it — which of its checks fails is not seen, only whether it answers")
	case ready.status == http.StatusTooManyRequests:
		add(tapio.APIServerThrottling, tapio.SeverityMedium, throttled, "/readyz: "+ready.why(), "")
	default:
		failed := failedChecks(ready.body)
		message := "/readyz: " + ready.why()
		if len(failed) > 0 {
			message = "failing checks: " + strings.Join(failed, ", ")
		}
		add(tapio.APIServerUnhealthy, tapio.SeverityHigh, notReady, message, strings.Join(failed, ", "))
	}
	switch {
	case list.status == http.StatusTooManyRequests && len(found) == 0:
		add(tapio.APIServerThrottling, tapio.SeverityMedium, throttled, list.why(), "")
	case list.status == 0, list.took > limit && list.status < 400:
		message := fmt.Sprintf("a cheap read took %d ms", list.took.Milliseconds())
		if list.status == 0 {
			message = "a cheap read: " + list.why()
		}
		add(tapio.APIServerOverload, tapio.SeverityHigh, slow, message+a.lostWatches(), a.scraped.slowest)
		found[len(found)-1].attrs = map[string]string{tapio.AttrLatency: strconv.FormatInt(list.took.Milliseconds(), 10), tapio.AttrDetail: a.scraped.slowest}
	case list.status >= 500:
		add(tapio.APIServerUnhealthy, tapio.SeverityHigh, storageFailing, "a read: "+list.why(), "")
	}
	// What is refused of others is told by /metrics.
	out := a.server.check(now, found, func(s *symptom) bool { return s.reason != rejecting })
	return append(out, a.certificates(now, maxTime(ready.notAfter, list.notAfter))...)
}

// certificates tells of those that end soon.
func (a *apiServer) certificates(now, server time.Time) []tapio.Observation {
	var found []symptom
	for _, c := range []struct {
		whose string
		ends  time.Time
	}{{"the API server", server}, {"Tapio's own client", a.client}} {
		left := c.ends.Sub(now)
		if c.ends.IsZero() || left > time.Duration(a.c.config.CertificateWarning) {
			continue
		}
		message := "it ends at " + c.ends.Format(time.RFC3339)
		if left < 0 {
			message = "it ended at " + c.ends.Format(time.RFC3339)
		}
		found = append(found, symptom{typ: tapio.CertificateExpiring, severity: tapio.SeverityMedium, reason: expiring, object: c.whose, message: message})
	}
	return a.certs.check(now, found, func(*symptom) bool { return true })
}

// lostWatches says how many of Tapio's own watches have no contact, in words
// that end a message.
func (a *apiServer) lostWatches() string {
	if a.watches == nil {
		return ""
	}
	all, lost := a.watches()
	if lost == 0 {
		return ""
	}
	return fmt.Sprintf("; %d of Tapio's %d watches have no contact", lost, all)
}

// failedChecks returns the names of the checks that /readyz?verbose says have
// failed, at most ten.
func failedChecks(body []byte) []string {
	var out []string
	for line := range strings.SplitSeq(string(body), "\n") {
		name, ok := strings.CutPrefix(line, "[-]")
		if !ok || len(out) == 10 {
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		if name = clip(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// maxWords bounds the words of an error or a message, in bytes.
const maxWords = 240

func clip(s string) string {
	s = strings.ToValidUTF8(strings.Join(strings.Fields(s), " "), "")
	if len(s) > maxWords {
		s = strings.ToValidUTF8(s[:maxWords], "") + "…"
	}
	return s
}

// innermost returns what an error says happened; what is around it repeats the
// address.
func innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || inner.Error() == "" {
			return clip(err.Error())
		}
		err = inner
	}
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
