package bot

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// timeline lays out everything that is known of a story, each line with the
// raw words that it rests on.
func timeline(s *tapio.Story, notes []tapio.Note) message {
	m := message{Text: fmt.Sprintf("Timeline of %s%s.", escape(titleOf(s), budgetTitle), locality(s))}
	head := fmt.Sprintf("%s\n%s", heading(s), state(s))
	if c := escape(s.RootCause, budgetSentence); c != "" {
		head += fmt.Sprintf("\n*Cause:* %s", c)
		if s.Standing != "" && s.Standing != tapio.StandingUnknown {
			head += fmt.Sprintf(" _(%s)_", escape(string(s.Standing), budgetName))
		}
	}
	m.Blocks = append(m.Blocks, section(head))
	m.Blocks = append(m.Blocks, timelineBlocks(s, notes)...)
	if len(s.Checked) > 0 && s.Standing == tapio.StandingUnknown {
		m.Blocks = append(m.Blocks, contextLine("Checked and ruled out: "+checked(s)))
	}
	m.Blocks = append(m.Blocks, contextLine(gaps(s), reference(s)))
	return m
}

// timelineBlocks are the lines of a story with what people did in between.
func timelineBlocks(s *tapio.Story, notes []tapio.Note) []slack.Block {
	evidence := map[string]*tapio.Evidence{}
	for i := range s.Evidence {
		evidence[s.Evidence[i].ID] = &s.Evidence[i]
	}
	lines := slices.Clone(s.Timeline)
	for i := range notes {
		n := &notes[i]
		lines = append(lines, tapio.StoryEvent{Timestamp: n.Time, Type: noteLine, Description: n.Sentence()})
	}
	slices.SortStableFunc(lines, func(x, y tapio.StoryEvent) int { return x.Timestamp.Compare(y.Timestamp) })
	skipped := 0
	if len(lines) > maxTimeline {
		skipped = len(lines) - maxTimeline
	}
	var out []slack.Block
	var items [][]slack.RichTextSectionElement
	flush := func() {
		if len(items) > 0 {
			out = append(out, bullets(items...))
		}
		items = nil
	}
	for i := 0; i < len(lines); i++ {
		if skipped > 0 && i == timelineHead {
			flush()
			out = append(out, contextLine(fmt.Sprintf("…%d lines left out; `tapio story %s` prints them all", skipped, escape(s.ID, budgetName))))
			i += skipped
		}
		items = append(items, timelineItem(&lines[i], evidence[lines[i].ID], s.Timestamp))
		if len(items) == timelinePerPart {
			flush()
		}
	}
	flush()
	return out
}

// noteLine is the type of a timeline line that a person wrote.
const noteLine tapio.EventType = "note"

func timelineItem(e *tapio.StoryEvent, ev *tapio.Evidence, near time.Time) []slack.RichTextSectionElement {
	words := literal(e.Description, budgetLine)
	if words == "" {
		words = literal(string(e.Type), budgetLine)
	}
	if e.Count > 1 {
		words += fmt.Sprintf(" ×%d", e.Count)
	}
	pieces := []slack.RichTextSectionElement{secondPiece(e.Timestamp, near)}
	if e.Count > 1 && !e.Last.IsZero() {
		pieces = append(pieces, textPiece(" to "), secondPiece(e.Last, near))
	}
	pieces = append(pieces, textPiece(" "))
	switch {
	case e.Decisive:
		pieces = append(pieces, zonedPieces(words, near, &slack.RichTextSectionTextStyle{Bold: true})...)
	case e.Type == noteLine:
		pieces = append(pieces, textPiece("✎ "))
		pieces = append(pieces, zonedPieces(words, near, &slack.RichTextSectionTextStyle{Italic: true})...)
	default:
		pieces = append(pieces, zonedPieces(words, near, nil)...)
	}
	if ev != nil {
		if raw := literal(ev.Text, budgetEvidence); raw != "" {
			pieces = append(pieces, textPiece("\n"), italicPiece(literal(string(ev.Source), budgetName)+": "+raw))
		}
	}
	return pieces
}

// state says in mrkdwn where the story stands.
func state(s *tapio.Story) string {
	switch s.Status {
	case tapio.StatusResolved:
		return fmt.Sprintf(":white_check_mark: resolved %s after %s", moment(s.Resolved, s.Timestamp), duration(s.Duration))
	case tapio.StatusAbsorbed:
		return fmt.Sprintf(":link: part of story `%s`", escape(s.AbsorbedInto, budgetName))
	}
	return ":fire: firing since " + moment(s.Timestamp, s.Updated)
}

