package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// played runs a scenario in a bubble of its own.
func played(t *testing.T, workspace slackfake.Options, f func(w *world), change ...func(*Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, workspace, change...)
		f(w)
		w.sane()
	})
}

func TestReopened(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		s := w.incident()
		w.wait(10 * time.Minute)
		s = after(s, tapio.NewsReopened, "it fails again")
		s.Status, s.Resolved = tapio.StatusOpen, time.Time{}
		w.mem.save(s)
		w.wait(3 * time.Second)
		root := w.root("payments", s.ID)
		if !strings.Contains(string(root.Attachments), "came back") || !strings.Contains(string(root.Attachments), colorFiring) {
			t.Errorf("the root message does not say that it came back: %s", root.Attachments)
		}
		replies := w.slack.Replies("payments", root.TS)
		if last := replies[len(replies)-1]; !last.Broadcast || !strings.Contains(last.Text, "it fails again") {
			t.Errorf("the channel was not told: %+v", last)
		}
		s.Severity = tapio.SeverityCritical
		w.mem.save(after(s, tapio.NewsSeverity, "it got worse"))
		w.settle()
		replies = w.slack.Replies("payments", root.TS)
		if last := replies[len(replies)-1]; !last.Broadcast || !strings.Contains(last.Text, "it got worse") {
			t.Errorf("the channel was not told: %+v", last)
		}
	})
}

func TestAbsorbed(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		child := onset()
		w.mem.save(child)
		w.wait(30 * time.Second)
		node := many(2)[1]
		node.Title, node.Owner.Channel = "Node node-7 is not ready", "#incidents"
		never := many(1)[0]
		child = after(child, tapio.NewsAbsorbed, "narrate's words")
		child.Status, child.AbsorbedInto = tapio.StatusAbsorbed, node.ID
		never.Status, never.AbsorbedInto = tapio.StatusAbsorbed, node.ID
		node = after(node, tapio.NewsAbsorbs, "narrate's other words")
		node.News[0].Was = child.ID
		node.Revision = 1
		w.mem.save(child, never, node) // the parent's message isn't out yet
		w.settle()
		node.Absorbed = []string{child.ID}
		again := after(child, tapio.NewsGap, "a gap")
		w.mem.save(again, after(node, tapio.NewsAbsorbs, "x"))
		w.settle()

		parent := w.root("incidents", node.ID)
		root := w.root("payments", child.ID)
		address := "/p" + strings.Replace(parent.TS, ".", "", 1)
		if !strings.Contains(string(root.Attachments), colorAside) || !strings.Contains(string(root.Blocks), address) {
			t.Errorf("the child's root message does not link the parent: %s %s", root.Blocks, root.Attachments)
		}
		w.said("payments", root, "where it is told from here on", address, "a gap")
		if n := len(w.roots("incidents", never.ID)); n != 0 {
			t.Errorf("%d messages of a story that was never told", n)
		}
	})
}

func TestAbsorbedBeforePosted(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		child, node := onset(), many(1)[0]
		gone := after(child, tapio.NewsAbsorbed, "x")
		gone.Status, gone.AbsorbedInto = tapio.StatusAbsorbed, node.ID
		w.mem.save(child, node, gone)
		w.settle()
		if n := len(w.slack.Messages("payments")); n != 0 {
			t.Errorf("%d messages of a story that another one tells", n)
		}
		w.root("incidents", node.ID)
	})
}

func TestFollows(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		old := w.incident()
		w.wait(time.Hour)
		s := onset()
		s.ID, s.Follows = "newstory", old.ID
		w.mem.save(s)
		w.settle()
		address := "/p" + strings.Replace(w.root("payments", old.ID).TS, ".", "", 1)
		if root := w.root("payments", s.ID); !strings.Contains(string(root.Attachments), address) {
			t.Errorf("the old thread is not linked: %s", root.Attachments)
		}
	})
}

