package store

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"
)

// The spaces of the key layout in the package comment.
const (
	spaceJournal   = 'j'
	spaceHead      = 's'
	spaceHistory   = 'h'
	spaceTime      = 't'
	spacePod       = 'p'
	spaceWorkload  = 'w'
	spaceNamespace = 'n'
	spaceCause     = 'c'
	spaceLedger    = 'l'
	spaceMeta      = 'm'
)

// maxID bounds a story's ID and maxName an indexed name, in bytes. Kubernetes
// names end at 253; a longer one names nothing in a cluster.
const (
	maxID   = 128
	maxName = 253
)

func journalKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{spaceJournal}, seq)
}

func headKey(id string) []byte { return append([]byte{spaceHead}, id...) }

func historyPrefix(id string) []byte {
	return append(append([]byte{spaceHistory}, id...), 0)
}

func historyKey(id string, revision int) []byte {
	return binary.BigEndian.AppendUint64(historyPrefix(id), uint64(revision))
}

func timeKey(updated time.Time, id string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{spaceTime}, ^stamp(updated)), id...)
}

// stamp is the time as nanoseconds since 1970, as far as 64 bits reach.
func stamp(t time.Time) uint64 {
	switch sec := t.Unix(); {
	case sec < 0:
		return 0
	case sec > math.MaxInt64/int64(time.Second)-1:
		return math.MaxInt64
	}
	return uint64(t.UnixNano())
}

// term is what a story is found by: a name, with the namespace it is in where
// the space has one.
type term struct {
	space     byte
	name      string
	namespace string
}

// prefix returns the start of the term's rows. Without a namespace it is the
// start of the rows of that name in every namespace.
func (t term) prefix() []byte {
	k := append([]byte{t.space}, t.name...)
	k = append(k, 0)
	if t.namespaced() && t.namespace != "" {
		k = append(append(k, t.namespace...), 0)
	}
	return k
}

// key returns the term's row for the story.
func (t term) key(id string) []byte {
	k := append([]byte{t.space}, t.name...)
	k = append(k, 0)
	if t.namespaced() {
		k = append(append(k, t.namespace...), 0)
	}
	return append(k, id...)
}

func (t term) namespaced() bool { return t.space == spacePod || t.space == spaceWorkload }

// parseTerm reads an index row's key back. It reports false for a key that is
// none.
func parseTerm(key []byte) (t term, id string, ok bool) {
	if len(key) == 0 {
		return term{}, "", false
	}
	t.space = key[0]
	rest := key[1:]
	switch t.space {
	case spacePod, spaceWorkload:
		name, more, ok1 := bytes.Cut(rest, []byte{0})
		namespace, last, ok2 := bytes.Cut(more, []byte{0})
		if !ok1 || !ok2 {
			return term{}, "", false
		}
		t.name, t.namespace, id = string(name), string(namespace), string(last)
	case spaceNamespace, spaceCause:
		name, last, ok1 := bytes.Cut(rest, []byte{0})
		if !ok1 {
			return term{}, "", false
		}
		t.name, id = string(name), string(last)
	default:
		return term{}, "", false
	}
	return t, id, id != "" && !bytes.ContainsRune([]byte(id), 0)
}

// parseTimeKey reads the story's ID from a row of the time index.
func parseTimeKey(key []byte) (updated uint64, id string, ok bool) {
	if len(key) < 10 || key[0] != spaceTime {
		return 0, "", false
	}
	return ^binary.BigEndian.Uint64(key[1:]), string(key[9:]), true
}

func formatKey() []byte { return []byte{spaceMeta, 'f', 'o', 'r', 'm', 'a', 't'} }

func seqKey() []byte { return []byte{spaceMeta, 's', 'e', 'q'} }

func rowsKey() []byte { return []byte{spaceMeta, 'r', 'o', 'w', 's'} }

func encodeSeq(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func decodeSeq(v []byte) (uint64, bool) {
	if len(v) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(v), true
}
