package store_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/store"
)

// start is the moment that tests count from.
var start = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func open(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{Dir: dir, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// story makes a story about a deployment with pods, updated at a minute.
func story(id string, revision int, namespace, workload string, minute int, pods ...string) tapio.Story {
	s := tapio.Story{
		ID: id, Revision: revision, Status: tapio.StatusOpen, Severity: tapio.SeverityHigh,
		Title: workload + " is crash-looping", Template: "pod-crash-loop",
		Timestamp: start, Opened: start, Updated: start.Add(time.Duration(minute) * time.Minute),
		Cause:       tapio.CauseOOMLimit,
		CauseEntity: tapio.Entity{Kind: tapio.KindDeployment, Namespace: namespace, Name: workload, Container: "app"},
		Standing:    tapio.StandingCertain,
		Subject:     tapio.Entity{Kind: tapio.KindDeployment, Namespace: namespace, Name: workload},
	}
	s.Affected = append(s.Affected, s.Subject)
	for _, p := range pods {
		s.AffectedPods = append(s.AffectedPods, namespace+"/"+p)
	}
	return s
}

func mustAppend(t testing.TB, s *store.Store, stories ...tapio.Story) []tapio.Revision {
	t.Helper()
	got, err := s.Append(t.Context(), stories)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func seqs(revisions []tapio.Revision) []uint64 {
	out := []uint64{}
	for _, r := range revisions {
		out = append(out, r.Seq)
	}
	return out
}

func TestAppendAndReadBack(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	one := story("aaa", 1, "shop", "checkout", 1, "checkout-1", "checkout-2")
	confidence := 0.75
	one.Confidence = &confidence
	one.Timeline = []tapio.StoryEvent{{
		ID: "e1", Timestamp: start, Type: tapio.WorkloadRollout, Role: tapio.RoleTrigger,
		Data: map[string]any{"reason": "Rollout", "changes": []tapio.Change{{Field: "limits.memory", From: "256Mi", To: "64Mi"}}},
	}}
	two := story("bbb", 1, "shop", "cart", 2, "cart-1")
	got := mustAppend(t, s, one, two)
	if diff := gocmp.Diff([]tapio.Revision{{Seq: 1, Story: one}, {Seq: 2, Story: two}}, got); diff != "" {
		t.Error(diff)
	}
	// Once more, with a new one behind it: the first numbers come back.
	next := story("aaa", 2, "shop", "checkout", 3, "checkout-2")
	got = mustAppend(t, s, one, next, two, next)
	if diff := gocmp.Diff([]uint64{1, 3, 2, 3}, seqs(got)); diff != "" {
		t.Error(diff)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, dir)
	all, err := s.Revisions(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]tapio.Revision{{Seq: 1, Story: one}, {Seq: 2, Story: two}, {Seq: 3, Story: next}}, all); diff != "" {
		t.Errorf("after opening again: %s", diff)
	}
	history, err := s.History(t.Context(), "aaa")
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]tapio.Revision{{Seq: 1, Story: one}, {Seq: 3, Story: next}}, history); diff != "" {
		t.Error(diff)
	}
	if d := s.Damage(); len(d) > 0 {
		t.Error("damage in a good store:", d)
	}
}

