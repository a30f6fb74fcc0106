package bot

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

var (
	campaignRuns = flag.Int("campaign", campaignShort, "runs of the fault campaign")
	campaignFrom = flag.Int("campaign.from", 0, "number of the first run")
	campaignLog  = flag.Bool("campaign.log", false, "log what the bot does in the fault campaign")
)

// campaignShort is how many runs belong to every test, some seconds.
const campaignShort = 8

// TestCampaign plays incidents while Slack fails in every way that the stand-in
// knows, people delete messages, channels go away, and Tapio is killed. After
// each run the workspace must be as if nothing had gone wrong. A run is
// repeatable by its number.
func TestCampaign(t *testing.T) {
	total := map[string]int{}
	for i := range *campaignRuns {
		n := *campaignFrom + i
		t.Run(fmt.Sprint("run ", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCampaign(t, uint64(n))
				c.play()
				c.judge()
				if t.Failed() {
					t.Logf("play it again: go test ./bot -run '^TestCampaign$' -campaign 1 -campaign.from %d -campaign.log -v", n)
				}
				for k, v := range c.counts {
					total[k] += v
				}
			})
		})
	}
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(total)) {
		lines = append(lines, fmt.Sprintf("%-36s %7d", k, total[k]))
	}
	report := fmt.Sprintf("%d runs\n%s", *campaignRuns, strings.Join(lines, "\n"))
	if t.Log(report); *campaignRuns > campaignShort {
		fmt.Println(report) // also where nothing fails
	}
}

// campaign is one run.
type campaign struct {
	*world
	rng     *rand.Rand
	stories []*plot
	counts  map[string]int
	calm    bool // nothing goes wrong any more
}

// plot is one story of a run, and what was to be told of it.
type plot struct {
	tapio.Story
	news    int             // pieces of news so far
	came    int             // how often it came back
	deleted int             // how often people deleted its root message
	acked   bool            // somebody pressed Ack
	parts   map[string]bool // absorbed stories
}

var campaignChannels = []string{"incidents", "payments", "platform", "cart"}

func newCampaign(t *testing.T, seed uint64) *campaign {
	rng := rand.New(rand.NewPCG(seed, 7))
	workspace := slackfake.Options{Seed: seed + 1}
	for _, name := range campaignChannels {
		workspace.Channels = append(workspace.Channels, slackfake.Channel{Name: name})
	}
	workspace.Users = watch.Users
	w := newWorld(t, workspace, func(o *Options) {
		onCall(o)
		o.Call.After, o.Call.Every = 2*time.Minute, 3*time.Minute
		o.SocketMode = rng.IntN(2) == 0
		if !*campaignLog {
			o.Log = discard()
		}
	})
	return &campaign{world: w, rng: rng, counts: map[string]int{}}
}

// play lets things happen for some minutes, then ends all trouble.
func (c *campaign) play() {
	c.counts["runs"]++
	share := []float64{0, 0.05, 0.2, 0.4}[c.rng.IntN(4)]
	c.shake(share)
	for range 15 + c.rng.IntN(25) {
		c.happen()
		c.misfortune(share)
		c.wait(time.Duration(1+c.rng.IntN(45)) * time.Second)
	}
	c.mend()
	c.wait(parkFor + time.Minute)
	for _, p := range c.stories { // what was deleted or moved is noticed with the next revision
		if p.Status != tapio.StatusAbsorbed {
			c.grow(p, tapio.NewsScope)
		}
	}
	c.settle()
	for _, call := range c.slack.Calls("") {
		if call.Fault != "" {
			c.counts["fault: "+string(call.Fault)]++
		} else if call.Error == "ratelimited" {
			c.counts["limited by Slack itself"]++
		}
	}
	c.counts["calls"] += len(c.slack.Calls(""))
}

