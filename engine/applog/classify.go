package applog

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// rule is one way to word an error. It is tried only on text that holds one of
// its marks, in lower case.
type rule struct {
	class   Class
	sure    int // 1 says little by itself, 4 is the peer's own verdict; the surest of a record wins
	marks   []string
	pattern *regexp.Regexp
}

// blanks stand for what a rule extracts.
var blanks = strings.NewReplacer(
	"{host}", `(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_](?:[\w.-]*\w)?)`,
	"{port}", `(?P<port>\d{1,5})`,
	"{user}", `(?P<user>[^'"\s@,)(]{1,64})`,
	"{db}", `(?P<database>[^'"\s,;)(.]{1,64})`,
	"{path}", `(?P<path>/[^\s'"`+"`"+`:,;)(\]]*)`,
	"{name}", `(?P<name>[^\s'"`+"`"+`,;)(\]<>]{1,120})`,
	"{q}", `['"`+"`"+`‘“’]?`,
	"{at}", `(?:^|[\s'"`+"`"+`(=:\[])`, // what stands before a path
)

func rules(class Class, sure int, list ...string) []rule {
	out := make([]rule, 0, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		out = append(out, rule{class, sure, strings.Split(list[i], "|"), regexp.MustCompile(blanks.Replace(list[i+1]))})
	}
	return out
}

// all holds every rule.
var all = slices.Concat(networkRules, accessRules, surroundingRules, programRules)

// index finds the marks of all rules in one pass over a text: by the first two
// bytes of each mark, which are rarer together than apart.
type index struct {
	heads [1 << 16]uint16 // pair of bytes → list in marks, from 1
	marks [][]mark
}

type mark struct {
	text string
	rule int // in all
}

var marks = newIndex(all)

func newIndex(rules []rule) *index {
	x := &index{marks: make([][]mark, 1)}
	for i := range rules {
		for _, m := range rules[i].marks {
			h := &x.heads[pair(m)]
			if *h == 0 {
				*h = uint16(len(x.marks))
				x.marks = append(x.marks, nil)
			}
			x.marks[*h] = append(x.marks[*h], mark{m, i})
		}
	}
	return x
}

func pair(s string) int { return int(s[0])<<8 | int(s[1]) }

// in returns the rules one of whose marks is in the text, in their order.
func (x *index) in(lower string) []int {
	var out []int
	for i := 0; i+1 < len(lower); i++ {
		h := x.heads[pair(lower[i:])]
		if h == 0 {
			continue
		}
		for _, m := range x.marks[h] {
			if strings.HasPrefix(lower[i:], m.text) && !slices.Contains(out, m.rule) {
				out = append(out, m.rule)
			}
		}
	}
	slices.Sort(out)
	return out
}

var (
	// unharmed matches records that count or name errors without having one.
	unharmed = regexp.MustCompile(`(?i)\b(?:0|no|without|zero) (?:errors?|failures?|exceptions?)\b`)
	// isFatal matches what is said when the program ends.
	isFatal = regexp.MustCompile(`^panic: |^fatal error: |^FATAL ERROR: |Exception in thread "main"|(?i)application run failed|APPLICATION FAILED TO START|(?i)^unhandled (?:exception|rejection)|^Uncaught |panicked at|(?i)\bexiting\b|(?i)^fatal[:\s]|error context initializ`)
)

