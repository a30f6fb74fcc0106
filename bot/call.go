package bot

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// stage is how far a call came.
type stage string

const (
	stageName stage = "look up channel"
	stageFind stage = "search"
	stageSay  stage = "say"
)

// resultKind tells what a goroutine of the desk was doing.
type resultKind string

const (
	said   resultKind = "said"
	linked resultKind = "linked" // the address of a root message
	probed resultKind = "probed" // the token was tried

	revisited resultKind = "revisited" // a channel that refused us was asked about
)

// call is one message on its way to Slack, with all that it needs: it runs in
// a goroutine of its own and shares nothing with the desk.
type call struct {
	api       *api
	name      string // the channel as routed
	channel   string // its ID, "" where it isn't known yet
	root      string // ts of the thread to answer in, "" for a root message
	edits     string // ts of the message to edit, "" for a new one
	broadcast bool
	posts     bool
	unsure    bool // it may have been made already
	plain     bool
	message   message
	print     string
	nonce     string
	since     time.Time
	meta      map[string]any
}

// result is what became of it.
type result struct {
	kind    resultKind
	name    string // of a channel that was asked about
	thread  *thread
	stage   stage
	err     error
	sent    sent
	channel string // ID of the channel, where it was found out
	found   bool   // it had been made before
	print   string
	link    string
	payload func() ([]byte, error)
}

// run makes the call, after a search where it may have been made before. It
// joins a public channel that it is not in.
func (c *call) run(ctx context.Context) result {
	r := result{kind: said, print: c.print, channel: c.channel, payload: c.message.payload}
	if r.channel == "" && strings.HasPrefix(c.name, "#") {
		r.stage = stageName
		if r.channel, r.err = c.api.channelID(ctx, strings.TrimPrefix(c.name, "#")); r.err != nil {
			return r
		}
	}
	if c.unsure && r.channel == "" && userID.MatchString(c.name) {
		r.stage = stageName
		if r.channel, r.err = c.api.openDirect(ctx, c.name); r.err != nil {
			if _, reason, _ := judge(r.err); reason != "missing_scope" {
				return r
			}
			c.api.log.Warn("a direct message can't be searched for without the scopes im:write and im:history; it may come twice", "user", c.name)
			r.channel, r.err = "", nil
		}
	}
	if c.unsure && r.channel != "" {
		r.stage = stageFind
		r.sent, r.found, r.err = c.find(ctx, r.channel)
		switch v, reason, _ := judge(r.err); {
		case reason == "missing_scope":
			c.api.log.Warn("history can't be searched without the scopes channels:history, groups:history and im:history; a message may come twice", "channel", c.name)
			r.err = nil
		case v == callGone:
			r.err = nil // nothing to be found there; saying it will tell why
		}
		if r.err != nil || r.found {
			return r
		}
	}
	r.stage = stageSay
	r.err = c.say(ctx, &r)
	if _, reason, _ := judge(r.err); reason == "not_in_channel" && r.channel != "" {
		if err := c.api.join(ctx, r.channel); err != nil {
			c.api.log.Warn("channel can't be joined", "channel", c.name, "error", err)
			return r
		}
		r.err = c.say(ctx, &r)
	}
	return r
}

// find searches for the message, in a public channel that it has to join for
// that too: what isn't looked for may come twice.
func (c *call) find(ctx context.Context, channel string) (sent, bool, error) {
	s, found, err := c.api.find(ctx, channel, c.root, c.nonce, c.since)
	if _, reason, _ := judge(err); reason == "not_in_channel" && c.api.join(ctx, channel) == nil {
		return c.api.find(ctx, channel, c.root, c.nonce, c.since)
	}
	return s, found, err
}

func (c *call) say(ctx context.Context, r *result) error {
	target := r.channel
	if target == "" {
		target = c.name // Slack takes a name for a new message
	}
	if c.edits != "" {
		r.sent = sent{channel: target, ts: c.edits, thread: c.root}
		return c.api.edit(ctx, target, c.edits, c.plain, &c.message)
	}
	s, err := c.api.post(ctx, target, c.root, c.broadcast, c.plain, &c.message, c.meta)
	if err == nil {
		r.sent, r.channel = s, s.channel
	}
	return err
}

// test tries the token.
func (a *api) test(ctx context.Context) error {
	_, err := a.client.AuthTestContext(ctx)
	return err
}

