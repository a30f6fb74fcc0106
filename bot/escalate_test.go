package bot

import (
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// three people are on call for payments: the first two in turn, the third after
// them.
func onCall(o *Options) {
	o.Call = Call{Severity: 2, After: 5 * time.Minute, Every: 10 * time.Minute, Rounds: 2}
	o.OnCall = []Rotation{{Team: "payments", People: []string{"U0FIRST", "U0SECOND"}, Start: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), Each: 24 * time.Hour, Then: []string{"U0THIRD"}}}
}

var watch = slackfake.Options{Users: []slackfake.User{{ID: "U0FIRST", Name: "first"}, {ID: "U0SECOND", Name: "second"}, {ID: "U0THIRD", Name: "third"}}}

// calls are the direct messages that each of the three got.
func (w *world) calls() []int {
	var out []int
	for _, user := range []string{"U0FIRST", "U0SECOND", "U0THIRD"} {
		out = append(out, len(w.slack.Messages(w.slack.DirectID(user))))
	}
	return out
}

func (w *world) called(first, second, third int) {
	w.t.Helper()
	if got := w.calls(); got[0] != first || got[1] != second || got[2] != third {
		w.t.Errorf("called %v times, want %d, %d and %d", got, first, second, third)
	}
}

func (w *world) summons(user string) slackfake.Message {
	w.t.Helper()
	all := w.slack.Messages(w.slack.DirectID(user))
	if len(all) == 0 {
		w.t.Fatalf("%s was not called", user)
	}
	return all[len(all)-1]
}

// TestEscalation: while nobody acknowledges, one after the other is called, each
// once in a round; the thread says so, and an ack ends it.
func TestEscalation(t *testing.T) {
	played(t, watch, func(w *world) {
		s := onset()
		w.mem.save(s)
		w.settle()
		root := w.root("payments", s.ID)
		if !strings.Contains(string(root.Attachments), "calls the primary on call for payments") {
			t.Errorf("the message doesn't say who is called: %s", root.Attachments)
		}
		w.wait(4 * time.Minute)
		w.called(0, 0, 0)
		w.wait(time.Minute)
		w.called(1, 0, 0)
		dm := w.summons("U0FIRST")
		for _, want := range []string{"primary on call for payments", "nobody acknowledged this for 5 min", "/archives/", actionAck, actionPass, "Otherwise \\u003c@U0SECOND\\u003e is called", "kubectl -n shop rollout undo"} {
			if !strings.Contains(string(dm.Blocks), want) {
				t.Errorf("the direct message lacks %q: %s", want, dm.Blocks)
			}
		}
		w.wait(30 * time.Second)
		w.said("payments", root, "the primary on call for payments, because nobody acknowledged this for 5 min.")
		if root = w.root("payments", s.ID); !strings.Contains(string(root.Attachments), "called \\u003c@U0FIRST\\u003e") {
			t.Errorf("the message doesn't say who was called: %s", root.Attachments)
		}
		w.wait(9 * time.Minute)
		w.called(1, 0, 0)
		w.wait(time.Minute)
		w.called(1, 1, 0)
		w.wait(10 * time.Minute)
		w.called(1, 1, 1)
		w.wait(10 * time.Minute)
		w.called(2, 1, 1)
		w.press("first", w.slack.DirectID("U0FIRST"), w.summons("U0FIRST").TS, actionAck)
		if got := w.whispered("first"); !strings.Contains(got.Text, "You take care of it") {
			t.Errorf("the answer to ack: %s", got.Text)
		}
		w.wait(2 * time.Hour)
		w.called(2, 1, 1)
		if notes := w.notes(s.ID); !strings.Contains(notes, "Tapio called the secondary on call for payments.") || !strings.Contains(notes, "@first takes care of it.") {
			t.Errorf("the timeline holds: %s", notes)
		}
		if pings := w.slack.Pings(); len(pings) > 0 {
			t.Errorf("somebody was pinged beside the direct messages: %+v", pings)
		}
	}, onCall)
}

// TestEscalationEnds: each is called at most Rounds times, and nobody is called
// for what is mild, silenced, resolved, or of a team without a rotation.
func TestEscalationEnds(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, s *tapio.Story)
		want   int // calls of each
	}{
		"nobody acks":  {func(w *world, s *tapio.Story) {}, 2},
		"mild":         {func(w *world, s *tapio.Story) { s.Severity = tapio.SeverityMedium }, 0},
		"other team":   {func(w *world, s *tapio.Story) { s.Owner.Team = "cart" }, 0},
		"there before": {func(w *world, s *tapio.Story) { s.Backlog = true }, 0},
		"muted": {func(w *world, s *tapio.Story) {
			w.wants(w.ask("/tapio mute shop/checkout 1d"), "is muted")
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			played(t, watch, func(w *world) {
				s := onset()
				c.change(w, &s)
				w.mem.save(s)
				w.wait(3 * time.Hour)
				w.called(c.want, c.want, c.want)
			}, onCall)
		})
	}
}

