package slackfake

import (
	"encoding/json"
	"errors"
	"fmt"
)

// element is one interactive element of a message.
type element struct {
	fields     map[string]any
	blockID    string
	attachment int // its number, from 1; 0 in the message itself
}

// findElement finds the element that an action names; nil when there is none.
func findElement(m *Message, a Action) *element {
	for _, e := range elements(m) {
		if e.fields["action_id"] == a.ActionID && (a.BlockID == "" || a.BlockID == e.blockID) {
			return &e
		}
	}
	return nil
}

// elements lists the interactive elements of a message and its attachments.
func elements(m *Message) []element {
	out := blockElements(m.Blocks, 0)
	var attachments []struct {
		Blocks json.RawMessage `json:"blocks"`
	}
	if len(m.Attachments) > 0 && json.Unmarshal(m.Attachments, &attachments) == nil {
		for i, at := range attachments {
			out = append(out, blockElements(at.Blocks, i+1)...)
		}
	}
	return out
}

func blockElements(raw json.RawMessage, attachment int) []element {
	var blocks []struct {
		Type      string            `json:"type"`
		BlockID   string            `json:"block_id"`
		Elements  []json.RawMessage `json:"elements"`
		Accessory json.RawMessage   `json:"accessory"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &blocks) != nil {
		return nil
	}
	var out []element
	for _, b := range blocks {
		candidates := []json.RawMessage{b.Accessory}
		if b.Type == "actions" {
			candidates = b.Elements
		}
		for _, c := range candidates {
			var f map[string]any
			if len(c) > 0 && json.Unmarshal(c, &f) == nil && f["action_id"] != nil {
				out = append(out, element{fields: f, blockID: b.BlockID, attachment: attachment})
			}
		}
	}
	return out
}

// action is what the app is told of a click on the element.
func (e *element) action(value string) (map[string]any, error) {
	out := map[string]any{"type": e.fields["type"], "action_id": e.fields["action_id"], "block_id": e.blockID}
	switch e.fields["type"] {
	case "button":
		out["text"] = e.fields["text"]
		for _, k := range []string{"value", "style"} {
			if v, ok := e.fields[k]; ok {
				out[k] = v
			}
		}
	case "static_select", "overflow":
		opt := e.option(value)
		if opt == nil {
			return nil, fmt.Errorf("it has no option with value %q", value)
		}
		out["selected_option"] = opt
		if p, ok := e.fields["placeholder"]; ok {
			out["placeholder"] = p
		}
	default:
		return nil, errors.New("this kind of element cannot be clicked here")
	}
	return out, nil
}

// option finds an option of a menu by its value.
func (e *element) option(value string) any {
	lists := []any{e.fields["options"]}
	groups, _ := e.fields["option_groups"].([]any)
	for _, g := range groups {
		if m, ok := g.(map[string]any); ok {
			lists = append(lists, m["options"])
		}
	}
	for _, l := range lists {
		options, _ := l.([]any)
		for _, o := range options {
			if m, ok := o.(map[string]any); ok && m["value"] == value {
				return o
			}
		}
	}
	return nil
}
