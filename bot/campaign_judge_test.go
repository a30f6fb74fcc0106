package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// live are the messages with this ID in their metadata that weren't deleted, by
// channel.
func (c *campaign) live() map[string]map[string][]slackfake.Message {
	out := map[string]map[string][]slackfake.Message{}
	places := slices.Clone(campaignChannels)
	for _, u := range watch.Users {
		places = append(places, c.slack.DirectID(u.ID))
	}
	for _, channel := range places {
		for _, m := range c.slack.Messages(channel) {
			var meta struct {
				Payload struct{ ID string } `json:"event_payload"`
			}
			if m.Tombstone || json.Unmarshal(m.Metadata, &meta) != nil || meta.Payload.ID == "" {
				continue
			}
			if out[meta.Payload.ID] == nil {
				out[meta.Payload.ID] = map[string][]slackfake.Message{}
			}
			out[meta.Payload.ID][channel] = append(out[meta.Payload.ID][channel], m)
		}
	}
	return out
}

// judge checks what must hold after any run.
func (c *campaign) judge() {
	live := c.live()
	for id, places := range live {
		for channel, ms := range places {
			if len(ms) > 1 {
				c.t.Errorf("%d root messages of %s in %s: %s", len(ms), id, channel, texts(ms))
			}
			c.counts["root messages"] += len(ms)
		}
	}
	replies := map[string]string{} // by channel
	for _, channel := range campaignChannels {
		for _, root := range c.slack.Messages(channel) {
			for _, r := range c.slack.Replies(channel, root.TS) {
				replies[channel] += string(r.Blocks) + "\n"
				c.counts["replies"]++
			}
		}
		if n := c.slack.PeakPosts(channel, time.Minute); n > 61 {
			c.t.Errorf("%d posts within a minute in %s", n, channel)
		}
		if n := c.slack.PeakPosts(channel, 990*time.Millisecond); n > 1 {
			c.t.Errorf("%d posts within a second in %s", n, channel)
		}
	}
	for _, p := range c.stories {
		c.judgeStory(p, live, replies)
	}
	c.judgeLists(live)
	c.judgeCalls(live)
	c.mem.mu.Lock()
	kept := slices.Collect(maps.Keys(c.mem.kept))
	c.mem.mu.Unlock()
	for _, key := range kept { // each direct message that was decided on came once
		if id := strings.TrimPrefix(key, threadPrefix); strings.HasPrefix(id, "direct-") {
			if n := len(live[id][c.slack.DirectID("first")]); n != 1 {
				c.t.Errorf("direct message %s came %d times", id, n)
			}
			c.counts["direct messages"]++
		}
	}
	if pings := c.slack.Pings(); len(pings) > 0 {
		c.t.Errorf("somebody was pinged: %+v", pings)
	}
	if unknown := c.slack.UnknownMethods(); len(unknown) > 0 {
		c.t.Errorf("unknown methods were called: %v", unknown)
	}
	if err := c.bot.Ready(); err != nil {
		c.t.Errorf("not ready after all is mended: %v", err)
	}
}

// judgeStory: the last revision is shown, and each piece of news was told once.
func (c *campaign) judgeStory(p *plot, live map[string]map[string][]slackfake.Message, replies map[string]string) {
	t := c.thread(p.ID)
	if t == nil {
		if p.Status != tapio.StatusAbsorbed {
			c.t.Errorf("%s was lost", p.ID)
		}
		return
	}
	if !t.idle() {
		c.t.Errorf("%s still has something to say, %d pending: %s", p.ID, c.bot.Pending(), t.record().Value)
	}
	shown := p.Status != tapio.StatusAbsorbed && t.Board == "" && !t.Hushed
	if t.Hushed && p.deleted < 2 {
		c.t.Errorf("%s is told no more though its message was deleted %d times", p.ID, p.deleted)
	}
	if shown {
		name := strings.TrimPrefix(t.Channel, "#")
		ms := live[p.ID][name]
		if len(ms) != 1 {
			c.t.Errorf("%d root messages of %s in %s, want one", len(ms), p.ID, name)
		} else if want := fmt.Sprintf("rev %d", p.Revision); !strings.Contains(string(ms[0].Attachments), want+"\"") && !strings.Contains(string(ms[0].Attachments), want+" ") {
			c.t.Errorf("%s does not show %s: %s %s", p.ID, want, ms[0].Text, ms[0].Attachments)
		}
		c.counts["stories with a message"]++
	}
	listed := t.Board != "" || strings.Contains(c.boardMembers(), " "+p.ID+" ")
	for i := 1; i <= p.news; i++ {
		text, n := fmt.Sprintf("news-%s-%d.", p.ID, i), 0
		for channel, all := range replies {
			// A story that moves because a channel refuses us is told anew in
			// the default channel, with what nobody can look for any more.
			here := strings.Count(all, text)
			if n += here; here > 1 {
				c.t.Errorf("news %d of %s was told %d times in %s%s", i, p.ID, here, channel, c.where(text))
			}
		}
		switch {
		case n == 0 && shown && !listed && p.deleted < 2:
			c.t.Errorf("news %d of %d of %s was lost; deleted %d, thread %s", i, p.news, p.ID, p.deleted, t.record().Value)
		}
		c.counts["news told"] += n
	}
}

