package applog

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// level is how loud a record is. A record without a level counts as an error
// only for what its words say.
type level int

const (
	debug level = iota
	info
	unsaid
	warning
	failure
	fatal
)

// record is one thing that the program said: a line, or a line with the stack
// trace and the causes below it.
type record struct {
	lines []string // plain, unescaped; the first begins it
	level level
	time  time.Time
}

const (
	maxRecordLines = 400
	maxScanned     = 4096 // bytes of one line
)

var (
	ansi = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)
	// goesOn matches lines that belong to the record above them.
	goesOn = regexp.MustCompile(`^(?:[ \t]|Caused by: |Suppressed: |\.\.\. \d+ (?:more|common)|[})\]],?$|goroutine \d+ \[|created by |The above exception was|During handling of the above|--- End of |Traceback \(most recent call last\)|DETAIL: |HINT: |>$)`)
	// thrown matches the exception that a logger prints below what it was told.
	thrown = regexp.MustCompile(`^(?:[a-z]\w*\.)+[A-Z][\w$]*(?:Exception|Error)\b`)
	// raised matches the line that ends a Python traceback.
	raised = regexp.MustCompile(`^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning|Timeout|Refused|Unavailable|DoesNotExist|Failure|Fault|Configured|gaierror|Brokers\w*|timeout)?(?:: |$)`)
)

// split cuts a log into records.
func split(text string) []record {
	var out []record
	traceback := false // inside a Python traceback, whose last line isn't indented
	for line := range strings.SplitSeq(text, "\n") {
		line = plain(line)
		if strings.TrimSpace(line) == "" {
			continue
		}
		n := len(out) - 1
		if strings.HasPrefix(line, "Traceback (most recent call last)") {
			traceback = true
		}
		joins := n >= 0 && len(out[n].lines) < maxRecordLines &&
			(goesOn.MatchString(line) || traceback && raised.MatchString(line) || out[n].headed() && thrown.MatchString(line))
		if traceback && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "Traceback") && raised.MatchString(line) {
			traceback = false
		}
		if joins && !strings.HasPrefix(line, "{\"") {
			out[n].lines = append(out[n].lines, line)
			continue
		}
		out = append(out, begin(line))
	}
	return out
}

// headed reports whether the record begins with what loggers put before each
// of theirs.
func (r *record) headed() bool { return !r.time.IsZero() || r.level != unsaid }

// plain returns a line without colours and the end of what is too long to be
// read.
func plain(line string) string {
	if len(line) > maxScanned {
		line = strings.ToValidUTF8(line[:maxScanned], "")
	}
	if strings.IndexByte(line, 0x1b) >= 0 {
		line = ansi.ReplaceAllString(line, "")
	}
	return strings.TrimRight(line, " \t\r")
}

// begin makes a record of its first line.
func begin(line string) record {
	r := record{level: unsaid}
	body := line
	if at := strings.Index(line, "{\""); at >= 0 && at < 64 && strings.HasSuffix(line, "}") {
		if said, ok := r.readJSON(line[at:]); ok {
			r.lines = said
			if r.time.IsZero() {
				r.time = timeOf(line[:at])
			}
			return r
		}
	}
	r.time = timeOf(body)
	r.level = levelOf(body)
	if strings.Contains(body, `\"`) {
		body = strings.ReplaceAll(body, `\"`, `"`)
	}
	r.lines = []string{body}
	return r
}

// spoken are the keys under which JSON loggers put what a record says, in the
// order in which a reader would read them.
var spoken = []string{
	"message", "msg", "@m", "@mt", "MessageTemplate", "RenderedMessage", "Message", "event", "log", "textPayload", "short_message", "details", "detail", "description",
	"error", "err", "Error", "error.message", "exception", "Exception", "@x", "error.stack_trace", "error.stack", "exc_info", "stack_trace", "stacktrace", "stack", "thrown",
	"reason", "cause", "attr", "State", "extra", "fields", "context",
}

// readJSON reads a record of a JSON logger.
func (r *record) readJSON(text string) (lines []string, ok bool) {
	var fields map[string]any
	if json.Unmarshal([]byte(text), &fields) != nil {
		return nil, false
	}
	for _, k := range []string{"level", "severity", "lvl", "@l", "log.level", "Level", "LogLevel", "loglevel", "levelname", "s"} {
		if v, found := fields[k]; found {
			r.level = levelOfValue(v)
			break
		}
	}
	if inner, found := fields["log"].(map[string]any); found {
		if v, found := inner["level"]; found {
			r.level = levelOfValue(v)
		}
	}
	for _, k := range []string{"time", "timestamp", "ts", "@timestamp", "@t", "Timestamp", "datetime", "t", "instant"} {
		if v, found := fields[k]; found {
			if r.time = timeOfValue(v); !r.time.IsZero() {
				break
			}
		}
	}
	say(fields, 0, &lines)
	if len(lines) == 0 {
		lines = []string{text}
	}
	return lines, true
}

// say collects the sentences of a JSON value, a few levels deep.
func say(v any, depth int, out *[]string) {
	switch v := v.(type) {
	case string:
		for line := range strings.SplitSeq(v, "\n") {
			if line = plain(line); strings.TrimSpace(line) != "" && len(*out) < maxRecordLines {
				*out = append(*out, strings.ReplaceAll(line, `\"`, `"`))
			}
		}
	case map[string]any:
		if depth > 3 {
			return
		}
		for _, k := range spoken {
			if inner, ok := v[k]; ok {
				say(inner, depth+1, out)
			}
		}
	case []any:
		for i, inner := range v {
			if i < 8 && depth < 3 {
				say(inner, depth+1, out)
			}
		}
	}
}

