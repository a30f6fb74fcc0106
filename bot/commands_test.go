package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

func (w *world) ask(text string) slackfake.Message {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m, err := w.slack.Command(ctx, "first", "incidents", text)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) press(user, channel, ts, action string) {
	w.t.Helper()
	if err := w.slack.Click(context.Background(), slackfake.Action{User: user, Channel: channel, TS: ts, ActionID: action}); err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
}

func (w *world) wants(m slackfake.Message, wants ...string) {
	w.t.Helper()
	if !m.Ephemeral {
		w.t.Errorf("the answer is for everybody: %s", m.Text)
	}
	for _, want := range wants {
		if !strings.Contains(m.Text+string(m.Blocks), want) {
			w.t.Errorf("the answer lacks %q: %s %s", want, m.Text, m.Blocks)
		}
	}
}

func TestCommands(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		w.wants(w.ask("/tapio list"), "no story is open")
		w.wants(w.ask("/tapio story checkout"), "No story names")
		stories := many(3)
		other := checkoutOOM()
		other.ID, other.Subject.Namespace, other.AffectedPods = "inanothernamesp", "staging", []string{"staging/checkout-1"}
		over := resolvedOOM()
		w.mem.save(append(stories, checkoutOOM(), over)...)
		w.settle()
		w.wants(w.ask("/tapio list"), "3 stories are open", "app-00", "app-02")
		w.wants(w.ask("/tapio help"), "/tapio story NAME")
		w.wants(w.ask("/tapio"), "/tapio story NAME")
		w.wants(w.ask("/tapio mutt <!channel> 2h"), "know", "`mutt`", "Did you mean `mute`", "/tapio list")
		w.wants(w.ask("/tapio story"), "Which story?", "app-01")
		for _, name := range []string{"checkout", "shop/checkout", "deploy/checkout", "`checkout`", "shop/checkout-7d9f8-x2x7k", over.ID} {
			w.wants(w.ask("/tapio story "+name), "resolved", "rolled back", "OOMKilled: exit code 137", actionShare)
		}
		w.wants(w.ask("/tapio story chekout"), "Did you mean", "shop/checkout")
		w.wants(w.ask("/tapio story app-"), "Several names begin with", "shop/app-01")
		w.wants(w.ask("/tapio story <@U1>"), "No story names", "`@U1`")
		w.mem.save(other)
		w.wants(w.ask("/tapio story checkout"), "several namespaces", "shop/checkout", "staging/checkout")

		pick := w.ask("/tapio story app-")
		w.press("first", "incidents", pick.TS, actionPick+".1")
		seen := w.slack.Ephemerals("first")
		w.wants(seen[len(seen)-1], "app-01 is crash-looping", actionShare)
		before := len(w.slack.Messages("incidents"))
		w.press("first", "incidents", seen[len(seen)-1].TS, actionShare)
		all := w.slack.Messages("incidents")
		if last := all[len(all)-1]; len(all) != before+1 || last.Ephemeral || !strings.Contains(string(last.Blocks), "shared by @first") {
			t.Errorf("not shared: %s", texts(all))
		}
	})
}

func TestAcknowledge(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		s := onset()
		w.mem.save(s)
		w.wait(3 * time.Second)
		root := w.root("payments", s.ID)
		first := "<@" + w.slack.UserID("first") + ">"
		w.press("first", "payments", root.TS, actionAck)
		root = w.root("payments", s.ID)
		if !strings.Contains(string(root.Attachments), colorAcked) || !strings.Contains(unescaped(root.Attachments), "~firing~ → acked by "+first) {
			t.Errorf("not acknowledged: %s", root.Attachments)
		}
		w.said("payments", root, "@first takes care of it.")
		if len(w.slack.Pings()) != 0 {
			t.Errorf("pinged: %v", w.slack.Pings())
		}

		// The button is gone, but somebody else's screen may still show it.
		ctx := context.Background()
		tell, ok := w.bot.do(ctx, ackStory(s.ID, ack{User: "U2", Name: "second"}, false))
		if !ok || tell != "Already acknowledged by @first." {
			t.Errorf("second acknowledgement: %q %v", tell, ok)
		}
		if tell, _ := w.bot.do(ctx, ackStory("nosuch", ack{User: "U2"}, false)); tell == "" {
			t.Error("an unknown story was acknowledged")
		}

		// It outlives a restart, and new facts.
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		w.start()
		w.mem.save(after(s, tapio.NewsScope, "news-1"))
		w.wait(time.Minute)
		if root = w.root("payments", s.ID); !strings.Contains(string(root.Attachments), colorAcked) || !strings.Contains(string(root.Blocks), "news-1") {
			t.Errorf("the acknowledgement is lost: %s", root.Attachments)
		}
		w.press("second", "payments", root.TS, actionUnack)
		if root = w.root("payments", s.ID); !strings.Contains(string(root.Attachments), colorFiring) {
			t.Errorf("still acknowledged: %s", root.Attachments)
		}
		w.said("payments", root, "@second gave it back")
		w.press("second", "payments", root.TS, actionTimeline)
		seen := w.slack.Ephemerals("second")
		w.wants(seen[0], "BackOff: Back-off restarting", "rollout 4 of checkout began")

		w.mem.save(resolve(after(s, tapio.NewsScope, "x"), "It recovered."))
		w.settle()
		if tell, _ := w.bot.do(ctx, ackStory(s.ID, ack{User: "U2"}, false)); !strings.Contains(tell, "over") {
			t.Errorf("a story that is over was acknowledged: %q", tell)
		}
	})
}

