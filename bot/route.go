package bot

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"golang.org/x/time/rate"
)

var (
	channelIDForm   = regexp.MustCompile(`^[CGD][A-Z0-9]{6,30}$`)
	channelNameForm = regexp.MustCompile(`^#?[\p{L}\p{N}_-]{1,80}$`)
)

// channelName brings a channel, as a person wrote it, to one form: an ID or
// "#name". It returns "" for what can't be one.
func channelName(s string) string {
	s = strings.TrimSpace(s)
	switch {
	case channelIDForm.MatchString(s):
		return s
	case channelNameForm.MatchString(s):
		return "#" + strings.ToLower(strings.TrimPrefix(s, "#"))
	}
	return ""
}

// place is a channel as this process knows it.
type place struct {
	route
	posts *rate.Limiter // chat.postMessage
	wait  time.Time     // no call before this: Slack said so
	looks time.Time     // when it was last asked whether a channel that refused us has changed
	asked bool          // that is under way
	busy  bool          // one call at a time keeps the order
	next  time.Time     // no post before this: the last one may have been taken in late
}

func (d *desk) place(name string) *place {
	p := d.places[name]
	if p == nil {
		p = &place{route: route{V: ledgerV, Name: name}, posts: rate.NewLimiter(rate.Every(postEvery), 1)}
		if channelIDForm.MatchString(name) {
			p.ID = name
		}
		d.places[name] = p
	}
	return p
}

func (d *desk) defaultChannel() string { return channelName(d.opts.DefaultChannel) }

// channelOf says which channel a story belongs to: its annotation, else the
// first route that matches, else the default.
func (d *desk) channelOf(s *tapio.Story) string {
	return d.channelFor(s.Owner.Channel, s.Subject.Namespace, s.ID)
}

// channelFor says which channel belongs to an annotation and a namespace.
func (d *desk) channelFor(annotation, namespace, story string) string {
	if annotation != "" {
		if name := channelName(annotation); name != "" {
			return name
		}
		d.log.Warn("annotation is not a channel; the story goes by the routes", "story", story, "channel", literal(annotation, budgetName))
	}
	for _, r := range d.opts.Routes {
		if ok, err := path.Match(r.Namespace, namespace); err == nil && ok {
			return channelName(r.Channel)
		}
	}
	return d.defaultChannel()
}

// parked reports whether a channel refused us so recently that it isn't tried.
func (d *desk) parked(name string, now time.Time) bool {
	p := d.places[name]
	return p != nil && p.Refused != "" && now.Before(p.Since.Add(d.parkTime(name)))
}

func (d *desk) parkTime(name string) time.Duration {
	if name == d.defaultChannel() {
		return parkDefaultFor
	}
	return parkFor
}

// usable returns the channel, or the default one while it is parked.
func (d *desk) usable(name string, now time.Time) string {
	if d.parked(name, now) {
		return d.defaultChannel()
	}
	return name
}

// park leaves a channel alone for a while. The default channel is told once,
// and takes over what would have been said there: a story is never lost.
func (d *desk) park(ctx context.Context, name, reason string, now time.Time) error {
	p := d.place(name)
	first := p.Refused == ""
	p.Refused, p.Since = reason, now
	if !channelIDForm.MatchString(name) {
		p.ID = "" // another channel may have the name by now
	}
	d.log.Error("channel refuses us", "channel", name, "error", reason, "hint", mend(reason))
	records := []tapio.Record{p.route.record()}
	if first && name != d.defaultChannel() {
		def := d.defaultChannel()
		t := &thread{
			V: ledgerV, ID: "notice-" + nonce(), Kind: kindNotice, Route: def, Channel: def, Root: rootNow, Updated: now,
			Line: fmt.Sprintf("Tapio can't post to %s (%s): %s. Until then its stories are told here.", code(name, budgetName), escape(reason, budgetName), mend(reason)),
		}
		d.threads[t.ID] = t
		d.note(t)
		records = append(records, t.record())
	}
	return d.save(ctx, records...)
}