// TestEscalationStops: what ends a story, or the need of somebody, ends calls;
// what begins it anew begins with the first.
func TestEscalationStops(t *testing.T) {
	played(t, watch, func(w *world) {
		s := onset()
		w.mem.save(s)
		w.wait(6 * time.Minute)
		w.called(1, 0, 0)
		s = resolve(s, "It recovered.")
		w.mem.save(s)
		w.wait(20 * time.Minute)
		w.called(1, 0, 0)
		s = after(s, tapio.NewsReopened, "it fails again")
		s.Status, s.Resolved = tapio.StatusOpen, time.Time{}
		w.mem.save(s)
		w.wait(6 * time.Minute)
		w.called(2, 0, 0)
		w.press("second", "payments", w.root("payments", s.ID).TS, actionAck)
		w.wait(time.Hour)
		w.called(2, 0, 0)
		w.press("second", "payments", w.root("payments", s.ID).TS, actionUnack)
		w.wait(6 * time.Minute)
		w.called(3, 0, 0)
		w.press("first", w.slack.DirectID("U0FIRST"), w.summons("U0FIRST").TS, actionPass)
		w.wait(5 * time.Second)
		w.called(3, 1, 0)
		if got := w.whispered("first"); !strings.Contains(got.Text, "is called now") {
			t.Errorf("the answer to passing it on: %s", got.Text)
		}
		w.press("first", w.slack.DirectID("U0FIRST"), w.summons("U0FIRST").TS, actionPass)
		w.settle()
		w.said("payments", w.root("payments", s.ID), "@first can't take it.")
		w.wait(2 * time.Hour)
		w.called(3, 2, 2)
	}, onCall)
}

// TestEscalationDurable: a kill at every write, and a call whose outcome is
// unknown, neither lose a call nor make it twice.
func TestEscalationDurable(t *testing.T) {
	for nth := range 14 {
		for _, behind := range []bool{false, true} {
			played(t, watch, func(w *world) {
				s := onset()
				w.mem.save(s)
				w.wait(4 * time.Minute)
				w.slack.Inject(slackfake.Fault{Kind: slackfake.CommitThenCut, Method: "chat.postMessage"})
				w.mem.mu.Lock()
				w.mem.dieAt, w.mem.after = w.mem.writes+1+nth, behind
				w.mem.mu.Unlock()
				w.wait(8 * time.Minute)
				w.called(1, 0, 0)
				w.said("payments", w.root("payments", s.ID), "the primary on call for payments, because nobody")
				w.wait(10 * time.Minute)
				w.called(1, 1, 0)
			}, onCall)
		}
	}
}

// TestEscalationRefused: who can't be sent a direct message is named in the
// thread, and the next is called at once.
func TestEscalationRefused(t *testing.T) {
	played(t, watch, func(w *world) {
		s := onset()
		w.mem.save(s)
		w.wait(6 * time.Minute)
		w.called(0, 1, 0)
		w.settle()
		w.said("payments", w.root("payments", s.ID), "Slack takes no direct message for them (user_disabled)")
		if pings := w.slack.Pings(); len(pings) != 1 || pings[0].Who != "U0FIRST" {
			t.Errorf("the mention is what reaches them; pinged: %+v", pings)
		}
	}, onCall, refuse(func(method, body string) string {
		if method == "chat.postMessage" && strings.Contains(body, "channel=U0FIRST&") {
			return `{"ok":false,"error":"user_disabled"}`
		}
		return ""
	}))
}

// TestEscalationAway: while Slack is away nobody can be called; when it is back,
// whoever is needed is called once, and nobody for what is over.
func TestEscalationAway(t *testing.T) {
	for _, over := range []bool{false, true} {
		played(t, watch, func(w *world) {
			s := onset()
			w.mem.save(s)
			w.wait(4 * time.Minute)
			w.slack.InjectRandom(1, []slackfake.FaultKind{slackfake.BadGateway}, "chat.postMessage", "chat.update", "conversations.history", "conversations.replies", "conversations.open", "auth.test")
			w.wait(3 * time.Hour)
			if over {
				w.mem.save(resolve(s, "It recovered."))
				w.wait(time.Minute)
			}
			w.slack.InjectRandom(0, nil)
			w.wait(5 * time.Minute)
			if over {
				w.called(0, 0, 0)
				return
			}
			w.called(1, 0, 0)
			w.wait(10 * time.Minute)
			w.called(1, 1, 0)
		}, onCall)
	}
}