func TestAppendRefuses(t *testing.T) {
	s := open(t, t.TempDir())
	mustAppend(t, s, story("aaa", 1, "shop", "checkout", 1), story("aaa", 3, "shop", "checkout", 3))
	good := story("good", 1, "shop", "cart", 1)
	tests := []struct {
		name string
		bad  tapio.Story
		want string
		is   error
	}{
		{name: "lower revision", bad: story("aaa", 2, "shop", "checkout", 2), is: store.ErrStale, want: "story aaa revision 2"},
		{name: "no id", bad: story("", 1, "shop", "checkout", 1), want: "no id"},
		{name: "no revision", bad: story("x", 0, "shop", "checkout", 1), want: "revision 0"},
		{name: "space in id", bad: story("x y", 1, "shop", "checkout", 1), want: "character"},
		{name: "zero byte in id", bad: story("x\x00y", 1, "shop", "checkout", 1), want: "character"},
		{name: "long id", bad: story(strings.Repeat("x", 129), 1, "shop", "checkout", 1), want: "longer than"},
		{name: "suspected", bad: func() tapio.Story {
			s := story("x", 1, "shop", "checkout", 1)
			s.Status = tapio.StatusSuspected
			return s
		}(), want: "suspected"},
		{name: "not JSON", bad: func() tapio.Story {
			s := story("x", 1, "shop", "checkout", 1)
			s.Timeline = []tapio.StoryEvent{{Data: map[string]any{"f": func() {}}}}
			return s
		}(), want: "story x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Append(t.Context(), []tapio.Story{good, tt.bad})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, cmp.Or(tt.is, store.ErrInvalid)) {
				t.Errorf("got %v and %v, want an error with %q", got, err, tt.want)
			}
			if _, err := s.Story(t.Context(), "good"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("half of the batch was saved: %v", err)
			}
		})
	}
	if got := seqs(mustAppend(t, s, good)); got[0] != 3 {
		t.Errorf("a refused batch used up numbers: next Seq is %d, want 3", got[0])
	}
}

