package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

func TestJudge(t *testing.T) {
	refused := func(name string) error { return slack.SlackErrorResponse{Err: name} }
	for name, c := range map[string]struct {
		err   error
		want  verdict
		after time.Duration
	}{
		"nothing":                   {nil, callDone, 0},
		"429 with Retry-After":      {&slack.RateLimitedError{RetryAfter: 7 * time.Second}, callLimited, 7 * time.Second},
		"429 with Retry-After 0":    {&slack.RateLimitedError{}, callLimited, time.Second},
		"429 for a month":           {&slack.RateLimitedError{RetryAfter: 720 * time.Hour}, callLimited, maxRetryAfter},
		"429 without":               {slack.StatusCodeError{Code: 429}, callLimited, defaultRetryAfter},
		"200 ratelimited":           {refused("ratelimited"), callLimited, defaultRetryAfter},
		"200 rate_limited":          {refused("rate_limited"), callLimited, defaultRetryAfter},
		"wrapped":                   {fmt.Errorf("search history: %w", refused("ratelimited")), callLimited, defaultRetryAfter},
		"500":                       {slack.StatusCodeError{Code: 500}, callUnknown, 0},
		"fatal_error":               {refused("fatal_error"), callUnknown, 0},
		"internal_error":            {refused("internal_error"), callUnknown, 0},
		"cut":                       {&url.Error{Op: "Post", Err: io.ErrUnexpectedEOF}, callUnknown, 0},
		"timeout":                   {&url.Error{Op: "Post", Err: context.DeadlineExceeded}, callUnknown, 0},
		"not JSON":                  {&json.SyntaxError{}, callUnknown, 0},
		"no ts":                     {errors.New("slack answered without a ts"), callUnknown, 0},
		"stopping":                  {&url.Error{Op: "Post", Err: context.Canceled}, callCanceled, 0},
		"not_in_channel":            {refused("not_in_channel"), callRoute, 0},
		"channel_not_found":         {refused("channel_not_found"), callRoute, 0},
		"is_archived":               {refused("is_archived"), callRoute, 0},
		"restricted_action":         {refused("restricted_action"), callRoute, 0},
		"restricted_action_…":       {refused("restricted_action_read_only_channel"), callRoute, 0},
		"message_not_found":         {refused("message_not_found"), callGone, 0},
		"cant_update_message":       {refused("cant_update_message"), callGone, 0},
		"edit_window_closed":        {refused("edit_window_closed"), callGone, 0},
		"invalid_blocks":            {refused("invalid_blocks"), callBlocks, 0},
		"msg_blocks_too_long":       {refused("msg_blocks_too_long"), callBlocks, 0},
		"invalid_attachments":       {refused("invalid_attachments"), callBlocks, 0},
		"token_revoked":             {refused("token_revoked"), callToken, 0},
		"account_inactive":          {refused("account_inactive"), callToken, 0},
		"invalid_auth":              {refused("invalid_auth"), callToken, 0},
		"token_expired":             {refused("token_expired"), callToken, 0},
		"missing_scope":             {refused("missing_scope"), callToken, 0},
		"what nobody ever heard of": {refused("zebra"), callRefused, 0},
	} {
		if v, _, after := judge(c.err); v != c.want || after != c.after {
			t.Errorf("%s: %s after %s, want %s after %s", name, v, after, c.want, c.after)
		}
	}
}

