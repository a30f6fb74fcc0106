package narrate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	"github.com/yairfalse/tapio"
)

// JSON writes stories as an indented array: [] where there are none. Every
// control and invisible character is escaped, so that it does nothing to a
// terminal and can be seen; so are <, > and &.
func JSON(w io.Writer, stories []tapio.Story) error {
	bounded := make([]tapio.Story, len(stories))
	for i := range stories {
		bounded[i] = stories[i]
		bound(&bounded[i])
	}
	raw, err := json.MarshalIndent(bounded, "", "  ")
	if err != nil {
		return fmt.Errorf("encode stories: %w", err)
	}
	return writeAll(w, append(escapeInvisible(raw), '\n'))
}

// escapeInvisible writes characters that a terminal would obey or hide as \u
// escapes. They can stand only inside of JSON strings, apart from the newlines
// of the layout.
func escapeInvisible(raw []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(raw))
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		switch {
		case r < utf8.RuneSelf && r != 0x7f:
			b.WriteByte(raw[0])
		case invisible(r) || unicode.In(r, unicode.Zl, unicode.Zp):
			if r > 0xffff {
				r -= 0x10000
				fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		default:
			b.Write(raw[:n])
		}
		raw = raw[n:]
	}
	return b.Bytes()
}
