//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// TestKill kills tapio at random instants of an incident, from the failure to
// its end: the channel has one root message, the thread every reply once, and
// the last state of both is the story's.
func TestKill(t *testing.T) {
	b := shared
	b.cleared(t)
	seed := b.seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("the instants are those of -seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	const name = "e2e-kill"
	w := newWorkspace(t, name)
	live := b.newInstance(t, w, runOptions{name: "kill"})
	live.startReady()
	s := readScenario(t, "testdata/causes/container.app_error.txtar")
	s.files["healthy.yaml"] = readFile(t, "testdata/web.yaml")
	p := b.place(t, name, nil, s.files, "")
	p.run(t, "kubectl apply -f healthy.yaml")
	p.awaitRollouts(t)

	// What happens during the incident, and before which kill.
	events := []struct {
		name, script string
	}{
		{"a bad release", s.files["break"]},
		{"it is scaled up", "kubectl scale deployment web --replicas 3"},
		{"another image is tried", "kubectl set image deployment web app=testbed.local/app:1"},
		{"the release is taken back", "kubectl rollout undo deployment web --to-revision 1"},
	}
	next := 0
	for kill := range b.kills {
		for ; next < len(events) && next*b.kills <= kill*len(events); next++ {
			if next == len(events)-1 && len(w.Messages(name)) == 0 {
				break // were it taken back before anybody knew, nothing would be told
			}
			t.Logf("%s", events[next].name)
			p.run(t, events[next].script)
		}
		// A start takes about a second: some kills hit it before it has read
		// anything, some in the middle of a post, some at rest.
		wait := time.Duration(random.Int64N(int64(9 * time.Second)))
		time.Sleep(wait)
		live.kill()
		t.Logf("kill %d after %.2f s; %d root messages", kill+1, wait.Seconds(), len(w.Messages(name)))
		live.start()
	}
	for ; next < len(events); next++ {
		if next == len(events)-1 {
			awaitRoot(t, w, live, name)
		}
		t.Logf("%s", events[next].name)
		p.run(t, events[next].script)
	}
	p.awaitRollouts(t)
	live.awaitReady()

	var root slackfake.Message
	var story tapio.Story
	eventually(t, 5*time.Minute, "the thread says that it is resolved", func() (bool, string) {
		roots := w.Messages(name)
		if len(roots) == 0 {
			return false, "no root message; " + live.printed()
		}
		root = roots[0]
		story, _ = live.story(told(root))
		_, said := w.saysResolved(name, root)
		return story.Status == tapio.StatusResolved && said, fmt.Sprintf("story %s is %q; the thread:\n%s", story.ID, story.Status, texts(w.Replies(name, root.TS)))
	})
	time.Sleep(3 * time.Second) // for what would be too much
	if roots := w.Messages(name); len(roots) != 1 {
		errorf(t, "%d root messages, want one:\n%s", len(roots), texts(roots))
	} else if root = roots[0]; !strings.Contains(strings.ToLower(root.Text), "resolved") {
		errorf(t, "the root message is not that of the story's end: %s", root.Text)
	}
	replies := w.Replies(name, root.TS)
	seen := map[string]int{}
	for _, r := range replies {
		seen[r.Text]++
		if seen[r.Text] == 2 {
			errorf(t, "said twice: %s", r.Text)
		}
	}
	b.everyFactOnce(t, live, &story, replies)
	if unknown := w.UnknownMethods(); len(unknown) > 0 {
		errorf(t, "Slack has no such methods: %v", unknown)
	}
	t.Logf("%d kills; the thread:\n%s", b.kills, texts(replies))
}
