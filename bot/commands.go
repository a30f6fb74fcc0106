package bot

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// maxNames is how many names are looked through for the nearest ones.
const maxNames = 2000

// command answers a slash command over its response URL. It returns at once;
// false means that it was not taken and that Slack may send it again.
func (b *Bot) command(ctx context.Context, c *slack.SlashCommand) bool {
	key := "command " + cmp.Or(c.TriggerID, c.ResponseURL)
	if !b.seen.first(key) {
		return true
	}
	return b.answer(ctx, key, func(ctx context.Context) {
		word, rest, _ := strings.Cut(strings.TrimSpace(c.Text), " ")
		m := b.reply(ctx, strings.ToLower(word), strings.TrimSpace(rest))
		if err := b.api.respond(ctx, c.ResponseURL, false, &m); err != nil {
			b.log.Warn("command can't be answered", "command", literal(word, budgetName), "error", err)
		}
	})
}

// answer runs f beside the others, at most maxAnswers at once.
func (b *Bot) answer(ctx context.Context, key string, f func(ctx context.Context)) bool {
	select {
	case b.slots <- struct{}{}:
	default:
		b.count.dropped.WithLabelValues("command").Inc()
		b.log.Warn("too many commands at once; one is dropped")
		b.seen.forget(key)
		return false
	}
	go func() {
		defer func() { <-b.slots }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		f(ctx)
	}()
	return true
}

// reply is the answer to a command.
func (b *Bot) reply(ctx context.Context, word, rest string) message {
	switch word {
	case "story":
		b.count.commands.WithLabelValues(word).Inc()
		return b.tell(ctx, rest)
	case "list":
		b.count.commands.WithLabelValues(word).Inc()
		stories, err := b.opts.Stories.Stories(ctx, tapio.Query{Status: tapio.StatusOpen, Limit: maxListed + 1})
		if err != nil {
			return b.unread(err)
		}
		return list(stories[:min(len(stories), maxListed)], len(stories) > maxListed)
	case "", "help":
		b.count.commands.WithLabelValues("help").Inc()
		return help("")
	}
	b.count.commands.WithLabelValues("unknown").Inc()
	return help(word)
}

// tell answers with the newest story of a name, or with names to choose from.
func (b *Bot) tell(ctx context.Context, asked string) message {
	asked = bareName(asked)
	if asked == "" {
		return help("")
	}
	if s, err := b.opts.Stories.Story(ctx, asked); err == nil {
		return answer(&s)
	}
	found, err := b.named(ctx, asked)
	if err != nil {
		return b.unread(err)
	}
	if len(found) > 0 {
		if spaces := namespaces(found); len(spaces) > 1 && !strings.Contains(asked, "/") {
			names := make([]string, len(spaces))
			for i, ns := range spaces {
				names[i] = ns + "/" + asked
			}
			return choose(asked, names, fmt.Sprintf("%s has stories in several namespaces. Which one?", code(asked, budgetName)))
		}
		return answer(&found[0])
	}
	names, err := b.opts.Stories.Names(ctx, asked, maxCandidates)
	if err != nil {
		return b.unread(err)
	}
	if len(names) == 1 {
		if found, err := b.named(ctx, names[0]); err == nil && len(found) > 0 {
			return answer(&found[0])
		}
	}
	if len(names) > 0 {
		return choose(asked, names, fmt.Sprintf("Several names begin with %s. Which one?", code(asked, budgetName)))
	}
	all, err := b.opts.Stories.Names(ctx, "", maxNames)
	if err != nil {
		return b.unread(err)
	}
	return choose(asked, nearest(asked, all), fmt.Sprintf("No story names %s. Did you mean one of these?", code(asked, budgetName)))
}

// named returns the stories that name a pod or a workload, newest first.
func (b *Bot) named(ctx context.Context, name string) ([]tapio.Story, error) {
	var out []tapio.Story
	for _, q := range []tapio.Query{{Pod: name, Limit: maxListed}, {Workload: name, Limit: maxListed}} {
		stories, err := b.opts.Stories.Stories(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, s := range stories {
			if !slices.ContainsFunc(out, func(o tapio.Story) bool { return o.ID == s.ID }) {
				out = append(out, s)
			}
		}
	}
	slices.SortStableFunc(out, func(x, y tapio.Story) int { return y.Timestamp.Compare(x.Timestamp) })
	return out, nil
}

func (b *Bot) unread(err error) message {
	b.log.Error("stories can't be read", "error", err)
	return sorry("Tapio can't read its stories just now. Try again in a moment.")
}

func namespaces(stories []tapio.Story) []string {
	var out []string
	for i := range stories {
		if ns := stories[i].Subject.Namespace; ns != "" {
			out = append(out, ns)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// bareName takes away what people put around a name: backticks, and the kind
// as kubectl writes it.
func bareName(s string) string {
	s, _, _ = strings.Cut(strings.Trim(strings.TrimSpace(s), "`*_'\"<>"), " ")
	if kind, name, ok := strings.Cut(s, "/"); ok {
		switch kind {
		case "pod", "pods", "po", "deploy", "deployment", "sts", "statefulset", "ds", "daemonset", "rs", "job", "cronjob", "svc", "service", "node":
			return name
		}
	}
	return s
}

// nearest returns the names that are most like the one that was asked for.
func nearest(asked string, names []string) []string {
	type scored struct {
		name  string
		steps int
	}
	asked = strings.ToLower(literal(asked, budgetName))
	var near []scored
	for _, n := range names {
		base := n[strings.LastIndexByte(n, '/')+1:]
		steps := min(levenshtein.ComputeDistance(asked, base), levenshtein.ComputeDistance(asked, n))
		if strings.Contains(n, asked) {
			steps = 0
		}
		if steps <= max(2, len(asked)/2) {
			near = append(near, scored{n, steps})
		}
	}
	slices.SortStableFunc(near, func(a, b scored) int { return cmp.Or(cmp.Compare(a.steps, b.steps), cmp.Compare(a.name, b.name)) })
	var out []string
	for _, s := range near[:min(len(near), 5)] {
		out = append(out, s.name)
	}
	return out
}