// answer is the answer to `/tapio story`: the root message without its
// buttons, the whole timeline, and a button that shows it to the channel.
func answer(s *tapio.Story, notes []tapio.Note, others []tapio.Story) message {
	m := timeline(s, notes)
	m.Text = fmt.Sprintf("%s: %s%s.", s.SeverityName(), escape(titleOf(s), budgetTitle), locality(s))
	body := []slack.Block{section(fmt.Sprintf("%s\n%s\n%s", heading(s), state(s), summary(s)))}
	body = append(body, fields(s)...)
	if s.Status == tapio.StatusOpen {
		body = append(body, nextAction(s)...)
	}
	m.Blocks = append(body, m.Blocks[1:]...)
	if len(others) > 0 {
		m.Blocks = append(m.Blocks, contextLine(earlier(others)))
	}
	m.Blocks = append(m.Blocks, actions("",
		button(actionShare, "Share in channel", s.ID),
		button(actionPick+".why", "Why?", "why "+s.ID),
		button(actionPick+".similar", "Similar", "similar "+s.ID),
		runbook(s)))
	return m
}

// earlier names the stories of the same name before this one.
func earlier(others []tapio.Story) string {
	var out []string
	for i := range others[:min(len(others), 3)] {
		o := &others[i]
		out = append(out, fmt.Sprintf("%s `%s`", moment(o.Timestamp, time.Time{}), escape(o.ID, budgetName)))
	}
	text := "earlier: " + strings.Join(out, " · ")
	if more := len(others) - len(out); more > 0 {
		text += fmt.Sprintf(" · and %d more", more)
	}
	return text
}

// shared is what the share button posts to the channel.
func shared(s *tapio.Story, notes []tapio.Note, by *ack) message {
	m := answer(s, notes, nil)
	m.Blocks = m.Blocks[:len(m.Blocks)-1] // not its buttons
	m.Blocks = append(m.Blocks, contextLine("shared by "+by.name()))
	return m
}

// listing is the answer to `/tapio list`.
type listing struct {
	filters filters
	total   int
	lines   []listed // newest first, at most maxListed
}

type listed struct {
	story *tapio.Story
	ack   *ack
	muted *mute
}

func (l *listing) message() message {
	kind := l.filters.status
	narrowed := l.filters.words()
	if l.total == 0 {
		text := "Nothing is failing: no story is open."
		if narrowed != "" || kind != "open" {
			adjective := kind + " "
			if kind == "all" {
				adjective = ""
			}
			text = strings.TrimRight(fmt.Sprintf("There is no %sstory %s", adjective, narrowed), " ") + "."
		}
		return message{Text: undated(text), Blocks: []slack.Block{section(":white_check_mark: " + text)}}
	}
	verb := "are " + kind
	if kind == "all" {
		verb = "are known"
	}
	title := fmt.Sprintf("%d stories %s", l.total, verb)
	switch {
	case l.total == 1:
		title = "One story " + strings.Replace(verb, "are", "is", 1)
	case l.total > len(l.lines):
		title = fmt.Sprintf("The newest %d of %d stories that %s", len(l.lines), l.total, verb)
	}
	if narrowed != "" {
		title += " " + narrowed
	}
	m := message{Text: undated(title) + ".", Blocks: []slack.Block{section("*" + title + "*")}}
	for i := range l.lines {
		line := &l.lines[i]
		show := button(fmt.Sprintf("%s.%d", actionPick, i), "Show", "story "+line.story.ID)
		m.Blocks = append(m.Blocks, slack.NewSectionBlock(mrkdwn(line.mrkdwn()), nil, slack.NewAccessory(show)))
	}
	return m
}

// mrkdwn is a story in two lines: its dot and title, and where it stands.
func (l *listed) mrkdwn() string {
	s := l.story
	dot, stand := ":red_circle:", "since "+moment(s.Timestamp, s.Updated)+" · not acked"
	switch {
	case s.Status == tapio.StatusResolved:
		dot, stand = ":white_check_mark:", fmt.Sprintf("resolved %s after %s", moment(s.Resolved, s.Timestamp), duration(s.Duration))
	case s.Status == tapio.StatusAbsorbed:
		dot, stand = ":link:", fmt.Sprintf("part of story `%s`", escape(s.AbsorbedInto, budgetName))
	case l.muted != nil:
		dot, stand = ":no_bell:", fmt.Sprintf("since %s · muted until %s by %s", moment(s.Timestamp, s.Updated), moment(l.muted.Until, s.Updated), l.muted.By.name())
	case l.ack != nil:
		dot, stand = ":large_yellow_circle:", fmt.Sprintf("since %s · %s takes care of it", moment(s.Timestamp, s.Updated), l.ack.name())
	}
	return fmt.Sprintf("%s %s\n%s · %s", dot, heading(s), where(s), stand)
}

// helps are the commands with what they do, in the order of the help.
var helps = [][2]string{
	{"story NAME", "the newest story of a pod, workload, node, Service or ID, with its timeline; `--since 2h` looks back no further"},
	{"list", "what is open now; narrow it down: `list shop`, `list team=payments sev1`, `list muted`, `list resolved since=24h`"},
	{"why NAME", "what Tapio holds for the cause, what else it could be, and what it checked"},
	{"similar NAME", "what was like it before, and what fixed it"},
	{"ack NAME", "you take care of it; `unack NAME` gives it back"},
	{"note NAME TEXT", "a line for the story's timeline"},
	{"mute WHAT FOR", "silence for a while: `mute checkout 2h`, `mute namespace shop 1d`, `mute node worker-3 30m`; `unmute WHAT` ends it"},
	{"oncall", "who is on call now and next"},
	{"digest", "the last 24 hours in one message; `digest daily`, `digest weekly`, `digest off` for this channel"},
	{"feedback NAME", "the cause is wrong: say what it was, so that Tapio gets better"},
	{"help", "this text"},
}

