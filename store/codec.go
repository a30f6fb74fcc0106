package store

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/yairfalse/tapio"
)

// recordVersion is the version byte of the records that this package writes and
// the newest that it reads.
const recordVersion = 1

// Bounds of a saved story, in bytes. maxStored keeps one record below the size
// that Badger takes in one transaction with the small memtable that badger.go
// sets. maxRaw bounds what reading one record can cost.
const (
	maxStored = 256 << 10 // compressed
	maxRaw    = 4 << 20   // as JSON
)

// headRecord is what a query needs to know of a story without reading it.
type headRecord struct {
	Seq      uint64       `json:"seq"`
	Revision int          `json:"revision"`
	Status   tapio.Status `json:"status"`
	Updated  time.Time    `json:"updated"`
}

// formatRecord says how new the records of a folder are and who wrote them. It
// is plain JSON in every version, so that an older Tapio can always say whose
// folder it is.
type formatRecord struct {
	Version int    `json:"version"`
	Writer  string `json:"writer"` // version of Tapio
}

// encodeHead writes a head record.
func encodeHead(v headRecord) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append([]byte{recordVersion}, b...), nil
}

// decodeHead reads a head record.
func decodeHead(b []byte) (headRecord, error) {
	var h headRecord
	if err := checkVersion(b); err != nil {
		return h, err
	}
	if err := json.Unmarshal(b[1:], &h); err != nil {
		return h, fmt.Errorf("is no head: %w", err)
	}
	if h.Seq == 0 || h.Revision < 1 {
		return h, errors.New("is incomplete")
	}
	return h, nil
}

// versionError is the error of a record that a newer Tapio wrote.
type versionError struct{ version byte }

func (e versionError) Error() string {
	return fmt.Sprintf("has version %d, this Tapio reads up to %d", e.version, recordVersion)
}

func checkVersion(b []byte) error {
	switch {
	case len(b) == 0:
		return errors.New("is empty")
	case b[0] == 0:
		return errors.New("has version 0, which never existed")
	case b[0] > recordVersion:
		return versionError{b[0]}
	}
	return nil
}

// encoder writes revision records. Its compressor is used again and again,
// because one takes more memory than the records. The zero value is ready to use,
// by one goroutine at a time.
type encoder struct{ flate *flate.Writer }

// compress writes a revision record from a story's JSON.
func (e *encoder) compress(raw []byte) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte(recordVersion)
	if e.flate == nil {
		w, err := flate.NewWriter(&b, flate.BestSpeed)
		if err != nil {
			return nil, err
		}
		e.flate = w
	} else {
		e.flate.Reset(&b)
	}
	if _, err := e.flate.Write(raw); err != nil {
		return nil, err
	}
	if err := e.flate.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// decodeStory reads a revision record. It takes any bytes and never uses more
// memory than a story of maxRaw needs.
func decodeStory(b []byte) (tapio.Story, error) {
	if err := checkVersion(b); err != nil {
		return tapio.Story{}, err
	}
	r := flate.NewReader(bytes.NewReader(b[1:]))
	raw, err := io.ReadAll(io.LimitReader(r, maxRaw+1))
	if err != nil {
		return tapio.Story{}, fmt.Errorf("can't be decompressed: %w", err)
	}
	if len(raw) > maxRaw {
		return tapio.Story{}, fmt.Errorf("is larger than %d bytes", maxRaw)
	}
	var s tapio.Story
	if err := json.Unmarshal(raw, &s); err != nil {
		return tapio.Story{}, fmt.Errorf("is no story: %w", err)
	}
	if err := checkStory(&s); err != nil {
		return tapio.Story{}, err
	}
	retype(&s)
	return s, nil
}

// retype gives the changes in the timeline's data the Go type that
// [tapio.StoryEvent] promises; JSON alone loses it.
func retype(s *tapio.Story) {
	for i := range s.Timeline {
		for k, v := range s.Timeline[i].Data {
			if _, ok := v.([]any); !ok {
				continue
			}
			b, err := json.Marshal(v)
			if err != nil {
				continue
			}
			var changes []tapio.Change
			if json.Unmarshal(b, &changes) == nil {
				s.Timeline[i].Data[k] = changes
			}
		}
	}
}

// checkStory reports a story that the store can't keep.
func checkStory(s *tapio.Story) error {
	if err := s.Validate(); err != nil {
		return err
	}
	switch s.Status {
	case tapio.StatusOpen, tapio.StatusResolved, tapio.StatusAbsorbed:
	default:
		return fmt.Errorf("story %s has status %q; only open, resolved and absorbed stories are saved", s.ID, s.Status)
	}
	if len(s.ID) > maxID {
		return fmt.Errorf("story id of %d bytes is longer than %d", len(s.ID), maxID)
	}
	for _, r := range s.ID {
		if r <= ' ' || r == 0x7f || r == '\uFFFD' {
			return fmt.Errorf("story id %q has a character that no id has", s.ID)
		}
	}
	return nil
}

// writerVersion names the running Tapio: its module version, or "(devel)".
func writerVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}
