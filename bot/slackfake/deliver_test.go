package slackfake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slack-go/slack"
)

// buttons is a message with one of each control, one of them in an attachment.
var buttons = []string{
	"text", "controls",
	"blocks", `[{"type":"actions","block_id":"top","elements":[{"type":"button","action_id":"ack","value":"s1","text":{"type":"plain_text","text":"Ack"}},
		{"type":"overflow","action_id":"more","options":[{"text":{"type":"plain_text","text":"Note"},"value":"note"}]}]},
		{"type":"section","text":{"type":"mrkdwn","text":"x"},"accessory":{"type":"static_select","action_id":"mute","placeholder":{"type":"plain_text","text":"p"},
		"option_groups":[{"label":{"type":"plain_text","text":"g"},"options":[{"text":{"type":"plain_text","text":"2 h"},"value":"2h"}]}]}}]`,
	"attachments", `[{"text":"first"},{"blocks":[{"type":"actions","block_id":"low","elements":[{"type":"button","action_id":"ack","value":"s2","text":{"type":"plain_text","text":"Ack"}}]}]}]`,
}

// bot is a signed request URL that remembers and answers.
type bot struct {
	t      *testing.T
	secret string
	answer func(form slack.SlashCommand) string

	mu     sync.Mutex
	clicks []slack.InteractionCallback
}

// clicked returns the clicks so far.
func (b *bot) clicked() []slack.InteractionCallback {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.clicks)
}

