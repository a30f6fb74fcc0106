// Package redact hides secrets in text that comes from workloads, such as log
// lines, termination messages and edited values, before it is kept or shown,
// and picks the line of a log that reads like its error.
//
// It knows secrets by their form (tokens of known makers, PEM blocks,
// credentials in URLs) and by the name beside them (password=…). What looks
// like no secret stays: the words of a failure, such as an image's reference,
// a Secret's name or "failed to fetch oauth token: 401", must survive.
package redact

import (
	"regexp"
	"slices"
	"strings"
)

// Hidden stands in place of what looks secret.
const Hidden = "(hidden)"

// word is what the name of a secret ends with.
const word = `(?:passwords?|passwd|passphrase|pwd|secret|token|api[-_.]?key|access[-_.]?key(?:[-_.]?id)?|secret[-_.]?key|private[-_.]?key|signing[-_.]?key|account[-_.]?key|auth[-_.]?key|credentials?|signature)`

// A pattern is how a kind of secret looks, and what is shown instead.
type pattern struct {
	looks *regexp.Regexp
	with  string
}

var (
	pem         = regexp.MustCompile(`(?s)(-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----).*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\z)`)
	pemEnd      = regexp.MustCompile(`(?:[A-Za-z0-9+/=]{20,}\s+)+-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----`)
	urlUser     = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s/@:"']*:[^\s/"']*@`)
	dsnUser     = regexp.MustCompile(`[\w.%-]+:[^\s@"']+(@(?:tcp|unix)\()`)
	scheme      = regexp.MustCompile(`(?i)\b(bearer|basic|negotiate)(\s+|%20)[A-Za-z0-9._~+/-]{16,}=*`)
	header      = regexp.MustCompile(`(?i)\b((?:proxy-)?authorization|x-api-key|x-auth-token|(?:set-)?cookie)(["']?\s*[:=]\s*\[?["']?)([A-Za-z0-9-]+ )?[^\s"',\]]{12,}`)
	jsonPair    = regexp.MustCompile(`(?i)(\\?["'][\w.-]*` + word + `\\?["']\s*:\s*\\?["'])[^"'\\]+`)
	assigned    = regexp.MustCompile(`(?i)(` + word + `["']?=)("[^"]*"|'[^']*'|[^\s"'&,;)]+)`)
	flagged     = regexp.MustCompile(`(?i)(\s--?[\w-]*` + word + `\s+)[^\s-]\S*`)
	colonQuoted = regexp.MustCompile(`(?i)(` + word + `:\s*)(?:"[^"]+"|'[^']+')`)
	colonDigits = regexp.MustCompile(`(?i)(` + word + `:\s*)[^\s"',;:/]*[0-9][^\s"',;:/]{5,}`)
	colonEnd    = regexp.MustCompile(`(?im)((?:passwords?|passwd|passphrase|pwd):\s*)[^\s"',;)}]+(\s*(?:[,;}]|$))`)
	jwt         = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*`)
	known       = regexp.MustCompile(`\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|sk-[A-Za-z0-9_-]{20,}|AIza[0-9A-Za-z_-]{30,}|npm_[A-Za-z0-9]{30,}|dckr_pat_[\w-]{10,}|hv[sb]\.[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,})`)

	secretName = regexp.MustCompile(`(?i)` + word + `(?:$|[-_.])`)
	followed   = regexp.MustCompile(`^` + word + `(?:(\s)|\\?["']?[=:]|\\?["']\s)`)
)

// wordMarks are the marks of [word].
var wordMarks = []string{
	"passw", "passphrase", "pwd", "secret", "token", "credential", "signature",
	"apikey", "api-key", "api_key", "api.key", "accesskey", "access-key", "access_key", "access.key",
	"privatekey", "private-key", "private_key", "private.key", "signingkey", "signing-key", "signing_key", "signing.key",
	"accountkey", "account-key", "account_key", "account.key", "authkey", "auth-key", "auth_key", "auth.key",
}

// bears reports whether a text in lower case holds one of the marks.
func bears(lower string, marks []string) bool {
	return slices.ContainsFunc(marks, func(mark string) bool { return strings.Contains(lower, mark) })
}

// names reports whether a text in lower case names a secret in a way that its
// value may come next: as in token=, "token": and --token, but not as in "token
// expired". The patterns take five passes over all of the text; this looks only
// where the marks are.
func names(lower string) bool {
	const longest = 64 // bytes of a name and of what follows it
	for _, mark := range wordMarks {
		for from := 0; ; {
			at := strings.Index(lower[from:], mark)
			if at < 0 {
				break
			}
			at += from
			from = at + len(mark)
			found := followed.FindStringSubmatchIndex(lower[at:min(at+longest, len(lower))])
			if found != nil && (found[2] < 0 || isFlag(lower[:at])) {
				return true
			}
		}
	}
	return false
}

// isFlag reports whether the last word of a text begins as a flag does.
func isFlag(text string) bool {
	begin := len(text)
	for begin > 0 && (text[begin-1] == '-' || text[begin-1] == '_' || text[begin-1] >= '0' && text[begin-1] <= '9' || text[begin-1] >= 'a' && text[begin-1] <= 'z') {
		begin--
	}
	return begin < len(text) && text[begin] == '-'
}

// rules are the patterns in the order in which they apply. Those of a group are
// tried only on text that holds one of its marks, in lower case, and where there
// is another condition meets that: to look for them is cheap. "key" alone is no
// mark, as it is in most logs.
var rules = []struct {
	marks    []string
	patterns []pattern
	also     func(lower string) bool
}{
	{[]string{"private key"}, []pattern{{pem, "$1 " + Hidden}, {pemEnd, Hidden}}, nil},
	{[]string{"://"}, []pattern{{urlUser, "$1" + Hidden + "@"}}, nil},
	{[]string{"@tcp(", "@unix("}, []pattern{{dsnUser, Hidden + "$1"}}, nil},
	{[]string{"bearer", "basic", "negotiate"}, []pattern{{scheme, "$1 " + Hidden}}, nil},
	{[]string{"authorization", "x-api-key", "x-auth-token", "cookie"}, []pattern{{header, "$1$2" + Hidden}}, nil},
	{[]string{"eyj"}, []pattern{{jwt, Hidden}}, nil},
	{[]string{"akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "xapp", "k_live", "k_test", "sk-", "aiza", "npm_", "dckr_pat_", "hvs.", "hvb.", "sg."}, []pattern{{known, Hidden}}, nil},
	{wordMarks, []pattern{
		{jsonPair, "$1" + Hidden}, {assigned, "$1" + Hidden}, {flagged, "$1" + Hidden}, {colonQuoted, "$1" + Hidden}, {colonDigits, "$1" + Hidden},
	}, names},
	{[]string{"passw", "passphrase", "pwd"}, []pattern{{colonEnd, "$1" + Hidden + "$2"}}, names},
}

// Text returns s with what looks like a secret replaced by [Hidden].
func Text(s string) string {
	if len(s) < 6 {
		return s
	}
	lower := strings.ToLower(s)
	for _, r := range rules {
		if !bears(lower, r.marks) || r.also != nil && !r.also(lower) {
			continue
		}
		for _, p := range r.patterns {
			s = p.looks.ReplaceAllString(s, p.with)
		}
	}
	return s
}

// Value returns the value of a variable or setting, or [Hidden] where its name
// or the value itself looks secret. Names of files and of other objects, such
// as TOKEN_FILE=/run/token, are no secrets.
func Value(name, value string) string {
	if value == "" {
		return ""
	}
	if bears(strings.ToLower(name), wordMarks) && secretName.MatchString(name) && !strings.HasPrefix(value, "/") {
		return Hidden
	}
	return Text(value)
}
