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

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// TestCauses breaks a workload for each cause and mends it: the right story
// comes up in the workload's channel, and its thread says when it is over. In
// the end a replay of what was recorded gives the same stories.
func TestCauses(t *testing.T) {
	b := shared
	b.cleared(t)
	scenarios := readScenarios(t)
	var channels []string
	for _, s := range scenarios {
		channels = append(channels, s.namespace())
	}
	w := newWorkspace(t, channels...)
	live := b.newInstance(t, w, runOptions{name: "causes", record: true})
	live.startReady()

	var table report
	order := newOrder(scenarios, b.atOnce)
	play := func(t *testing.T, s scenario) {
		whole := func() {}
		if order.scheduled(&s) {
			order.scheduling.Add(1) // before Parallel, which waits for all to begin
			whole = sync.OnceFunc(order.scheduling.Done)
			defer whole()
		}
		if !s.Alone {
			t.Parallel()
		}
		r := row{scenario: s.name, expected: s.Cause, note: "FAILED"}
		defer func() { table.add(r) }()
		if why := s.lacks(b); why != "" {
			r.note = "left out: " + why
			t.Skip(why)
		}
		defer order.enter(&s)()
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
	table.write(t, filepath.Join(b.out, "e2e-causes.md"), filepath.Join(b.out, "e2e"))

	for _, s := range scenarios {
		if roots := ownRoots(t, live, w.Messages(s.namespace())); len(roots) > 1 {
			errorf(t, "#%s has %d root messages, want one:\n%s", s.namespace(), len(roots), texts(roots))
		}
		if peak := w.PeakPosts(s.namespace(), time.Second); peak > 2 {
			errorf(t, "#%s got %d posts within a second", s.namespace(), peak)
		}
	}
	for _, m := range w.Messages("incidents") {
		if s, ok := live.story(told(m)); !ok || strings.HasPrefix(s.CauseEntity.Namespace, "e2e-") {
			errorf(t, "#incidents got a message that belongs to a team's channel: %s", m.Text)
		}
	}
	if pings := w.Pings(); len(pings) > 0 {
		errorf(t, "somebody was pinged: %+v", pings)
	}
	if unknown := w.UnknownMethods(); len(unknown) > 0 {
		errorf(t, "Slack has no such methods: %v", unknown)
	}
	t.Run("replay", func(t *testing.T) { b.replayEqualsLive(t, live) })
}

// order says when a scenario may begin.
type order struct {
	slots      chan struct{}          // as many as may be played at once
	nodes      map[string]*sync.Mutex // by role: one scenario at a time has a node
	scheduling sync.WaitGroup         // those that a node's trouble would change
}

func newOrder(scenarios []scenario, atOnce int) *order {
	o := &order{slots: make(chan struct{}, atOnce), nodes: map[string]*sync.Mutex{}}
	for _, s := range scenarios {
		if s.Node != "" {
			o.nodes[s.Node] = new(sync.Mutex)
		}
	}
	return o
}

// scheduled reports whether the scenario is about what the scheduler says of
// all nodes: it is over before a node is touched.
func (o *order) scheduled(s *scenario) bool {
	return strings.HasPrefix(string(s.Cause), "sched.") && s.Node == "" && !s.Alone
}

// enter waits until the scenario may begin, and returns what ends it.
func (o *order) enter(s *scenario) (leave func()) {
	if node := o.nodes[s.Node]; node != nil {
		o.scheduling.Wait()
		node.Lock()
		return node.Unlock // waits more than it works: takes no slot
	}
	if s.Held > 0 {
		return func() {} // so does this
	}
	o.slots <- struct{}{}
	return func() { <-o.slots }
}

// set makes the healthy workload of a scenario.
func (b *bed) set(t *testing.T, name string, s *scenario, node string) *place {
	p := b.place(t, name, nil, s.files, node)
	if s.files["prepare"] != "" {
		p.run(t, s.files["prepare"])
	}
	p.run(t, "kubectl apply -f healthy.yaml")
	if s.files["start"] != "" {
		p.run(t, s.files["start"])
	}
	p.awaitRollouts(t)
	return p
}

// play makes the workload, breaks it, waits for the story, mends it, and waits
// until the thread says so. It calls whole once the workload is mended.
func (b *bed) play(t *testing.T, w *workspace, live *instance, s *scenario, r *row, whole func()) {
	node := b.nodes[s.Node]
	p := b.set(t, s.namespace(), s, node)
	if roots := ownRoots(t, live, w.Messages(p.name)); len(roots) > 0 {
		fatalf(t, "told before anything was broken:\n%s", texts(roots))
	}
	mended := false
	mend := func() { // a sync.OnceFunc would panic where a script fails the test
		if !mended {
			mended = true
			p.run(t, s.files["mend"]+s.files["repair"])
		}
	}
	if s.Node != "" || s.Access {
		defer mend() // others need what was broken
	}

	p.run(t, s.files["fault"]+s.files["break"])
	want := s.want(p.name, node)
	r.entity = want.entities[0]
	limit := 90 * time.Second
	if s.Node != "" || s.Slow {
		limit = 3 * time.Minute // a dead kubelet is noticed after 50 s
	}
	limit += time.Duration(s.Held) * time.Minute
	var root slackfake.Message
	var story tapio.Story
	channel := ""
	eventually(t, limit, fmt.Sprintf("a story with cause %s", want), func() (bool, string) {
		var seen []string
		for _, channel = range []string{p.name, "incidents"} {
			for _, root = range w.Messages(channel) {
				var ok bool
				if story, ok = live.story(told(root)); !ok {
					continue
				}
				if want.is(&story) {
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
	r.is(&story)
	r.posted = at(root).Sub(decisive(&story))
	r.late = at(root).Sub(story.Opened)

	mend()
	p.awaitRollouts(t)
	since := time.Now()
	whole()
	eventually(t, quiet+90*time.Second, "the thread says that it is resolved", func() (bool, string) {
		now, ok := live.story(story.ID)
		for _, c := range []string{p.name, "incidents"} { // a deeper cause may have taken it in
			for _, m := range w.Messages(c) {
				if now.AbsorbedInto != "" && told(m) == now.AbsorbedInto {
					channel, root = c, m
					story, ok = live.story(now.AbsorbedInto)
					now = story
				}
			}
		}
		reply, said := w.saysResolved(channel, root)
		r.resolved = at(reply).Sub(since)
		return ok && said && now.Status == tapio.StatusResolved, fmt.Sprintf("story %s is %s; affected %v; the thread:\n%s", story.ID, now.Status, now.Affected, texts(w.Replies(channel, root.TS)))
	})
	if now, _ := live.story(story.ID); !want.is(&now) {
		errorf(t, "resolved as %s of %s, want %s", now.Cause, now.CauseEntity, want)
	}
	r.note = ""
}

// ownRoots leaves out the messages that tell of this machine: where its disk is
// busy, etcd or the API server is slow now and then, and whom that hurts is
// told.
func ownRoots(t *testing.T, live *instance, roots []slackfake.Message) (own []slackfake.Message) {
	for _, m := range roots {
		if s, ok := live.story(told(m)); ok && (s.Cause == tapio.CauseEtcdSlow || s.Cause == tapio.CauseAPIServerSlow) {
			t.Logf("this machine is slow: %s", m.Text)
			continue
		}
		own = append(own, m)
	}
	return own
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
