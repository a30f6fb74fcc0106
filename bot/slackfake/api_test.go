package slackfake

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// clockAt is a clock that a test moves.
type clockAt struct{ now time.Time }

func (c *clockAt) Now() time.Time { return c.now }

func newClock() *clockAt { return &clockAt{time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)} }

// call makes a call in process and returns status, header and answer.
func call(t *testing.T, w *Workspace, method string, kv ...string) (*http.Response, map[string]any) {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		form.Set(kv[i], kv[i+1])
	}
	r := httptest.NewRequest("POST", "http://localhost/api/"+method, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if form.Get("token") == "" && !form.Has("token") {
		r.Header.Set("Authorization", "Bearer "+w.BotToken())
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	resp := rec.Result()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if len(body) > 0 && json.Unmarshal(body, &out) != nil {
		out = map[string]any{"raw": string(body)}
	}
	return resp, out
}

// post posts a message and returns its ts.
func post(t *testing.T, w *Workspace, kv ...string) string {
	t.Helper()
	_, out := call(t, w, "chat.postMessage", kv...)
	ts, _ := out["ts"].(string)
	if ts == "" {
		t.Fatalf("not posted: %v", out)
	}
	return ts
}

func TestErrors(t *testing.T) {
	w := New(Options{
		Users: []User{{Name: "you"}, {Name: "guest"}},
		Channels: []Channel{
			{Name: "incidents", Members: []string{"you"}}, {Name: "elsewhere", NoBot: true}, {Name: "secret", NoBot: true, Private: true}, {Name: "old", Archived: true},
		},
	})
	in := w.ChannelID("incidents")
	ts := post(t, w, "channel", in, "text", "root")
	w.mu.Lock()
	theirs := &Message{User: w.me().ID, Text: "from a person"}
	w.commit(w.channel("incidents"), theirs)
	w.mu.Unlock()
	for _, tc := range []struct {
		method string
		args   []string
		want   string
	}{
		{"auth.test", []string{"token", ""}, "not_authed"},
		{"auth.test", []string{"token", "xoxb-wrong"}, "invalid_auth"},
		{"auth.test", []string{"token", w.AppToken()}, "not_allowed_token_type"},
		{"apps.connections.open", nil, "not_allowed_token_type"},
		{"chat.postMessage", []string{"channel", "C404", "text", "x"}, "channel_not_found"},
		{"chat.postMessage", []string{"channel", "#nowhere", "text", "x"}, "channel_not_found"},
		{"chat.postMessage", []string{"channel", "elsewhere", "text", "x"}, "not_in_channel"},
		{"chat.postMessage", []string{"channel", "secret", "text", "x"}, "channel_not_found"},
		{"chat.postMessage", []string{"channel", "old", "text", "x"}, "is_archived"},
		{"chat.postMessage", []string{"channel", in, "text", " "}, "no_text"},
		{"chat.postMessage", []string{"channel", in, "blocks", "[]"}, "no_text"},
		{"chat.postMessage", []string{"channel", in, "blocks", "{"}, "invalid_blocks_format"},
		{"chat.postMessage", []string{"channel", in, "text", "x", "attachments", "3"}, "invalid_attachments"},
		{"chat.postMessage", []string{"channel", in, "text", "x", "metadata", "3"}, "invalid_metadata_format"},
		{"chat.postMessage", []string{"channel", in, "text", "x", "thread_ts", "1.000000"}, "thread_not_found"},
		{"chat.update", []string{"channel", in, "ts", "1.000000", "text", "x"}, "message_not_found"},
		{"chat.update", []string{"channel", in, "ts", theirs.TS, "text", "x"}, "cant_update_message"},
		{"chat.update", []string{"channel", in, "ts", ts, "text", strings.Repeat("x", 4001)}, "msg_too_long"},
		{"chat.update", []string{"channel", in, "ts", ts}, "no_text"},
		{"chat.update", []string{"channel", "incidents", "ts", ts, "text", "x"}, "channel_not_found"},
		{"chat.delete", []string{"channel", in, "ts", theirs.TS}, "cant_delete_message"},
		{"chat.postEphemeral", []string{"channel", in, "user", w.UserID("guest"), "text", "x"}, "user_not_in_channel"},
		{"chat.postEphemeral", []string{"channel", in, "user", "U404", "text", "x"}, "user_not_found"},
		{"conversations.history", []string{"channel", w.ChannelID("elsewhere")}, "not_in_channel"},
		{"conversations.history", []string{"channel", in, "cursor", "!"}, "invalid_cursor"},
		{"conversations.history", []string{"channel", in, "limit", "1001"}, "invalid_limit"},
		{"conversations.replies", []string{"channel", in, "ts", "1.000000"}, "thread_not_found"},
		{"conversations.info", []string{"channel", w.ChannelID("secret")}, "channel_not_found"},
		{"conversations.join", []string{"channel", w.ChannelID("secret")}, "channel_not_found"},
		{"conversations.join", []string{"channel", w.ChannelID("old")}, "is_archived"},
		{"users.info", []string{"user", "U404"}, "user_not_found"},
		{"reactions.add", []string{"channel", in, "timestamp", "1.000000", "name", "eyes"}, "message_not_found"},
		{"chat.postMesage", nil, "unknown_method"},
	} {
		t.Run(tc.method+" "+tc.want, func(t *testing.T) {
			_, out := call(t, w, tc.method, tc.args...)
			if out["ok"] != false || out["error"] != tc.want {
				t.Errorf("got %v, want error %s", out, tc.want)
			}
		})
	}
	if got := w.UnknownMethods(); len(got) != 1 || got[0] != "chat.postMesage" {
		t.Errorf("unknown methods %v", got)
	}
	w.SetRevoked(true)
	if _, out := call(t, w, "auth.test"); out["error"] != "token_revoked" {
		t.Errorf("with a revoked token: %v", out)
	}
}

func TestMissingScope(t *testing.T) {
	w := New(Options{Scopes: []string{"chat:write", "commands"}})
	_, out := call(t, w, "users.list")
	if out["error"] != "missing_scope" || out["needed"] != "users:read" || out["provided"] != "chat:write,commands" {
		t.Errorf("got %v", out)
	}
	resp, _ := call(t, w, "auth.test")
	if got := resp.Header.Get("X-OAuth-Scopes"); got != "chat:write,commands" {
		t.Errorf("scopes header %q", got)
	}
}

func TestUpdateKeepsAndDrops(t *testing.T) {
	w := New(Options{})
	in := w.ChannelID("incidents")
	ts := post(t, w, "channel", in, "text", "one", "blocks", `[{"type":"divider"}]`,
		"attachments", `[{"color":"#a30200","text":"a"}]`, "metadata", `{"event_type":"e","event_payload":{"n":"1"}}`)
	call(t, w, "chat.update", "channel", in, "ts", ts, "text", "two")
	m := w.Messages("incidents")[0]
	if m.Text != "two" || m.Blocks != nil || m.Attachments == nil || m.Metadata == nil || m.Edited == "" {
		t.Errorf("text alone should drop the blocks, keep attachments and metadata: %+v", m)
	}
	call(t, w, "chat.update", "channel", in, "ts", ts, "text", "three", "attachments", "[]", "metadata", `{"event_type":"f","event_payload":{}}`)
	m = w.Messages("#incidents")[0]
	if m.Attachments != nil || !strings.Contains(string(m.Metadata), `"f"`) || m.Edits != 2 {
		t.Errorf("an empty array should drop attachments, new metadata replace the old: %+v", m)
	}
}

func TestPings(t *testing.T) {
	w := New(Options{})
	you, in := w.UserID("you"), w.ChannelID("incidents")
	ts := post(t, w, "channel", in, "text", "<@"+you+"> and &lt;!here&gt;", "blocks",
		`[{"type":"section","text":{"type":"mrkdwn","text":"<!subteam^S1|@team> <@`+you+`>"}},{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"broadcast","range":"channel"}]}]}]`)
	call(t, w, "chat.update", "channel", in, "ts", ts, "text", "<!everyone>")
	post(t, w, "channel", in, "text", "x", "attachments", `[{"blocks":[{"type":"context","elements":[{"type":"mrkdwn","text":"<!here>"},{"type":"plain_text","text":"<!channel>"}]}]}]`)
	var got []string
	for _, p := range w.Pings() {
		got = append(got, p.Who)
	}
	want := you + " subteam:S1 channel here"
	if strings.Join(got, " ") != want {
		t.Errorf("pinged %v, want %s", got, want)
	}
}

func TestHistoryPagesAndThreads(t *testing.T) {
	w := New(Options{NoRateLimits: true})
	in := w.ChannelID("incidents")
	var all []string
	for range 5 {
		all = append(all, post(t, w, "channel", in, "text", "root"))
	}
	reply := post(t, w, "channel", in, "text", "shown twice", "thread_ts", all[1], "reply_broadcast", "true")
	nested := post(t, w, "channel", in, "text", "reply to a reply", "thread_ts", reply)
	var got []string
	cursor := ""
	for {
		_, out := call(t, w, "conversations.history", "channel", in, "limit", "2", "cursor", cursor)
		for _, m := range out["messages"].([]any) {
			got = append(got, m.(map[string]any)["ts"].(string))
		}
		cursor = out["response_metadata"].(map[string]any)["next_cursor"].(string)
		if out["has_more"] != (cursor != "") {
			t.Errorf("has_more %v with cursor %q", out["has_more"], cursor)
		}
		if cursor == "" {
			break
		}
	}
	want := []string{reply, all[4], all[3], all[2], all[1], all[0]}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("history %v, want %v", got, want)
	}
	if r := w.Replies(in, all[1]); len(r) != 2 || r[1].TS != nested || r[1].ThreadTS != all[1] {
		t.Errorf("a reply to a reply belongs to the root: %+v", r)
	}
	_, out := call(t, w, "conversations.history", "channel", in, "oldest", all[2], "latest", all[4], "inclusive", "true")
	if n := len(out["messages"].([]any)); n != 3 {
		t.Errorf("%d messages between the third and the fifth, want 3", n)
	}
}

