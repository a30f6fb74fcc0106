package bot

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
	"sigs.k8s.io/yaml"
)

// unchecked are scopes that the stand-in doesn't ask for, and where Slack does.
var unchecked = []string{
	"commands",              // the command and the shortcut exist
	"chat:write.public",     // chat.postMessage to a channel that the app is not in
	"metadata.message:read", // metadata in conversations.history and replies
}

// everything does all that needs a scope.
func (w *world) everything() {
	s := onset()
	w.slack.Inject(slackfake.Fault{Kind: slackfake.CommitThenCut, Method: "chat.postMessage"}) // found in the history
	w.mem.save(s)
	w.wait(20 * time.Second)
	w.slack.Inject(slackfake.Fault{Kind: slackfake.CommitThenCut, Method: "chat.postMessage"}) // found in the thread
	s = after(s, tapio.NewsScope, "it grew")
	w.mem.save(s)
	w.wait(time.Minute)
	private := onset()
	private.ID, private.Owner.Channel = "private", "#secret"
	w.slack.Inject(slackfake.Fault{Kind: slackfake.CommitThenCut, Method: "chat.postMessage"})
	w.mem.save(private)
	w.wait(20 * time.Second)
	elsewhere := onset()
	elsewhere.ID, elsewhere.Owner.Channel = "elsewhere", "#elsewhere" // which has to be joined
	w.mem.save(elsewhere)
	w.wait(20 * time.Second)
	w.slack.OpenHome(context.Background(), "first")
	w.wait(3 * time.Minute)
	w.slack.Inject(slackfake.Fault{Kind: slackfake.CommitThenCut, Method: "chat.postMessage", Times: 3}) // found in the direct messages
	w.wait(2 * time.Minute)
	for _, m := range w.roots("payments", s.ID) {
		w.slack.Click(context.Background(), slackfake.Action{User: "second", Channel: "payments", TS: m.TS, ActionID: actionAck})
	}
	w.wait(20 * time.Second)
}

// TestManifest: the scopes that the manifest asks for are enough for all that
// the bot does, and none is asked for that it could do without.
func TestManifest(t *testing.T) {
	data, err := os.ReadFile("../deploy/slack/manifest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		OAuth struct {
			Scopes struct{ Bot []string }
		} `json:"oauth_config"`
		Features struct {
			Shortcuts []struct {
				CallbackID string `json:"callback_id"`
			}
		}
		Settings struct {
			Events struct {
				Bot []string `json:"bot_events"`
			} `json:"event_subscriptions"`
		}
	}
	if err := yaml.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	if cs := manifest.Features.Shortcuts; len(cs) != 1 || cs[0].CallbackID != shortcutNote {
		t.Errorf("shortcuts %v, want %s", cs, shortcutNote)
	}
	if e := manifest.Settings.Events.Bot; !slices.Equal(e, []string{"app_home_opened"}) {
		t.Errorf("events %v", e)
	}
	scopes := manifest.OAuth.Scopes.Bot
	missing := func(t *testing.T, scopes []string) bool {
		found := false
		workspace := slackfake.Options{
			Scopes: scopes, Users: watch.Users, Groups: []slackfake.Group{{Handle: "sre", Users: []string{"second"}}},
			Channels: []slackfake.Channel{{Name: "incidents"}, {Name: "payments"}, {Name: "secret", Private: true}, {Name: "elsewhere", NoBot: true}},
		}
		played(t, workspace, func(w *world) {
			w.everything()
			for _, c := range w.slack.Calls("") {
				if c.Error == "missing_scope" {
					found = true
				}
			}
		}, onCall, func(o *Options) { o.Allow.Ack = []string{"@sre"} })
		return found
	}
	if missing(t, scopes) {
		t.Errorf("the scopes of the manifest are not enough: %v", scopes)
	}
	for _, scope := range scopes {
		if slices.Contains(unchecked, scope) {
			continue
		}
		t.Run("without "+scope, func(t *testing.T) {
			if !missing(t, slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return s == scope })) {
				t.Errorf("nothing needs %s", scope)
			}
		})
	}
}
