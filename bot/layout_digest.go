package bot

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// digestRows is how many stories the table of a digest shows.
const digestRows = 10

// period is what happened in a period, and what the period before it was like.
type period struct {
	from, to      time.Time
	told          int // stories that began
	before        int // in the period before
	resolved      int
	minutes       time.Duration // all stories together, as far as they lie in the period
	minutesBefore time.Duration
	rows          []digestRow
	causes        []CauseName
	worstOf       tapio.Cause // the cause that came most often, and how often
	worstN        int
	open          []tapio.Story
	muted         int
}

// digestRow is one line of the table: what failed, how often and for how long.
type digestRow struct {
	title string
	times int
	down  time.Duration
}

// summarize counts what happened from a time to another.
func (b *Bot) summarize(ctx context.Context, from, to time.Time) (period, error) {
	p := period{from: from, to: to, causes: b.opts.Causes}
	length := to.Sub(from)
	stories, err := b.opts.Stories.Stories(ctx, tapio.Query{Since: from.Add(-length), Limit: 10 * maxSearched})
	if err != nil {
		return p, err
	}
	open, err := b.opts.Stories.Stories(ctx, tapio.Query{Status: tapio.StatusOpen, Limit: maxSearched})
	if err != nil {
		return p, err
	}
	mutes, err := b.mutesNow(ctx, to)
	if err != nil {
		return p, err
	}
	p.open = open
	for i := range open {
		if muteOf(mutes, &open[i], to) != nil {
			p.muted++
		}
	}
	for _, s := range open { // those that didn't change lately
		if s.Updated.Before(from.Add(-length)) {
			stories = append(stories, s)
		}
	}
	p.count(stories, length)
	return p, nil
}

func (p *period) count(stories []tapio.Story, length time.Duration) {
	rows, causes := map[string]*digestRow{}, map[tapio.Cause]int{}
	for i := range stories {
		s := &stories[i]
		if s.Status == tapio.StatusAbsorbed {
			continue // told with another one
		}
		down := overlap(s, p.from, p.to)
		p.minutes += down
		p.minutesBefore += overlap(s, p.from.Add(-length), p.from)
		began := !s.Timestamp.Before(p.from) && s.Timestamp.Before(p.to)
		if !s.Timestamp.Before(p.from.Add(-length)) && s.Timestamp.Before(p.from) {
			p.before++
		}
		if began {
			p.told++
			causes[s.Cause]++
		}
		if s.Status == tapio.StatusResolved && !s.Resolved.Before(p.from) && s.Resolved.Before(p.to) {
			p.resolved++
		}
		if down <= 0 {
			continue
		}
		key := s.Subject.Namespace + "/" + s.Subject.Name
		if rows[key] == nil {
			rows[key] = &digestRow{title: strings.TrimPrefix(key, "/")}
		}
		rows[key].down += down
		rows[key].times++
	}
	for _, r := range rows {
		p.rows = append(p.rows, *r)
	}
	slices.SortFunc(p.rows, func(x, y digestRow) int {
		return cmp.Or(cmp.Compare(y.down, x.down), cmp.Compare(x.title, y.title))
	})
	for _, c := range slices.Sorted(maps.Keys(causes)) {
		if causes[c] > p.worstN && c != tapio.CauseUnknown {
			p.worstOf, p.worstN = c, causes[c]
		}
	}
}

// overlap is how long a story lasted within a period.
func overlap(s *tapio.Story, from, to time.Time) time.Duration {
	begin, end := s.Timestamp, to
	if s.Status == tapio.StatusResolved {
		end = s.Resolved
	}
	if begin.Before(from) {
		begin = from
	}
	if end.After(to) {
		end = to
	}
	return max(end.Sub(begin), 0)
}

// message lays out the digest.
func (p *period) message(every string) message {
	title := "Incidents of the last 24 hours"
	if every == everyWeek {
		title = "Incidents of the last week"
	}
	numbers := fmt.Sprintf("*%s* began%s · %s resolved · %s of failing%s",
		plural(p.told, "story", "stories"), against(p.told, p.before), plural(p.resolved, "story", "stories"), duration(p.minutes), againstTime(p.minutes, p.minutesBefore))
	m := message{
		Text:   fmt.Sprintf("%s: %d began, %d resolved, %d open.", title, p.told, p.resolved, len(p.open)),
		Blocks: []slack.Block{slack.NewHeaderBlock(plainText(title, budgetTitle)), section(numbers)},
	}
	if p.told == 0 && len(p.rows) == 0 {
		m.Text = title + ": nothing failed."
		m.Blocks[1] = section(":white_check_mark: Nothing failed.")
	}
	if len(p.rows) > 0 {
		t := slack.NewTableBlock("")
		t.Rows = append(t.Rows, cells("What failed", "Times", "For how long"))
		for _, r := range p.rows[:min(len(p.rows), digestRows)] {
			t.Rows = append(t.Rows, cells(r.title, fmt.Sprint(r.times), duration(r.down)))
		}
		m.Blocks = append(m.Blocks, t)
		if more := len(p.rows) - digestRows; more > 0 {
			m.Blocks = append(m.Blocks, contextLine(fmt.Sprintf("…and %d more", more)))
		}
	}
	if fix := p.fix(); fix != "" {
		m.Blocks = append(m.Blocks, section(":wrench: *One thing to fix:* "+fix))
	}
	now := "nothing is open now"
	if len(p.open) > 0 {
		now = fmt.Sprintf("%d open, %d of them muted", len(p.open), p.muted)
	}
	m.Blocks = append(m.Blocks, contextLine(now, "`/tapio list`", "`/tapio digest off` ends it in this channel"))
	return m
}

// fix is the one thing that would have spared most, or "".
func (p *period) fix() string {
	switch {
	case len(p.rows) > 0 && p.rows[0].times > 1:
		r := p.rows[0]
		return fmt.Sprintf("%s failed %d times, for %s in all. `/tapio similar %s` shows what helped before.",
			code(r.title, budgetPlace), r.times, duration(r.down), escape(r.title, budgetPlace))
	case p.worstN > 1:
		return fmt.Sprintf("%s was the cause %d times.", causeWords(p.causes, p.worstOf), p.worstN)
	}
	return ""
}

// cells is a row of a table.
func cells(texts ...string) []slack.TableCell {
	var out []slack.TableCell
	for _, t := range texts {
		out = append(out, slack.NewTableRawTextCell(cmp.Or(literal(t, budgetPlace), "–")))
	}
	return out
}

// against compares a number with that of the period before.
func against(now, before int) string {
	switch {
	case now > before:
		return fmt.Sprintf(" (▲ %d more than before)", now-before)
	case now < before:
		return fmt.Sprintf(" (▼ %d fewer than before)", before-now)
	}
	return ""
}

// againstTime is against for how long something took.
func againstTime(now, before time.Duration) string {
	switch d := now - before; {
	case d >= time.Minute:
		return fmt.Sprintf(" (▲ %s more than before)", duration(d))
	case d <= -time.Minute:
		return fmt.Sprintf(" (▼ %s less than before)", duration(-d))
	}
	return ""
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
