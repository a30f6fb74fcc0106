//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

// row is what TestCauses found out about one scenario.
type row struct {
	scenario string
	expected tapio.Cause
	entity   tapio.Entity  // at fault
	story    *tapio.Story  // the right one, as it was when it was found
	posted   time.Duration // from the decisive signal to the root message
	late     time.Duration // of it, beyond the template's hold
	resolved time.Duration // from the workload being whole again to the reply
	first    []string      // other causes that were told before the right one
	note     string
}

func (r *row) told(cause string) {
	if !slices.Contains(r.first, cause) {
		r.first = append(r.first, cause)
	}
}

// is takes the story that was told.
func (r *row) is(s *tapio.Story) {
	story := *s
	r.story = &story
}

// report is the table of all scenarios.
type report struct {
	mu   sync.Mutex
	rows []row
}

func (r *report) add(one row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, one)
}

// write prints the table and keeps it in a file, and as JSON and CSV in two
// more.
func (r *report) write(t *testing.T, file, data string) {
	t.Helper()
	slices.SortFunc(r.rows, func(a, b row) int { return cmp.Compare(a.scenario, b.scenario) })
	var b strings.Builder
	fmt.Fprintf(&b, "To post: seconds from the decisive signal, by the cluster's own clock, to the root message, and how much of\n"+
		"it came after the template's hold time. To resolved: from the workload being whole again to the reply that\n"+
		"says so; the quiet time is %s.\n\n", quiet)
	fmt.Fprintf(&b, "| %-28s | %-58s | %7s | %10s | %11s | %s\n", "scenario", "cause entity", "to post", "after hold", "to resolved", "note |")
	fmt.Fprintf(&b, "|%s|%s|%s|%s|%s|---|\n", strings.Repeat("-", 30), strings.Repeat("-", 60), strings.Repeat("-", 8)+":", strings.Repeat("-", 11)+":", strings.Repeat("-", 12)+":")
	told := 0
	for _, one := range r.rows {
		note := one.note
		if len(one.first) > 0 {
			note = strings.TrimSpace(note + " first told as " + strings.Join(one.first, ", "))
		}
		entity, posted, late, resolved := "", "", "", ""
		if one.story != nil {
			told++
			entity, posted, late = one.story.CauseEntity.String(), seconds(one.posted), seconds(one.late)
		}
		if one.note == "" {
			resolved = seconds(one.resolved)
		}
		fmt.Fprintf(&b, "| %-28s | %-58s | %7s | %10s | %11s | %s |\n", one.scenario, entity, posted, late, resolved, note)
	}
	if err := r.data(data); err != nil {
		t.Error(err)
	}
	slices.SortFunc(r.rows, func(a, b row) int { return cmp.Compare(a.late, b.late) })
	if told > 0 {
		fmt.Fprintf(&b, "\nAfter the hold: median %s s, most %s s, of %d.\n", seconds(r.rows[len(r.rows)-1-told/2].late), seconds(r.rows[len(r.rows)-1].late), told)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Error(err)
	}
	fmt.Printf("\n%s\nThe same for machines: %s.json, %s.csv\n", b.String(), data, data)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
