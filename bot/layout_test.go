package bot

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/yairfalse/tapio"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

var (
	first  = &ack{User: "U0FIRST", Name: "first", At: at(360)}
	parent = titled{title: "Node node-7 is not ready", link: "https://work.slack.com/archives/C1/p1795442520000100"}
)

func factsOf(s tapio.Story) []fact {
	var out []fact
	for _, n := range s.News {
		out = append(out, newFact(&s, n, at(60)))
	}
	return out
}

// messages are all kinds of messages, by the name of their golden file.
func messages() map[string]message {
	open, over, odd := checkoutOOM(), resolvedOOM(), hostileStory(hostile)
	part, unknown, back := checkoutOOM(), unknownCrash(), grown(checkoutOOM(), 1500)
	part.Status, part.AbsorbedInto = tapio.StatusAbsorbed, "n0de"
	follows := checkoutOOM()
	follows.Follows = "0ld"
	news := grown(checkoutOOM(), 90,
		tapio.News{Kind: tapio.NewsTrigger, Time: at(60), Text: "It began 40 s after rollout 4 of checkout, made by kubectl-client-side-apply, which changed memory limit 256Mi → 32Mi.", Evidence: []string{"e1"}},
		tapio.News{Kind: tapio.NewsCause, Time: at(62), Was: "unknown", Now: "container.oom_limit", Text: "Cause found: The process used all the memory that its limit of 32Mi allows, so the kernel killed it.", Evidence: []string{"e2"}},
		tapio.News{Kind: tapio.NewsScope, Time: at(70), Was: "1 pod", Now: "3 pods", Text: "It grew: 1 pod → 3 pods.", Evidence: []string{"e2", "e4"}})
	logs := grown(checkoutOOM(), 95, tapio.News{Kind: tapio.NewsLog, Time: at(80), Text: "The log of container app says “fatal error: runtime: out of memory”.", Evidence: []string{"log"}})
	logs.Evidence = append(logs.Evidence, tapio.Evidence{ID: "log", Source: tapio.SourceKubernetes, Type: tapio.ContainerLog,
		Text: "level=info msg=\"cache warm\" entries=48211\nlevel=info msg=\"listening\" addr=:8080\nfatal error: runtime: out of memory\n\ngoroutine 1 [running]:\n\tmain.(*cache).load(0xc000118000)\n"})
	worse := grown(checkoutOOM(), 300,
		tapio.News{Kind: tapio.NewsSeverity, Time: at(300), Text: "It got worse: SEV2 → SEV1."},
		tapio.News{Kind: tapio.NewsGap, Time: at(300), Text: "Tapio could not see events from 14:05 to 14:06 UTC (watch expired): something may be missing."})
	mended := grown(checkoutOOM(), 545, tapio.News{Kind: tapio.NewsChange, Time: at(540), Text: "checkout was rolled back (rollout 5): memory limit 32Mi → 256Mi, by kubectl-rollout."})
	many, roll := many(23), &rolling{More: 9}
	for range 3 {
		roll.add(factsOf(news))
	}
	b := board{total: 23, open: 22}
	for i := range many[:maxListed] {
		b.lines = append(b.lines, boardLine{story: many[i]})
	}
	b.lines[3].story = over
	b.lines[4].own = parent
	d := desk{threads: map[string]*thread{"n0de": {Title: parent.title, Permalink: parent.link}}}
	told := d.linked(&thread{Parent: "n0de"}, []fact{{Kind: tapio.NewsAbsorbed, Time: at(90), At: at(90)}})
	acked := []fact{{Kind: newsAck, Time: at(360), At: at(360), Text: first.plainName() + " takes care of it."}}

	lines := listing{filters: filters{status: "open"}, total: 3, lines: []listed{{story: &many[0]}, {story: &many[1], ack: first}, {story: &many[2], muted: muted}}}
	filtered := listing{filters: filters{status: "all", namespace: "shop", team: "payments"}, total: 23, lines: []listed{{story: &open}, {story: &over}, {story: &part}}}
	var people []fact
	for _, n := range notesOf() {
		people = append(people, fact{Kind: newsOf(n.Kind), Time: n.Time, At: n.Time, Text: n.Sentence()})
	}

	storm := board{storm: true, since: at(0), total: 63, open: 61, others: []group{{"shop", 20}, {"", 12}, {"search", 11}}}
	for i := range 20 {
		storm.lines = append(storm.lines, boardLine{story: many[i]})
	}
	storm.lines[1].own, storm.id = parent, "storm-x"
	storm.lines[18].story, storm.lines[19].story, storm.lines[19].parent = over, part, parent
	ended := storm
	ended.open, ended.lines, ended.total, ended.others = 0, storm.lines[18:], 2, nil
	late := storm
	late.late = true
	node := titled{title: open.Title, link: parent.link}
	hurt := []tapio.Entity{{Kind: tapio.KindDeployment, Namespace: "shop", Name: "cart"}, {Kind: tapio.KindDeployment, Namespace: "shop", Name: "search"}}
	flapping, calm := scene{story: &back, reopened: at(1500), flaps: 7}, scene{story: &over, flaps: 7}
	folded := &thread{Flaps: []time.Time{at(0), at(600), at(1200), at(1500)}}
	folded.fold(&back, nil, at(1500))

	one := called{User: "U0FIRST", Duty: dutyPrimary, Team: "payments", At: at(300)}
	two := called{User: "U0SECOND", Duty: dutySecondary, Team: "payments", At: at(900)}
	calls := &calling{last: &one, next: &two, at: at(900)}
	primary := summons{call: one, root: node, story: &open, thread: open.ID, lonely: "nobody acknowledged this for 5 min", calling: calls, near: at(300)}
	secondary := primary
	secondary.call, secondary.lonely, secondary.before, secondary.near = two, "nobody acknowledged this for 15 min", []called{one}, at(900)
	secondary.calling = &calling{last: &two}
	stormCall := summons{call: one, root: titled{title: "63 stories began almost at once", link: parent.link}, storm: "61 still open, the worst of them SEV1.", thread: "storm-x", lonely: primary.lonely, calling: calls, near: at(300)}
	taken := storm
	taken.ack = first
	news2 := []fact{
		{Kind: newsCall, Time: at(300), At: at(300), Text: "the primary on call for payments, because nobody acknowledged this for 5 min."},
		{Kind: newsPass, Time: at(400), At: at(400), Text: "@first can't take it."},
		{Kind: newsCall, Time: at(401), At: at(401), Linked: true, Text: "<@U0SECOND>, the secondary on call for payments, because nobody acknowledged this for 6 min. Slack takes no direct message for them (user_disabled)."},
	}

	return map[string]message{
		"call-primary":           primary.message(),
		"call-secondary":         secondary.message(),
		"call-storm":             stormCall.message(),
		"root-calls":             (&scene{story: &open, calls: (&calling{next: &one, at: at(300)}).words(at(0), true)}).root(),
		"root-called":            (&scene{story: &open, calls: calls.words(at(0), false)}).root(),
		"storm-acked":            taken.message(),
		"reply-called":           reply(open.Title, news2),
		"root-flapping":          flapping.root(),
		"root-flapping-resolved": calm.root(),
		"root-absorbed-over":     (&scene{story: &part, parent: parent, parentOver: at(900)}).root(),
		"reply-flapping":         reply(open.Title, folded.News),
		"storm":                  storm.message(),
		"storm-over":             ended.message(),
		"storm-late":             late.message(),
		"aside":                  (&aside{story: &open, root: node, told: "#platform", hurt: hurt}).message(),
		"aside-acked":            (&aside{story: &open, root: node, told: "#platform", hurt: hurt[:1], ack: first}).message(),
		"aside-resolved":         (&aside{story: &over, root: node, told: "#platform", hurt: hurt}).message(),
		"aside-absorbed":         (&aside{story: &part, root: node, told: "#platform", hurt: hurt, parent: parent}).message(),
		"aside-owner":            (&aside{story: &open, root: node, told: "#shop"}).message(),
		"direct":                 directMessage(&back, node, string(whyCameBack)+". You had taken care of it."),
		"root-firing":            (&scene{story: &open}).root(),
		"root-acked":             (&scene{story: &open, ack: first}).root(),
		"root-resolved":          (&scene{story: &over, ack: first}).root(),
		"root-absorbed":          (&scene{story: &part, parent: parent}).root(),
		"root-reopened":          (&scene{story: &back, reopened: at(1500)}).root(),
		"root-follows":           (&scene{story: &follows, follows: parent}).root(),
		"root-moved":             (&scene{story: &open, meantFor: "#payments", lost: messageGone}).root(),
		"root-unknown-cause":     (&scene{story: &unknown}).root(),
		"root-hostile":           (&scene{story: &odd}).root(),
		"reply-cause":            reply(open.Title, factsOf(news)),
		"reply-log":              reply(open.Title, factsOf(logs)),
		"reply-worse":            reply(open.Title, factsOf(worse)),
		"reply-change":           reply(open.Title, factsOf(mended)),
		"reply-resolved":         reply(over.Title, factsOf(over)),
		"reply-absorbed":         reply(open.Title, told),
		"reply-acked":            reply(open.Title, acked),
		"reply-hostile":          reply(odd.Title, factsOf(odd)),
		"reply-rolling":          roll.message(open.Title),
		"backlog":                b.message(),
		"notice":                 sorry("Tapio can't post to `#payments` (not_in_channel): " + mend("not_in_channel") + ". Until then its stories are told here."),
		"timeline":               timeline(&over, notesOf()),
		"timeline-hostile":       timeline(&odd, hostileNotes(hostile)),
		"list":                   lines.message(),
		"list-empty":             (&listing{filters: filters{status: "open"}}).message(),
		"list-none":              (&listing{filters: filters{status: "resolved", namespace: "shop", severity: 1}}).message(),
		"list-filtered":          filtered.message(),
		"help":                   help(""),
		"help-unknown":           help("lst"),
		"story":                  answer(&open, notesOf(), many[:4]),
		"story-shared":           shared(&open, notesOf(), first),
		"choose":                 choose(asked{verb: "story", name: "check"}, []string{"shop/checkout", "shop/checkout-7d9f8-x2x7k"}, "Several names begin with `check`. Which one?"),
		"choose-none":            choose(asked{verb: "story", name: "zebra"}, nil, ""),
		"choose-story":           chooseStory(asked{verb: "why"}, many[:2]),
		"root-muted":             (&scene{story: &open, muted: muted}).root(),
		"reply-people":           reply(open.Title, people),
		"why":                    why(&considered, causesOf()),
		"why-unknown":            why(&unknown, causesOf()),
		"similar":                similar(&open, []tapio.Story{over, many[1], many[2]}, 1),
		"similar-none":           similar(&open, nil, 0),
		"mutes":                  muteList(mutes, "", at(600)),
		"mutes-none":             muteList(nil, "", at(600)),
		"muted":                  plainAnswer(":no_bell: `shop/checkout` is muted until 16:00 UTC. Its stories are kept and listed; nothing is posted for them. `/tapio unmute` ends it."),
		"oncall":                 onCallBot().oncall("", at(0)),
		"oncall-none":            (&Bot{}).oncall("", at(0)),
		"digest":                 digestOf(over, many).message(everyDay),
		"digest-nothing":         (&period{}).message(everyWeek),
		"refused":                sorry("Only @sre may do that. Tapio's config says so (`slack.allow`)."),
	}
}

