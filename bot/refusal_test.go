package bot

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// refusing answers some requests itself, as a Slack that doesn't like them.
type refusing struct {
	next   http.RoundTripper
	answer func(method, body string) string
}

func (r refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil {
		return r.next.RoundTrip(req)
	}
	body, _ := io.ReadAll(req.Body)
	method := req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]
	if a := r.answer(method, string(body)); a != "" {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a)), Request: req}, nil
	}
	req.Body = io.NopCloser(strings.NewReader(string(body)))
	return r.next.RoundTrip(req)
}

func refuse(answer func(method, body string) string) func(*Options) {
	return func(o *Options) {
		o.HTTPClient = &http.Client{Timeout: callTimeout, Transport: refusing{o.HTTPClient.Transport, answer}}
	}
}

func TestBlocksRefused(t *testing.T) {
	reg := prometheus.NewRegistry()
	played(t, slackfake.Options{}, func(w *world) {
		s := w.incident()
		w.toldPlainly(s)
		if n := testutil.ToFloat64(w.bot.count.plain); n < 4 {
			t.Errorf("%v plain messages were counted", n)
		}
	}, refuse(func(method, body string) string {
		if strings.HasPrefix(method, "chat.") && strings.Contains(body, "section") {
			return `{"ok":false,"error":"invalid_blocks"}`
		}
		return ""
	}), func(o *Options) { o.Registerer = reg })
}

// toldPlainly is toldOnce where Slack takes no blocks.
func (w *world) toldPlainly(s tapio.Story) {
	w.t.Helper()
	root := w.root("payments", s.ID)
	if !strings.HasPrefix(root.Text, "Resolved after") || root.Blocks != nil || len(root.Attachments) > 2 {
		w.t.Errorf("the root message is not the resolved one in plain text: %s %s", root.Text, root.Blocks)
	}
	all := texts(w.slack.Replies("payments", root.TS))
	for _, news := range []string{"news-1", "news-2", "news-3", "news-4"} {
		if strings.Count(all, news) != 1 {
			w.t.Errorf("%s is not said once: %s", news, all)
		}
	}
}

func TestReplyThatSlackNeverTakes(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		s := w.incident()
		if root := w.root("payments", s.ID); !strings.HasPrefix(root.Text, "Resolved after") {
			t.Errorf("the root message suffers from a bad reply: %s", root.Text)
		}
		w.said("payments", w.root("payments", s.ID), "news-3", "news-4")
		if n := testutil.ToFloat64(w.bot.count.dropped.WithLabelValues("news")); n != 2 {
			t.Errorf("%v news were counted as dropped, want 2", n)
		}
	}, refuse(func(method, body string) string {
		if method == "chat.postMessage" && strings.Contains(body, "news-1") && strings.Contains(body, "thread_ts") {
			return `{"ok":false,"error":"some_new_error"}`
		}
		return ""
	}))
}

// TestStray is about a reply that Slack puts into the channel, because the
// root message is gone.
func TestStray(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		s := onset()
		w.mem.save(s)
		w.wait(3 * time.Second)
		w.mem.save(after(s, tapio.NewsCause, "news-1"))
		w.settle()
		if n := testutil.ToFloat64(w.bot.count.posts.WithLabelValues("reply")); n != 1 {
			t.Errorf("%v replies", n)
		}
		w.said("payments", w.slack.Messages("payments")[1], "news-1")
	}, func(o *Options) {
		o.HTTPClient = &http.Client{Transport: &straying{next: o.HTTPClient.Transport}}
	})
}

// straying takes the thread out of the first reply.
type straying struct {
	next http.RoundTripper
	done bool
}

func (s *straying) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil {
		return s.next.RoundTrip(req)
	}
	body, _ := io.ReadAll(req.Body)
	text := string(body)
	if i := strings.Index(text, "thread_ts="); i >= 0 && !s.done {
		s.done = true
		text = text[:i] + "was_" + text[i:]
	}
	req.Body = io.NopCloser(strings.NewReader(text))
	req.ContentLength = int64(len(text))
	return s.next.RoundTrip(req)
}
