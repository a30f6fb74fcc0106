package controlplane

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/yairfalse/tapio"
)

const (
	// scrapeTimeout bounds the reading of /metrics, which is megabytes where
	// there are many custom resources.
	scrapeTimeout = 15 * time.Second
	// maxKept bounds what is kept of it for parsing, in bytes.
	maxKept = 4 << 20
	// rejectedRate is how many requests a second the API server must refuse, on
	// average over a metrics interval, for that to be an overload. A client that
	// is told to come back once or twice is flow control at work.
	rejectedRate = 1.0
	// failedCalls is how many calls of a webhook must have failed within a
	// metrics interval.
	failedCalls = 2
)

// families reads a page of metrics line by line and parses only the families
// named, so that a page of megabytes costs little memory.
func families(page io.Reader, names ...string) (map[string]*dto.MetricFamily, error) {
	var kept bytes.Buffer
	lines := bufio.NewScanner(page)
	lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for lines.Scan() {
		line := lines.Bytes()
		if !wanted(line, names) {
			continue
		}
		if kept.Len()+len(line) > maxKept {
			return nil, fmt.Errorf("more than %d bytes of the metrics wanted", maxKept)
		}
		kept.Write(line)
		kept.WriteByte('\n')
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	return parser.TextToMetricFamilies(&kept)
}

func wanted(line []byte, names []string) bool {
	for _, prefix := range []string{"# TYPE ", ""} {
		rest, ok := bytes.CutPrefix(line, []byte(prefix))
		if !ok {
			continue
		}
		for _, name := range names {
			tail, ok := bytes.CutPrefix(rest, []byte(name))
			if !ok {
				continue
			}
			for _, suffix := range []string{"_sum", "_count", "_bucket", ""} {
				if t, ok := bytes.CutPrefix(tail, []byte(suffix)); ok && (len(t) == 0 || t[0] == '{' || t[0] == ' ') {
					return true
				}
			}
		}
	}
	return false
}

// counters adds up the counters of a family by one label.
func counters(f *dto.MetricFamily, label string, keep func(labels map[string]string) bool) map[string]float64 {
	out := map[string]float64{}
	for _, m := range f.GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		if keep == nil || keep(labels) {
			out[labels[label]] += m.GetCounter().GetValue() + m.GetUntyped().GetValue()
		}
	}
	return out
}

// scrapedAPI is what the last page of the API server's metrics said.
type scrapedAPI struct {
	at       time.Time
	rejected map[string]float64 // by priority level
	failed   map[string]float64 // calls that failed, by webhook
	calls    map[string]total   // by webhook
	slowest  string             // the webhook that takes long, in words
}

// total is a sum and a count of a histogram.
type total struct{ sum, count float64 }

const (
	familyRejected = "apiserver_flowcontrol_rejected_requests_total"
	familyFailed   = "apiserver_admission_webhook_rejection_count"
	familyFailOpen = "apiserver_admission_webhook_fail_open_count"
	familyCalls    = "apiserver_admission_webhook_admission_duration_seconds"
)

// scrape reads the API server's metrics and returns what compares them with
// those before.
func (a *apiServer) scrape(ctx context.Context) func() []tapio.Observation {
	next, err := a.read(ctx)
	return func() []tapio.Observation {
		if err != nil {
			if forbidden(err) {
				a.c.lacks("/metrics of the API server: the credentials may not get it — who is refused by flow control, and which webhook fails or is slow, is not seen")
			}
			return nil // that it does not answer is told by the health checks
		}
		last := a.scraped
		a.scraped = next
		if last.at.IsZero() {
			return nil
		}
		a.scraped.slowest = slowest(last, next, time.Duration(a.c.config.APIServerLatencyThreshold))
		refused, failing := rates(last, next)
		out := a.server.check(next.at, refused, func(s *symptom) bool { return s.reason == rejecting })
		return append(out, a.hooks.check(next.at, failing, func(*symptom) bool { return true })...)
	}
}

func (a *apiServer) read(ctx context.Context) (scrapedAPI, error) {
	page, err := fetch(ctx, a.http, strings.TrimSuffix(a.base.String(), "/")+"/metrics")
	if err != nil {
		return scrapedAPI{}, err
	}
	defer page.Close()
	f, err := families(page, familyRejected, familyFailed, familyFailOpen, familyCalls)
	if err != nil {
		return scrapedAPI{}, err
	}
	next := scrapedAPI{at: now(), rejected: counters(f[familyRejected], "priority_level", nil), calls: map[string]total{}}
	next.failed = counters(f[familyFailed], "name", func(l map[string]string) bool { return l["error_type"] == "calling_webhook_error" })
	for name, n := range counters(f[familyFailOpen], "name", nil) {
		next.failed[name] += n
	}
	for _, m := range f[familyCalls].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "name" {
				t := next.calls[l.GetValue()]
				t.sum += m.GetHistogram().GetSampleSum()
				t.count += float64(m.GetHistogram().GetSampleCount())
				next.calls[l.GetValue()] = t
			}
		}
	}
	return next, nil
}

// rates finds what happened too often between two pages: requests that were
// refused, and calls of webhooks that failed.
func rates(last, next scrapedAPI) (refused, failing []symptom) {
	seconds := next.at.Sub(last.at).Seconds()
	worst, sum, rate := "", 0.0, 0.0
	for level, n := range next.rejected {
		d := n - last.rejected[level]
		if d <= 0 {
			continue // none, or the server was started anew
		}
		sum += d
		if r := d / seconds; r > rate || r == rate && level < worst {
			worst, rate = level, r
		}
	}
	if per := sum / seconds; per >= rejectedRate {
		refused = append(refused, symptom{
			typ: tapio.APIServerOverload, severity: tapio.SeverityHigh, reason: rejecting, need: 2,
			message: fmt.Sprintf("it refuses %.0f requests a second (429), most of priority level %s", per, clip(worst)),
			attrs:   map[string]string{tapio.AttrDetail: clip(worst)},
		})
	}
	for name, n := range next.failed {
		if d := n - last.failed[name]; d >= failedCalls {
			failing = append(failing, symptom{
				typ: tapio.WebhookFailing, severity: tapio.SeverityHigh, reason: "CallFailed", object: clip(name), need: 2,
				message: fmt.Sprintf("%.0f calls of webhook %s failed within %.0f s", d, clip(name), seconds),
			})
		}
	}
	return refused, failing
}

// slowest names the webhook whose calls took longer than the threshold.
func slowest(last, next scrapedAPI, threshold time.Duration) string {
	name, mean := "", threshold.Seconds()
	for n, t := range next.calls {
		count := t.count - last.calls[n].count
		if count <= 0 {
			continue
		}
		if m := (t.sum - last.calls[n].sum) / count; m > mean {
			name, mean = n, m
		}
	}
	if name == "" {
		return ""
	}
	return fmt.Sprintf("calls of webhook %s take %.1f s", clip(name), mean)
}

// statusError is an answer that is no page of metrics.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("answered %d", int(e)) }

func forbidden(err error) bool {
	s, ok := err.(statusError)
	return ok && (s == http.StatusForbidden || s == http.StatusUnauthorized || s == http.StatusNotFound)
}

// fetch asks for a page of metrics. The caller closes it, which ends the
// request.
func fetch(ctx context.Context, client *http.Client, address string) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	resp, err := client.Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		cancel()
		return nil, statusError(resp.StatusCode)
	}
	return page{resp.Body, cancel}, nil
}

type page struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (p page) Close() error {
	defer p.cancel()
	return p.ReadCloser.Close()
}
