package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// openView opens a modal. The trigger is good once, for 3 s.
func (a *api) openView(ctx context.Context, trigger string, v slack.ModalViewRequest) error {
	if trigger == "" {
		return errors.New("nothing to open a modal with")
	}
	_, err := a.client.OpenViewContext(ctx, trigger, v)
	return err
}

// openOr opens a modal, or says that it can't.
func (b *Bot) openOr(ctx context.Context, trigger string, v slack.ModalViewRequest) (message, bool) {
	err := b.api.openView(ctx, trigger, v)
	if err == nil {
		return message{}, false
	}
	b.log.Warn("modal can't be opened", "modal", v.CallbackID, "error", err)
	return sorry("Slack didn't open the form in time. Try again."), true
}

// whisperTo tells one person something in a channel, or in a direct message
// where the channel can't be used for it.
func (b *Bot) whisperTo(ctx context.Context, channel, user string, m *message) {
	err := errors.New("no channel")
	if channel != "" {
		_, err = b.api.client.PostEphemeralContext(ctx, channel, user, m.options(false)...)
	}
	if err != nil {
		b.log.Debug("not told in the channel", "channel", channel, "error", err)
		_, _, err = b.api.client.PostMessageContext(ctx, user, m.options(false)...)
	}
	if err != nil {
		b.log.Warn("a person can't be told", "error", err)
	}
}

// wrong is what Slack shows beside the fields of a modal.
func wrong(field, text string) due {
	return taken(slack.NewErrorsViewSubmissionResponse(map[string]string{field: literal(text, budgetLine)}))
}

// entered is the text or the chosen value of a field of a modal.
func entered(v *slack.View, field string) string {
	if v.State == nil {
		return ""
	}
	a := v.State.Values[field][fieldValue]
	if a.SelectedOption.Value != "" {
		return a.SelectedOption.Value
	}
	return strings.TrimSpace(a.Value)
}

// submitted takes a filled-in modal. What is wrong with it Slack shows beside
// the fields.
func (b *Bot) submitted(ctx context.Context, cb *slack.InteractionCallback) due {
	key := onceKey(cb, cb.View.Hash)
	if !b.seen.first(key) {
		return taken(nil)
	}
	from, by := readFrom(cb.View.PrivateMetadata), byOf(cb)
	text := entered(&cb.View, fieldText)
	switch cb.View.CallbackID {
	case modalNote:
		story := from.Story
		if story == "" {
			story = entered(&cb.View, fieldStory)
		}
		if text == "" {
			b.seen.forget(key)
			return wrong(fieldText, "Write something, or cancel.")
		}
		if story == "" {
			b.seen.forget(key)
			return wrong(fieldStory, "Choose a story.")
		}
		return b.ask(key, noteStory(story, by, tapio.NoteText, text), nil)
	case modalWrong:
		cause := entered(&cb.View, fieldCause)
		if text == "" && (cause == "" || cause == causeOther) {
			b.seen.forget(key)
			return wrong(fieldText, "Choose a cause, or say in your words what it was.")
		}
		f := tapio.Feedback{Story: from.Story, Right: tapio.Cause(cause), Text: text}
		if at := entered(&cb.View, fieldAt); at != "" {
			var err error
			if f.Entity, err = tapio.ParseEntity(clean(at, budgetName, false)); err != nil {
				b.seen.forget(key)
				return wrong(fieldAt, "Write it as Kind/namespace/name or Kind/name, such as ConfigMap/shop/cache.")
			}
		}
		return b.feedback(ctx, key, from, f, by)
	case modalMute:
		return b.muteSubmitted(ctx, key, cb, from, by)
	}
	return taken(nil)
}

