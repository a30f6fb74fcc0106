package bot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"
)

// clickWithin is how long a click waits for the desk. Slack wants its
// acknowledgement within 3 s.
const clickWithin = 2 * time.Second

// interact handles a click on a button. It returns when the click is recorded;
// false means that it was not taken and that Slack may send it again.
func (b *Bot) interact(ctx context.Context, cb *slack.InteractionCallback) bool {
	if cb.Type != slack.InteractionTypeBlockActions {
		return true
	}
	taken := true
	for _, a := range cb.ActionCallback.BlockActions {
		taken = b.pressed(ctx, cb, a) && taken
	}
	return taken
}

func (b *Bot) pressed(ctx context.Context, cb *slack.InteractionCallback, a *slack.BlockAction) bool {
	key := fmt.Sprintf("click %s %s %s", cb.TriggerID, a.ActionTs, a.ActionID)
	if !b.seen.first(key) {
		return true
	}
	by := ack{User: cb.User.ID, Name: clean(cb.User.Name, budgetName, false)}
	name, _, _ := strings.Cut(strings.TrimPrefix(a.ActionID, "tapio."), ".")
	switch "tapio." + name {
	case actionAck, actionUnack:
		tell, ok := b.acknowledge(ctx, click{story: a.Value, undo: a.ActionID == actionUnack, by: by})
		if !ok {
			b.count.dropped.WithLabelValues("click").Inc()
			b.log.Warn("a click was not taken in time", "story", literal(a.Value, budgetName))
			b.seen.forget(key)
			return false
		}
		if tell == "" {
			return true
		}
		return b.whisper(ctx, key, cb, func(context.Context) message { return sorry(tell) })
	case actionTimeline:
		return b.whisper(ctx, key, cb, func(ctx context.Context) message {
			s, err := b.opts.Stories.Story(ctx, a.Value)
			if err != nil {
				return b.unread(err)
			}
			return timeline(&s)
		})
	case actionPick:
		return b.whisper(ctx, key, cb, func(ctx context.Context) message { return b.tell(ctx, a.Value) })
	case actionShare:
		return b.answer(ctx, key, func(ctx context.Context) {
			s, err := b.opts.Stories.Story(ctx, a.Value)
			if err != nil {
				m := b.unread(err)
				b.respond(ctx, cb, false, &m)
				return
			}
			m := shared(&s, &by)
			b.respond(ctx, cb, true, &m)
		})
	}
	return true // a button that opens a page tells us too
}

// acknowledge hands a click to the desk and returns what to tell the person.
func (b *Bot) acknowledge(ctx context.Context, c click) (tell string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, clickWithin)
	defer cancel()
	done := make(chan string, 1)
	c.done = done
	select {
	case b.clicks <- c:
	case <-ctx.Done():
		return "", false
	}
	select {
	case tell = <-done:
		return tell, true
	case <-ctx.Done():
		return "", false // it may be recorded yet; a second click changes nothing
	}
}

// whisper answers a click so that only the person sees it.
func (b *Bot) whisper(ctx context.Context, key string, cb *slack.InteractionCallback, f func(ctx context.Context) message) bool {
	return b.answer(ctx, key, func(ctx context.Context) {
		m := f(ctx)
		b.respond(ctx, cb, false, &m)
	})
}

func (b *Bot) respond(ctx context.Context, cb *slack.InteractionCallback, inChannel bool, m *message) {
	if err := b.api.respond(ctx, cb.ResponseURL, inChannel, m); err != nil {
		b.log.Warn("click can't be answered", "error", err)
	}
}