func TestRevisionsWaits(t *testing.T) {
	s := open(t, t.TempDir())
	got := make(chan []tapio.Revision)
	go func() {
		var after uint64
		for range 3 {
			r, err := s.Revisions(context.Background(), after, 1)
			if err != nil {
				t.Error(err)
			}
			after = r[len(r)-1].Seq
			got <- r
		}
		_, err := s.Revisions(context.Background(), after, 1)
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("close while waiting: %v", err)
		}
		close(got)
	}()
	for i := range 3 {
		mustAppend(t, s, story("aaa", i+1, "shop", "checkout", i))
		if r := <-got; r[0].Seq != uint64(i+1) || r[0].Story.Revision != i+1 {
			t.Errorf("got %d revision %d", r[0].Seq, r[0].Story.Revision)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Revisions(ctx, 3, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := s.Revisions(t.Context(), 4, 1); !errors.Is(err, store.ErrAhead) {
		t.Errorf("cursor ahead: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-got
	if _, err := s.Append(t.Context(), nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
}

func TestStoryByID(t *testing.T) {
	s := open(t, t.TempDir())
	mustAppend(t, s, story("abc1", 1, "shop", "checkout", 1), story("abc2", 1, "shop", "cart", 1), story("ab", 1, "shop", "web", 1), story("zz9", 1, "shop", "db", 1))
	for id, want := range map[string]string{"abc1": "abc1", "ab": "ab", "z": "zz9", "zz9": "zz9"} {
		got, err := s.Story(t.Context(), id)
		if err != nil || got.ID != want {
			t.Errorf("Story(%q) = %q, %v; want %q", id, got.ID, err, want)
		}
	}
	_, err := s.Story(t.Context(), "abc")
	var ambiguous *store.AmbiguousError
	if !errors.Is(err, store.ErrAmbiguous) || !errors.As(err, &ambiguous) {
		t.Fatalf("ambiguous id: %v", err)
	}
	if diff := gocmp.Diff([]string{"abc1", "abc2"}, ambiguous.Candidates); diff != "" {
		t.Error(diff)
	}
	for _, id := range []string{"", "q", "abc11"} {
		if _, err := s.Story(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Story(%q): %v", id, err)
		}
		if _, err := s.History(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("History(%q): %v", id, err)
		}
	}
}

func TestNames(t *testing.T) {
	s := open(t, t.TempDir())
	mustAppend(t, s,
		story("a", 1, "shop", "checkout", 1, "checkout-1", "checkout-2"),
		story("b", 1, "bank", "checkout", 1, "checkout-1"),
		story("c", 1, "shop", "cart", 1, "cart-1"),
		story("d", 1, "shop", "cart", 1, "cart-1"))
	tests := []struct {
		prefix string
		limit  int
		want   []string
	}{
		{prefix: "check", want: []string{"bank/checkout", "bank/checkout-1", "shop/checkout", "shop/checkout-1", "shop/checkout-2"}},
		{prefix: "shop/c", want: []string{"shop/cart", "shop/cart-1", "shop/checkout", "shop/checkout-1", "shop/checkout-2"}},
		{prefix: "bank/", want: []string{"bank/checkout", "bank/checkout-1"}},
		{prefix: "", limit: 2, want: []string{"bank/checkout", "bank/checkout-1"}},
		{prefix: "nope", want: []string{}},
	}
	for _, tt := range tests {
		got, err := s.Names(t.Context(), tt.prefix, tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Names(%q, %d): %s", tt.prefix, tt.limit, diff)
		}
	}
}

func TestLedger(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	record := func(k, v string) tapio.Record { return tapio.Record{Key: k, Value: []byte(v)} }
	if err := s.Write(t.Context(), record("post/2", "two"), record("post/1", "one"), record("cursor", "7"), record("empty", "")); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), record("post/3", "three"), tapio.Record{Key: "post/1"}, record("cursor", "8")); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []tapio.Record{{Value: []byte("x")}, record(strings.Repeat("k", 1025), "x"), record("big", strings.Repeat("x", 300<<10))} {
		if err := s.Write(t.Context(), record("cursor", "9"), bad); err == nil {
			t.Errorf("a record with a key of %d and a value of %d bytes was taken", len(bad.Key), len(bad.Value))
		}
	}
	s.Close()
	s = open(t, dir)
	for prefix, want := range map[string][]tapio.Record{
		"post/": {record("post/2", "two"), record("post/3", "three")},
		"":      {record("cursor", "8"), record("empty", ""), record("post/2", "two"), record("post/3", "three")},
		"none":  nil,
	} {
		got, err := s.Read(t.Context(), prefix)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("Read(%q): %s", prefix, diff)
		}
	}
}

func TestHostileStoryIsKept(t *testing.T) {
	noise := func(n int) string { // text that hardly compresses
		var b strings.Builder
		x := uint64(n) + 88172645463325252
		for b.Len() < n {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			fmt.Fprintf(&b, "%x ", x)
		}
		return b.String()[:n]
	}
	tests := []struct {
		name  string
		spoil func(*tapio.Story)
	}{
		{"one message of 10 MB", func(s *tapio.Story) {
			s.Evidence = []tapio.Evidence{{ID: "e", Text: noise(10 << 20)}}
		}},
		{"10 MB in data and facts", func(s *tapio.Story) {
			s.Timeline = []tapio.StoryEvent{{ID: "e", Data: map[string]any{"message": noise(10 << 20)}}}
			s.Facts = map[string]string{"message": noise(10 << 20), noise(5000): "x"}
		}},
		{"150,000 pods", func(s *tapio.Story) {
			for i := range 150000 {
				name := fmt.Sprintf("checkout-7d9f8c6b5-%05d", i)
				s.AffectedPods = append(s.AffectedPods, "shop/"+name)
				s.Affected = append(s.Affected, tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: name})
			}
		}},
		{"5,000 noisy log lines", func(s *tapio.Story) {
			for i := range 5000 {
				s.Evidence = append(s.Evidence, tapio.Evidence{ID: fmt.Sprint(i), Text: noise(2000 + i%7)})
			}
		}},
		{"broken UTF-8", func(s *tapio.Story) {
			s.Evidence = []tapio.Evidence{{ID: "e", Text: strings.Repeat("\xff€", 3<<20)}}
		}},
	}
	for _, memory := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s memory=%v", tt.name, memory), func(t *testing.T) {
				o := store.Options{Log: testLog(t), InMemory: memory}
				if !memory {
					o.Dir = t.TempDir()
				}
				s, err := store.Open(o)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				in := story("aaa", 1, "shop", "checkout", 1, "first")
				tt.spoil(&in)
				before, _ := json.Marshal(in)
				got := mustAppend(t, s, in)
				if after, _ := json.Marshal(in); string(after) != string(before) {
					t.Error("the caller's story was changed")
				}
				kept, err := s.Story(t.Context(), "aaa")
				if err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(got[0].Story, kept); diff != "" {
					t.Error("what Append returned is not what was kept:", diff[:min(len(diff), 500)])
				}
				if kept.Title != in.Title || kept.AffectedPods[0] != "shop/first" || len(kept.Gaps) != 1 || !strings.Contains(kept.Gaps[0].Reason, "too large") {
					t.Errorf("kept %q, %d pods, gaps %v", kept.Title, len(kept.AffectedPods), kept.Gaps)
				}
				if b, _ := json.Marshal(kept); len(b) > 4<<20 {
					t.Errorf("kept %d bytes", len(b))
				}
				for _, e := range kept.Evidence {
					if len(e.Text) > 4100 || len(e.Text) > 2100 && !strings.Contains(e.Text, "(cut: ") {
						t.Errorf("a text of %d bytes: …%s", len(e.Text), e.Text[len(e.Text)-50:])
					}
				}
				mustAppend(t, s, story("aaa", 2, "shop", "checkout", 2, "first"))
				if found, err := s.Stories(t.Context(), tapio.Query{Pod: "first"}); err != nil || len(found) != 1 || found[0].Revision != 2 {
					t.Errorf("after the next revision: %d stories, %v", len(found), err)
				}
			})
		}
	}
}

