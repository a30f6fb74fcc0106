package slackfake

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
)

// addForm adds the arguments of a form body.
func (a args) addForm(body []byte) error {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return errors.New("invalid_form_data")
	}
	for k, v := range form {
		a[k] = v[0]
	}
	return nil
}

// addJSON adds the arguments of a JSON body: strings as they are, everything
// else as JSON text.
func (a args) addJSON(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return errors.New("invalid_json")
	}
	for k, raw := range fields {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw)
		}
		if string(raw) != "null" {
			a[k] = s
		}
	}
	return nil
}