// settle records what became of a call.
func (d *desk) settle(ctx context.Context, r result, now time.Time) error {
	switch r.kind {
	case probed:
		return d.settleProbe(r, now)
	case revisited:
		p := d.place(r.name)
		if p.asked = false; r.err != nil || p.Refused == "" {
			return nil
		}
		return d.save(ctx, d.welcome(r.name, r.channel)...)
	case linked:
		t := r.thread
		if r.link == "" || d.threads[t.ID] != t || t.RootTS != r.sent.ts {
			return nil
		}
		t.Permalink = r.link
		return d.save(ctx, append(d.restate(t.ID), t.record())...) // what leads to it has a link now
	}
	t, p := r.thread, d.place(r.thread.Channel)
	t.busy, p.busy = false, false
	i := t.Intent
	if i.posts(t) {
		p.next = now.Add(postEvery)
	}
	v, name, after := judge(r.err)
	switch v {
	case callUnknown:
		d.fails++
	case callCanceled, callLimited:
	default:
		d.fails = 0
	}
	if v != callDone && v != callCanceled {
		d.log.Warn("slack did not take it", "thread", t.ID, "do", string(i.Do), "stage", string(r.stage), "verdict", string(v), "error", r.err)
		d.count.retries.WithLabelValues(name).Inc()
	}
	switch v {
	case callDone:
		return d.succeed(ctx, t, r, now)
	case callLimited:
		p.wait = now.Add(after)
		if r.stage == stageSay && !i.posts(t) {
			d.editsAt = now.Add(after)
		}
	case callUnknown:
		t.tries++
		t.wait = now.Add(backoff(t.tries))
		if r.stage == stageSay {
			t.unsure = i.posts(t)
		}
	case callCanceled:
		if r.stage == stageSay {
			t.unsure = i.posts(t)
		}
	case callToken:
		d.deaf = botTokenError(name)
		d.probeAt = now.Add(probeEvery)
		d.log.Error("slack refuses the bot token; nothing is said until it is accepted", "error", name)
	case callRoute:
		if t.Kind == kindDirect {
			return d.giveUp(ctx, t, name, now)
		}
		if err := d.park(ctx, t.Channel, name, now); err != nil {
			return err
		}
		moves := t.Channel != d.defaultChannel() && !t.stays()
		if r.stage == stageFind && !moves {
			return nil // it may be there: looked for again when the channel takes us again
		}
		t.unsend()
		if moves {
			d.move(t)
		}
		d.note(t)
		return d.save(ctx, t.record())
	case callGone:
		d.gone(t, i, name)
		d.note(t)
		return d.save(ctx, t.record())
	case callBlocks:
		d.plainly(t, r, name, now)
	case callRefused:
		if t.Kind == kindDirect && i.Plain && t.tries+1 >= givingUp {
			return d.giveUp(ctx, t, name, now)
		}
		d.refused(t, r, name, now)
		d.note(t)
		return d.save(ctx, t.record())
	}
	return nil
}

func (d *desk) settleProbe(r result, now time.Time) error {
	d.probing = false
	d.probeAt = now.Add(probeEvery)
	switch v, name, after := judge(r.err); v {
	case callDone:
		d.deaf = nil
	case callToken:
		if d.deaf == nil || errors.Is(d.deaf, errNotConnected) {
			d.log.Error("slack refuses the bot token; nothing is said until it is accepted", "error", name)
		}
		d.deaf = botTokenError(name)
	case callLimited:
		d.probeAt = now.Add(after)
	default:
		d.probeAt = now.Add(grace)
		d.log.Warn("slack can't be reached", "url", d.opts.APIURL, "error", r.err)
	}
	return nil
}

