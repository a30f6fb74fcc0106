package bot

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// Callback IDs of the modals, and the IDs of what is entered in them.
const (
	modalNote  = "tapio.note"
	modalMute  = "tapio.mute"
	modalWrong = "tapio.wrong"
	modalShow  = "tapio.show"

	fieldStory = "story"
	fieldText  = "text"
	fieldWhat  = "what"
	fieldFor   = "for"
	fieldCause = "cause"
	fieldAt    = "at"
	fieldValue = "value" // the action ID of every field
)

// causeOther is chosen where no cause of the list is the right one.
const causeOther = "other"

// CauseName is a cause in words, for choosing the right one.
type CauseName struct {
	Code tapio.Cause
	Name string
}

// causeWords is a cause as mrkdwn: its name, where it has one, and its code.
func causeWords(causes []CauseName, c tapio.Cause) string {
	for i := range causes {
		if causes[i].Code == c {
			return fmt.Sprintf("%s (%s)", escape(causes[i].Name, budgetName), code(string(c), budgetName))
		}
	}
	return code(string(c), budgetName)
}

// modalFrom is what a modal has to remember of where it came from. It goes to
// Slack and back as its private metadata.
type modalFrom struct {
	Story   string `json:"s,omitempty"`
	Channel string `json:"c,omitempty"`
	Home    bool   `json:"h,omitempty"` // opened from the App Home
}

func (f modalFrom) metadata() string {
	b, _ := json.Marshal(f) // strings can always be encoded
	if len(b) > maxMetadata {
		return "{}"
	}
	return string(b)
}

func readFrom(metadata string) modalFrom {
	var f modalFrom
	if json.Unmarshal([]byte(metadata), &f) != nil {
		return modalFrom{}
	}
	return f
}

func plainText(s string, limit int) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, cmp.Or(literal(s, limit), "–"), false, false)
}

func modal(callback, title, submit string, from modalFrom, blocks ...slack.Block) slack.ModalViewRequest {
	v := slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: callback, PrivateMetadata: from.metadata(),
		Title: plainText(title, maxViewTitle), Close: plainText("Cancel", maxViewTitle),
		Blocks: slack.Blocks{BlockSet: blocks},
	}
	if submit == "" {
		v.Close = plainText("Close", maxViewTitle)
	} else {
		v.Submit = plainText(submit, maxViewTitle)
	}
	return v
}

// input is a field of a modal.
func input(id, label, hint string, optional bool, e slack.BlockElement) *slack.InputBlock {
	in := slack.NewInputBlock(id, plainText(label, budgetName), nil, e)
	if hint != "" {
		in.Hint = plainText(hint, budgetLine)
	}
	in.Optional = optional
	return in
}

func textField(initial, placeholder string, most int, lines bool) *slack.PlainTextInputBlockElement {
	e := slack.NewPlainTextInputBlockElement(plainText(placeholder, maxPlaceholder), fieldValue)
	e.Multiline, e.MaxLength = lines, most
	if initial != "" {
		e.InitialValue = verbatim(initial, most)
	}
	return e
}

// choice is an option of a menu.
func choice(value, label string) *slack.OptionBlockObject {
	return slack.NewOptionBlockObject(literal(value, maxOption), plainText(label, maxOption), nil)
}

func menu(placeholder string, options ...*slack.OptionBlockObject) *slack.SelectBlockElement {
	return slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plainText(placeholder, maxPlaceholder), fieldValue, options...)
}

// aboutStory names the story that a modal is about.
func aboutStory(s *tapio.Story) slack.Block {
	return section(fmt.Sprintf("%s\n%s", heading(s), where(s)))
}

// noteView asks for a line of the timeline. text is what is already written.
func noteView(s *tapio.Story, text string, from modalFrom) slack.ModalViewRequest {
	return modal(modalNote, "Note for the timeline", "Add", from, aboutStory(s), noteField(text))
}

func noteField(text string) slack.Block {
	return input(fieldText, "Note", "Everybody who reads the story sees it, with your name and the time.", false,
		textField(text, "What happened, or what was done", budgetNote, true))
}

// noteForView is noteView where the story has to be chosen too.
func noteForView(open []tapio.Story, text string, from modalFrom) slack.ModalViewRequest {
	if len(open) == 0 {
		return modal(modalShow, "Note for the timeline", "", from, section("No story is open. `/tapio note NAME TEXT` adds a note to one that is over."))
	}
	var options []*slack.OptionBlockObject
	for i := range open[:min(len(open), maxOptions)] {
		s := &open[i]
		if len(s.ID) <= maxOption {
			options = append(options, choice(s.ID, s.SeverityName()+" "+titleOf(s)))
		}
	}
	return modal(modalNote, "Note for the timeline", "Add", from,
		input(fieldStory, "Story", "", false, menu("Which story?", options...)), noteField(text))
}

// muteTimes are the times that the mute modal offers.
var muteTimes = [][2]string{
	{"30m", "30 minutes"}, {"1h", "1 hour"}, {"2h", "2 hours"}, {"4h", "4 hours"}, {"8h", "8 hours"},
	{"1d", "1 day"}, {"3d", "3 days"}, {"1w", "1 week"}, {"30d", "30 days"},
}

