package narrate

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/yairfalse/tapio"
)

// TextOptions says how [Text] writes.
type TextOptions struct {
	Width int  // columns; 0 means 96, less than 40 counts as 40
	Color bool // severities and commands in colour, for a terminal
}

// Text writes stories for a terminal or a plain file: wrapped to the width,
// times aligned, each sentence with the numbers of its evidence. Nothing that
// comes from the cluster can move the cursor, colour or hide text. Commands are
// never wrapped, so that they can be pasted.
func Text(w io.Writer, stories []tapio.Story, opts TextOptions) error {
	if opts.Width == 0 {
		opts.Width = 96
	}
	opts.Width = max(opts.Width, 40)
	for i := range stories {
		t := &textPage{opts: opts}
		if i > 0 {
			t.buf.WriteString("\n" + strings.Repeat("─", opts.Width) + "\n\n")
		}
		t.story(&stories[i])
		if err := writeAll(w, t.buf.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

type textPage struct {
	buf  bytes.Buffer
	opts TextOptions
}

// Colours of the state and of commands, as terminals number them.
const (
	red    = "31;1"
	green  = "32;1"
	yellow = "33;1"
	cyan   = "36"
)

func (t *textPage) paint(color, s string) string {
	if !t.opts.Color {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func (t *textPage) story(s *tapio.Story) {
	color := red
	switch {
	case s.Status == tapio.StatusResolved:
		color = green
	case s.Status == tapio.StatusAbsorbed || s.Severity.Level() > 2:
		color = yellow
	}
	label := s.SeverityName() + " " + inline(string(s.Status))
	t.wrap(t.paint(color, label), columns(label)+2, columns(label)+2, clipRaw(s.Title, maxTitle), "")
	where := []string{place(s), period(s)}
	if s.Cluster != "" {
		where = append(where, "cluster "+inline(s.Cluster))
	}
	where = append(where, fmt.Sprintf("story %s rev %d", inline(s.ID), s.Revision))
	t.wrap("", 0, 0, strings.Join(where, " · "), "")

	n := number(s)
	t.blank()
	var body []string
	for _, sentence := range s.Summary {
		body = append(body, clipRaw(sentence.Text, maxSentence)+n.marks(sentence.Evidence))
	}
	t.wrap("", 0, 0, strings.Join(body, " "), "")

	t.blank()
	t.fact("Impact", s.Impact)
	if s.Resolution != "" {
		t.fact("Ended", s.Resolution)
	}
	t.fact("Cause", causeLine(s))
	t.fact("Pods", podsLine(s.AffectedPods))
	t.fact("Owner", ownerLine(s.Owner))
	for _, l := range runbooks(s.RunbookLinks...) {
		t.command("Runbook", l)
	}
	t.fact("Do next", s.NextAction.Text)
	t.command("", s.NextAction.Command)
	for i, r := range s.Recommendations {
		label := ""
		if i == 0 {
			label = "Consider"
		}
		t.wrap(label, labelWidth, labelWidth+2, "- "+clipRaw(r, maxLine), "")
	}
	t.timeline(s)
	t.evidence(s, n)
}

const labelWidth = 9 // columns before a fact

func (t *textPage) fact(label, text string) {
	if text = clipRaw(text, maxSentence); text != "" {
		t.wrap(label, labelWidth, labelWidth, text, "")
	}
}

// command writes a line that is never wrapped.
func (t *textPage) command(label, line string) {
	if line = clipRaw(line, maxRaw); line != "" {
		fmt.Fprintf(&t.buf, "%-*s%s\n", labelWidth, label, t.paint(cyan, line))
	}
}

func (t *textPage) blank() { t.buf.WriteByte('\n') }

func (t *textPage) timeline(s *tapio.Story) {
	if len(s.Timeline) == 0 {
		return
	}
	t.blank()
	t.buf.WriteString("Timeline (UTC)\n")
	layout := stamp(s)
	indent := 2 + len("15:04:05") + 2
	if layout != "15:04:05" {
		indent = 2 + len("22 Jan 15:04:05") + 2
	}
	line := func(e *tapio.StoryEvent) {
		at := fmt.Sprintf("  %*s", indent-4, e.Timestamp.UTC().Format(layout))
		t.wrap(at, indent, indent+2, clipRaw(e.Description, maxLine), role(e, s))
	}
	head, left, tail := shown(s.Timeline)
	for i := range head {
		line(&head[i])
	}
	if left > 0 {
		t.wrap("", indent, indent, "… "+count(left, "line")+" left out …", "")
	}
	for i := range tail {
		line(&tail[i])
	}
}

func (t *textPage) evidence(s *tapio.Story, n numbered) {
	if len(n.list) == 0 {
		return
	}
	t.blank()
	t.buf.WriteString("Evidence\n")
	layout := stamp(s)
	for i, e := range n.list {
		if i == maxEvidenceShown {
			t.wrap("", 2, 2, "… and "+count(len(n.list)-i, "more piece")+" of evidence", "")
			return
		}
		label := fmt.Sprintf("  [%d]", i+1)
		head := fmt.Sprintf("%s %s %s, %s", e.Time.UTC().Format(layout), inline(string(e.Source)), inline(string(e.Type)), objectName(e.Entity))
		t.wrap(label, 7, 7, head, "")
		if text := clipRaw(e.Text, maxEvidenceText); text != "" {
			t.wrap("", 7, 7, text, "")
		}
	}
}

// wrap writes label, then text from column first on, in lines of the page's
// width that begin at column next. The tail goes behind it in one piece.
func (t *textPage) wrap(label string, first, next int, text, tail string) {
	words := strings.Fields(text)
	if tail != "" {
		words = append(words, tail)
	}
	t.buf.WriteString(label)
	visible := columns(label)
	if t.opts.Color && strings.HasPrefix(label, "\x1b") {
		visible = first - 2
	}
	t.buf.WriteString(strings.Repeat(" ", max(first-visible, 0)))
	at, fresh := max(first, visible), true
	for _, w := range words {
		width := columns(w)
		if !fresh && at+1+width > t.opts.Width {
			t.buf.WriteString("\n" + strings.Repeat(" ", next))
			at, fresh = next, true
		}
		if !fresh {
			t.buf.WriteByte(' ')
			at++
		}
		// A word that is longer than a line is cut over several.
		for at+width > t.opts.Width {
			var part string
			part, w = splitAt(w, t.opts.Width-at)
			t.buf.WriteString(part + "\n" + strings.Repeat(" ", next))
			at, width = next, columns(w)
		}
		t.buf.WriteString(w)
		at, fresh = at+width, false
	}
	t.buf.WriteByte('\n')
}

// splitAt cuts a word after the given number of columns, at least one
// character.
func splitAt(w string, limit int) (string, string) {
	n := 0
	for i, r := range w {
		n += columns(string(r))
		if n > limit && i > 0 {
			return w[:i], w[i:]
		}
	}
	return w, ""
}
