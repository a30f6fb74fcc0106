package narrate

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yairfalse/tapio"
)

func TestOneLine(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "exit 1", "exit 1"},
		{"lines", "a\r\nb\n\n\tc ", "a b c"},
		{"colour", "\x1b[31mred\x1b[0m", "red"},
		{"cursor", "x\x1b[2J\x1b[1;1Hy", "xy"},
		{"title", "x\x1b]0;owned\ay", "xy"},
		{"string escape", "x\x1b]8;;http://evil\x1b\\y", "xy"},
		{"unfinished", "x\x1b[31", "x31"},
		{"one-byte CSI", "x\u009b31my", "xy"},
		{"two characters", "x\x1bcy", "xy"},
		{"bell and null", "a\x00\a\x7fb", "ab"},
		{"direction", "a\u202egnp.exe\u202c", "agnp.exe"},
		{"zero width", "@\u200bhere\ufeff", "@here"},
		{"line separators", "a\u2028b\u2029c", "a b c"},
		{"invalid", "a\xffb", "a\ufffdb"},
		{"heaped marks", "z" + strings.Repeat("\u0301", 50), "z" + strings.Repeat("\u0301", 3)},
		{"emoji and accents stay", "déjà 🚀 日本", "déjà 🚀 日本"},
	} {
		if got := oneLine(tc.in); got != tc.want {
			t.Errorf("%s: oneLine(%q) = %q, want %q", tc.name, tc.in, got, tc.want)
		}
	}
}

func TestClip(t *testing.T) {
	for _, tc := range []struct {
		in    string
		limit int
		want  string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "ab…"},
		{"äöüß", 4, "äöüß"},
		{"äöüßx", 4, "äöü…"},
		{"ab cd", 4, "ab…"},
	} {
		if got := clip(tc.in, tc.limit); got != tc.want {
			t.Errorf("clip(%q, %d) = %q, want %q", tc.in, tc.limit, got, tc.want)
		}
	}
}

func TestBoundCopiesWhatItChanges(t *testing.T) {
	long := strings.Repeat("ä", 5<<20)
	data := map[string]any{"message": long}
	facts := map[string]string{"message": long}
	evidence := []tapio.Evidence{{Text: long}}
	s := tapio.Story{Facts: facts, Evidence: evidence, Timeline: []tapio.StoryEvent{{Data: data}}}
	bound(&s)
	for name, got := range map[string]string{"fact": s.Facts["message"], "evidence": s.Evidence[0].Text, "data": s.Timeline[0].Data["message"].(string)} {
		if len(got) > maxRaw || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
			t.Errorf("%s has %d bytes, want at most %d that end in …", name, len(got), maxRaw)
		}
	}
	if len(facts["message"]) != len(long) || len(evidence[0].Text) != len(long) || len(data["message"].(string)) != len(long) {
		t.Error("bound changed what the caller holds")
	}
}

func FuzzOneLine(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, got := range []string{oneLine(s), clipRaw(s, 40)} {
			if bad := unsafeRune(got); bad >= 0 {
				t.Errorf("%q keeps %q", got, got[bad:])
			}
			if strings.Contains(got, "\n") || strings.Contains(got, "  ") || !utf8.ValidString(got) {
				t.Errorf("%q is not one clean line", got)
			}
		}
		if once := oneLine(s); oneLine(once) != once {
			t.Errorf("cleaning %q again changes it to %q", once, oneLine(once))
		}
		if n := utf8.RuneCountInString(clipRaw(s, 40)); n > 40 {
			t.Errorf("clipRaw kept %d characters, want at most 40", n)
		}
	})
}

// hostile is text that a cluster can hold and that breaks out of naive output.
var hostile = []string{
	"\x1b[2J\x1b[31mALL CLEAR\x1b[0m\r\n",
	"\u202e\u2066evil\u200b\ufeff",
	"<!channel> <script>alert(1)</script> <img src=x onerror=alert(1)>",
	"``` \n# Heading\n| a | b |\n[click](http://evil) ![x](http://evil) @everyone #1",
	"'; rm -rf / #", "$(reboot)", "`reboot`", "a b", "-n", "--kubeconfig=/tmp/x", "x\nkubectl delete ns shop",
	"{{.Workload}} {{template \"x\"}}",
	"\xff\xfe\x00\a\u009b31m",
	strings.Repeat("z\u0301\u0302\u0303\u0304", 30),
	"- list\n1. list\n> quote\n=====",
}