// TestEscalationOfStorm calls once for a storm, not once for each story of it.
func TestEscalationOfStorm(t *testing.T) {
	played(t, watch, func(w *world) {
		var all []tapio.Story
		for i, s := range many(40) {
			s.Owner, s.Severity = tapio.Owner{Team: "payments", Channel: "#payments"}, tapio.SeverityHigh
			s.Timestamp, s.Opened, s.Updated = time.Now().UTC(), time.Now().UTC(), time.Now().UTC()
			all = append(all, s)
			if w.mem.save(s); i%4 == 0 {
				w.wait(time.Second)
			}
		}
		w.settle()
		lists := w.storms("payments")
		if len(lists) != 1 {
			t.Fatalf("%d lists", len(lists))
		}
		w.press("second", "payments", lists[0].TS, actionAck)
		w.settle()
		if got := w.storms("payments")[0]; !strings.Contains(string(got.Attachments), "acked by") || !strings.Contains(string(got.Attachments), colorAcked) {
			t.Errorf("the list doesn't say who takes care of it: %s", got.Attachments)
		}
		w.press("second", "payments", lists[0].TS, actionUnack)
		w.wait(6 * time.Minute)
		listCalls := 0
		for _, m := range w.slack.Messages(w.slack.DirectID("U0FIRST")) {
			if strings.Contains(m.Text, "40 stories began almost at once") {
				listCalls++
			}
		}
		if listCalls != 1 {
			t.Errorf("called %d times for the list: %s", listCalls, texts(w.slack.Messages(w.slack.DirectID("U0FIRST"))))
		}
		for _, s := range all {
			w.mem.save(resolve(s, "It recovered."))
		}
		w.wait(time.Minute)
		before := w.calls()
		w.wait(2 * time.Hour)
		w.called(before[0], before[1], before[2])
	}, onCall)
}

// TestHushedStaysTrue: a story whose message people deleted twice is told again
// when it comes back, and what leads to it stays true until then.
func TestHushedStaysTrue(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		s := onset()
		w.mem.save(s)
		w.settle()
		for range 2 {
			w.slack.DeleteMessage("payments", w.root("payments", s.ID).TS)
			s = after(s, tapio.NewsScope, "it grew")
			w.mem.save(s)
			w.settle()
		}
		if n := len(w.roots("payments", s.ID)); n != 0 {
			t.Fatalf("%d messages of a story that people don't want to see", n)
		}
		s = resolve(s, "It recovered.")
		w.mem.save(s)
		w.settle()
		s = after(s, tapio.NewsReopened, "it fails again")
		s.Status, s.Resolved = tapio.StatusOpen, time.Time{}
		w.mem.save(s)
		w.settle()
		w.root("payments", s.ID)
	})
}

// TestTellResolved: a channel that asked for it sees that a story is resolved.
func TestTellResolved(t *testing.T) {
	for _, asked := range []bool{true, false} {
		played(t, slackfake.Options{}, func(w *world) {
			s := w.incident()
			replies := w.slack.Replies("payments", w.root("payments", s.ID).TS)
			if last := replies[len(replies)-1]; last.Broadcast != asked || !strings.Contains(last.Text, "Resolved") {
				t.Errorf("asked %v: %+v", asked, last)
			}
		}, func(o *Options) {
			if asked {
				o.TellResolved = []string{"payments"}
			}
		})
	}
}

// TestMendedChannel: a channel that takes messages again is noticed, though
// nothing is to be said there.
func TestMendedChannel(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		w.slack.SetArchived("incidents", true)
		s := onset()
		s.Owner.Channel = ""
		w.mem.save(s)
		w.wait(10 * time.Second)
		if w.bot.Ready() == nil {
			t.Error("ready though the default channel is archived")
		}
		w.slack.SetArchived("incidents", false)
		w.wait(time.Minute)
		w.root("incidents", s.ID)
		w.slack.SetArchived("incidents", true)
		w.mem.save(after(s, tapio.NewsScope, "it grew"))
		w.wait(time.Minute)
		w.slack.DeleteMessage("incidents", w.root("incidents", s.ID).TS)
		if err := w.bot.Ready(); err == nil {
			t.Error("ready though the default channel is archived")
		}
		w.slack.SetArchived("incidents", false)
		w.wait(parkDefaultFor + time.Minute)
		if err := w.bot.Ready(); err != nil {
			t.Errorf("not ready though the channel is mended: %v", err)
		}
	})
}