func unescaped(b json.RawMessage) string {
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(b))
}

// TestKillAtAck kills the process while an acknowledgement is recorded; Slack
// or the person presses again.
func TestKillAtAck(t *testing.T) {
	for n := range 6 {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d done %v", n+1, done), func(t *testing.T) {
				played(t, slackfake.Options{}, func(w *world) {
					s := onset()
					w.mem.save(s)
					w.settle()
					root := w.root("payments", s.ID)
					w.mem.dieAt, w.mem.after = w.mem.writes+1+n, done
					a := slackfake.Action{User: "first", Channel: "payments", TS: root.TS, ActionID: actionAck}
					if err := w.slack.Click(context.Background(), a); err != nil {
						w.wait(5 * time.Second)
						if err := w.slack.Click(context.Background(), a); err != nil {
							t.Log(err) // already acknowledged: the button is gone
						}
					}
					w.settle()
					w.said("payments", w.root("payments", s.ID), "@first takes care of it.")
				})
			})
		}
	}
}

func TestSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, slackfake.Options{})
		w.wait(2 * time.Second)
		now := fmt.Sprint(time.Now().Unix())
		form := url.Values{"command": {"/tapio"}, "text": {"help"}, "trigger_id": {"1.2"}, "response_url": {"http://localhost/response/x"}}.Encode()
		secret := w.slack.SigningSecret()
		for name, c := range map[string]struct {
			path, body, ts, signature string
			code                      int
		}{
			"good":           {"/slack/commands", form, now, slackfake.Sign(secret, now, []byte(form)), 200},
			"other secret":   {"/slack/commands", form, now, slackfake.Sign("no", now, []byte(form)), 401},
			"other body":     {"/slack/commands", form + "&x=y", now, slackfake.Sign(secret, now, []byte(form)), 401},
			"other time":     {"/slack/commands", form, fmt.Sprint(time.Now().Unix() + 1), slackfake.Sign(secret, now, []byte(form)), 401},
			"no signature":   {"/slack/commands", form, now, "", 401},
			"no time":        {"/slack/commands", form, "", slackfake.Sign(secret, "", []byte(form)), 401},
			"not hex":        {"/slack/commands", form, now, "v0=zz", 401},
			"old":            {"/slack/commands", form, ago(301), slackfake.Sign(secret, ago(301), []byte(form)), 401},
			"nearly old":     {"/slack/commands", form, ago(299), slackfake.Sign(secret, ago(299), []byte(form)), 200},
			"from to-morrow": {"/slack/commands", form, ago(-301), slackfake.Sign(secret, ago(-301), []byte(form)), 401},
			"too large":      {"/slack/commands", strings.Repeat("x", maxRequest+1), now, "", 413},
			"not a payload":  {"/slack/actions", "payload=%7B", now, slackfake.Sign(secret, now, []byte("payload=%7B")), 400},
			"no payload":     {"/slack/actions", "x=y", now, slackfake.Sign(secret, now, []byte("x=y")), 400},
			"not an event":   {"/slack/events", "x", now, slackfake.Sign(secret, now, []byte("x")), 400},
			"elsewhere":      {"/slack/other", "y", now, slackfake.Sign(secret, now, []byte("y")), 404},
		} {
			req := httptest.NewRequest("POST", c.path, strings.NewReader(c.body))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("X-Slack-Request-Timestamp", c.ts)
			req.Header.Set("X-Slack-Signature", c.signature)
			rec := httptest.NewRecorder()
			w.bot.Handler().ServeHTTP(rec, req)
			if rec.Code != c.code {
				t.Errorf("%s: %d, want %d: %s", name, rec.Code, c.code, rec.Body)
			}
		}
		w.bot.opts.SigningSecret = ""
		rec := httptest.NewRecorder()
		w.bot.Handler().ServeHTTP(rec, httptest.NewRequest("POST", "/slack/commands", strings.NewReader(form)))
		if rec.Code != http.StatusForbidden {
			t.Errorf("without a secret: %d", rec.Code)
		}
	})
}

func ago(seconds int64) string { return fmt.Sprint(time.Now().Unix() - seconds) }

func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecent()
		if !r.first("a") || r.first("a") || !r.first("b") {
			t.Error("first is not the first time")
		}
		time.Sleep(10 * time.Minute)
		if r.first("a") {
			t.Error("forgotten after 10 minutes")
		}
		time.Sleep(rememberFor)
		if !r.first("a") {
			t.Error("never forgotten")
		}
		r.forget("a")
		if !r.first("a") {
			t.Error("forget does nothing")
		}
		for i := range 2 * rememberMax {
			r.first(fmt.Sprint(i))
		}
		if len(r.times) > rememberMax || len(r.order) > rememberMax {
			t.Errorf("%d remembered", len(r.times))
		}
	})
}
