package tapio

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// NoteKind says what a person did about a story.
type NoteKind string

// The kinds of notes.
const (
	NoteText       NoteKind = "note"  // a sentence for the timeline
	NoteAck        NoteKind = "ack"   // somebody takes care of it
	NoteUnack      NoteKind = "unack" // and gave it back
	NoteCall       NoteKind = "call"  // nobody took care, so somebody on call was called; Text says whom
	NotePass       NoteKind = "pass"  // and said that they can't take it
	NoteMute       NoteKind = "mute"
	NoteUnmute     NoteKind = "unmute"
	NoteWrongCause NoteKind = "wrong_cause" // feedback: the cause was another one
	NoteRightCause NoteKind = "right_cause" // feedback: the cause was right
)

// Note is what a person did about a story or added to its timeline. Notes are
// no part of a revision: they are kept beside the journal, so that the engine
// can go on telling while people write.
type Note struct {
	Time time.Time `json:"time"`
	Kind NoteKind  `json:"kind"`
	By   string    `json:"by"`             // the name as Slack has it, "@first"
	User string    `json:"user,omitempty"` // Slack ID
	Text string    `json:"text,omitempty"` // the person's own words; of a mute, until when
}

// Sentence says in plain words who did what.
func (n *Note) Sentence() string {
	deed := map[NoteKind]string{
		NoteText: "added a note", NoteAck: "takes care of it", NoteUnack: "gave it back",
		NoteCall: "called somebody on call", NotePass: "can't take it",
		NoteMute: "muted it", NoteUnmute: "unmuted it", NoteWrongCause: "says that the cause is wrong",
		NoteRightCause: "says that the cause is right",
	}[n.Kind]
	if deed == "" {
		deed = string(n.Kind)
	}
	if n.Text == "" {
		return fmt.Sprintf("%s %s.", n.By, deed)
	}
	switch n.Kind {
	case NoteCall:
		return fmt.Sprintf("%s called %s.", n.By, n.Text)
	case NoteText:
		return fmt.Sprintf("%s: %s", n.By, n.Text)
	}
	return fmt.Sprintf("%s %s: %s", n.By, deed, n.Text)
}

// Bounds of the notes of one story, so that a record stays small.
const (
	maxNotes    = 100
	maxNoteText = 2000 // bytes; 100 of them fit into the 256 KiB of a ledger record
)

// notePrefix begins the keys of notes in the ledger.
const notePrefix = "note/"

// NotesKey is the key under which the ledger holds the notes of a story.
func NotesKey(story string) string { return notePrefix + story }

// NotesStory returns the story whose notes a key holds, or false for another
// kind of key.
func NotesStory(key string) (story string, ok bool) { return strings.CutPrefix(key, notePrefix) }

// notesRecord is the value of such a record.
type notesRecord struct {
	Version int    `json:"v"`
	Notes   []Note `json:"notes"`
}

const notesVersion = 1

// AddNote returns the notes with one more, oldest first, and the record that
// keeps them. Of more than 100 notes the oldest go; a text is cut at 2,000
// bytes.
func AddNote(story string, notes []Note, n Note) ([]Note, Record) {
	n.Time = n.Time.UTC().Round(0)
	if len(n.Text) > maxNoteText {
		n.Text = strings.ToValidUTF8(n.Text[:maxNoteText], "") + "…"
	}
	notes = append(slices.Clip(notes), n)
	notes = notes[max(len(notes)-maxNotes, 0):]
	value, err := json.Marshal(notesRecord{notesVersion, notes})
	if err != nil {
		panic(fmt.Sprintf("notes of story %s: %v", story, err)) // plain data can always be encoded
	}
	return notes, Record{Key: NotesKey(story), Value: value}
}

// DecodeNotes reads the value of a record of notes.
func DecodeNotes(r Record) ([]Note, error) {
	var v notesRecord
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return nil, fmt.Errorf("ledger entry %s: %w", r.Key, err)
	}
	if v.Version != notesVersion {
		return nil, fmt.Errorf("ledger entry %s has version %d; this Tapio reads version %d", r.Key, v.Version, notesVersion)
	}
	return v.Notes, nil
}
