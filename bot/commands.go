package bot

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// command is a slash command, or a click that stands for one.
type command struct {
	word    string // in lower case
	rest    string
	by      ack
	channel string // ID of where it was typed
	trigger string // opens a modal, once and within 3 s
}

func commandOf(c *slack.SlashCommand) command {
	word, rest, _ := strings.Cut(strings.TrimSpace(c.Text), " ")
	return command{
		word: strings.ToLower(word), rest: strings.TrimSpace(rest),
		by:      ack{User: c.UserID, Name: clean(c.UserName, budgetName, false)},
		channel: c.ChannelID, trigger: c.TriggerID,
	}
}

// words are the commands, with the number that the help gives them.
var words = []string{"story", "list", "why", "similar", "ack", "unack", "note", "mute", "unmute", "oncall", "digest", "feedback", "help"}

// reply is the answer to a command; false where a modal was opened instead.
func (b *Bot) reply(ctx context.Context, c command) (message, bool) {
	if c.word == "" {
		c.word = "help"
	}
	if !slices.Contains(words, c.word) {
		b.count.commands.WithLabelValues("unknown").Inc()
		return help(c.word), true
	}
	b.count.commands.WithLabelValues(c.word).Inc()
	switch c.word {
	case "story", "why", "similar":
		return b.about(ctx, c), true
	case "list":
		return b.list(ctx, c.rest), true
	case "ack", "unack":
		return b.ackByName(ctx, c), true
	case "note":
		return b.noteByName(ctx, c)
	case "mute":
		return b.muteByName(ctx, c)
	case "unmute":
		return b.unmuteByName(ctx, c), true
	case "oncall":
		return b.oncall(c.rest, time.Now()), true
	case "digest":
		return b.digestCommand(ctx, c), true
	case "feedback":
		return b.feedbackByName(ctx, c)
	}
	return help(""), true
}

// about tells one story: all of it, why it is thought to have happened, or
// what was like it.
func (b *Bot) about(ctx context.Context, c command) message {
	a, err := parseAsked(c, time.Now())
	if err != nil {
		return sorry(escape(err.Error(), budgetSentence) + ".")
	}
	f := b.find(ctx, a)
	if f.story == nil {
		return f.instead
	}
	switch c.word {
	case "why":
		return why(f.story, b.opts.Causes)
	case "similar":
		return b.similar(ctx, f.story)
	}
	return b.answerStory(ctx, f.story, f.others)
}

// answerStory is a story with what people did about it.
func (b *Bot) answerStory(ctx context.Context, s *tapio.Story, others []tapio.Story) message {
	return answer(s, b.told(ctx, s.ID), others)
}

// parseAsked reads "NAME --since 2h".
func parseAsked(c command, now time.Time) (asked, error) {
	a := asked{verb: c.word}
	fields := strings.Fields(c.rest)
	for i := 0; i < len(fields); i++ {
		key, value, ok := strings.Cut(strings.TrimLeft(strings.ReplaceAll(fields[i], "—", "--"), "-"), "=")
		if key != "since" {
			if a.name == "" {
				a.name = fields[i]
			}
			continue
		}
		if !ok && i+1 < len(fields) {
			i++
			value = fields[i]
		}
		since, err := parseSince(value, now)
		if err != nil {
			return a, err
		}
		a.since = since
	}
	return a, nil
}

// parseSince reads a duration such as 2h or 3d, or a time.
func parseSince(s string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at.UTC(), nil
	}
	if at, err := time.Parse(time.DateOnly, s); err == nil {
		return at.UTC(), nil
	}
	d, err := parseFor(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("since %q is no time such as 2h, 3d or 2026-11-23", s)
	}
	return now.Add(-d), nil
}

// filters are what a list is narrowed down to.
type filters struct {
	namespace, team string
	severity        int // 1 to 5; 0 means any
	status          string
	since           time.Time
}

