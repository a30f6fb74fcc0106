package bot

import (
	"context"
	"fmt"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
)

// Bounds of what comes in. Slack shows an error to the person where nothing is
// acknowledged within 3 s, so nothing here waits as long as that.
const (
	// ackAfter is how long an acknowledgement waits for what was asked to be
	// written down; after that it is written behind the acknowledgement.
	ackAfter = 2 * time.Second
	// maxAnswers is how many commands and clicks are answered side by side.
	// Each waits for Slack most of the time.
	maxAnswers = 8
	// maxQueued is how many more wait for their turn: what a busy incident
	// channel may ask in the seconds that an answer takes. Above it they are
	// refused and counted.
	maxQueued = 64
)

// receipt is what Slack is answered at once.
type receipt struct {
	taken   bool // false: refused, so that Slack shows an error or sends it again
	payload any  // of a submitted modal: what is wrong with it; nil for nothing
}

// due says what Slack is to be answered. It returns within ackAfter.
type due func() receipt

func taken(payload any) due { return func() receipt { return receipt{taken: true, payload: payload} } }
func refused() receipt      { return receipt{} }

// answer runs f beside the others: at most maxAnswers at once, with maxQueued
// more that wait in no particular order. Above that it is refused.
func (b *Bot) answer(ctx context.Context, key string, f func(ctx context.Context)) receipt {
	select {
	case b.queue <- struct{}{}:
	default:
		return b.refuse(key, "answer")
	}
	go func() {
		defer func() { <-b.queue }()
		b.slots <- struct{}{} // every holder has a deadline
		defer func() { <-b.slots }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		f(ctx)
	}()
	return receipt{taken: true}
}

// refuse counts what there was no room for. When Slack sends it again it is new.
func (b *Bot) refuse(key, what string) receipt {
	b.count.dropped.WithLabelValues(what).Inc()
	b.log.Warn("too much comes in at once; something was refused", "what", what)
	b.seen.forget(key)
	return refused()
}

// finishAnswers waits until no command or click is under way. Each has a
// deadline.
func (b *Bot) finishAnswers() {
	for range cap(b.queue) {
		b.queue <- struct{}{}
	}
	for range cap(b.queue) {
		<-b.queue
	}
}

// request is something that only the desk may do: what a person did to a story.
type request struct {
	do   func(ctx context.Context, d *desk, now time.Time) (tell string, err error)
	done chan string // what to tell the person, "" for nothing; buffered by 1
}

// ask hands a request to the desk, in the order of the calls, and returns who
// waits for it: the acknowledgement comes when it is written down, or after
// ackAfter. tell, which may be nil, is called with what the person is told, "" for nothing.
func (b *Bot) ask(key string, do func(context.Context, *desk, time.Time) (string, error), tell func(text string)) due {
	q := request{do: do, done: make(chan string, 1)}
	select {
	case b.requests <- q:
	default:
		r := b.refuse(key, "request")
		return func() receipt { return r }
	}
	return func() receipt {
		late := time.NewTimer(ackAfter)
		defer late.Stop()
		select {
		case text := <-q.done:
			b.tellLater(text, tell)
		case <-late.C:
			b.others.Go(func() {
				select {
				case text := <-q.done:
					b.tellLater(text, tell)
				case <-b.ended:
				}
			})
		case <-b.ended: // nobody knows whether it was written
			b.seen.forget(key)
			return refused()
		}
		return receipt{taken: true}
	}
}

func (b *Bot) tellLater(text string, tell func(string)) {
	if tell != nil {
		tell(text)
	}
}

// serve carries a request out.
func (d *desk) serve(ctx context.Context, q request, now time.Time) error {
	tell, err := q.do(ctx, d, now)
	if err != nil {
		return err
	}
	q.done <- tell
	return nil
}

// command answers a slash command over its response URL.
func (b *Bot) command(ctx context.Context, c *slack.SlashCommand) due {
	key := "command " + c.TriggerID
	if c.TriggerID == "" {
		key = "command " + c.ResponseURL
	}
	if !b.seen.first(key) {
		return taken(nil)
	}
	r := b.answer(ctx, key, func(ctx context.Context) {
		m, say := b.reply(ctx, commandOf(c))
		if !say {
			return // a modal was opened instead
		}
		if err := b.api.respond(ctx, c.ResponseURL, false, &m); err != nil {
			b.log.Warn("command can't be answered", "error", err)
		}
	})
	return func() receipt { return r }
}

// event hears what happens in Slack: somebody opens the App Home.
func (b *Bot) event(ctx context.Context, e *slackevents.EventsAPIEvent) due {
	key := ""
	if cb, ok := e.Data.(*slackevents.EventsAPICallbackEvent); ok {
		key = "event " + cb.EventID
	}
	if key != "event " && key != "" && !b.seen.first(key) {
		return taken(nil)
	}
	opened, ok := e.InnerEvent.Data.(*slackevents.AppHomeOpenedEvent)
	if !ok || opened.Tab == "messages" {
		return taken(nil)
	}
	r := b.answer(ctx, key, func(ctx context.Context) { b.showHome(ctx, opened.User) })
	return func() receipt { return r }
}

// interact handles a click, a submitted modal or a shortcut.
func (b *Bot) interact(ctx context.Context, cb *slack.InteractionCallback) due {
	switch cb.Type {
	case slack.InteractionTypeBlockActions:
		var all []due
		for _, a := range cb.ActionCallback.BlockActions {
			if a != nil {
				all = append(all, b.pressed(ctx, cb, a))
			}
		}
		return func() receipt {
			out := receipt{taken: true}
			for _, d := range all {
				out.taken = d().taken && out.taken
			}
			return out
		}
	case slack.InteractionTypeViewSubmission:
		return b.submitted(ctx, cb)
	case slack.InteractionTypeMessageAction:
		return b.shortcut(ctx, cb)
	}
	return taken(nil)
}

// onceKey names an interaction, for knowing it again.
func onceKey(cb *slack.InteractionCallback, more ...string) string {
	return fmt.Sprintf("%s %s %s %v", cb.Type, cb.TriggerID, cb.View.ID, more)
}
