package bot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// newFact takes from the story what the reply about one piece of news shows,
// so that it can be told whatever becomes of the story meanwhile.
func newFact(s *tapio.Story, n tapio.News, now time.Time) fact {
	f := fact{
		Kind: n.Kind, Time: n.Time, Text: clean(n.Text, budgetSentence, false),
		At: now, Ref: s.Updated,
	}
	if n.Kind == tapio.NewsCause {
		f.Text = strings.TrimPrefix(f.Text, "Cause found: ") // the label says so
	}
	if n.Kind == tapio.NewsAbsorbs {
		f.Story = n.Was
	}
	if n.Kind == tapio.NewsCause {
		f.Standing = s.Standing
	}
	sources := map[tapio.Source]int{}
	for i := range s.Evidence {
		e := &s.Evidence[i]
		if !slices.Contains(n.Evidence, e.ID) {
			continue
		}
		sources[e.Source]++
		if n.Kind == tapio.NewsLog && len(f.Log) == 0 {
			for _, l := range lastLines(e.Text, maxLogLines) {
				if l = verbatim(l, budgetLogLine); l != "" {
					f.Log = append(f.Log, l)
				}
			}
		}
	}
	var names []string
	for src, count := range sources {
		if count > 1 {
			names = append(names, fmt.Sprintf("%s ×%d", src, count))
		} else {
			names = append(names, string(src))
		}
	}
	slices.Sort(names)
	f.Sources = clean(strings.Join(names, ", "), budgetName, false)
	return f
}

// label is the emoji and the word that a reply opens with.
func (f *fact) label() (emoji, word string) {
	switch f.Kind {
	case tapio.NewsCause:
		return ":mag:", "cause"
	case tapio.NewsTrigger:
		return ":package:", "what changed before"
	case tapio.NewsScope:
		return ":chart_with_upwards_trend:", "scope"
	case tapio.NewsSeverity:
		return ":rotating_light:", "severity"
	case tapio.NewsChange:
		return ":wrench:", "change"
	case tapio.NewsLog:
		return ":page_facing_up:", "log"
	case tapio.NewsResolved:
		return ":white_check_mark:", "resolved"
	case tapio.NewsReopened:
		return ":repeat:", "came back"
	case tapio.NewsAbsorbed, tapio.NewsAbsorbs:
		return ":link:", "same incident"
	case tapio.NewsMeanwhile:
		return ":hourglass:", "meanwhile"
	case tapio.NewsGap:
		return ":warning:", "gap"
	case newsFlap:
		return ":repeat:", "comes and goes"
	case newsAck:
		return ":eyes:", "acknowledged"
	case newsUnack:
		return ":eyes:", "no longer acknowledged"
	case newsCall:
		return ":telephone_receiver:", "called"
	case newsPass:
		return ":telephone_receiver:", "passed on"
	case newsNote:
		return ":memo:", "note"
	case newsWrong:
		return ":thumbsdown:", "wrong cause"
	case newsRight:
		return ":thumbsup:", "right cause"
	case newsMute:
		return ":no_bell:", "muted"
	}
	return ":new:", "new fact"
}

// words is the sentence of the fact as mrkdwn.
func (f *fact) words(limit int) string {
	if f.Linked {
		return f.Text
	}
	return escape(f.Text, limit)
}

// worded is words with times in the reader's zone.
func (f *fact) worded(limit int) string {
	if f.Linked {
		return f.Text
	}
	ref := f.Ref
	if ref.IsZero() {
		ref = f.At
	}
	return zoned(f.words(limit), ref)
}

// line is the fact in one line of mrkdwn.
func (f *fact) line(limit int) string {
	emoji, word := f.label()
	text := f.worded(limit)
	if text == "" {
		return fmt.Sprintf("%s *%s · %s*", emoji, moment(f.Time, f.At), word)
	}
	return fmt.Sprintf("%s *%s · %s* — %s", emoji, moment(f.Time, f.At), word, text)
}

// reply lays out news that came together as one reply, the newest in full.
func reply(title string, news []fact) message {
	var m message
	left := 0
	for i := range news {
		left += news[i].More
	}
	// The root message says who was called: that makes room first.
	for over := len(news) - maxFacts; over > 0; over-- {
		i := slices.IndexFunc(news, func(f fact) bool { return f.Kind == newsCall || f.Kind == newsPass })
		if i < 0 {
			break
		}
		left++
		news = slices.Delete(slices.Clone(news), i, i+1)
	}
	if over := len(news) - maxFacts; over > 0 {
		left += over
		news = news[over:]
	}
	if left > 0 {
		m.Blocks = append(m.Blocks, contextLine(fmt.Sprintf("%d earlier facts are left out here: see *Show timeline* above", left)))
	}
	m.Text = escape(title, budgetTitle) + "."
	for i := range news {
		f := &news[i]
		m.Blocks = append(m.Blocks, f.blocks()...)
		if i >= len(news)-3 { // a phone shows no more
			_, word := f.label()
			m.Text += fmt.Sprintf(" %s at %s: %s", capital(word), clock(f.Time, f.At), f.words(budgetSentence))
		}
	}
	return m
}

func (f *fact) blocks() []slack.Block {
	text := f.line(budgetSentence)
	out := []slack.Block{section(text)}
	if len(f.Log) > 0 {
		out = append(out, slack.NewRichTextBlock("", preformatted(trim(strings.Join(f.Log, "\n"), budgetLog, plain))))
	}
	var rests []string
	if f.Sources != "" {
		rests = append(rests, "evidence: "+escape(f.Sources, budgetName))
	}
	if f.Standing != "" && f.Standing != tapio.StandingUnknown {
		rests = append(rests, "standing: "+escape(string(f.Standing), budgetName))
	}
	if len(rests) > 0 {
		out = append(out, contextLine(rests...))
	}
	return out
}

// add puts news behind the lines of the rolling reply.
func (r *rolling) add(news []fact) {
	for i := range news {
		f := &news[i]
		_, word := f.label()
		r.Lines = append(r.Lines, f.line(budgetLine/2))
		r.Last = fmt.Sprintf("%s at %s: %s", capital(word), clock(f.Time, f.At), f.words(budgetLine/2))
	}
	if over := len(r.Lines) - rollingLines; over > 0 {
		r.Lines = slices.Delete(r.Lines, 0, over)
		r.More += over
	}
}

// message lays out the rolling reply.
func (r *rolling) message(title string) message {
	head := "*This thread is long: what happens from here on is added to this message.*"
	if r.More > 0 {
		head += fmt.Sprintf("\n_%d earlier facts: see *Show timeline*._", r.More)
	}
	m := message{Blocks: []slack.Block{section(head)}}
	for half := range slices.Chunk(r.Lines, rollingLines/2) {
		m.Blocks = append(m.Blocks, section(strings.Join(half, "\n")))
	}
	m.Text = escape(title, budgetTitle) + ". " + cmp.Or(r.Last, "More happened.")
	return m
}

// capital makes the first letter a capital one; the words here are ASCII.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
