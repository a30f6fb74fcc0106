package bot

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// failing answers the calls of a method with an error as long as it is on.
// done says whether the call is carried out all the same.
type failing struct {
	method, name string
	done         bool
	on           bool
	status       int
}

func (f *failing) use(o *Options) {
	next := o.HTTPClient.Transport
	o.HTTPClient = &http.Client{Timeout: callTimeout, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		method := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		if !f.on || f.method != method && f.method != "" {
			return next.RoundTrip(r)
		}
		if f.done {
			if resp, err := next.RoundTrip(r); err == nil {
				resp.Body.Close()
			}
		}
		status := f.status
		if status == 0 {
			status = http.StatusOK
		}
		body := io.NopCloser(strings.NewReader(`{"ok":false,"error":"` + f.name + `"}`))
		return &http.Response{StatusCode: status, Header: http.Header{}, Request: r, Body: body}, nil
	})}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestEveryError: each error that Slack documents for a message has its
// behaviour, and what was to be said is said once in the end.
func TestEveryError(t *testing.T) {
	route := []string{"not_in_channel", "channel_not_found", "is_archived", "restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel", "restricted_action_non_threadable_channel"}
	gone := []string{"message_not_found", "cant_update_message", "edit_window_closed"}
	layout := []string{"invalid_blocks", "msg_blocks_too_long", "invalid_attachments"}
	token := []string{"token_revoked", "account_inactive", "invalid_auth", "token_expired"}
	unknown := []string{"fatal_error", "internal_error"}

	// The channel refuses us: it is left alone, the default channel is told once
	// and takes over, and stories go there again when it takes them again.
	for _, name := range route {
		t.Run(name, func(t *testing.T) {
			var id string // of #payments
			on := true
			played(t, slackfake.Options{}, func(w *world) {
				id = w.slack.ChannelID("payments")
				s := onset()
				w.mem.save(s)
				w.settle()
				w.root("incidents", s.ID)
				notices := 0
				for _, m := range w.slack.Messages("incidents") {
					if strings.Contains(m.Text, "Tapio can't post to `#payments` ("+name+")") {
						notices++
					}
				}
				if notices != 1 {
					t.Errorf("%d notices, want one: %s", notices, texts(w.slack.Messages("incidents")))
				}
				if n := testutil.ToFloat64(w.bot.count.parked); n != 1 {
					t.Errorf("%v channels are parked", n)
				}
				on = false
				w.wait(parkFor + time.Second)
				later := onset()
				later.ID = "later"
				w.mem.save(later)
				w.settle()
				w.root("payments", "later")
				if n := testutil.ToFloat64(w.bot.count.parked); n != 0 {
					t.Errorf("%v channels are still parked", n)
				}
			}, refuse(func(method, body string) string {
				if on && (method == "chat.postMessage" || method == "conversations.join") && strings.Contains(body, "channel="+id+"&") {
					return `{"ok":false,"error":"` + name + `"}`
				}
				return ""
			}))
		})
	}

	// The message can't be edited any more: a new one takes its place and leads
	// to the old one.
	for _, name := range gone {
		t.Run(name, func(t *testing.T) {
			f := &failing{method: "chat.update", name: name}
			played(t, slackfake.Options{}, func(w *world) {
				s := onset()
				w.mem.save(s)
				w.settle()
				old := w.root("payments", s.ID)
				f.on = true
				s = after(s, tapio.NewsSeverity, "news-1")
				s.Severity = tapio.SeverityCritical
				w.mem.save(s)
				w.wait(3 * time.Second)
				f.on = false
				w.settle()
				roots := w.roots("payments", s.ID)
				if len(roots) != 2 || roots[0].TS != old.TS {
					t.Fatalf("want the old message and a new one: %s", texts(roots))
				}
				link, gone := "/p"+strings.Replace(old.TS, ".", "", 1), "was deleted"
				if says := string(roots[1].Attachments); !strings.Contains(says, link) && !(name == "message_not_found" && strings.Contains(says, gone)) {
					t.Errorf("the new message does not lead to the old one: %s", says)
				}
				w.said("payments", roots[1], "news-1")
			}, f.use)
		})
	}

	// The layout is refused: plain text goes out, and the payload into the log.
	for _, name := range layout {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			played(t, slackfake.Options{}, func(w *world) {
				s := onset()
				w.mem.save(s)
				w.settle()
				if root := w.root("payments", s.ID); root.Blocks != nil || !strings.Contains(root.Text, "crash-looping") {
					t.Errorf("not in plain text: %s %s", root.Text, root.Blocks)
				}
				if n := testutil.ToFloat64(w.bot.count.plain); n != 1 {
					t.Errorf("%v were counted", n)
				}
				if !strings.Contains(log.String(), "payload") || !strings.Contains(log.String(), "rich_text") {
					t.Error("the payload was not logged")
				}
			}, refuse(func(method, body string) string {
				if method == "chat.postMessage" && strings.Contains(body, "section") {
					return `{"ok":false,"error":"` + name + `"}`
				}
				return ""
			}), func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		})
	}

	// The token is refused: nothing is said, Tapio is not ready, and the outbox
	// is kept until it is good.
	for _, name := range token {
		t.Run(name, func(t *testing.T) {
			f := &failing{name: name}
			played(t, slackfake.Options{}, func(w *world) {
				w.settle()
				f.on = true
				s := onset()
				w.mem.save(s)
				w.wait(20 * time.Minute)
				if err := w.bot.Ready(); err == nil || !strings.Contains(err.Error(), name) || w.bot.Pending() == 0 {
					t.Errorf("ready %v with %d pending", err, w.bot.Pending())
				}
				f.on = false
				w.settle()
				w.root("payments", s.ID)
				if err := w.bot.Ready(); err != nil {
					t.Errorf("not ready: %v", err)
				}
			}, f.use)
		})
	}

	// Nobody knows whether it was done: Slack is searched, then perhaps it is
	// said again. Never twice.
	for _, name := range append(unknown, "500", "503") {
		for _, done := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				f := &failing{method: "chat.postMessage", name: name, done: done}
				if name == "500" || name == "503" {
					f.status = map[string]int{"500": 500, "503": 503}[name]
				}
				played(t, slackfake.Options{}, func(w *world) {
					f.on = true
					s := onset()
					w.mem.save(s)
					w.wait(2 * time.Second)
					f.on = false
					w.settle()
					w.root("payments", s.ID)
					if n := len(w.slack.Calls("conversations.history")); n == 0 {
						t.Error("nothing was searched")
					}
					if found := testutil.ToFloat64(w.bot.count.found); (found == 1) != done {
						t.Errorf("%v were found, done %v", found, done)
					}
				}, f.use)
			})
		}
	}

	// An ephemeral to somebody who isn't in the channel becomes a direct message.
	t.Run("user_not_in_channel", func(t *testing.T) {
		workspace := slackfake.Options{Channels: []slackfake.Channel{{Name: "incidents"}, {Name: "payments", Members: []string{"second"}}}}
		played(t, workspace, func(w *world) {
			m := sorry("for you")
			w.bot.whisperTo(context.Background(), w.slack.ChannelID("payments"), w.slack.UserID("first"), &m)
			if got := w.slack.Messages(w.slack.DirectID("first")); len(got) != 1 {
				t.Errorf("%d direct messages", len(got))
			}
		})
	})
}
