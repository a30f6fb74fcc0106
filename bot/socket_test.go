package bot

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yairfalse/tapio/bot/slackfake"
)

func sockets(o *Options) { o.SocketMode = true }

func (w *world) open(n int) {
	w.t.Helper()
	for range 120 {
		if w.slack.Sockets() == n {
			return
		}
		w.wait(time.Second)
	}
	w.t.Fatalf("%d sockets are open after 2 minutes, want %d", w.slack.Sockets(), n)
}

func TestSocketMode(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		w.open(2)
		s := onset()
		w.mem.save(s)
		w.settle()
		w.wants(w.ask("/tapio list"), "One story is open")
		root := w.root("payments", s.ID)

		w.slack.RefreshSockets()
		for range 15 { // every second of the change; all sockets at once is worse than Slack does
			w.wait(time.Second)
			w.wants(w.ask("/tapio story checkout"), "OOMKilled: exit code 137")
		}
		w.open(2)

		w.slack.Inject(slackfake.Fault{Kind: slackfake.DuplicateEnvelope, Method: "envelope"})
		w.press("first", "payments", root.TS, actionAck)
		w.said("payments", root, "@first takes care of it.")

		w.slack.Inject(slackfake.Fault{Kind: slackfake.LostAck, Method: "envelope", Times: 3})
		go w.slack.Click(context.Background(), slackfake.Action{User: "first", Channel: "payments", TS: root.TS, ActionID: actionTimeline})
		w.wait(10 * time.Minute)
		if n := len(w.slack.Ephemerals("first")) - 16; n != 1 {
			t.Errorf("a click whose acknowledgement was lost was answered %d times", n)
		}

		w.slack.CutSockets()
		w.wait(30 * time.Second)
		w.open(2)
		w.wants(w.ask("/tapio help"), "/tapio list")

		w.slack.StallSockets()
		w.wait(3 * time.Minute)
		w.wants(w.ask("/tapio help"), "/tapio list")
	}, sockets)
}

func TestSocketTokenRefused(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		s := onset()
		w.mem.save(s)
		w.settle()
		w.root("payments", s.ID) // stories are told all the same
		if n := len(w.slack.Calls("apps.connections.open")); n == 0 || n > 8 {
			t.Errorf("%d tries to open a socket", n)
		}
	}, sockets, func(o *Options) { o.AppToken = "xapp-1-wrong" })
}

func TestCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, slackfake.Options{})
		if err := w.bot.Check(t.Context()); err != nil {
			t.Error(err)
		}
		wrong := w.opts
		wrong.BotToken = "xoxb-secret-and-wrong"
		b, err := New(wrong)
		if err != nil {
			t.Fatal(err)
		}
		err = b.Check(t.Context())
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "invalid_auth") || !strings.Contains(err.Error(), "https://api.slack.com/apps") {
			t.Errorf("a wrong token: %v", err)
		}
		wrong.BotToken = w.slack.AppToken()
		if b, err = New(wrong); err != nil {
			t.Fatal(err)
		}
		if err = b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "token of the other kind") {
			t.Errorf("the other token: %v", err)
		}
	})
}

func TestOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := newWorld(t, slackfake.Options{}).opts
		for name, c := range map[string]struct {
			change func(*Options)
			says   string
		}{
			"nothing":         {func(o *Options) { *o = Options{} }, "journal"},
			"no logger":       {func(o *Options) { o.Log = nil }, "logger"},
			"no token":        {func(o *Options) { o.BotToken = "" }, "xoxb-"},
			"no app token":    {func(o *Options) { o.SocketMode, o.AppToken = true, "" }, "connections:write"},
			"no channel":      {func(o *Options) { o.DefaultChannel = "" }, "default channel"},
			"a bad channel":   {func(o *Options) { o.DefaultChannel = "#a b" }, `"#a b"`},
			"a bad route":     {func(o *Options) { o.Routes = []Route{{"shop", "#shop"}, {"x", "<y>"}} }, "route 2"},
			"a bad namespace": {func(o *Options) { o.Routes = []Route{{"[", "#shop"}} }, "pattern"},
		} {
			o := good
			c.change(&o)
			if _, err := New(o); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %q in it", name, err, c.says)
			}
		}
		if _, err := New(good); err != nil {
			t.Error(err)
		}
	})
}
