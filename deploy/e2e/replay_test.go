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

	"github.com/google/go-cmp/cmp"
	"github.com/yairfalse/tapio"
)

// replayEqualsLive stops the live run, replays its recording twice and
// compares the two with each other, byte by byte, and with the live stories,
// each with everything in it: revision number, times, sentences, evidence.
func (b *bed) replayEqualsLive(t *testing.T, live *instance) {
	want := live.stories()
	live.stop()
	if len(want) == 0 {
		t.Fatal("the live run told no story")
	}
	recording := strings.TrimSuffix(live.log, ".log") + ".jsonl"
	first, second := b.replay(t, live, recording), b.replay(t, live, recording)
	if !bytes.Equal(first, second) {
		errorf(t, "two replays of %s differ:\n%s", recording, cmp.Diff(string(first), string(second)))
	}
	if err := os.WriteFile(filepath.Join(b.out, "replay.json"), first, 0o644); err != nil {
		t.Fatal(err)
	}
	var got []tapio.Story
	if err := json.Unmarshal(first, &got); err != nil {
		fatalf(t, "replay -o json: %v\n%.500s", err, first)
	}
	for _, stories := range [][]tapio.Story{want, got} {
		slices.SortFunc(stories, func(a, b tapio.Story) int { return strings.Compare(a.ID, b.ID) })
	}
	if diff := cmp.Diff(want, got); diff != "" {
		errorf(t, "the replay tells other stories than the live run (-live +replay):\n%s", diff)
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
		fatalf(t, "tapio replay: %v\n%s", err, stderr.String())
	}
	return out
}
