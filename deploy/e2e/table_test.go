//go:build e2e

package e2e

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"strconv"
	"strings"

	"github.com/yairfalse/tapio"
)

// line is a scenario in the table for machines, which can be laid beside what
// other tools say of the same cluster.
type line struct {
	Case     string         `json:"case"`
	Cause    tapio.Cause    `json:"expected_cause"`
	Entity   tapio.Entity   `json:"expected_entity"`
	Told     tapio.Cause    `json:"told_cause,omitempty"`
	Named    tapio.Entity   `json:"told_entity,omitzero"`
	Standing tapio.Standing `json:"standing,omitempty"`
	Seconds  float64        `json:"seconds,omitempty"` // from the decisive signal to the root message
	Late     float64        `json:"seconds_after_hold,omitempty"`
	Resolved float64        `json:"seconds_to_resolved,omitempty"`
	Evidence int            `json:"evidence,omitempty"`
	Before   []string       `json:"told_before,omitempty"` // other causes that the story named first
	Result   string         `json:"result"`                // right, or what was wrong
}

// data writes NAME.json and NAME.csv.
func (r *report) data(name string) error {
	lines := []line{}
	table := [][]string{{"case", "expected_cause", "expected_entity", "told_cause", "told_entity", "standing", "seconds", "seconds_after_hold", "seconds_to_resolved", "evidence", "told_before", "result"}}
	for _, one := range r.rows {
		l := line{Case: one.scenario, Cause: one.expected, Entity: one.entity, Before: one.first, Result: one.note}
		if l.Result == "" {
			l.Result = "right"
		}
		if s := one.story; s != nil {
			l.Told, l.Named, l.Standing, l.Evidence = s.Cause, s.CauseEntity, s.Standing, len(s.Evidence)
			l.Seconds, l.Late, l.Resolved = one.posted.Seconds(), one.late.Seconds(), max(0, one.resolved.Seconds())
		}
		lines = append(lines, l)
		entity, named := "", ""
		if !l.Entity.IsZero() {
			entity = l.Entity.String()
		}
		if !l.Named.IsZero() {
			named = l.Named.String()
		}
		table = append(table, []string{l.Case, string(l.Cause), entity, string(l.Told), named, string(l.Standing), number(l.Seconds), number(l.Late), number(l.Resolved), strconv.Itoa(l.Evidence), strings.Join(l.Before, "; "), l.Result})
	}
	text, err := json.MarshalIndent(lines, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".json", append(text, '\n'), 0o644); err != nil {
		return err
	}
	f, err := os.Create(name + ".csv")
	if err != nil {
		return err
	}
	if err := csv.NewWriter(f).WriteAll(table); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
