package slackfake

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of message texts, characters (docs.slack.dev/reference/methods/chat.postMessage
// and chat.update).
const (
	maxPostText   = 40_000 // longer texts are cut
	maxUpdateText = 4_000  // longer texts are refused
)

// postsPerMinute is one a second on the average; bursts within the minute pass.
const postsPerMinute = 60

func (w *Workspace) postMessage(a args) (reply, error) {
	c, err := w.target(a["channel"])
	if err != nil {
		return nil, err
	}
	body, err := readBody(a)
	if err != nil {
		return nil, err
	}
	if body.empty() {
		return nil, fail("no_text")
	}
	if r := []rune(body.text); len(r) > maxPostText {
		body.text = string(r[:maxPostText])
	}
	m := &Message{User: w.bot.ID, Text: body.text, Blocks: body.blocks, Attachments: body.attachments, Metadata: body.metadata}
	if ts := a["thread_ts"]; ts != "" {
		_, root := c.message(ts)
		if root == nil {
			return nil, fail("thread_not_found")
		}
		m.ThreadTS = root.TS
		m.Broadcast = a.on("reply_broadcast")
	}
	if err := w.limitRate("chat.postMessage "+c.ID, postsPerMinute); err != nil {
		return nil, err
	}
	w.commit(c, m)
	return reply{"channel": c.ID, "ts": m.TS, "message": w.wire(m, true)}, nil
}

func (w *Workspace) update(a args) (reply, error) {
	c, err := w.byID(a["channel"])
	if err != nil {
		return nil, err
	}
	m, _ := c.message(a["ts"])
	switch {
	case m == nil || m.Tombstone:
		return nil, fail("message_not_found")
	case m.User != w.bot.ID:
		return nil, fail("cant_update_message")
	}
	body, err := readBody(a)
	if err != nil {
		return nil, err
	}
	_, hasText := a["text"]
	if body.empty() && (!hasText || m.Attachments == nil || body.attachments != nil) {
		return nil, fail("no_text")
	}
	if utf8.RuneCountInString(body.text) > maxUpdateText {
		return nil, fail("msg_too_long")
	}
	w.edit(c, m, body, hasText)
	return reply{"channel": c.ID, "ts": m.TS, "text": m.Text, "message": w.wire(m, true)}, nil
}

// edit changes a message. A text alone drops the blocks; attachments and
// metadata stay unless new ones come.
func (w *Workspace) edit(c *channel, m *Message, b messageBody, hasText bool) {
	if hasText {
		m.Text = b.text
	}
	if hasText || b.hasBlocks {
		m.Blocks = b.blocks
	}
	if b.hasAttachments {
		m.Attachments = b.attachments
	}
	if b.metadata != nil {
		m.Metadata = b.metadata
	}
	now := w.opts.Now()
	m.Edited = fmt.Sprintf("%d.%06d", now.Unix(), now.Nanosecond()/1000)
	m.Edits++
	w.publishMessage(changeMessage, c, m)
}

func (w *Workspace) deleteMessage(a args) (reply, error) {
	c, err := w.byID(a["channel"])
	if err != nil {
		return nil, err
	}
	m, root := c.message(a["ts"])
	switch {
	case m == nil || m.Tombstone:
		return nil, fail("message_not_found")
	case m.User != w.bot.ID:
		return nil, fail("cant_delete_message")
	}
	w.remove(c, m, root)
	return reply{"channel": c.ID, "ts": m.TS}, nil
}

func (w *Workspace) postEphemeral(a args) (reply, error) {
	c, err := w.target(a["channel"])
	if err != nil {
		return nil, err
	}
	u := w.user(a["user"])
	if u == nil || u.ID != a["user"] {
		return nil, fail("user_not_found")
	}
	if !c.members[u.ID] {
		return nil, fail("user_not_in_channel")
	}
	body, err := readBody(a)
	if err != nil {
		return nil, err
	}
	if body.empty() {
		return nil, fail("no_text")
	}
	m := &Message{User: w.bot.ID, To: u.ID, Text: body.text, Blocks: body.blocks, Attachments: body.attachments}
	if _, root := c.message(a["thread_ts"]); root != nil {
		m.ThreadTS = root.TS
	}
	w.whisper(c, m)
	return reply{"message_ts": m.TS}, nil
}

func (w *Workspace) permalink(a args) (reply, error) {
	c, err := w.byID(a["channel"])
	if err != nil {
		return nil, err
	}
	m, _ := c.message(a["message_ts"])
	if m == nil {
		return nil, fail("message_not_found")
	}
	return reply{"channel": c.ID, "permalink": w.base + w.path(m)}, nil
}

// path is the address of a message on the page.
func (w *Workspace) path(m *Message) string {
	p := fmt.Sprintf("/archives/%s/p%s", m.Channel, strings.Replace(m.TS, ".", "", 1))
	if m.isReply() {
		p += fmt.Sprintf("?thread_ts=%s&cid=%s", m.ThreadTS, m.Channel)
	}
	return p
}

func (w *Workspace) react(a args) (reply, error) {
	c, err := w.byID(a["channel"])
	if err != nil {
		return nil, err
	}
	m, _ := c.message(a["timestamp"])
	name := strings.Trim(a["name"], ":")
	switch {
	case m == nil:
		return nil, fail("message_not_found")
	case name == "":
		return nil, fail("invalid_name")
	}
	for _, r := range m.Reactions {
		if r.Name == name {
			return nil, fail("already_reacted")
		}
	}
	m.Reactions = append(m.Reactions, Reaction{Name: name, Users: []string{w.bot.ID}, Count: 1})
	w.publishMessage(changeMessage, c, m)
	return reply{}, nil
}

func (w *Workspace) unreact(a args) (reply, error) {
	c, err := w.byID(a["channel"])
	if err != nil {
		return nil, err
	}
	m, _ := c.message(a["timestamp"])
	if m == nil {
		return nil, fail("message_not_found")
	}
	name := strings.Trim(a["name"], ":")
	i := slices.IndexFunc(m.Reactions, func(r Reaction) bool { return r.Name == name && slices.Contains(r.Users, w.bot.ID) })
	if i < 0 {
		return nil, fail("no_reaction")
	}
	m.Reactions = slices.Delete(m.Reactions, i, i+1)
	w.publishMessage(changeMessage, c, m)
	return reply{}, nil
}

// blocksValidate is Slack's own judge of blocks.
func (w *Workspace) blocksValidate(a args) (reply, error) {
	if a["blocks"] == "" {
		return nil, fail("invalid_arguments")
	}
	if _, err := checkBlocks(a["blocks"]); err != nil {
		return nil, err
	}
	return reply{}, nil
}

// target finds the channel of a post: an ID, a name, or a user ID for a
// direct message.
func (w *Workspace) target(s string) (*channel, error) {
	if u := w.user(s); u != nil && u.ID == s && !u.Bot {
		return w.direct(u.ID), nil
	}
	c := w.channel(s)
	if c == nil && w.opts.CreateChannels && isChannelName(s) {
		c = w.addChannel(Channel{Name: s})
		w.publishChannel(c)
	}
	return w.usable(c)
}

// byID finds a channel that the bot may use, by ID alone.
func (w *Workspace) byID(id string) (*channel, error) {
	c := w.channel(id)
	if c != nil && c.ID != id {
		c = nil
	}
	return w.usable(c)
}

// usable refuses a channel that the bot cannot write to.
func (w *Workspace) usable(c *channel) (*channel, error) {
	switch {
	case c == nil, c.Private && !c.members[w.bot.ID]:
		return nil, fail("channel_not_found")
	case c.Archived:
		return nil, fail("is_archived")
	case !c.members[w.bot.ID]:
		return nil, fail("not_in_channel")
	}
	return c, nil
}

// isChannelName says whether a name could be that of a channel, and is no ID.
func isChannelName(s string) bool {
	s = strings.TrimPrefix(s, "#")
	if s == "" || len(s) > 80 || s != strings.ToLower(s) {
		return false
	}
	return !strings.ContainsAny(s, " .,#@/\\\"'<>&\n\t")
}

// messageBody is what a message says.
type messageBody struct {
	text                          string
	blocks, attachments, metadata json.RawMessage
	hasBlocks, hasAttachments     bool // present, perhaps as an empty array
}

func (b messageBody) empty() bool {
	return strings.TrimSpace(b.text) == "" && b.blocks == nil && b.attachments == nil
}

// readBody reads and checks the content of a message.
func readBody(a args) (messageBody, error) {
	b := messageBody{text: a["text"]}
	var err error
	if s, ok := a["blocks"]; ok && s != "" {
		b.hasBlocks = true
		if b.blocks, err = checkBlocks(s); err != nil {
			return b, err
		}
	}
	if s, ok := a["attachments"]; ok && s != "" {
		b.hasAttachments = true
		if b.attachments, err = checkAttachments(s); err != nil {
			return b, err
		}
	}
	if s := a["metadata"]; s != "" {
		if b.metadata, err = checkMetadata(s); err != nil {
			return b, err
		}
	}
	return b, nil
}

// checkMetadata wants an event type and a payload that is an object.
func checkMetadata(s string) (json.RawMessage, error) {
	var m struct {
		Type    string         `json:"event_type"`
		Payload map[string]any `json:"event_payload"`
	}
	if err := json.Unmarshal([]byte(s), &m); err != nil {
		return nil, fail("invalid_metadata_format")
	}
	if m.Type == "" {
		if len(m.Payload) == 0 {
			return nil, nil // some clients send an empty one with every message
		}
		return nil, fail("invalid_metadata_schema")
	}
	return json.Marshal(map[string]any{"event_type": m.Type, "event_payload": orEmpty(m.Payload)})
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// span is a stretch of history; both ends may be "".
type span struct {
	oldest, latest string
	inclusive      bool
}

func (s span) holds(ts string) bool {
	after := s.oldest == "" || compareTS(ts, s.oldest) > 0 || s.inclusive && ts == s.oldest
	before := s.latest == "" || compareTS(ts, s.latest) < 0 || s.inclusive && ts == s.latest
	return after && before
}
