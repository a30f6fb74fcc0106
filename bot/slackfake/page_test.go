package slackfake

import (
	"bufio"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

// ask sends a request to the page's server.
func ask(w *Workspace, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec
}

func TestOnlyThisMachineIsAnswered(t *testing.T) {
	w := New(Options{})
	for _, tc := range []struct {
		method, target, origin, kind string
		want                         int
	}{
		{"GET", "http://localhost:8080/", "", "", 200},
		{"GET", "http://127.0.0.1/", "", "", 200},
		{"GET", "http://127.9.9.9:1/page/state", "", "", 200},
		{"GET", "http://[::1]:8080/page/app.js", "", "", 200},
		{"GET", "http://rebound.example/", "", "", 403},
		{"GET", "http://localhost.example/page/state", "", "", 403},
		{"GET", "http://10.0.0.1/page/state", "", "", 403},
		{"GET", "http://localhost/page/state", "http://evil.example", "", 403},
		{"POST", "http://localhost/page/command", "http://evil.example", "application/json", 403},
		{"POST", "http://localhost/page/command", "null", "application/json", 403},
		{"POST", "http://localhost:1/page/command", "http://localhost:2", "application/json", 403},
		{"POST", "http://localhost/page/command", "", "text/plain", 415},
		{"POST", "http://localhost/page/click", "http://localhost", "application/json", 200},
		{"POST", "http://localhost/api/auth.test", "http://evil.example", "", 403},
		{"GET", "http://localhost/nothing", "", "", 404},
	} {
		h := []string{"Content-Type", tc.kind}
		if tc.origin != "" {
			h = append(h, "Origin", tc.origin)
		}
		if got := ask(w, tc.method, tc.target, "{}", h...).Code; got != tc.want {
			t.Errorf("%s %s from %q: %d, want %d", tc.method, tc.target, tc.origin, got, tc.want)
		}
	}
}

func TestPageLoadsNothingFromElsewhere(t *testing.T) {
	w := New(Options{})
	rec := ask(w, "GET", "http://localhost/", "")
	if got := rec.Header().Get("Content-Security-Policy"); got != policy {
		t.Errorf("policy %q", got)
	}
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		t.Fatal(err)
	}
	// What would run or fetch something, or read text as HTML.
	bad := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|@import|url\(|src="http|href="http| style=| on\w+="`)
	err = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		if found := bad.Find(b); found != nil {
			t.Errorf("%s has %q", path, found)
		}
		rec := ask(w, "GET", "http://localhost/page/"+path, "")
		if rec.Code != 200 || rec.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, rec.Code, rec.Header())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPageShowsOnlyWhatItsPersonSees(t *testing.T) {
	w := New(Options{
		Users:    []User{{Name: "you"}, {Name: "robin"}},
		Channels: []Channel{{Name: "incidents"}, {Name: "theirs", Members: []string{"robin"}}},
	})
	ts := post(t, w, "channel", "incidents", "text", "root")
	post(t, w, "channel", "incidents", "text", "reply", "thread_ts", ts)
	post(t, w, "channel", "theirs", "text", "hidden")
	post(t, w, "channel", w.UserID("robin"), "text", "hidden")
	call(t, w, "chat.postEphemeral", "channel", w.ChannelID("incidents"), "user", w.UserID("robin"), "text", "hidden")
	call(t, w, "chat.postEphemeral", "channel", w.ChannelID("incidents"), "user", w.UserID("you"), "text", "for you")
	state := ask(w, "GET", "http://localhost/page/state", "").Body.String()
	for _, want := range []string{`"root"`, `"for you"`, `"reply_count":1`} {
		if !strings.Contains(state, want) {
			t.Errorf("state lacks %s", want)
		}
	}
	if strings.Contains(state, "hidden") || strings.Contains(state, "theirs") || strings.Contains(state, `"reply"`) {
		t.Errorf("state shows too much: %s", state)
	}
	thread := ask(w, "GET", "http://localhost/page/thread?channel="+w.ChannelID("incidents")+"&ts="+ts, "").Body.String()
	if !strings.Contains(thread, `"reply"`) {
		t.Errorf("thread %s", thread)
	}
	theirs := ask(w, "GET", "http://localhost/page/thread?channel=theirs&ts="+w.Messages("theirs")[0].TS, "").Body.String()
	if strings.TrimSpace(theirs) != "[]" {
		t.Errorf("somebody else's thread: %s", theirs)
	}
}

func TestOlderMessages(t *testing.T) {
	w := New(Options{NoRateLimits: true})
	var all []string
	for range pageRoots + 20 {
		all = append(all, post(t, w, "channel", "incidents", "text", "x"))
	}
	var state struct {
		Messages []messageView
		Older    map[string]bool
	}
	if err := json.Unmarshal(ask(w, "GET", "http://localhost/page/state", "").Body.Bytes(), &state); err != nil {
		t.Fatal(err)
	}
	in := w.ChannelID("incidents")
	if len(state.Messages) != pageRoots || state.Messages[0].TS != all[20] || !state.Older[in] {
		t.Fatalf("%d messages from %s", len(state.Messages), state.Messages[0].TS)
	}
	var older struct {
		Messages []messageView
		More     bool
	}
	body := ask(w, "GET", "http://localhost/page/older?channel="+in+"&before="+all[20], "").Body.Bytes()
	if err := json.Unmarshal(body, &older); err != nil {
		t.Fatal(err)
	}
	if len(older.Messages) != 20 || older.Messages[0].TS != all[0] || older.More {
		t.Errorf("older: %d, more %v", len(older.Messages), older.More)
	}
}

func TestPageHearsOfChanges(t *testing.T) {
	w := New(Options{})
	srv := httptest.NewServer(w.Handler())
	defer srv.Close()
	defer w.Close()
	resp, err := http.Get(srv.URL + "/page/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	ts := post(t, w, "channel", "incidents", "text", "one")
	call(t, w, "chat.update", "channel", w.ChannelID("incidents"), "ts", ts, "text", "two\n\nthree")
	w.SetStatus("replaying", 0.5)
	w.SetArchived("incidents", true)
	var got []string
	lines := bufio.NewScanner(resp.Body)
	for len(got) < 4 && lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var c change
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Fatal(err)
		}
		switch {
		case c.Message != nil:
			got = append(got, c.Kind+" "+c.Message.Text)
		case c.Status != nil:
			got = append(got, c.Kind+" "+c.Status.Text)
		case c.Channel != nil && c.Channel.Archived:
			got = append(got, c.Kind+" archived")
		}
	}
	if s := strings.Join(got, "; "); s != "message one; message two\n\nthree; status replaying; channel archived" {
		t.Errorf("heard %q", s)
	}
}

