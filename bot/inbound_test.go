package bot

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// modalIsTaken opens a modal as the answer to a command would.
func (w *world) modalIsTaken(name string, v slack.ModalViewRequest) {
	w.t.Helper()
	time.Sleep(time.Second) // its pace
	if err := w.bot.api.openView(context.Background(), w.slack.Trigger("first"), v); err != nil {
		w.t.Errorf("%s: %v", name, err)
	}
}

// types types a command that opens a modal instead of answering.
func (w *world) types(user, text string) slackfake.View {
	w.t.Helper()
	w.slack.CloseModal(user)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if m, err := w.slack.Command(ctx, user, "incidents", text); err == nil {
		w.t.Fatalf("%s answered %q", text, m.Text)
	}
	return w.modal(user)
}

func (w *world) modal(user string) slackfake.View {
	w.t.Helper()
	time.Sleep(time.Second)
	v, ok := w.slack.Modal(user)
	if !ok {
		w.t.Fatalf("%s has no modal open", user)
	}
	return v
}

// fills fills in the modal and returns what is wrong with it.
func (w *world) fills(user string, values map[string]string) map[string]string {
	w.t.Helper()
	if err := w.slack.Submit(context.Background(), user, values); err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	v, _ := w.slack.Modal(user)
	return v.Errors
}

func (w *world) choose(user, channel, ts, option string) {
	w.t.Helper()
	err := w.slack.Click(context.Background(), slackfake.Action{User: user, Channel: channel, TS: ts, ActionID: actionMore, Value: option})
	if err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
}

// whispered is the last thing that only this person saw.
func (w *world) whispered(user string) slackfake.Message {
	w.t.Helper()
	all := w.slack.Ephemerals(user)
	if len(all) == 0 {
		w.t.Fatalf("%s was told nothing", user)
	}
	return all[len(all)-1]
}

func (w *world) notes(story string) string {
	w.t.Helper()
	notes, err := ReadNotes(context.Background(), w.mem, story)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for i := range notes {
		out = append(out, notes[i].Sentence())
	}
	return strings.Join(out, "\n")
}

// TestSecondCommands asks everything that a person may ask beside stories.
func TestSecondCommands(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		s, over := withHypotheses(checkoutOOM()), resolvedOOM()
		over.ID, over.Timestamp = "0lder", at(-9000)
		node := many(1)[0]
		node.ID, node.Subject = "n0de", tapio.Entity{Kind: tapio.KindNode, Name: "worker-3"}
		node.AffectedPods = nil
		w.mem.save(over, s, node)
		w.settle()
		w.wants(w.ask("/tapio why checkout"), "certain: a component said so", "no other pod of the node was evicted", "Checked and ruled out", "chosen")
		w.wants(w.ask("/tapio similar checkout"), "Like checkout", "rollback")
		w.wants(w.ask("/tapio story worker-3"), "node/worker-3")
		w.wants(w.ask("/tapio story work"), "node/worker-3")
		w.wants(w.ask("/tapio story worker-4"), "Did you mean", "worker-3")
		w.wants(w.ask("/tapio story checkout --since 2000-01-01"), "crash-looping", "earlier: ")
		w.wants(w.ask("/tapio story checkout --since soon"), "is no time such as")
		w.wants(w.ask("/tapio list shop"), "in shop", "checkout")
		w.wants(w.ask("/tapio list team=nobody"), "There is no open story of team nobody")
		w.wants(w.ask("/tapio list sev9"), "none of 1 to 5")
		w.wants(w.ask("/tapio list resolved since=30d"), "resolved")
		w.wants(w.ask("/tapio list color=red"), "is no filter")
		w.wants(w.ask("/tapio oncall"), "Nobody is configured")
		w.wants(w.ask("/tapio ack checkout"), "You take care of")
		w.wants(w.ask("/tapio list acked"), "One story is acked", "@first takes care of it")
		w.wants(w.ask("/tapio unack checkout"), "Nobody takes care")
		w.wants(w.ask("/tapio note checkout Raised the limit <!channel> by hand"), "Added to the timeline")
		w.wants(w.ask("/tapio digest"), "Incidents of the last 24 hours")
		w.wants(w.ask("/tapio digest sometimes"), "daily")
		w.settle()
		root := w.root("payments", s.ID)
		w.said("payments", root, "by hand")
		if r := w.slack.Replies("payments", root.TS); !strings.Contains(r[len(r)-1].Text, "Raised the limit &lt;!channel&gt; by hand") {
			t.Errorf("the note is not said as it was typed: %s", texts(r))
		}
		if got := w.notes(s.ID); got != "@first takes care of it.\n@first gave it back.\n@first: Raised the limit <!channel> by hand" {
			t.Errorf("notes: %s", got)
		}
		w.wants(w.ask("/tapio story checkout"), "@first takes care of it", "Raised the limit ‹!channel")
		if n := len(w.slack.Pings()); n != 0 {
			t.Errorf("%d pings", n)
		}
	})
}

