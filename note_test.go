package tapio

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestNotes(t *testing.T) {
	at := time.Date(2026, 11, 2, 14, 2, 0, 0, time.UTC)
	var notes []Note
	var record Record
	for i := range 150 {
		notes, record = AddNote("s1", notes, Note{Time: at.Add(time.Duration(i) * time.Second), Kind: NoteText, By: "@first", Text: strings.Repeat("é", 2000)})
	}
	got, err := DecodeNotes(record)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(notes, got) {
		t.Error("notes changed on their way through the record")
	}
	if len(got) != 100 || !got[0].Time.Equal(at.Add(50*time.Second)) {
		t.Errorf("%d notes, the first of %s", len(got), got[0].Time)
	}
	if s, ok := NotesStory(record.Key); !ok || s != "s1" {
		t.Errorf("key %s", record.Key)
	}
	if len(record.Value) > 256<<10 {
		t.Errorf("a record of %d bytes", len(record.Value))
	}
	n := Note{Kind: NoteMute, By: "@first", Text: "until 16:00 UTC"}
	if s := n.Sentence(); s != "@first muted it: until 16:00 UTC" {
		t.Error(s)
	}
}

func FuzzDecodeNotes(f *testing.F) {
	_, r := AddNote("s", nil, Note{Kind: NoteAck, By: "@a"})
	f.Add(r.Value)
	f.Add([]byte(`{"v":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		notes, err := DecodeNotes(Record{Key: "note/s", Value: data})
		if err != nil && notes != nil {
			t.Error("notes beside an error")
		}
	})
}
