package slackfake

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// problems returns the error name and messages of an answer.
func problems(err error) (name, messages string) {
	var e *apiError
	if !errors.As(err, &e) {
		return "", ""
	}
	m, _ := e.extra["response_metadata"].(map[string]any)
	list, _ := m["messages"].([]string)
	return e.name, strings.Join(list, "\n")
}

func TestBlockLimits(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	repeat := func(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	section := func(n int) string {
		return fmt.Sprintf(`{"type":"section","text":{"type":"mrkdwn","text":%q}}`, x(n))
	}
	button := func(text, extra string) string {
		return fmt.Sprintf(`{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":%q}%s}]}`, text, extra)
	}
	option := `{"text":{"type":"plain_text","text":"o"},"value":"v"}`
	rows := func(rows, cells int, text string) string {
		return fmt.Sprintf(`{"type":"table","rows":[%s]}`, repeat(rows, "["+repeat(cells, fmt.Sprintf(`{"type":"raw_text","text":%q}`, text))+"]"))
	}
	for _, tc := range []struct{ name, block, want string }{
		{"section", section(3000), ""},
		{"section too long", section(3001), "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"},
		{"section empty text", section(0), "must be more than 0 characters"},
		{"section with nothing", `{"type":"section"}`, "text or fields"},
		{"fields", `{"type":"section","fields":[` + repeat(10, `{"type":"mrkdwn","text":"f"}`) + `]}`, ""},
		{"too many fields", `{"type":"section","fields":[` + repeat(11, `{"type":"mrkdwn","text":"f"}`) + `]}`, "no more than 10"},
		{"field too long", `{"type":"section","fields":[{"type":"mrkdwn","text":"` + x(2001) + `"}]}`, "2001 characters"},
		{"fifty blocks", repeat(50, section(1)), ""},
		{"too many blocks", repeat(51, section(1)), "no more than 50"},
		{"header", `{"type":"header","text":{"type":"plain_text","text":"` + x(150) + `"}}`, ""},
		{"header too long", `{"type":"header","text":{"type":"plain_text","text":"` + x(151) + `"}}`, "151 characters"},
		{"header in mrkdwn", `{"type":"header","text":{"type":"mrkdwn","text":"h"}}`, "valid text type"},
		{"context", `{"type":"context","elements":[` + repeat(10, `{"type":"mrkdwn","text":"c"}`) + `]}`, ""},
		{"context too many", `{"type":"context","elements":[` + repeat(11, `{"type":"mrkdwn","text":"c"}`) + `]}`, "no more than 10"},
		{"context empty", `{"type":"context","elements":[]}`, "no less than 1"},
		{"button", button(x(75), `,"value":"`+x(2000)+`"`), ""},
		{"button text too long", button(x(76), ""), "76 characters"},
		{"button value too long", button("b", `,"value":"`+x(2001)+`"`), "2001 characters"},
		{"button style", button("b", `,"style":"loud"`), "primary, danger"},
		{"button url", button("b", `,"url":"https://ok.example"`), ""},
		{"button url bad", button("b", `,"url":"not one"`), "valid URI"},
		{"button action_id too long", button("b", `,"action_id":"`+x(256)+`"`), "256 characters"},
		{"too many actions", `{"type":"actions","elements":[` + repeat(26, `{"type":"button","text":{"type":"plain_text","text":"b"}}`) + `]}`, "no more than 25"},
		{"action_id twice", `{"type":"actions","elements":[` + repeat(2, `{"type":"button","action_id":"a","text":{"type":"plain_text","text":"b"}}`) + `]}`, "already exists"},
		{"select", `{"type":"actions","elements":[{"type":"static_select","placeholder":{"type":"plain_text","text":"p"},"options":[` + repeat(100, option) + `]}]}`, ""},
		{"select too many", `{"type":"actions","elements":[{"type":"static_select","placeholder":{"type":"plain_text","text":"p"},"options":[` + repeat(101, option) + `]}]}`, "no more than 100"},
		{"overflow", `{"type":"actions","elements":[{"type":"overflow","options":[` + repeat(5, option) + `]}]}`, ""},
		{"overflow too many", `{"type":"actions","elements":[{"type":"overflow","options":[` + repeat(6, option) + `]}]}`, "no more than 5"},
		{"option value too long", `{"type":"actions","elements":[{"type":"overflow","options":[{"text":{"type":"plain_text","text":"o"},"value":"` + x(76) + `"}]}]}`, "76 characters"},
		{"table", rows(100, 20, "xxxxx"), ""},
		{"table too many rows", rows(101, 1, "x"), "no more than 100"},
		{"table too many cells", rows(1, 21, "x"), "1 to 20 cells"},
		{"table too much text", rows(100, 20, "xxxxxx"), "10001 characters"},
		{"two tables", rows(1, 1, "x") + "," + rows(1, 1, "x"), "only_one_table_allowed"},
		{"block_id twice", `{"type":"divider","block_id":"d"},{"type":"divider","block_id":"d"}`, "already exists"},
		{"modal block", `{"type":"alert","text":{"type":"plain_text","text":"a"}}`, "unsupported block type"},
		{"rich text", `{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":" "}]}]}`, ""},
		{"rich text empty", `{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":""}]}]}`, "must be more than 0"},
		{"rich text user", `{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"user","id":"U1"}]}]}`, "user_id"},
		{"rich text list", `{"type":"rich_text","elements":[{"type":"rich_text_list","elements":[]}]}`, "bullet, ordered"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := checkBlocks("[" + tc.block + "]")
			name, messages := problems(err)
			if tc.want == "" && err != nil {
				t.Fatalf("refused: %v\n%s", err, messages)
			}
			if tc.want != "" && (name != "invalid_blocks" || !strings.Contains(messages, tc.want)) {
				t.Fatalf("got %q %q, want invalid_blocks with %q", name, messages, tc.want)
			}
			if tc.want != "" {
				_, err := checkAttachments(`[{"blocks":[` + tc.block + `]}]`)
				if name, _ := problems(err); name != "invalid_attachments" {
					t.Errorf("in an attachment: %v, want invalid_attachments", err)
				}
			}
		})
	}
}