// shake lets a share of all calls fail.
func (c *campaign) shake(share float64) {
	kinds := []slackfake.FaultKind{
		slackfake.RateLimited, slackfake.RateLimitedBare, slackfake.RateLimitedOK, slackfake.ServerError, slackfake.BadGateway,
		slackfake.CutBefore, slackfake.CommitThenCut,
	}
	c.slack.InjectRandom(share, kinds, "chat.postMessage", "chat.update", "conversations.history", "conversations.replies",
		"conversations.list", "conversations.join", "conversations.open", "auth.test", "chat.getPermalink", "apps.connections.open")
}

// happen is one thing that happens in the cluster.
func (c *campaign) happen() {
	switch n := c.rng.IntN(10); {
	case len(c.stories) == 0 || n < 3:
		c.begin()
	case n == 3 && c.rng.IntN(8) == 0:
		c.counts["storms"]++
		for range 14 {
			c.begin()
		}
	default:
		p := c.stories[c.rng.IntN(len(c.stories))]
		switch {
		case p.Status == tapio.StatusAbsorbed:
		case p.Status == tapio.StatusResolved:
			if p.came < 2 && p.news < 7 {
				p.came++
				p.Status, p.Resolved = tapio.StatusOpen, time.Time{}
				c.grow(p, tapio.NewsReopened)
			}
		case n < 5:
			p.Story = resolve(p.Story, "")
			p.Revision-- // grow makes the revision
			c.grow(p, tapio.NewsResolved)
		case n == 5 && len(c.stories) > 1:
			c.absorb(p)
		case n == 6 && p.Severity != tapio.SeverityCritical:
			p.Severity = tapio.SeverityCritical
			c.grow(p, tapio.NewsSeverity)
		case n == 7:
			c.acknowledge(p)
		case p.news < 6:
			c.grow(p, []tapio.NewsKind{tapio.NewsScope, tapio.NewsCause, tapio.NewsTrigger, tapio.NewsChange}[c.rng.IntN(4)])
		}
	}
}

func (c *campaign) begin() {
	s := onset()
	s.ID = fmt.Sprintf("story%04d", len(c.stories))
	s.Title = fmt.Sprintf("app-%d is crash-looping", len(c.stories))
	s.Owner.Channel = "#" + campaignChannels[c.rng.IntN(len(campaignChannels))]
	if c.rng.IntN(4) == 0 {
		s.Touches = []tapio.Touch{{Owner: tapio.Owner{Channel: "#" + campaignChannels[c.rng.IntN(len(campaignChannels))]}, Namespace: "shop", Affected: []tapio.Entity{{Kind: tapio.KindDeployment, Namespace: "shop", Name: "x"}}}}
	}
	c.stories = append(c.stories, &plot{Story: s, parts: map[string]bool{}})
	c.mem.save(s)
	c.counts["stories"]++
}

// grow saves the next revision, with one piece of news that is like no other.
func (c *campaign) grow(p *plot, kind tapio.NewsKind) {
	p.news++
	p.Story = after(p.Story, kind, fmt.Sprintf("news-%s-%d.", p.ID, p.news))
	if p.Status == tapio.StatusResolved {
		p.Resolution = p.Impact
	}
	c.mem.save(p.Story)
	c.counts["revisions"]++
}

func (c *campaign) absorb(child *plot) {
	parent := c.stories[c.rng.IntN(len(c.stories))]
	if parent == child || parent.Status != tapio.StatusOpen || len(child.parts) > 0 {
		return
	}
	parent.parts[child.ID] = true
	parent.Absorbed = append(parent.Absorbed, child.ID)
	child.Story = after(child.Story, tapio.NewsAbsorbed, "x")
	child.Status, child.AbsorbedInto = tapio.StatusAbsorbed, parent.ID
	c.mem.save(child.Story)
	c.counts["absorbed"]++
}

