package narrate

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yairfalse/tapio"
)

// Bounds of worded text, in characters. They keep a story readable and every
// output below its own limits, whatever a cluster says: a Slack section holds
// 3,000 characters.
const (
	maxTitle    = 150
	maxSentence = 700
	maxLine     = 300
	maxQuote    = 240  // words of the cluster inside a sentence
	maxRaw      = 2000 // raw text kept in the story, in bytes
)

// oneLine makes text from anywhere safe to put into a line: invalid UTF-8,
// control characters, terminal escapes, invisible characters and changes of
// writing direction are gone, and all white space is a single space.
func oneLine(s string) string {
	var b strings.Builder
	space, marks := false, 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if skip := escapeLen(s[i:]); skip > 0 {
			i += skip
			continue
		}
		i += n
		if unicode.IsSpace(r) || r == '\u2028' || r == '\u2029' {
			space = true
			continue
		}
		if invisible(r) {
			continue
		}
		if unicode.In(r, unicode.Mn, unicode.Me) {
			if marks++; marks > 3 { // no script needs more on one letter
				continue
			}
		} else {
			marks = 0
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
	}
	return b.String()
}

// invisible reports whether a character is a control or changes how others are
// shown without being seen itself.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs) ||
		r == '\u115f' || r == '\u1160' || r == '\u3164' || r == '\uffa0' || r == '\u034f'
}

// escapeLen returns the length of the terminal escape sequence at the start of
// s, or 0. Sequences are CSI (ESC [ … letter), OSC and the like (ESC ] … BEL or
// ESC \) and two-character ones; an unfinished one is only its introducer.
func escapeLen(s string) int {
	var intro int
	switch {
	case strings.HasPrefix(s, "\x1b"):
		intro = 1
	case strings.HasPrefix(s, "\u009b"):
		return csiLen(s, len("\u009b"))
	default:
		return 0
	}
	if len(s) == intro {
		return intro
	}
	switch s[intro] {
	case '[':
		return csiLen(s, intro+1)
	case ']', 'P', 'X', '^', '_':
		const longest = 200 // bytes; beyond that it is text, not an escape
		for i := intro + 1; i < len(s) && i < longest; i++ {
			if s[i] == '\a' {
				return i + 1
			}
			if s[i] == '\x1b' && i+1 < len(s) && s[i+1] == '\\' {
				return i + 2
			}
		}
		return intro + 1
	}
	if s[intro] >= 0x40 && s[intro] < 0x7f {
		return intro + 1
	}
	return intro
}

func csiLen(s string, at int) int {
	for i := at; i < len(s) && i < at+64; i++ {
		switch c := s[i]; {
		case c >= 0x40 && c <= 0x7e:
			return i + 1
		case c < 0x20 || c > 0x3f:
			return i
		}
	}
	return at
}

// clip shortens text to at most limit characters, with … where it was cut.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	n := 0
	for i := range s {
		if n++; n == limit {
			rest := s[i:]
			_, size := utf8.DecodeRuneInString(rest)
			if len(rest) == size {
				return s
			}
			return strings.TrimRight(s[:i], " ") + "…"
		}
	}
	return s
}

// clipRaw is oneLine and clip for text of any size: it looks only at the start.
func clipRaw(s string, limit int) string {
	const factor = 8 // bytes of hostile text worth reading per character kept
	cut := false
	if most := limit * factor; len(s) > most {
		s, cut = s[:most], true
	}
	s = oneLine(s)
	if cut {
		// The cut may have split a character in two.
		s = strings.TrimRight(s, "\ufffd") + "…"
	}
	return clip(s, limit)
}

// quote prepares the words of the cluster for use inside a sentence.
func quote(s string) string { return clipRaw(s, maxQuote) }

// inline prepares a name or a value for use inside a sentence. Kubernetes names
// have at most 253 characters.
func inline(s string) string { return clipRaw(s, 253) }

// bound shortens the raw text of a story, so that no message of a cluster can
// make a story too large to keep or to show. It copies what it changes.
func bound(s *tapio.Story) {
	s.Evidence = slices.Clone(s.Evidence)
	for i := range s.Evidence {
		s.Evidence[i].Text = clipBytes(s.Evidence[i].Text)
	}
	facts := maps.Clone(s.Facts)
	for k, v := range facts {
		facts[k] = clipBytes(v)
	}
	s.Facts = facts
	s.Timeline = slices.Clone(s.Timeline)
	for i := range s.Timeline {
		s.Timeline[i].Data = boundData(s.Timeline[i].Data)
	}
	s.News = slices.Clone(s.News)
	for i := range s.News {
		n := &s.News[i]
		n.Was, n.Now = clipBytes(n.Was), clipBytes(n.Now)
	}
	s.Gaps = slices.Clone(s.Gaps)
	for i := range s.Gaps {
		s.Gaps[i].Reason = clipBytes(s.Gaps[i].Reason)
	}
	if s.Trigger != nil {
		t := *s.Trigger
		t.Changes = boundChanges(t.Changes)
		s.Trigger = &t
	}
}

func boundData(data map[string]any) map[string]any {
	out := maps.Clone(data)
	for k, v := range out {
		switch v := v.(type) {
		case string:
			out[k] = clipBytes(v)
		case []tapio.Change:
			out[k] = boundChanges(v)
		}
	}
	return out
}

func boundChanges(cs []tapio.Change) []tapio.Change {
	out := slices.Clone(cs)
	for i, c := range out {
		out[i] = tapio.Change{Field: clipBytes(c.Field), From: clipBytes(c.From), To: clipBytes(c.To)}
	}
	return out
}

// clipBytes cuts raw text to maxRaw bytes at a character's border.
func clipBytes(s string) string {
	if len(s) <= maxRaw {
		return s
	}
	cut := maxRaw - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
