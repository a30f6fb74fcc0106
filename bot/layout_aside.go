package bot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// aside is the line about a story in the channel of a team that it hurts.
type aside struct {
	story  *tapio.Story
	root   titled // the story's own message
	parent titled // of an absorbed story: what it is part of
	told   string // channel of the story's own message
	ack    *ack
	hurt   []tapio.Entity // what of the team's is hurt
}

// message lays out the line. Where nothing of the team's is hurt, the team owns
// the cause of a story that was told elsewhere before that was known.
func (a *aside) message() message {
	s := a.story
	what := "Something of this team's"
	if names := a.names(); names != "" {
		what = names
	}
	place := ""
	if a.told != "" {
		place = " · told in " + escape(a.told, budgetName)
	}
	verb, plural := "is hurt by", len(a.hurt) > 1
	switch {
	case s.Status != tapio.StatusOpen && plural:
		verb = "were hurt by"
	case s.Status != tapio.StatusOpen:
		verb = "was hurt by"
	case plural:
		verb = "are hurt by"
	}
	head, bare := fmt.Sprintf("%s %s %s", what, verb, a.root.mrkdwn()), fmt.Sprintf("%s %s: %s", what, verb, escape(a.root.title, budgetTitle))
	if len(a.hurt) == 0 {
		head, bare = "The cause is this team's: "+a.root.mrkdwn(), "The cause is this team's: "+escape(a.root.title, budgetTitle)
	}
	m := message{}
	state := ""
	switch {
	case s.Status == tapio.StatusResolved:
		state = fmt.Sprintf("resolved after %s", duration(s.Duration))
		m.Blocks = []slack.Block{section(fmt.Sprintf(":white_check_mark: %s — %s%s", head, state, place))}
	case s.Status == tapio.StatusAbsorbed:
		state = "part of " + a.parent.mrkdwn()
		m.Blocks = []slack.Block{section(fmt.Sprintf(":link: %s — %s%s", head, state, place))}
		state = "part of " + escape(a.parent.title, budgetTitle)
	case a.ack != nil:
		state = "firing since " + clock(s.Timestamp, s.Opened) + ", acked by " + a.ack.name()
		m.Blocks = []slack.Block{section(fmt.Sprintf(":large_yellow_circle: %s — firing since %s, acked by %s%s", head, moment(s.Timestamp, s.Opened), a.ack.name(), place))}
	default:
		state = "firing since " + clock(s.Timestamp, s.Opened)
		m.Blocks = []slack.Block{section(fmt.Sprintf(":red_circle: %s — firing since %s%s", head, moment(s.Timestamp, s.Opened), place))}
	}
	m.Text = fmt.Sprintf("%s, %s.", bare, state)
	return m
}

// names lists what is hurt, at most three by name.
func (a *aside) names() string {
	var names []string
	for _, e := range a.hurt {
		if n := code(e.Name, budgetPlace); n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("%d more", more))
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// directMessage tells one person about a story: what happened to it, where it
// stands, and the way to its thread.
func directMessage(s *tapio.Story, root titled, why string) message {
	why = escape(why, budgetSentence)
	m := message{Text: fmt.Sprintf("%s: %s%s: %s", s.SeverityName(), escape(titleOf(s), budgetTitle), locality(s), why)}
	m.Blocks = []slack.Block{
		section(fmt.Sprintf(":bell: *%s · %s*\n%s%s", s.SeverityName(), strings.ReplaceAll(root.mrkdwn(), "*", "∗"), capital(why), stateNow(s))),
		contextLine(where(s), reference(s)),
	}
	return m
}

func stateNow(s *tapio.Story) string {
	if text := escape(s.Impact, budgetSentence); text != "" {
		return "\n" + text
	}
	return ""
}