// acknowledge presses Ack, and delivers that in one of the ways of Slack.
func (c *campaign) acknowledge(p *plot) {
	t := c.thread(p.ID)
	if p.acked || t == nil || t.RootTS == "" || t.Board != "" {
		return
	}
	if kinds := []slackfake.FaultKind{"", slackfake.DuplicateEnvelope, slackfake.LostAck, slackfake.OutOfOrder}; c.opts.SocketMode {
		if k := kinds[c.rng.IntN(len(kinds))]; k != "" {
			c.slack.Inject(slackfake.Fault{Kind: k, Method: "envelope"})
			c.counts["fault: envelope "+string(k)]++
		}
	}
	c.counts["clicks"]++
	if dms := c.slack.Messages(c.slack.DirectID("U0FIRST")); c.rng.IntN(3) == 0 && len(dms) > 0 {
		go c.slack.Click(context.Background(), slackfake.Action{User: "first", Channel: c.slack.DirectID("U0FIRST"), TS: dms[len(dms)-1].TS, ActionID: actionPass})
		return
	}
	p.acked = true
	click := slackfake.Action{User: "first", Channel: t.ChannelID, TS: t.RootTS, ActionID: actionAck}
	go c.slack.Click(context.Background(), click)
}

// misfortune is one thing that goes wrong.
func (c *campaign) misfortune(share float64) {
	channel := campaignChannels[c.rng.IntN(len(campaignChannels))]
	count := func(what string) { c.counts["fault: "+what]++ }
	switch c.rng.IntN(14) {
	case 0:
		c.mem.mu.Lock()
		c.mem.dieAt, c.mem.after = c.mem.writes+1+c.rng.IntN(8), c.rng.IntN(2) == 0
		c.mem.mu.Unlock()
		count("crash of Tapio")
	case 1:
		c.slack.Inject(slackfake.Fault{Kind: slackfake.Slow, Method: []string{"chat.postMessage", "chat.update", "conversations.history"}[c.rng.IntN(3)], Delay: time.Duration(1+c.rng.IntN(20)) * time.Second})
	case 2:
		if p := c.stories[c.rng.IntN(len(c.stories))]; c.thread(p.ID) != nil {
			t := c.thread(p.ID)
			if t.RootTS != "" && t.Board == "" && c.slack.DeleteMessage(t.ChannelID, t.RootTS) {
				p.deleted++
				count("message deleted by a person")
			}
		}
	case 3:
		c.slack.SetArchived(channel, true)
		count("channel archived")
	case 4:
		c.slack.SetBotMember(channel, false)
		count("bot removed")
	case 5:
		c.slack.SetArchived(channel, false)
		c.slack.SetBotMember(channel, true)
	case 6:
		c.slack.SetRevoked(true)
		count("token revoked")
		c.wait(time.Duration(1+c.rng.IntN(120)) * time.Second)
		c.slack.SetRevoked(false)
	case 7:
		if c.rng.IntN(4) == 0 {
			count("Slack away")
			c.shake(1)
			c.wait(time.Duration(1+c.rng.IntN(30)) * time.Minute)
			c.shake(share)
		}
	case 8:
		if c.opts.SocketMode {
			k := c.rng.IntN(3)
			[]func(){c.slack.RefreshSockets, c.slack.CutSockets, c.slack.StallSockets}[k]()
			count([]string{"sockets refreshed", "sockets cut", "sockets stalled"}[k])
		}
	}
}

// mend ends all trouble.
func (c *campaign) mend() {
	c.slack.ClearFaults()
	c.slack.SetRevoked(false)
	for _, name := range campaignChannels {
		c.slack.SetArchived(name, false)
		c.slack.SetBotMember(name, true)
	}
	c.mem.mu.Lock()
	c.mem.dieAt = 0
	c.mem.mu.Unlock()
	c.calm = true
}

// thread is what the ledger holds of a thread, or nil.
func (c *campaign) thread(id string) *thread {
	c.mem.mu.Lock()
	defer c.mem.mu.Unlock()
	v, ok := c.mem.ledger[threadPrefix+id]
	if !ok {
		return nil
	}
	t, err := decodeThread(tapio.Record{Key: threadPrefix + id, Value: v})
	if err != nil {
		c.t.Fatal(err)
	}
	return t
}

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
		if n := c.slack.PeakPosts(channel, 990*time.Millisecond); n > 2 { // 2: a new process doesn't know when the old one posted
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
