//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
	"sigs.k8s.io/yaml"
)

// scenario is one file of testdata/causes; testdata/README.md tells its form.
type scenario struct {
	Cause    tapio.Cause  `json:"cause"`
	Entity   tapio.Entity `json:"entity"`
	Node     string       `json:"node,omitempty"`     // role of the node that it breaks
	Registry bool         `json:"registry,omitempty"` // needs the test cluster's
	Alone    bool         `json:"alone,omitempty"`    // is played when all others are over

	name  string
	files map[string]string
}

func readScenario(t *testing.T, file string) scenario {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := scenario{name: strings.TrimSuffix(filepath.Base(file), ".txtar"), files: map[string]string{}}
	if err := yaml.UnmarshalStrict(archive.Comment, &s); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, f := range archive.Files {
		s.files[f.Name] = string(f.Data)
	}
	for _, script := range []string{"break", "mend"} {
		if s.files[script] == "" {
			t.Fatalf("%s: no file %q in it", file, script)
		}
	}
	return s
}

// namespace is where the scenario happens, and the channel it is told in.
func (s *scenario) namespace() string {
	return "e2e-" + strings.NewReplacer(".", "-", "_", "-").Replace(s.name)
}

// lacks says why the scenario can't be played on this cluster, or "".
func (s *scenario) lacks(b *bed) string {
	switch {
	case s.Node != "" && b.nodes[s.Node] == "":
		return "needs node access"
	case s.Registry && len(b.nodes) == 0:
		return "needs the test cluster's registry"
	}
	return ""
}

// want returns the cause entity that must be told.
func (s *scenario) want(node string) tapio.Entity {
	e := s.Entity
	e.Name = strings.ReplaceAll(e.Name, "$NODE", node)
	switch e.Kind {
	case tapio.KindNode, tapio.KindImage, tapio.KindRegistry:
	default:
		e.Namespace = s.namespace()
	}
	return e
}

// TestCauses breaks a workload for each cause and mends it: the right story
// comes up in the workload's channel, and its thread says when it is over. In
// the end a replay of what was recorded gives the same stories.
func TestCauses(t *testing.T) {
	b := shared
	b.cleared(t)
	files, err := filepath.Glob("testdata/causes/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d scenarios, %v", len(files), err)
	}
	var scenarios []scenario
	var channels []string
	for _, f := range files {
		s := readScenario(t, f)
		scenarios = append(scenarios, s)
		channels = append(channels, s.namespace())
	}
	w := newWorkspace(t, channels...)
	live := b.newInstance(t, w, runOptions{name: "causes", record: true})
	live.startReady()

	var table report
	// What the scheduler says names every node: those scenarios are over
	// before a node is touched.
	var scheduling sync.WaitGroup
	play := func(t *testing.T, s scenario) {
		whole := func() {}
		if strings.HasPrefix(string(s.Cause), "sched.") && !s.Alone {
			scheduling.Add(1) // before Parallel, which waits for all to begin
			whole = sync.OnceFunc(scheduling.Done)
			defer whole()
		}
		if !s.Alone {
			t.Parallel()
		}
		if why := s.lacks(b); why != "" {
			table.add(row{scenario: s.name, note: "left out: " + why})
			t.Skip(why)
		}
		r := row{scenario: s.name, note: "FAILED"}
		defer func() { table.add(r) }()
		if s.Node != "" {
			scheduling.Wait()
		}
		b.play(t, w, live, &s, &r, whole)
	}
	for _, group := range []struct {
		name  string
		alone bool
	}{{"cause", false}, {"alone", true}} {
		t.Run(group.name, func(t *testing.T) {
			for _, s := range scenarios {
				if s.Alone == group.alone {
					t.Run(s.name, func(t *testing.T) { play(t, s) })
				}
			}
		})
	}
	table.write(t, filepath.Join(b.out, "e2e-causes.md"))

	for _, s := range scenarios {
		if roots := w.Messages(s.namespace()); len(roots) > 1 {
			t.Errorf("#%s has %d root messages, want one:\n%s", s.namespace(), len(roots), texts(roots))
		}
		if peak := w.PeakPosts(s.namespace(), time.Second); peak > 2 {
			t.Errorf("#%s got %d posts within a second", s.namespace(), peak)
		}
	}
	for _, m := range w.Messages("incidents") {
		if s, ok := live.story(told(m)); !ok || s.CauseEntity.Kind != tapio.KindNode {
			t.Errorf("#incidents got a message that belongs to a team's channel: %s", m.Text)
		}
	}
	if pings := w.Pings(); len(pings) > 0 {
		t.Errorf("somebody was pinged: %+v", pings)
	}
	if unknown := w.UnknownMethods(); len(unknown) > 0 {
		t.Errorf("Slack has no such methods: %v", unknown)
	}
	t.Run("replay", func(t *testing.T) { b.replayEqualsLive(t, live) })
}

