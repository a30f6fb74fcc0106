package bot

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/yairfalse/tapio"
)

var (
	muted      = &mute{ID: "m1", Kind: muteWorkload, Name: "shop/checkout", By: *first, Until: at(7200), Why: "load test"}
	mutes      = []*mute{muted, {ID: "m2", Kind: muteNamespace, Name: "staging-*", By: ack{Name: "second"}, Until: at(90_000)}}
	considered = withHypotheses(checkoutOOM())
)

func withHypotheses(s tapio.Story) tapio.Story {
	s.Hypotheses = []tapio.Hypothesis{
		{Template: s.Template, Cause: s.Cause, Entity: s.CauseEntity, Standing: tapio.StandingCertain, For: []string{"e2", "e1"}, Chosen: true},
		{Template: "node-memory", Cause: tapio.CauseNodeMemoryPressure, Entity: tapio.Entity{Kind: tapio.KindNode, Name: "worker-3"}, Standing: tapio.StandingPossible,
			For: []string{"e4"}, Against: []string{"no other pod of the node was evicted", "the kernel named the container's own limit"}},
	}
	s.Checked = []string{"no probe failed", "the node is healthy"}
	return s
}

func notesOf() []tapio.Note {
	return []tapio.Note{
		{Time: at(120), Kind: tapio.NoteAck, By: "@first", User: "U0FIRST"},
		{Time: at(200), Kind: tapio.NoteText, By: "@first", User: "U0FIRST", Text: "Raised the limit by hand on one pod; it stays up."},
		{Time: at(260), Kind: tapio.NoteMute, By: "@second", Text: "until 16:00 UTC, load test"},
		{Time: at(700), Kind: tapio.NoteWrongCause, By: "@second", Text: "it was config.key_missing. The cache size came from an empty key."},
	}
}

func hostileNotes(text string) []tapio.Note {
	var out []tapio.Note
	for _, k := range []tapio.NoteKind{tapio.NoteText, tapio.NoteAck, tapio.NoteWrongCause, "odd"} {
		out = append(out, tapio.Note{Time: at(10), Kind: k, By: text, User: text, Text: text})
	}
	return out
}

func onCallBot() *Bot {
	return &Bot{opts: Options{Call: Call{Severity: 2, After: 5 * time.Minute, Every: 10 * time.Minute, Rounds: 2}, OnCall: []Rotation{
		{Team: "payments", People: []string{"U0FIRST", "U0SECOND"}, Start: t0.Add(-50 * time.Hour), Each: 168 * time.Hour},
		{People: []string{"U0THIRD"}, Start: t0, Each: 24 * time.Hour},
	}}}
}

func digestOf(over tapio.Story, many []tapio.Story) *period {
	again := over
	again.ID, again.Timestamp, again.Resolved = "again", at(2000), at(2600)
	p := &period{from: t0.Add(-time.Hour), to: t0.Add(23 * time.Hour), open: many[:2], muted: 1, causes: causesOf()}
	p.count(append([]tapio.Story{over, again}, many[:2]...), 24*time.Hour)
	return p
}

// emojiOf are the names of emoji in a golden file.
var emojiOf = regexp.MustCompile(`:[a-z_]{3,}:`)

