package slackfake

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Limits of Block Kit (docs.slack.dev/reference/block-kit). Texts are counted
// in characters.
const (
	maxBlocks       = 50
	maxAttachments  = 100
	maxText         = 3000
	maxHeader       = 150
	maxFields       = 10
	maxField        = 2000
	maxContext      = 10
	maxActions      = 25
	maxButtonText   = 75
	maxValue        = 2000
	maxURL          = 3000
	maxID           = 255
	maxOptionText   = 75
	maxOptionValue  = 75
	maxOptions      = 100
	maxOverflow     = 5
	maxPlaceholder  = 150
	maxAlt          = 2000
	maxTableRows    = 100
	maxTableCells   = 20
	maxTableText    = 10_000
	maxBlockMessage = 250_000 // bytes of JSON; above, msg_blocks_too_long
)

// checkBlocks checks the blocks of a message against Slack's limits and gives
// those without a block_id one, as Slack does. No blocks give nil.
func checkBlocks(s string) (json.RawMessage, error) {
	blocks, ok := readObjects(s)
	if !ok {
		return nil, fail("invalid_blocks_format")
	}
	if len(blocks) == 0 {
		return nil, nil
	}
	if len(s) > maxBlockMessage {
		return nil, fail("msg_blocks_too_long")
	}
	var c checker
	c.blocks("/blocks", blocks)
	if err := c.err("invalid_blocks"); err != nil {
		return nil, err
	}
	return json.Marshal(blocks)
}

// checkAttachments does the same for attachments and the blocks in them.
func checkAttachments(s string) (json.RawMessage, error) {
	list, ok := readObjects(s)
	if !ok {
		return nil, fail("invalid_attachments")
	}
	if len(list) == 0 {
		return nil, nil
	}
	if len(list) > maxAttachments {
		return nil, fail("too_many_attachments")
	}
	if len(s) > maxBlockMessage {
		return nil, fail("msg_blocks_too_long")
	}
	var c checker
	for i, a := range list {
		a["id"] = i + 1
		raw, ok := a["blocks"]
		if !ok {
			continue
		}
		blocks, ok := objects(raw)
		if !ok {
			c.say(fmt.Sprintf("/attachments/%d/blocks", i), "must be an array of blocks")
			continue
		}
		c.blocks(fmt.Sprintf("/attachments/%d/blocks", i), blocks)
		if a["fallback"] == nil {
			a["fallback"] = "[no preview available]"
		}
	}
	if err := c.err("invalid_attachments"); err != nil {
		return nil, err
	}
	return json.Marshal(list)
}

// checker gathers what is wrong, each with the place where it is.
type checker struct {
	problems []string
	blockIDs map[string]bool
	view     string // "modal" or "home"; "" in a message
	tables   int
}

func (c *checker) say(at, format string, v ...any) {
	c.problems = append(c.problems, fmt.Sprintf("[ERROR] %s [json-pointer:%s]", fmt.Sprintf(format, v...), at))
}

func (c *checker) err(name string) error {
	if len(c.problems) == 0 {
		return nil
	}
	return &apiError{name: name, extra: map[string]any{
		"errors":            c.problems,
		"response_metadata": map[string]any{"messages": c.problems},
	}}
}

func (c *checker) blocks(at string, blocks []map[string]any) {
	most := maxBlocks
	if c.view != "" {
		most = maxViewBlocks
	}
	if len(blocks) > most {
		c.say(at, "no more than %d items allowed", most)
	}
	if c.blockIDs == nil {
		c.blockIDs = map[string]bool{}
	}
	for i, b := range blocks {
		p := fmt.Sprintf("%s/%d", at, i)
		id, _ := b["block_id"].(string)
		switch {
		case id == "":
			b["block_id"] = rand.Text()[:5]
		case utf8.RuneCountInString(id) > maxID:
			c.say(p+"/block_id", "must be less than %d characters", maxID+1)
		case c.blockIDs[id]:
			c.say(p+"/block_id", "block_id %q already exists", id)
		}
		c.blockIDs[id] = true
		c.block(p, b)
	}
}

