package store

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"
	"time"

	"encoding/binary"

	"github.com/google/go-cmp/cmp"

	"github.com/yairfalse/tapio"
)

func sample() tapio.Story {
	return tapio.Story{
		ID: "abc", Revision: 3, Status: tapio.StatusOpen, Cause: tapio.CauseOOMLimit,
		Subject:  tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: "checkout"},
		Updated:  time.Date(2026, 3, 1, 3, 0, 0, 123456789, time.UTC),
		Timeline: []tapio.StoryEvent{{ID: "e", Data: map[string]any{"reason": "OOMKilled", "changes": []tapio.Change{{Field: "limits.memory", From: "1", To: "2"}}}}},
	}
}

func FuzzDecodeStory(f *testing.F) {
	s := sample()
	record, _, err := new(encoder).story(&s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record)
	f.Add(record[:len(record)/2])
	f.Add([]byte{})
	f.Add([]byte{recordVersion})
	f.Add([]byte{recordVersion + 1, 1, 2, 3})
	bomb, err := new(encoder).compress(bytes.Repeat([]byte("["), 8<<20))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bomb)
	for _, text := range []string{"{}", "null", `{"id":"a","revision":1}`, `{"id":"a","timeline":[{"data":{"changes":[1,{"field":2}]}}]}`} {
		b, err := new(encoder).compress([]byte(text))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		story, err := decodeStory(b)
		if err != nil {
			return
		}
		if err := checkStory(&story); err != nil {
			t.Errorf("decoded a story that can't be saved: %v", err)
		}
		again, kept, err := new(encoder).story(&story)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeStory(again)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := json.Marshal(kept)
		got, _ := json.Marshal(back)
		if !bytes.Equal(want, got) {
			t.Errorf("was %s, is %s", want, got)
		}
	})
}

func FuzzDecodeHead(f *testing.F) {
	b, err := encodeHead(headRecord{Seq: 4, Revision: 2, Status: tapio.StatusOpen, Updated: time.Unix(1, 2).UTC()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("\x01{}"))
	f.Add([]byte("\x02{}"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHead(b)
		if err != nil {
			return
		}
		again, err := encodeHead(h)
		if err != nil {
			t.Skip("a time that JSON reads and does not write")
		}
		if back, err := decodeHead(again); err != nil || !back.Updated.Equal(h.Updated) || back.Seq != h.Seq {
			t.Errorf("was %+v, is %+v, %v", h, back, err)
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte{})
	f.Add(term{space: spacePod, namespace: "shop", name: "web-1"}.key("abc"))
	f.Add(term{space: spaceCause, name: "unknown"}.key("abc"))
	f.Add(timeKey(time.Unix(1, 2), "abc"))
	f.Add(historyKey("abc", 3))
	f.Fuzz(func(t *testing.T, key []byte) {
		if tm, id, ok := parseTerm(key); ok {
			if again := tm.key(id); !bytes.Equal(again, key) {
				t.Errorf("term key %x reads as %+v %q, which is %x", key, tm, id, again)
			}
			if !bytes.HasPrefix(key, tm.prefix()) {
				t.Errorf("key %x does not start with %x", key, tm.prefix())
			}
		}
		if updated, id, ok := parseTimeKey(key); ok && (updated != ^binary.BigEndian.Uint64(key[1:]) || id == "") {
			t.Errorf("time key %x: %d %q", key, updated, id)
		}
		if len(key) > 0 {
			owner(key)
		}
		decodeSeq(key)
	})
}

func FuzzScanLog(f *testing.F) {
	good := testEntries(f, [][3]string{{"t", "key-1", "one"}, {"t", "key-2", "two"}, {"e", logTxnKey + "12345678", "1"}, {"t", "key-3", "three"}, {"e", logTxnKey + "12345678", "2"}})
	f.Add(good)
	f.Add(good[:len(good)-5])
	f.Add(append(bytes.Clone(good), make([]byte, 100)...))
	f.Add(good[:logHeader])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		end, problem := scanLog(b, len(b))
		if end > len(b) || end < 0 && problem == "" || end >= 0 && end < logHeader {
			t.Errorf("%d bytes: end %d, problem %q", len(b), end, problem)
		}
	})
}

// testEntries writes a log as Badger does: t is an entry of a transaction, e
// ends one, and s stands alone.
func testEntries(t testing.TB, entries [][3]string) []byte {
	t.Helper()
	out := append(make([]byte, 8), "baseIV-12345"...)
	for _, e := range entries {
		start := len(out)
		out = append(out, map[string]byte{"t": logInTxn, "e": logEndTxn, "s": 0}[e[0]], 0)
		out = binary.AppendUvarint(out, uint64(len(e[1])))
		out = binary.AppendUvarint(out, uint64(len(e[2])))
		out = binary.AppendUvarint(out, 0)
		out = append(append(out, e[1]...), e[2]...)
		out = binary.BigEndian.AppendUint32(out, crc32.Checksum(out[start:], crc32.MakeTable(crc32.Castagnoli)))
	}
	return out
}

func TestScanLog(t *testing.T) {
	end := logTxnKey + "12345678"
	one := [][3]string{{"t", "key-1", "one"}, {"e", end, "1"}}
	two := append(one[:2:2], [][3]string{{"t", "key-2", "two"}, {"e", end, "2"}}...)
	whole, first := testEntries(t, two), len(testEntries(t, one))
	zeros := make([]byte, 200)
	broken := bytes.Clone(whole)
	broken[first+6] ^= 1
	tests := []struct {
		name    string
		data    []byte
		end     int
		problem string
	}{
		{"whole, in its room", append(bytes.Clone(whole), zeros...), len(whole), ""},
		{"whole, cut behind its last entry", whole, len(whole), ""},
		{"a single entry", testEntries(t, [][3]string{{"s", "k", "v"}}), len(testEntries(t, [][3]string{{"s", "k", "v"}})), ""},
		{"killed in the middle of a write", append(bytes.Clone(whole[:first+9]), zeros...), first, ""},
		{"cut in the middle of a write", whole[:first+9], first, "cut off after"},
		{"killed between entries of a transaction", append(testEntries(t, append(one[:2:2], [3]string{"t", "key-2", "two"})), zeros...), first, ""},
		{"a bit turned in an acknowledged write", append(bytes.Clone(broken), zeros...), first, "it and 1 write(s)"},
		{"no header", whole[:10], -1, "cut off after 10 bytes"},
		{"wrong header", append([]byte("letter"), whole...), -1, "wrong contents"},
		{"zeros", zeros, -1, "only zeros"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			end, problem := scanLog(tt.data, first+200)
			if end != tt.end || (problem == "") != (tt.problem == "") || !strings.Contains(problem, tt.problem) {
				t.Errorf("end %d, problem %q; want %d, %q", end, problem, tt.end, tt.problem)
			}
		})
	}
}

