package slackfake

import (
	"encoding/json"
)

// blockTexts returns every text of blocks, with rich text mentions written as
// in mrkdwn.
func blockTexts(raw json.RawMessage) []string {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return nil
	}
	return collectTexts(v, nil)
}

// attachmentTexts is blockTexts for the blocks of attachments, whose other
// fields ping nobody.
func attachmentTexts(raw json.RawMessage) []string {
	var list []struct {
		Blocks json.RawMessage `json:"blocks"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &list) != nil {
		return nil
	}
	var out []string
	for _, a := range list {
		out = append(out, blockTexts(a.Blocks)...)
	}
	return out
}

func collectTexts(v any, out []string) []string {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			out = collectTexts(x, out)
		}
	case map[string]any:
		text, _ := v["text"].(string)
		id := func(k string) string { s, _ := v[k].(string); return s }
		switch v["type"] {
		case "mrkdwn":
			return append(out, text)
		case "user":
			return append(out, "<@"+id("user_id")+">")
		case "usergroup":
			return append(out, "<!subteam^"+id("usergroup_id")+">")
		case "broadcast":
			return append(out, "<!"+id("range")+">")
		}
		for _, x := range v {
			out = collectTexts(x, out)
		}
	}
	return out
}
