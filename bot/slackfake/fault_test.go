package slackfake

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// send posts over a real connection and returns status and body, or the error.
func send(base, token string, kv ...string) (int, string, error) {
	form := url.Values{"token": {token}}
	for i := 0; i < len(kv); i += 2 {
		form.Set(kv[i], kv[i+1])
	}
	resp, err := http.PostForm(base+"/api/chat.postMessage", form)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b := make([]byte, 4096)
	n, _ := resp.Body.Read(b)
	return resp.StatusCode, resp.Header.Get("Retry-After") + " " + string(b[:n]), nil
}

func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		kind   FaultKind
		status int
		has    string
		posted int
	}{
		{RateLimited, 429, "7 {", 0},
		{RateLimitedBare, 429, " {", 0},
		{RateLimitedOK, 200, "ratelimited", 0},
		{ServerError, 500, "internal_error", 0},
		{BadGateway, 502, "<html>", 0},
		{CutBefore, 0, "", 0},
		{CommitThenCut, 0, "", 1},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			w := New(Options{})
			srv := httptest.NewServer(w.Handler())
			defer srv.Close()
			w.Inject(Fault{Kind: tc.kind, Method: "chat.postMessage", Nth: 2, RetryAfter: 7 * time.Second})
			for i := range 3 {
				status, body, err := send(srv.URL, w.BotToken(), "channel", "incidents", "text", "x")
				if i != 1 {
					if status != 200 || err != nil {
						t.Fatalf("call %d: %d %v", i+1, status, err)
					}
					continue
				}
				if status != tc.status || !strings.Contains(body, tc.has) || (tc.status == 0) != (err != nil) {
					t.Errorf("call 2: %d %q %v", status, body, err)
				}
			}
			if got := len(w.Messages("incidents")); got != 2+tc.posted {
				t.Errorf("%d messages, want %d", got, 2+tc.posted)
			}
			calls := w.Calls("chat.postMessage")
			if len(calls) != 3 || calls[1].Fault != tc.kind {
				t.Errorf("calls %+v", calls)
			}
		})
	}
}

func TestFaultPrepares(t *testing.T) {
	w := New(Options{})
	w.Inject(Fault{Kind: Prepare, Method: "chat.postMessage", Nth: 2, Before: func(w *Workspace) { w.SetArchived("incidents", true) }})
	w.Inject(Fault{Kind: Prepare, Method: "chat.postMessage", Nth: 3, Before: func(w *Workspace) {
		w.SetArchived("incidents", false)
		w.SetBotMember("incidents", false)
	}})
	var got []any
	for range 3 {
		_, out := call(t, w, "chat.postMessage", "channel", "incidents", "text", "x")
		got = append(got, out["error"])
	}
	if got[0] != nil || got[1] != "is_archived" || got[2] != "not_in_channel" {
		t.Errorf("errors %v", got)
	}
}

func TestFaultSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Options{})
		defer w.Close()
		w.Inject(Fault{Kind: Slow, Method: "auth.test", Delay: 20 * time.Second, Times: 2})
		start := time.Now()
		for range 3 {
			call(t, w, "auth.test")
		}
		if took := time.Since(start); took != 40*time.Second {
			t.Errorf("took %v, want 40 s", took)
		}
	})
}

func TestRandomFaultsRepeat(t *testing.T) {
	run := func(seed uint64) string {
		w := New(Options{Seed: seed, NoRateLimits: true})
		w.InjectRandom(0.3, []FaultKind{ServerError, RateLimited}, "chat.postMessage")
		for range 200 {
			call(t, w, "chat.postMessage", "channel", "incidents", "text", "x")
			call(t, w, "auth.test")
		}
		var b strings.Builder
		for _, c := range w.Calls("") {
			b.WriteString(string(c.Fault) + ",")
		}
		return b.String()
	}
	one := run(1)
	if one != run(1) || one == run(2) {
		t.Error("the same seed should give the same faults, another one others")
	}
	if n := strings.Count(one, "500") + strings.Count(one, "429"); n < 30 || n > 90 {
		t.Errorf("%d faults in 200 calls at a share of 0.3", n)
	}
}
