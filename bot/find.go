package bot

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/yairfalse/tapio"
)

// Bounds of a search.
const (
	maxNames    = 2000 // names looked through for the nearest ones
	maxSearched = 1000 // stories looked through for a node, a team, a severity
)

// found is the answer to a name: one story, or a message that says why there
// is none to choose, or offers names.
type found struct {
	story   *tapio.Story
	others  []tapio.Story // earlier ones of the same name
	instead message
}

// asked is a question about one story: a name and how far back to look.
type asked struct {
	name  string
	since time.Time // zero: as far as stories are kept
	verb  string    // the command that a choice goes on with: "story", "why"
	tail  string    // what stands behind the name in that command
}

// find looks for the newest story of a name: an ID or its start, a pod, a
// workload, a node or a Service, with or without its namespace.
func (b *Bot) find(ctx context.Context, a asked) found {
	name := bareName(a.name)
	a.name = name
	if name == "" {
		return found{instead: b.choose(ctx, a)}
	}
	if s, err := b.opts.Stories.Story(ctx, name); err == nil {
		return found{story: &s}
	}
	stories, err := b.named(ctx, name, a.since)
	if err != nil {
		return found{instead: b.unread(err)}
	}
	if len(stories) > 0 {
		if spaces := namespaces(stories); len(spaces) > 1 && !strings.Contains(name, "/") {
			names := make([]string, len(spaces))
			for i, ns := range spaces {
				names[i] = ns + "/" + name
			}
			return found{instead: choose(a, names, fmt.Sprintf("%s has stories in several namespaces. Which one?", code(name, budgetName)))}
		}
		return found{story: &stories[0], others: stories[1:]}
	}
	names, err := b.opts.Stories.Names(ctx, name, maxCandidates)
	if err != nil {
		return found{instead: b.unread(err)}
	}
	more, err := b.otherNames(ctx)
	if err != nil {
		return found{instead: b.unread(err)}
	}
	names = slashless(names)
	for _, n := range more {
		if strings.HasPrefix(n[strings.LastIndexByte(n, '/')+1:], name) && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if len(names) == 1 {
		if stories, err := b.named(ctx, names[0], a.since); err == nil && len(stories) > 0 {
			return found{story: &stories[0], others: stories[1:]}
		}
	}
	if len(names) > 0 && a.since.IsZero() {
		return found{instead: choose(a, names, fmt.Sprintf("Several names begin with %s. Which one?", code(name, budgetName)))}
	}
	all, err := b.opts.Stories.Names(ctx, "", maxNames)
	if err != nil {
		return found{instead: b.unread(err)}
	}
	if !a.since.IsZero() {
		return found{instead: sorry(fmt.Sprintf("No story of %s changed since %s. `/tapio %s %s` looks as far back as stories are kept.",
			code(name, budgetName), moment(a.since, time.Now()), a.verb, escape(name, budgetName)))}
	}
	return found{instead: choose(a, nearest(name, append(slashless(all), more...)), fmt.Sprintf("No story names %s. Did you mean one of these?", code(name, budgetName)))}
}

// choose offers the open stories where no name was given.
func (b *Bot) choose(ctx context.Context, a asked) message {
	open, err := b.opts.Stories.Stories(ctx, tapio.Query{Status: tapio.StatusOpen, Limit: maxCandidates})
	if err != nil {
		return b.unread(err)
	}
	if len(open) == 0 {
		return help(a.verb)
	}
	return chooseStory(a, open)
}

// named returns the stories that name a pod, a workload, a Service or a node,
// newest first.
func (b *Bot) named(ctx context.Context, name string, since time.Time) ([]tapio.Story, error) {
	var out []tapio.Story
	add := func(stories []tapio.Story) {
		for _, s := range stories {
			if !slices.ContainsFunc(out, func(o tapio.Story) bool { return o.ID == s.ID }) {
				out = append(out, s)
			}
		}
	}
	for _, q := range []tapio.Query{{Pod: name, Since: since, Limit: maxListed}, {Workload: name, Since: since, Limit: maxListed}} {
		stories, err := b.opts.Stories.Stories(ctx, q)
		if err != nil {
			return nil, err
		}
		add(stories)
	}
	if len(out) == 0 { // nodes and Services have no index
		all, err := b.opts.Stories.Stories(ctx, tapio.Query{Since: since, Limit: maxSearched})
		if err != nil {
			return nil, err
		}
		add(slices.DeleteFunc(all, func(s tapio.Story) bool {
			return !slices.Contains(othersOf(&s), name) && !slices.Contains(bare(othersOf(&s)), name)
		}))
	}
	slices.SortStableFunc(out, func(x, y tapio.Story) int { return y.Timestamp.Compare(x.Timestamp) })
	return out, nil
}

// othersOf names the nodes and Services that a story is about.
func othersOf(s *tapio.Story) []string {
	var out []string
	for _, e := range append([]tapio.Entity{s.Subject, s.CauseEntity}, s.Affected...) {
		switch e.Kind {
		case tapio.KindNode:
			out = append(out, e.Name)
		case tapio.KindService:
			out = append(out, e.Namespace+"/"+e.Name)
		}
	}
	return append(out, s.RelatedServices...)
}

// slashless takes the slash from names of what is in no namespace.
func slashless(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.TrimPrefix(n, "/")
	}
	return out
}

func bare(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n[strings.LastIndexByte(n, '/')+1:]
	}
	return out
}

// otherNames are the names of nodes and Services of recent stories.
func (b *Bot) otherNames(ctx context.Context) ([]string, error) {
	all, err := b.opts.Stories.Stories(ctx, tapio.Query{Limit: maxSearched})
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range all {
		out = append(out, othersOf(&all[i])...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
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
		case "pod", "pods", "po", "deploy", "deployment", "deployments", "sts", "statefulset", "ds", "daemonset", "rs", "job", "cronjob", "svc", "service", "node", "no":
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
		if !slices.Contains(out, s.name) {
			out = append(out, s.name)
		}
	}
	return out
}