func TestDeletedRootLeavesTombstone(t *testing.T) {
	w := New(Options{})
	in := w.ChannelID("incidents")
	alone := post(t, w, "channel", in, "text", "alone")
	root := post(t, w, "channel", in, "text", "root")
	reply := post(t, w, "channel", in, "text", "reply", "thread_ts", root)
	if !w.DeleteMessage(in, alone) || !w.DeleteMessage(in, root) || w.DeleteMessage(in, "1.000000") {
		t.Fatal("deleting went wrong")
	}
	ms := w.Messages(in)
	if len(ms) != 1 || !ms[0].Tombstone {
		t.Fatalf("want the tombstone alone, got %+v", ms)
	}
	if _, out := call(t, w, "chat.update", "channel", in, "ts", root, "text", "x"); out["error"] != "message_not_found" {
		t.Errorf("update of a deleted root: %v", out)
	}
	if _, out := call(t, w, "chat.delete", "channel", in, "ts", reply); out["ok"] != true {
		t.Errorf("delete of a reply: %v", out)
	}
	if n := w.Messages(in)[0].ReplyCount; n != 0 {
		t.Errorf("%d replies left", n)
	}
}

func TestRates(t *testing.T) {
	clock := newClock()
	w := New(Options{Now: clock.Now})
	in := w.ChannelID("incidents")
	for i := range 60 {
		post(t, w, "channel", in, "text", "x")
		clock.now = clock.now.Add(time.Duration(i%2) * time.Second / 2)
	}
	resp, out := call(t, w, "chat.postMessage", "channel", in, "text", "one too many")
	if resp.StatusCode != http.StatusTooManyRequests || out["error"] != "ratelimited" || resp.Header.Get("Retry-After") != "45" {
		t.Errorf("the 61st post of a minute: %d %v, Retry-After %q", resp.StatusCode, out, resp.Header.Get("Retry-After"))
	}
	if n := w.PeakPosts("incidents", time.Second); n != 4 {
		t.Errorf("peak %d posts a second, want 4", n)
	}
	if n := w.PeakPosts("incidents", time.Minute); n != 60 {
		t.Errorf("peak %d posts a minute, want 60", n)
	}
	clock.now = clock.now.Add(45 * time.Second)
	post(t, w, "channel", in, "text", "again")
}

