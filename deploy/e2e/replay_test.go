//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/yairfalse/tapio"
)

// account is what a replay must tell as the live run did: who failed, why, on
// what evidence, since when, and how it ended. Left out is what depends on the
// instants of the live run's clock: revision numbers, Opened, Updated,
// Resolved and the durations and sentences made of them.
type account struct {
	ID          string
	Status      tapio.Status
	Cause       tapio.Cause
	CauseEntity tapio.Entity
	Standing    tapio.Standing
	Severity    tapio.Severity
	Subject     tapio.Entity
	Onset       time.Time
	Trigger     string   // evidence ID
	Timeline    []string // evidence IDs, sorted
	Absorbed    []string
}

func accountOf(s *tapio.Story) account {
	a := account{
		ID: s.ID, Status: s.Status, Cause: s.Cause, CauseEntity: s.CauseEntity, Standing: s.Standing,
		Severity: s.Severity, Subject: s.Subject, Onset: s.Timestamp, Absorbed: s.Absorbed,
	}
	if s.Trigger != nil {
		a.Trigger = s.Trigger.Evidence
	}
	for _, e := range s.Timeline {
		a.Timeline = append(a.Timeline, e.ID)
	}
	slices.Sort(a.Timeline)
	return a
}

func accounts(stories []tapio.Story) []account {
	var out []account
	for i := range stories {
		out = append(out, accountOf(&stories[i]))
	}
	slices.SortFunc(out, func(a, b account) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// replayEqualsLive stops the live run, replays its recording twice and
// compares the two with each other, byte by byte, and with the live stories.
func (b *bed) replayEqualsLive(t *testing.T, live *instance) {
	want := accounts(live.stories())
	live.stop()
	if len(want) == 0 {
		t.Fatal("the live run told no story")
	}
	recording := strings.TrimSuffix(live.log, ".log") + ".jsonl"
	first, second := b.replay(t, live, recording), b.replay(t, live, recording)
	if !bytes.Equal(first, second) {
		t.Errorf("two replays of %s differ:\n%s", recording, cmp.Diff(string(first), string(second)))
	}
	if err := os.WriteFile(filepath.Join(b.out, "replay.json"), first, 0o644); err != nil {
		t.Fatal(err)
	}
	var stories []tapio.Story
	if err := json.Unmarshal(first, &stories); err != nil {
		t.Fatalf("replay -o json: %v\n%.500s", err, first)
	}
	got := accounts(stories)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the replay tells other stories than the live run (-live +replay):\n%s", diff)
	}
	t.Logf("%d stories, told alike by the live run and two replays", len(want))
}

func (b *bed) replay(t *testing.T, live *instance, recording string) []byte {
	t.Helper()
	config := live.args[slices.Index(live.args, "--config")+1]
	cmd := exec.CommandContext(t.Context(), b.tapio, "replay", "--config", config, "-o", "json", recording)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tapio replay: %v\n%s", err, stderr.String())
	}
	return out
}
