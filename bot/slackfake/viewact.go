package slackfake

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
)

// Submit fills in the modal that a person sees and sends it: block_id → text,
// or the value of an option. Where the app finds something wrong, the modal
// stays open and its Errors say what.
func (w *Workspace) Submit(ctx context.Context, user string, values map[string]string) error {
	d, u, v, err := w.prepareSubmit(user, values)
	if err != nil {
		return err
	}
	body, err := w.deliver(ctx, d)
	if err != nil {
		return fmt.Errorf("submit %s: %w", v.CallbackID, err)
	}
	var answer struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   json.RawMessage   `json:"view"`
	}
	if len(body) > 0 && string(body) != "null" {
		if err := json.Unmarshal(body, &answer); err != nil {
			return fmt.Errorf("submit %s: the app answered %s: %w", v.CallbackID, body, err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	stack := w.modals[u.ID]
	switch answer.Action {
	case "errors":
		for id := range answer.Errors {
			if !hasBlock(v.Blocks, id) {
				return fmt.Errorf("submit %s: the app complains about block %q, which isn't there", v.CallbackID, id)
			}
		}
		v.Errors = answer.Errors
	case "update", "push":
		next, err := w.readView(string(answer.View), "modal")
		if err != nil {
			return fmt.Errorf("submit %s: %w", v.CallbackID, err)
		}
		if answer.Action == "update" && len(stack) > 0 {
			stack[len(stack)-1] = next
		} else {
			w.modals[u.ID] = append(stack, next)
		}
	case "clear":
		delete(w.modals, u.ID)
	case "":
		if len(stack) > 0 {
			w.modals[u.ID] = stack[:len(stack)-1]
		}
	default:
		return fmt.Errorf("submit %s: unknown response_action %q", v.CallbackID, answer.Action)
	}
	w.publishView(u.ID)
	return nil
}

func (w *Workspace) prepareSubmit(user string, values map[string]string) (delivery, *User, *View, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.user(user)
	if u == nil || len(w.modals[u.ID]) == 0 {
		return delivery{}, nil, nil, fmt.Errorf("submit: %q has no modal open", user)
	}
	stack := w.modals[u.ID]
	v := stack[len(stack)-1]
	if v.Submit == "" {
		return delivery{}, nil, nil, fmt.Errorf("submit %s: it has no button for that", v.CallbackID)
	}
	state, err := v.state(values)
	if err != nil {
		return delivery{}, nil, nil, fmt.Errorf("submit %s: %w", v.CallbackID, err)
	}
	payload := w.interaction("view_submission", u)
	payload["view"] = v.wire(state)
	payload["response_urls"] = []any{}
	d, err := w.interactive(payload)
	return d, u, v, err
}

// state is what was entered in a modal, as Slack tells the app. It refuses what
// Slack would not send: a required field that is empty.
func (v *View) state(values map[string]string) (map[string]any, error) {
	var blocks []struct {
		Type     string         `json:"type"`
		BlockID  string         `json:"block_id"`
		Optional bool           `json:"optional"`
		Element  map[string]any `json:"element"`
	}
	if err := json.Unmarshal(v.Blocks, &blocks); err != nil {
		return nil, err
	}
	state, known := map[string]any{}, map[string]bool{}
	for _, b := range blocks {
		if b.Type != "input" {
			continue
		}
		known[b.BlockID] = true
		id, _ := b.Element["action_id"].(string)
		entered, given := values[b.BlockID]
		one := map[string]any{"type": b.Element["type"]}
		switch b.Element["type"] {
		case "plain_text_input":
			initial, _ := b.Element["initial_value"].(string)
			if !given {
				entered = initial
			}
			one["value"] = nil
			if entered != "" {
				one["value"] = entered
			}
		case "static_select":
			e := element{fields: b.Element}
			one["selected_option"] = b.Element["initial_option"]
			if given && entered != "" {
				if one["selected_option"] = e.option(entered); one["selected_option"] == nil {
					return nil, fmt.Errorf("%s has no option %q", b.BlockID, entered)
				}
			}
			if one["selected_option"] != nil {
				entered = "chosen"
			}
		default:
			return nil, fmt.Errorf("%v can't be filled in here", b.Element["type"])
		}
		if entered == "" && !b.Optional {
			return nil, fmt.Errorf("%s is required", b.BlockID)
		}
		state[b.BlockID] = map[string]any{id: one}
	}
	for id := range values {
		if !known[id] {
			return nil, fmt.Errorf("there is no field %q", id)
		}
	}
	return state, nil
}

func hasBlock(raw json.RawMessage, id string) bool {
	var blocks []struct {
		BlockID string `json:"block_id"`
	}
	_ = json.Unmarshal(raw, &blocks) // it was written here
	for _, b := range blocks {
		if b.BlockID == id {
			return true
		}
	}
	return false
}

// interaction is what every interaction has.
func (w *Workspace) interaction(kind string, u *User) map[string]any {
	return map[string]any{
		"type": kind, "token": "local", "api_app_id": appID,
		"team":       map[string]any{"id": teamID, "domain": "local"},
		"user":       map[string]any{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": teamID},
		"enterprise": nil, "is_enterprise_install": false,
		"trigger_id": w.newTrigger(u),
	}
}

// interactive makes a delivery of an interaction.
func (w *Workspace) interactive(payload map[string]any) (delivery, error) {
	text, err := json.Marshal(payload)
	if err != nil {
		return delivery{}, err
	}
	return delivery{kind: "interactive", payload: payload, url: w.opts.InteractionsURL, form: url.Values{"payload": {string(text)}}}, nil
}

// ClickView presses a button of the modal or the App Home that a person sees.
// Action.Channel and Action.TS are not looked at.
func (w *Workspace) ClickView(ctx context.Context, a Action, home bool) error {
	d, err := w.prepareViewClick(a, home)
	if err != nil {
		return err
	}
	if _, err := w.deliver(ctx, d); err != nil {
		return fmt.Errorf("click %s: %w", a.ActionID, err)
	}
	return nil
}

func (w *Workspace) prepareViewClick(a Action, home bool) (delivery, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.user(a.User)
	if u == nil {
		return delivery{}, fmt.Errorf("click %s: no user %q", a.ActionID, a.User)
	}
	var v *View
	if home {
		v = w.homes[u.ID]
	} else if stack := w.modals[u.ID]; len(stack) > 0 {
		v = stack[len(stack)-1]
	}
	if v == nil {
		return delivery{}, fmt.Errorf("click %s: %s has no such view", a.ActionID, a.User)
	}
	for _, e := range blockElements(v.Blocks, 0) {
		if e.fields["action_id"] != a.ActionID || a.BlockID != "" && a.BlockID != e.blockID {
			continue
		}
		if a.BlockID == "" && a.Value != "" && e.fields["type"] == "button" && e.fields["value"] != a.Value {
			continue
		}
		action, err := e.action(a.Value)
		if err != nil {
			return delivery{}, fmt.Errorf("click %s: %w", a.ActionID, err)
		}
		action["action_ts"] = w.stamp()
		payload := w.interaction("block_actions", u)
		payload["container"] = map[string]any{"type": "view", "view_id": v.ID}
		payload["view"] = v.wire(nil)
		payload["actions"] = []any{action}
		return w.interactive(payload)
	}
	return delivery{}, fmt.Errorf("click %s: the view has no such element", a.ActionID)
}

func (w *Workspace) stamp() string {
	return fmt.Sprintf("%d.%06d", w.opts.Now().Unix(), w.opts.Now().Nanosecond()/1000)
}

// Shortcut chooses a shortcut from the menu of a message.
func (w *Workspace) Shortcut(ctx context.Context, user, channel, ts, callbackID string) error {
	w.mu.Lock()
	u, c := w.user(user), w.channel(channel)
	if u == nil || c == nil {
		w.mu.Unlock()
		return fmt.Errorf("shortcut %s: no user %q or no channel %q", callbackID, user, channel)
	}
	m, _ := c.message(ts)
	if m == nil {
		w.mu.Unlock()
		return fmt.Errorf("shortcut %s: no message %s in %s", callbackID, ts, channel)
	}
	payload := w.interaction("message_action", u)
	payload["callback_id"] = callbackID
	payload["action_ts"] = w.stamp()
	payload["message_ts"] = m.TS
	payload["message"] = w.wire(m, false)
	payload["channel"] = map[string]any{"id": c.ID, "name": cmp.Or(c.Name, "directmessage")}
	payload["response_url"] = w.base + "/response/" + w.newResponseURL(c, u, nil).id
	d, err := w.interactive(payload)
	w.mu.Unlock()
	if err != nil {
		return err
	}
	if _, err := w.deliver(ctx, d); err != nil {
		return fmt.Errorf("shortcut %s: %w", callbackID, err)
	}
	return nil
}

// OpenHome opens the App Home of a person, which tells the app.
func (w *Workspace) OpenHome(ctx context.Context, user string) error {
	w.mu.Lock()
	u := w.user(user)
	if u == nil {
		w.mu.Unlock()
		return fmt.Errorf("open home: no user %q", user)
	}
	im := w.direct(u.ID)
	event := map[string]any{"type": "app_home_opened", "user": u.ID, "channel": im.ID, "tab": "home", "event_ts": w.stamp()}
	if v := w.homes[u.ID]; v != nil {
		event["view"] = v.wire(nil)
	}
	d, err := w.eventDelivery(event)
	w.mu.Unlock()
	if err != nil {
		return err
	}
	if _, err := w.deliver(ctx, d); err != nil {
		return fmt.Errorf("open home: %w", err)
	}
	return nil
}

// eventDelivery wraps an event as the Events API does.
func (w *Workspace) eventDelivery(event map[string]any) (delivery, error) {
	payload := map[string]any{
		"token": "local", "team_id": teamID, "api_app_id": appID, "type": "event_callback",
		"event_id": w.newID("Ev"), "event_time": w.opts.Now().Unix(), "event": event,
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return delivery{}, err
	}
	return delivery{kind: "events_api", payload: payload, url: w.opts.EventsURL, json: body}, nil
}
