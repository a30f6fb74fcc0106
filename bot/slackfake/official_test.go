//go:build official

package slackfake

import (
	"bufio"
	"context"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestOfficialClients lets code that nobody here wrote judge the workspace:
// @slack/web-api, @slack/socket-mode and @slack/bolt. "make official" installs
// them and runs it.
func TestOfficialClients(t *testing.T) {
	w := New(Options{
		Channels: []Channel{{Name: "incidents"}, {Name: "elsewhere", NoBot: true}, {Name: "open", NoBot: true}},
		Groups:   []Group{{Handle: "sre", Users: []string{"you"}}},
	})
	srv := httptest.NewServer(w.Handler())
	defer srv.Close()
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	cmd := exec.CommandContext(ctx, "node", "clients.mjs")
	cmd.Dir = "testdata/official"
	cmd.Env = append(os.Environ(), "URL="+srv.URL, "BOT_TOKEN="+w.BotToken(), "APP_TOKEN="+w.AppToken(), "SIGNING_SECRET="+w.SigningSecret(), "PORT="+port, "USER="+w.UserID("you"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("node: %v: install Node 20", err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
		t.Log(lines.Text())
	}
	if lines.Text() != "ready" {
		t.Fatalf("the clients are not satisfied: %v", cmd.Wait())
	}
	commands := func() {
		t.Helper()
		for text, want := range map[string]string{"ack": "in the acknowledgement", "post": "as an ephemeral", "list": "over the response URL"} {
			m, err := w.Command(ctx, "you", "incidents", "/tapio "+text)
			if err != nil || m.Text != want || !m.Ephemeral {
				t.Errorf("/tapio %s: %+v %v", text, m, err)
			}
		}
	}
	commands()

	ts := post(t, w, append(buttons, "channel", "incidents")...)
	v := w.watch()
	defer w.unwatch(v)
	if err := w.Click(ctx, Action{User: "you", Channel: "incidents", TS: ts, ActionID: "ack", BlockID: "low"}); err != nil {
		t.Error(err)
	}
	select {
	case <-v.changes:
	case <-ctx.Done():
		t.Fatal("the click changed nothing")
	}
	if all := w.Messages("incidents"); all[len(all)-1].Text != "s2 acknowledged by "+w.UserID("you") {
		t.Errorf("after the click: %+v", all[len(all)-1])
	}

	eventually := func(what string, ok func() bool) {
		t.Helper()
		for !ok() {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				t.Fatalf("%s: it never came to be", what)
			}
		}
	}
	homeSays := func(text string) func() bool {
		return func() bool { v, _ := w.Home("you"); return strings.Contains(string(v.Blocks), text) }
	}
	second := post(t, w, append(buttons, "channel", "incidents")...)
	if err := w.OpenHome(ctx, "you"); err != nil {
		t.Error(err)
	}
	eventually("the App Home", homeSays("Refresh"))
	if err := w.ClickView(ctx, Action{User: "you", ActionID: "refresh"}, true); err != nil {
		t.Error(err)
	}
	eventually("a click in the App Home", homeSays("refreshed"))

	go w.Command(ctx, "you", "incidents", "/tapio modal")
	eventually("the modal", func() bool { _, ok := w.Modal("you"); return ok })
	if err := w.Submit(ctx, "you", map[string]string{"text": "bad"}); err != nil {
		t.Error(err)
	}
	if v, ok := w.Modal("you"); !ok || v.Errors["text"] != "not that" {
		t.Errorf("the modal after a mistake: %+v", v)
	}
	if err := w.Submit(ctx, "you", map[string]string{"text": "good"}); err != nil {
		t.Error(err)
	}
	eventually("the note", func() bool {
		all := w.Messages("incidents")
		return all[len(all)-1].Text == w.UserID("you")+" notes good with m"
	})
	if _, ok := w.Modal("you"); ok {
		t.Error("the modal is still open")
	}
	if err := w.Shortcut(ctx, "you", "incidents", ts, "keep"); err != nil {
		t.Error(err)
	}
	whispered := func(text string) func() bool {
		return func() bool { all := w.Ephemerals("you"); return len(all) > 0 && all[len(all)-1].Text == text }
	}
	eventually("the shortcut", whispered("kept "+ts))

	hear := "http://127.0.0.1:" + port + "/slack/events"
	w.DeliverHTTP(hear, hear, hear)
	if m, err := w.Command(ctx, "you", "incidents", "/tapio signed"); err != nil || m.Text != "over HTTP: signed" {
		t.Errorf("a signed command: %+v %v", m, err)
	}
	if err := w.Click(ctx, Action{User: "you", Channel: "incidents", TS: second, ActionID: "ack", BlockID: "low"}); err != nil {
		t.Error(err)
	}
	eventually("a signed click", whispered("clicked over HTTP"))
	if err := w.OpenHome(ctx, "you"); err != nil {
		t.Error(err)
	}
	eventually("a signed event", homeSays("over HTTP"))
	w.DeliverHTTP("", "", "")

	w.RefreshSockets() // the client comes back by itself
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		_, err := w.Command(ctx, "you", "incidents", "/tapio ack")
		if err == nil {
			break
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
	commands()
	if unknown := w.UnknownMethods(); len(unknown) > 0 {
		t.Errorf("unknown methods %v", unknown)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
