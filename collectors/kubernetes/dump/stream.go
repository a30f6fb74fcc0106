package dump

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// source reads a stream that holds JSON, YAML and log sections one after the
// other, and knows at which byte it is.
type source struct {
	in     *bufio.Reader
	pushed []byte // read too far, to be read again
	offset int64  // of the next byte
}

func (s *source) Read(p []byte) (int, error) {
	n := 0
	var err error
	if len(s.pushed) > 0 {
		n = copy(p, s.pushed)
		s.pushed = s.pushed[n:]
	} else {
		n, err = s.in.Read(p)
	}
	s.offset += int64(n)
	return n, err
}

// push gives bytes back that were read too far.
func (s *source) push(unread []byte) {
	s.offset -= int64(len(unread))
	s.pushed = append(bytes.Clone(unread), s.pushed...)
}

// next skips white space and returns the byte that follows, unread.
func (s *source) next() (byte, error) {
	var b [1]byte
	for {
		if _, err := io.ReadFull(s, b[:]); err != nil {
			return 0, err
		}
		switch b[0] {
		case ' ', '\t', '\r', '\n':
		case 0xEF: // a byte order mark, which some shells write
			var rest [2]byte
			if n, _ := io.ReadFull(s, rest[:]); n != 2 || rest != [2]byte{0xBB, 0xBF} {
				s.push(rest[:n])
				s.push(b[:])
				return b[0], nil
			}
		default:
			s.push(b[:])
			return b[0], nil
		}
	}
}

// stream reads all documents of a stream. Where it fails it returns the byte
// offset up to which everything was read.
func (r *reader) stream(name string, in io.Reader) (at int64, err error) {
	s := &source{in: bufio.NewReaderSize(in, 1<<16)}
	for {
		if err := r.ctx.Err(); err != nil {
			return s.offset, err
		}
		c, err := s.next()
		switch {
		case errors.Is(err, io.EOF):
			return s.offset, nil
		case err != nil:
			return s.offset, err
		case c == '{' || c == '[':
			base := s.offset
			dec := json.NewDecoder(s)
			err = r.document(name, dec, base, 0)
			if err != nil {
				return base + dec.InputOffset(), plain(err)
			}
			unread, _ := io.ReadAll(dec.Buffered()) // of memory: it doesn't fail
			s.push(unread)
		case c == '=':
			if err := r.logSections(name, s); err != nil {
				return s.offset, err
			}
		default:
			return r.yaml(name, s)
		}
	}
}

// plain says in words what a decoder means.
func plain(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("it ends too soon")
	}
	return err
}

// maxDepth bounds lists within lists, which only jq makes.
const maxDepth = 3

// document reads one JSON document: a list, an object, or an array of them.
func (r *reader) document(name string, dec *json.Decoder, base int64, depth int) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('{'):
		return r.object(name, dec, base, depth)
	case json.Delim('['):
		return r.items(name, dec, base, depth, func() (string, string) { return "", "" }, nil)
	}
	return fmt.Errorf("%v is no object", t)
}

// object reads a list or a single object, of which the brace was read.
func (r *reader) object(name string, dec *json.Decoder, base int64, depth int) error {
	var (
		kind, version string
		whole         = []byte{'{'} // the object again, where it is no list
		isList        bool
		orphans       []orphan // items whose kind the list has yet to tell
		at            = base + dec.InputOffset() - 1
	)
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		if key == "items" && !isList {
			t, err := dec.Token()
			if err != nil {
				return err
			}
			isList = true
			switch t {
			case json.Delim('['):
				if err := r.items(name, dec, base, depth, func() (string, string) { return kind, version }, &orphans); err != nil {
					if len(orphans) > 0 {
						r.warn("%s: %d objects of unknown kind were left out", name, len(orphans))
					}
					return err
				}
			case nil:
			default:
				return fmt.Errorf("items of a list is %v, not a list", t)
			}
			continue
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		switch key {
		case "kind":
			kind = word(value)
		case "apiVersion":
			version = word(value)
		}
		if !isList {
			if len(whole) > 1 {
				whole = append(whole, ',')
			}
			quoted, _ := json.Marshal(key) // a string
			whole = append(append(append(whole, quoted...), ':'), value...)
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return err
	}
	if !isList {
		return r.item(name, append(whole, '}'), at, "", "", depth, nil)
	}
	if kind != "" {
		r.count(name)
		r.mark(strings.TrimSuffix(kind, "List"))
	}
	for _, o := range orphans {
		if err := r.item(name, o.raw, o.at, strings.TrimSuffix(kind, "List"), version, depth, nil); err != nil {
			return err
		}
	}
	return nil
}

// orphan is an item that names no kind, of a list that hasn't told it yet.
type orphan struct {
	raw json.RawMessage
	at  int64
}

// items reads the items of a list, of which the bracket was read. Kind returns
// what the list has told of itself so far.
func (r *reader) items(name string, dec *json.Decoder, base int64, depth int, kind func() (kind, version string), orphans *[]orphan) error {
	for dec.More() {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		at := base + dec.InputOffset() - int64(len(raw))
		k, v := kind()
		if err := r.item(name, raw, at, strings.TrimSuffix(k, "List"), v, depth, orphans); err != nil {
			return err
		}
	}
	_, err := dec.Token() // the closing bracket
	return err
}

// item hands one object on to be decoded. Kind and version are the list's.
func (r *reader) item(name string, raw json.RawMessage, at int64, kind, version string, depth int, orphans *[]orphan) error {
	ownKind, ownVersion, list := typeOf(raw)
	if list && depth < maxDepth {
		return r.document(name, json.NewDecoder(bytes.NewReader(raw)), at, depth+1)
	}
	if ownKind != "" {
		kind, version = ownKind, ownVersion
	}
	if kind == "" {
		if orphans != nil {
			*orphans = append(*orphans, orphan{raw, at})
		}
		return nil
	}
	r.count(name)
	r.mark(kind)
	make := known(kind, version)
	if make == nil {
		r.skipped[kind]++
		return nil
	}
	return r.decode.add(task{file: name, at: at, kind: kind, raw: raw, make: make})
}

// word returns a JSON string, or "".
func word(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// typeOf returns the kind and apiVersion that valid JSON names at its top, and
// whether it is a list. It stops as soon as it knows.
func typeOf(raw json.RawMessage) (kind, version string, list bool) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return "", "", false
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return kind, version, list
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return kind, version, list
		}
		switch key {
		case "kind":
			kind = word(value)
		case "apiVersion":
			version = word(value)
		case "items":
			list = len(value) > 0 && value[0] == '['
		}
		if kind != "" && version != "" && !strings.HasSuffix(kind, "List") {
			break
		}
	}
	return kind, version, list && strings.HasSuffix(kind, "List")
}
