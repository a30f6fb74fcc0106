package bot

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// Slack lets usergroups.list and usergroups.users.list be called 20 times a
// minute each, and people change groups seldom.
const (
	groupsFor   = 10 * time.Minute // how long members of a group are good for
	groupsEvery = 15 * time.Second // what failed isn't tried sooner again
)

// Allow says who may do what. Empty means everybody who sees the story.
type Allow struct {
	Ack  []string // acknowledge: user groups as "@handle" or "S…", people as "U…"
	Mute []string // mute and unmute
}

// groups remembers the members of user groups. It may be used from any
// goroutine; one asks Slack while the others wait for it.
type groups struct {
	mu      sync.Mutex
	ids     map[string]string // handle without "@" → ID
	members map[string]members
}

type members struct {
	users map[string]bool
	asked time.Time
	err   error
}

func newGroups() *groups { return &groups{members: map[string]members{}} }

// may returns "" where the person is one of those who are allowed, and
// otherwise why not. Where Slack doesn't tell who is in a group, the last that
// it told counts; without that nobody of the group is allowed.
func (b *Bot) may(ctx context.Context, user string, allowed []string) string {
	if len(allowed) == 0 {
		return ""
	}
	var names []string
	unsure := false
	for _, a := range allowed {
		if a == user {
			return ""
		}
		if userID.MatchString(a) {
			names = append(names, "<@"+a+">")
			continue
		}
		in, err := b.groups.has(ctx, b.api.client, a, user)
		if in {
			return ""
		}
		if err != nil {
			b.log.Warn("members of a user group can't be read", "group", a, "error", err)
			unsure = true
		}
		names = append(names, escape(a, budgetName))
	}
	who := strings.Join(names, ", ")
	if unsure {
		return fmt.Sprintf("Only %s may do that, and Slack doesn't tell just now who that is. Try again in a minute.", who)
	}
	return fmt.Sprintf("Only %s may do that. Tapio's config says so (`slack.allow`).", who)
}

// has reports whether a person is in a group.
func (g *groups) has(ctx context.Context, client *slack.Client, group, user string) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.members[group]
	age := time.Since(m.asked)
	if m.asked.IsZero() || age > groupsFor || m.err != nil && age > groupsEvery {
		users, err := g.read(ctx, client, group)
		m.asked, m.err = time.Now(), err
		if err == nil {
			m.users = users
		}
		g.members[group] = m
	}
	return m.users[user], m.err
}

func (g *groups) read(ctx context.Context, client *slack.Client, group string) (map[string]bool, error) {
	id := group
	if handle, ok := strings.CutPrefix(group, "@"); ok {
		if g.ids[handle] == "" {
			all, err := client.GetUserGroupsContext(ctx)
			if err != nil {
				return nil, fmt.Errorf("list user groups: %w", err)
			}
			g.ids = map[string]string{}
			for i := range all {
				g.ids[all[i].Handle] = all[i].ID
			}
		}
		if id = g.ids[handle]; id == "" {
			return nil, fmt.Errorf("there is no user group %s", group)
		}
	}
	list, err := client.GetUserGroupMembersContext(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("list members of %s: %w", group, err)
	}
	users := map[string]bool{}
	for _, u := range list {
		users[u] = true
	}
	return users, nil
}
