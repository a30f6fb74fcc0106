package bot

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Every text that comes from a cluster passes through one of the functions
// here. mrkdwn text is parsed by Slack, so & < > become entities and backticks
// become apostrophes: without them there is no mention, no link, no date and
// no code span that a log line could open or close. Rich text is not parsed
// by Slack; there the characters stay what they are, so that a command can be
// pasted, and only the opening of a mention is disarmed, should some client
// parse it after all.

// clean drops what can't be seen or steers the writing direction: control
// characters, zero-width and bidirectional format characters, broken UTF-8.
// Line breaks and tabs become spaces unless lines is set, which keeps "\n".
// It reads no more than what max characters can need.
func clean(s string, max int, lines bool) string {
	var b strings.Builder
	space, n := true, 0 // no spaces in front
	for i, r := range s {
		if n > max {
			break
		}
		switch {
		case r == utf8.RuneError:
			if _, size := utf8.DecodeRuneInString(s[i:]); size < 2 {
				r = '\uFFFD'
			}
		case lines && r == '\n':
			b.WriteByte('\n')
			n++
			space = true
			continue
		case unicode.IsSpace(r):
			if lines && r == '\t' || r == ' ' && lines {
				b.WriteByte(' ') // indentation means something in a log
				n++
				continue
			}
			if !space {
				b.WriteByte(' ')
				n++
			}
			space = true
			continue
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r), invisible(r):
			continue
		}
		b.WriteRune(r)
		n++
		space = false
	}
	return everybody.ReplaceAllString(strings.TrimRight(b.String(), " \n"), "＠$1")
}

// everybody are the words that call a whole channel. Slack acts on them only
// in <!…>, but not every client and bridge is Slack.
var everybody = regexp.MustCompile(`(?i)@(channel|here|everyone)`)

// invisible reports letters that are drawn as nothing.
func invisible(r rune) bool {
	switch r {
	case '\u115F', '\u1160', '\u3164', '\uFFA0', '\u034F', '\u17B4', '\u17B5', '\u2800':
		return true
	}
	return r >= 0xFE00 && r <= 0xFE0F || r >= 0xE0100 && r <= 0xE01EF // variation selectors
}

// width is the number of UTF-16 units of a rune.
func width(r rune) int {
	return max(utf16.RuneLen(r), 1)
}

// length counts the characters of s as the limits do.
func length(s string) int {
	n := 0
	for _, r := range s {
		n += width(r)
	}
	return n
}

// trim writes the runes of s, each by way of write, until limit characters are
// used up; the last one is then "…". It never cuts within a rune or an entity.
func trim(s string, limit int, write func(rune) string) string {
	var b strings.Builder
	n, cut := 0, 0 // cut: length of b up to which "…" still fits behind it
	for _, r := range s {
		if n+1 <= limit {
			cut = b.Len()
		}
		w := write(r)
		l := length(w)
		if n+l > limit {
			return strings.TrimRight(b.String()[:cut], " \n") + "…"
		}
		n += l
		b.WriteString(w)
	}
	return b.String()
}

// escape makes a text from a cluster safe within mrkdwn, one line, at most
// limit characters long.
func escape(s string, limit int) string {
	return trim(clean(s, limit, false), limit, entity)
}

func entity(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '`':
		return "'"
	}
	return string(r)
}

// bold writes a text in bold mrkdwn. Asterisks in it would end the bold.
func bold(s string, limit int) string {
	s = strings.ReplaceAll(escape(s, limit), "*", "∗")
	if s == "" {
		return ""
	}
	return "*" + s + "*"
}

// code writes a text as a mrkdwn code span, which backticks can't leave.
func code(s string, limit int) string {
	s = escape(s, limit)
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// literal makes a text from a cluster safe for rich text and plain text, one
// line, at most limit characters long.
func literal(s string, limit int) string {
	return disarm(trim(clean(s, limit, false), limit, plain))
}

// verbatim is literal that keeps line breaks and indentation.
func verbatim(s string, limit int) string {
	return disarm(trim(clean(s, limit, true), limit, plain))
}

func plain(r rune) string { return string(r) }

// disarm breaks the openings of mentions, of links and of dates.
func disarm(s string) string {
	if !strings.Contains(s, "<") {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if r == '<' && i+1 < len(s) && strings.ContainsRune("!@#", rune(s[i+1])) {
			r = '‹'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// lastLines returns the last n lines of s that aren't empty.
func lastLines(s string, n int) []string {
	var out []string
	for len(out) < n && s != "" {
		i := strings.LastIndexByte(s, '\n')
		line := s[i+1:]
		s = s[:max(i, 0)]
		if strings.TrimSpace(line) != "" {
			out = append(out, line)
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}