// TestGolden compares every kind of message with its file. The files are also
// what pictures are drawn from.
func TestGolden(t *testing.T) {
	for name, m := range messages() {
		t.Run(name, func(t *testing.T) {
			got, err := m.payload()
			if err != nil {
				t.Fatal(err)
			}
			var pretty bytes.Buffer // without \u003c, for reading
			enc := json.NewEncoder(&pretty)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if err := enc.Encode(json.RawMessage(got)); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".json")
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
			check(t, &m)
		})
	}
}

// control finds what Slack would act on in mrkdwn.
var control = regexp.MustCompile(`<[^>]*>?`)

// ours are the control sequences that the bot itself writes.
var ours = regexp.MustCompile(`^<(@[UW][A-Z0-9]+|!date\^\d+\^(\{date_short_pretty\} )?\{time\}\|[\w: ]+|https://work\.slack\.com/[\w./?=&]+\|[^<>]*)>$`)

// check reports what Slack would refuse or act on though it should not.
func check(t testing.TB, m *message) {
	t.Helper()
	b, err := m.payload()
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	checkMrkdwn(t, "text", m.Text, maxText)
	blocks := v["blocks"].([]any)
	for _, a := range v["attachments"].([]any) {
		blocks = append(blocks, a.(map[string]any)["blocks"].([]any)...)
	}
	if len(blocks) > maxBlocks {
		t.Errorf("%d blocks, at most %d", len(blocks), maxBlocks)
	}
	for _, b := range blocks {
		checkBlock(t, b.(map[string]any))
	}
}

