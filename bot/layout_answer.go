package bot

import (
	"fmt"
	"strings"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// timeline lays out everything that is known of a story, each line with the
// raw words that it rests on.
func timeline(s *tapio.Story) message {
	m := message{Text: fmt.Sprintf("Timeline of %s%s.", escape(titleOf(s), budgetTitle), locality(s))}
	head := fmt.Sprintf("%s\n%s", heading(s), state(s))
	if c := escape(s.RootCause, budgetSentence); c != "" {
		head += fmt.Sprintf("\n*Cause:* %s", c)
		if s.Standing != "" && s.Standing != tapio.StandingUnknown {
			head += fmt.Sprintf(" _(%s)_", escape(string(s.Standing), budgetName))
		}
	}
	m.Blocks = append(m.Blocks, section(head))
	m.Blocks = append(m.Blocks, timelineBlocks(s)...)
	if len(s.Checked) > 0 && s.Standing == tapio.StandingUnknown {
		m.Blocks = append(m.Blocks, contextLine("Checked and ruled out: "+checked(s)))
	}
	m.Blocks = append(m.Blocks, contextLine(gaps(s), reference(s)))
	return m
}

func timelineBlocks(s *tapio.Story) []slack.Block {
	evidence := map[string]*tapio.Evidence{}
	for i := range s.Evidence {
		evidence[s.Evidence[i].ID] = &s.Evidence[i]
	}
	lines := s.Timeline
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
		items = append(items, timelineItem(&lines[i], evidence[lines[i].ID]))
		if len(items) == timelinePerPart {
			flush()
		}
	}
	flush()
	return out
}

func timelineItem(e *tapio.StoryEvent, ev *tapio.Evidence) []slack.RichTextSectionElement {
	when := e.Timestamp.UTC().Format("15:04:05")
	if e.Count > 1 && !e.Last.IsZero() {
		when += "–" + e.Last.UTC().Format("15:04:05")
	}
	words := literal(e.Description, budgetLine)
	if words == "" {
		words = literal(string(e.Type), budgetLine)
	}
	if e.Count > 1 {
		words += fmt.Sprintf(" ×%d", e.Count)
	}
	pieces := []slack.RichTextSectionElement{codePiece(when), textPiece(" ")}
	if e.Decisive {
		pieces = append(pieces, boldPiece(words))
	} else {
		pieces = append(pieces, textPiece(words))
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
		return fmt.Sprintf(":white_check_mark: resolved %s after %s", clock(s.Resolved, s.Timestamp), duration(s.Duration))
	case tapio.StatusAbsorbed:
		return fmt.Sprintf(":link: part of story `%s`", escape(s.AbsorbedInto, budgetName))
	}
	return ":fire: firing since " + clock(s.Timestamp, s.Updated)
}

// answer is the answer to `/tapio story`: the root message without its
// buttons, the whole timeline, and a button that shows it to the channel.
func answer(s *tapio.Story) message {
	m := timeline(s)
	m.Text = fmt.Sprintf("%s: %s%s.", s.SeverityName(), escape(titleOf(s), budgetTitle), locality(s))
	body := []slack.Block{section(fmt.Sprintf("%s\n%s\n%s", heading(s), state(s), summary(s)))}
	body = append(body, fields(s)...)
	if s.Status == tapio.StatusOpen {
		body = append(body, nextAction(s)...)
	}
	m.Blocks = append(body, m.Blocks[1:]...)
	m.Blocks = append(m.Blocks, actions("", button(actionShare, "Share in channel", s.ID), runbook(s)))
	return m
}

// shared is what the share button posts to the channel.
func shared(s *tapio.Story, by *ack) message {
	m := answer(s)
	m.Blocks = m.Blocks[:len(m.Blocks)-1] // not its buttons
	m.Blocks = append(m.Blocks, contextLine("shared by "+by.name()))
	return m
}

// list lays out the open stories, newest first. more is how many did not fit.
func list(stories []tapio.Story, more bool) message {
	if len(stories) == 0 {
		text := "Nothing is failing: no story is open."
		return message{Text: text, Blocks: []slack.Block{section(":white_check_mark: " + text)}}
	}
	title := fmt.Sprintf("%d stories are open", len(stories))
	if len(stories) == 1 {
		title = "One story is open"
	} else if more {
		title = fmt.Sprintf("The newest %d open stories", len(stories))
	}
	m := message{Text: title + ".", Blocks: []slack.Block{section("*" + title + "*")}}
	for i := range stories {
		s := &stories[i]
		show := button(fmt.Sprintf("%s.%d", actionPick, i), "Show", s.ID)
		text := fmt.Sprintf("%s\n%s · since %s", heading(s), where(s), clock(s.Timestamp, s.Updated))
		m.Blocks = append(m.Blocks, slack.NewSectionBlock(mrkdwn(text), nil, slack.NewAccessory(show)))
	}
	return m
}

// help says what can be asked. unknown is what was asked instead, or "".
func help(unknown string) message {
	var lines []string
	text := "What you can ask Tapio: story POD, list, help."
	if unknown != "" {
		lines = append(lines, fmt.Sprintf("Tapio doesn't know %s.", code(unknown, budgetName)))
		text = fmt.Sprintf("Tapio doesn't know %q. It knows: story POD, list, help.", escape(unknown, budgetName))
	}
	lines = append(lines,
		"`/tapio story POD` — the newest story of a pod or workload, with its timeline. `namespace/name` works too.",
		"`/tapio list` — the stories that are open now.",
		"`/tapio help` — this text.")
	return message{Text: text, Blocks: []slack.Block{section(strings.Join(lines, "\n"))}}
}

// choose offers names as buttons.
func choose(asked string, names []string, why string) message {
	names = names[:min(len(names), maxCandidates)]
	m := message{
		Text:   why + " " + escape(strings.Join(names, ", "), budgetSentence),
		Blocks: []slack.Block{section(why)},
	}
	var buttons []*slack.ButtonBlockElement
	for i, n := range names {
		if literal(n, maxButtonText) != "" {
			buttons = append(buttons, button(fmt.Sprintf("%s.%d", actionPick, i), n, n))
		}
	}
	if len(buttons) > 0 {
		m.Blocks = append(m.Blocks, actions("", buttons...))
	} else {
		m.Text = fmt.Sprintf("No story names %s.", escape(asked, budgetName))
		m.Blocks = []slack.Block{section(fmt.Sprintf("No story names %s. `/tapio list` shows what is open.", code(asked, budgetName)))}
	}
	return m
}

// sorry is an answer when something went wrong on our side.
func sorry(text string) message {
	return message{Text: text, Blocks: []slack.Block{section(":warning: " + text)}}
}
