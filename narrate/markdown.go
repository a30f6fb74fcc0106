package narrate

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/yairfalse/tapio"
)

// Markdown writes stories as post-incident notes in GitHub's Markdown. Text of
// the cluster can neither format nor link nor break out of its place: prose is
// escaped and raw evidence stands in code spans.
func Markdown(w io.Writer, stories []tapio.Story) error {
	for i := range stories {
		p := &markdownPage{}
		if i > 0 {
			p.line("\n---\n")
		}
		p.story(&stories[i])
		if err := writeAll(w, p.buf.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

type markdownPage struct{ buf bytes.Buffer }

func (p *markdownPage) line(format string, args ...any) {
	fmt.Fprintf(&p.buf, format+"\n", args...)
}

func (p *markdownPage) story(s *tapio.Story) {
	n := number(s)
	p.line("# %s\n", prose(s.Title, maxTitle))
	when := s.Timestamp.UTC().Format("2 Jan 2006") + ", " + period(s)
	p.line("**%s · %s · %s**\n", s.SeverityName(), prose(string(s.Status), 20), prose(when, maxLine))

	p.line("| | |\n|---|---|")
	row := func(name, text string) {
		if text != "" {
			p.line("| %s | %s |", name, text)
		}
	}
	place := place(s)
	if s.Cluster != "" {
		place += ", cluster " + inline(s.Cluster)
	}
	row("Where", prose(place, maxLine))
	row("Cause", prose(causeLine(s), maxLine))
	row("Impact", prose(s.Impact, maxSentence))
	row("Pods", prose(podsLine(s.AffectedPods), maxRaw))
	row("Owner", prose(ownerLine(s.Owner), maxLine))
	row("Was doing", prose(s.Intent, maxLine))
	for _, l := range runbooks(s.RunbookLinks...) {
		row("Runbook", "<"+strings.ReplaceAll(l, "|", "%7C")+">")
	}
	row("Story", fmt.Sprintf("%s, revision %d", prose(s.ID, 64), s.Revision))

	p.line("\n## What happened\n")
	for _, sentence := range s.Summary {
		p.line("%s%s", lineStart(prose(sentence.Text, maxSentence)), n.marks(sentence.Evidence))
	}
	if s.Resolution != "" {
		p.line("\n## How it ended\n\n%s", lineStart(prose(s.Resolution, maxSentence)))
	}
	p.next(s)
	p.timeline(s)
	p.evidence(s, n)
}

func (p *markdownPage) next(s *tapio.Story) {
	if s.NextAction.Text != "" {
		p.line("\n## What to do next\n\n%s", lineStart(prose(s.NextAction.Text, maxLine)))
		if c := clipRaw(s.NextAction.Command, maxRaw); c != "" {
			fence := strings.Repeat("`", max(3, longestRun(c, '`')+1))
			p.line("\n%ssh\n%s\n%s", fence, c, fence)
		}
	}
	if len(s.Recommendations) > 0 {
		p.line("")
		for _, r := range s.Recommendations {
			p.line("- %s", lineStart(prose(r, maxLine)))
		}
	}
}

func (p *markdownPage) timeline(s *tapio.Story) {
	if len(s.Timeline) == 0 {
		return
	}
	p.line("\n## Timeline\n\n| UTC | What happened | Seen by |\n|---|---|---|")
	layout := stamp(s)
	row := func(e *tapio.StoryEvent) {
		text := prose(e.Description, maxLine)
		if r := role(e, s); r != "" {
			text = "**" + text + "** " + r
		}
		p.line("| %s | %s | %s |", e.Timestamp.UTC().Format(layout), text, prose(string(e.Source), 40))
	}
	head, left, tail := shown(s.Timeline)
	for i := range head {
		row(&head[i])
	}
	if left > 0 {
		p.line("| … | %s left out | |", count(left, "line"))
	}
	for i := range tail {
		row(&tail[i])
	}
}

func (p *markdownPage) evidence(s *tapio.Story, n numbered) {
	if len(n.list) == 0 {
		return
	}
	p.line("\n## Evidence\n")
	layout := stamp(s)
	for i, e := range n.list {
		if i == maxEvidenceShown {
			p.line("\nand %s of evidence", count(len(n.list)-i, "more piece"))
			return
		}
		p.line("%d. %s %s %s, %s", i+1, e.Time.UTC().Format(layout), prose(string(e.Source), 40), prose(string(e.Type), 80), prose(objectName(e.Entity), maxLine))
		if text := code(e.Text, maxEvidenceText); text != "" {
			p.line("   %s", text)
		}
	}
}

// prose makes text safe as a part of a Markdown line, in tables too.
func prose(text string, limit int) string {
	text = clipRaw(text, limit)
	var b strings.Builder
	runes := []rune(text)
	for i, r := range runes {
		switch r {
		case '&':
			b.WriteString("&amp;")
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '\\', '`', '*', '[', ']', '|', '~', '$':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '_':
			// Inside a word it is only a character.
			if i == 0 || i == len(runes)-1 || !wordRune(runes[i-1]) || !wordRune(runes[i+1]) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		case '@', '#':
			b.WriteRune(r)
			if r == '@' || i+1 < len(runes) && runes[i+1] >= '0' && runes[i+1] <= '9' {
				b.WriteString("<!-- -->") // neither a mention nor a reference to an issue
			}
		case ':':
			b.WriteRune(r)
			if strings.HasPrefix(string(runes[i:min(i+3, len(runes))]), "://") {
				b.WriteString("<!-- -->") // an address in a message is not to be followed by one click
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func wordRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// lineStart keeps text at the start of a line from being a heading, a list or a
// quotation.
func lineStart(text string) string {
	if text == "" {
		return text
	}
	if strings.ContainsRune("#-+=:", rune(text[0])) {
		return "\\" + text
	}
	digits := strings.TrimLeft(text, "0123456789")
	if n := len(text) - len(digits); n > 0 && digits != "" && (digits[0] == '.' || digits[0] == ')') {
		return text[:n] + "\\" + digits
	}
	return text
}

// code writes raw text as a code span that it cannot end.
func code(text string, limit int) string {
	text = clipRaw(text, limit)
	if text == "" {
		return ""
	}
	fence := strings.Repeat("`", longestRun(text, '`')+1)
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + text + fence
}

// longestRun returns the length of the longest run of a character.
func longestRun(s string, c byte) int {
	longest, run := 0, 0
	for i := range len(s) {
		if s[i] == c {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	return longest
}
