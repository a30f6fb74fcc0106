package bot

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// maxHypotheses is how many candidate causes an answer tells in full.
const maxHypotheses = 5

// why lays out what speaks for and against each cause that was considered.
func why(s *tapio.Story, causes []CauseName) message {
	m := message{Text: fmt.Sprintf("Why %s%s: %s", escape(titleOf(s), budgetTitle), locality(s), cmp.Or(escape(s.RootCause, budgetSentence), "not known."))}
	head := fmt.Sprintf("*Why:* %s\n%s", escape(titleOf(s), budgetTitle), state(s))
	if c := escape(s.RootCause, budgetSentence); c != "" {
		head += "\n" + c
	}
	m.Blocks = append(m.Blocks, section(head), contextLine(standingWords(s)))
	evidence := map[string]*tapio.Evidence{}
	for i := range s.Evidence {
		evidence[s.Evidence[i].ID] = &s.Evidence[i]
	}
	described := map[string]string{}
	for i := range s.Timeline {
		described[s.Timeline[i].ID] = s.Timeline[i].Description
	}
	if t := s.Trigger; t != nil {
		m.Blocks = append(m.Blocks, section(fmt.Sprintf("*What changed before:* %s", cmp.Or(
			escape(beganAfter(s), budgetSentence), escape(described[t.Evidence], budgetSentence), escape(string(t.Type), budgetName)))))
	}
	known := slices.DeleteFunc(slices.Clone(s.Hypotheses), func(h tapio.Hypothesis) bool {
		return h.Cause == tapio.CauseUnknown && !h.Chosen // a symptom that names no cause
	})
	for i := range known[:min(len(known), maxHypotheses)] {
		h := &known[i]
		m.Blocks = append(m.Blocks, section(hypothesisLine(h, causes)))
		var items [][]slack.RichTextSectionElement
		for _, words := range speaksFor(h, described, evidence) {
			items = append(items, []slack.RichTextSectionElement{boldPiece("for "), textPiece(words)})
		}
		for _, text := range h.Against[:min(len(h.Against), 4)] {
			if words := literal(text, budgetLine); words != "" {
				items = append(items, []slack.RichTextSectionElement{boldPiece("against "), textPiece(words)})
			}
		}
		if len(items) > 0 {
			m.Blocks = append(m.Blocks, bullets(items...))
		}
	}
	if more := len(known) - maxHypotheses; more > 0 {
		m.Blocks = append(m.Blocks, contextLine(fmt.Sprintf("…and %d weaker candidates", more)))
	}
	if len(known) == 0 {
		m.Blocks = append(m.Blocks, section("No candidate cause touches what fails: Tapio names none rather than a wrong one."))
	}
	if len(s.Checked) > 0 {
		m.Blocks = append(m.Blocks, contextLine("Checked and ruled out: "+checked(s)))
	}
	right := button(actionRight, "Right cause", s.ID)
	if s.Cause == tapio.CauseUnknown {
		right = nil // there is none to be right
	}
	m.Blocks = append(m.Blocks,
		actions("", button(actionPick+".story", "Whole story", "story "+s.ID), button(actionWrong, "Wrong cause…", s.ID), right),
		contextLine(gaps(s), reference(s)))
	return m
}

// standingWords says in words how sure the cause is.
func standingWords(s *tapio.Story) string {
	text := map[tapio.Standing]string{
		tapio.StandingCertain:  "certain: a component said so about this very object",
		tapio.StandingLikely:   "likely: the right object, the right order, a known mechanism",
		tapio.StandingPossible: "possible: it only fits in time",
	}[s.Standing]
	if text == "" {
		text = "unknown: nothing was proven"
	}
	if s.Confidence != nil {
		text += fmt.Sprintf(" · right in %.0f %% of Tapio's own labelled cases of this standing", 100**s.Confidence)
	}
	return text
}

// hypothesisLine is a hypothesis in one line.
func hypothesisLine(h *tapio.Hypothesis, causes []CauseName) string {
	mark, word := ":white_small_square:", "considered"
	if h.Chosen {
		mark, word = ":dart:", "chosen"
	}
	at := h.Entity.Kind.Kubectl() + "/" + h.Entity.Name
	if h.Entity.Namespace != "" {
		at = h.Entity.Namespace + " " + at
	}
	return fmt.Sprintf("%s *%s:* %s at %s, %s", mark, word, causeWords(causes, h.Cause), code(at, budgetPlace), escape(string(h.Standing), budgetName))
}

