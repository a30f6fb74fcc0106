package bot

import (
	"fmt"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// TestDirectory tells 25 stories to 25 channels at once: their names are
// looked up with one listing, not with one each, of which Slack allows 20 a
// minute.
func TestDirectory(t *testing.T) {
	const n = 25
	var workspace slackfake.Options
	workspace.Channels = []slackfake.Channel{{Name: "incidents"}}
	for i := range n {
		workspace.Channels = append(workspace.Channels, slackfake.Channel{Name: fmt.Sprintf("team-%d", i)})
	}
	played(t, workspace, func(w *world) {
		var stories []tapio.Story
		for i := range n {
			s := onset()
			s.ID = fmt.Sprintf("story-%d", i)
			s.Owner.Channel = fmt.Sprintf("#team-%d", i)
			stories = append(stories, s)
		}
		w.mem.save(stories...)
		w.wait(3 * time.Second)
		for i := range n {
			w.root(fmt.Sprintf("team-%d", i), fmt.Sprintf("story-%d", i))
		}
		if calls := w.slack.Calls("conversations.list"); len(calls) != 1 {
			t.Errorf("%d listings of the channels, want 1", len(calls))
		}
	})
}
