package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/store"
)

// modelStories answers a query by looking at every story.
func modelStories(newest map[string]tapio.Story, q tapio.Query) []string {
	var all []tapio.Story
	for _, s := range newest {
		if modelMatches(s, q) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b tapio.Story) int {
		return cmp.Or(b.Updated.Compare(a.Updated), strings.Compare(a.ID, b.ID))
	})
	out := []string{}
	for _, s := range all {
		if q.Limit == 0 || len(out) < q.Limit {
			out = append(out, fmt.Sprint(s.ID, " ", s.Revision))
		}
	}
	return out
}

func modelMatches(s tapio.Story, q tapio.Query) bool {
	var pods, workloads, namespaces []string
	for _, e := range append(slices.Clone(s.Affected), s.Subject) {
		namespaces = append(namespaces, e.Namespace)
		if e.Kind == tapio.KindPod {
			pods = append(pods, e.Namespace+"/"+e.Name)
		}
		if e.Kind.IsWorkload() {
			workloads = append(workloads, e.Namespace+"/"+e.Name)
		}
	}
	for _, p := range s.AffectedPods {
		namespace, _, _ := strings.Cut(p, "/")
		pods, namespaces = append(pods, p), append(namespaces, namespace)
	}
	namespaces = append(namespaces, s.CauseEntity.Namespace)
	named := func(names []string, want string) bool {
		return want == "" || slices.ContainsFunc(names, func(n string) bool {
			return n == want || !strings.Contains(want, "/") && strings.HasSuffix(n, "/"+want)
		})
	}
	return (q.Status == "" || s.Status == q.Status) && (q.Cause == "" || s.Cause == q.Cause) &&
		!s.Updated.Before(q.Since) && named(pods, q.Pod) && named(workloads, q.Workload) &&
		(q.Namespace == "" || slices.Contains(namespaces, q.Namespace))
}

// model is what a store holds, kept the simplest way.
type model struct {
	journal []tapio.Revision
	newest  map[string]tapio.Story
	seq     uint64
}

func (m *model) append(batch []tapio.Story) (seqs []uint64, stale bool) {
	was := *m
	m.newest = make(map[string]tapio.Story)
	for id, s := range was.newest {
		m.newest[id] = s
	}
	m.journal = slices.Clone(was.journal)
	for _, s := range batch {
		i := slices.IndexFunc(m.journal, func(r tapio.Revision) bool { return r.Story.ID == s.ID && r.Story.Revision == s.Revision })
		if i >= 0 {
			seqs = append(seqs, m.journal[i].Seq)
			continue
		}
		if s.Revision < m.newest[s.ID].Revision {
			*m = was
			return nil, true
		}
		m.seq++
		m.journal = append(m.journal, tapio.Revision{Seq: m.seq, Story: s})
		m.newest[s.ID] = s
		seqs = append(seqs, m.seq)
	}
	return seqs, false
}

func (m *model) sweep(before time.Time) int {
	n := 0
	for id, s := range m.newest {
		if s.Status != tapio.StatusOpen && s.Updated.Before(before) {
			n++
			delete(m.newest, id)
			m.journal = slices.DeleteFunc(m.journal, func(r tapio.Revision) bool { return r.Story.ID == id })
		}
	}
	return n
}

// randomStory makes a story of few names, so that they meet often.
func randomStory(r *rand.Rand, minute int) tapio.Story {
	namespaces, workloads := []string{"shop", "bank", "shop-eu"}, []string{"web", "web-1", "db", "we"}
	pods := []string{"web-1", "web-10", "web-2", "db-0", "we"}
	pick := func(of []string) string { return of[r.IntN(len(of))] }
	s := story(fmt.Sprintf("id%d", r.IntN(12)), 1+r.IntN(6), pick(namespaces), pick(workloads), minute-r.IntN(3))
	for range r.IntN(4) {
		s.AffectedPods = append(s.AffectedPods, pick(namespaces)+"/"+pick(pods))
	}
	for range r.IntN(3) {
		s.Affected = append(s.Affected, tapio.Entity{
			Kind:      []tapio.Kind{tapio.KindPod, tapio.KindStatefulSet, tapio.KindNode, tapio.KindService}[r.IntN(4)],
			Namespace: pick(namespaces), Name: pick(workloads),
		})
	}
	s.Cause = []tapio.Cause{tapio.CauseOOMLimit, tapio.CauseAppError, tapio.CauseUnknown}[r.IntN(3)]
	s.CauseEntity.Namespace = pick(append(namespaces, ""))
	switch r.IntN(3) {
	case 0:
		s.Status, s.Resolved = tapio.StatusResolved, s.Updated
	case 1:
		s.Status, s.AbsorbedInto = tapio.StatusAbsorbed, "other"
	}
	return s
}

func randomQuery(r *rand.Rand, minute int) tapio.Query {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	q := tapio.Query{
		Status:    tapio.Status(pick("", "", "open", "resolved", "absorbed")),
		Pod:       pick("", "", "", "web-1", "shop/web-1", "bank/db-0", "web", "nope"),
		Workload:  pick("", "", "", "web", "shop/web", "bank/db", "we", "nope"),
		Namespace: pick("", "", "", "shop", "bank", "shop-eu", "nope"),
		Cause:     tapio.Cause(pick("", "", "", "unknown", "container.oom_limit", "nope")),
		Limit:     []int{0, 0, 1, 3}[r.IntN(4)],
	}
	if r.IntN(3) == 0 {
		q.Since = start.Add(time.Duration(minute-r.IntN(30)) * time.Minute)
	}
	return q
}

// TestAgainstModel appends, sweeps and reopens at random and compares every
// answer with the model's.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 99))
			dir := t.TempDir()
			retention := 20 * time.Minute
			reopen := func() *store.Store {
				s, err := store.Open(store.Options{Dir: dir, Log: testLog(t), Retention: retention})
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			s := reopen()
			defer func() { s.Close() }()
			m := model{newest: make(map[string]tapio.Story)}
			for minute := range 120 {
				var batch []tapio.Story
				for range 1 + r.IntN(3) {
					batch = append(batch, randomStory(r, minute))
				}
				want, stale := m.append(batch)
				got, err := s.Append(t.Context(), batch)
				if errors.Is(err, store.ErrStale) != stale || err != nil && !stale {
					t.Fatalf("append: %v, model says stale: %v", err, stale)
				}
				if !stale && !slices.Equal(seqs(got), want) {
					t.Fatalf("append: numbers %v, want %v", seqs(got), want)
				}
				if r.IntN(10) == 0 {
					now := start.Add(time.Duration(minute) * time.Minute)
					n, err := s.Sweep(t.Context(), now)
					if want := m.sweep(now.Add(-retention)); err != nil || n != want {
						t.Fatalf("sweep removed %d, %v; want %d", n, err, want)
					}
				}
				if r.IntN(25) == 0 {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = reopen()
				}
				for range 12 {
					compareQuery(t, s, randomQuery(r, minute), m.newest)
				}
				if len(m.journal) > 0 {
					all, err := s.Revisions(t.Context(), 0, 100000)
					if err != nil {
						t.Fatal(err)
					}
					if diff := gocmp.Diff(m.journal, all); diff != "" {
						t.Fatal("journal:", diff)
					}
				}
			}
			if d := s.Damage(); len(d) > 0 {
				t.Error(d)
			}
		})
	}
}
