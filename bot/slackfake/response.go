package slackfake

import (
	"crypto/rand"
	"io"
	"maps"
	"net/http"
	"time"
)

// Limits of a response URL (docs.slack.dev/interactivity/handling-user-interaction).
const (
	responseUses = 5
	responseLife = 30 * time.Minute
)

// responseURL lets the app answer a command or a click without a token.
type responseURL struct {
	id      string
	channel *channel
	user    *User
	origin  *Message // the clicked message; nil for a command
	ends    time.Time
	left    int
}

func (w *Workspace) newResponseURL(c *channel, u *User, origin *Message) *responseURL {
	now := w.opts.Now()
	maps.DeleteFunc(w.urls, func(_ string, r *responseURL) bool { return now.After(r.ends.Add(responseLife)) })
	r := &responseURL{id: rand.Text(), channel: c, user: u, origin: origin, ends: now.Add(responseLife), left: responseUses}
	w.urls[r.id] = r
	return r
}

// serveResponse takes a message for a response URL.
func (w *Workspace) serveResponse(rw http.ResponseWriter, r *http.Request) {
	fault := w.takeFault("response_url", "")
	if fault != nil && fault.Delay > 0 && !sleep(r.Context(), fault.Delay) {
		return
	}
	if fault != nil && fault.answersInstead() {
		fault.answer(rw)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxBody))
	if err != nil {
		http.Error(rw, "request_too_large", http.StatusRequestEntityTooLarge)
		return
	}
	w.mu.Lock()
	u := w.urls[r.PathValue("id")]
	refused := ""
	switch {
	case u == nil:
		refused = "invalid_url"
	case w.opts.Now().After(u.ends):
		refused = "expired_url"
	case u.left == 0:
		refused = "used_url"
	default:
		u.left--
	}
	w.mu.Unlock()
	if refused == "" {
		if err := w.respond(u, body); err != nil {
			refused = err.Error()
		}
	}
	c := Call{Method: "response_url", Args: args{"body": string(body)}, Error: refused}
	if fault != nil {
		c.Fault = fault.Kind
	}
	w.record(c)
	if fault != nil && fault.Kind == CommitThenCut {
		panic(http.ErrAbortHandler)
	}
	if refused != "" {
		writeJSON(rw, http.StatusNotFound, reply{"ok": false, "error": refused})
		return
	}
	io.WriteString(rw, "ok")
}

// respond carries out what the app answered, in an ack or over a response URL.
func (w *Workspace) respond(u *responseURL, body []byte) error {
	a := args{}
	if err := a.addJSON(body); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.on("delete_original") && u.origin != nil {
		return w.dropOrigin(u)
	}
	b, err := readBody(a)
	if err != nil {
		return err
	}
	if b.empty() {
		if len(a) == 0 {
			return nil // a bare acknowledgement
		}
		return fail("no_text")
	}
	if a.on("replace_original") && u.origin != nil {
		w.edit(u.channel, u.origin, b, true)
		w.answerWaiting(u.user.ID, u.channel.ID, u.origin)
		return nil
	}
	m := &Message{User: w.bot.ID, Text: b.text, Blocks: b.blocks, Attachments: b.attachments, Metadata: b.metadata}
	if _, root := u.channel.message(a["thread_ts"]); root != nil {
		m.ThreadTS = root.TS
	}
	if a["response_type"] == "in_channel" {
		w.commit(u.channel, m)
		w.answerWaiting(u.user.ID, u.channel.ID, m)
		return nil
	}
	m.To = u.user.ID
	w.whisper(u.channel, m)
	return nil
}

// dropOrigin removes the clicked message.
func (w *Workspace) dropOrigin(u *responseURL) error {
	if u.origin.Ephemeral {
		w.dropEphemeral(u.channel, u.origin)
		return nil
	}
	m, root := u.channel.message(u.origin.TS)
	if m == nil {
		return fail("message_not_found")
	}
	w.remove(u.channel, m, root)
	return nil
}