func (b *Bot) muteSubmitted(ctx context.Context, key string, cb *slack.InteractionCallback, from modalFrom, by ack) due {
	long, err := parseFor(entered(&cb.View, fieldFor))
	if err != nil {
		b.seen.forget(key)
		return wrong(fieldFor, err.Error())
	}
	short, cancel := context.WithTimeout(ctx, ackAfter)
	defer cancel()
	what := entered(&cb.View, fieldWhat)
	m, instead := b.muteTarget(short, what, long)
	if instead != nil {
		b.seen.forget(key)
		return wrong(fieldWhat, fmt.Sprintf("Nothing is called %q. Write a workload that never failed as namespace/name.", what))
	}
	m.By, m.Until, m.Why = by, time.Now().Add(long), clean(entered(&cb.View, fieldText), budgetName, false)
	return b.allowedAct(ctx, key, by, b.opts.Allow.Mute, muteWhat(*m), func(ctx context.Context, tell string) {
		if from.Home {
			b.showHome(ctx, by.User)
			return
		}
		out := plainAnswer(tell)
		b.whisperTo(ctx, from.Channel, by.User, &out)
	})
}

// allowedAct has the desk carry out what a person may do. Where only some may,
// Slack is asked first, behind the acknowledgement. tell says how it went.
func (b *Bot) allowedAct(ctx context.Context, key string, by ack, allowed []string, a act, tell func(context.Context, string)) due {
	later := func(text string) {
		b.answer(ctx, key+" told", func(ctx context.Context) { tell(ctx, text) })
	}
	if len(allowed) == 0 {
		return b.ask(key, a, later)
	}
	r := b.answer(ctx, key, func(ctx context.Context) {
		text := b.may(ctx, by.User, allowed)
		if text == "" {
			var ok bool
			if text, ok = b.do(ctx, a); !ok {
				text = "Tapio could not write that down just now. Try again in a moment."
			}
		}
		tell(ctx, text)
	})
	return func() receipt { return r }
}

// shortcut is "Add to the story's timeline" in the menu of a message.
func (b *Bot) shortcut(ctx context.Context, cb *slack.InteractionCallback) due {
	key := onceKey(cb, cb.MessageTs)
	if cb.CallbackID != shortcutNote || !b.seen.first(key) {
		return taken(nil)
	}
	r := b.answer(ctx, key, func(ctx context.Context) {
		from := modalFrom{Channel: cb.Channel.ID}
		text := cb.Message.Text
		if who := cb.Message.Username; who != "" && text != "" {
			text = fmt.Sprintf("%s (said by %s)", text, who)
		}
		v, err := b.noteFor(ctx, cb, from, text)
		if err == nil {
			err = b.api.openView(ctx, cb.TriggerID, v)
		}
		if err != nil {
			b.log.Warn("shortcut failed", "error", err)
			m := sorry("Slack didn't open the form in time. Try again.")
			b.respond(ctx, cb, false, &m)
		}
	})
	return func() receipt { return r }
}

// noteFor is the modal of the shortcut: about the story in whose thread the
// message is, or with a choice of stories.
func (b *Bot) noteFor(ctx context.Context, cb *slack.InteractionCallback, from modalFrom, text string) (slack.ModalViewRequest, error) {
	root := cb.Message.ThreadTimestamp
	if root == "" {
		root = cb.MessageTs
	}
	if id := b.storyAt(ctx, cb.Channel.ID, root); id != "" {
		if s, err := b.opts.Stories.Story(ctx, id); err == nil {
			from.Story = id
			return noteView(&s, text, from), nil
		}
	}
	open, err := b.opts.Stories.Stories(ctx, tapio.Query{Status: tapio.StatusOpen, Limit: maxOptions})
	if err != nil {
		return slack.ModalViewRequest{}, err
	}
	return noteForView(open, text, from), nil
}

// storyAt returns the story whose root message this is, or "".
func (b *Bot) storyAt(ctx context.Context, channel, ts string) string {
	records, err := b.opts.Ledger.Read(ctx, threadPrefix)
	if err != nil || ts == "" {
		return ""
	}
	for _, r := range records {
		t, err := decodeThread(r)
		if err == nil && t.Kind == kindStory && t.RootTS == ts && t.ChannelID == channel {
			return t.ID
		}
	}
	return ""
}

// byOf is the person behind an interaction.
func byOf(cb *slack.InteractionCallback) ack {
	return ack{User: cb.User.ID, Name: clean(cb.User.Name, budgetName, false)}
}
