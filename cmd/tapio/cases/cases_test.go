package cases

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
)

var (
	at   = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	web  = tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: "web"}
	want = Expectation{Cause: tapio.CauseOOMLimit, Entity: web, Alternatives: []tapio.Cause{tapio.CauseAppError}, Label: "told wrong"}
)

// steps yields an observation and a tick, and then err where there is one.
func steps(err error) func(func(recording.Step, error) bool) {
	return func(yield func(recording.Step, error) bool) {
		_ = yield(recording.Step{Time: at, Observation: &tapio.Observation{Time: at, State: &tapio.State{Entity: web}}}, nil) &&
			yield(recording.Step{Time: at.Add(time.Second)}, nil) &&
			(err == nil || yield(recording.Step{}, err))
	}
}

func TestWrittenIsRead(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "feedback", "one")
	if err := Write(folder, recording.Header{Cluster: "prod"}, steps(nil), want); err != nil {
		t.Fatal(err)
	}
	list, warnings, err := Find([]string{root})
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	if diff := cmp.Diff([]Case{{Name: "feedback/one", Folder: folder, Recording: filepath.Join(folder, RecordingFile), Expect: want}}, list); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	r, err := recording.Open(list[0].Recording)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if h, _ := r.Header(); h.Cluster != "prod" {
		t.Errorf("header %+v", h)
	}
	first, err1 := r.Next()
	second, err2 := r.Next()
	if err1 != nil || err2 != nil || first.Observation == nil || first.Observation.State.Entity != web || second.Observation != nil || !second.Time.Equal(at.Add(time.Second)) {
		t.Errorf("read back %+v, %v; %+v, %v", first, err1, second, err2)
	}

	if err := Write(folder, recording.Header{}, steps(nil), want); !errors.Is(err, os.ErrExist) {
		t.Errorf("written over: %v", err)
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "one")
	broken := errors.New("broken")
	if err := Write(folder, recording.Header{}, steps(broken), want); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := Write(folder, recording.Header{}, steps(nil), Expectation{}); err == nil || !strings.Contains(err.Error(), "cause is missing") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		files      map[string]string
	}{
		{"nothing recorded", "holds neither dump/ nor a recording", map[string]string{"expect.yaml": "healthy: true"}},
		{"two recordings", "holds two recordings, a.jsonl and b.jsonl.gz", map[string]string{"expect.yaml": "healthy: true", "a.jsonl": "", "b.jsonl.gz": ""}},
		{"no cause", "cause is missing", map[string]string{"expect.yaml": "{}"}},
		{"no entity", "entity wants at least kind and name", map[string]string{"expect.yaml": "cause: unknown"}},
		{"healthy and broken", "healthy, and yet", map[string]string{"expect.yaml": "{healthy: true, cause: unknown}"}},
		{"no YAML", "expect.yaml: ", map[string]string{"expect.yaml": "cause: [container.oom_limit]"}},
	} {
		folder := t.TempDir()
		for name, text := range tt.files {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := Read(folder); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
