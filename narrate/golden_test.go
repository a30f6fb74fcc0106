package narrate

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yairfalse/tapio"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden words a story of every shipped template, open and resolved, and
// writes it in every form. The files are there to be read aloud.
func TestGolden(t *testing.T) {
	templates := library(t)
	n := narrator(t)
	told := map[string]bool{}
	for _, sc := range slices.Concat(scenes(), startScenes(), nodeScenes(), wordScenes(), blockedScenes(), controlScenes(), partScenes(), certScenes(), crossScenes(), kernelScenes(), moments()) {
		name := sc.name
		if name == "" {
			name = sc.template
			told[name] = true
		}
		t.Run(name, func(t *testing.T) {
			open, resolved := sc.story(t, templates, false), sc.story(t, templates, true)
			stories := []tapio.Story{open, resolved}
			if sc.name != "" {
				stories = stories[:1]
			}
			for i := range stories {
				if err := n.Tell(&stories[i]); err != nil {
					t.Fatal(err)
				}
			}
			var text, markdown, json bytes.Buffer
			if err := Text(&text, stories, TextOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := Markdown(&markdown, stories); err != nil {
				t.Fatal(err)
			}
			if err := JSON(&json, stories[:1]); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", text.Bytes())
			golden(t, name+".md", markdown.Bytes())
			golden(t, name+".json", json.Bytes())
		})
	}
	for _, tm := range templates {
		if !told[tm.ID] {
			t.Errorf("template %s has no golden files: add a scene", tm.ID)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test ./narrate -update", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs; read it and run go test ./narrate -update (-want +got):\n%s", path, d)
	}
}

// moments are stories at special moments of their life.
func moments() []scene {
	base := scenes()[0]
	make := func(name string, with func(*tapio.Story)) scene {
		sc := base
		sc.name, sc.with = name, with
		return sc
	}
	return []scene{
		make("moment-backlog-gap", func(s *tapio.Story) {
			s.Backlog = true
			s.Trigger = nil
			s.Gaps = []tapio.Gap{{Source: tapio.SourceKubernetes, Resource: "pods", From: at(0), To: at(180), Reason: "watch expired (410)", Dropped: 120}, {}}
			s.News = []tapio.News{{Kind: tapio.NewsGap, Time: at(180), Was: "14:02", Now: "watch expired (410)"}}
		}),
		make("moment-absorbed", func(s *tapio.Story) {
			s.Status, s.AbsorbedInto = tapio.StatusAbsorbed, "3c5v8n2w7b"
			s.News = []tapio.News{{Kind: tapio.NewsAbsorbed, Time: at(100), Now: "3c5v8n2w7b"}}
		}),
		make("moment-second-rollout", func(s *tapio.Story) {
			e := changed(ev(200, tapio.WorkloadRollout, checkout, tapio.AttrRevision, "5", tapio.AttrFromRevision, "4"), "containers[app].resources.limits.memory", "32Mi", "48Mi")
			e.ID, e.Role = "e9", tapio.RoleChange
			s.Timeline = append(s.Timeline, e)
			s.News = []tapio.News{{Kind: tapio.NewsChange, Time: at(200), Now: string(tapio.WorkloadRollout), Evidence: []string{"e9"}}}
		}),
		make("moment-rollback-under-way", func(s *tapio.Story) {
			e := back("containers[app].resources.limits.memory", "32Mi", "256Mi")[0]
			e.ID, e.Timestamp = "e9", at(300)
			s.Timeline = append(s.Timeline, e)
			s.News = []tapio.News{{Kind: tapio.NewsChange, Time: at(300), Now: string(tapio.WorkloadRollout), Evidence: []string{"e9"}}}
		}),
		make("moment-reopened-worse", func(s *tapio.Story) {
			s.Severity = tapio.SeverityCritical
			s.News = []tapio.News{
				{Kind: tapio.NewsReopened, Time: at(340), Was: "14:05", Now: "container.oom_limit"},
				{Kind: tapio.NewsScope, Time: at(350), Was: "1 of 6 pods down", Now: "3 of 6 pods down"},
				{Kind: tapio.NewsSeverity, Time: at(350), Was: "high", Now: "critical"},
				{Kind: tapio.NewsCause, Time: at(350), Was: "unknown", Now: "container.oom_limit"},
				{Kind: tapio.NewsCause, Time: at(350), Was: "container.app_error", Now: "container.oom_limit"},
				{Kind: tapio.NewsTrigger, Time: at(-40), Now: "workload.rollout"},
				{Kind: tapio.NewsLog, Time: at(10), Now: "out of memory"},
				{Kind: tapio.NewsAbsorbs, Time: at(10), Was: "3c5v8n2w7b"},
			}
		}),
		make("moment-possible", func(s *tapio.Story) { s.Standing = tapio.StandingPossible }),
	}
}
