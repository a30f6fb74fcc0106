package facts

import (
	"strings"
	"testing"

	"github.com/yairfalse/tapio"
)

func TestLogTail(t *testing.T) {
	container := tapio.Entity{Kind: "Pod", Namespace: "shop", Name: "web", Container: "app"}
	long := strings.Repeat("x", 3*MaxLogBytes)
	many := strings.Repeat("line\n", 500) + "panic: out of ideas\n\n"
	tests := []struct {
		name, text string
		lines      int
		last       string
	}{
		{"nothing", "\n\n", 0, ""},
		{"one line", "ERROR no database password=hunter2\r\n", 1, "ERROR no database password=(hidden)"},
		{"many lines", many, MaxLogLines, "panic: out of ideas"},
		{"one endless line", long, 1, ""},
		{"an endless line before a short one", long + "\nfatal: disk gone", 1, "fatal: disk gone"},
		{"no text", "\xff\xfe\xfd", 1, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tail := LogTail{Container: container, Text: test.text, Previous: true, Seen: at, UID: "u"}
			e, ok := tail.Event()
			if ok != (test.lines > 0) {
				t.Fatalf("Event reports %v", ok)
			}
			if !ok {
				return
			}
			if err := e.Validate(); err != nil {
				t.Error(err)
			}
			if n := strings.Count(e.Message, "\n") + 1; n != test.lines || len(e.Message) > MaxLogBytes {
				t.Errorf("%d lines of %d bytes, want %d lines", n, len(e.Message), test.lines)
			}
			if e.Attrs[tapio.AttrLastError] != test.last || e.Attrs[tapio.AttrPrevious] != "true" {
				t.Errorf("attributes %v, want last error %q", e.Attrs, test.last)
			}
		})
	}
}