func TestLargeBatchIsAtomic(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var batch []tapio.Story
	for i := range 1000 {
		pods := []string{}
		for p := range 20 {
			pods = append(pods, fmt.Sprintf("app-%d-%d", i, p))
		}
		batch = append(batch, story(fmt.Sprintf("story%04d", i), 1, "shop", fmt.Sprintf("app-%d", i), i, pods...))
	}
	got := mustAppend(t, s, batch...)
	if first, last := got[0].Seq, got[len(got)-1].Seq; first != 1 || last != 1000 {
		t.Errorf("numbers %d to %d", first, last)
	}
	// Too many heads for one transaction: refused whole.
	var huge []tapio.Story
	for i := range 4000 {
		huge = append(huge, story(fmt.Sprintf("huge%04d", i), 1, "shop", "huge", i))
	}
	if _, err := s.Append(t.Context(), huge); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("4,000 stories: %v", err)
	}
	mustAppend(t, s, story("after", 1, "shop", "after", 9999, "after-1"))
	s.Close()
	s = open(t, dir)
	n, after := 0, uint64(0)
	for n < 1001 {
		r, err := s.Revisions(t.Context(), after, 700)
		if err != nil {
			t.Fatal(err)
		}
		n += len(r)
		after = r[len(r)-1].Seq
	}
	if n != 1001 || after != 1001 {
		t.Errorf("%d revisions, last is %d", n, after)
	}
	if found, err := s.Stories(t.Context(), tapio.Query{Workload: "huge"}); err != nil || len(found) != 0 {
		t.Errorf("a refused batch is found: %d, %v", len(found), err)
	}
	if found, err := s.Stories(t.Context(), tapio.Query{Pod: "shop/app-77-3"}); err != nil || len(found) != 1 {
		t.Errorf("a pod of the batch: %d, %v", len(found), err)
	}
}

func TestOptions(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for name, o := range map[string]store.Options{
		"no log":             {Dir: "x"},
		"no folder":          {Log: log},
		"folder and memory":  {Log: log, Dir: "x", InMemory: true},
		"negative retention": {Log: log, InMemory: true, Retention: -1},
	} {
		if s, err := store.Open(o); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		}
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	dir := filepath.Join(t.TempDir(), "deep", "store")
	s, err := store.Open(store.Options{Dir: dir, Log: testLog(t), Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mustAppend(t, s, story("aaa", 1, "shop", "checkout", 1), story("aaa", 2, "shop", "checkout", 2))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		got[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue()
	}
	if got["tapio_store_revisions_total"] != 2 {
		t.Error(got)
	}
	if _, ok := got["tapio_store_disk_bytes"]; !ok {
		t.Error("no size:", got)
	}
	if _, err := store.Open(store.Options{InMemory: true, Log: testLog(t), Registerer: registry}); err == nil {
		t.Error("two stores with the same metrics were opened")
	}
	s.Close()
	if families, err := registry.Gather(); err != nil || len(families) != 0 {
		t.Errorf("after close: %v, %v", families, err)
	}
}
