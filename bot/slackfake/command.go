package slackfake

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// commandWait is somebody who waits for the answer to a command or a click.
type commandWait struct {
	user, channel string // IDs
	answer        chan Message
}

// Command types a slash command, such as "/tapio list", as a user in a
// channel, both by name or ID. It returns the first answer: the one in the
// acknowledgement, one over the response URL, or an ephemeral to that user in
// that channel.
func (w *Workspace) Command(ctx context.Context, user, channel, text string) (Message, error) {
	w.mu.Lock()
	u, c := w.user(user), w.channel(channel)
	d, ru, err := w.prepareCommand(u, c, text)
	if err != nil {
		w.mu.Unlock()
		return Message{}, fmt.Errorf("%w (user %q, channel %q)", err, user, channel)
	}
	wait := w.startWaiting(u, c)
	w.mu.Unlock()
	defer w.doneWaiting(wait)
	failed := make(chan error, 1)
	go func() {
		body, err := w.deliver(w.ctx, d)
		if err == nil {
			err = w.respond(ru, body)
		}
		if err != nil {
			failed <- err
		}
	}()
	select {
	case m := <-wait.answer:
		return m, nil
	case err := <-failed:
		return Message{}, fmt.Errorf("command %q: %w", text, err)
	case <-ctx.Done():
		return Message{}, fmt.Errorf("command %q: no answer: %w", text, ctx.Err())
	}
}

// prepareCommand makes the delivery of a command. The lock is held.
func (w *Workspace) prepareCommand(u *User, c *channel, text string) (delivery, *responseURL, error) {
	if u == nil || c == nil {
		return delivery{}, nil, fmt.Errorf("command %q: no such user or channel", text)
	}
	name, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	ru := w.newResponseURL(c, u, nil)
	fields := map[string]string{
		"token": "local", "team_id": teamID, "team_domain": "local", "api_app_id": appID,
		"channel_id": c.ID, "channel_name": cmp.Or(c.Name, "directmessage"),
		"user_id": u.ID, "user_name": u.Name, "command": name, "text": strings.TrimSpace(rest),
		"is_enterprise_install": "false", "response_url": w.base + "/response/" + ru.id, "trigger_id": w.newTrigger(u),
	}
	d := delivery{kind: "slash_commands", payload: map[string]any{}, url: w.opts.CommandsURL, form: url.Values{}}
	for k, v := range fields {
		d.payload[k] = v
		d.form.Set(k, v)
	}
	return d, ru, nil
}

// Action names what is clicked, and by whom.
type Action struct {
	User     string // name or ID
	Channel  string // name or ID
	TS       string // of the message, a root, a reply or an ephemeral
	ActionID string
	BlockID  string // only needed where an action ID occurs twice in the message
	Value    string // of the option that is chosen, in a select or an overflow menu
}

// Click presses a button or chooses an option. It returns when the app has
// acknowledged.
func (w *Workspace) Click(ctx context.Context, a Action) error {
	d, err := w.prepareClick(a)
	if err != nil {
		return err
	}
	if _, err := w.deliver(ctx, d); err != nil {
		return fmt.Errorf("click %s: %w", a.ActionID, err)
	}
	return nil
}

func (w *Workspace) prepareClick(a Action) (delivery, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u, c := w.user(a.User), w.channel(a.Channel)
	if u == nil || c == nil {
		return delivery{}, fmt.Errorf("click %s: no user %q or no channel %q", a.ActionID, a.User, a.Channel)
	}
	m, _ := c.message(a.TS)
	if i := slices.IndexFunc(w.ephemerals, func(m *Message) bool { return m.Channel == c.ID && m.TS == a.TS && m.To == u.ID }); i >= 0 {
		m = w.ephemerals[i]
	}
	if m == nil {
		return delivery{}, fmt.Errorf("click %s: no message %s in %s", a.ActionID, a.TS, a.Channel)
	}
	el := findElement(m, a)
	if el == nil {
		return delivery{}, fmt.Errorf("click %s: message %s has no such element", a.ActionID, a.TS)
	}
	action, err := el.action(a.Value)
	if err != nil {
		return delivery{}, fmt.Errorf("click %s: %w", a.ActionID, err)
	}
	action["action_ts"] = w.stamp()
	ru := w.newResponseURL(c, u, m)
	container := map[string]any{"type": "message", "message_ts": m.TS, "channel_id": c.ID, "is_ephemeral": m.Ephemeral}
	if m.ThreadTS != "" {
		container["thread_ts"] = m.ThreadTS
	}
	if el.attachment > 0 {
		container["type"] = "message_attachment"
		container["attachment_id"] = el.attachment
		container["is_app_unfurl"] = false
	}
	payload := w.interaction("block_actions", u)
	payload["channel"] = map[string]any{"id": c.ID, "name": cmp.Or(c.Name, "directmessage")}
	payload["container"] = container
	payload["response_url"] = w.base + "/response/" + ru.id
	payload["actions"] = []any{action}
	payload["state"] = map[string]any{"values": map[string]any{}}
	if !m.Ephemeral {
		payload["message"] = w.wire(m, false)
	}
	return w.interactive(payload)
}

// newTrigger returns a trigger ID, which opens one modal for the user.
func (w *Workspace) newTrigger(u *User) string {
	w.lastID++
	t := &trigger{id: fmt.Sprintf("%d.%d.local", w.opts.Now().UnixMilli(), w.lastID), user: u.ID, ends: w.opts.Now().Add(triggerLife)}
	w.triggers = keepLast(append(w.triggers, t), maxTriggers)
	return t.id
}

func (w *Workspace) startWaiting(u *User, c *channel) *commandWait {
	wait := &commandWait{user: u.ID, channel: c.ID, answer: make(chan Message, 1)}
	w.waiting = append(w.waiting, wait)
	return wait
}

func (w *Workspace) doneWaiting(wait *commandWait) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = slices.DeleteFunc(w.waiting, func(x *commandWait) bool { return x == wait })
}

// answerWaiting hands an answer to the first one who waits for it.
func (w *Workspace) answerWaiting(userID, channelID string, m *Message) {
	for i, wait := range w.waiting {
		if wait.user == userID && wait.channel == channelID {
			wait.answer <- m.clone() // buffered: one answer, then it waits no more
			w.waiting = slices.Delete(w.waiting, i, i+1)
			return
		}
	}
}
