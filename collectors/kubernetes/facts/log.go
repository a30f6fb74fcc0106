package facts

import (
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/kubernetes/redact"
)

// Bounds of one log event: enough for stack traces and to see what recurs, small
// enough that a storm of crashes doesn't fill the store.
const (
	MaxLogLines = 200
	MaxLogBytes = 16 << 10
)

// LogTail is the end of a container's log.
type LogTail struct {
	Container tapio.Entity // a pod with its container
	UID       string       // of the pod, where known
	Text      string       // only the last MaxLogLines and MaxLogBytes of it are used
	Previous  bool         // of the run before the present one
	Time      time.Time    // of the run's end, where known; else Seen
	Seen      time.Time
	Listed    bool
}

// Event returns the log event of the tail, with secrets hidden, and whether
// there is anything in it.
func (l *LogTail) Event() (*tapio.Event, bool) {
	lines := tail(redact.Text(tailBytes(l.Text, 2*MaxLogBytes)))
	if len(lines) == 0 {
		return nil, false
	}
	e := &tapio.Event{
		Time:     l.Time,
		Type:     tapio.ContainerLog,
		Severity: tapio.SeverityInfo,
		Entity:   l.Container,
		Attrs: attrs(
			tapio.AttrPrevious, flag(l.Previous),
			tapio.AttrLastError, bound(redact.LastError(lines), maxMessage),
			tapio.AttrUID, l.UID,
		),
	}
	complete(e, l.Seen.UTC(), l.Listed)
	e.Message = strings.Join(lines, "\n") // longer than other messages may be
	e.SetID()
	return e, true
}

// tail returns the last lines of text within the bounds, without empty lines
// at either end.
func tail(text string) []string {
	lines := strings.Split(strings.Trim(strings.ToValidUTF8(text, "\uFFFD"), "\r\n"), "\n")
	if len(lines) > MaxLogLines {
		lines = lines[len(lines)-MaxLogLines:]
	}
	size, from := 0, len(lines)
	for from > 0 && size+len(lines[from-1])+1 <= MaxLogBytes {
		from--
		size += len(lines[from]) + 1
	}
	if from == len(lines) && from > 0 { // the last line alone is too long
		return []string{bound(lines[from-1], MaxLogBytes)}
	}
	lines = lines[from:]
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, "\r")
	}
	if len(lines) == 1 && lines[0] == "" {
		return nil
	}
	return lines
}

// tailBytes returns the last n bytes of s, which may begin amid a line.
func tailBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[len(s)-n:]
}