func TestTimestampsGrow(t *testing.T) {
	clock := newClock()
	w := New(Options{Now: clock.Now, Channels: []Channel{{Name: "a"}, {Name: "b"}}})
	first := post(t, w, "channel", "a", "text", "x")
	second := post(t, w, "channel", "a", "text", "x")
	other := post(t, w, "channel", "b", "text", "x")
	if first != "1795424400.000000" || second != "1795424400.000001" || other != first {
		t.Errorf("ts %s, %s, in another channel %s", first, second, other)
	}
	clock.now = clock.now.Add(-time.Hour)
	if ts := post(t, w, "channel", "a", "text", "x"); compareTS(ts, second) <= 0 {
		t.Errorf("ts %s after %s", ts, second)
	}
	w.channel("a").lastTS = "1795424400.999999"
	if ts := w.channel("a").nextTS(clock.now); ts != "1795424401.000000" {
		t.Errorf("ts %s after a full second", ts)
	}
}

func TestCreateChannels(t *testing.T) {
	w := New(Options{CreateChannels: true})
	post(t, w, "channel", "#team-shop", "text", "x")
	if len(w.Messages("team-shop")) != 1 {
		t.Error("the channel was not made")
	}
	for _, name := range []string{"C404", "D0LOCAL00099", "no such", "#", "a<b"} {
		if _, out := call(t, w, "chat.postMessage", "channel", name, "text", "x"); out["error"] != "channel_not_found" {
			t.Errorf("%q: %v", name, out)
		}
	}
}

