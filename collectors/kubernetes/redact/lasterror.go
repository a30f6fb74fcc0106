package redact

import (
	"encoding/json"
	"regexp"
	"strings"
)

var (
	ansi  = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)
	frame = regexp.MustCompile(`^\s+at |^\s+File "|^\s*goroutine \d+ \[|^\s+\S+\.(?:go|rs|py|js|ts|java|rb|c|cc|cpp):\d+|^created by |^\s+\.\.\. \d+ more|^\s*\d+: 0x|^\s*#\d+ |^note: run with|^[\w./*()-]+\(0x[0-9a-f, .x]*\)$|^[\w./-]+\.[\w.()*]+\(.*\)$|^exit status \d+$|^\s*--- End of `)

	deadly    = regexp.MustCompile(`^panic: |^fatal error: |\bpanicked at\b|(?i)^fatal\b|\bFATAL\b|(?i)level"?[=:]\s*"?(?:fatal|panic|critical)|(?i)severity"?[=:]\s*"?(?:fatal|critical)|(?i)segmentation fault|^F\d{4} |^Caused by: `)
	thrown    = regexp.MustCompile(`^(?:Uncaught |Unhandled )?[\w.$]*(?:Error|Exception)\b(?:: | \[|$)|^Exception in thread|(?i)\bunhandled (?:exception|rejection|promise)|^Error: `)
	reported  = regexp.MustCompile(`\bERROR\b|\[error\]|(?i)level"?[=:]\s*"?err|(?i)severity"?[=:]\s*"?err|^E\d{4} |^(?i:error)[:\s]`)
	mentioned = regexp.MustCompile(`(?i)\b(?:error|exception|failed|failure|fatal|panic|cannot|can't|could not|couldn't|unable to|denied|refused|forbidden|invalid|missing|not found|no such|out of memory|timed out|deadline exceeded|unreachable)|(?i)i/o timeout|timeout (?:after|exceeded|waiting)\b`)
	unharmed  = regexp.MustCompile(`(?i)\b(?:0|no|without) (?:errors?|failures?)\b|"?err(?:or)?"?[=:]\s*(?:null|nil|none|""|<nil>)|(?i)level"?[=:]\s*"?(?:info|debug|trace)|(?i)severity"?[=:]\s*"?(?:info|debug|default|notice)`)
)

// LastError returns the line of a log that reads most like the error that
// ended it, or "" where none does. The clearest kind of line wins, and among
// lines of one kind the last. Stack frames are skipped.
func LastError(lines []string) string {
	best, rank := -1, 0
	for i, line := range lines {
		line = plain(line)
		if r := errorRank(line); r > 0 && r >= rank {
			best, rank = i, r
		}
	}
	if best < 0 {
		return ""
	}
	line := plain(lines[best])
	if line[0] == '{' {
		return spoken(line)
	}
	if strings.HasSuffix(line, ":") && best+1 < len(lines) { // the words follow on the next line
		if next := plain(lines[best+1]); next != "" && !frame.MatchString(next) {
			line += " " + strings.TrimSpace(next)
		}
	}
	return strings.TrimSpace(line)
}

// errorMarks are the words, in lower case, of which a line that reads like an
// error holds at least one. Most lines of most logs hold none, and to look for
// words is cheap.
var errorMarks = []string{
	"err", "exception", "fail", "fatal", "panic", "cannot", "can't", "could", "unable", "denied", "refused", "forbidden",
	"invalid", "missing", "not found", "no such", "out of memory", "timed out", "timeout", "deadline", "unreachable",
	"critical", "segmentation", "unhandled", "caused by",
}

// harmless reports whether the line can't read like an error.
func harmless(line string) bool {
	if line == "" {
		return true
	}
	if c := line[0]; (c == 'E' || c == 'F') && len(line) > 5 { // as klog begins its lines
		return false
	}
	lower := strings.ToLower(line)
	for _, mark := range errorMarks {
		if strings.Contains(lower, mark) {
			return false
		}
	}
	return true
}

// errorRank tells how much a line reads like the error: 0 not at all, 4 most.
func errorRank(line string) int {
	if harmless(line) {
		return 0
	}
	return patternRank(line)
}

// patternRank is errorRank by patterns alone.
func patternRank(line string) int {
	switch {
	case frame.MatchString(line):
		return 0
	case deadly.MatchString(line):
		return 4
	case unharmed.MatchString(line):
		return 0
	case thrown.MatchString(line):
		return 3
	case reported.MatchString(line):
		return 2
	case mentioned.MatchString(line):
		return 1
	}
	return 0
}

// spoken returns what a line of JSON says: its message and its error.
func spoken(line string) string {
	var fields map[string]any
	if json.Unmarshal([]byte(line), &fields) != nil {
		return line
	}
	first := func(names ...string) string {
		for _, n := range names {
			if s, ok := fields[n].(string); ok && s != "" {
				return s
			}
		}
		return ""
	}
	message, err := first("message", "msg", "event", "log"), first("error", "err", "exception", "reason")
	switch {
	case message == "" && err == "":
		return line
	case err == "" || strings.Contains(message, err):
		return plain(message)
	case message == "":
		return plain(err)
	}
	return plain(message + ": " + err)
}

// plain returns a line without colours and trailing space, bounded to what a
// reader would read: longer lines are searched only in their beginning.
func plain(line string) string {
	const searched = 4096 // bytes
	if len(line) > searched {
		line = strings.ToValidUTF8(line[:searched], "")
	}
	if strings.IndexByte(line, 0x1b) >= 0 {
		line = ansi.ReplaceAllString(line, "")
	}
	return strings.TrimRight(line, " \t\r\n")
}
