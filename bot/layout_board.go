package bot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// board is the summary of failures that were there before Tapio first looked,
// or the list of a storm.
type board struct {
	storm       bool
	late        bool      // of a storm: its stories began while Slack could not be reached
	since       time.Time // of a storm
	total, open int
	lines       []boardLine // at most maxListed, of a storm stormListed
	others      []group     // those that aren't in lines

	id    string // of a storm: its thread
	ack   *ack
	calls string // mrkdwn: who on call was called or will be
}

// group counts the stories of a namespace.
type group struct {
	name    string
	stories int
}

type boardLine struct {
	story  tapio.Story
	own    titled // its own message, where it has one
	parent titled // of an absorbed story: what it is part of
}

func (b *board) message() message {
	if b.storm {
		return b.stormy()
	}
	failures := "1 failure was"
	if b.total != 1 {
		failures = fmt.Sprintf("%d failures were", b.total)
	}
	m := message{
		Text:     fmt.Sprintf("%s already there when Tapio started; %d still open.", failures, b.open),
		Color:    colorFiring,
		Fallback: "failing",
		Foot:     []slack.Block{contextLine(":fire: told once and together: Tapio found them when it first looked", "`/tapio story NAME` tells one of them")},
	}
	head := fmt.Sprintf(":red_circle: *%s already there when Tapio started.* %d still open.", failures, b.open)
	if b.open == 0 {
		m.Color, m.Fallback = colorResolved, "resolved"
		head = fmt.Sprintf(":white_check_mark: *%s already there when Tapio started.* None is left.", failures)
		m.Foot = []slack.Block{contextLine(":white_check_mark: all of them are over")}
	}
	m.Blocks = []slack.Block{section(head)}
	var lines []string
	flush := func() {
		if len(lines) > 0 {
			m.Blocks = append(m.Blocks, section(strings.Join(lines, "\n")))
		}
		lines = nil
	}
	for i := range b.lines {
		lines = append(lines, b.lines[i].mrkdwn())
		if len(lines) == 4 { // a line has at most some 720 characters, a section 3,000
			flush()
		}
	}
	flush()
	if more := b.total - len(b.lines); more > 0 {
		m.Blocks = append(m.Blocks, contextLine(fmt.Sprintf("…and %d more: `/tapio list`", more)))
	}
	return m
}

// stormy lays out the list of a storm.
func (b *board) stormy() message {
	how := "almost at once"
	if b.late {
		how = "while Slack could not be reached"
	}
	m := message{
		Text:     fmt.Sprintf("%d stories began %s; %d still open.", b.total, how, b.open),
		Color:    colorFiring,
		Fallback: "a storm, not acknowledged",
	}
	dot, state := ":red_circle:", ":fire: firing · not acked"
	first := button(actionAck, "Ack", b.id)
	first.Style = slack.StylePrimary
	if b.ack != nil {
		m.Color, m.Fallback = colorAcked, "a storm, acknowledged"
		dot, state = ":large_yellow_circle:", fmt.Sprintf(":eyes: ~firing~ → acked by %s %s", b.ack.mention(), moment(b.ack.At, b.since))
		first = button(actionUnack, "Un-ack", b.id)
	}
	m.Foot = []slack.Block{
		actions("", first),
		contextLine(state, b.calls, "one list instead of a message each: it stays true", "`/tapio story NAME` tells one of them"),
	}
	head := fmt.Sprintf("%s *%d stories began %s*, from %s on. %d still open, the worst first.", dot, b.total, how, moment(b.since, b.since), b.open)
	if b.open == 0 {
		m.Color, m.Fallback = colorResolved, "resolved"
		head = fmt.Sprintf(":white_check_mark: *%d stories began %s*, from %s on. None is left.", b.total, how, moment(b.since, b.since))
		m.Foot = []slack.Block{contextLine(":white_check_mark: all of them are over")}
	}
	m.Blocks = []slack.Block{section(head)}
	for part := range slices.Chunk(b.lines, 4) { // a line has at most some 720 characters, a section 3,000
		var lines []string
		for i := range part {
			lines = append(lines, part[i].mrkdwn())
		}
		m.Blocks = append(m.Blocks, section(strings.Join(lines, "\n")))
	}
	if more := b.total - len(b.lines); more > 0 {
		var names []string
		rest := more
		for _, g := range b.others[:min(len(b.others), stormGrouped)] {
			name := code(g.name, budgetPlace)
			if name == "" {
				name = "no namespace"
			}
			names = append(names, fmt.Sprintf("%d in %s", g.stories, name))
			rest -= g.stories
		}
		if rest > 0 {
			names = append(names, fmt.Sprintf("%d elsewhere", rest))
		}
		m.Blocks = append(m.Blocks, contextLine(fmt.Sprintf("…and %d more: %s", more, strings.Join(names, ", ")), "`/tapio list`"))
	}
	return m
}

func (l *boardLine) mrkdwn() string {
	s := &l.story
	title, at := escape(titleOf(s), budgetTitle), where(s)
	switch {
	case l.own.title != "":
		return fmt.Sprintf(":arrow_right: %s · told on its own: %s", at, l.own.mrkdwn())
	case s.Status == tapio.StatusResolved:
		return fmt.Sprintf(":white_check_mark: ~%s~ · %s · resolved %s", strings.ReplaceAll(title, "~", "∼"), at, moment(s.Resolved, s.Opened))
	case s.Status == tapio.StatusAbsorbed:
		part := l.parent.mrkdwn()
		if part == "" {
			part = "another story"
		}
		return fmt.Sprintf(":link: %s · %s · part of %s", title, at, part)
	}
	return fmt.Sprintf("• *%s* · %s · %s · since %s", s.SeverityName(), title, at, moment(s.Timestamp, s.Opened))
}