// help says what can be asked. unknown is what was asked instead, or "".
func help(unknown string) message {
	var names, lines []string
	for _, h := range helps {
		names = append(names, h[0])
		lines = append(lines, fmt.Sprintf("`/tapio %s` — %s", h[0], h[1]))
	}
	text := "What you can ask Tapio: " + strings.Join(names, ", ") + "."
	var blocks []slack.Block
	if unknown != "" {
		near := ""
		if n := nearest(unknown, words); len(n) > 0 {
			near = fmt.Sprintf(" Did you mean `%s`?", n[0])
		}
		blocks = append(blocks, section(fmt.Sprintf("Tapio doesn't know %s.%s", code(unknown, budgetName), near)))
		text = fmt.Sprintf("Tapio doesn't know %q. It knows: %s.", escape(unknown, budgetName), strings.Join(names, ", "))
	}
	return message{Text: text, Blocks: append(blocks, section(strings.Join(lines, "\n")))}
}

// choose offers names as buttons that go on with the command.
func choose(a asked, names []string, why string) message {
	names = names[:min(len(names), maxCandidates)]
	m := message{
		Text:   why + " " + escape(strings.Join(names, ", "), budgetSentence),
		Blocks: []slack.Block{section(why)},
	}
	var buttons []*slack.ButtonBlockElement
	for i, n := range names {
		if literal(n, maxButtonText) != "" {
			buttons = append(buttons, button(fmt.Sprintf("%s.%d", actionPick, i), n, a.goOn(n)))
		}
	}
	if len(buttons) > 0 {
		m.Blocks = append(m.Blocks, actions("", buttons...))
	} else {
		m.Text = fmt.Sprintf("No story names %s.", escape(a.name, budgetName))
		m.Blocks = []slack.Block{section(fmt.Sprintf("No story names %s. `/tapio list` shows what is open.", code(a.name, budgetName)))}
	}
	return m
}

// goOn is the command that a choice stands for.
func (a *asked) goOn(name string) string {
	return strings.TrimSpace(a.verb + " " + name + " " + a.tail)
}

// chooseStory offers open stories where no name was given.
func chooseStory(a asked, open []tapio.Story) message {
	text := fmt.Sprintf("Which story? `/tapio %s NAME`, or one of those that are open:", a.verb)
	m := message{Text: "Which story?", Blocks: []slack.Block{section(text)}}
	for i := range open[:min(len(open), maxCandidates)] {
		s := &open[i]
		this := button(fmt.Sprintf("%s.%d", actionPick, i), "This one", a.goOn(s.ID))
		m.Blocks = append(m.Blocks, slack.NewSectionBlock(mrkdwn(fmt.Sprintf("%s\n%s", heading(s), where(s))), nil, slack.NewAccessory(this)))
	}
	return m
}

// muteList shows what is muted, each with a button that ends it. want is what
// somebody wanted to unmute, or "".
func muteList(mutes []*mute, want string, now time.Time) message {
	if len(mutes) == 0 {
		return plainAnswer(":bell: Nothing is muted.")
	}
	title := fmt.Sprintf("%d mutes", len(mutes))
	if len(mutes) == 1 {
		title = "One mute"
	}
	if want != "" {
		title = fmt.Sprintf("No single mute is called %s. There are these:", code(want, budgetName))
	}
	m := message{Text: title + ".", Blocks: []slack.Block{section("*" + title + "*")}}
	for i, mu := range mutes[:min(len(mutes), maxListed)] {
		end := button(fmt.Sprintf("%s.%d", actionUnmute, i), "Unmute", mu.ID)
		m.Blocks = append(m.Blocks, slack.NewSectionBlock(mrkdwn(mu.line(now)), nil, slack.NewAccessory(end)))
	}
	if more := len(mutes) - maxListed; more > 0 {
		m.Blocks = append(m.Blocks, contextLine(fmt.Sprintf("…and %d more", more)))
	}
	return m
}

// line is a mute in one or two lines of mrkdwn.
func (m *mute) line(now time.Time) string {
	text := fmt.Sprintf(":no_bell: %s until %s\nby %s", m.what(), moment(m.Until, now), m.By.name())
	if m.Why != "" {
		text += ": " + escape(m.Why, budgetName)
	}
	return text
}

// plainAnswer is one sentence of mrkdwn.
func plainAnswer(text string) message {
	return message{Text: undated(emojiName.ReplaceAllString(text, "")), Blocks: []slack.Block{section(text)}}
}

// emojiName is an emoji in front of a sentence, which a screen reader would
// read out by its name.
var emojiName = regexp.MustCompile(`^:[a-z_]+: `)

// sorry is an answer when something went wrong on our side.
func sorry(text string) message {
	return message{Text: undated(text), Blocks: []slack.Block{section(":warning: " + text)}}
}