var (
	fatalWord   = regexp.MustCompile(`\b(?:FATAL|PANIC|CRITICAL|EMERG|ALERT)\b|(?i:level"?[=:]\s*"?(?:fatal|panic|crit|emerg|alert))|^F\d{4} |^(?:fatal|panic|crit(?:ical)?)[:\s]|\[(?:fatal|crit|emerg|alert|critical)\]|\[F\]`)
	errorWord   = regexp.MustCompile(`\b(?:ERROR|SEVERE|ERR)\b|(?i:level"?[=:]\s*"?err)|^E\d{4} |^(?i:error|fail)[:\s\[]|\[(?i:error|err|system error)\]|\[E\]`)
	warnWord    = regexp.MustCompile(`\b(?:WARN|WARNING)\b|(?i:level"?[=:]\s*"?warn)|^W\d{4} |^(?i:warn(?:ing)?)[:\s]|\[(?i:warn(?:ing)?)\]|\[W\]`)
	infoWord    = regexp.MustCompile(`\b(?:INFO|NOTICE)\b|(?i:level"?[=:]\s*"?(?:info|notice))|^I\d{4} |^(?i:info|notice|log)[:\s]|\[(?i:info|notice|note)\]|\bLOG:\s|\[I\]`)
	debugWord   = regexp.MustCompile(`\b(?:DEBUG|TRACE|FINE|FINER|VERBOSE)\b|(?i:level"?[=:]\s*"?(?:debug|trace))|^(?i:dbug|trce|debug|trace)[:\s]|\[(?i:debug|trace)\]|\[[DT]\]`)
	exceptional = regexp.MustCompile(`\b[\w.$]*(?:Exception|Error)\b: |\b[\w.$]+\.[A-Z]\w*Exception\b`)
)

// searchedForLevel is how much of a line's beginning holds its level.
const searchedForLevel = 160

// levelWords are the words of levels, each with what a line that holds one has
// in lower case: to look for that is cheap. klog begins lines with a letter.
var levelWords = []struct {
	level level
	words *regexp.Regexp
	klog  byte
	marks []string
}{
	{fatal, fatalWord, 'F', []string{"fatal", "panic", "crit", "emerg", "alert", "[f]"}},
	{failure, errorWord, 'E', []string{"err", "fail", "severe", "[e]"}},
	{warning, warnWord, 'W', []string{"warn", "[w]"}},
	{info, infoWord, 'I', []string{"info", "notice", "note", "log", "[i]"}},
	{debug, debugWord, 0, []string{"debug", "trace", "fine", "verbose", "dbug", "trce", "[d]", "[t]"}},
}

func levelOf(line string) level {
	if len(line) > searchedForLevel {
		line = line[:searchedForLevel]
	}
	lower := strings.ToLower(line)
	best, at := unsaid, len(line)+1
	for _, w := range levelWords {
		marked := func(mark string) bool { return strings.Contains(lower, mark) }
		if !slices.ContainsFunc(w.marks, marked) && (line == "" || line[0] != w.klog) {
			continue
		}
		if m := w.words.FindStringIndex(line); m != nil && m[0] < at {
			best, at = w.level, m[0]
		}
	}
	return best
}

// levelOfValue reads the level of a JSON logger: a word, the numbers of pino
// and bunyan (10 to 60), or the letters of MongoDB.
func levelOfValue(v any) level {
	switch v := v.(type) {
	case string:
		switch w := strings.ToLower(v); {
		case w == "f" || strings.HasPrefix(w, "fatal") || strings.HasPrefix(w, "panic") || strings.HasPrefix(w, "crit") || strings.HasPrefix(w, "emerg") || strings.HasPrefix(w, "alert"):
			return fatal
		case w == "e" || strings.HasPrefix(w, "err") || w == "severe":
			return failure
		case w == "w" || strings.HasPrefix(w, "warn"):
			return warning
		case w == "i" || strings.HasPrefix(w, "info") || w == "notice" || w == "default":
			return info
		case strings.HasPrefix(w, "debug") || strings.HasPrefix(w, "trace") || w == "verbose":
			return debug
		}
		if n, err := strconv.Atoi(v); err == nil {
			return levelOfValue(float64(n))
		}
	case float64:
		switch {
		case v >= 60:
			return fatal
		case v >= 50:
			return failure
		case v >= 40:
			return warning
		case v >= 30:
			return info
		case v >= 10:
			return debug
		}
	}
	return unsaid
}

// recovery matches what a program says when something works again.
var (
	recovery   = regexp.MustCompile(`(?i)\b(?:re-?connected|connected (?:to|with|successfully)|connection (?:is |was |has been )?(?:re-?)?(?:established|restored|opened|successful|ok)|successfully (?:re-?)?connected|recovered|listening (?:on|at)|server (?:is )?(?:started|running|listening|ready)|started \w+ in [\d.]+ (?:s|ms)|ready to accept connections|succeeded after|start-?up complete|is up and running|now healthy)\b`)
	notSo      = regexp.MustCompile(`(?i)\b(?:not|never|un\w+|fail\w*|could ?n.t|cannot|can't|waiting|until|before|error)\b`)
	frameLines = regexp.MustCompile(`^\s+(?:at |File ")`)
)

// recovers reports whether the record says that something works again.
func (r *record) recovers() bool {
	if r.level >= warning || len(r.lines) > 3 {
		return false
	}
	for _, l := range r.lines {
		if recovery.MatchString(l) && !notSo.MatchString(l) {
			return true
		}
	}
	return false
}
