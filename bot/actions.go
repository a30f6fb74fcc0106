package bot

import (
	"context"
	"strings"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// Action IDs of the controls. They are part of messages that are out there, so
// they don't change. Where an ID comes more than once in a block, a dot and a
// word stand behind it: Slack wants them unique.
const (
	actionAck      = "tapio.ack"
	actionUnack    = "tapio.unack"
	actionTimeline = "tapio.timeline"
	actionRunbook  = "tapio.url.runbook"
	actionShare    = "tapio.share"
	actionPick     = "tapio.pick"    // value: a command; of older messages a name
	actionMute     = "tapio.mute"    // value: a story, or "" for the general modal
	actionUnmute   = "tapio.unmute"  // value: a mute
	actionMore     = "tapio.more"    // the menu of a story; values: a word of more… and a story
	actionPass     = "tapio.pass"    // value: a story
	actionWrong    = "tapio.wrong"   // value: a story
	actionRight    = "tapio.right"   // value: a story
	actionRefresh  = "tapio.refresh" // of the App Home
)

// The words of the menu of a story.
const (
	moreSimilar = "similar"
	moreWhy     = "why"
	moreNote    = "note"
	moreWrong   = "wrong"
	moreRight   = "right"
)

// shortcutNote is the callback ID of the message shortcut.
const shortcutNote = "tapio.add_to_timeline"

// pressed handles a click on a button or the choice of a menu.
func (b *Bot) pressed(ctx context.Context, cb *slack.InteractionCallback, a *slack.BlockAction) due {
	key := onceKey(cb, a.ActionTs, a.ActionID)
	if !b.seen.first(key) {
		return taken(nil)
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(a.ActionID, "tapio."), ".")
	action, value := "tapio."+name, a.Value
	if action == actionMore {
		word, story, _ := strings.Cut(a.SelectedOption.Value, " ")
		action, value = map[string]string{
			moreSimilar: actionPick, moreWhy: actionPick, moreNote: modalNote, moreWrong: actionWrong, moreRight: actionRight,
		}[word], story
		if action == actionPick {
			value = word + " " + story
		}
	}
	by := byOf(cb)
	switch action {
	case actionAck, actionUnack:
		allowed, tell := b.opts.Allow.Ack, b.teller(cb)
		if strings.HasPrefix(cb.Channel.ID, "D") { // who was called may take it
			allowed, tell = nil, func(ctx context.Context, text string) {
				if text == "" {
					text = ":eyes: You take care of it. Nobody else is called."
				}
				b.teller(cb)(ctx, text)
			}
		}
		return b.allowedAct(ctx, key, by, allowed, ackStory(value, by, action == actionUnack), tell)
	case actionPass:
		return b.allowedAct(ctx, key, by, nil, passStory(value, by), b.teller(cb))
	case actionUnmute:
		return b.allowedAct(ctx, key, by, b.opts.Allow.Mute, unmuteIt(value, by), b.teller(cb))
	case actionRight:
		return b.feedback(ctx, key, b.from(cb, value), tapio.Feedback{Story: value, Good: true}, by)
	case actionTimeline:
		return b.whisper(ctx, key, cb, func(ctx context.Context) message {
			s, err := b.opts.Stories.Story(ctx, value)
			if err != nil {
				return b.unread(err)
			}
			return timeline(&s, b.told(ctx, s.ID))
		})
	case actionPick:
		return b.picked(ctx, key, cb, value, by)
	case actionShare:
		return b.later(ctx, key, func(ctx context.Context) {
			s, err := b.opts.Stories.Story(ctx, value)
			if err != nil {
				m := b.unread(err)
				b.respond(ctx, cb, false, &m)
				return
			}
			m := shared(&s, b.told(ctx, s.ID), &by)
			b.respond(ctx, cb, true, &m)
		})
	case actionMute, modalNote, actionWrong:
		return b.later(ctx, key, func(ctx context.Context) { b.openFor(ctx, cb, action, value, by) })
	case actionRefresh:
		return b.later(ctx, key, func(ctx context.Context) { b.showHome(ctx, by.User) })
	}
	return taken(nil) // a button that opens a page tells us too
}

// later answers behind the acknowledgement.
func (b *Bot) later(ctx context.Context, key string, f func(ctx context.Context)) due {
	r := b.answer(ctx, key, f)
	return func() receipt { return r }
}

// picked goes on with the command that a button stands for.
func (b *Bot) picked(ctx context.Context, key string, cb *slack.InteractionCallback, value string, by ack) due {
	word, rest, ok := strings.Cut(value, " ")
	if !ok { // a button of an older message names a story
		word, rest = "story", value
	}
	return b.later(ctx, key, func(ctx context.Context) {
		c := command{word: word, rest: rest, by: by, channel: cb.Channel.ID, trigger: cb.TriggerID}
		if m, say := b.reply(ctx, c); say {
			b.respond(ctx, cb, false, &m)
		}
	})
}

// openFor opens the modal that a button stands for.
func (b *Bot) openFor(ctx context.Context, cb *slack.InteractionCallback, action, story string, by ack) {
	if action == actionMute {
		if why := b.may(ctx, by.User, b.opts.Allow.Mute); why != "" {
			m := sorry(why)
			b.respond(ctx, cb, false, &m)
			return
		}
	}
	from := b.from(cb, story)
	var v slack.ModalViewRequest
	if story == "" {
		v = muteView("", "", from)
	} else {
		s, err := b.opts.Stories.Story(ctx, story)
		if err != nil {
			m := b.unread(err)
			b.respond(ctx, cb, false, &m)
			return
		}
		switch action {
		case actionMute:
			v = muteStoryView(&s, from)
		case actionWrong:
			v = wrongView(&s, b.opts.Causes, from)
		default:
			v = noteView(&s, "", from)
		}
	}
	if m, say := b.openOr(ctx, cb.TriggerID, v); say {
		b.respond(ctx, cb, false, &m)
	}
}

// from is where an interaction came from.
func (b *Bot) from(cb *slack.InteractionCallback, story string) modalFrom {
	return modalFrom{Story: story, Channel: cb.Channel.ID, Home: cb.View.Type == slack.VTHomeTab}
}

// teller says how a click went, to the person alone; in the App Home the page
// shows it.
func (b *Bot) teller(cb *slack.InteractionCallback) func(context.Context, string) {
	return func(ctx context.Context, text string) {
		if cb.View.Type == slack.VTHomeTab {
			b.showHome(ctx, cb.User.ID)
			return
		}
		if text == "" {
			return // the message itself shows it
		}
		m := sorry(text)
		if strings.HasPrefix(text, ":") {
			m = plainAnswer(text)
		}
		b.respond(ctx, cb, false, &m)
	}
}

// whisper answers a click so that only the person sees it.
func (b *Bot) whisper(ctx context.Context, key string, cb *slack.InteractionCallback, f func(ctx context.Context) message) due {
	return b.later(ctx, key, func(ctx context.Context) {
		m := f(ctx)
		b.respond(ctx, cb, false, &m)
	})
}

// respond answers an interaction: over its response URL where it has one, and
// otherwise in a modal.
func (b *Bot) respond(ctx context.Context, cb *slack.InteractionCallback, inChannel bool, m *message) {
	var err error
	if cb.ResponseURL == "" {
		err = b.api.openView(ctx, cb.TriggerID, showView(*m))
	} else {
		err = b.api.respond(ctx, cb.ResponseURL, inChannel, m)
	}
	if err != nil {
		b.log.Warn("click can't be answered", "error", err)
	}
}