// classify returns the error that the record is about, or one without a class.
func (r *record) classify() Error {
	if r.level == debug || r.level == info && !slices.ContainsFunc(r.lines, exceptional.MatchString) {
		return Error{}
	}
	var best Error
	sure := 0
	peer := Error{}
	for i, line := range r.lines {
		for _, n := range marks.in(strings.ToLower(line)) {
			rule := &all[n]
			m := rule.pattern.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			e := Error{Class: rule.class, Line: line, After: i}
			e.fill(rule.pattern.SubexpNames(), m)
			if e.Host != "" && rule.class.OfPeer() && (peer.Host == "" || peer.Port == "" && e.Port != "") {
				peer.Host, peer.Port = e.Host, e.Port
			}
			deeper := i > best.After && !frameLines.MatchString(line) // of a chain of causes, the last is the first
			richer := i == best.After && rule.class == best.Class && e.known() > best.known()
			if rule.sure > sure || rule.sure == sure && (deeper || richer) {
				best, sure = e, rule.sure
			}
		}
	}
	if sure == 0 || unharmed.MatchString(r.lines[0]) {
		return Error{}
	}
	if best.Class.OfPeer() || best.Class == NoDatabase {
		r.findPeer(&best, peer)
		best.System = systemOf(&best, r.lines)
	}
	best.Line = bound(strings.TrimSpace(best.Line))
	best.After = 0
	best.Fatal = r.level == fatal || slices.ContainsFunc(r.lines, isFatal.MatchString)
	return best
}

// fill takes what a rule extracted.
func (e *Error) fill(names, values []string) {
	for i, name := range names {
		v := values[i]
		if v == "" {
			continue
		}
		switch name {
		case "host":
			e.Host = hostOf(v)
		case "port":
			e.Port = v
		case "user":
			e.User = v
		case "database":
			e.Database = v
		case "path":
			e.Path = strings.TrimRight(v, ".")
		case "name":
			e.Name = strings.TrimRight(v, ".:")
		case "verb":
			e.Verb = v
		case "resource":
			e.Resource = v
		case "group":
			e.Resource += "." + v
		case "account":
			e.Account = strings.Replace(v, ":", "/", 1)
		}
	}
}

// known counts what a rule extracted. A name says more than an address.
func (e *Error) known() int {
	n := 0
	if e.Host != "" && !IsAddress(e.Host) {
		n++
	}
	for _, s := range []string{e.Host, e.Port, e.User, e.Database, e.Path, e.Name, e.Verb} {
		if s != "" {
			n++
		}
	}
	return n
}

// hostOf returns a host without brackets and the dot of a full name; an
// address that means every interface is none.
func hostOf(s string) string {
	s = strings.TrimSuffix(strings.Trim(s, "[]"), ".")
	switch s {
	case "0.0.0.0", "::", "unresolved", "null", "None":
		return ""
	}
	return s
}

// Ways in which a record names a peer beside the words of its error.
var (
	inURL      = regexp.MustCompile(`\b(?:jdbc:)?(?:https?|postgres(?:ql)?|mysql|mariadb|sqlserver|oracle|mongodb(?:\+srv)?|rediss?|amqps?|nats|kafka|tcp|grpc|memcached|etcd|cassandra|s3|dns|ldaps?|smtp)://(?:[^@/\s"']*@)?` + blanks.Replace(`{host}`) + `(?::(?P<port>\d{1,5}))?(?:/(?P<database>[A-Za-z_][\w-]*))?`)
	resolved   = regexp.MustCompile(`([A-Za-z0-9_][\w.-]*)/(<unresolved>|(?:\d{1,3}\.){3}\d{1,3}):(\d{1,5})`)
	keyed      = regexp.MustCompile(`(?i)\b(?:host(?:name)?|address|addr|server|broker)(=|: ?| )["']?([A-Za-z0-9_](?:[\w.-]*\w)?)(?::(\d{1,5}))?["']?(?:[,;]? +(?:on )?port[=: ]+["']?(\d{1,5}))?`)
	running    = regexp.MustCompile(`running on host ["']([\w.-]+)["']`)
	keyedPort  = regexp.MustCompile(`(?i)\bport[=: ]+["']?(\d{1,5})`)
	numbered   = regexp.MustCompile(`\b((?:\d{1,3}\.){3}\d{1,3}):(\d{1,5})\b`)
	named      = regexp.MustCompile(`(?:^|[\s'"(\[,;=@/])([a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*):(\d{2,5})\b`)
	sourceFile = regexp.MustCompile(`\.(?:go|java|js|mjs|cjs|py|ts|rb|cs|rs|php|kt|scala|c|cc|cpp|h|ex|exs|erl|clj)$`)
)

