package bot

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// TestStorm lets more stories begin than anybody can read.
func TestStorm(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		stories := many(40)
		w.mem.save(stories[0])
		w.wait(5 * time.Second)
		for i := 1; i < len(stories); i += 5 {
			w.mem.save(stories[i:min(i+5, len(stories))]...)
			w.wait(time.Second)
		}
		w.settle()
		own := 0
		for _, s := range stories {
			own += len(w.roots("incidents", s.ID))
		}
		lists := w.storms("incidents")
		if len(lists) != 1 || !strings.Contains(lists[0].Text, "40 stories began almost at once; 40 still open") {
			t.Fatalf("want one list of 40: %s", texts(lists))
		}
		if own == 0 || own > 10 {
			t.Errorf("%d stories got a message of their own", own)
		}
		if !strings.Contains(string(lists[0].Blocks), "told on its own") {
			t.Errorf("the first story's own message is not linked: %s", lists[0].Blocks)
		}

		// The storm is over; the list stays true, and what gets worse is told.
		w.wait(2 * time.Minute)
		last := stories[39]
		last.Severity = tapio.SeverityCritical
		w.mem.save(after(last, tapio.NewsSeverity, "it got worse"))
		for _, s := range stories[:38] {
			w.mem.save(resolve(s, "It recovered."))
		}
		w.settle()
		w.root("incidents", last.ID)
		if list := w.storms("incidents")[0]; !strings.Contains(list.Text, "2 still open") {
			t.Errorf("the list is not true: %s", list.Text)
		}
		later := many(41)[40]
		w.mem.save(later)
		w.settle()
		w.root("incidents", later.ID)
		w.mem.save(resolve(stories[38], "It recovered."), resolve(after(last, tapio.NewsScope, "x"), "It recovered."))
		w.settle()
		if list := w.storms("incidents")[0]; !strings.Contains(list.Text, "0 still open") || !strings.Contains(string(list.Attachments), colorResolved) {
			t.Errorf("the storm is not over: %s", list.Text)
		}
	})
}

// storms are the lists of storms in a channel.
func (w *world) storms(channel string) []slackfake.Message {
	var out []slackfake.Message
	for _, m := range w.slack.Messages(channel) {
		if strings.Contains(m.Text, "stories began ") {
			out = append(out, m)
		}
	}
	return out
}

// TestOutage keeps Slack away for three hours, in which stories begin, grow
// and end. What is said afterwards is how things are then.
func TestOutage(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		known := onset()
		w.mem.save(known)
		w.wait(time.Minute)
		w.slack.InjectRandom(1, []slackfake.FaultKind{slackfake.CutBefore, slackfake.BadGateway}, "chat.postMessage", "chat.update",
			"conversations.history", "conversations.replies", "conversations.list", "auth.test", "chat.getPermalink")
		stories := many(30)
		for i := range 30 {
			stories[i].Timestamp, stories[i].Updated = time.Now(), time.Now()
			w.mem.save(stories[i])
			w.wait(5 * time.Minute)
			known = after(known, tapio.NewsScope, fmt.Sprintf("grew-%02d", i))
			w.mem.save(known)
			if i < 25 {
				w.mem.save(resolve(stories[i], "It recovered."))
			}
			w.wait(time.Minute)
		}
		before := len(w.slack.Calls("chat.postMessage")) + len(w.slack.Calls("chat.update"))
		w.slack.InjectRandom(0, nil)
		w.settle()
		if said := len(w.slack.Calls("chat.postMessage")) + len(w.slack.Calls("chat.update")) - before; said > 16 {
			t.Errorf("%d messages and edits after the outage", said)
		}
		if root := w.root("payments", known.ID); !strings.Contains(string(root.Blocks), "grew-29") || root.Edits > 2 {
			t.Errorf("the root message is not the newest, or took %d edits", root.Edits)
		}
		lists := w.storms("incidents")
		if len(lists) != 1 || !strings.Contains(lists[0].Text, "stories began while Slack could not be reached; 5 still open") {
			t.Errorf("want one list: %s", texts(w.slack.Messages("incidents")))
		}
	})
}