// TestEmoji: the page of the stand-in knows each emoji that the bot uses.
func TestEmoji(t *testing.T) {
	known, err := os.ReadFile("slackfake/page/emoji.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, glob := range []string{"testdata/*.json", "testdata/views/*.json"} {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			t.Fatal(glob, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range emojiOf.FindAllString(string(b), -1) {
				if !slices.Contains(strings.Fields(string(known)), strings.Trim(name, ":")) {
					t.Errorf("%s: %s is not in slackfake/page/emoji.js", f, name)
				}
			}
		}
	}
}

func causesOf() []CauseName {
	return []CauseName{
		{tapio.CauseOOMLimit, "Memory limit reached"}, {tapio.CauseAppError, "Application error"}, {tapio.CauseKeyMissing, "Key missing"},
		{tapio.CauseNodeNotReady, "Node not ready"},
	}
}

func homeOf() *home {
	many := many(3)
	return &home{
		user: "U0FIRST", total: 23, mutes: mutes, now: at(900), oncall: onCallBot().opts.OnCall, call: onCallBot().opts.Call, pending: 3,
		stories: []listed{{story: &many[0]}, {story: &many[1], ack: first}, {story: &many[2], muted: muted}},
	}
}

// views are all kinds of views, by the name of their golden file.
func views() map[string]any {
	open := checkoutOOM()
	from := modalFrom{Story: open.ID, Channel: "C0123456789"}
	sick := &home{user: "U0FIRST", now: at(900), lacking: []string{
		"slack refuses the default channel #incidents (is_archived): " + mend("is_archived"), "kubernetes: the first listing is not complete",
	}}
	return map[string]any{
		"modal-note":       noteView(&open, "", from),
		"modal-note-text":  noteView(&open, "We rolled back at 14:20.", from),
		"modal-note-which": noteForView(many(3), "We rolled back at 14:20.", from),
		"modal-note-none":  noteForView(nil, "x", from),
		"modal-mute":       muteView("shop/checkout", "", from),
		"modal-mute-story": muteStoryView(&open, from),
		"modal-wrong":      wrongView(&open, causesOf(), from),
		"modal-show":       showView(why(&considered, causesOf())),
		"home":             homeOf().view(),
		"home-quiet":       (&home{now: at(900)}).view(),
		"home-sick":        sick.view(),
	}
}

// TestGoldenViews compares every kind of view with its file.
func TestGoldenViews(t *testing.T) {
	for name, v := range views() {
		t.Run(name, func(t *testing.T) {
			var pretty bytes.Buffer
			enc := json.NewEncoder(&pretty)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if err := enc.Encode(v); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", "views", name+".json")
			if *update {
				if err := os.WriteFile(file, pretty.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
				t.Errorf("%s changed; look at it and rewrite it with -update:\n%s", file, diff)
			}
			checkView(t, name, v)
		})
	}
}

func hostileViews(text string) map[string]any {
	s := hostileStory(text)
	from := modalFrom{Story: text, Channel: text}
	var all []tapio.Story
	for range 120 {
		all = append(all, s)
	}
	m := &mute{ID: "m", Kind: muteTeam, Name: text, By: ack{Name: text, User: text}, Why: text, Until: at(60)}
	h := &home{total: 200, now: at(0), lacking: []string{text, text, text, text, text, text, text}}
	for range homeStories {
		h.stories = append(h.stories, listed{story: &s, muted: m})
	}
	for range 40 {
		h.mutes = append(h.mutes, m)
	}
	return map[string]any{
		"note": noteView(&s, text, from), "which": noteForView(all, text, from), "mute": muteView(text, text, from), "mute story": muteStoryView(&s, from),
		"wrong": wrongView(&s, []CauseName{{tapio.Cause(text), text}, {"x.y", text}}, from), "show": showView(answer(&s, hostileNotes(text), all)), "home": h.view(),
	}
}

// checkView wants a view within Slack's limits, with nothing in it that Slack
// would act on.
func checkView(t testing.TB, name string, view any) {
	t.Helper()
	b, err := json.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	blocks := v["blocks"].([]any)
	if len(blocks) == 0 || len(blocks) > maxViewBlocks || len(b) > 250_000 {
		t.Errorf("%s: %d blocks, %d bytes", name, len(blocks), len(b))
	}
	if n := length(str(v["private_metadata"])); n > maxMetadata { // nobody sees it
		t.Errorf("private_metadata has %d characters", n)
	}
	for _, part := range []string{"title", "submit", "close"} {
		if p, ok := v[part].(map[string]any); ok {
			checkText(t, part, str(p["text"]), maxViewTitle)
		}
	}
	for _, block := range blocks {
		block := block.(map[string]any)
		switch block["type"] {
		case "input":
			checkInput(t, block)
		case "divider":
		default:
			checkBlock(t, block)
		}
	}
}

func checkInput(t testing.TB, b map[string]any) {
	t.Helper()
	for _, part := range []string{"label", "hint"} {
		if p, ok := b[part].(map[string]any); ok {
			checkText(t, part, str(p["text"]), 2000)
		}
	}
	e := b["element"].(map[string]any)
	checkText(t, "initial value", str(e["initial_value"]), 3000)
	groups := []any{e}
	if g, ok := e["option_groups"].([]any); ok {
		groups = g
	}
	for _, g := range groups {
		options, _ := g.(map[string]any)["options"].([]any)
		if len(options) > maxOptions || e["type"] == "static_select" && len(options) == 0 {
			t.Errorf("%d options", len(options))
		}
		for _, o := range options {
			o := o.(map[string]any)
			checkText(t, "option", str(o["text"].(map[string]any)["text"]), maxOption)
			checkText(t, "value", str(o["value"]), maxOption)
			if str(o["value"]) == "" {
				t.Error("an option without a value")
			}
		}
	}
}
