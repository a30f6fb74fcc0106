package bot

import (
	"context"
	"fmt"
	"time"

	"github.com/yairfalse/tapio"
)

// act is something that the desk does for a person. It returns what to tell
// the person, "" for nothing.
type act func(ctx context.Context, d *desk, now time.Time) (tell string, err error)

// ackStory acknowledges a story or takes that back. It changes nothing when it
// comes a second time.
func ackStory(story string, by ack, undo bool) act {
	return func(ctx context.Context, d *desk, now time.Time) (string, error) {
		t := d.threads[story]
		switch {
		case t == nil || t.Board != "":
			return "Tapio doesn't remember this story any more.", nil
		case t.closed() || t.Kind == kindStorm && !d.raging(t):
			return "This story is over; there is nothing to acknowledge.", nil
		case !undo && t.Ack != nil && t.Ack.User != by.User:
			return "Already acknowledged by " + t.Ack.name() + ".", nil
		case undo == (t.Ack == nil):
			return "", nil
		}
		by.At = now
		f := fact{Kind: newsAck, Time: now, At: now, Text: by.plainName() + " takes care of it."}
		kind := tapio.NoteAck
		t.Ack = &by
		if undo {
			f = fact{Kind: newsUnack, Time: now, At: now, Text: by.plainName() + " gave it back: it is firing and nobody takes care of it."}
			kind, t.Ack = tapio.NoteUnack, nil
		}
		d.proclaim(t, f)
		records := append(d.restate(t.ID), t.record())
		if t.Kind == kindStory {
			_, noted := d.annotate(story, &by, kind, "", now)
			records = append(records, noted)
		}
		return "", d.save(ctx, records...)
	}
}

// proclaim puts what a person did into the thread, at once, where the story has
// one that is seen.
func (d *desk) proclaim(t *thread, f fact) {
	if t.Board == "" && (t.RootTS != "" || t.Intent != nil || t.Root != rootFine) {
		t.hear(f)
		t.Root, t.Flush = rootNow, true
	}
	d.note(t)
}

// noteStory writes what a person wants remembered, or thinks of the cause,
// into the story's timeline and its thread.
func noteStory(story string, by ack, kind tapio.NoteKind, text string) act {
	return func(ctx context.Context, d *desk, now time.Time) (string, error) {
		n, noted := d.annotate(story, &by, kind, text, now)
		records := []tapio.Record{noted}
		if t := d.threads[story]; t != nil {
			d.proclaim(t, fact{Kind: newsOf(kind), Time: now, At: now, Text: n.Sentence()})
			records = append(records, t.record())
		}
		return "", d.save(ctx, records...)
	}
}

// muteWhat mutes, and says so in the threads that it silences.
func muteWhat(m mute) act {
	return func(ctx context.Context, d *desk, now time.Time) (string, error) {
		m.By.At = now
		why, err := d.mute(ctx, &m, now)
		if why != "" || err != nil {
			return why, err
		}
		return fmt.Sprintf(":no_bell: %s is muted until %s. Its stories are kept and listed; nothing is posted for them. `/tapio unmute` ends it.", m.what(), moment(m.Until, now)), nil
	}
}

// unmuteIt ends a mute.
func unmuteIt(id string, by ack) act {
	return func(ctx context.Context, d *desk, now time.Time) (string, error) {
		by.At = now
		m := d.mutes[id]
		why, err := d.unmute(ctx, id, &by, now)
		if why != "" || err != nil {
			return why, err
		}
		return fmt.Sprintf(":bell: %s is no longer muted.", m.what()), nil
	}
}
