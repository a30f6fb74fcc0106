package bot

import (
	"context"
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
	c.wait(2 * time.Duration(c.opts.Call.Rounds*len(watch.Users)) * c.opts.Call.Every) // until nobody is left to call
	for _, p := range c.stories {                                                      // what was deleted or moved is noticed with the next revision
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
