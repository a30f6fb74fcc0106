package slackfake

import (
	"context"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

// start serves a workspace and returns a client of it.
func start(t *testing.T, opts Options) (*Workspace, *slack.Client, string) {
	t.Helper()
	w := New(opts)
	srv := httptest.NewServer(w.Handler())
	t.Cleanup(srv.Close)
	t.Cleanup(w.Close)
	return w, slack.New(w.BotToken(), slack.OptionAPIURL(srv.URL+"/api/"), slack.OptionAppLevelToken(w.AppToken())), srv.URL
}

func TestPostUpdateHistoryReplies(t *testing.T) {
	w, c, _ := start(t, Options{})
	ctx := t.Context()
	meta := slack.SlackMetadata{EventType: "tapio_post", EventPayload: map[string]any{"nonce": "n1"}}
	ch, ts, err := c.PostMessageContext(ctx, "#incidents", slack.MsgOptionText("root", false), slack.MsgOptionMetadata(meta))
	if err != nil {
		t.Fatal(err)
	}
	if ch != w.ChannelID("incidents") {
		t.Errorf("posted to %q", ch)
	}
	if _, _, err := c.PostMessageContext(ctx, ch, slack.MsgOptionText("reply", false), slack.MsgOptionTS(ts)); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := c.UpdateMessageContext(ctx, ch, ts, slack.MsgOptionText("root, edited", false)); err != nil {
		t.Fatal(err)
	}
	h, err := c.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{ChannelID: ch, IncludeAllMetadata: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Messages) != 1 {
		t.Fatalf("history has %d messages, want the root alone", len(h.Messages))
	}
	m := h.Messages[0]
	if m.Text != "root, edited" || m.Edited == nil || m.ReplyCount != 1 || m.Metadata.EventPayload["nonce"] != "n1" {
		t.Errorf("root in history: text %q, edited %v, %d replies, metadata %v", m.Text, m.Edited, m.ReplyCount, m.Metadata)
	}
	r, _, _, err := c.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{ChannelID: ch, Timestamp: ts})
	if err != nil {
		t.Fatal(err)
	}
	if len(r) != 2 || r[1].Text != "reply" || r[0].Metadata.EventType != "" {
		t.Errorf("replies: %+v", r)
	}
}

func TestCommandOverSocketMode(t *testing.T) {
	w, c, _ := start(t, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	sm := socketmode.New(c, socketmode.OptionLog(log.New(io.Discard, "", 0)))
	go sm.RunContext(ctx)
	go func() {
		for e := range sm.Events {
			if e.Type == socketmode.EventTypeSlashCommand {
				cmd := e.Data.(slack.SlashCommand)
				sm.Ack(*e.Request, map[string]string{"text": "you said " + cmd.Text})
			}
		}
	}()
	for w.Sockets() == 0 {
		if err := ctx.Err(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	m, err := w.Command(ctx, "you", "incidents", "/tapio list")
	if err != nil {
		t.Fatal(err)
	}
	if !m.Ephemeral || !strings.Contains(m.Text, "you said list") {
		t.Errorf("answer %+v", m)
	}
}