// succeed records that the message is there.
func (d *desk) succeed(ctx context.Context, t *thread, r result, now time.Time) error {
	i := t.Intent
	t.Intent, t.unsure, t.tries, t.wait = nil, false, 0, time.Time{}
	if r.found {
		d.count.found.Inc()
		d.log.Info("message was there already", "thread", t.ID, "do", string(i.Do))
	}
	records := d.welcome(t.Channel, r.channel)
	switch i.Do {
	case doPost:
		t.RootTS, t.ChannelID, t.Shown, t.ShownAt = r.sent.ts, r.channel, r.print, now
		if r.found { // nobody knows how it looks
			t.Shown, t.Root = "", rootNow
		}
		d.count.posts.WithLabelValues(string(t.Kind)).Inc()
		if t.Kind == kindStory {
			d.count.latency.Observe(max(now.Sub(t.Updated), 0).Seconds())
		}
	case doEdit:
		t.Shown, t.ShownAt = r.print, now
		d.count.edits.WithLabelValues(string(t.Kind)).Inc()
	case doReply:
		if r.sent.thread == "" {
			d.stray(t, i, r)
			break
		}
		t.Replies++
		d.count.posts.WithLabelValues("reply").Inc()
	case doRoll:
		t.Rolling.Due = false
		if t.Rolling.TS == "" {
			t.Rolling.TS = r.sent.ts
			d.count.posts.WithLabelValues("reply").Inc()
		} else {
			d.count.edits.WithLabelValues("reply").Inc()
		}
	}
	if (t.Kind == kindStory || t.Kind == kindStorm) && t.RootTS != "" && t.Permalink == "" {
		ts, channel := t.RootTS, t.ChannelID
		d.start(func() result {
			c, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
			defer cancel()
			return result{kind: linked, thread: t, sent: sent{ts: ts}, link: d.api.permalink(c, channel, ts)}
		})
	}
	d.note(t)
	rec := t.record()
	if t.once() && t.RootTS != "" {
		delete(d.threads, t.ID) // said once, never again
		rec.Value = nil
		records = append(records, d.calledNow(t, "", now)...)
	}
	if t.once() {
		delete(d.work, t.ID)
	}
	return d.save(ctx, append(records, rec)...)
}

// stray handles a reply that Slack put into the channel because its root
// message is gone: it becomes the root message, and is said once more below.
func (d *desk) stray(t *thread, i *intent, r result) {
	t.Intent = i
	t.uproot()
	t.Lost = messageGone
	t.RootTS, t.ChannelID = r.sent.ts, r.channel
}

// gone handles a message that can't be edited or answered any more.
func (d *desk) gone(t *thread, i *intent, name string) {
	if i.Do == doRoll && t.Rolling.TS != "" {
		t.Intent = nil
		t.Rolling.TS = "" // somebody deleted that reply: a new one
		return
	}
	if i.Do == doPost {
		t.unsend()
		return
	}
	if name == "message_not_found" || name == "thread_not_found" {
		t.Deleted++
	}
	lost := messageGone
	if (name == "cant_update_message" || name == "edit_window_closed") && t.Permalink != "" {
		lost = t.Permalink
	}
	t.uproot()
	t.Lost = lost
	if t.Kind == kindStory && t.Deleted > 1 { // once replaced is enough
		d.log.Info("people deleted the message of a story twice; it is told again when it gets worse or comes back", "thread", t.ID)
		t.Hushed, t.Root, t.News, t.Rolling = true, rootFine, nil, nil
	}
}

// plainly sends what was refused once more without its layout.
func (d *desk) plainly(t *thread, r result, name string, now time.Time) {
	if t.Intent.Plain {
		d.refused(t, r, name, now)
		return
	}
	t.Intent.Plain = true
	payload, _ := r.payload()
	d.count.plain.Inc()
	d.log.Error("slack refuses the layout; the text goes out alone", "thread", t.ID, "error", name, "payload", string(payload[:min(len(payload), 8192)]))
}

// giveUp forgets a direct message that a person can't be sent. The thread of
// its story says the same.
func (d *desk) giveUp(ctx context.Context, t *thread, name string, now time.Time) error {
	d.count.dropped.WithLabelValues("direct message").Inc()
	d.log.Warn("a direct message is given up", "thread", t.ID, "error", name)
	delete(d.threads, t.ID)
	delete(d.work, t.ID)
	return d.save(ctx, append(d.calledNow(t, name, now), tapio.Record{Key: threadPrefix + t.ID})...)
}

// givingUp is how often a reply is tried that Slack refuses for a reason that
// we don't know.
const givingUp = 5

// refused handles an error that we don't know: plain text, then patience, and
// in the end a reply is given up. A root message never is.
func (d *desk) refused(t *thread, r result, name string, now time.Time) {
	if !t.Intent.Plain {
		d.plainly(t, r, name, now)
		return
	}
	t.tries++
	t.wait = now.Add(backoff(t.tries))
	if t.tries < givingUp || !slices.Contains([]deed{doReply, doRoll}, t.Intent.Do) {
		return
	}
	d.count.dropped.WithLabelValues("news").Add(float64(max(len(t.Intent.News), 1)))
	d.log.Error("a reply is given up: slack keeps refusing it", "thread", t.ID, "error", name, slog.Int("news", len(t.Intent.News)))
	if t.Intent.Do == doRoll {
		t.Rolling.Due = false
	}
	t.Intent, t.tries = nil, 0
}