func TestMute(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		s := onset()
		w.mem.save(s)
		w.settle()
		root := w.root("payments", s.ID)
		w.wants(w.ask("/tapio mute checkout for 2h because load <test>"), "shop/checkout", "is muted until")
		w.settle()
		root = w.root("payments", s.ID)
		if a := unescaped(root.Attachments); !strings.Contains(a, colorAside) || !strings.Contains(a, "muted until") || !strings.Contains(a, "load ") {
			t.Errorf("the root does not say that it is muted: %s", a)
		}
		if replies := w.slack.Replies("payments", root.TS); len(replies) != 0 {
			t.Errorf("a mute made noise: %s", texts(replies))
		}

		// It grows and stays silent; a new one of the same workload too.
		w.mem.save(after(s, tapio.NewsScope, "news-1"))
		second := onset()
		second.ID = "sec0nd"
		w.mem.save(second)
		w.wait(10 * time.Minute)
		if replies := w.slack.Replies("payments", root.TS); len(replies) != 0 || len(w.roots("payments", second.ID)) != 0 {
			t.Errorf("muted stories were told: %s", texts(replies))
		}
		if root = w.root("payments", s.ID); !strings.Contains(string(root.Blocks), "news-1") {
			t.Error("the message of a muted story is no longer true")
		}
		w.wants(w.ask("/tapio list"), "2 stories are open", "muted until")
		w.wants(w.ask("/tapio list muted"), "2 stories are muted")

		// It outlives a restart, and ends by itself.
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		w.start()
		w.wait(time.Hour)
		if len(w.roots("payments", second.ID)) != 0 {
			t.Error("the mute did not outlive a restart")
		}
		w.wait(time.Hour)
		w.settle()
		if a := unescaped(w.root("payments", s.ID).Attachments); !strings.Contains(a, colorFiring) {
			t.Errorf("still muted after its time: %s", a)
		}
		w.root("payments", second.ID) // told now
		w.wants(w.ask("/tapio unmute"), "Nothing is muted")

		// Others than workloads, and back by name and by button.
		w.wants(w.ask("/tapio mute namespace sh* 1d"), "namespace `sh*` is muted")
		w.wants(w.ask("/tapio mute node/worker-3 30m"), "node `worker-3` is muted")
		w.wants(w.ask("/tapio mute shop/never-failed 1w"), "`shop/never-failed` is muted")
		w.wants(w.ask("/tapio unmute sh*"), "no longer muted")
		list := w.ask("/tapio unmute")
		w.wants(list, "2 mutes", "worker-3")
		w.press("first", "incidents", list.TS, actionUnmute+".0")
		w.wants(w.whispered("first"), "no longer muted")
		w.wants(w.ask("/tapio unmute"), "One mute")
		w.wants(w.ask("/tapio mute checkout 400d"), "1 minute to 30 days")
		w.wants(w.ask("/tapio mute chekout 1h"), "Did you mean")
		if got := w.notes(s.ID); !strings.Contains(got, "@first muted it: until") || !strings.Contains(got, "load <test>") {
			t.Errorf("notes: %s", got)
		}
	})
}