func TestBacklog(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		stories := many(30)
		for i := range stories {
			stories[i].Backlog = true
			stories[i].Timestamp, stories[i].Updated = time.Now(), time.Now()
		}
		w.mem.save(stories[:25]...)
		w.wait(5 * time.Second)
		if n := len(w.slack.Messages("incidents")); n != 0 {
			t.Errorf("%d messages before the summary was gathered", n)
		}
		w.mem.save(stories[25:]...)
		w.settle()
		all := w.slack.Messages("incidents")
		if len(all) != 1 || !strings.Contains(all[0].Text, "30 failures were already there when Tapio started; 30 still open") {
			t.Fatalf("want one summary of 30: %s", texts(all))
		}
		for i := range stories {
			if i != 7 && i != 8 {
				w.mem.save(resolve(stories[i], "It recovered."))
			}
		}
		stories[7].Severity = tapio.SeverityCritical
		w.mem.save(after(stories[7], tapio.NewsSeverity, "it got worse"))
		w.settle()
		board := w.slack.Messages("incidents")[0]
		if !strings.Contains(board.Text, "2 still open") || !strings.Contains(string(board.Blocks), "told on its own") {
			t.Errorf("the summary is not up to date: %s\n%s", board.Text, board.Blocks)
		}
		w.root("incidents", stories[7].ID)
		if n := len(w.slack.Messages("incidents")); n != 2 {
			t.Errorf("%d root messages, want the summary and the one that got worse", n)
		}
		w.mem.save(resolve(after(stories[7], tapio.NewsSeverity, "x"), "It recovered."), resolve(stories[8], "It recovered."))
		w.settle()
		if board := w.slack.Messages("incidents")[0]; !strings.Contains(string(board.Attachments), colorResolved) {
			t.Errorf("the summary is not over: %s", board.Text)
		}
	})
}

func TestRolling(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		s := onset()
		w.mem.save(s)
		for i := range rollingAfter + 15 {
			w.wait(30 * time.Second)
			s = after(s, tapio.NewsScope, fmt.Sprintf("news-%03d", i))
			w.mem.save(s)
		}
		w.wait(30 * time.Second)
		w.mem.save(resolve(s, "It recovered."))
		w.settle()
		root := w.root("payments", s.ID)
		replies := w.slack.Replies("payments", root.TS)
		if len(replies) != rollingAfter+2 {
			t.Fatalf("%d replies, want %d, a rolling one and the end: %s", len(replies), rollingAfter, texts(replies))
		}
		rolling := string(replies[rollingAfter].Blocks)
		for i := 15 - rollingLines; i < 15; i++ {
			if want := fmt.Sprintf("news-%03d", rollingAfter+i); !strings.Contains(rolling, want) {
				t.Errorf("the rolling reply lacks %s: %s", want, rolling)
			}
		}
		w.said("payments", root, "It recovered.", "news-000", "news-019")
	})
}

// TestFlood posts many stories at once and keeps to one a second.
func TestFlood(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		stories := many(60)
		w.mem.save(stories...)
		w.settle()
		for _, s := range stories {
			w.root("incidents", s.ID)
		}
		for _, c := range w.slack.Calls("") {
			if c.Error == "ratelimited" {
				t.Errorf("%s was called too often", c.Method)
			}
		}
		for _, s := range stories {
			w.mem.save(resolve(s, "It recovered."))
		}
		w.settle()
		for _, s := range stories {
			if root := w.root("incidents", s.ID); !strings.HasPrefix(root.Text, "Resolved") {
				t.Errorf("not resolved: %s", root.Text)
			}
		}
	}, func(o *Options) { o.StormAfter = -1 })
}

func TestArchivedInMidIncident(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		w.slack.Inject(slackfake.Fault{Kind: slackfake.Prepare, Method: "chat.update", Before: func(s *slackfake.Workspace) { s.SetArchived("payments", true) }})
		s := w.incident()
		if root := w.root("incidents", s.ID); !strings.HasPrefix(root.Text, "Resolved") || !strings.Contains(string(root.Attachments), "#payments") {
			t.Errorf("the story does not go on in the default channel: %s %s", root.Text, root.Attachments)
		}
		notices := 0
		for _, m := range w.slack.Messages("incidents") {
			if strings.Contains(m.Text, "Tapio can't post to `#payments` (is_archived)") {
				notices++
			}
		}
		if notices != 1 {
			t.Errorf("%d notices, want one: %s", notices, texts(w.slack.Messages("incidents")))
		}

		// Another story meanwhile goes to the default channel at once.
		other := onset()
		other.ID = "other"
		w.mem.save(other)
		w.settle()
		w.root("incidents", "other")

		// The channel comes back.
		w.slack.SetArchived("payments", false)
		w.wait(parkFor)
		other.ID = "later"
		w.mem.save(other)
		w.settle()
		w.root("payments", "later")
	})
}

