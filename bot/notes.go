package bot

import (
	"context"
	"fmt"
	"time"

	"github.com/yairfalse/tapio"
)

// The facts that people add to a thread, beside newsAck and newsUnack.
const (
	newsNote  tapio.NewsKind = "note"
	newsWrong tapio.NewsKind = "wrong cause"
	newsRight tapio.NewsKind = "right cause"
	newsMute  tapio.NewsKind = "muted"
)

// newsOf is what the thread calls a note.
func newsOf(k tapio.NoteKind) tapio.NewsKind {
	switch k {
	case tapio.NoteAck:
		return newsAck
	case tapio.NoteUnack:
		return newsUnack
	case tapio.NoteMute, tapio.NoteUnmute:
		return newsMute
	case tapio.NoteWrongCause:
		return newsWrong
	case tapio.NoteRightCause:
		return newsRight
	}
	return newsNote
}

// note writes down what a person did, and returns the record to save. Where
// the story has a thread it also becomes news there.
func (d *desk) annotate(story string, by *ack, kind tapio.NoteKind, text string, now time.Time) (tapio.Note, tapio.Record) {
	n := tapio.Note{Time: now, Kind: kind, By: by.plainName(), User: by.User, Text: clean(text, budgetNote, false)}
	if kind == tapio.NoteCall {
		n.By = "Tapio"
	}
	notes, r := tapio.AddNote(story, d.notes[story], n)
	d.notes[story] = notes
	d.count.acts.WithLabelValues(string(kind)).Inc()
	return notes[len(notes)-1], r
}

// told returns what people did about a story, oldest first. Where it can't be
// read the story is told without: that is better than no story.
func (b *Bot) told(ctx context.Context, story string) []tapio.Note {
	notes, err := ReadNotes(ctx, b.opts.Ledger, story)
	if err != nil {
		b.log.Error("notes can't be read", "story", story, "error", err)
	}
	return notes
}

// ReadNotes returns what people did about a story, oldest first.
func ReadNotes(ctx context.Context, l Ledger, story string) ([]tapio.Note, error) {
	records, err := l.Read(ctx, tapio.NotesKey(story))
	if err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	for _, r := range records {
		if r.Key == tapio.NotesKey(story) { // others only begin like it
			return tapio.DecodeNotes(r)
		}
	}
	return nil, nil
}

// loadNotes reads the notes of all stories.
func (d *desk) loadNotes(ctx context.Context) error {
	records, err := d.opts.Ledger.Read(ctx, tapio.NotesKey(""))
	if err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	for _, r := range records {
		story, _ := tapio.NotesStory(r.Key)
		notes, err := tapio.DecodeNotes(r)
		if err != nil {
			d.log.Error("the notes of a story can't be read; new ones replace them", "error", err)
			continue
		}
		if len(notes) > 0 {
			d.notes[story] = notes
		}
	}
	return nil
}
