//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// failures is what tests failed with, said once more at the end of the run:
// of a log that is kept in part, that is the part.
var failures struct {
	sync.Mutex
	said []string
}

// shown is how many bytes of each failure are said again, of its start and its end.
const shown = 1800

// errorf is t.Errorf for what is said again at the end.
func errorf(t *testing.T, format string, args ...any) {
	t.Helper()
	noteFailure(t, format, args...)
	t.Errorf(format, args...)
}

// fatalf is t.Fatalf for what is said again at the end.
func fatalf(t *testing.T, format string, args ...any) {
	t.Helper()
	noteFailure(t, format, args...)
	t.Fatalf(format, args...)
}

func noteFailure(t *testing.T, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(text) > shown {
		text = strings.ToValidUTF8(text[:shown/2]+"\n…\n"+text[len(text)-shown/2:], "")
	}
	failures.Lock()
	defer failures.Unlock()
	failures.said = append(failures.said, t.Name()+": "+text)
}

// sayFailures says again what failed.
func sayFailures() {
	failures.Lock()
	defer failures.Unlock()
	for _, f := range failures.said {
		say("failed: %s", f)
	}
}