func TestStamp(t *testing.T) {
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	times := []time.Time{{}, time.Unix(0, 0), time.Unix(0, 1), day, day.Add(1), day.AddDate(400, 0, 0)}
	for i := range times[:len(times)-1] {
		if stamp(times[i]) > stamp(times[i+1]) {
			t.Errorf("%s sorts behind %s", times[i], times[i+1])
		}
		if bytes.Compare(timeKey(times[i], "x"), timeKey(times[i+1], "x")) < 0 {
			t.Errorf("the row of %s comes before the newer one of %s", times[i], times[i+1])
		}
	}
}

func TestShorten(t *testing.T) {
	long := strings.Repeat("€", 1000) // 3 bytes each
	for limit := range 10 {
		got, did := shorten(long, 1000+limit)
		if !did || !strings.HasSuffix(got, "€ … (cut: 3000 bytes)") {
			t.Errorf("limit %d: %q", 1000+limit, got[len(got)-40:])
		}
		if again, did := shorten(got, 1000+limit); did {
			t.Errorf("cut twice: %q", again[len(again)-40:])
		}
	}
	if got, did := shorten(long, 2990); did || got != long {
		t.Error("a text hardly longer than the limit was cut")
	}
}

// TestEveryFieldIsKept fills every field of a story and reads it back, so that
// a field added to tapio.Story is kept, or is missed here.
func TestEveryFieldIsKept(t *testing.T) {
	var s tapio.Story
	fillValue(reflect.ValueOf(&s).Elem())
	s.Status = tapio.StatusOpen
	record, kept, err := new(encoder).story(&s)
	if err != nil {
		t.Fatal(err)
	}
	if kept != &s {
		t.Error("a small story was cut")
	}
	got, err := decodeStory(record)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Error(diff)
	}
}

func fillValue(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fillValue(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		if value.Kind() == reflect.Interface {
			value.Set(reflect.ValueOf([]tapio.Change{{Field: "f", From: "a", To: "b"}}))
		} else {
			fillValue(value)
		}
		v.SetMapIndex(reflect.ValueOf("key"), value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 3, 1, 3, 0, 0, 5, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fillValue(v.Field(i))
		}
	}
}

// TestDecompressionIsBounded gives the decoder a record that would be larger
// than memory is meant for.
func TestDecompressionIsBounded(t *testing.T) {
	var b bytes.Buffer
	b.WriteByte(recordVersion)
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	for range 1024 {
		if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := decodeStory(b.Bytes()); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("1 GiB of spaces: %v", err)
	}
}
