package narrate

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yairfalse/tapio"
)

func TestChanges(t *testing.T) {
	for _, tc := range []struct {
		field, from, to, want string
	}{
		{"containers[app].resources.limits.memory", "268435456", "32Mi", "memory limit 256Mi → 32Mi"},
		{"spec.template.spec.containers[app].resources.requests.cpu", "100m", "", "CPU request (removed, was 100m)"},
		{"containers[app].resources.limits.nvidia.com/gpu", "", "1", "limit of nvidia.com/gpu (new: 1)"},
		{"containers[app].image", "r.io/shop/web:1", "r.io/shop/web:2", "image web:1 → web:2"},
		{"containers[app].image", "r.io/web:1", "s.io/web:1", "image r.io/web:1 → s.io/web:1"},
		{"containers[app].env[LOG_LEVEL]", "info", "debug", "variable LOG_LEVEL info → debug"},
		{"containers[app].env[DB_PASSWORD]", "hunter2", "hunter3", "variable DB_PASSWORD"},
		{"containers[app].env[X]", "", `from {"secretKeyRef":{"key":"url","name":"db"}}`, "variable X (new: key url of Secret db)"},
		{"containers[app].env[X]", "", `from {"fieldRef":{"fieldPath":"status.podIP"}}`, `variable X (new: from {"fieldRef":{"fieldPath":"status.podIP"}})`},
		{"containers[app].livenessProbe.httpGet.path", "/a", "/b", "liveness probe httpGet.path /a → /b"},
		{"initContainers[wait].command", "sh -c x", "sh -c y", "command sh -c x → sh -c y"},
		{"containers[side]", "", "", "container side"},
		{"nodeSelector[disk]", "", "ssd", "node selector disk (new: ssd)"},
		{"volumes[cfg].configMap.name", "a", "b", "volume cfg a → b"},
		{"replicas", "3", "6", "replicas 3 → 6"},
		{"labels[app]", "a", "b", "label app a → b"},
		{"strategy.rollingUpdate\x1b[31m", "1\n2", "3", "strategy.rollingUpdate 1 2 → 3"},
	} {
		if got := changes([]tapio.Change{{Field: tc.field, From: tc.from, To: tc.to}}); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.field, got, tc.want)
		}
	}
	two := []tapio.Change{{Field: "containers[a].image", From: "x:1", To: "x:2"}, {Field: "containers[b].image", From: "y:1", To: "y:2"}}
	if got, want := changes(two), "image of a x:1 → x:2 and image of b y:1 → y:2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	many := []tapio.Change{{Field: "a"}, {Field: "b"}, {Field: "c"}, {Field: "d"}, {Field: "e"}}
	if got, want := changes(many), "a, b, c and 2 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChangesReadBackFromJSON(t *testing.T) {
	want := []tapio.Change{{Field: "replicas", From: "3", To: "6"}}
	raw, err := json.Marshal(tapio.StoryEvent{Data: map[string]any{"changes": want}})
	if err != nil {
		t.Fatal(err)
	}
	var e tapio.StoryEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, changesIn(&e)); d != "" {
		t.Error(d)
	}
	for _, odd := range []any{nil, "x", []any{1}, []any{map[string]any{"field": 3}}} {
		if got := changesIn(&tapio.StoryEvent{Data: map[string]any{"changes": odd}}); got != nil {
			t.Errorf("changesIn(%v) = %v, want none", odd, got)
		}
	}
}