func TestChannels(t *testing.T) {
	workspace := slackfake.Options{Channels: []slackfake.Channel{
		{Name: "incidents"}, {Name: "payments"}, {Name: "open", NoBot: true}, {Name: "closed", NoBot: true, Private: true}, {Name: "routed"},
	}}
	routes := func(o *Options) { o.Routes = []Route{{"shop-*", "#Routed"}} }
	for name, c := range map[string]struct {
		annotation, namespace, lands string
		notice                       bool
	}{
		"annotation":        {"#payments", "shop", "payments", false},
		"annotation, bare":  {"Payments", "shop-eu", "payments", false},
		"route":             {"", "shop-eu", "routed", false},
		"default":           {"", "shop", "incidents", false},
		"public, joined":    {"#open", "shop", "open", false},
		"private":           {"#closed", "shop", "incidents", true},
		"unknown":           {"#shpo", "shop", "incidents", true},
		"not a channel":     {"<!channel>", "shop", "incidents", false},
		"not, and a route":  {"https://chat.example/x", "shop-eu", "routed", false},
		"unknown ID":        {"C0NOSUCH01", "shop", "incidents", true},
		"annotation spaces": {" #payments ", "shop", "payments", false},
	} {
		t.Run(name, func(t *testing.T) {
			played(t, workspace, func(w *world) {
				s := onset()
				s.Owner.Channel, s.Subject.Namespace = c.annotation, c.namespace
				w.mem.save(s)
				w.settle()
				w.root(c.lands, s.ID)
				told := strings.Contains(texts(w.slack.Messages("incidents")), "Tapio can't post to")
				if told != c.notice {
					t.Errorf("notice %v, want %v: %s", told, c.notice, texts(w.slack.Messages("incidents")))
				}
			}, routes)
		})
	}
}

func TestDefaultChannelRefuses(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		w.slack.SetArchived("incidents", true)
		s := onset()
		s.Owner.Channel = ""
		w.mem.save(s)
		w.wait(5 * time.Minute)
		if err := w.bot.Ready(); err == nil || !strings.Contains(err.Error(), "is_archived") || w.bot.Pending() == 0 {
			t.Errorf("ready %v, pending %d", err, w.bot.Pending())
		}
		w.slack.SetArchived("incidents", false)
		w.settle()
		w.root("incidents", s.ID)
		if err := w.bot.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
	})
}

func TestTokenRevoked(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		s := onset()
		w.mem.save(s)
		w.wait(3 * time.Second)
		w.slack.SetRevoked(true)
		s = after(s, tapio.NewsCause, "news-1")
		w.mem.save(s)
		w.wait(10 * time.Minute)
		err := w.bot.Ready()
		if err == nil || !strings.Contains(err.Error(), "token_revoked") || !strings.Contains(err.Error(), "OAuth & Permissions") || strings.Contains(err.Error(), w.slack.BotToken()) {
			t.Errorf("ready says %v", err)
		}
		if n := len(w.slack.Calls("")); n > 40 {
			t.Errorf("%d calls with a refused token", n)
		}
		w.slack.SetRevoked(false)
		w.settle()
		w.said("payments", w.root("payments", s.ID), "news-1")
	})
}

func TestDeleted(t *testing.T) {
	for name, withReplies := range map[string]bool{"with replies": true, "without replies": false} {
		t.Run(name, func(t *testing.T) {
			played(t, slackfake.Options{}, func(w *world) {
				s := onset()
				w.mem.save(s)
				w.wait(3 * time.Second)
				if withReplies {
					s = after(s, tapio.NewsCause, "news-0")
					w.mem.save(s)
					w.wait(time.Minute)
				}
				w.slack.DeleteMessage("payments", w.root("payments", s.ID).TS)
				s = after(s, tapio.NewsScope, "news-1")
				w.mem.save(s)
				w.wait(time.Minute)
				w.mem.save(resolve(s, "news-2"))
				w.settle()
				root := w.root("payments", s.ID)
				if !strings.HasPrefix(root.Text, "Resolved") || !strings.Contains(string(root.Attachments), "was deleted") {
					t.Errorf("%s %s", root.Text, root.Attachments)
				}
				w.said("payments", root, "news-2")
			})
		})
	}
}

