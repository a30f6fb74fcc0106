package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio/bot/slackfake"
	"github.com/yairfalse/tapio/cmd/tapio/config"
	"github.com/yairfalse/tapio/cmd/tapio/lifecycle"
)

// TestStartSlack starts with every set of secrets that a person may have given:
// what is lacking costs what needs it, and is said.
func TestStartSlack(t *testing.T) {
	for _, tt := range []struct {
		name              string
		bot, app, signing string
		socket            bool
		handler           bool
		log               string
	}{
		{name: "no token", socket: true, log: "set the environment variable SLACK_BOT_TOKEN"},
		{name: "all of Socket Mode", bot: "xoxb-1", app: "xapp-1", socket: true},
		{name: "no app token", bot: "xoxb-1", socket: true, log: "set the environment variable SLACK_APP_TOKEN"},
		{name: "request URLs", bot: "xoxb-1", signing: "s", handler: true},
		{name: "no signing secret", bot: "xoxb-1", log: "set the environment variable SLACK_SIGNING_SECRET"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("SLACK_BOT_TOKEN", tt.bot)
			t.Setenv("SLACK_APP_TOKEN", tt.app)
			t.Setenv("SLACK_SIGNING_SECRET", tt.signing)
			c, err := config.Default()
			if err != nil {
				t.Fatal(err)
			}
			c.Slack.SocketMode, c.Slack.APIURL = tt.socket, "http://127.0.0.1:1/api/"
			var log strings.Builder
			parts := lifecycle.New()
			s, err := startSlack(parts, runOptions{config: c, log: slog.New(slog.NewTextHandler(&log, nil))}, openStore(t), nil, extras{})
			if err != nil {
				t.Fatal(err)
			}
			if err := parts.Stop(stopTimeout); err != nil {
				t.Error(err)
			}
			if (s.handler != nil) != tt.handler {
				t.Errorf("handler is %v", s.handler)
			}
			if !strings.Contains(log.String(), tt.log) {
				t.Errorf("log: %s\nwant %s", log.String(), tt.log)
			}
			if strings.Contains(log.String(), "xoxb-1") || strings.Contains(log.String(), "xapp-1") {
				t.Errorf("the log shows a token: %s", log.String())
			}
		})
	}
}

// TestWrongToken says in readyz that the token was refused.
func TestWrongToken(t *testing.T) {
	t.Setenv("SLACK_BOT_TOKEN", "xoxb-wrong")
	t.Setenv("SLACK_APP_TOKEN", "xapp-wrong")
	parts := lifecycle.New()
	defer func() {
		if err := parts.Stop(stopTimeout); err != nil {
			t.Error(err)
		}
	}()
	_, url, err := startWorkspace(parts, "127.0.0.1:0", slackfake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Default()
	if err != nil {
		t.Fatal(err)
	}
	c.Slack.APIURL = url + "api/"
	s, err := startSlack(parts, runOptions{config: c, log: slog.New(slog.DiscardHandler)}, openStore(t), nil, extras{})
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(s.lacking(), "invalid_auth") {
		if time.Now().After(deadline) {
			t.Fatalf("lacking: %q", s.lacking())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestFront answers from the first moment on: alive at once, ready later.
func TestFront(t *testing.T) {
	h, f := &health{}, &front{}
	f.serve(h.starting())
	server := httptest.NewServer(f)
	defer server.Close()
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, strings.TrimSpace(string(body))
	}
	if code, _ := get("/healthz"); code != 200 {
		t.Errorf("healthz answers %d while starting", code)
	}
	if code, body := get("/readyz"); code != 503 || body != "tapio is starting" {
		t.Errorf("readyz answers %d %s while starting", code, body)
	}
	f.serve(http.NotFoundHandler())
	if code, _ := get("/readyz"); code != 404 {
		t.Errorf("the next handler was not used: %d", code)
	}

	lacks := "kubernetes: the first listing is not complete"
	h.add(func() string { return "" })
	h.add(func() string { return lacks })
	if got := h.lacking(); len(got) != 1 || got[0] != lacks {
		t.Errorf("lacking %q", got)
	}
}