func (c *checker) block(p string, b map[string]any) {
	kind, _ := b["type"].(string)
	switch kind {
	case "section":
		c.section(p, b)
	case "header":
		c.text(p+"/text", b["text"], maxHeader, "plain_text")
	case "divider":
	case "context":
		c.each(p+"/elements", b["elements"], maxContext, func(p string, e map[string]any) {
			if e["type"] == "image" {
				c.image(p, e)
				return
			}
			c.text(p, e, maxText, "")
		})
	case "actions":
		ids := map[any]bool{}
		c.each(p+"/elements", b["elements"], maxActions, func(p string, e map[string]any) {
			c.element(p, e)
			if id := e["action_id"]; id != nil && ids[id] {
				c.say(p+"/action_id", "`action_id` %q already exists in this block", id)
			} else {
				ids[id] = true
			}
		})
	case "rich_text":
		c.each(p+"/elements", b["elements"], 0, c.rich)
	case "table":
		c.table(p, b)
	case "image":
		c.image(p, b)
	case "input":
		c.input(p, b)
	case "video", "file", "markdown", "context_actions", "task_card", "plan":
		// Structure is not checked: nothing here is known to send them.
	default:
		c.say(p+"/type", "unsupported block type: %q", kind)
	}
}

func (c *checker) section(p string, b map[string]any) {
	text, hasText := b["text"]
	fields, hasFields := b["fields"]
	if !hasText && !hasFields {
		c.say(p, "missing required field: text or fields")
	}
	if hasText {
		c.text(p+"/text", text, maxText, "")
	}
	if hasFields {
		c.each(p+"/fields", fields, maxFields, func(p string, f map[string]any) { c.text(p, f, maxField, "") })
	}
	if a, ok := b["accessory"]; ok {
		if e, ok := a.(map[string]any); ok {
			c.element(p+"/accessory", e)
		} else {
			c.say(p+"/accessory", "must be an object")
		}
	}
}

// text checks a text object. kind is "plain_text" where nothing else is allowed.
func (c *checker) text(p string, v any, limit int, kind string) {
	t, ok := v.(map[string]any)
	if !ok {
		c.say(p, "must be an object with type and text")
		return
	}
	typ, _ := t["type"].(string)
	if typ != "plain_text" && (typ != "mrkdwn" || kind != "") {
		c.say(p+"/type", "must be a valid text type, not %q", typ)
	}
	c.length(p+"/text", t["text"], 1, limit)
}

// length checks that a value is a text of so many characters.
func (c *checker) length(p string, v any, least, most int) {
	s, ok := v.(string)
	n := utf8.RuneCountInString(s)
	switch {
	case !ok:
		c.say(p, "must be a string")
	case n < least:
		c.say(p, "must be more than %d characters", least-1)
	case n > most:
		c.say(p, "must be less than %d characters", most+1)
	}
}

// optional checks the length of a text that may be missing.
func (c *checker) optional(p string, v any, most int) {
	if v != nil {
		c.length(p, v, 0, most)
	}
}

// each checks an array of 1 to limit objects; a limit of 0 is none.
func (c *checker) each(p string, v any, limit int, check func(p string, e map[string]any)) {
	list, ok := objects(v)
	if !ok {
		c.say(p, "must be an array of objects")
		return
	}
	if len(list) == 0 {
		c.say(p, "no less than 1 item allowed")
	}
	if limit > 0 && len(list) > limit {
		c.say(p, "no more than %d items allowed", limit)
	}
	for i, e := range list {
		check(fmt.Sprintf("%s/%d", p, i), e)
	}
}

// readObjects reads a JSON array of objects.
func readObjects(s string) ([]map[string]any, bool) {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return nil, false
	}
	return objects(v)
}

// objects reads an array of objects.
func objects(v any) ([]map[string]any, bool) {
	list, ok := v.([]any)
	out := make([]map[string]any, 0, len(list))
	for _, e := range list {
		m, isObject := e.(map[string]any)
		if !isObject {
			return nil, false
		}
		out = append(out, m)
	}
	return out, ok
}
