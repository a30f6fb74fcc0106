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
	"strings"
)

// Hidden stands in place of what looks secret.
const Hidden = "(hidden)"

// word is what the name of a secret ends with.
const word = `(?:passwords?|passwd|passphrase|pwd|secret|token|api[-_.]?key|access[-_.]?key(?:[-_.]?id)?|secret[-_.]?key|private[-_.]?key|signing[-_.]?key|account[-_.]?key|auth[-_.]?key|credentials?|signature)`

// A rule is tried only on text that holds one of its marks, in lower case.
type rule struct {
	marks   []string
	pattern *regexp.Regexp
	with    string
}

var (
	pem         = regexp.MustCompile(`(?s)(-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----).*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\z)`)
	pemEnd      = regexp.MustCompile(`(?:[A-Za-z0-9+/=]{20,}\s+)+-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----`)
	urlUser     = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s/@:"']*:[^\s/"']*@`)
	dsnUser     = regexp.MustCompile(`[\w.%-]+:[^\s@"']+(@(?:tcp|unix)\()`)
	scheme      = regexp.MustCompile(`(?i)\b(bearer|basic|negotiate)(\s+|%20)[A-Za-z0-9._~+/-]{16,}=*`)
	header      = regexp.MustCompile(`(?i)\b((?:proxy-)?authorization|x-api-key|x-auth-token|(?:set-)?cookie)(["']?\s*[:=]\s*\[?["']?)([A-Za-z0-9-]+ )?[^\s"',\]]{12,}`)
	jsonPair    = regexp.MustCompile(`(?i)(\\?["'][\w.-]*` + word + `\\?["']\s*:\s*\\?["'])[^"'\\]+`)
	assigned    = regexp.MustCompile(`(?i)(\b[\w.-]*` + word + `["']?=)("[^"]*"|'[^']*'|[^\s"'&,;)]+)`)
	flagged     = regexp.MustCompile(`(?i)(\s--?[\w-]*` + word + `\s+)[^\s-]\S*`)
	colonQuoted = regexp.MustCompile(`(?i)(\b[\w.-]*` + word + `:\s*)(?:"[^"]+"|'[^']+')`)
	colonDigits = regexp.MustCompile(`(?i)(\b[\w.-]*` + word + `:\s*)[^\s"',;:/]*[0-9][^\s"',;:/]{5,}`)
	colonEnd    = regexp.MustCompile(`(?im)(\b[\w.-]*(?:passwords?|passwd|passphrase|pwd):\s*)[^\s"',;)}]+(\s*(?:[,;}]|$))`)
	jwt         = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*`)
	known       = regexp.MustCompile(`\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|sk-[A-Za-z0-9_-]{20,}|AIza[0-9A-Za-z_-]{30,}|npm_[A-Za-z0-9]{30,}|dckr_pat_[\w-]{10,}|hv[sb]\.[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,})`)

	secretName = regexp.MustCompile(`(?i)` + word + `(?:$|[-_.])`)
)

// secretMarks are in every name that ends with word.
var secretMarks = []string{"passw", "passphrase", "pwd", "secret", "token", "key", "credential", "signature"}

// rules are the patterns in the order in which they apply.
var rules = []rule{
	{[]string{"private key"}, pem, "$1 " + Hidden},
	{[]string{"private key"}, pemEnd, Hidden},
	{[]string{"://"}, urlUser, "$1" + Hidden + "@"},
	{[]string{"@tcp(", "@unix("}, dsnUser, Hidden + "$1"},
	{[]string{"bearer", "basic", "negotiate"}, scheme, "$1 " + Hidden},
	{[]string{"authorization", "x-api-key", "x-auth-token", "cookie"}, header, "$1$2" + Hidden},
	{[]string{"eyj"}, jwt, Hidden},
	{[]string{"akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "xapp", "k_live", "k_test", "sk-", "aiza", "npm_", "dckr_pat_", "hvs.", "hvb.", "sg."}, known, Hidden},
	{secretMarks, jsonPair, "$1" + Hidden},
	{secretMarks, assigned, "$1" + Hidden},
	{secretMarks, flagged, "$1" + Hidden},
	{secretMarks, colonQuoted, "$1" + Hidden},
	{secretMarks, colonDigits, "$1" + Hidden},
	{secretMarks, colonEnd, "$1" + Hidden + "$2"},
}

// Text returns s with what looks like a secret replaced by [Hidden].
func Text(s string) string {
	if len(s) < 6 {
		return s
	}
	lower := strings.ToLower(s)
	for _, r := range rules {
		for _, mark := range r.marks {
			if strings.Contains(lower, mark) {
				s = r.pattern.ReplaceAllString(s, r.with)
				break
			}
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
	if secretName.MatchString(name) && !strings.HasPrefix(value, "/") {
		return Hidden
	}
	return Text(value)
}