func checkMrkdwn(t testing.TB, where, s string, limit int) {
	t.Helper()
	if s == "" {
		t.Errorf("%s is empty", where)
	}
	checkText(t, where, s, limit)
	for _, c := range control.FindAllString(s, -1) {
		if !ours.MatchString(c) {
			t.Errorf("%s: Slack would act on %q in %q", where, c, s)
		}
	}
	if strings.Contains(control.ReplaceAllString(s, ""), ">") {
		t.Errorf("%s: a bare > in %q", where, s)
	}
	for _, rest := range strings.Split(s, "&")[1:] {
		if !strings.HasPrefix(rest, "amp;") && !strings.HasPrefix(rest, "lt;") && !strings.HasPrefix(rest, "gt;") {
			t.Errorf("%s: a bare & in %q", where, s)
		}
	}
	if strings.Count(s, "`")%2 != 0 || strings.Contains(s, "``") {
		t.Errorf("%s: a code span that is not closed or is empty in %q", where, s)
	}
}

func checkText(t testing.TB, where, s string, limit int) {
	t.Helper()
	if n := length(s); n > limit {
		t.Errorf("%s has %d characters, at most %d", where, n, limit)
	}
	for _, r := range s {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			t.Errorf("%s holds the control character %U in %q", where, r, s)
		}
	}
}

