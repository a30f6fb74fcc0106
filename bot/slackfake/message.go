package slackfake

import (
	"encoding/json"
	"slices"
)

// Message is one message of a channel, a thread or, if Ephemeral, of one
// person's screen.
type Message struct {
	Channel     string          // ID
	TS          string          // with Channel the key
	ThreadTS    string          // ts of the root; "" outside threads; equal to TS on a root with replies
	User        string          // user ID of the author
	Text        string          // as sent
	Blocks      json.RawMessage // array; nil without
	Attachments json.RawMessage // array; nil without
	Metadata    json.RawMessage // object; nil without
	Broadcast   bool            // a reply that is shown in the channel too
	Edited      string          // ts of the last edit; "" if never
	Edits       int
	Tombstone   bool     // a deleted root that still has replies
	ReplyUsers  []string // who replied, in order of appearance
	ReplyCount  int
	LatestReply string     // ts
	Reactions   []Reaction // in order of appearance
	Ephemeral   bool       // seen only by To, in no history
	To          string     // user ID of the reader of an ephemeral

	parent  string     // user ID of the author of the root, on a reply
	replies []*Message // oldest first
}

// Reaction is one emoji under a message.
type Reaction struct {
	Name  string   `json:"name"`
	Users []string `json:"users"`
	Count int      `json:"count"`
}

// isReply says whether the message stands in a thread and is not its root.
func (m *Message) isReply() bool { return m.ThreadTS != "" && m.ThreadTS != m.TS }

// clone returns a copy for a caller outside the lock.
func (m *Message) clone() Message {
	c := *m
	c.replies = nil
	c.ReplyUsers = slices.Clone(m.ReplyUsers)
	c.Reactions = slices.Clone(m.Reactions)
	return c
}

// root finds a root message by ts; nil when there is none.
func (c *channel) root(ts string) *Message {
	for i := len(c.roots) - 1; i >= 0; i-- {
		if c.roots[i].TS == ts {
			return c.roots[i]
		}
	}
	return nil
}

// message finds a root or a reply by ts, with its root; nil when there is none.
func (c *channel) message(ts string) (m, root *Message) {
	for i := len(c.roots) - 1; i >= 0; i-- {
		r := c.roots[i]
		if r.TS == ts {
			return r, r
		}
		for _, reply := range r.replies {
			if reply.TS == ts {
				return reply, r
			}
		}
	}
	return nil, nil
}

// commit puts a new message where it belongs and tells the watchers and the
// log of pings.
func (w *Workspace) commit(c *channel, m *Message) {
	now := w.opts.Now()
	m.Channel = c.ID
	m.TS = c.nextTS(now)
	c.posts = keepLast(append(c.posts, now), maxPosts)
	if !m.isReply() {
		c.roots = keepLast(append(c.roots, m), maxRoots)
	} else {
		root := c.root(m.ThreadTS)
		root.ThreadTS = root.TS
		m.parent = root.User
		root.replies = keepLast(append(root.replies, m), maxReplies)
		root.ReplyCount++
		root.LatestReply = m.TS
		if !slices.Contains(root.ReplyUsers, m.User) {
			root.ReplyUsers = append(root.ReplyUsers, m.User)
		}
		w.publishMessage(changeMessage, c, root)
	}
	w.recordPings(c, m)
	w.publishMessage(changeMessage, c, m)
}

// remove deletes a message; a root with replies leaves a tombstone.
func (w *Workspace) remove(c *channel, m, root *Message) {
	switch {
	case m == root && len(m.replies) > 0:
		m.Tombstone = true
		m.Text = "This message was deleted."
		m.Blocks, m.Attachments, m.Metadata = nil, nil, nil
		w.publishMessage(changeMessage, c, m)
		return
	case m == root:
		c.roots = slices.DeleteFunc(c.roots, func(x *Message) bool { return x == m })
	default:
		root.replies = slices.DeleteFunc(root.replies, func(x *Message) bool { return x == m })
		root.ReplyCount--
		root.LatestReply = ""
		if n := len(root.replies); n > 0 {
			root.LatestReply = root.replies[n-1].TS
		}
		w.publishMessage(changeMessage, c, root)
	}
	w.publishMessage(changeDelete, c, m)
}

// whisper puts an ephemeral on one person's screen.
func (w *Workspace) whisper(c *channel, m *Message) {
	m.Channel = c.ID
	m.Ephemeral = true
	m.TS = c.nextTS(w.opts.Now())
	w.ephemerals = keepLast(append(w.ephemerals, m), maxEphemerals)
	w.publishMessage(changeMessage, c, m)
	w.answerWaiting(m.To, c.ID, m)
}

// wire is the message as the Web API shows it.
func (w *Workspace) wire(m *Message, withMetadata bool) map[string]any {
	out := map[string]any{"type": "message", "user": m.User, "text": m.Text, "ts": m.TS, "team": teamID}
	if m.User == w.bot.ID {
		out["bot_id"] = w.botID
		out["app_id"] = appID
		out["bot_profile"] = map[string]any{"id": w.botID, "app_id": appID, "name": w.bot.Name, "team_id": teamID, "deleted": false}
	}
	switch {
	case m.Tombstone:
		out["subtype"] = "tombstone"
		out["hidden"] = true
		out["user"] = "USLACKBOT"
	case m.Broadcast:
		out["subtype"] = "thread_broadcast"
	}
	if m.ThreadTS != "" {
		out["thread_ts"] = m.ThreadTS
	}
	if m.isReply() {
		out["parent_user_id"] = m.parent
	}
	if m.ReplyCount > 0 {
		out["reply_count"] = m.ReplyCount
		out["reply_users"] = m.ReplyUsers
		out["reply_users_count"] = len(m.ReplyUsers)
		out["latest_reply"] = m.LatestReply
	}
	if m.Blocks != nil {
		out["blocks"] = m.Blocks
	}
	if m.Attachments != nil {
		out["attachments"] = m.Attachments
	}
	if m.Edited != "" {
		out["edited"] = map[string]any{"user": m.User, "ts": m.Edited}
	}
	if len(m.Reactions) > 0 {
		out["reactions"] = m.Reactions
	}
	if withMetadata && m.Metadata != nil {
		out["metadata"] = m.Metadata
	}
	return out
}

// keepLast drops the oldest elements above n.
func keepLast[T any](s []T, n int) []T {
	if len(s) > n {
		return slices.Delete(s, 0, len(s)-n)
	}
	return s
}

// dropEphemeral takes an ephemeral off its reader's screen.
func (w *Workspace) dropEphemeral(c *channel, m *Message) {
	w.ephemerals = slices.DeleteFunc(w.ephemerals, func(x *Message) bool { return x == m })
	w.publishMessage(changeDelete, c, m)
}
