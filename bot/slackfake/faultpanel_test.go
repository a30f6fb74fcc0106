package slackfake

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

// TestFaultPanel gives each order that the page can give.
func TestFaultPanel(t *testing.T) {
	w, c, url := start(t, Options{})
	ask := func(body string) panelView {
		t.Helper()
		resp, err := http.Post(url+"/page/fault", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var out struct {
			Error string
			Panel panelView
		}
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		if want := strings.Contains(body, "zebra"); (out.Error != "") != want {
			t.Errorf("%s: %q", body, out.Error)
		}
		return out.Panel
	}
	post := func() error {
		_, _, err := c.PostMessageContext(t.Context(), "#incidents", slack.MsgOptionText("x", false))
		return err
	}
	for _, f := range panelFaults() {
		if p := ask(`{"do":"inject","kind":"` + f.Kind + `"}`); p.Waiting != 1 {
			t.Errorf("%s: %d faults wait", f.Kind, p.Waiting)
		}
		if p := ask(`{"do":"clear"}`); p.Waiting != 0 {
			t.Errorf("%s: not taken back", f.Kind)
		}
	}
	ask(`{"do":"inject","kind":"500","method":"chat.postMessage"}`)
	if post() == nil || post() != nil {
		t.Error("one call fails and the next one does not")
	}
	if p := ask(`{"do":"share","share":1}`); p.Share != 1 || p.Struck["500"] != 1 {
		t.Errorf("%+v", p)
	}
	if post() == nil {
		t.Error("every call fails")
	}
	ask(`{"do":"clear"}`)
	for _, o := range []struct{ do, want string }{
		{"archive", "is_archived"}, {"unarchive", ""}, {"remove", "not_in_channel"}, {"invite", ""}, {"revoke", "token_revoked"}, {"restore", ""},
		{"delete", ""}, {"refresh", ""}, {"cut", ""}, {"stall", ""},
	} {
		ask(`{"do":"` + o.do + `","channel":"incidents"}`)
		got := ""
		if err := post(); err != nil {
			got = err.Error()
		}
		if got != o.want {
			t.Errorf("after %s a post says %q, want %q", o.do, got, o.want)
		}
	}
	if len(w.Messages("incidents")) == 0 {
		t.Error("nothing was posted")
	}
	ask(`{"do":"zebra"}`)
	ask(`{"do":"inject","kind":"zebra"}`)
}

// TestOutOfOrder lets one command overtake the one before.
func TestOutOfOrder(t *testing.T) {
	w, c, _ := start(t, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	sm := socketmode.New(c, socketmode.OptionLog(log.New(io.Discard, "", 0)))
	go sm.RunContext(ctx)
	heard := make(chan string, 2)
	go func() {
		for e := range sm.Events {
			if e.Type == socketmode.EventTypeSlashCommand {
				sm.Ack(*e.Request, map[string]string{"text": "heard"})
				heard <- e.Data.(slack.SlashCommand).Text
			}
		}
	}()
	for w.Sockets() == 0 {
		if err := ctx.Err(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	w.Inject(Fault{Kind: OutOfOrder, Method: envelopeMethod})
	go w.Command(ctx, "you", "incidents", "/tapio first")
	for waiting := 0; waiting == 0; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		waiting = len(w.overtakers)
		w.mu.Unlock()
	}
	if _, err := w.Command(ctx, "you", "incidents", "/tapio second"); err != nil {
		t.Fatal(err)
	}
	if a, b := <-heard, <-heard; a != "second" || b != "first" {
		t.Errorf("heard %s, then %s", a, b)
	}
}

// TestSmallMethods calls what few apps call.
func TestSmallMethods(t *testing.T) {
	w, _, _ := start(t, Options{Users: []User{{Name: "you", Email: "you@shop.example"}}})
	ts := post(t, w, append(buttons, "channel", "incidents")...)
	eyes := args{"channel": w.ChannelID("incidents"), "timestamp": ts, "name": "eyes"}
	for _, c := range []struct {
		method string
		a      args
		want   string
	}{
		{"users.lookupByEmail", args{"email": "you@shop.example"}, ""},
		{"users.lookupByEmail", args{"email": "nobody@shop.example"}, "users_not_found"},
		{"blocks.validate", args{"blocks": `[{"type":"divider"}]`}, ""},
		{"blocks.validate", args{"blocks": `[{"type":"alert"}]`}, "invalid_blocks"},
		{"reactions.remove", eyes, "no_reaction"},
		{"reactions.add", eyes, ""},
		{"reactions.remove", eyes, ""},
	} {
		got := ""
		if _, err := w.do(c.method, c.a, w.BotToken(), nil); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s %v: %q, want %q", c.method, c.a, got, c.want)
		}
	}
}
