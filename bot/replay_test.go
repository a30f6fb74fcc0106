package bot

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yairfalse/tapio/bot/slackfake"
)

// TestReplay refuses a signed request that comes a second time, however its
// signature is written.
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, slackfake.Options{})
		w.wait(2 * time.Second)
		body := []byte(`{"type":"url_verification","challenge":"c1"}`)
		now := fmt.Sprint(time.Now().Unix())
		send := func(signature string) *httptest.ResponseRecorder {
			req := httptest.NewRequest("POST", "/slack/events", strings.NewReader(string(body)))
			req.Header.Set("X-Slack-Request-Timestamp", now)
			req.Header.Set("X-Slack-Signature", signature)
			rec := httptest.NewRecorder()
			w.bot.Handler().ServeHTTP(rec, req)
			return rec
		}
		good := slackfake.Sign(w.slack.SigningSecret(), now, body)
		if rec := send(good); rec.Code != 200 || strings.TrimSpace(rec.Body.String()) != `{"challenge":"c1"}` {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		for _, again := range []string{good, "v0=" + strings.ToUpper(good[3:])} {
			if rec := send(again); rec.Code != 409 {
				t.Errorf("replayed: %d", rec.Code)
			}
		}
		time.Sleep(6 * time.Minute)
		if rec := send(good); rec.Code != 401 {
			t.Errorf("replayed later: %d", rec.Code)
		}
	})
}

// FuzzInbound feeds whatever is signed to the decoders and to what acts on it.
func FuzzInbound(f *testing.F) {
	f.Add(0, "command=%2Ftapio&text=list&trigger_id=1")
	f.Add(0, "ssl_check=1")
	f.Add(1, `payload={"type":"block_actions","actions":[{"action_id":"tapio.ack","value":"x"}]}`)
	f.Add(1, `payload={"type":"block_actions","actions":[null,{"action_id":"tapio.more","selected_option":{"value":"why x"}}]}`)
	f.Add(1, `payload={"type":"view_submission","view":{"callback_id":"tapio.mute","private_metadata":"{","state":{"values":{"what":{"value":{"value":"x"}},"for":{"value":{"selected_option":{"value":"1h"}}}}}}}`)
	f.Add(1, `payload={"type":"view_submission","view":{"callback_id":"tapio.note"}}`)
	f.Add(1, `payload={"type":"message_action","callback_id":"tapio.add_to_timeline","message":{}}`)
	f.Add(2, `{"type":"event_callback","event_id":"E1","event":{"type":"app_home_opened","user":"U1","tab":"home"}}`)
	f.Add(2, `{"type":"app_rate_limited"}`)
	mem := newMemory()
	mem.save(checkoutOOM())
	b, err := New(Options{
		Journal: mem, Stories: mem, Ledger: mem, BotToken: "xoxb-1", SigningSecret: "s", DefaultChannel: "#x", APIURL: "http://127.0.0.1:1/", Log: discard(),
	})
	if err != nil {
		f.Fatal(err)
	}
	close(b.ended) // nobody serves requests
	f.Fuzz(func(t *testing.T, kind int, body string) {
		path := []string{"/slack/commands", "/slack/actions", "/slack/events"}[uint(kind)%3]
		now := fmt.Sprint(time.Now().Unix())
		req := httptest.NewRequest("POST", path, strings.NewReader(body))
		req.Header.Set("X-Slack-Request-Timestamp", now)
		req.Header.Set("X-Slack-Signature", slackfake.Sign("s", now, []byte(body)))
		rec := httptest.NewRecorder()
		b.Handler().ServeHTTP(rec, req)
		switch rec.Code {
		case 200, 400, 409, 503:
		default:
			t.Errorf("answered %d %s", rec.Code, rec.Body)
		}
		if rec.Code == 200 && rec.Body.Len() > 0 && !json.Valid(rec.Body.Bytes()) {
			t.Errorf("answered %s", rec.Body)
		}
	})
}

func FuzzParsers(f *testing.F) {
	for _, s := range []string{"checkout 2h", "checkout for 2 hours because x", "namespace shop 1d", "1w2d3h", "list ns=x sev1 --since 3d", "—since=1d", "x 9999999999w"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := parseFor(s); err == nil && (d < minMute || d > maxMute) {
			t.Errorf("%q is %s", s, d)
		}
		if what, long, _, err := splitMute(s); err == nil && long > 0 && what == "" {
			t.Errorf("%q mutes nothing", s)
		}
		_, _ = parseFilters(s, t0)
		_, _ = parseAsked(command{rest: s}, t0)
	})
}

func TestRotation(t *testing.T) {
	r := Rotation{People: []string{"A", "B", "C"}, Start: t0, Each: time.Hour}
	for after, want := range map[time.Duration]string{0: "AB", 59 * time.Minute: "AB", time.Hour: "BC", 2 * time.Hour: "CA", 3 * time.Hour: "AB", -time.Minute: "CA", -time.Hour: "CA", -61 * time.Minute: "BC"} {
		first, second, until := r.at(t0.Add(after))
		if first+second != want || !until.After(t0.Add(after)) || until.Sub(t0.Add(after)) > time.Hour {
			t.Errorf("after %s: %s, then %s, until %s; want %s", after, first, second, until, want)
		}
	}
}
