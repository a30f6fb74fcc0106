package slackfake

import (
	"encoding/json"
	"slices"
)

// Status is the line above the messages of the page.
type Status struct {
	Text     string  `json:"text"`     // "" hides the line
	Fraction float64 `json:"fraction"` // of the work done, 0 to 1; negative: no bar
}

// SetStatus sets the line above the messages of the page: a text, and how far
// the work has come (0 to 1; negative: no bar). An empty text hides it.
func (w *Workspace) SetStatus(text string, fraction float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = Status{Text: text, Fraction: min(fraction, 1)}
	status := w.status
	w.publish(change{Kind: changeStatus, Status: &status})
}

// The kinds of changes.
const (
	changeMessage = "message" // new or edited
	changeDelete  = "delete"
	changeChannel = "channel" // new or changed
	changeStatus  = "status"
	changeView    = "view" // a modal or the App Home of the person at the page
)

// change is one thing that the page is told.
type change struct {
	Kind    string       `json:"kind"`
	Message *messageView `json:"message,omitempty"`
	Channel *channelView `json:"channel,omitempty"`
	Status  *Status      `json:"status,omitempty"`
	Views   *viewsView   `json:"views,omitempty"`
}

// viewsView is what the person at the page sees beside messages.
type viewsView struct {
	Modal *viewView `json:"modal"` // null where none is open
	Home  *viewView `json:"home"`
}

// viewView is a modal or the App Home as the page shows it.
type viewView struct {
	ID     string            `json:"id"`
	Title  string            `json:"title,omitempty"`
	Submit string            `json:"submit,omitempty"`
	Close  string            `json:"close,omitempty"`
	Blocks json.RawMessage   `json:"blocks"`
	Errors map[string]string `json:"errors,omitempty"`
}

// viewsNow are the views of the person at the page.
func (w *Workspace) viewsNow() *viewsView {
	show := func(v *View) *viewView {
		if v == nil {
			return nil
		}
		return &viewView{ID: v.ID, Title: v.Title, Submit: v.Submit, Close: v.Close, Blocks: v.Blocks, Errors: v.Errors}
	}
	me := w.me().ID
	out := &viewsView{Home: show(w.homes[me])}
	if stack := w.modals[me]; len(stack) > 0 {
		out.Modal = show(stack[len(stack)-1])
	}
	return out
}

// publishView tells every open page of a view that changed.
func (w *Workspace) publishView(user string) {
	if user == w.me().ID {
		w.publish(change{Kind: changeView, Views: w.viewsNow()})
	}
}

// messageView is a message as the page shows it.
type messageView struct {
	Channel     string          `json:"channel"`
	TS          string          `json:"ts"`
	ThreadTS    string          `json:"thread_ts,omitempty"`
	User        string          `json:"user"`
	Text        string          `json:"text"`
	Blocks      json.RawMessage `json:"blocks,omitempty"`
	Attachments json.RawMessage `json:"attachments,omitempty"`
	Broadcast   bool            `json:"broadcast,omitempty"`
	Edited      string          `json:"edited,omitempty"`
	Tombstone   bool            `json:"tombstone,omitempty"`
	ReplyCount  int             `json:"reply_count,omitempty"`
	LatestReply string          `json:"latest_reply,omitempty"`
	Reactions   []Reaction      `json:"reactions,omitempty"`
	Ephemeral   bool            `json:"ephemeral,omitempty"`
}

// channelView is a channel as the page shows it.
type channelView struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Topic    string `json:"topic,omitempty"`
	Private  bool   `json:"private,omitempty"`
	Archived bool   `json:"archived,omitempty"`
	IM       bool   `json:"im,omitempty"`
	Bot      bool   `json:"bot"` // the bot is a member
}

// userView is a user as the page shows it.
type userView struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Title string `json:"title"`
	Bot   bool   `json:"bot,omitempty"`
}

func (w *Workspace) messageView(m *Message) *messageView {
	return &messageView{
		Channel: m.Channel, TS: m.TS, ThreadTS: m.ThreadTS, User: m.User, Text: m.Text,
		Blocks: m.Blocks, Attachments: m.Attachments, Broadcast: m.Broadcast, Edited: m.Edited,
		Tombstone: m.Tombstone, ReplyCount: m.ReplyCount, LatestReply: m.LatestReply,
		Reactions: slices.Clone(m.Reactions), Ephemeral: m.Ephemeral,
	}
}

func (w *Workspace) channelView(c *channel) *channelView {
	name := c.Name
	if u := w.user(c.IM); u != nil {
		name = u.Name
	}
	return &channelView{
		ID: c.ID, Name: name, Topic: c.Topic, Private: c.Private, Archived: c.Archived,
		IM: c.IM != "", Bot: c.members[w.bot.ID],
	}
}

// me is the person who sits in front of the page.
func (w *Workspace) me() *User {
	i := slices.IndexFunc(w.users, func(u *User) bool { return !u.Bot })
	return w.users[i] // New makes at least one person
}

// shown says whether the person at the page may see the message at all.
func (w *Workspace) shown(c *channel, m *Message) bool {
	me := w.me()
	return c.members[me.ID] && (!m.Ephemeral || m.To == me.ID)
}

// changeQueue is how many changes a page may lag behind. A page that lags more
// is cut off; it comes back by itself and reads everything anew.
const changeQueue = 512

// watcher is one open page.
type watcher struct {
	changes chan []byte // closed when the page lags too far behind
}

func (w *Workspace) watch() *watcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := &watcher{changes: make(chan []byte, changeQueue)}
	w.watchers[v] = true
	return v
}

func (w *Workspace) unwatch(v *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.watchers, v)
}

// publish tells every open page. The lock is held.
func (w *Workspace) publish(c change) {
	if len(w.watchers) == 0 {
		return
	}
	b, err := json.Marshal(c)
	if err != nil {
		w.log.Error("change not shown", "error", err)
		return
	}
	for v := range w.watchers {
		select {
		case v.changes <- b:
		default:
			delete(w.watchers, v)
			close(v.changes)
		}
	}
}

// publishMessage tells every open page of a message, where its person may see it.
func (w *Workspace) publishMessage(kind string, c *channel, m *Message) {
	if w.shown(c, m) {
		w.publish(change{Kind: kind, Message: w.messageView(m)})
	}
}

// publishChannel tells every open page of a channel of its person.
func (w *Workspace) publishChannel(c *channel) {
	if c.members[w.me().ID] {
		w.publish(change{Kind: changeChannel, Channel: w.channelView(c)})
	}
}