func TestModals(t *testing.T) {
	kept := ""
	played(t, slackfake.Options{}, func(w *world) {
		s := onset()
		w.mem.save(s)
		w.settle()
		root := w.root("payments", s.ID)

		// A note, by command, by the menu of the message, by shortcut.
		w.types("first", "/tapio note checkout")
		w.fills("first", map[string]string{fieldText: "by <@U1> command"})
		w.choose("first", "payments", root.TS, moreNote+" "+s.ID)
		w.modal("first")
		w.fills("first", map[string]string{fieldText: "by menu"})
		if err := w.slack.Shortcut(context.Background(), "second", "payments", root.TS, shortcutNote); err != nil {
			t.Fatal(err)
		}
		if v := w.modal("second"); strings.Contains(string(v.Blocks), "static_select") {
			t.Error("the shortcut in a story's thread asks which story")
		}
		w.fills("second", map[string]string{fieldText: "by shortcut"})
		if err := w.slack.Shortcut(context.Background(), "second", "incidents", w.post("incidents", "hello"), shortcutNote); err != nil {
			t.Fatal(err)
		}
		w.modal("second")
		w.fills("second", map[string]string{fieldStory: s.ID, fieldText: "from elsewhere"})
		w.settle()
		for _, want := range []string{"@first: by <@U1> command", "@first: by menu", "@second: by shortcut", "@second: from elsewhere"} {
			if !strings.Contains(w.notes(s.ID), want) {
				t.Errorf("notes lack %q: %s", want, w.notes(s.ID))
			}
		}
		w.said("payments", root, " command", "by menu", "by shortcut", "from elsewhere")

		// The right cause.
		w.choose("second", "payments", root.TS, moreWrong+" "+s.ID)
		w.modal("second")
		if wrong := w.fills("second", nil); wrong[fieldText] == "" {
			t.Error("empty feedback was taken")
		}
		if wrong := w.fills("second", map[string]string{fieldText: "x", fieldAt: "the cache"}); wrong[fieldAt] == "" {
			t.Error("an object that is none was taken")
		}
		w.fills("second", map[string]string{fieldCause: string(tapio.CauseKeyMissing), fieldText: "the key <!here> was empty", fieldAt: "cm/shop/cache"})
		w.wants(w.whispered("second"), "Thank you")
		if kept != s.ID {
			t.Errorf("what was seen was kept of %q", kept)
		}
		records, _ := w.mem.Read(context.Background(), tapio.FeedbackKey(s.ID))
		if len(records) != 1 {
			t.Fatalf("%d feedbacks", len(records))
		}
		f, err := tapio.DecodeFeedback(records[0])
		if err != nil || f.Right != tapio.CauseKeyMissing || f.Told != s.Cause || f.By != "@second" || f.Good {
			t.Errorf("feedback %+v, %v", f, err)
		}
		w.settle()
		w.said("payments", root, "it was Key missing (config.key_missing) at ConfigMap/shop/cache. the key ")
		w.choose("first", "payments", root.TS, moreRight+" "+s.ID)
		w.wants(w.whispered("first"), "Thank you")
		if n := testutil.ToFloat64(w.bot.count.feedback.WithLabelValues("right", string(s.Standing))); n != 1 {
			t.Errorf("%v rights were counted", n)
		}

		// Muting, by button and by command without a time.
		w.press("first", "payments", root.TS, actionMute)
		w.fills("first", map[string]string{fieldWhat: string(muteNamespace) + " shop", fieldFor: "4h", fieldText: "drill"})
		w.wants(w.whispered("first"), "namespace `shop` is muted")
		w.types("second", "/tapio mute")
		if wrong := w.fills("second", map[string]string{fieldWhat: "nonsense"}); !strings.Contains(wrong[fieldWhat], "Nothing is called") {
			t.Errorf("muted nonsense: %v", wrong)
		}
		w.fills("second", map[string]string{fieldWhat: "team payments", fieldFor: "30d"})
		w.wants(w.whispered("second"), "team `payments` is muted")
		w.types("first", "/tapio feedback checkout")
		w.choose("first", "payments", root.TS, moreWhy+" "+s.ID)
		w.wants(w.whispered("first"), "Why")
		if n := len(w.slack.Pings()); n != 0 {
			t.Errorf("%d pings", n)
		}
	}, func(o *Options) {
		o.Causes = causesOf()
		o.Keep = func(_ context.Context, story string) error { kept = story; return nil }
	})
}

