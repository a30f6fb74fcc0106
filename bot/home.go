package bot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// homeStories is how many open stories the App Home shows; each takes two of
// the 100 blocks of a view.
const homeStories = 20

// home is what the App Home shows.
type home struct {
	user    string
	stories []listed
	total   int
	mutes   []*mute
	lacking []string
	oncall  []Rotation
	call    Call
	now     time.Time
	pending int
}

// showHome puts the App Home of a person up to date.
func (b *Bot) showHome(ctx context.Context, user string) {
	h, err := b.home(ctx, user)
	if err != nil {
		b.log.Error("stories can't be read", "error", err)
		h = home{user: user, now: time.Now(), lacking: []string{"Tapio can't read its stories just now."}}
	}
	if _, err := b.api.client.PublishViewContext(ctx, slack.PublishViewContextRequest{UserID: user, View: h.view()}); err != nil {
		b.log.Warn("app home can't be shown", "error", err)
	}
}

func (b *Bot) home(ctx context.Context, user string) (home, error) {
	h := home{user: user, now: time.Now(), oncall: b.opts.OnCall, call: b.opts.Call, pending: b.Pending()}
	stories, err := b.opts.Stories.Stories(ctx, tapio.Query{Status: tapio.StatusOpen, Limit: maxSearched})
	if err != nil {
		return h, err
	}
	if h.mutes, err = b.mutesNow(ctx, h.now); err != nil {
		return h, err
	}
	h.total = len(stories)
	for i := range stories[:min(len(stories), homeStories)] {
		s := &stories[i]
		h.stories = append(h.stories, listed{story: s, ack: b.ackOf(ctx, s.ID), muted: muteOf(h.mutes, s, h.now)})
	}
	if err := b.Ready(); err != nil {
		h.lacking = append(h.lacking, err.Error())
	}
	refused, err := b.refusedChannels(ctx)
	if err != nil {
		return h, err
	}
	h.lacking = append(h.lacking, refused...)
	if b.opts.Lacking != nil {
		for _, l := range b.opts.Lacking() {
			if !strings.HasPrefix(l, "slack: ") { // said above
				h.lacking = append(h.lacking, l)
			}
		}
	}
	return h, nil
}

// refusedChannels says which channels refuse us, and what mends it.
func (b *Bot) refusedChannels(ctx context.Context) ([]string, error) {
	records, err := b.opts.Ledger.Read(ctx, routePrefix)
	if err != nil {
		return nil, fmt.Errorf("read channels: %w", err)
	}
	var out []string
	for _, r := range records {
		rt, err := decode(r, func(r *route) int { return r.V })
		if err == nil && rt.Refused != "" {
			out = append(out, fmt.Sprintf("%s refuses Tapio (%s): %s", rt.Name, rt.Refused, mend(rt.Refused)))
		}
	}
	return out, nil
}

// view lays out the App Home.
func (h *home) view() slack.HomeTabViewRequest {
	var blocks []slack.Block
	add := func(more ...slack.Block) { blocks = append(blocks, more...) }
	title := "Nothing is failing"
	switch {
	case h.total == 0 && len(h.lacking) > 0:
		title = "No story is open" // which says little while Tapio is not well
	case h.total == 1:
		title = "1 story is open"
	case h.total > 1:
		title = fmt.Sprintf("%d stories are open", h.total)
	}
	add(slack.NewHeaderBlock(plainText(title, budgetTitle)))
	add(h.health(), actions("", button(actionRefresh, "Refresh", "home"), button(actionMute, "Mute…", "")))
	for i := range h.stories {
		l := &h.stories[i]
		add(section(l.mrkdwn()))
		s := l.story
		first := button(actionAck, "Ack", s.ID)
		if l.ack != nil {
			first = button(actionUnack, "Un-ack", s.ID)
		}
		add(actions("", first, button(actionPick+".story", "Show", "story "+s.ID), button(actionPick+".why", "Why?", "why "+s.ID), button(actionMute, "Silence…", s.ID)))
	}
	if more := h.total - len(h.stories); more > 0 {
		add(contextLine(fmt.Sprintf("…and %d more: `/tapio list`", more)))
	}
	if len(h.mutes) > 0 {
		add(slack.NewDividerBlock(), slack.NewHeaderBlock(plainText("Muted", budgetTitle)))
		for i, m := range h.mutes[:min(len(h.mutes), maxListed)] {
			end := button(fmt.Sprintf("%s.%d", actionUnmute, i), "Unmute", m.ID)
			add(slack.NewSectionBlock(mrkdwn(m.line(h.now)), nil, slack.NewAccessory(end)))
		}
		if more := len(h.mutes) - maxListed; more > 0 {
			add(contextLine(fmt.Sprintf("…and %d more: `/tapio unmute`", more)))
		}
	}
	if len(h.oncall) > 0 {
		add(slack.NewDividerBlock())
		b := Bot{opts: Options{OnCall: h.oncall, Call: h.call}}
		add(b.oncall("", h.now).Blocks...)
	}
	add(contextLine("as of "+moment(h.now, time.Time{}), "`/tapio help` lists what can be asked"))
	return slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: blocks[:min(len(blocks), maxViewBlocks)]}}
}

// health says whether Tapio sees and speaks.
func (h *home) health() slack.Block {
	if len(h.lacking) == 0 {
		text := ":white_check_mark: Tapio sees the cluster and can post."
		if h.pending > 0 {
			text += fmt.Sprintf(" %d messages and edits wait for their turn.", h.pending)
		}
		return section(text)
	}
	var lines []string
	for _, l := range h.lacking[:min(len(h.lacking), 5)] {
		lines = append(lines, ":warning: "+escape(l, budgetSentence/2))
	}
	if more := len(h.lacking) - 5; more > 0 {
		lines = append(lines, fmt.Sprintf("…and %d more: `/readyz`", more))
	}
	return section(strings.Join(lines, "\n"))
}
