package slackfake

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// Limits of views (docs.slack.dev/reference/views).
const (
	maxViewBlocks = 100
	maxViewTitle  = 24
	maxMetadata   = 3000
	maxViewStack  = 3       // modals on top of each other
	maxViewBytes  = 250_000 // of JSON
	maxLabel      = 2000
	maxInput      = 3000
	triggerLife   = 3 * time.Second
	maxTriggers   = 10_000 // remembered; the oldest go
)

// View is a modal or an App Home.
type View struct {
	ID         string
	Type       string // "modal" or "home"
	CallbackID string
	Metadata   string
	Title      string
	Submit     string // label of the button; "" without
	Close      string
	Blocks     json.RawMessage
	Hash       string
	Errors     map[string]string // what the app found wrong with the last submission, by block_id
}

func (v *View) clone() View {
	out := *v
	out.Blocks = slices.Clone(v.Blocks)
	return out
}

// wire is the view as the Web API and interactions show it.
func (v *View) wire(state map[string]any) map[string]any {
	plain := func(s string) any {
		if s == "" {
			return nil
		}
		return map[string]any{"type": "plain_text", "text": s, "emoji": true}
	}
	if state == nil {
		state = map[string]any{}
	}
	return map[string]any{
		"id": v.ID, "team_id": teamID, "type": v.Type, "app_id": appID, "callback_id": v.CallbackID,
		"private_metadata": v.Metadata, "title": plain(v.Title), "submit": plain(v.Submit), "close": plain(v.Close),
		"blocks": v.Blocks, "hash": v.Hash, "state": map[string]any{"values": state},
		"root_view_id": v.ID, "previous_view_id": nil, "external_id": "", "clear_on_close": false, "notify_on_close": false,
	}
}

// trigger is a permission to open one modal.
type trigger struct {
	id   string
	user string
	ends time.Time
	used bool
}

// takeTrigger uses a trigger up and returns whose it is.
func (w *Workspace) takeTrigger(id string) (user string, err error) {
	i := slices.IndexFunc(w.triggers, func(t *trigger) bool { return t.id == id })
	switch {
	case id == "" || i < 0:
		return "", fail("invalid_trigger_id")
	case w.triggers[i].used:
		return "", fail("exchanged_trigger_id")
	case w.opts.Now().After(w.triggers[i].ends):
		return "", fail("expired_trigger_id")
	}
	w.triggers[i].used = true
	return w.triggers[i].user, nil
}

func (w *Workspace) viewsOpen(a args) (reply, error) { return w.openView(a, false) }
func (w *Workspace) viewsPush(a args) (reply, error) { return w.openView(a, true) }

func (w *Workspace) openView(a args, push bool) (reply, error) {
	v, err := w.readView(a["view"], "modal")
	if err != nil {
		return nil, err
	}
	user, err := w.takeTrigger(a["trigger_id"])
	if err != nil {
		return nil, err
	}
	stack := w.modals[user]
	switch {
	case push && len(stack) >= maxViewStack:
		return nil, fail("push_limit_reached")
	case !push:
		stack = nil
	}
	w.modals[user] = append(stack, v)
	w.publishView(user)
	return reply{"view": v.wire(nil)}, nil
}

func (w *Workspace) viewsUpdate(a args) (reply, error) {
	v, err := w.readView(a["view"], "modal")
	if err != nil {
		return nil, err
	}
	for user, stack := range w.modals {
		for i, old := range stack {
			if old.ID != a["view_id"] {
				continue
			}
			if a["hash"] != "" && a["hash"] != old.Hash {
				return nil, fail("hash_conflict")
			}
			v.ID = old.ID
			stack[i] = v
			w.publishView(user)
			return reply{"view": v.wire(nil)}, nil
		}
	}
	return nil, fail("not_found")
}

func (w *Workspace) viewsPublish(a args) (reply, error) {
	u := w.user(a["user_id"])
	if u == nil || u.ID != a["user_id"] {
		return nil, fail("invalid_arguments")
	}
	v, err := w.readView(a["view"], "home")
	if err != nil {
		return nil, err
	}
	old := w.homes[u.ID]
	if old != nil {
		if a["hash"] != "" && a["hash"] != old.Hash {
			return nil, fail("hash_conflict")
		}
		v.ID = old.ID
	}
	w.homes[u.ID] = v
	w.publishView(u.ID)
	return reply{"view": v.wire(nil)}, nil
}