func checkBlock(t testing.TB, b map[string]any) {
	t.Helper()
	kind := b["type"].(string)
	checkText(t, "block_id", str(b["block_id"]), maxID)
	switch kind {
	case "section":
		if text, ok := b["text"].(map[string]any); ok {
			checkMrkdwn(t, "section", text["text"].(string), maxSection)
			if text["verbatim"] != true {
				t.Error("a section lets Slack make links")
			}
		} else if b["fields"] == nil {
			t.Error("a section has neither text nor fields")
		}
		fields, _ := b["fields"].([]any)
		if len(fields) > 10 {
			t.Errorf("%d fields", len(fields))
		}
		for _, f := range fields {
			checkMrkdwn(t, "field", f.(map[string]any)["text"].(string), maxField)
		}
		if a, ok := b["accessory"].(map[string]any); ok {
			checkButtons(t, []any{a})
		}
	case "context":
		elements := b["elements"].([]any)
		if len(elements) == 0 || len(elements) > 10 {
			t.Errorf("%d context elements", len(elements))
		}
		for _, e := range elements {
			checkMrkdwn(t, "context", e.(map[string]any)["text"].(string), maxContextText)
		}
	case "actions":
		checkButtons(t, b["elements"].([]any))
	case "rich_text":
		checkRich(t, b)
	case "header":
		checkText(t, "header", b["text"].(map[string]any)["text"].(string), 150)
	case "table":
		for _, row := range b["rows"].([]any) {
			for _, cell := range row.([]any) {
				if s := cell.(map[string]any)["text"].(string); s == "" || length(s) > 200 {
					t.Errorf("a cell holds %q", s)
				}
			}
		}
	default:
		t.Errorf("a block of type %s", kind)
	}
}

