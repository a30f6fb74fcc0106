package slackfake

import (
	"encoding/json"
)

func checkBlocks(s string) (json.RawMessage, error) {
	var l []json.RawMessage
	if err := json.Unmarshal([]byte(s), &l); err != nil {
		return nil, fail("invalid_blocks_format")
	}
	if len(l) == 0 {
		return nil, nil
	}
	return json.RawMessage(s), nil
}

func checkAttachments(s string) (json.RawMessage, error) {
	var l []json.RawMessage
	if err := json.Unmarshal([]byte(s), &l); err != nil {
		return nil, fail("invalid_attachments")
	}
	if len(l) == 0 {
		return nil, nil
	}
	return json.RawMessage(s), nil
}
