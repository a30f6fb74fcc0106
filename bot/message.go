package bot

import (
	"crypto/sha256"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// Colours of the bar beside a root message: the state of the story.
const (
	colorFiring   = "#a30200"
	colorAcked    = "#daa038"
	colorResolved = "#2eb886"
	colorAside    = "#dddddd" // muted, or part of another story
)

// message is what Slack is sent: a full sentence for notifications and
// screen readers, blocks for everybody else, and at most one attachment,
// whose colour is the state.
type message struct {
	Text     string // mrkdwn, escaped
	Blocks   []slack.Block
	Color    string // "" means no attachment
	Fallback string
	Foot     []slack.Block // blocks of the attachment
}

// attachments returns the attachment as Slack takes it; never nil, so that an
// edit takes away one that was there.
func (m *message) attachments() []slack.Attachment {
	if m.Color == "" {
		return []slack.Attachment{}
	}
	return []slack.Attachment{{Color: m.Color, Fallback: m.Fallback, Blocks: slack.Blocks{BlockSet: m.Foot}}}
}

// payload is the message as JSON, for golden files and for the log.
func (m *message) payload() ([]byte, error) {
	return json.MarshalIndent(struct {
		Text        string             `json:"text"`
		Blocks      []slack.Block      `json:"blocks"`
		Attachments []slack.Attachment `json:"attachments"`
	}{m.Text, m.Blocks, m.attachments()}, "", "  ")
}

// fingerprint tells whether two messages look the same. Block IDs don't
// count.
func (m *message) fingerprint() string {
	b, err := json.Marshal([]any{m.Text, m.Blocks, m.attachments()})
	if err != nil {
		return "" // never equal to one that was sent
	}
	sum := sha256.Sum256(blockIDs.ReplaceAll(b, nil))
	return tapio.ShortHash(sum[:])
}

// blockIDs are the IDs of blocks in JSON. Within a text the quotes would be
// escaped.
var blockIDs = regexp.MustCompile(`"block_id":"(?:[^"\\]|\\.)*",?`)

// mrkdwn is a text object. Verbatim keeps Slack from turning what looks like
// an address, a channel or a name into a link or a mention.
func mrkdwn(text string) *slack.TextBlockObject {
	return &slack.TextBlockObject{Type: slack.MarkdownType, Text: text, Verbatim: true}
}

func section(text string) slack.Block {
	return slack.NewSectionBlock(mrkdwn(text), nil, nil)
}

// sectionFields lays pairs of title and mrkdwn side by side and leaves out
// those that say nothing.
func sectionFields(pairs ...[2]string) []slack.Block {
	var fields []*slack.TextBlockObject
	for _, p := range pairs {
		if p[1] != "" {
			fields = append(fields, mrkdwn("*"+p[0]+"*\n"+p[1]))
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return []slack.Block{slack.NewSectionBlock(nil, fields, nil)}
}

func contextLine(parts ...string) slack.Block {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return slack.NewContextBlock("", mrkdwn(strings.Join(parts, " · ")))
}

// button is a button that carries an opaque value, such as a story's ID.
func button(action, label, value string) *slack.ButtonBlockElement {
	return slack.NewButtonBlockElement(action, literal(value, maxButtonValue),
		slack.NewTextBlockObject(slack.PlainTextType, literal(label, maxButtonText), false, false))
}

// linkButton opens a page. A URL from an annotation is used only if a browser
// would take it for a web page; nil otherwise.
func linkButton(action, label, value, link string) *slack.ButtonBlockElement {
	u, err := url.Parse(link)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return nil
	}
	link = u.String() // escapes what isn't URL
	if length(link) > maxURL || clean(link, maxURL, false) != link || strings.ContainsAny(link, "<>`") {
		return nil
	}
	b := button(action, label, value)
	b.URL = link
	return b
}

func actions(id string, buttons ...*slack.ButtonBlockElement) slack.Block {
	var elements []slack.BlockElement
	for _, b := range buttons {
		if b != nil && len(elements) < maxActions {
			elements = append(elements, b)
		}
	}
	return slack.NewActionBlock(literal(id, maxID), elements...)
}

// controls is actions with a menu at the end.
func controls(id string, menu *slack.OverflowBlockElement, buttons ...*slack.ButtonBlockElement) slack.Block {
	b := actions(id, buttons...).(*slack.ActionBlock)
	if menu != nil {
		b.Elements.ElementSet = append(b.Elements.ElementSet, menu)
	}
	return b
}

// Pieces of rich text, which Slack shows as they are.

func textPiece(s string) *slack.RichTextSectionTextElement {
	return slack.NewRichTextSectionTextElement(s, nil)
}

func boldPiece(s string) *slack.RichTextSectionTextElement {
	return slack.NewRichTextSectionTextElement(s, &slack.RichTextSectionTextStyle{Bold: true})
}

func italicPiece(s string) *slack.RichTextSectionTextElement {
	return slack.NewRichTextSectionTextElement(s, &slack.RichTextSectionTextStyle{Italic: true})
}

func codePiece(s string) *slack.RichTextSectionTextElement {
	return slack.NewRichTextSectionTextElement(s, &slack.RichTextSectionTextStyle{Code: true})
}

// bulletList is a rich text list. slack-go's own always sends an offset, which
// Slack's published types don't know.
type bulletList struct {
	Type     slack.RichTextElementType     `json:"type"`
	Style    slack.RichTextListElementType `json:"style"`
	Elements []*slack.RichTextSection      `json:"elements"`
}

// RichTextElementType makes it an element of a rich text block.
func (l *bulletList) RichTextElementType() slack.RichTextElementType { return l.Type }

func bullets(items ...[]slack.RichTextSectionElement) slack.Block {
	list := &bulletList{Type: slack.RTEList, Style: slack.RTEListBullet}
	for _, pieces := range items {
		list.Elements = append(list.Elements, slack.NewRichTextSection(pieces...))
	}
	return slack.NewRichTextBlock("", list)
}

// nextAction is what to do next: in words, and as a command in a box of its
// own, exactly as it is to be copied. Nothing where there is neither.
func nextAction(s *tapio.Story) []slack.Block {
	var parts []slack.RichTextElement
	if text := literal(s.NextAction.Text, budgetSentence); text != "" {
		parts = append(parts, slack.NewRichTextSection(boldPiece("Next: "), textPiece(text)))
	}
	if command := verbatim(s.NextAction.Command, budgetCommand); command != "" {
		parts = append(parts, preformatted(command))
	}
	if len(parts) == 0 {
		return nil
	}
	return []slack.Block{slack.NewRichTextBlock("", parts...)}
}

func preformatted(text string) *slack.RichTextPreformatted {
	return &slack.RichTextPreformatted{Type: slack.RTEPreformatted, Elements: []slack.RichTextSectionElement{textPiece(text)}}
}

// link is a mrkdwn link to an address that Slack gave us; label is escaped
// already. Without an address the label stays.
func link(address, label string) string {
	if !strings.HasPrefix(address, "http") || len(address) > budgetLink || strings.ContainsAny(address, "<>|") || clean(address, budgetLink, false) != address {
		return label
	}
	return "<" + address + "|" + strings.ReplaceAll(label, "|", "/") + ">"
}
