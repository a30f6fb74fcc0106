//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// everyFactOnce compares a thread with the journal: what each revision told as
// news stands in the replies, as often as in the journal. The news of the
// first revision are the root message's.
func (b *bed) everyFactOnce(t *testing.T, live *instance, story *tapio.Story, replies []slackfake.Message) {
	t.Helper()
	var answer struct {
		Revisions []tapio.Revision `json:"revisions"`
	}
	status, body := live.get("/api/v1/stories/" + story.ID + "/revisions")
	if err := json.Unmarshal([]byte(body), &answer); status != http.StatusOK || err != nil {
		fatalf(t, "revisions of %s: %d %.300s, %v", story.ID, status, body, err)
	}
	var said strings.Builder
	for _, r := range replies {
		said.WriteString(words(t, r.Blocks))
	}
	want := map[string]int{}
	for n, r := range answer.Revisions {
		if r.Story.Revision != n+1 {
			errorf(t, "revision %d of the story is numbered %d", n+1, r.Story.Revision)
		}
		for _, news := range r.Story.News {
			if n > 0 && news.Text != "" && news.Kind != tapio.NewsOpened && news.Kind != tapio.NewsAbsorbed {
				want[news.Text]++
			}
		}
	}
	if len(want) == 0 {
		errorf(t, "the journal has %d revisions and no news", len(answer.Revisions))
	}
	for text, times := range want {
		if got := strings.Count(said.String(), text); got != times {
			errorf(t, "the thread says %d times, the journal %d times: %s", got, times, text)
		}
	}
	t.Logf("%d revisions, %d facts", len(answer.Revisions), len(want))
}

// words returns every text in the blocks of a message, as a person reads it.
func words(t *testing.T, blocks json.RawMessage) string {
	t.Helper()
	if len(blocks) == 0 {
		return ""
	}
	var v any
	if err := json.Unmarshal(blocks, &v); err != nil {
		fatalf(t, "blocks of a message: %v", err)
	}
	var out strings.Builder
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for key, e := range v {
				if s, ok := e.(string); ok && key == "text" {
					out.WriteString(s + "\n")
				}
				walk(e)
			}
		}
	}
	walk(v)
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(out.String())
}
