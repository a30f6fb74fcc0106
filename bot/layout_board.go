package bot

import (
	"fmt"
	"strings"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// board is the summary of failures that were there before Tapio first looked.
type board struct {
	total, open int
	lines       []boardLine // at most maxListed
}

type boardLine struct {
	story tapio.Story
	own   titled // its own message, where it got one since
}

func (b *board) message() message {
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

func (l *boardLine) mrkdwn() string {
	s := &l.story
	title, at := escape(titleOf(s), budgetTitle), where(s)
	switch {
	case l.own.title != "":
		return fmt.Sprintf(":arrow_right: %s · told on its own: %s", at, l.own.mrkdwn())
	case s.Status == tapio.StatusResolved:
		return fmt.Sprintf(":white_check_mark: ~%s~ · %s · resolved %s", strings.ReplaceAll(title, "~", "∼"), at, clock(s.Resolved, s.Opened))
	case s.Status == tapio.StatusAbsorbed:
		return fmt.Sprintf(":link: %s · %s · part of another story", title, at)
	}
	return fmt.Sprintf("• *%s* · %s · %s · since %s", s.SeverityName(), title, at, clock(s.Timestamp, s.Opened))
}
