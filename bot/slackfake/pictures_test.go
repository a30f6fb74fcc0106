//go:build pictures

package slackfake

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

// TestPictures fills a workspace and has the page's pictures taken. These tests
// need Node and Chromium; "make pictures" runs them.
func TestPictures(t *testing.T) {
	w := New(Options{
		Users:        []User{{Name: "you"}, {Name: "robin", Title: "Robin"}},
		Channels:     []Channel{{Name: "incidents", Topic: "Stories of the whole cluster"}, {Name: "shop", Topic: "Team shop"}, {Name: "platform"}, {Name: "quiet"}, {Name: "messages", Topic: "Every kind of message"}},
		Hints:        []string{"/tapio help", "/tapio list", "/tapio story cart-6c9d-x7kfp"},
		NoRateLimits: true,
	})
	mux := http.NewServeMux()
	mux.Handle("/", w.Handler())
	mux.HandleFunc("GET /trigger", func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, w.Trigger("you")) })
	srv := httptest.NewServer(mux)
	defer srv.Close()
	defer w.Close()
	seed(t, w)
	home, err := os.ReadFile("../testdata/views/home.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.do("views.publish", args{"user_id": w.UserID("you"), "view": string(home)}, w.BotToken(), nil); err != nil {
		t.Fatal(err)
	}
	w.whisperText("incidents", "Two stories are open:\n:red_circle: *<https://stories.example/s1|cart is crash-looping>* · 6 min · `shop`\n:large_yellow_circle: *search cannot be scheduled* · 31 min · `search`")
	w.SetStatus("Replaying a recorded incident at 10×: 3:12 of 9:40", 192.0/580)
	node(t, w, "page.mjs", srv.URL, "../../out/pictures", "../../bot/testdata/views")
}

// TestPageBehaves uses the page with a browser's keyboard and mouse.
func TestPageBehaves(t *testing.T) {
	w := New(Options{Channels: []Channel{{Name: "live"}, {Name: "shop"}}})
	srv := httptest.NewServer(w.Handler())
	defer srv.Close()
	defer w.Close()
	b := startBot(t, w)
	b.answer = func(c slack.SlashCommand) string { return "answer to " + c.Text }
	node(t, w, "behaviour.mjs", srv.URL)
	var got []string
	for _, c := range b.clicked() {
		a := c.ActionCallback.BlockActions[0]
		got = append(got, a.ActionID+" "+a.Value+a.SelectedOption.Value)
	}
	if s := strings.Join(got, ", "); s != "more two, ack s9" {
		t.Errorf("the app heard of the clicks %q", s)
	}
}

// node runs a script of deploy/pictures.
func node(t *testing.T, w *Workspace, arg ...string) {
	t.Helper()
	cmd := exec.Command("node", arg...)
	cmd.Dir = "../../deploy/pictures"
	cmd.Env = append(os.Environ(), "TOKEN="+w.BotToken())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v", arg[0], err)
	}
}

// seed posts a small incident and every golden message of the bot.
func seed(t *testing.T, w *Workspace) {
	t.Helper()
	var steps []struct {
		Channel, Thread, Edit, Name string
		Message                     map[string]json.RawMessage
	}
	b, err := os.ReadFile("testdata/workspace.json")
	if err != nil {
		t.Fatal(err)
	}
	b = []byte(strings.ReplaceAll(string(b), "<@you>", "<@"+w.UserID("you")+">"))
	if err := json.Unmarshal(b, &steps); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, s := range steps {
		a := messageArgs(t, s.Message)
		a["channel"] = w.ChannelID(s.Channel)
		method := "chat.postMessage"
		if s.Thread != "" {
			a["thread_ts"] = names[s.Thread]
		}
		if s.Edit != "" {
			method = "chat.update"
			a["ts"] = names[s.Edit]
		}
		out, err := w.do(method, a, w.BotToken(), nil)
		if err != nil {
			t.Fatalf("step %v: %v", s, err)
		}
		names[s.Name] = out["ts"].(string)
	}
	golden, err := filepath.Glob("../testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range slices.Sorted(slices.Values(golden)) {
		var m map[string]json.RawMessage
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		a := messageArgs(t, m)
		a["channel"] = w.ChannelID("messages")
		if _, err := w.do("chat.postMessage", a, w.BotToken(), nil); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// messageArgs makes the arguments of a post from a message in JSON.
func messageArgs(t *testing.T, m map[string]json.RawMessage) args {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	a := args{}
	if err := a.addJSON(b); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(a, func(k, _ string) bool {
		return !slices.Contains([]string{"text", "blocks", "attachments", "metadata"}, k)
	})
	return a
}

// whisperText shows an ephemeral to the person at the page.
func (w *Workspace) whisperText(channel, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whisper(w.channel(channel), &Message{User: w.bot.ID, To: w.me().ID, Text: text})
}