// post says something as a person, and returns its ts.
func (w *world) post(channel, text string) string {
	w.t.Helper()
	s, err := w.bot.api.post(context.Background(), w.slack.ChannelID(channel), "", false, true, &message{Text: text}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.ts
}

func TestHome(t *testing.T) {
	for name, mode := range map[string]func(*Options){"http": func(*Options) {}, "socket mode": sockets} {
		t.Run(name, func(t *testing.T) {
			var lacking []string
			played(t, slackfake.Options{}, func(w *world) {
				w.wait(2 * time.Second)
				see := func(wants ...string) {
					t.Helper()
					time.Sleep(5 * time.Second)
					v, ok := w.slack.Home("first")
					if !ok {
						t.Fatal("no App Home")
					}
					for _, want := range wants {
						if !strings.Contains(unescaped(v.Blocks), want) {
							t.Errorf("the App Home lacks %q: %s", want, v.Blocks)
						}
					}
				}
				click := func(action string) {
					t.Helper()
					if err := w.slack.ClickView(context.Background(), slackfake.Action{User: "first", ActionID: action}, true); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.slack.OpenHome(context.Background(), "first"); err != nil {
					t.Fatal(err)
				}
				see("Nothing is failing", "can post")
				s := onset()
				w.mem.save(s)
				w.settle()
				lacking = []string{"slack: said elsewhere", "kubernetes: not synced"}
				click(actionRefresh)
				see("1 story is open", "not acked", "kubernetes: not synced")
				click(actionAck)
				see("@first takes care of it", "Un-ack")
				click(actionPick + ".story")
				if v := w.modal("first"); !strings.Contains(string(v.Blocks), "OOMKilled") {
					t.Errorf("the story is not shown: %s", v.Blocks)
				}
				w.slack.CloseModal("first")
				click(actionMute)
				w.modal("first")
				w.fills("first", map[string]string{fieldWhat: "namespace shop", fieldFor: "1h"})
				see("Muted", "namespace `shop` until")
				click(actionUnmute + ".0")
				see("not", "Un-ack")
				if v, _ := w.slack.Home("first"); strings.Contains(string(v.Blocks), actionUnmute) {
					t.Error("still muted")
				}
				w.said("payments", w.root("payments", s.ID), "@first takes care of it.")
			}, mode, func(o *Options) {
				o.Lacking = func() []string { return lacking }
			})
		})
	}
}

func TestAllowed(t *testing.T) {
	played(t, slackfake.Options{Groups: []slackfake.Group{{Handle: "sre", Users: []string{"first"}}}}, func(w *world) {
		s := onset()
		w.mem.save(s)
		w.settle()
		root := w.root("payments", s.ID)
		w.press("second", "payments", root.TS, actionAck)
		w.wants(w.whispered("second"), "Only @sre may do that")
		w.press("second", "payments", root.TS, actionMute)
		w.wants(w.whispered("second"), "Only @sre may do that")
		if _, open := w.slack.Modal("second"); open {
			t.Error("the modal was opened all the same")
		}
		w.press("first", "payments", root.TS, actionAck)
		w.said("payments", w.root("payments", s.ID), "@first takes care of it.")
		asks := len(w.slack.Calls("usergroups.users.list"))
		if asks != 1 {
			t.Errorf("%d questions for the members of one group", asks)
		}

		// Groups change; while Slack can't be asked, what it told counts.
		w.slack.SetGroup("sre", "second")
		w.wait(11 * time.Minute)
		w.slack.Inject(slackfake.Fault{Kind: slackfake.ServerError, Method: "usergroups.users.list"})
		w.wants(w.ask("/tapio mute checkout 1h"), "is muted") // first is still known as a member
		w.wait(time.Minute)
		w.wants(w.ask("/tapio unmute checkout"), "Only @sre may do that")
		w.press("second", "payments", root.TS, actionUnmute)
		w.wants(w.whispered("second"), "no longer muted")
	}, func(o *Options) { o.Allow = Allow{Ack: []string{"@sre"}, Mute: []string{"@sre"}} })
}

func TestDigest(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		w.wants(w.ask("/tapio digest daily"), "gets a digest daily", "9:00 UTC")
		w.wait(25 * time.Hour)
		if n := len(w.slack.Messages("incidents")); n != 0 {
			t.Errorf("%d digests of nothing", n)
		}
		s := onset()
		s.Timestamp, s.Updated = time.Now(), time.Now()
		w.mem.save(s)
		w.settle()
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		w.start()
		w.wait(24 * time.Hour)
		all := w.slack.Messages("incidents")
		if len(all) != 1 || !strings.Contains(string(all[0].Blocks), "Incidents of the last 24 hours") || !strings.Contains(string(all[0].Blocks), "shop/checkout") {
			t.Fatalf("digests: %s", texts(all))
		}
		w.wants(w.ask("/tapio digest off"), "no digest any more")
		w.wait(48 * time.Hour)
		if n := len(w.slack.Messages("incidents")); n != 1 {
			t.Errorf("%d digests", n)
		}
	})
}

