package bot

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/slack-go/slack"
)

// Slack shows a time in its reader's zone where it is written as a date of its
// own, in mrkdwn and in rich text. Plain texts keep UTC.

// moment writes a time as mrkdwn that Slack shows in the reader's zone, with the
// date where it is not that of near.
func moment(t, near time.Time) string {
	words := clock(t, near)
	if t.IsZero() {
		return words
	}
	return fmt.Sprintf("<!date^%d^%s|%s>", t.Unix(), momentForm(words), words)
}

func momentForm(words string) string {
	if strings.Count(words, " ") > 1 {
		return "{date_short_pretty} {time}"
	}
	return "{time}"
}

// momentPiece is moment for rich text, in the form of code.
func momentPiece(t, near time.Time) slack.RichTextSectionElement {
	words := clock(t, near)
	if t.IsZero() {
		return codePiece(words)
	}
	e := slack.NewRichTextSectionDateElement(t.Unix(), momentForm(words), nil, &words)
	e.Style = &slack.RichTextSectionTextStyle{Code: true}
	return e
}

// secondPiece is momentPiece to the second.
func secondPiece(t, near time.Time) slack.RichTextSectionElement {
	words, form := t.UTC().Format("15:04:05 UTC"), "{time_secs}"
	if strings.Count(clock(t, near), " ") > 1 {
		words, form = t.UTC().Format("2 Jan 15:04:05 UTC"), "{date_short_pretty} {time_secs}"
	}
	if t.IsZero() {
		return codePiece("?")
	}
	e := slack.NewRichTextSectionDateElement(t.Unix(), form, nil, &words)
	e.Style = &slack.RichTextSectionTextStyle{Code: true}
	return e
}

// dated is a time that moment wrote.
var dated = regexp.MustCompile(`<!date\^\d+\^[^|<>]*\|([^<>]*)>`)

// undated writes the times of a text in UTC again, for those who read or hear
// only the text of a message.
func undated(s string) string { return dated.ReplaceAllString(s, "$1") }

// zonedPieces is zoned for rich text.
func zonedPieces(words string, ref time.Time, style *slack.RichTextSectionTextStyle) []slack.RichTextSectionElement {
	var out []slack.RichTextSectionElement
	add := func(text string) {
		if text != "" {
			out = append(out, slack.NewRichTextSectionTextElement(text, style))
		}
	}
	end, left := 0, maxZoned
	for _, at := range worded.FindAllStringSubmatchIndex(words, -1) {
		before := words[:at[0]]
		if left <= 0 || strings.Count(before, "“") > strings.Count(before, "”") { // what is quoted stays as it is
			continue
		}
		for _, g := range [][]int{at[2:4], at[6:8]} { // a time, and perhaps another one behind "to" or "and"
			if g[0] < 0 {
				continue
			}
			t, ok := readClock(words[g[0]:g[1]], ref)
			if !ok {
				continue
			}
			add(words[end:g[0]])
			text := clock(t, ref)
			e := slack.NewRichTextSectionDateElement(t.Unix(), momentForm(text), nil, &text)
			e.Style = style
			out = append(out, e)
			end = g[1]
			left--
		}
		if end > at[0] {
			end = at[1] // behind UTC
		}
	}
	add(words[end:])
	return out
}

// maxZoned bounds how many times of one text are written as dates, so that a
// text made of nothing else stays within the limits.
const maxZoned = 4

// worded are the times in a sentence, as narrate writes them: "14:02 UTC",
// "2 Nov 14:02 UTC", "from 14:02 to 14:12 UTC".
var worded = regexp.MustCompile(`\b((?:\d{1,2} [A-Z][a-z]{2} (?:\d{4} )?)?\d{2}:\d{2})(?: (to|and) ((?:\d{1,2} [A-Z][a-z]{2} (?:\d{4} )?)?\d{2}:\d{2}))? UTC\b`)

// zoned writes the times of an escaped sentence as moments. ref is when it was
// worded: a time without a date is of that day. What is quoted stays as it is.
func zoned(s string, ref time.Time) string {
	left := maxZoned
	parts := strings.Split(s, "“")
	for i, p := range parts {
		quoted, free := "", p
		if i > 0 {
			if end := strings.Index(p, "”"); end >= 0 {
				quoted, free = p[:end], p[end:]
			} else {
				quoted, free = p, ""
			}
		}
		parts[i] = quoted + worded.ReplaceAllStringFunc(free, func(m string) string {
			g := worded.FindStringSubmatch(m)
			a, ok := readClock(g[1], ref)
			if !ok || left <= 0 {
				return m
			}
			left--
			if g[2] == "" {
				return moment(a, ref)
			}
			b, ok := readClock(g[3], ref)
			if !ok {
				return m
			}
			left--
			return moment(a, ref) + " " + g[2] + " " + moment(b, ref)
		})
	}
	return strings.Join(parts, "“")
}

func readClock(s string, ref time.Time) (time.Time, bool) {
	ref = ref.UTC()
	for layout, year := range map[string]int{"2 Jan 2006 15:04": 0, "2 Jan 15:04": ref.Year(), "15:04": ref.Year()} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		switch {
		case layout == "15:04":
			return time.Date(year, ref.Month(), ref.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC), true
		case year != 0:
			return time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC), true
		}
		return t, true
	}
	return time.Time{}, false
}
