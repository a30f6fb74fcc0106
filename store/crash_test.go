package store_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/store"
)

// childDir makes the test binary append to the store in that folder until it is
// killed.
const childDir = "TAPIO_STORE_CHILD"

// crashStory is the story that the child appends at a turn: 40 stories that
// grow, change their pods, and resolve and are taken up again.
func crashStory(turn int) tapio.Story {
	n, revision := turn%40, turn/40+1
	s := story(fmt.Sprintf("story%02d", n), revision, fmt.Sprintf("ns%d", n%5), fmt.Sprintf("app%d", n), turn,
		fmt.Sprintf("app%d-%d", n, revision/3), fmt.Sprintf("app%d-%d", n, revision/5+1000))
	if revision%4 == 0 {
		s.Status, s.Resolved = tapio.StatusResolved, s.Updated
	}
	// Text that hardly compresses fills memtables, so that kills meet flushes
	// and compactions.
	noise := make([]byte, 500*(1+turn%9))
	rand.NewChaCha8([32]byte{byte(turn), byte(turn >> 8), byte(turn >> 16)}).Read(noise)
	s.Evidence = []tapio.Evidence{{ID: "e", Text: base64.StdEncoding.EncodeToString(noise)}}
	return s
}

// child appends, and writes a line for each revision once it is acknowledged.
func child(dir string) int {
	s, err := store.Open(store.Options{Dir: dir, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	turn := 0
	all, err := s.Stories(context.Background(), tapio.Query{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, st := range all {
		var n int
		if _, err := fmt.Sscanf(st.ID, "story%d", &n); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		turn = max(turn, (st.Revision-1)*40+n+1)
	}
	for ; ; turn += 2 {
		got, err := s.Append(context.Background(), []tapio.Story{crashStory(turn), crashStory(turn + 1)})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if err := s.Write(context.Background(), tapio.Record{Key: "turn", Value: fmt.Append(nil, turn)}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		for _, r := range got {
			fmt.Printf("%d %s %d\n", r.Seq, r.Story.ID, r.Story.Revision)
		}
	}
}

func TestKilledWhileAppending(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes")
	}
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	acknowledged := make(map[uint64]string)
	for range 20 {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		n := random.IntN(600)
		if random.IntN(3) == 0 { // while it opens the store, or just after
			n = random.IntN(3)
		}
		for ; n > 0 && lines.Scan(); n-- {
			note(t, acknowledged, lines.Text())
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		for lines.Scan() { // what was said before the kill counts
			if strings.Count(lines.Text(), " ") == 2 {
				note(t, acknowledged, lines.Text())
			}
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the child ended by itself: %v\n%s", err, complaints.String())
		}
		if complaints.Len() > 0 {
			t.Errorf("the child complained: %s", complaints.String())
		}
	}
	s := open(t, dir)
	if d := s.Damage(); len(d) > 0 {
		t.Errorf("a kill is no damage: %q", d)
	}
	checkJournal(t, s, acknowledged)
}

func note(t *testing.T, acknowledged map[uint64]string, line string) {
	t.Helper()
	var seq uint64
	var rest string
	if n, err := fmt.Sscanf(line, "%d %s", &seq, &rest); n != 2 {
		t.Fatalf("line %q: %v", line, err)
	}
	_, what, _ := strings.Cut(line, " ")
	if was, ok := acknowledged[seq]; ok && was != what {
		t.Errorf("Seq %d was given to %s and to %s", seq, was, what)
	}
	acknowledged[seq] = what
}

// checkJournal compares what was acknowledged with the journal, and the journal
// with what the indexes answer.
func checkJournal(t *testing.T, s *store.Store, acknowledged map[uint64]string) {
	t.Helper()
	newest := make(map[string]tapio.Story)
	var after, last uint64
	for seq := range acknowledged {
		last = max(last, seq)
	}
	got := make(map[uint64]string)
	for after < last {
		revisions, err := s.Revisions(t.Context(), after, 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range revisions {
			if r.Seq <= after {
				t.Fatalf("Seq %d after %d", r.Seq, after)
			}
			after = r.Seq
			got[r.Seq] = fmt.Sprintf("%s %d", r.Story.ID, r.Story.Revision)
			if old := newest[r.Story.ID]; r.Story.Revision != old.Revision+1 {
				t.Errorf("Seq %d: revision %d of %s follows %d", r.Seq, r.Story.Revision, r.Story.ID, old.Revision)
			}
			newest[r.Story.ID] = r.Story
		}
	}
	for seq, what := range acknowledged {
		if got[seq] != what {
			t.Errorf("Seq %d was acknowledged as %s and is %q", seq, what, got[seq])
		}
	}
	t.Logf("%d acknowledged, %d in the journal, %d stories", len(acknowledged), len(got), len(newest))
	queries := []tapio.Query{{}, {Status: tapio.StatusOpen}, {Status: tapio.StatusResolved}, {Cause: tapio.CauseOOMLimit}, {Cause: "none"}}
	for n := range 40 {
		queries = append(queries, tapio.Query{Workload: fmt.Sprintf("app%d", n)}, tapio.Query{Namespace: fmt.Sprintf("ns%d", n)})
		for p := range 200 {
			queries = append(queries, tapio.Query{Pod: fmt.Sprintf("ns%d/app%d-%d", n%5, n, p)}, tapio.Query{Pod: fmt.Sprintf("app%d-%d", n, p+1000)})
		}
	}
	for _, q := range queries {
		compareQuery(t, s, q, newest)
	}
}

func compareQuery(t *testing.T, s *store.Store, q tapio.Query, newest map[string]tapio.Story) {
	t.Helper()
	found, err := s.Stories(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	want, have := modelStories(newest, q), []string{}
	for _, st := range found {
		have = append(have, fmt.Sprint(st.ID, " ", st.Revision))
	}
	if !slices.Equal(want, have) {
		t.Errorf("%+v: the journal says %v, the indexes say %v", q, want, have)
	}
}