func TestBlocksGetIDs(t *testing.T) {
	raw, err := checkBlocks(`[{"type":"divider"},{"type":"divider","block_id":"mine"}]`)
	if err != nil {
		t.Fatal(err)
	}
	var got []struct {
		BlockID string `json:"block_id"`
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if got[0].BlockID == "" || got[1].BlockID != "mine" {
		t.Errorf("block IDs %+v", got)
	}
}

func FuzzCheckBlocks(f *testing.F) {
	for _, s := range []string{
		`[]`, `[{"type":"divider"}]`, `[{"type":"section","text":{"type":"mrkdwn","text":"<!here> x"}}]`,
		`[{"type":"table","rows":[[{"type":"rich_text","elements":[]}]]}]`, `[{"type":"actions","elements":[{"type":"overflow","options":[{}]}]}]`,
		`[null]`, `{"a":1}`, `[{"type":"rich_text","elements":[{"type":"rich_text_list","style":"bullet","elements":[{"type":"rich_text_section","elements":[{"type":"user","user_id":"U1"}]}]}]}]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		raw, err := checkBlocks(s)
		if err == nil && raw != nil {
			if _, err := checkBlocks(string(raw)); err != nil {
				t.Fatalf("accepted once, then refused: %v\n%s", err, raw)
			}
			blockTexts(raw)
			blockElements(raw, 0)
		}
		if _, err := checkAttachments(`[{"blocks":` + s + `}]`); err != nil && err.Error() == "" {
			t.Fatal("an error without a name")
		}
	})
}

func FuzzArgs(f *testing.F) {
	f.Add([]byte(`{"channel":"C1","blocks":[{"type":"divider"}],"metadata":{"event_type":"x","event_payload":{}}}`))
	f.Add([]byte(`channel=C1&text=hello%20there`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a := args{}
		if a.addJSON(b) == nil {
			_, _ = readBody(a)
		}
		a = args{}
		_ = a.addForm(b)
		splitTS(string(b))
	})
}