// TestFlapping lets a story come and go seven times in an hour.
func TestFlapping(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		s := w.incident()
		root := w.root("payments", s.ID)
		edits := root.Edits
		for range 7 {
			w.wait(3 * time.Minute)
			s = after(s, tapio.NewsReopened, "it fails again")
			s.Status, s.Resolved = tapio.StatusOpen, time.Time{}
			w.mem.save(s)
			w.wait(3 * time.Minute)
			s = resolve(s, "it recovered again")
			w.mem.save(s)
		}
		w.settle()
		w.wait(10 * time.Minute)
		root = w.root("payments", s.ID)
		replies := w.slack.Replies("payments", root.TS)
		all := texts(replies)
		if n := strings.Count(all, "it fails again"); n != 2 {
			t.Errorf("each return was told %d times, want 2 before it is one of many: %s", n, all)
		}
		if !strings.Contains(all, "it came back for the 3rd time in an hour") || strings.Count(all, "time in an hour") > 4 {
			t.Errorf("the coming and going is not told as one: %s", all)
		}
		if n := strings.Count(all, "it recovered again"); n != 3 { // twice, and when it lasted
			t.Errorf("the end was told %d times: %s", n, all)
		}
		broadcasts := 0
		for _, r := range replies {
			if r.Broadcast {
				broadcasts++
			}
		}
		if broadcasts != 2 {
			t.Errorf("%d replies went to the channel, want 2", broadcasts)
		}
		if !strings.Contains(string(root.Attachments), "it came back 7 times in an hour") || !strings.HasPrefix(root.Text, "Resolved") {
			t.Errorf("the root message: %s %s", root.Text, root.Attachments)
		}
		if root.Edits-edits > 14 {
			t.Errorf("%d edits for 14 changes", root.Edits-edits)
		}
	})
}

// TestDirectMessage tells who took care of a story that it came back.
func TestDirectMessage(t *testing.T) {
	for name, f := range map[string]slackfake.Fault{
		"calm":            {Kind: slackfake.Slow, Method: "chat.postMessage"},
		"commit then cut": {Kind: slackfake.CommitThenCut, Method: "chat.postMessage", Times: 3},
	} {
		t.Run(name, func(t *testing.T) {
			played(t, slackfake.Options{}, func(w *world) {
				s := onset()
				w.mem.save(s)
				w.settle()
				w.press("first", "payments", w.root("payments", s.ID).TS, actionAck)
				s = resolve(s, "It recovered.")
				w.mem.save(s)
				w.settle()
				s = after(s, tapio.NewsReopened, "it fails again")
				s.Status, s.Resolved = tapio.StatusOpen, time.Time{}
				w.slack.Inject(f)
				w.mem.save(s)
				w.settle()
				got := w.slack.Messages(w.slack.DirectID("first"))
				if len(got) != 1 || !strings.Contains(got[0].Text, "the story came back") || !strings.Contains(string(got[0].Blocks), "/archives/") {
					t.Errorf("want one direct message with a link: %s", texts(got))
				}
				w.said("payments", w.root("payments", s.ID), "it fails again")
			})
		})
	}
}

// TestAsides tells a story to the owner of the cause, and each team that it
// hurts gets a line that stays true.
func TestAsides(t *testing.T) {
	workspace := slackfake.Options{Channels: []slackfake.Channel{{Name: "incidents"}, {Name: "payments"}, {Name: "platform"}, {Name: "cart"}}}
	played(t, workspace, func(w *world) {
		s := onset()
		s.Owner.Channel = "#platform"
		hurt := func(name string) []tapio.Entity {
			return []tapio.Entity{{Kind: tapio.KindDeployment, Namespace: "shop", Name: name}}
		}
		s.Touches = []tapio.Touch{
			{Owner: tapio.Owner{Channel: "#payments"}, Namespace: "shop", Affected: hurt("checkout")},
			{Owner: tapio.Owner{Channel: "#cart"}, Namespace: "shop", Affected: hurt("cart")},
			{Owner: tapio.Owner{Team: "nobody"}, Namespace: "shop", Affected: hurt("other")}, // told where nothing else is: no line
		}
		w.mem.save(s)
		w.settle()
		address := "/p" + strings.Replace(w.root("platform", s.ID).TS, ".", "", 1)
		line := func(channel, says string) {
			t.Helper()
			all := w.slack.Messages(channel)
			if len(all) != 1 || !strings.Contains(all[0].Text, says) || !strings.Contains(string(all[0].Blocks), address) {
				t.Errorf("%s: want one line that says %q and links %s: %s", channel, says, address, texts(all))
			}
		}
		line("payments", "`checkout` is hurt by")
		line("cart", "firing since")
		w.press("first", "platform", w.root("platform", s.ID).TS, actionAck)
		w.settle()
		line("cart", "acked by @first")
		w.mem.save(resolve(s, "It recovered."))
		w.settle()
		line("payments", "resolved after")
		line("cart", "resolved after")
		if n := len(w.slack.Messages("incidents")); n != 0 {
			t.Errorf("%d messages in the default channel", n)
		}
	})
}

func TestOrdinal(t *testing.T) {
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 101: "101st", 111: "111th"} {
		if got := ordinal(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