func checkButtons(t testing.TB, buttons []any) {
	t.Helper()
	if len(buttons) == 0 || len(buttons) > maxActions {
		t.Errorf("%d buttons", len(buttons))
	}
	ids := map[string]bool{}
	for _, e := range buttons {
		b := e.(map[string]any)
		if b["type"] == "overflow" {
			options := b["options"].([]any)
			if len(options) == 0 || len(options) > 5 {
				t.Errorf("%d options of a menu", len(options))
			}
			for _, o := range options {
				checkText(t, "option", str(o.(map[string]any)["value"]), maxOption)
			}
			continue
		}
		label := b["text"].(map[string]any)["text"].(string)
		if label == "" {
			t.Error("a button without a label")
		}
		checkText(t, "button", label, maxButtonText)
		checkText(t, "button value", str(b["value"]), maxButtonValue)
		checkText(t, "button url", str(b["url"]), maxURL)
		checkText(t, "action_id", str(b["action_id"]), maxID)
		if u := str(b["url"]); u != "" && !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "http://") {
			t.Errorf("a button opens %q", u)
		}
		if ids[str(b["action_id"])] {
			t.Errorf("action_id %v comes twice", b["action_id"])
		}
		ids[str(b["action_id"])] = true
	}
}

// checkRich wants rich text without empty parts and without the opening of a
// mention.
func checkRich(t testing.TB, v map[string]any) {
	t.Helper()
	if s, ok := v["text"].(string); ok {
		checkText(t, "rich text", s, maxSection)
		for _, opening := range []string{"<!", "<@", "<#"} {
			if strings.Contains(s, opening) {
				t.Errorf("rich text holds %q: %q", opening, s)
			}
		}
		if s == "" {
			t.Error("an empty piece of rich text")
		}
	}
	elements, ok := v["elements"].([]any)
	if ok && len(elements) == 0 {
		t.Errorf("%v without elements", v["type"])
	}
	for _, e := range elements {
		checkRich(t, e.(map[string]any))
	}
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

// hostileMessages are all messages that show the story.
func hostileMessages(s tapio.Story) []message {
	over, part := s, s
	over.Status, part.Status, part.AbsorbedInto = tapio.StatusResolved, tapio.StatusAbsorbed, s.Title
	unknown := s
	unknown.Standing = tapio.StandingUnknown
	who := &ack{User: s.Title, Name: s.Title, At: t0}
	from := titled{title: s.Title, link: s.Title}
	roll := &rolling{}
	var facts []fact
	for range 5 {
		facts = append(facts, factsOf(s)...)
	}
	roll.add(facts)
	long := s
	for len(long.Timeline) < 200 {
		long.Timeline = append(long.Timeline, s.Timeline...)
	}
	storm := board{storm: true, total: 999, open: 99, others: []group{{s.Title, 9}, {s.Title, 8}}}
	for range stormListed {
		storm.lines = append(storm.lines, boardLine{story: s, own: from}, boardLine{story: part, parent: from})
	}
	storm.lines = storm.lines[:stormListed]
	hurt := []tapio.Entity{{Name: s.Title}, {Name: s.Title + "x"}, {Name: "c"}, {Name: "d"}}
	b := board{total: 99, open: 99}
	var all []tapio.Story
	for range maxListed {
		b.lines = append(b.lines, boardLine{story: s}, boardLine{story: over}, boardLine{story: s, own: from})
		all = append(all, s)
	}
	b.lines = b.lines[:maxListed]
	name := clean(s.Title, 3000, true)
	notes := hostileNotes(s.Title)
	m := &mute{ID: "m1", Kind: muteWorkload, Name: s.Title, By: *who, Why: s.Title, Until: at(60)}
	l := listing{filters: filters{status: "all", namespace: s.Title, team: s.Title}, total: 99}
	for i := range all {
		l.lines = append(l.lines, listed{story: &all[i], muted: m}, listed{story: &all[i], ack: who})
	}
	l.lines = l.lines[:maxListed]
	s.Hypotheses = []tapio.Hypothesis{{Cause: tapio.Cause(s.Title), Entity: s.Subject, Standing: tapio.Standing(s.Title), For: []string{"e1", "e2", "e3", "e4", "x"}, Against: []string{s.Title, s.Title}}}
	p := digestOf(over, all)
	var said []fact
	for _, n := range notes {
		said = append(said, fact{Kind: newsOf(n.Kind), Time: n.Time, At: n.Time, Text: n.Sentence()})
	}
	return []message{
		storm.message(), (&aside{story: &s, root: from, told: s.Title, hurt: hurt, ack: who}).message(), (&aside{story: &part, root: from, parent: from}).message(),
		directMessage(&s, from, s.Title), (&scene{story: &part, parent: from, parentOver: t0}).root(),
		(&scene{story: &s}).root(), (&scene{story: &s, ack: who, follows: from, meantFor: s.Title, lost: messageGone}).root(),
		(&scene{story: &over, ack: who}).root(), (&scene{story: &part, parent: from}).root(), (&scene{story: &unknown}).root(),
		reply(s.Title, facts), reply(s.Title, facts[:1]), roll.message(s.Title), timeline(&long, notes), timeline(&unknown, notes), answer(&s, notes, all), shared(&s, notes, who),
		l.message(), help(name), choose(asked{verb: "mute", name: name, tail: name}, []string{s.Title, name, "x"}, "Which?"), choose(asked{name: name}, nil, ""), b.message(),
		chooseStory(asked{verb: "why"}, all), why(&s, nil), why(&unknown, causesOf()), similar(&s, all, 2), muteList([]*mute{m, m}, name, at(0)), (&scene{story: &s, muted: m}).root(),
		(&Bot{opts: Options{OnCall: []Rotation{{Team: s.Title, People: []string{s.Title, "U0FIRST"}, Start: t0, Each: time.Hour}}}}).oncall("", t0),
		p.message(everyDay), sorry("x" + escape(name, budgetSentence)), reply(s.Title, said),
	}
}

func TestHostileTexts(t *testing.T) {
	for name, text := range map[string]string{
		"all at once":  hostile,
		"empty":        "",
		"blank":        " \n\t\u200b ",
		"10 MB":        strings.Repeat("<!channel>\n```&`é😀", 10<<20/24),
		"entities":     strings.Repeat("&<>", 5000),
		"astral":       strings.Repeat("😀", 9000),
		"broken utf-8": strings.Repeat("\xff\xfe<@U1>", 2000),
		"backticks":    strings.Repeat("`", 5000),
		"asterisks":    strings.Repeat("*_~", 3000),
		"pipes":        "a|b>c<d|e",
	} {
		t.Run(name, func(t *testing.T) {
			for _, m := range hostileMessages(hostileStory(text)) {
				check(t, &m)
			}
			for name, v := range hostileViews(text) {
				checkView(t, name, v)
			}
		})
	}
}

func FuzzHostileTexts(f *testing.F) {
	for _, s := range []string{hostile, "", "plain", "<!channel>", "```", "&amp;", "\u202e", "a\nb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range hostileMessages(hostileStory(text)) {
			check(t, &m)
		}
		for name, v := range hostileViews(text) {
			checkView(t, name, v)
		}
	})
}
