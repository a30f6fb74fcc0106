package slackfake

import (
	"maps"
	"regexp"
	"slices"
	"time"
)

// Call is one call of the Web API.
type Call struct {
	Method string
	Args   map[string]string // without the token
	Time   time.Time
	Error  string    // Slack's name; "" when it went well
	Fault  FaultKind // "" without
}

// Ping is one mention that reached somebody. Edits ping nobody.
type Ping struct {
	Who     string // user ID, "subteam:ID", "here", "channel" or "everyone"
	Channel string // ID
	TS      string
	Text    string
}

func (w *Workspace) record(c Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recordLocked(c)
}

func (w *Workspace) recordLocked(c Call) {
	c.Time = w.opts.Now()
	c.Args = maps.Clone(c.Args)
	w.calls = keepLast(append(w.calls, c), maxCalls)
}

// Calls returns the calls of a method, oldest first; of every method when it is "".
func (w *Workspace) Calls(method string) []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Call
	for _, c := range w.calls {
		if method == "" || c.Method == method {
			out = append(out, c)
		}
	}
	return out
}

// UnknownMethods returns the methods that were called and that Slack or this
// workspace does not have. A test should find none.
func (w *Workspace) UnknownMethods() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.unknown)
}

// Pings returns who was pinged, oldest first.
func (w *Workspace) Pings() []Ping {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.pings)
}

// PeakPosts returns the most posts that a channel got within any stretch of
// the given length.
func (w *Workspace) PeakPosts(channel string, within time.Duration) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channel(channel)
	if c == nil {
		return 0
	}
	peak, from := 0, 0
	for i, t := range c.posts {
		for t.Sub(c.posts[from]) >= within {
			from++
		}
		peak = max(peak, i-from+1)
	}
	return peak
}

var mention = regexp.MustCompile(`<(?:@([UW][A-Z0-9]+)|!subteam\^([A-Z0-9]+)|!(here|channel|everyone))(?:\|[^>]*)?>`)

// recordPings notes whom a new message mentions: in its text or, as Slack
// does, in its blocks.
func (w *Workspace) recordPings(c *channel, m *Message) {
	seen := map[string]bool{}
	for _, s := range append([]string{m.Text}, append(blockTexts(m.Blocks), attachmentTexts(m.Attachments)...)...) {
		for _, g := range mention.FindAllStringSubmatch(s, -1) {
			who := g[1] + g[3]
			if g[2] != "" {
				who = "subteam:" + g[2]
			}
			if c.IM != "" && who != c.IM {
				continue // they aren't in the conversation
			}
			if !seen[who] {
				seen[who] = true
				w.pings = keepLast(append(w.pings, Ping{Who: who, Channel: c.ID, TS: m.TS, Text: m.Text}), maxPings)
			}
		}
	}
}

// Messages returns the root messages of a channel, by name or ID, oldest first.
func (w *Workspace) Messages(channel string) []Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channel(channel)
	if c == nil {
		return nil
	}
	return clones(c.roots)
}

// Replies returns the replies of a thread, oldest first, without its root.
func (w *Workspace) Replies(channel, ts string) []Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channel(channel)
	if c == nil {
		return nil
	}
	_, root := c.message(ts)
	if root == nil {
		return nil
	}
	return clones(root.replies)
}

// Ephemerals returns what only this user has seen in any channel, oldest first.
func (w *Workspace) Ephemerals(user string) []Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.user(user)
	var out []Message
	for _, m := range w.ephemerals {
		if u != nil && m.To == u.ID {
			out = append(out, m.clone())
		}
	}
	return out
}

func clones(ms []*Message) []Message {
	out := make([]Message, len(ms))
	for i, m := range ms {
		out[i] = m.clone()
	}
	return out
}

// DirectID returns the ID of the bot's conversation with a user, by name or
// ID, or "" where there is none.
func (w *Workspace) DirectID(user string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u := w.user(user); u != nil {
		for _, c := range w.channels {
			if c.IM == u.ID {
				return c.ID
			}
		}
	}
	return ""
}