// speaksFor are at most four lines of what speaks for a hypothesis. Lines of the
// timeline stand for what they count; what the source said in its own words is
// shown where there is none.
func speaksFor(h *tapio.Hypothesis, described map[string]string, evidence map[string]*tapio.Evidence) []string {
	ids := slices.DeleteFunc(slices.Clone(h.For), func(id string) bool { return described[id] == "" })
	if len(ids) == 0 {
		ids = h.For
	}
	var out []string
	for _, id := range ids[:min(len(ids), 4)] {
		if words := forWordsOf(id, described, evidence); words != "" {
			out = append(out, words)
		}
	}
	if more := len(ids) - 4; more > 0 {
		out = append(out, fmt.Sprintf("%d more facts of this kind", more))
	}
	return out
}

// forWordsOf is a piece of evidence in words.
func forWordsOf(id string, described map[string]string, evidence map[string]*tapio.Evidence) string {
	if words := literal(described[id], budgetLine); words != "" {
		return words
	}
	e := evidence[id]
	if e == nil {
		return ""
	}
	return literal(fmt.Sprintf("%s %s: %s", e.Time.UTC().Format("15:04:05"), e.Type, e.Text), budgetLine)
}

// similar answers what was like a story before, and what fixed it.
func (b *Bot) similar(ctx context.Context, s *tapio.Story) message {
	var list []tapio.Story
	add := func(o tapio.Story) {
		if o.ID != s.ID && !slices.ContainsFunc(list, func(x tapio.Story) bool { return x.ID == o.ID }) {
			list = append(list, o)
		}
	}
	for _, id := range s.SimilarIncidents[:min(len(s.SimilarIncidents), maxListed)] {
		if o, err := b.opts.Stories.Story(ctx, id); err == nil { // it may be past retention
			add(o)
		}
	}
	direct := len(list)
	same, err := b.opts.Stories.Stories(ctx, tapio.Query{Cause: s.Cause, Limit: maxListed})
	if err != nil {
		return b.unread(err)
	}
	if s.Cause != tapio.CauseUnknown {
		for _, o := range same {
			add(o)
		}
	}
	return similar(s, list, direct)
}

// similar lays out stories like one: the first so many of them are of the same
// place, the rest only of the same cause.
func similar(s *tapio.Story, list []tapio.Story, direct int) message {
	if len(list) == 0 {
		return plainAnswer(fmt.Sprintf("Nothing like *%s* is remembered.", strings.ReplaceAll(escape(titleOf(s), budgetTitle), "*", "∗")))
	}
	title := fmt.Sprintf("Like %s", escape(titleOf(s), budgetTitle))
	m := message{Text: fmt.Sprintf("%d stories are like %s.", len(list), escape(titleOf(s), budgetTitle)), Blocks: []slack.Block{section("*" + strings.ReplaceAll(title, "*", "∗") + "*")}}
	for i := range list[:min(len(list), 8)] {
		o := &list[i]
		if i == direct {
			m.Blocks = append(m.Blocks, contextLine("the same cause elsewhere"))
		}
		text := fmt.Sprintf("%s · %s\n%s", moment(o.Timestamp, s.Timestamp), escape(titleOf(o), budgetTitle), where(o))
		switch {
		case o.Status == tapio.StatusOpen:
			text += " · still open"
		case o.Resolution != "":
			text += "\n*Fix:* " + escape(o.Resolution, budgetSentence)
		case o.Status == tapio.StatusResolved:
			text += " · over after " + duration(o.Duration)
		}
		show := button(fmt.Sprintf("%s.%d", actionPick, i), "Show", "story "+o.ID)
		m.Blocks = append(m.Blocks, slack.NewSectionBlock(mrkdwn(text), nil, slack.NewAccessory(show)))
	}
	if more := len(list) - 8; more > 0 {
		m.Blocks = append(m.Blocks, contextLine(fmt.Sprintf("…and %d more", more)))
	}
	return m
}