// parseFilters reads words such as "shop", "team=payments", "sev1", "resolved",
// "--since 2h". A word alone is a namespace.
func parseFilters(text string, now time.Time) (filters, error) {
	f := filters{status: string(tapio.StatusOpen)}
	fields := strings.Fields(text)
	for i := 0; i < len(fields); i++ {
		word := strings.TrimLeft(strings.ReplaceAll(fields[i], "—", "--"), "-")
		key, value, ok := strings.Cut(word, "=")
		key = strings.ToLower(key)
		if !ok {
			switch {
			case slices.Contains([]string{"open", "resolved", "muted", "acked", "all"}, key):
				f.status = key
				continue
			case strings.HasPrefix(key, "sev") && len(key) == 4:
				key, value = "severity", key[3:]
			case slices.Contains([]string{"namespace", "ns", "n", "team", "severity", "sev", "status", "since"}, key):
				if i+1 == len(fields) {
					return f, fmt.Errorf("%s of what? For example: list %s=…", key, key)
				}
				i++
				value = fields[i]
			default:
				key, value = "namespace", word
			}
		}
		switch key {
		case "namespace", "ns", "n":
			f.namespace = bareName(value)
		case "team":
			f.team = strings.Trim(value, "`'\"")
		case "severity", "sev":
			n, err := strconv.Atoi(strings.TrimPrefix(strings.ToLower(value), "sev"))
			if err != nil || n < 1 || n > 5 {
				return f, fmt.Errorf("severity %q is none of 1 to 5", value)
			}
			f.severity = n
		case "status":
			f.status = strings.ToLower(value)
			if !slices.Contains([]string{"open", "resolved", "muted", "acked", "all"}, f.status) {
				return f, fmt.Errorf("status %q is none of open, acked, muted, resolved, all", value)
			}
		case "since":
			since, err := parseSince(value, now)
			if err != nil {
				return f, err
			}
			f.since = since
		default:
			return f, fmt.Errorf("%q is no filter; there are namespace, team, severity, status and since", key)
		}
	}
	return f, nil
}

// words says what a list was narrowed down to, for its title.
func (f *filters) words() string {
	var out []string
	if f.namespace != "" {
		out = append(out, "in "+escape(f.namespace, budgetName))
	}
	if f.team != "" {
		out = append(out, "of team "+escape(f.team, budgetName))
	}
	if f.severity > 0 {
		out = append(out, fmt.Sprintf("of SEV%d", f.severity))
	}
	if !f.since.IsZero() {
		out = append(out, "since "+moment(f.since, time.Time{}))
	}
	return strings.Join(out, ", ")
}

// list answers with the stories that the filters leave.
func (b *Bot) list(ctx context.Context, text string) message {
	now := time.Now()
	f, err := parseFilters(text, now)
	if err != nil {
		return sorry(escape(err.Error(), budgetSentence) + ".")
	}
	q := tapio.Query{Namespace: f.namespace, Since: f.since, Limit: maxSearched}
	switch f.status {
	case "open", "muted", "acked":
		q.Status = tapio.StatusOpen
	case "resolved":
		q.Status = tapio.StatusResolved
	}
	stories, err := b.opts.Stories.Stories(ctx, q)
	if err != nil {
		return b.unread(err)
	}
	mutes, err := b.mutesNow(ctx, now)
	if err != nil {
		return b.unread(err)
	}
	l := listing{filters: f}
	for i := range stories {
		s := &stories[i]
		if f.team != "" && !strings.EqualFold(s.Owner.Team, f.team) || f.severity > 0 && s.Severity.Level() != f.severity {
			continue
		}
		line := listed{story: s}
		if s.Status == tapio.StatusOpen {
			line.muted = muteOf(mutes, s, now)
			line.ack = b.ackOf(ctx, s.ID)
		}
		switch {
		case f.status == "muted" && line.muted == nil, f.status == "acked" && line.ack == nil:
			continue
		}
		l.total++
		if len(l.lines) < maxListed {
			l.lines = append(l.lines, line)
		}
	}
	return l.message()
}

// ackOf returns who takes care of a story, or nil.
func (b *Bot) ackOf(ctx context.Context, story string) *ack {
	t := b.threadOf(ctx, story)
	if t == nil {
		return nil
	}
	return t.Ack
}

// threadOf reads what was said of a story; nil where nothing was.
func (b *Bot) threadOf(ctx context.Context, story string) *thread {
	records, err := b.opts.Ledger.Read(ctx, threadPrefix+story)
	if err != nil {
		b.log.Error("thread can't be read", "story", story, "error", err)
		return nil
	}
	for _, r := range records {
		if r.Key != threadPrefix+story {
			continue
		}
		t, err := decodeThread(r)
		if err != nil {
			b.log.Error("thread can't be read", "story", story, "error", err)
			return nil
		}
		return t
	}
	return nil
}
