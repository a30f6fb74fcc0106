package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/yairfalse/tapio"
)

// terms returns what a story is found by, each once: its affected pods and
// workloads, every namespace it touches, and its cause.
func terms(s *tapio.Story) []term {
	seen := make(map[term]bool)
	var out []term
	add := func(space byte, namespace, name string) {
		t := term{space: space, name: name, namespace: namespace}
		if name == "" || len(name) > maxName || len(namespace) > maxName || strings.Contains(namespace+name, "\x00") || seen[t] {
			return
		}
		seen[t] = true
		out = append(out, t)
	}
	entity := func(e tapio.Entity) {
		add(spaceNamespace, "", e.Namespace)
		switch {
		case e.Kind == tapio.KindPod:
			add(spacePod, e.Namespace, e.Name)
		case e.Kind.IsWorkload():
			add(spaceWorkload, e.Namespace, e.Name)
		}
	}
	entity(s.Subject)
	for _, e := range s.Affected {
		entity(e)
	}
	for _, pod := range s.AffectedPods {
		namespace, name, ok := strings.Cut(pod, "/")
		if !ok {
			namespace, name = "", pod
		}
		add(spaceNamespace, "", namespace)
		add(spacePod, namespace, name)
	}
	add(spaceNamespace, "", s.CauseEntity.Namespace)
	add(spaceCause, "", string(s.Cause))
	return out
}

// queryTerms returns what a query asks of a story's terms, the rarest first.
func queryTerms(q tapio.Query) []term {
	var out []term
	named := func(space byte, name string) {
		if name == "" {
			return
		}
		t := term{space: space, name: name}
		if namespace, rest, ok := strings.Cut(name, "/"); ok {
			t.namespace, t.name = namespace, rest
		}
		out = append(out, t)
	}
	named(spacePod, q.Pod)
	named(spaceWorkload, q.Workload)
	if q.Cause != "" {
		out = append(out, term{space: spaceCause, name: string(q.Cause)})
	}
	if q.Namespace != "" {
		out = append(out, term{space: spaceNamespace, name: q.Namespace})
	}
	return out
}

// matches reports whether a story's newest revision is one that q asks for,
// whose terms are want.
func matches(s *tapio.Story, q tapio.Query, want []term) bool {
	if q.Status != "" && s.Status != q.Status || s.Updated.Before(q.Since) {
		return false
	}
	if len(want) == 0 {
		return true
	}
	have := terms(s)
	for _, w := range want {
		if !slices.ContainsFunc(have, func(t term) bool {
			return t == w || w.namespace == "" && t.space == w.space && t.name == w.name
		}) {
			return false
		}
	}
	return true
}

// Stories returns the newest revision of each story that the query asks for,
// newest Updated first and then by ID. Query.Pod and Query.Workload take a name,
// which means that name in every namespace, or namespace/name; both mean
// affected ones. Query.Namespace is one that an affected object, the subject or
// the cause is in. A Limit of 0 means all of them.
//
// It reads the rows of one index and the stories they name, not all stories.
func (s *Store) Stories(ctx context.Context, q tapio.Query) ([]tapio.Story, error) {
	var out []tapio.Story
	err := s.view(ctx, func(txn *badger.Txn) error {
		want := queryTerms(q)
		take := func(id string, h headRecord) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			story, err := s.newest(txn, id, h)
			if err == nil && matches(&story, q, want) {
				out = append(out, story)
			}
			return nil // what can't be read was reported
		}
		if len(want) > 0 {
			return s.byTerm(ctx, txn, want[0], q, take, func() bool { return q.Limit > 0 && len(out) >= q.Limit })
		}
		return s.byTime(txn, q, take, func() bool { return q.Limit > 0 && len(out) >= q.Limit })
	})
	if err != nil {
		return nil, fmt.Errorf("find stories: %w", err)
	}
	return out, nil
}

// found is a story that an index row names.
type found struct {
	id   string
	head headRecord
}

// byTerm takes the stories that the rows of a term name, newest first.
func (s *Store) byTerm(ctx context.Context, txn *badger.Txn, t term, q tapio.Query, take func(string, headRecord) error, enough func() bool) error {
	var list []found
	it := txn.NewIterator(keysOnly(t.prefix()))
	defer it.Close()
	seen := make(map[string]bool) // a bare name may meet the same story in two namespaces
	for it.Rewind(); it.Valid(); it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, id, ok := parseTerm(it.Item().Key())
		if !ok {
			s.report("index key %x is no key; skipped", it.Item().Key())
			continue
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		h, err := s.head(txn, id)
		if err != nil || q.Status != "" && h.Status != q.Status || h.Updated.Before(q.Since) {
			continue
		}
		list = append(list, found{id, h})
	}
	slices.SortFunc(list, func(a, b found) int {
		return cmp.Or(b.head.Updated.Compare(a.head.Updated), cmp.Compare(a.id, b.id))
	})
	for _, f := range list {
		if enough() {
			return nil
		}
		if err := take(f.id, f.head); err != nil {
			return err
		}
	}
	return nil
}

// byTime takes all stories, newest first, back to q.Since.
func (s *Store) byTime(txn *badger.Txn, q tapio.Query, take func(string, headRecord) error, enough func() bool) error {
	var since uint64
	if q.Since.After(time.Unix(0, 0)) {
		since = stamp(q.Since)
	}
	it := txn.NewIterator(keysOnly([]byte{spaceTime}))
	defer it.Close()
	for it.Rewind(); it.Valid() && !enough(); it.Next() {
		updated, id, ok := parseTimeKey(it.Item().Key())
		if !ok {
			s.report("time index key %x is no key; skipped", it.Item().Key())
			continue
		}
		if updated < since {
			return nil
		}
		h, err := s.head(txn, id)
		if err != nil || stamp(h.Updated) != updated || q.Status != "" && h.Status != q.Status {
			continue
		}
		if err := take(id, h); err != nil {
			return err
		}
	}
	return nil
}

// Names returns the known pods and workloads as namespace/name, sorted, each
// once: those whose name, or namespace/name where prefix has a slash, starts
// with prefix. limit bounds the answer; 0 means all.
func (s *Store) Names(ctx context.Context, prefix string, limit int) ([]string, error) {
	namespace, name, both := strings.Cut(prefix, "/")
	if !both {
		namespace, name = "", prefix
	}
	names := make(map[string]bool)
	err := s.view(ctx, func(txn *badger.Txn) error {
		for _, space := range []byte{spacePod, spaceWorkload} {
			if err := s.names(ctx, txn, append([]byte{space}, name...), func(t term) {
				if !both || t.namespace == namespace {
					names[t.namespace+"/"+t.name] = true
				}
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list names: %w", err)
	}
	out := make([]string, 0, len(names))
	for n := range names {
		out = append(out, n)
	}
	slices.Sort(out)
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out, nil
}

// names visits each term of an index once, however many stories it has.
func (s *Store) names(ctx context.Context, txn *badger.Txn, prefix []byte, visit func(term)) error {
	it := txn.NewIterator(keysOnly(prefix))
	defer it.Close()
	for it.Rewind(); it.Valid(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, _, ok := parseTerm(it.Item().Key())
		if !ok {
			s.report("index key %x is no key; skipped", it.Item().Key())
			it.Next()
			continue
		}
		visit(t)
		// The first key behind all rows of this term.
		it.Seek(append(t.key(""), 0xff))
	}
	return nil
}
