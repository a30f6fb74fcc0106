package bot

import (
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"
)

// Rotation is who is on call for a team: the people in turn, each for Each,
// from Start on.
type Rotation struct {
	Team   string   // "" is for every team without one of its own
	People []string // Slack user IDs
	Start  time.Time
	Each   time.Duration
	Then   []string // whom to call when neither of the two acknowledges
}

// at returns who is on call, who is second, and until when.
func (r *Rotation) at(now time.Time) (primary, secondary string, until time.Time) {
	turn := now.Sub(r.Start) / r.Each
	if now.Before(r.Start) {
		turn = -((r.Start.Sub(now) + r.Each - 1) / r.Each)
	}
	n := len(r.People)
	i := int((int64(turn)%int64(n) + int64(n)) % int64(n))
	return r.People[i], r.People[(i+1)%n], r.Start.Add((turn + 1) * r.Each)
}

// rotation returns that of a team, or nil.
func (b *Bot) rotation(team string) *Rotation {
	var general *Rotation
	for i := range b.opts.OnCall {
		r := &b.opts.OnCall[i]
		if strings.EqualFold(r.Team, team) {
			return r
		}
		if r.Team == "" {
			general = r
		}
	}
	return general
}

// oncall is `/tapio oncall [TEAM]`.
func (b *Bot) oncall(team string, now time.Time) message {
	team = strings.Trim(strings.TrimSpace(team), "`'\"")
	list := b.opts.OnCall
	if len(list) == 0 {
		return plainAnswer("Nobody is configured to be on call: `oncall` in Tapio's config is empty. A rotation there names a team, people and how long a turn is.")
	}
	if team != "" {
		r := b.rotation(team)
		if r == nil {
			return plainAnswer(fmt.Sprintf("No rotation is configured for team %s.", code(team, budgetName)))
		}
		list = []Rotation{*r}
	}
	m := message{Text: "Who is on call."}
	var lines []string
	for i := range list[:min(len(list), maxListed)] {
		r := &list[i]
		first, second, until := r.at(now)
		name := "Every other team"
		if r.Team != "" {
			name = "Team " + escape(r.Team, budgetName)
		}
		if len(list) == 1 && r.Team == "" {
			name = "All teams"
		}
		line := fmt.Sprintf(":telephone_receiver: *%s:* %s until %s", strings.ReplaceAll(name, "*", "∗"), mentionOf(first), moment(until, now))
		if second != first {
			line += ", then " + mentionOf(second)
		}
		lines = append(lines, line)
	}
	m.Blocks = []slack.Block{section(strings.Join(lines, "\n"))}
	m.Blocks = append(m.Blocks, contextLine(b.opts.Call.words()))
	return m
}

// words says when people are called.
func (c *Call) words() string {
	if c.Severity == 0 {
		return "From the rotations in Tapio's config, which also says that nobody is called"
	}
	which := "a story of SEV1"
	switch {
	case c.Severity == 2:
		which = "a SEV1 or SEV2 story"
	case c.Severity > 2:
		which = fmt.Sprintf("a story of SEV1 to SEV%d", c.Severity)
	}
	return fmt.Sprintf("Who is called, by direct message, when nobody acknowledges %s for %s; the next %s later. _Ack_ ends it.", which, duration(c.After), duration(c.Every))
}

// mentionOf names a person of the config. In an ephemeral answer and in the
// App Home it pings nobody.
func mentionOf(user string) string {
	a := ack{User: user, Name: user}
	return a.mention()
}