// TestAckInTime acknowledges within 3 s though the ledger is slow for minutes,
// and does the work after.
func TestAckInTime(t *testing.T) {
	for name, mode := range map[string]func(*Options){"http": func(*Options) {}, "socket mode": sockets} {
		t.Run(name, func(t *testing.T) {
			played(t, slackfake.Options{}, func(w *world) {
				s := onset()
				w.mem.save(s)
				w.settle()
				root := w.root("payments", s.ID)
				w.mem.slow(time.Minute)
				for _, a := range []slackfake.Action{
					{User: "first", Channel: "payments", TS: root.TS, ActionID: actionAck},
					{User: "second", Channel: "payments", TS: root.TS, ActionID: actionAck},
					{User: "first", Channel: "payments", TS: root.TS, ActionID: actionTimeline},
				} {
					start := time.Now()
					if err := w.slack.Click(context.Background(), a); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(start); took > 2500*time.Millisecond {
						t.Errorf("acknowledged after %s", took)
					}
				}
				w.wait(10 * time.Minute)
				w.said("payments", w.root("payments", s.ID), "@first takes care of it.")
				w.wants(w.whispered("second"), "Already acknowledged by @first")
			}, mode)
		})
	}
}

// TestInboundFlood refuses what there is no room for, and counts it.
func TestInboundFlood(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		w.wait(2 * time.Second)
		w.slack.Inject(slackfake.Fault{Kind: slackfake.Slow, Method: "response_url", Delay: 5 * time.Second, Times: maxQueued + maxAnswers})
		refused := 0
		for i := range 200 {
			d := w.bot.command(context.Background(), &slack.SlashCommand{Text: "list", TriggerID: fmt.Sprint(i), ResponseURL: "http://localhost/response/x"})
			if !d().taken {
				refused++
			}
		}
		if refused != 200-maxQueued-maxAnswers {
			t.Errorf("%d of 200 refused", refused)
		}
		if n := testutil.ToFloat64(w.bot.count.dropped.WithLabelValues("answer")); int(n) != refused {
			t.Errorf("%v counted, %d refused", n, refused)
		}
		w.wait(5 * time.Minute)
		w.wants(w.ask("/tapio list"), "no story is open")
	})
}
