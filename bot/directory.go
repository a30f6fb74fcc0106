package bot

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// Slack lets conversations.list be called 20 times a minute, and one answer
// holds the names of all channels.
const (
	directoryFor   = 10 * time.Minute // how long a listing is good for the names in it
	directoryEvery = 4 * time.Second  // a name that isn't in it is not looked for sooner again
)

// directory is the last listing of the workspace's channels. It may be used
// from any goroutine; one lists while the others wait for it.
type directory struct {
	mu     sync.Mutex
	ids    map[string]string // name without "#" → ID
	listed time.Time
}

// channelID looks up a channel by its name, without "#"; "" where the bot
// can't see one of that name.
func (a *api) channelID(ctx context.Context, name string) (string, error) {
	d := &a.channels
	d.mu.Lock()
	defer d.mu.Unlock()
	age := time.Since(d.listed)
	if id := d.ids[name]; id != "" && age < directoryFor || d.ids != nil && age < directoryEvery {
		return id, nil
	}
	ids, err := a.list(ctx)
	if err != nil {
		return "", err
	}
	d.ids, d.listed = ids, time.Now()
	return ids[name], nil
}

// list returns the channels that the bot can see, or none where it may not
// list any: Slack takes names in posts all the same.
func (a *api) list(ctx context.Context) (map[string]string, error) {
	for _, types := range [][]string{{"public_channel", "private_channel"}, {"public_channel"}} {
		ids, err := a.listOf(ctx, types)
		if v, reason, _ := judge(err); v == callToken && reason == "missing_scope" {
			continue // without groups:read only public channels can be listed
		}
		return ids, err
	}
	return map[string]string{}, nil
}

func (a *api) listOf(ctx context.Context, types []string) (map[string]string, error) {
	ids := map[string]string{}
	cursor := ""
	for {
		page, next, err := a.client.GetConversationsContext(ctx, &slack.GetConversationsParameters{
			Cursor: cursor, Limit: 1000, Types: types, ExcludeArchived: false,
		})
		if err != nil {
			return nil, fmt.Errorf("list channels: %w", err)
		}
		for i := range page {
			for _, name := range []string{page[i].Name, page[i].NameNormalized} {
				if old, taken := ids[name]; name != "" && (!taken || old == "" || !page[i].IsArchived) {
					ids[name] = page[i].ID
				}
			}
		}
		if next == "" {
			return ids, nil
		}
		cursor = next
	}
}
