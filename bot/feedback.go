package bot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// feedback takes what a person says about a cause: it is written down, said in
// the thread, and what Tapio saw of the incident is kept with it.
func (b *Bot) feedback(ctx context.Context, key string, from modalFrom, f tapio.Feedback, by ack) due {
	f.By, f.User, f.Text = by.plainName(), by.User, clean(f.Text, budgetNote, false)
	return b.ask(key, giveFeedback(f, by), func(text string) {
		b.answer(ctx, key+" told", func(ctx context.Context) {
			if b.opts.Keep != nil {
				if err := b.opts.Keep(ctx, f.Story); err != nil {
					b.log.Error("what was seen of an incident can't be kept", "story", f.Story, "error", err)
				}
			}
			m := plainAnswer(text)
			b.whisperTo(ctx, from.Channel, by.User, &m)
		})
	})
}

// giveFeedback writes feedback down. The last word of a person counts.
func giveFeedback(f tapio.Feedback, by ack) act {
	return func(ctx context.Context, d *desk, now time.Time) (string, error) {
		s, err := d.opts.Stories.Story(ctx, f.Story)
		if err != nil {
			return "Tapio doesn't remember this story any more.", nil
		}
		f.Time, f.Revision = now.UTC().Round(0), s.Revision
		f.Told, f.Standing, f.Template = s.Cause, s.Standing, s.Template
		kind, text, thanks := tapio.NoteWrongCause, wrongWords(&f, d.opts.Causes), ":pray: Thank you. It is kept with a recording of what Tapio saw: `tapio record export "+escape(f.Story, budgetName)+"` makes a test case of it."
		if f.Good {
			kind, text, thanks = tapio.NoteRightCause, "", ":pray: Thank you. It counts: `tapio stats` shows how often causes are right."
		}
		n, noted := d.annotate(f.Story, &by, kind, text, now)
		records := []tapio.Record{f.Record(), noted}
		if t := d.threads[f.Story]; t != nil && !f.Good { // praise is no news
			d.proclaim(t, fact{Kind: newsOf(kind), Time: now, At: now, Text: n.Sentence()})
			records = append(records, t.record())
		}
		verdict := "wrong"
		if f.Good {
			verdict = "right"
		}
		d.count.feedback.WithLabelValues(verdict, string(s.Standing)).Inc()
		return thanks, d.save(ctx, records...)
	}
}

// wrongWords says in a sentence what the cause was instead.
func wrongWords(f *tapio.Feedback, causes []CauseName) string {
	at, right := "", string(f.Right)
	for i := range causes {
		if causes[i].Code == f.Right {
			right = fmt.Sprintf("%s (%s)", causes[i].Name, f.Right)
		}
	}
	if !f.Entity.IsZero() {
		at = " at " + f.Entity.String()
	}
	switch {
	case f.Right == "" || f.Right == causeOther:
		return strings.TrimSpace(f.Text + at)
	case f.Text == "":
		return fmt.Sprintf("it was %s%s", right, at)
	}
	return fmt.Sprintf("it was %s%s. %s", right, at, f.Text)
}