// TestStop stops the bot in an ordinary way, in the middle of a call.
func TestStop(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		w.slack.Inject(slackfake.Fault{Kind: slackfake.Slow, Method: "chat.postMessage", Delay: 3 * time.Second})
		s := onset()
		w.mem.save(s)
		time.Sleep(time.Second)
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		w.start()
		w.settle()
		w.root("payments", s.ID)
		if n := len(w.slack.Calls("conversations.history")); n != 0 {
			t.Errorf("%d searches after an ordinary stop", n)
		}
	})
}

func TestSweep(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		w.incident()
		before, _ := w.mem.Read(context.Background(), ledgerPrefix)
		time.Sleep(keepThreads + 25*time.Hour)
		if now, _ := w.mem.Read(context.Background(), ledgerPrefix); len(now) != len(before)-1 {
			t.Errorf("%d entries of the ledger, want one less than %d", len(now), len(before))
		}
	})
}

// TestSlackTakesEveryKind sends every kind of message to the stand-in, which
// judges blocks as Slack does.
func TestSlackTakesEveryKind(t *testing.T) {
	played(t, slackfake.Options{NoRateLimits: true}, func(w *world) {
		ctx := context.Background()
		id := w.slack.ChannelID("incidents")
		try := func(name string, m message) {
			for _, plain := range []bool{false, true} {
				s, err := w.bot.api.post(ctx, id, "", false, plain, &m, map[string]any{"id": name, "rev": 1, "nonce": "n"})
				if err != nil {
					t.Errorf("%s, plain %v: %v", name, plain, err)
					continue
				}
				if err := w.bot.api.edit(ctx, id, s.ts, plain, &m); err != nil {
					t.Errorf("%s as an edit, plain %v: %v", name, plain, err)
				}
				time.Sleep(time.Second)
			}
		}
		for name, m := range messages() {
			try(name, m)
		}
		for i, m := range hostileMessages(hostileStory(hostile)) {
			try(fmt.Sprint("hostile ", i), m)
		}
		for i, m := range hostileMessages(hostileStory(strings.Repeat("<!channel>&😀 ", 10_000))) {
			try(fmt.Sprint("long ", i), m)
		}
		for name, v := range views() {
			if modal, ok := v.(slack.ModalViewRequest); ok {
				w.modalIsTaken(name, modal)
			}
		}
		for name, v := range hostileViews(hostile) {
			if modal, ok := v.(slack.ModalViewRequest); ok {
				w.modalIsTaken(name, modal)
			}
		}
		for _, p := range w.slack.Pings() {
			// In life those are edits, answers for one person and direct messages,
			// which ping nobody, and a person whom no direct message reaches.
			if !slices.Contains([]string{"U0FIRST", "U0SECOND"}, p.Who) && p.Text != "Who is on call." {
				t.Errorf("pinged %s by %s", p.Who, p.Text)
			}
		}
	})
}

// TestDamagedLedger loses one thread of the ledger, and meets one of a newer
// Tapio.
func TestDamagedLedger(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		s := onset()
		w.mem.save(append(many(1), s)...)
		w.settle()
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		w.mem.ledger[threadPrefix+s.ID] = []byte(`{"v":1,"id":`)
		w.start()
		w.mem.save(after(s, tapio.NewsScope, "news-1"), after(many(1)[0], tapio.NewsScope, "news-2"))
		w.settle()
		if n := len(w.roots("payments", s.ID)); n != 2 {
			t.Errorf("%d root messages, want a second one", n)
		}
		w.said("incidents", w.root("incidents", many(1)[0].ID), "news-2")

		w.stop()
		w.mem.ledger[threadPrefix+s.ID] = []byte(`{"v":2,"id":"x"}`)
		w.start()
		if err := <-w.ended; !errors.Is(err, errVersion) {
			t.Errorf("a newer ledger: %v", err)
		}
		delete(w.mem.ledger, threadPrefix+s.ID)
		w.start()
	})
}
