package store

import (
	"encoding/json"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/yairfalse/tapio"
)

// cuts are tried in order until a story fits: the longest text in bytes, and
// the longest list in entries. The last ones still leave every Kubernetes name
// (317 bytes with its namespace) whole.
func cuts() []cut {
	return []cut{{4000, 20000}, {2000, 5000}, {1000, 1000}, {300, 200}, {300, 50}}
}

type cut struct{ text, list int }

// story returns the record of s and s itself, or, where s is too large,
// the record of a shortened copy and that copy. s is never changed.
func (e *encoder) story(s *tapio.Story) (record []byte, kept *tapio.Story, err error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: story %s: %w", ErrInvalid, s.ID, err)
	}
	if record, err := e.within(raw); record != nil || err != nil {
		return record, s, err
	}
	size := len(raw)
	for _, c := range cuts() {
		short := new(tapio.Story)
		if err := json.Unmarshal(raw, short); err != nil {
			return nil, nil, fmt.Errorf("story %s: %w", s.ID, err)
		}
		retype(short)
		var count cutCount
		count.value(reflect.ValueOf(short).Elem(), c)
		short.Gaps = append(short.Gaps, tapio.Gap{
			Source: "store", From: s.Timestamp, To: s.Updated, Dropped: count.entries,
			Reason: fmt.Sprintf("the story was too large to save whole (%d bytes): %d texts were shortened, %d list entries left out", size, count.texts, count.entries),
		})
		b, err := json.Marshal(short)
		if err != nil {
			return nil, nil, fmt.Errorf("story %s: %w", s.ID, err)
		}
		record, err := e.within(b)
		if err != nil {
			return nil, nil, err
		}
		if record != nil {
			return record, short, nil
		}
	}
	return nil, nil, fmt.Errorf("story %s of %d bytes is %w", s.ID, size, ErrTooLarge)
}

// within returns the record, or nil where it would be out of bounds.
func (e *encoder) within(raw []byte) ([]byte, error) {
	if len(raw) > maxRaw {
		return nil, nil
	}
	record, err := e.compress(raw)
	if err != nil || len(record) > maxStored {
		return nil, err
	}
	return record, nil
}

// cutCount walks a story, shortens what is longer than a cut allows, and counts.
type cutCount struct{ texts, entries int }

func (n *cutCount) value(v reflect.Value, c cut) {
	switch v.Kind() {
	case reflect.String:
		if s, did := shorten(v.String(), c.text); did {
			v.SetString(s)
			n.texts++
		}
	case reflect.Slice:
		// The oldest entries hold the cause, the newest the present state.
		if l := v.Len(); l > c.list {
			head, tail := c.list/2, c.list-c.list/2
			reflect.Copy(v.Slice(head, c.list), v.Slice(l-tail, l))
			v.Set(v.Slice3(0, c.list, c.list))
			n.entries += l - c.list
		}
		for i := range v.Len() {
			n.value(v.Index(i), c)
		}
	case reflect.Struct:
		if !v.CanSet() || v.Type().PkgPath() == "time" {
			return
		}
		for i := range v.NumField() {
			n.value(v.Field(i), c)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			n.value(v.Elem(), c)
		}
	case reflect.Map:
		n.mapping(v, c)
	}
}

// mapping shortens the texts of a map, whose values can't be set in place.
func (n *cutCount) mapping(v reflect.Value, c cut) {
	for it := v.MapRange(); it.Next(); {
		value := it.Value()
		if value.Kind() == reflect.Interface {
			value = value.Elem()
		}
		if !value.IsValid() {
			continue
		}
		out := reflect.New(value.Type()).Elem()
		out.Set(value)
		n.value(out, c)
		key := it.Key()
		if k, did := shorten(key.String(), c.text); did {
			v.SetMapIndex(key, reflect.Value{})
			key = reflect.ValueOf(k).Convert(key.Type())
			n.texts++
		}
		v.SetMapIndex(key, out)
	}
}

// shorten cuts a text to at most limit bytes and a remark that says so. A text
// that is longer by no more than a remark stays, so cutting twice is cutting
// once.
func shorten(s string, limit int) (string, bool) {
	const remark = 64
	if len(s) <= limit+remark {
		return s, false
	}
	size := len(s)
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return fmt.Sprintf("%s … (cut: %d bytes)", s[:limit], size), true
}
