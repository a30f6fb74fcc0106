package bot

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// TestStormOf300 lets 300 stories begin within 60 s and end within 60 s, and
// reports what that costs: messages, the channels' rate, and how long it takes
// until what stands there is true again. `make storm` shows it.
func TestStormOf300(t *testing.T) {
	for _, channels := range []int{1, 10} {
		t.Run(fmt.Sprintf("%d channels", channels), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { stormOf300(t, channels) })
		})
	}
}

func stormOf300(t *testing.T, channels int) {
	workspace := slackfake.Options{Channels: []slackfake.Channel{{Name: "incidents"}}}
	for i := range channels {
		workspace.Channels = append(workspace.Channels, slackfake.Channel{Name: fmt.Sprintf("team-%d", i)})
	}
	w := newWorld(t, workspace, func(o *Options) { o.Log = discard() })
	w.settle()
	stories := make([]tapio.Story, 300)
	for i := range stories {
		s := onset()
		s.ID, s.Title = fmt.Sprintf("story%04d", i), fmt.Sprintf("app-%d is crash-looping", i)
		s.Owner.Channel, s.Subject.Namespace = fmt.Sprintf("#team-%d", i%channels), fmt.Sprintf("ns-%d", i%7)
		stories[i] = s
	}
	started := time.Now()
	for i := range 60 {
		w.mem.save(stories[5*i : 5*i+5]...)
		w.wait(time.Second)
	}
	rose := w.untilTrue(stories, channels)
	sent := func() (posts, edits int) {
		return len(w.slack.Calls("chat.postMessage")), len(w.slack.Calls("chat.update"))
	}
	posts, edits := sent()
	w.wait(5 * time.Minute)
	for i := range 60 {
		for j := 5 * i; j < 5*i+5; j++ {
			stories[j] = resolve(stories[j], "It recovered.")
		}
		w.mem.save(stories[5*i : 5*i+5]...)
		w.wait(time.Second)
	}
	fell := w.untilTrue(stories, channels)
	allPosts, allEdits := sent()
	second, minute := 0, 0
	for i := range channels {
		second = max(second, w.slack.PeakPosts(fmt.Sprintf("team-%d", i), 990*time.Millisecond))
		minute = max(minute, w.slack.PeakPosts(fmt.Sprintf("team-%d", i), time.Minute))
	}
	t.Logf("300 stories in 60 s to %d channels: %d posts and %d edits; true %s after the last began. They end in 60 s: %d posts and %d edits more; true %s after the last ended. At most %d posts a second and %d a minute in a channel; %s in all",
		channels, posts, edits, rose, allPosts-posts, allEdits-edits, fell, second, minute, time.Since(started).Round(time.Second))
	// Slack takes 50 edits a minute: the 10 stories that each channel tells on
	// their own need two minutes to be edited in 10 channels.
	if latest := map[int]time.Duration{1: 20 * time.Second, 10: 150 * time.Second}[channels]; second > 1 || rose > 45*time.Second || fell > latest {
		t.Errorf("too fast or too late: %d posts a second, true after %s and %s", second, rose, fell)
	}
	if most := 25 * channels; allPosts > most+30 {
		t.Errorf("%d messages for a storm", allPosts)
	}
	for _, c := range w.slack.Calls("") {
		if c.Error != "" {
			t.Errorf("%s: %s", c.Method, c.Error)
		}
	}
	w.sane()
}

// untilTrue waits until each story is on a list that counts it rightly, or has
// a message that shows its last revision.
func (w *world) untilTrue(stories []tapio.Story, channels int) time.Duration {
	w.t.Helper()
	from := time.Now()
	for range 600 {
		if w.isTrue(stories, channels) {
			return time.Since(from)
		}
		w.wait(time.Second)
	}
	w.t.Fatal("the channels are not true after 10 minutes")
	return 0
}

func (w *world) isTrue(stories []tapio.Story, channels int) bool {
	for i := range channels {
		name := fmt.Sprintf("team-%d", i)
		total, open := 0, 0
		for j := range stories {
			s := &stories[j]
			if s.Owner.Channel != "#"+name {
				continue
			}
			total++
			if s.Status == tapio.StatusOpen {
				open++
			}
			if own := w.roots(name, s.ID); len(own) > 0 && !strings.Contains(string(own[0].Attachments), fmt.Sprintf("rev %d", s.Revision)) {
				return false
			}
		}
		lists := w.storms(name)
		if len(lists) != 1 || !strings.HasPrefix(lists[0].Text, fmt.Sprintf("%d stories began almost at once; %d still open", total, open)) {
			return false
		}
	}
	return true
}