func (b *bot) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	v, err := slack.NewSecretsVerifier(r.Header, b.secret)
	if err == nil {
		v.Write(body)
		err = v.Ensure()
	}
	if err != nil {
		b.t.Errorf("signature: %v", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if strings.HasSuffix(r.URL.Path, "/click") {
		var c slack.InteractionCallback
		if err := json.Unmarshal([]byte(r.FormValue("payload")), &c); err != nil {
			b.t.Errorf("payload: %v", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.clicks = append(b.clicks, c)
		return
	}
	cmd, err := slack.SlashCommandParse(r)
	if err != nil {
		b.t.Errorf("command: %v", err)
	}
	io.WriteString(rw, b.answer(cmd))
}

func startBot(t *testing.T, w *Workspace) *bot {
	b := &bot{t: t, secret: w.SigningSecret()}
	srv := httptest.NewServer(b)
	t.Cleanup(srv.Close)
	w.DeliverHTTP(srv.URL+"/command", srv.URL+"/click", "")
	return b
}

func TestSignedCommands(t *testing.T) {
	w := New(Options{})
	b := startBot(t, w)
	for _, tc := range []struct{ answer, text string }{
		{"plain", "plain"},
		{`{"text":"json"}`, "json"},
		{`{"response_type":"in_channel","text":"for all"}`, "for all"},
	} {
		b.answer = func(c slack.SlashCommand) string {
			if c.Command != "/tapio" || c.Text != "list" || c.UserName != "you" || c.ChannelName != "incidents" || c.TriggerID == "" {
				t.Errorf("command %+v", c)
			}
			return tc.answer
		}
		m, err := w.Command(t.Context(), "you", "#incidents", "/tapio list")
		if err != nil || m.Text != tc.text {
			t.Errorf("%s: %+v %v", tc.answer, m, err)
		}
	}
	if len(w.Messages("incidents")) != 1 || len(w.Ephemerals("you")) != 2 {
		t.Error("two answers should be for one person, one for the channel")
	}
}

func TestSignedClicks(t *testing.T) {
	w := New(Options{})
	b := startBot(t, w)
	ts := post(t, w, append(buttons, "channel", "incidents")...)
	in := w.ChannelID("incidents")
	for _, tc := range []struct {
		action Action
		want   string
	}{
		{Action{ActionID: "ack"}, "ack top s1 / message "},
		{Action{ActionID: "ack", BlockID: "low"}, "ack low s2 / message_attachment 2"},
		{Action{ActionID: "more", Value: "note"}, "more top note / message "},
	} {
		tc.action.User, tc.action.Channel, tc.action.TS = "you", in, ts
		if err := w.Click(t.Context(), tc.action); err != nil {
			t.Fatal(err)
		}
		clicks := b.clicked()
		c := clicks[len(clicks)-1]
		a := c.ActionCallback.BlockActions[0]
		got := fmt.Sprintf("%s %s %s / %s %v", a.ActionID, a.BlockID, a.Value+a.SelectedOption.Value, c.Container.Type, c.Container.AttachmentID)
		if got != tc.want || c.User.ID != w.UserID("you") || c.Message.Timestamp != ts || c.Container.ChannelID != in || a.ActionTs == "" {
			t.Errorf("got %q, want %q; %+v", got, tc.want, c.Container)
		}
	}
	if err := w.Click(t.Context(), Action{User: "you", Channel: in, TS: ts, ActionID: "mute", Value: "2h"}); err != nil {
		t.Error(err)
	}
	for _, bad := range []Action{
		{User: "you", Channel: in, TS: ts, ActionID: "mute", Value: "9h"},
		{User: "you", Channel: in, TS: ts, ActionID: "none"},
		{User: "you", Channel: in, TS: "1.000000", ActionID: "ack"},
		{User: "nobody", Channel: in, TS: ts, ActionID: "ack"},
	} {
		if err := w.Click(t.Context(), bad); err == nil {
			t.Errorf("%+v was delivered", bad)
		}
	}
}

// slowApp answers later than Slack waits.
type slowApp struct{}

func (slowApp) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestSignedTooSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Options{CommandsURL: "http://app.example/", Client: &http.Client{Transport: slowApp{}}})
		defer w.Close()
		start := time.Now()
		if _, err := w.Command(t.Context(), "you", "incidents", "/tapio"); !errors.Is(err, ErrTimeout) || time.Since(start) != ackWithin {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestSignedRefused(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	w := New(Options{CommandsURL: srv.URL})
	if _, err := w.Command(t.Context(), "you", "incidents", "/tapio"); err == nil || !strings.Contains(err.Error(), "dispatch_failed") {
		t.Errorf("error %v", err)
	}
}

func TestResponseURL(t *testing.T) {
	clock := &clockAt{time.Now()} // slack-go compares the signature's time with its own
	w := New(Options{Now: clock.Now})
	b := startBot(t, w)
	b.answer = func(slack.SlashCommand) string { return "" }
	srv := httptest.NewServer(w.Handler())
	defer srv.Close()
	resp, err := http.PostForm(srv.URL+"/api/auth.test", map[string][]string{"token": {w.BotToken()}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()

	ts := post(t, w, append(buttons, "channel", "incidents")...)
	w.base = srv.URL
	if err := w.Click(t.Context(), Action{User: "you", Channel: "incidents", TS: ts, ActionID: "ack"}); err != nil {
		t.Fatal(err)
	}
	u := b.clicked()[0].ResponseURL
	respond := func(body string) string {
		resp, err := http.Post(u, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	if got := respond(`{"text":"for you"}`); got != "ok" || len(w.Ephemerals("you")) != 1 {
		t.Errorf("ephemeral: %s", got)
	}
	if got := respond(`{"replace_original":true,"text":"replaced"}`); got != "ok" || w.Messages("incidents")[0].Text != "replaced" {
		t.Errorf("replace: %s", got)
	}
	if got := respond(`{"response_type":"in_channel","text":"in the thread","thread_ts":"` + ts + `"}`); got != "ok" || len(w.Replies("incidents", ts)) != 1 {
		t.Errorf("in channel: %s", got)
	}
	if got := respond(`{"text":"x","blocks":[{"type":"alert"}]}`); !strings.Contains(got, "invalid_blocks") {
		t.Errorf("bad blocks: %s", got)
	}
	if got := respond(`{"delete_original":true}`); got != "ok" || !w.Messages("incidents")[0].Tombstone {
		t.Errorf("delete: %s", got)
	}
	if got := respond(`{"text":"a sixth"}`); !strings.Contains(got, "used_url") {
		t.Errorf("sixth use: %s", got)
	}
	if err := w.Click(t.Context(), Action{User: "you", Channel: "incidents", TS: post(t, w, append(buttons, "channel", "incidents")...), ActionID: "ack"}); err != nil {
		t.Fatal(err)
	}
	u = strings.Replace(b.clicked()[1].ResponseURL, "http://localhost", srv.URL, 1)
	clock.now = clock.now.Add(responseLife + time.Second)
	if got := respond(`{"text":"late"}`); !strings.Contains(got, "expired_url") {
		t.Errorf("after 30 minutes: %s", got)
	}
}
