// Package redact hides secrets in text that comes from workloads, such as log
// lines and termination messages, before it is kept or shown.
//
// It knows secrets by their form and by the names beside them. It is careful
// rather than complete: what looks like no secret stays.
package redact

import (
	"regexp"
)

var bearer = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}`)

// Text returns s with what looks like a secret replaced by [redacted].
func Text(s string) string { return bearer.ReplaceAllString(s, "$1 [redacted]") }

// LastError returns the line of a log that reads most like the error that
// ended it, or "" where none does.
func LastError(lines []string) string {
	for i := len(lines) - 1; i >= 0; i-- {
		if failing.MatchString(lines[i]) {
			return lines[i]
		}
	}
	return ""
}

var failing = regexp.MustCompile(`(?i)\b(panic|fatal|error|exception)\b`)
