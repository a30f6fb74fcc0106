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
		Was: clean(n.Was, budgetName, false), Now: clean(n.Now, budgetName, false),
		At: now, Made: s.Updated,
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
				f.Log = append(f.Log, verbatim(l, budgetLogLine))
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

// label is the emoji and the two or three words that a reply opens with.
func (f *fact) label() (emoji, words string) {
	switch f.Kind {
	case tapio.NewsCause:
		return ":mag:", "cause found"
	case tapio.NewsTrigger:
		return ":package:", "what changed before"
	case tapio.NewsScope:
		return ":chart_with_upwards_trend:", "it spread"
	case tapio.NewsSeverity:
		return ":rotating_light:", "severity changed"
	case tapio.NewsChange:
		return ":wrench:", "somebody made a change"
	case tapio.NewsLog:
		return ":page_facing_up:", "last words in the log"
	case tapio.NewsResolved:
		return ":white_check_mark:", "resolved"
	case tapio.NewsReopened:
		return ":repeat:", "it came back"
	case tapio.NewsAbsorbed:
		return ":link:", "part of another story"
	case tapio.NewsAbsorbs:
		return ":link:", "explains another story"
	case tapio.NewsGap:
		return ":warning:", "something may be missing"
	case newsAck:
		return ":eyes:", "acknowledged"
	case newsUnack:
		return ":eyes:", "no longer acknowledged"
	}
	return ":new:", "new fact"
}

// line is the fact in one line of mrkdwn.
func (f *fact) line(limit int) string {
	emoji, words := f.label()
	text := escape(f.Text, limit)
	if f.Kind == tapio.NewsAbsorbed {
		text = f.Text // mrkdwn with a link, made by the bot
	}
	if text == "" {
		return fmt.Sprintf("%s *%s · %s*", emoji, clock(f.Time, f.At), words)
	}
	return fmt.Sprintf("%s *%s · %s* — %s", emoji, clock(f.Time, f.At), words, text)
}

// reply lays out news that came together as one reply.
func reply(title string, news []fact) message {
	var m message
	var said []string
	for i := range news {
		f := &news[i]
		if i == maxFacts && len(news) > maxFacts+1 {
			more := fmt.Sprintf("…and %d more facts: see *Show timeline*.", len(news)-i)
			m.Blocks = append(m.Blocks, section(more))
			break
		}
		m.Blocks = append(m.Blocks, f.blocks()...)
	}
	for i := range news {
		_, words := news[i].label()
		text := escape(news[i].Text, budgetSentence)
		if news[i].Kind == tapio.NewsAbsorbed {
			text = news[i].Text
		}
		sentence := fmt.Sprintf("%s at %s: %s", capital(words), clock(news[i].Time, news[i].At), text)
		if len(said) < 3 {
			said = append(said, sentence)
		}
	}
	m.Text = escape(title, budgetTitle) + ". " + strings.Join(said, " ")
	if more := len(news) - len(said); more > 0 {
		m.Text += fmt.Sprintf(" And %d more.", more)
	}
	return m
}

func (f *fact) blocks() []slack.Block {
	text := f.line(budgetSentence)
	was, now := escape(f.Was, budgetName), escape(f.Now, budgetName)
	if was != "" && now != "" && !(strings.Contains(f.Text, f.Was) && strings.Contains(f.Text, f.Now)) {
		text += fmt.Sprintf("\n%s → *%s*", was, strings.ReplaceAll(now, "*", "∗"))
	}
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
		r.Lines = append(r.Lines, news[i].line(budgetLine/2))
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
	last := ""
	if len(r.Lines) > 0 {
		last = r.Lines[len(r.Lines)-1]
	}
	m.Text = escape(title, budgetTitle) + ". " + cmp.Or(last, "More happened.")
	return m
}

// capital makes the first letter a capital one; the words here are ASCII.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