// muteView asks what to mute and for how long. what is what was typed; why is
// a hint about it.
func muteView(what, hint string, from modalFrom) slack.ModalViewRequest {
	return modal(modalMute, "Mute", "Mute", from,
		section("Stories that match stay silent: they are kept and listed, nothing is posted, nobody is called."),
		input(fieldWhat, "What", cmp.Or(hint, "A workload as namespace/name, or: namespace shop · node worker-3 · team payments · cause image.*"), false,
			textField(what, "shop/checkout", budgetName, false)),
		muteForField(), muteWhyField())
}

func muteForField() slack.Block {
	var options []*slack.OptionBlockObject
	for _, t := range muteTimes {
		options = append(options, choice(t[0], t[1]))
	}
	m := menu("For how long?", options...)
	m.InitialOption = options[1]
	return input(fieldFor, "For", "", false, m)
}

func muteWhyField() slack.Block {
	return input(fieldText, "Why", "", true, textField("", "Maintenance until 18:00", budgetName, false))
}

// muteStoryView asks how much around a story is to be muted.
func muteStoryView(s *tapio.Story, from modalFrom) slack.ModalViewRequest {
	var options []*slack.OptionBlockObject
	add := func(kind muteKind, name, label string) {
		if value := string(kind) + " " + name; name != "" && len(value) <= maxOption {
			options = append(options, choice(value, label))
		}
	}
	add(muteStory, s.ID, "Only this story")
	if s.Subject.Kind == tapio.KindNode {
		add(muteNode, s.Subject.Name, "Everything about node "+s.Subject.Name)
	} else {
		add(muteWorkload, s.Subject.Namespace+"/"+s.Subject.Name, "Everything about "+s.Subject.Namespace+"/"+s.Subject.Name)
		add(muteNamespace, s.Subject.Namespace, "All of namespace "+s.Subject.Namespace)
	}
	add(muteTeam, s.Owner.Team, "Everything of team "+s.Owner.Team)
	if s.Cause != tapio.CauseUnknown {
		add(muteCause, string(s.Cause), "This cause everywhere: "+string(s.Cause))
	}
	if len(options) == 0 {
		return muteView(s.ID, "", from)
	}
	m := menu("What?", options...)
	m.InitialOption = options[0]
	return modal(modalMute, "Mute", "Mute", from, aboutStory(s),
		input(fieldWhat, "What", "Stories that match are kept and listed; nothing is posted for them.", false, m),
		muteForField(), muteWhyField())
}

// wrongView asks for the right cause.
func wrongView(s *tapio.Story, causes []CauseName, from modalFrom) slack.ModalViewRequest {
	told := fmt.Sprintf("*Told:* %s. %s", causeWords(causes, s.Cause), escape(s.RootCause, budgetSentence))
	blocks := []slack.Block{aboutStory(s), section(told)}
	if m := causeMenu(causes, s.Cause); m != nil {
		blocks = append(blocks, input(fieldCause, "What was it really?", "", true, m))
	}
	return modal(modalWrong, "Wrong cause", "Send", from, append(blocks,
		input(fieldAt, "Which object was at fault?", "Kind/namespace/name, or Kind/name", true, textField("", "ConfigMap/shop/cache", budgetName, false)),
		input(fieldText, "In your words", "What gave it away? This stays in your Tapio, with a recording of what it saw, and becomes a test case with tapio record export.", true,
			textField("", "The token had expired; the pods only followed", budgetNote, true)))...)
}

// causeMenu offers the causes by the part of the system that they are in.
func causeMenu(causes []CauseName, but tapio.Cause) *slack.SelectBlockElement {
	groups := map[string][]*slack.OptionBlockObject{}
	for _, c := range causes {
		part, _, _ := strings.Cut(string(c.Code), ".")
		if c.Code == "" || c.Code == but || c.Code == tapio.CauseUnknown || literal(string(c.Code), maxOption) != string(c.Code) || len(c.Code) > maxOption || len(groups[part]) >= maxOptions {
			continue
		}
		groups[part] = append(groups[part], choice(string(c.Code), c.Name+" · "+string(c.Code)))
	}
	m := &slack.SelectBlockElement{Type: slack.OptTypeStatic, ActionID: fieldValue, Placeholder: plainText("Choose a cause", maxPlaceholder)}
	var parts []string
	for part := range groups {
		parts = append(parts, part)
	}
	slices.Sort(parts)
	for _, part := range parts[:min(len(parts), maxOptions-1)] {
		m.OptionGroups = append(m.OptionGroups, slack.NewOptionGroupBlockElement(plainText(part, maxOption), groups[part]...))
	}
	m.OptionGroups = append(m.OptionGroups, slack.NewOptionGroupBlockElement(plainText("none of these", maxOption),
		choice(causeOther, "Something else: see my words"), choice(string(tapio.CauseUnknown), "Nobody knows")))
	return m
}

// showView is an answer in a modal, where there is no channel to answer in.
func showView(m message) slack.ModalViewRequest {
	blocks := append(slices.Clone(m.Blocks), m.Foot...)
	return modal(modalShow, "Tapio", "", modalFrom{}, blocks[:min(len(blocks), maxViewBlocks)]...)
}
