package slackfake

import (
	"fmt"
	"net/url"
	"unicode/utf8"
)

// element checks a control.
func (c *checker) element(p string, e map[string]any) {
	kind, _ := e["type"].(string)
	if kind == "image" {
		c.image(p, e)
		return
	}
	c.optional(p+"/action_id", e["action_id"], maxID)
	switch kind {
	case "button":
		c.text(p+"/text", e["text"], maxButtonText, "plain_text")
		c.optional(p+"/value", e["value"], maxValue)
		c.optional(p+"/accessibility_label", e["accessibility_label"], maxButtonText)
		if v, ok := e["url"]; ok {
			c.url(p+"/url", v)
		}
		if s, ok := e["style"]; ok && s != "primary" && s != "danger" {
			c.say(p+"/style", "must be one of primary, danger")
		}
	case "overflow":
		c.options(p+"/options", e["options"], maxOverflow)
	case "static_select":
		c.text(p+"/placeholder", e["placeholder"], maxPlaceholder, "plain_text")
		if groups, ok := e["option_groups"]; ok {
			c.each(p+"/option_groups", groups, maxOptions, func(p string, g map[string]any) {
				c.text(p+"/label", g["label"], maxOptionText, "plain_text")
				c.options(p+"/options", g["options"], maxOptions)
			})
			return
		}
		c.options(p+"/options", e["options"], maxOptions)
	case "multi_static_select", "users_select", "conversations_select", "channels_select", "datepicker",
		"timepicker", "datetimepicker", "checkboxes", "radio_buttons", "external_select", "workflow_button":
		// Structure is not checked: nothing here is known to send them.
	default:
		c.say(p+"/type", "unsupported element type: %q", kind)
	}
}

func (c *checker) options(p string, v any, most int) {
	c.each(p, v, most, func(p string, o map[string]any) {
		c.text(p+"/text", o["text"], maxOptionText, "")
		c.length(p+"/value", o["value"], 1, maxOptionValue)
	})
}

func (c *checker) image(p string, e map[string]any) {
	if _, ok := e["slack_file"]; !ok {
		c.url(p+"/image_url", e["image_url"])
	}
	c.length(p+"/alt_text", e["alt_text"], 1, maxAlt)
}

func (c *checker) url(p string, v any) {
	s, _ := v.(string)
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "" {
		c.say(p, "Must be a valid URI")
		return
	}
	c.length(p, v, 1, maxURL)
}

// rich checks an element of rich text.
func (c *checker) rich(p string, e map[string]any) {
	switch kind, _ := e["type"].(string); kind {
	case "rich_text_section", "rich_text_quote", "rich_text_preformatted":
		c.spans(p+"/elements", e["elements"])
	case "rich_text_list":
		if s := e["style"]; s != "bullet" && s != "ordered" {
			c.say(p+"/style", "must be one of bullet, ordered")
		}
		c.each(p+"/elements", e["elements"], 0, func(p string, s map[string]any) {
			if s["type"] != "rich_text_section" {
				c.say(p+"/type", "must be rich_text_section")
				return
			}
			c.spans(p+"/elements", s["elements"])
		})
	default:
		c.say(p+"/type", "unsupported rich text element: %q", kind)
	}
}

// richKey says which field each kind of rich text must have.
func richKey(kind string) (key string, known bool) {
	switch kind {
	case "text":
		return "text", true
	case "link":
		return "url", true
	case "user":
		return "user_id", true
	case "usergroup":
		return "usergroup_id", true
	case "channel":
		return "channel_id", true
	case "broadcast":
		return "range", true
	case "emoji":
		return "name", true
	case "color":
		return "value", true
	case "date":
		return "timestamp", true
	case "team":
		return "team_id", true
	}
	return "", false
}

func (c *checker) spans(p string, v any) {
	list, ok := objects(v)
	if !ok {
		c.say(p, "must be an array of objects")
	}
	for i, e := range list {
		p := fmt.Sprintf("%s/%d", p, i)
		kind, _ := e["type"].(string)
		key, known := richKey(kind)
		switch {
		case !known:
			c.say(p+"/type", "unsupported rich text element: %q", kind)
		case e[key] == nil:
			c.say(p, "missing required field: %s", key)
		case kind == "text":
			c.length(p+"/text", e["text"], 1, maxBlockMessage) // no limit of its own
		}
	}
}

// table checks a table: its size, its cells, and that it is the only one.
func (c *checker) table(p string, b map[string]any) {
	if c.tables++; c.tables > 1 {
		c.say(p, "only_one_table_allowed")
	}
	rows, ok := b["rows"].([]any)
	if !ok || len(rows) == 0 {
		c.say(p+"/rows", "no less than 1 item allowed")
		return
	}
	if len(rows) > maxTableRows {
		c.say(p+"/rows", "no more than %d items allowed", maxTableRows)
	}
	total := 0
	for i, row := range rows {
		at := fmt.Sprintf("%s/rows/%d", p, i)
		cells, ok := objects(row)
		if !ok || len(cells) == 0 || len(cells) > maxTableCells {
			c.say(at, "must be an array of 1 to %d cells", maxTableCells)
			continue
		}
		for j, cell := range cells {
			total += c.cell(fmt.Sprintf("%s/%d", at, j), cell)
		}
	}
	if total > maxTableText {
		c.say(p, "must be less than %d characters in all cells", maxTableText+1)
	}
	if s, ok := b["column_settings"].([]any); ok && len(s) > maxTableCells {
		c.say(p+"/column_settings", "no more than %d items allowed", maxTableCells)
	}
}

// cell checks a cell and returns how many characters it has.
func (c *checker) cell(p string, cell map[string]any) int {
	switch cell["type"] {
	case "raw_text":
		c.length(p+"/text", cell["text"], 1, maxTableText)
		s, _ := cell["text"].(string)
		return utf8.RuneCountInString(s)
	case "raw_number":
		s, _ := cell["text"].(string)
		return utf8.RuneCountInString(s)
	case "rich_text":
		c.each(p+"/elements", cell["elements"], 0, c.rich)
		return richLength(cell["elements"])
	}
	c.say(p+"/type", "unsupported cell type: %v", cell["type"])
	return 0
}

// richLength counts the characters of rich text.
func richLength(v any) int {
	n := 0
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			n += richLength(x)
		}
	case map[string]any:
		s, _ := v["text"].(string)
		n = utf8.RuneCountInString(s) + richLength(v["elements"])
	}
	return n
}