// noHosts are words that stand before a colon and a number without being one.
var noHosts = map[string]bool{
	"line": true, "error": true, "code": true, "status": true, "exit": true, "pid": true, "port": true, "id": true, "took": true,
	"errno": true, "timeout": true, "attempt": true, "thread": true, "count": true, "size": true, "version": true, "at": true, "ms": true,
	"column": true, "offset": true, "length": true, "seq": true, "time": true, "uid": true, "gid": true, "state": true, "ipv4": true, "ipv6": true, "duration": true,
}

// findPeer looks for the peer in the rest of the record where the words of the
// error name none.
func (r *record) findPeer(e *Error, other Error) {
	if e.Host == "" && other.Host != "" {
		e.Host, e.Port = other.Host, other.Port
	}
	for _, line := range r.lines {
		if e.Host != "" && (e.Port != "" || e.Class == NameNotFound) && e.Database != "" {
			return
		}
		if frameLines.MatchString(line) {
			continue
		}
		if m := inURL.FindStringSubmatch(line); m != nil {
			host, port, db := m[inURL.SubexpIndex("host")], m[inURL.SubexpIndex("port")], m[inURL.SubexpIndex("database")]
			if e.offer(host, port) && db != "" && e.Database == "" && !strings.HasPrefix(m[0], "http") {
				e.Database = db
			}
		}
	}
	for _, line := range r.lines {
		if frameLines.MatchString(line) {
			continue
		}
		if m := resolved.FindStringSubmatch(line); m != nil && (e.Host == "" || e.Host == m[2]) && hostOf(m[1]) != "" {
			e.Host, e.Port = hostOf(m[1]), m[3]
		}
		if e.Host == "" {
			e.guess(line)
		}
	}
	if e.Host != "" && e.Port == "" {
		for _, line := range r.lines {
			if m := keyedPort.FindStringSubmatch(line); m != nil {
				e.Port = m[1]
				break
			}
		}
	}
}

// guess takes the peer from a line that names one in some way.
func (e *Error) guess(line string) {
	if m := running.FindStringSubmatch(line); m != nil && e.offer(m[1], "") {
		return
	}
	if m := keyed.FindStringSubmatch(line); m != nil && !noHosts[strings.ToLower(m[2])] && (m[1] == "=" || m[3]+m[4] != "") && e.offer(m[2], m[3]+m[4]) {
		return
	}
	if m := numbered.FindStringSubmatch(line); m != nil && e.offer(m[1], m[2]) {
		return
	}
	for _, m := range named.FindAllStringSubmatch(line, 4) {
		if !noHosts[m[1]] && !sourceFile.MatchString(m[1]) && e.offer(m[1], m[2]) {
			return
		}
	}
}

// offer takes a host and port as the peer's where none is known, or the port
// where the host is the same. It reports whether they fit.
func (e *Error) offer(host, port string) bool {
	host = hostOf(host)
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n == 0 || n > 65535) || host == "" {
		return false
	}
	switch {
	case e.Host == "":
		e.Host, e.Port = host, port
		return true
	case e.Host == host:
		if e.Port == "" {
			e.Port = port
		}
		return true
	case e.Class != NameNotFound:
		// A name is worth more than the address that it stands for.
		if IsAddress(e.Host) && !IsAddress(host) && (port == "" || e.Port == "" || port == e.Port) {
			e.Host = host
			if e.Port == "" {
				e.Port = port
			}
			return true
		}
	}
	return false
}

// address matches an IPv4 address, and every IPv6 one.
var address = regexp.MustCompile(`^(?:\d{1,3}\.){3}\d{1,3}$|:`)

// IsAddress reports whether a host is an address and no name.
func IsAddress(host string) bool { return address.MatchString(host) }

func bound(line string) string {
	if len(line) <= maxLine {
		return line
	}
	return strings.ToValidUTF8(line[:maxLine], "") + "…"
}