// revisit asks about channels that refused us and where nothing is to be said:
// else nobody would notice that they were mended. It returns when to look again.
func (d *desk) revisit(calls context.Context, now time.Time) time.Time {
	wake := now.Add(idleWake)
	if d.deaf != nil {
		return wake // its end wakes us
	}
	for name, p := range d.places {
		if p.asked || !slices.Contains([]string{"is_archived", "not_in_channel", "channel_not_found"}, p.Refused) {
			continue // nothing but a message tells whether the others have changed
		}
		at := later(p.Since, p.looks).Add(d.parkTime(name))
		if at.After(now) {
			if at.Before(wake) {
				wake = at
			}
			continue
		}
		p.asked, p.looks = true, now
		d.start(func() result {
			ctx, cancel := context.WithTimeout(calls, callTimeout)
			defer cancel()
			id, err := d.api.takes(ctx, name)
			return result{kind: revisited, name: name, channel: id, err: err}
		})
	}
	return wake
}

// welcome notes that a channel took a message.
func (d *desk) welcome(name, id string) []tapio.Record {
	p := d.place(name)
	if p.Refused == "" && (p.ID != "" || id == "") {
		return nil
	}
	if p.Refused != "" {
		d.log.Info("channel takes messages again", "channel", name)
	}
	p.Refused, p.Since = "", time.Time{}
	if p.ID == "" {
		p.ID = id
	}
	return []tapio.Record{p.route.record()}
}

// mend says what a person can do about a channel that refuses us.
func mend(reason string) string {
	switch {
	case reason == "is_archived":
		return "the channel is archived; bring it back, or name another one in the annotation tapio.dev/channel or in the routes"
	case reason == "channel_not_found":
		return "there is no such channel, or it is private and the app is not in it; correct the annotation tapio.dev/channel or the route, or invite the app there"
	case reason == "not_in_channel":
		return "invite the app to the channel with /invite"
	case strings.HasPrefix(reason, "restricted_action"):
		return "the workspace lets only some people post there; allow the app, or choose another channel"
	}
	return "invite the app to the channel, or choose another one"
}

// move takes a thread to the default channel, where it begins anew.
func (d *desk) move(t *thread) {
	d.log.Warn("story moves to the default channel", "thread", t.ID, "from", t.Channel)
	t.Channel = d.defaultChannel()
	lost := t.Permalink
	t.uproot()
	t.Lost = lost
}

// stays reports whether the thread waits for its channel instead of moving: it
// says something that concerns that channel alone.
func (t *thread) stays() bool {
	return t.Kind == kindAside || t.Kind == kindDirect || t.Status == tapio.StatusAbsorbed && t.Board == ""
}

// uproot forgets the root message, so that a new one is posted.
func (t *thread) uproot() {
	if t.Intent != nil {
		t.unsend()
	}
	t.RootTS, t.ChannelID, t.Permalink, t.Shown = "", "", "", ""
	t.ShownAt = time.Time{}
	t.Replies = 0
	if t.Rolling != nil && t.Rolling.Due {
		t.Rolling.TS = "" // what it was to say is said in the new thread
	} else {
		t.Rolling = nil
	}
	t.Root = rootNow
	if t.Status == tapio.StatusAbsorbed {
		t.Root, t.News, t.Rolling = rootFine, nil, nil // told elsewhere
	}
	if t.Board != "" {
		t.Root = rootFine // the summary tells it
	}
}

// unsend takes back an intent that was not carried out.
func (t *thread) unsend() {
	i := t.Intent
	t.Intent, t.unsure = nil, false
	if i == nil {
		return
	}
	switch i.Do {
	case doPost, doEdit:
		t.Root = rootNow
	case doReply:
		t.News = append(i.News, t.News...)
		t.Flush = true
	case doRoll:
		// Its lines hold the news, and it is still due.
	}
}
