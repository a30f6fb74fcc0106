//go:build official

package slackfake

import (
	"bufio"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestOfficialClients lets code that nobody here wrote judge the workspace:
// @slack/web-api, @slack/socket-mode and @slack/bolt. "make official" installs
// them and runs it.
func TestOfficialClients(t *testing.T) {
	w := New(Options{Channels: []Channel{{Name: "incidents"}, {Name: "elsewhere", NoBot: true}}})
	srv := httptest.NewServer(w.Handler())
	defer srv.Close()
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	cmd := exec.CommandContext(ctx, "node", "clients.mjs")
	cmd.Dir = "testdata/official"
	cmd.Env = append(os.Environ(), "URL="+srv.URL, "BOT_TOKEN="+w.BotToken(), "APP_TOKEN="+w.AppToken(), "USER="+w.UserID("you"))
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
