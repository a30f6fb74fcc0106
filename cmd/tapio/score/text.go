package score

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Text writes the report for a person.
func (r Report) Text(w io.Writer) error {
	p := &printer{w: w}
	p.line("%s, %s", plural(r.Total.Cases, "labelled incident"), plural(r.Healthy, "healthy case"))
	p.line("")
	table := p.table("", "CAUSE", "OBJECT", "BOTH")
	for _, row := range []struct {
		name  string
		right Right
	}{{"first", r.Total.First}, {"within three", r.Total.Three}} {
		table.row(row.name, r.Total.percent(row.right.Cause), r.Total.percent(row.right.Object), r.Total.percent(row.right.Both))
	}
	table.end()
	p.line("")
	p.line("the first story's cause_entity alone names the object: %s", r.Total.percent(r.Total.Named))
	if r.MeanAffected != nil {
		p.line("of what is hurt the first story names %.1f %%, in %s", 100**r.MeanAffected, plural(r.AffectedCases, "case"))
	}
	p.line("false stories: %d in %s; stories about something else: %d in %s",
		r.FalseStories, plural(r.Healthy, "healthy case"), r.ExtraStories, plural(r.Total.Cases, "incident"))
	p.line("time per case: median %.1f ms, 95 %% within %.1f ms, longest %.1f ms", r.Time.Median, r.Time.P95, r.Time.Max)

	p.groups("CAUSE", r.Causes)
	p.groups("EVIDENCE", r.Evidence)
	p.groups("LABEL", r.Labels)

	if len(r.Calibration) > 0 {
		table := p.section("STANDING", "CASES", "RIGHT", "SHARE")
		for _, c := range r.Calibration {
			table.row(string(c.Standing), fmt.Sprint(c.Cases), fmt.Sprint(c.Right), share(c.Right, c.Cases))
		}
		table.end()
	}
	if len(r.Strange) > 0 {
		table := p.section("FALSE OR ABOUT SOMETHING ELSE", "STORIES")
		for _, c := range r.Strange {
			table.row(string(c.Cause), fmt.Sprint(c.Stories))
		}
		table.end()
	}
	if len(r.Confusion) > 0 {
		table := p.section("EXPECTED", "TOLD", "CASES")
		for _, c := range r.Confusion {
			table.row(string(c.Expected), orNothing(string(c.Told)), fmt.Sprint(c.Cases))
		}
		table.end()
	}
	if len(r.Misses) > 0 {
		p.line("")
		p.line("MISSES")
		for _, m := range r.Misses {
			p.miss(m)
		}
	}
	return p.err
}

// maxTold is how many answers of a missed case are listed.
const maxTold = 4

func (p *printer) miss(m Miss) {
	title := m.Case
	if m.Label != "" {
		title += " (" + m.Label + ")"
	}
	p.line("%s: %s", title, m.Why)
	if !m.Healthy {
		p.line("  expected  %s  %s", m.Cause, m.Entity)
	}
	for i, a := range m.Told {
		if i == maxTold {
			p.line("            and %d more", len(m.Told)-maxTold)
			break
		}
		about := ""
		if a.Subject.Object() != a.Entity.Object() {
			about = ", a story about " + a.Subject.String()
		}
		p.line("  told      %s  %s (%s%s)", a.Cause, a.Entity, a.Standing, about)
	}
}

func orNothing(s string) string {
	if s == "" {
		return "(nothing)"
	}
	return s
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// share writes a part of a whole in per cent.
func share(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

func (c Counts) percent(n int) string { return fmt.Sprintf("%s (%d)", share(n, c.Cases), n) }

// printer writes lines and tables and remembers the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// section is a table with a blank line before it.
func (p *printer) section(head ...string) *table {
	p.line("")
	return p.table(head...)
}

func (p *printer) groups(name string, groups []Group) {
	if len(groups) == 0 {
		return
	}
	t := p.section(name, "CASES", "CAUSE", "OBJECT", "BOTH", "BOTH WITHIN THREE")
	for _, g := range groups {
		t.row(g.Name, fmt.Sprint(g.Cases), fmt.Sprint(g.First.Cause), fmt.Sprint(g.First.Object), fmt.Sprint(g.First.Both), fmt.Sprint(g.Three.Both))
	}
	t.end()
}

type table struct {
	p *printer
	w *tabwriter.Writer
}

func (p *printer) table(head ...string) *table {
	t := &table{p, tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)}
	t.row(head...)
	return t
}

func (t *table) row(cells ...string) { fmt.Fprintln(t.w, strings.Join(cells, "\t")) }

func (t *table) end() {
	if err := t.w.Flush(); err != nil && t.p.err == nil {
		t.p.err = err
	}
}
