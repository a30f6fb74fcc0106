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
	entity   tapio.Entity
	posted   time.Duration // from the decisive signal to the root message
	resolved time.Duration // from the workload being whole again to the reply
	first    []string      // other causes that were told before the right one
	note     string
}

func (r *row) told(cause string) {
	if !slices.Contains(r.first, cause) {
		r.first = append(r.first, cause)
	}
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

// write prints the table and keeps it in a file.
func (r *report) write(t *testing.T, file string) {
	t.Helper()
	slices.SortFunc(r.rows, func(a, b row) int { return cmp.Compare(a.scenario, b.scenario) })
	var b strings.Builder
	fmt.Fprintf(&b, "Seconds from the decisive signal, by the cluster's own clock, to the message; and from the workload\n"+
		"being whole again to the reply that says so (the quiet time is %s).\n\n", quiet)
	fmt.Fprintf(&b, "| %-30s | %-70s | %9s | %11s | %s\n", "scenario", "cause entity", "to post s", "to solved s", "note |")
	fmt.Fprintf(&b, "|%s|%s|%s|%s|---|\n", strings.Repeat("-", 32), strings.Repeat("-", 72), strings.Repeat("-", 10)+":", strings.Repeat("-", 12)+":")
	for _, one := range r.rows {
		note := one.note
		if len(one.first) > 0 {
			note = strings.TrimSpace(note + " first told as " + strings.Join(one.first, ", "))
		}
		entity, posted, resolved := "", "", ""
		if !one.entity.IsZero() {
			entity, posted = one.entity.String(), fmt.Sprintf("%.1f", one.posted.Seconds())
		}
		if one.note == "" {
			resolved = fmt.Sprintf("%.1f", one.resolved.Seconds())
		}
		fmt.Fprintf(&b, "| %-30s | %-70s | %9s | %11s | %s |\n", one.scenario, entity, posted, resolved, note)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Error(err)
	}
	fmt.Printf("\n%s\n", b.String())
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