func TestSlowPageIsCutOff(t *testing.T) {
	w := New(Options{NoRateLimits: true})
	v := w.watch()
	for range changeQueue + 1 {
		post(t, w, "channel", "incidents", "text", "x")
	}
	n := 0
	for range v.changes { // ends only because it was closed
		n++
	}
	if n != changeQueue || len(w.watchers) != 0 {
		t.Errorf("%d changes queued, %d watchers left", n, len(w.watchers))
	}
}

func TestPageCommandsAndClicks(t *testing.T) {
	w := New(Options{})
	in := w.ChannelID("incidents")
	say := func(path, body string) string {
		return ask(w, "POST", "http://localhost"+path, body, "Content-Type", "application/json", "Origin", "http://localhost").Body.String()
	}
	if got := say("/page/command", `{"channel":"`+in+`","text":"/tapio list"}`); !strings.Contains(got, "not connected") {
		t.Errorf("without an app: %s", got)
	}
	b := startBot(t, w)
	b.answer = func(slack.SlashCommand) string { return "two stories" }
	if got := say("/page/command", `{"channel":"`+in+`","text":"/tapio list"}`); got != "{}" {
		t.Errorf("command: %s", got)
	}
	if e := w.Ephemerals("you"); len(e) != 1 || e[0].Text != "two stories" {
		t.Errorf("answers %+v", e)
	}
	if got := say("/page/command", `{"channel":"`+in+`","text":"hello"}`); !strings.Contains(got, "slash") {
		t.Errorf("plain text: %s", got)
	}
	ts := post(t, w, append(buttons, "channel", in)...)
	if got := say("/page/click", `{"channel":"`+in+`","ts":"`+ts+`","action_id":"ack","block_id":"low"}`); got != "{}" || len(b.clicked()) != 1 {
		t.Errorf("click: %s", got)
	}
	if got := say("/page/click", `{"channel":"`+in+`","ts":"`+ts+`","action_id":"nothing"}`); !strings.Contains(got, "no such element") {
		t.Errorf("click on nothing: %s", got)
	}
}

func TestPermalinksLeadToThePage(t *testing.T) {
	w := New(Options{})
	if got := ask(w, "GET", "http://localhost/archives/C0LOCAL00004/p1795424400000001?thread_ts=1&cid=C", "").Header().Get("Location"); got != "/#C0LOCAL00004/1795424400.000001" {
		t.Errorf("leads to %q", got)
	}
	for _, bad := range []string{"/archives/C1/p12", "/archives/C1/x1795424400000001", "/archives/C1/p179542440000000x", "/archives/..%2f/p1795424400000001"} {
		if code := ask(w, "GET", "http://localhost"+bad, "").Code; code != 404 {
			t.Errorf("%s: %d", bad, code)
		}
	}
}