func TestChannelName(t *testing.T) {
	for in, want := range map[string]string{
		"#shop": "#shop", "shop": "#shop", " #Shop ": "#shop", "#größe-1_x": "#größe-1_x", "C0123456789": "C0123456789", "G0123456789": "G0123456789",
		"": "", "#": "", "##x": "", "<!channel>": "", "https://x.example": "", "#a b": "", "#a,b": "", "@you": "", "#" + strings.Repeat("a", 81): "", "#a\u202eb": "",
	} {
		if got := channelName(in); got != want {
			t.Errorf("channelName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTrim(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"short", 5, "short"}, {"longer", 5, "long…"}, {"a&b", 7, "a&amp;b"}, {"a&b", 6, "a…"}, {"&&", 5, "…"}, {"&", 5, "&amp;"},
		{"😀😀😀", 6, "😀😀😀"}, {"😀😀😀", 5, "😀😀…"}, {"😀😀😀", 4, "😀…"}, {"ab  cd", 4, "ab…"}, {"`x`", 9, "'x'"}, {"", 3, ""}, {"abc", 1, "…"},
	} {
		if got := escape(c.in, c.limit); got != c.want {
			t.Errorf("escape(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}

// FuzzRequests sends anything that is signed; nothing may panic, over HTTP or
// as an envelope.
func FuzzRequests(f *testing.F) {
	f.Add("command=%2Ftapio&text=story+x&trigger_id=1&response_url=http%3A%2F%2Flocalhost%2Fx")
	f.Add("payload=" + url.QueryEscape(`{"type":"block_actions","user":{"id":"U1","name":"<!channel>"},"actions":[{"action_id":"tapio.timeline","value":"x","type":"button"}],"response_url":"x"}`))
	f.Add("payload=" + url.QueryEscape(`{"type":"block_actions","actions":[null,{}],"state":null}`))
	f.Add("payload=" + url.QueryEscape(`{"type":"block_actions","actions":[{"action_id":"tapio.share","type":"button"},{"action_id":"tapio.pick.0","value":"a/b/c","type":"button"}]}`))
	f.Fuzz(func(t *testing.T, body string) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, slackfake.Options{})
			for _, path := range []string{"/slack/commands", "/slack/actions"} {
				ts := fmt.Sprint(time.Now().Unix())
				req, err := http.NewRequest("POST", "http://127.0.0.9"+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				req.Header.Set("X-Slack-Request-Timestamp", ts)
				req.Header.Set("X-Slack-Signature", slackfake.Sign(w.slack.SigningSecret(), ts, []byte(body)))
				resp, err := w.wires.client().Do(req)
				if err != nil {
					t.Fatalf("%s: the handler died: %v", path, err)
				}
				resp.Body.Close()
			}
			time.Sleep(time.Minute)
		})
	})
}

// FuzzLedger reads any thread and asks what it has to say.
func FuzzLedger(f *testing.F) {
	for _, t := range []thread{
		{V: 1, ID: "x", Kind: kindStory, Intent: &intent{Do: doRoll}, Root: rootSoon},
		{V: 1, ID: "x", Kind: kindStory, RootTS: "1.0", Intent: &intent{Do: doRoll}, Rolling: &rolling{}},
		{V: 1, ID: "x", Kind: kindStory, RootTS: "1.0", Intent: &intent{Do: doReply, News: []fact{{}}}, News: []fact{{}}},
		{V: 1, ID: "x", Kind: kindBacklog, Members: []string{"a"}, Intent: &intent{Do: doEdit}},
		{V: 1, ID: "x", Kind: kindNotice, Line: "y", Rolling: &rolling{Due: true}},
	} {
		f.Add(string(t.record().Value))
	}
	f.Fuzz(func(t *testing.T, value string) {
		if _, err := decodeThread(tapio.Record{Key: threadPrefix + "x", Value: []byte(value)}); err != nil {
			return
		}
		mem := newMemory()
		mem.ledger[threadPrefix+"x"] = []byte(value)
		mem.save(checkoutOOM())
		b, err := New(Options{Journal: mem, Stories: mem, Ledger: mem, BotToken: "x", DefaultChannel: "#x", Log: discard()})
		if err != nil {
			t.Fatal(err)
		}
		d := newDesk(b)
		if err := d.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		now := at(1000)
		d.pick(now)
		th := d.threads["x"]
		if th.Intent != nil {
			d.render(t.Context(), th, now)
			th.unsend()
		}
		th.uproot()
		if _, err := decodeThread(th.record()); err != nil {
			t.Errorf("what was written can't be read: %v", err)
		}
	})
}