// play makes the workload, breaks it, waits for the story, mends it, and waits
// until the thread says so. It calls whole once the workload is mended.
func (b *bed) play(t *testing.T, w *workspace, live *instance, s *scenario, r *row, whole func()) {
	node := b.nodes[s.Node]
	files := s.files
	if files["healthy.yaml"] == "" {
		files["healthy.yaml"] = readFile(t, "testdata/web.yaml")
	}
	p := b.place(t, s.namespace(), nil, files, node)
	p.run(t, "kubectl apply -f healthy.yaml")
	if s.files["start"] != "" {
		p.run(t, s.files["start"])
	}
	p.awaitRollouts(t)
	if roots := w.Messages(p.name); len(roots) > 0 {
		t.Fatalf("told before anything was broken:\n%s", texts(roots))
	}

	p.run(t, s.files["break"])
	want := s.want(node)
	limit := 90 * time.Second
	if s.Node != "" {
		limit = 3 * time.Minute // a dead kubelet is noticed after 50 s
	}
	var root slackfake.Message
	var story tapio.Story
	channel := ""
	eventually(t, limit, fmt.Sprintf("a story with cause %s of %s", s.Cause, want), func() (bool, string) {
		var seen []string
		for _, channel = range []string{p.name, "incidents"} {
			for _, root = range w.Messages(channel) {
				var ok bool
				if story, ok = live.story(told(root)); !ok {
					continue
				}
				if story.Cause == s.Cause && story.CauseEntity == want {
					return true, ""
				}
				if line := fmt.Sprintf("%s of %s", story.Cause, story.CauseEntity); channel == p.name && !slices.Contains(seen, line) {
					seen = append(seen, line)
					r.told(line)
				}
			}
		}
		return false, fmt.Sprintf("told in #%s: %q", p.name, seen)
	})
	r.entity = want
	r.posted = at(root).Sub(decisive(&story))
	r.late = at(root).Sub(story.Opened)

	p.run(t, s.files["mend"])
	p.awaitRollouts(t)
	mended := time.Now()
	whole()
	eventually(t, quiet+90*time.Second, "the thread says that it is resolved", func() (bool, string) {
		now, ok := live.story(story.ID)
		reply, said := w.saysResolved(channel, root)
		r.resolved = at(reply).Sub(mended)
		return ok && said && now.Status == tapio.StatusResolved, fmt.Sprintf("story %s is %s; affected %v; the thread:\n%s", story.ID, now.Status, now.Affected, texts(w.Replies(channel, root.TS)))
	})
	if now, _ := live.story(story.ID); now.Cause != s.Cause || now.CauseEntity != want {
		t.Errorf("resolved as %s of %s, want %s of %s", now.Cause, now.CauseEntity, s.Cause, want)
	}
	r.note = ""
}

// decisive returns when the last fact happened that the cause rests on and
// that was known when the story was opened.
func decisive(s *tapio.Story) time.Time {
	var ids []string
	for _, h := range s.Hypotheses {
		if h.Chosen {
			ids = h.For
		}
	}
	var last time.Time
	for _, e := range s.Evidence {
		if !e.Time.After(s.Opened) && e.Time.After(last) && (len(ids) == 0 || slices.Contains(ids, e.ID)) {
			last = e.Time
		}
	}
	if last.IsZero() {
		return s.Timestamp
	}
	return last
}

// texts lists messages for a failure's text.
func texts(messages []slackfake.Message) string {
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "  %s %s\n", at(m).Format(time.TimeOnly), m.Text)
	}
	return b.String()
}
