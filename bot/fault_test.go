package bot

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// onset is the checkout story with the clock of the bubble.
func onset() tapio.Story {
	s := checkoutOOM()
	now := time.Now().UTC()
	s.Timestamp, s.Opened, s.Updated = now.Add(-30*time.Second), now, now
	for i := range s.Timeline {
		s.Timeline[i].Timestamp = now.Add(-time.Minute)
	}
	return s
}

// after is the next revision with one piece of news.
func after(s tapio.Story, kind tapio.NewsKind, text string) tapio.Story {
	s.Revision++
	s.Updated = time.Now().UTC()
	s.News = []tapio.News{{Kind: kind, Time: s.Updated, Text: text}}
	s.Impact = text // so that the root message changes too
	return s
}

func resolve(s tapio.Story, text string) tapio.Story {
	s = after(s, tapio.NewsResolved, text)
	s.Status, s.Resolved, s.Resolution = tapio.StatusResolved, s.Updated, text
	s.Duration = s.Resolved.Sub(s.Timestamp)
	return s
}

// incident plays an incident of some minutes: it opens, grows, and ends.
func (w *world) incident() tapio.Story {
	s := onset()
	w.mem.save(s)
	w.wait(3 * time.Second)
	s = after(s, tapio.NewsTrigger, "news-1")
	w.mem.save(s)
	w.wait(2 * time.Second)
	s = after(s, tapio.NewsCause, "news-2")
	w.mem.save(s)
	w.wait(45 * time.Second)
	s = after(s, tapio.NewsScope, "news-3")
	w.mem.save(s)
	w.wait(40 * time.Second)
	s = resolve(s, "news-4")
	w.mem.save(s)
	w.settle()
	return s
}

// toldOnce checks the end of an incident: one root message, resolved, and
// every piece of news in its thread once.
func (w *world) toldOnce(s tapio.Story) {
	w.t.Helper()
	root := w.root("payments", s.ID)
	if !strings.HasPrefix(root.Text, "Resolved after") || !strings.Contains(string(root.Attachments), colorResolved) {
		w.t.Errorf("the root message is not the resolved one: %s", root.Text)
	}
	w.said("payments", root, "news-1", "news-2", "news-3", "news-4")
	w.sane()
}

func TestIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, slackfake.Options{})
		s := w.incident()
		w.toldOnce(s)
		root := w.root("payments", s.ID)
		replies := w.slack.Replies("payments", root.TS)
		if len(replies) != 3 { // 1 and 2 came together
			t.Errorf("%d replies, want 3: %s", len(replies), texts(replies))
		}
		if root.Edits != 3 { // the two that came together are one edit
			t.Errorf("%d edits of the root message, want 3", root.Edits)
		}
		for _, r := range replies {
			if r.Broadcast {
				t.Errorf("reply went to the channel: %s", r.Text)
			}
		}
		if len(w.slack.Pings()) > 0 {
			t.Errorf("somebody was pinged: %v", w.slack.Pings())
		}
		if err := w.bot.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
	})
}

// TestKill kills the process at every write of the ledger, before it is done
// and just after, and starts it anew.
func TestKill(t *testing.T) {
	writes := 0
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, slackfake.Options{})
		w.incident()
		writes = w.mem.writes
	})
	if writes < 15 {
		t.Fatalf("the incident took %d writes, which is too few to be true", writes)
	}
	for n := 1; n <= writes+2; n++ {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d done %v", n, done), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, slackfake.Options{})
					w.mem.dieAt, w.mem.after = n, done
					w.toldOnce(w.incident())
				})
			})
		}
	}
}

// TestFaults lets each call of an incident fail in each way.
func TestFaults(t *testing.T) {
	kinds := []slackfake.Fault{
		{Kind: slackfake.RateLimited, RetryAfter: 7 * time.Second}, {Kind: slackfake.RateLimitedBare}, {Kind: slackfake.RateLimitedOK},
		{Kind: slackfake.ServerError}, {Kind: slackfake.BadGateway}, {Kind: slackfake.CutBefore}, {Kind: slackfake.CommitThenCut},
		{Kind: slackfake.Slow, Delay: callTimeout - time.Second},
	}
	for _, f := range kinds {
		for _, method := range []string{"chat.postMessage", "chat.update", "conversations.list", "auth.test"} {
			for nth := 1; nth <= 4; nth++ {
				f.Method, f.Nth = method, nth
				t.Run(fmt.Sprintf("%s of %s %d", f.Kind, method, nth), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, slackfake.Options{})
						w.slack.Inject(f)
						w.toldOnce(w.incident())
					})
				})
			}
		}
	}
}

// TestFaultsInSearch breaks the search that follows an unknown outcome, too.
func TestFaultsInSearch(t *testing.T) {
	for _, method := range []string{"conversations.history", "conversations.replies"} {
		for _, kind := range []slackfake.FaultKind{slackfake.RateLimited, slackfake.ServerError, slackfake.CutBefore} {
			t.Run(fmt.Sprintf("%s of %s", kind, method), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, slackfake.Options{})
					w.slack.Inject(slackfake.Fault{Kind: slackfake.CommitThenCut, Method: "chat.postMessage", Times: 2})
					w.slack.Inject(slackfake.Fault{Kind: kind, Method: method, Times: 3})
					w.toldOnce(w.incident())
				})
			})
		}
	}
}

// TestRandomFaults lets a third of all calls fail, and the process die now
// and then.
func TestRandomFaults(t *testing.T) {
	kinds := []slackfake.FaultKind{slackfake.RateLimited, slackfake.RateLimitedBare, slackfake.RateLimitedOK, slackfake.ServerError, slackfake.BadGateway, slackfake.CutBefore, slackfake.CommitThenCut}
	for seed := range uint64(25) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, slackfake.Options{Seed: seed + 1})
				w.slack.InjectRandom(0.35, kinds, "chat.postMessage", "chat.update", "conversations.history", "conversations.replies", "conversations.list", "auth.test", "chat.getPermalink")
				w.mem.dieAt, w.mem.after = 3+int(seed), seed%2 == 0
				w.toldOnce(w.incident())
			})
		})
	}
}