func TestJSONBodyAndToken(t *testing.T) {
	w := New(Options{})
	body := `{"channel":"incidents","text":"t","reply_broadcast":false,"blocks":[{"type":"divider"}],"metadata":null}`
	r := httptest.NewRequest("POST", "http://127.0.0.1:8080/api/chat.postMessage", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Authorization", "Bearer "+w.BotToken())
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	if !strings.Contains(rec.Body.String(), `"ok":true`) {
		t.Fatal(rec.Body)
	}
	_, out := call(t, w, "chat.postMessage", "token", w.BotToken(), "channel", "incidents", "text", "token in the form")
	if out["ok"] != true {
		t.Errorf("%v", out)
	}
	for _, c := range w.Calls("chat.postMessage") {
		if c.Args["token"] != "" || c.Error != "" {
			t.Errorf("call %+v", c)
		}
	}
}

func TestMembersUsersAndDirectMessages(t *testing.T) {
	w := New(Options{Channels: []Channel{{Name: "incidents"}, {Name: "elsewhere", NoBot: true}, {Name: "secret", Private: true}}})
	_, out := call(t, w, "conversations.list", "types", "public_channel,private_channel")
	if n := len(out["channels"].([]any)); n != 3 {
		t.Errorf("%d channels listed", n)
	}
	_, out = call(t, w, "conversations.join", "channel", w.ChannelID("elsewhere"))
	if out["channel"].(map[string]any)["is_member"] != true {
		t.Errorf("join: %v", out)
	}
	_, out = call(t, w, "conversations.members", "channel", w.ChannelID("elsewhere"))
	if n := len(out["members"].([]any)); n != 2 {
		t.Errorf("members: %v", out)
	}
	_, out = call(t, w, "conversations.open", "users", w.UserID("you"))
	dm, _ := out["channel"].(map[string]any)["id"].(string)
	ts := post(t, w, "channel", w.UserID("you"), "text", "hello")
	if !strings.HasPrefix(dm, "D") || len(w.Messages(dm)) != 1 || w.Messages(dm)[0].TS != ts {
		t.Errorf("direct message went elsewhere than %q", dm)
	}
	_, out = call(t, w, "users.list")
	if n := len(out["members"].([]any)); n != 2 {
		t.Errorf("users: %v", out)
	}
	_, out = call(t, w, "chat.getPermalink", "channel", dm, "message_ts", ts)
	if want := "http://localhost/archives/" + dm + "/p" + strings.Replace(ts, ".", "", 1); out["permalink"] != want {
		t.Errorf("permalink %v, want %s", out["permalink"], want)
	}
	call(t, w, "reactions.add", "channel", dm, "timestamp", ts, "name", "eyes")
	if r := w.Messages(dm)[0].Reactions; len(r) != 1 || r[0].Name != "eyes" {
		t.Errorf("reactions %v", r)
	}
}