// judgeCalls: who was called was called once, nobody twice in a short time, and
// nobody after somebody took care of the story.
func (c *campaign) judgeCalls(live map[string]map[string][]slackfake.Message) {
	type called struct {
		user string
		at   time.Time
	}
	byStory := map[string][]called{}
	for id, places := range live {
		story, ok := strings.CutPrefix(id, callPrefix)
		if !ok {
			continue
		}
		for user, ms := range places {
			for _, m := range ms {
				var sec, micro int64
				fmt.Sscanf(m.TS, "%d.%d", &sec, &micro)
				key := story[:strings.LastIndexByte(story, '-')]
				byStory[key] = append(byStory[key], called{user, time.Unix(sec, micro*1000)})
				c.counts["people called"]++
			}
		}
	}
	for story, calls := range byStory {
		slices.SortFunc(calls, func(x, y called) int { return x.at.Compare(y.at) })
		last := map[string]time.Time{}
		for _, k := range calls {
			if before, ok := last[k.user]; ok && k.at.Sub(before) < c.opts.Call.After {
				c.t.Errorf("%s was called twice within %s about %s", k.user, k.at.Sub(before), story)
			}
			last[k.user] = k.at
			if t := c.thread(story); t != nil && t.Ack != nil && k.at.After(t.Ack.At.Add(25*time.Second)) { // a slow call may be under way
				c.t.Errorf("somebody was called %s after %s took care of %s", k.at.Sub(t.Ack.At), t.Ack.Name, story)
			}
		}
	}
	for _, p := range c.stories {
		noted := 0
		for _, n := range c.bot.told(context.Background(), p.ID) {
			if n.Kind == tapio.NoteCall {
				noted++
			}
		}
		if n := len(byStory[p.ID]); n < noted {
			c.t.Errorf("%d people were called about %s, and %d got a direct message", noted, p.ID, n)
		}
	}
}

// where lists the calls that sent a text, and the replies that hold it.
func (c *campaign) where(text string) string {
	out := ""
	for _, call := range c.slack.Calls("") {
		if strings.Contains(call.Args["blocks"], text) {
			out += fmt.Sprintf("\n\t%s %s %s thread %s: %s %s", call.Time.Format("15:04:05.000"), call.Method, call.Args["channel"], call.Args["thread_ts"], call.Error, call.Fault)
		}
	}
	for _, channel := range campaignChannels {
		for _, root := range c.slack.Messages(channel) {
			for _, r := range c.slack.Replies(channel, root.TS) {
				if strings.Contains(string(r.Blocks), text) {
					out += fmt.Sprintf("\n\tin #%s: %s below %s (tombstone %v), edits %d", channel, r.TS, root.TS, root.Tombstone, r.Edits)
				}
			}
		}
	}
	return out
}

// boardMembers are all stories that are on a list.
func (c *campaign) boardMembers() string {
	all := " "
	records, _ := c.mem.Read(context.Background(), threadPrefix)
	for _, r := range records {
		if t, err := decodeThread(r); err == nil && t.lists() {
			all += strings.Join(t.Members, " ") + " "
		}
	}
	return all
}

// judgeLists: the lists of storms and the lines for teams are true.
func (c *campaign) judgeLists(live map[string]map[string][]slackfake.Message) {
	records, _ := c.mem.Read(context.Background(), threadPrefix)
	for _, r := range records {
		t, err := decodeThread(r)
		if err != nil {
			c.t.Fatal(err)
		}
		ms := live[t.ID][strings.TrimPrefix(t.Channel, "#")]
		switch t.Kind {
		case kindStorm:
			open := 0
			for _, id := range t.Members {
				if m := c.thread(id); m != nil && !m.closed() {
					open++
				}
			}
			if len(ms) != 1 || !strings.Contains(ms[0].Text, fmt.Sprintf("%d stories began ", len(t.Members))) || !strings.Contains(ms[0].Text, fmt.Sprintf("; %d still open", open)) {
				c.t.Errorf("the list %s of %d stories, %d open, is not true: %s", t.ID, len(t.Members), open, texts(ms))
			}
			c.counts["lists of storms"]++
		case kindAside:
			s, _ := c.mem.Story(context.Background(), t.Parent)
			want := map[tapio.Status]string{tapio.StatusOpen: "firing since", tapio.StatusResolved: "resolved after", tapio.StatusAbsorbed: "part of"}[s.Status]
			if t.RootTS == "" {
				continue // it was over before it was told
			}
			if len(ms) != 1 || !strings.Contains(ms[0].Text, want) {
				c.t.Errorf("the line %s is not true, want %q: %s", t.ID, want, texts(ms))
			}
			c.counts["lines for teams"]++
		}
	}
}