// readView reads and checks a view.
func (w *Workspace) readView(s, kind string) (*View, error) {
	var in struct {
		Type       string           `json:"type"`
		CallbackID string           `json:"callback_id"`
		Metadata   string           `json:"private_metadata"`
		Title      map[string]any   `json:"title"`
		Submit     map[string]any   `json:"submit"`
		Close      map[string]any   `json:"close"`
		Blocks     []map[string]any `json:"blocks"`
	}
	if s == "" || json.Unmarshal([]byte(s), &in) != nil {
		return nil, fail("invalid_arguments")
	}
	if len(s) > maxViewBytes {
		return nil, fail("view_too_large")
	}
	c := checker{view: kind}
	if in.Type != kind {
		c.say("/view/type", "must be %q", kind)
	}
	if utf8.RuneCountInString(in.Metadata) > maxMetadata {
		c.say("/view/private_metadata", "must be less than %d characters", maxMetadata+1)
	}
	if utf8.RuneCountInString(in.CallbackID) > maxID {
		c.say("/view/callback_id", "must be less than %d characters", maxID+1)
	}
	inputs := slices.ContainsFunc(in.Blocks, func(b map[string]any) bool { return b["type"] == "input" })
	if kind == "modal" {
		c.text("/view/title", in.Title, maxViewTitle, "plain_text")
		for name, t := range map[string]map[string]any{"submit": in.Submit, "close": in.Close} {
			if t != nil {
				c.text("/view/"+name, t, maxViewTitle, "plain_text")
			}
		}
		if inputs && in.Submit == nil {
			c.say("/view", "missing required field: submit")
		}
	}
	if len(in.Blocks) == 0 {
		c.say("/view/blocks", "no less than 1 item allowed")
	}
	c.blocks("/view/blocks", in.Blocks)
	if err := c.err("invalid_arguments"); err != nil {
		return nil, err
	}
	blocks, err := json.Marshal(in.Blocks)
	if err != nil {
		return nil, fail("invalid_arguments")
	}
	words := func(t map[string]any) string { s, _ := t["text"].(string); return s }
	id := w.newID("V")
	return &View{
		ID: id, Type: kind, CallbackID: in.CallbackID, Metadata: in.Metadata,
		Title: words(in.Title), Submit: words(in.Submit), Close: words(in.Close), Blocks: blocks,
		Hash: fmt.Sprintf("%d.%s", w.opts.Now().Unix(), id),
	}, nil
}

// input checks an input block.
func (c *checker) input(p string, b map[string]any) {
	if c.view == "" {
		c.say(p+"/type", "unsupported block type: %q", "input") // Slack takes it in messages too; Tapio doesn't send it there
		return
	}
	c.text(p+"/label", b["label"], maxLabel, "plain_text")
	if h, ok := b["hint"]; ok {
		c.text(p+"/hint", h, maxLabel, "plain_text")
	}
	e, ok := b["element"].(map[string]any)
	if !ok {
		c.say(p+"/element", "must be an object")
		return
	}
	if e["type"] != "plain_text_input" {
		c.element(p+"/element", e)
		return
	}
	c.optional(p+"/element/action_id", e["action_id"], maxID)
	if t, ok := e["placeholder"]; ok {
		c.text(p+"/element/placeholder", t, maxPlaceholder, "plain_text")
	}
	c.optional(p+"/element/initial_value", e["initial_value"], maxInput)
	if most, ok := e["max_length"].(float64); ok && (most < 1 || most > maxInput) {
		c.say(p+"/element/max_length", "must be from 1 to %d", maxInput)
	}
}

// Modal returns the modal that a person sees, by name or ID; false when there
// is none.
func (w *Workspace) Modal(user string) (View, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.user(user)
	if u == nil || len(w.modals[u.ID]) == 0 {
		return View{}, false
	}
	stack := w.modals[u.ID]
	return stack[len(stack)-1].clone(), true
}

// Home returns the App Home of a person; false when none was published.
func (w *Workspace) Home(user string) (View, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.user(user)
	if u == nil || w.homes[u.ID] == nil {
		return View{}, false
	}
	return w.homes[u.ID].clone(), true
}

// CloseModal closes what a person has open.
func (w *Workspace) CloseModal(user string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u := w.user(user); u != nil {
		delete(w.modals, u.ID)
		w.publishView(u.ID)
	}
}

// Trigger returns a trigger of a person, as one comes with every interaction.
func (w *Workspace) Trigger(user string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.user(user)
	if u == nil {
		return ""
	}
	return w.newTrigger(u)
}
