package bot

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
)

// A storm is more new stories in a channel than anybody can read: more than
// Options.StormAfter within Options.StormFor, or so many that wait for their
// first message because Slack can't be reached. They are told as one root
// message that lists them and stays true; a story of the list gets a message
// of its own when the storm is over and it gets worse or comes back.
const (
	stormGather  = 2 * time.Second  // before the list is posted, so that what comes at once is in it
	boardEvery   = 10 * time.Second // least time between two edits of a list whose stories change state
	maxMembers   = 500              // stories of one list; more begin another one
	stormListed  = 40               // stories of which a list shows a line
	stormGrouped = 6                // namespaces that it names for the others
)

// storyLate marks a list of stories that waited for Slack.
const storyLate = "late"

// room is what decide needs to know about where the story is told.
func (d *desk) room(t *thread, s *tapio.Story, now time.Time) room {
	channel := ""
	if t != nil {
		channel = t.Route
	} else {
		channel = d.channelOf(s)
	}
	return room{now: now, storm: d.storming(channel, now), muted: d.silencer(s, now) != nil}
}

// storming reports whether one more story would be one too many. A storm that
// is on ends when half as many come.
func (d *desk) storming(channel string, now time.Time) bool {
	if d.opts.StormAfter < 0 {
		return false
	}
	recent := slices.DeleteFunc(d.surge[channel], func(at time.Time) bool { return now.Sub(at) >= d.opts.StormFor })
	d.surge[channel] = recent
	if b := d.threads[d.storms[channel]]; b != nil {
		if b.RootTS == "" && b.Intent == nil {
			return true // the list itself waits
		}
		if now.Sub(b.Updated) < d.opts.StormFor {
			return len(recent)+1 > d.opts.StormAfter/2
		}
	}
	if len(recent)+1 > d.opts.StormAfter {
		return true
	}
	waiting := 0
	for _, t := range d.work {
		if t.Route == channel && t.unposted() {
			waiting++
		}
	}
	return waiting >= d.opts.StormAfter
}

// unposted reports whether the thread is that of a story whose first message
// waits for its turn.
func (t *thread) unposted() bool {
	return t.Kind == kindStory && t.Board == "" && t.RootTS == "" && t.Intent == nil && t.Root != rootFine
}

// storm puts a story on the list of the storm in its channel, and returns what
// changed. A new list takes up the stories that began just before.
func (d *desk) storm(t *thread, now time.Time) []*thread {
	b := d.threads[d.storms[t.Route]]
	changed := []*thread{}
	waits := b != nil && b.RootTS == "" && b.Intent == nil
	if b == nil || !waits && now.Sub(b.Updated) >= d.opts.StormFor || len(b.Members) >= maxMembers {
		b = &thread{
			V: ledgerV, ID: "storm-" + t.ID, Kind: kindStorm, Route: t.Route, Channel: t.Channel,
			Since: now, After: now.Add(stormGather), Title: "Many stories at once",
		}
		d.threads[b.ID] = b
		d.storms[t.Route] = b.ID
		for _, id := range slices.Sorted(maps.Keys(d.threads)) {
			x := d.threads[id]
			if x == t || x.Kind != kindStory || x.Route != t.Route || x.Board != "" {
				continue
			}
			switch {
			case x.unposted():
				x.Board, x.Root, x.News = b.ID, rootFine, nil
				d.note(x)
				changed = append(changed, x)
			case x.RootTS == "" && x.Intent == nil, now.Sub(x.Since) >= d.opts.StormFor:
				continue
			}
			b.Members = append(b.Members, x.ID)
			if x.Since.Before(b.Since) {
				b.Since = x.Since
			}
		}
		if len(d.surge[t.Route]) <= d.opts.StormAfter {
			b.Line = storyLate
		}
		d.log.Warn("too many stories begin at once; one message lists them", "channel", t.Route, "stories", len(b.Members)+1)
	}
	t.Board, t.Root = b.ID, rootFine
	b.Members = append(b.Members, t.ID)
	b.Updated = now
	b.Root = rootNow
	if b.RootTS != "" {
		b.Root = rootSoon
	}
	return append(changed, b)
}

// raging reports whether a story of a storm's list is open.
func (d *desk) raging(t *thread) bool {
	return slices.ContainsFunc(t.Members, func(id string) bool { m := d.threads[id]; return m != nil && !m.closed() })
}

// surged counts a new story of a channel.
func (d *desk) surged(channel string, now time.Time) {
	d.surge[channel] = append(d.surge[channel], now)
}

// renderStorm lays out the list of a storm: what is open first, the worst and
// newest of it on top.
func (d *desk) renderStorm(ctx context.Context, t *thread, now time.Time) (message, error) {
	members := make([]*thread, 0, len(t.Members))
	for _, id := range t.Members {
		if m := d.threads[id]; m != nil {
			members = append(members, m)
		}
	}
	slices.SortStableFunc(members, func(a, b *thread) int {
		rank := func(m *thread) int {
			if m.closed() {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Severity.Level(), b.Severity.Level()), b.Since.Compare(a.Since), cmp.Compare(a.ID, b.ID))
	})
	b := board{storm: true, late: t.Line == storyLate, since: t.Since, total: len(members)}
	b.id, b.ack = t.ID, t.Ack
	b.calls = d.calling(t, now).words(t.Since, t.Intent.Do == doPost)
	if t.Intent.Do == doPost && t.Ack != nil {
		b.ack = &ack{Name: t.Ack.Name, At: t.Ack.At} // a new message would ping them
	}
	others := map[string]int{}
	for i, m := range members {
		if !m.closed() {
			b.open++
		}
		if i >= stormListed {
			others[m.Where]++
			continue
		}
		s, err := d.opts.Stories.Story(ctx, m.ID)
		if err != nil {
			return message{}, fmt.Errorf("read story %s: %w", m.ID, err)
		}
		l := boardLine{story: s}
		if m.Board == "" {
			l.own = titled{title: m.Title, link: m.Permalink}
		}
		if s.Status == tapio.StatusAbsorbed {
			l.parent = d.titled(ctx, s.AbsorbedInto)
		}
		b.lines = append(b.lines, l)
	}
	for _, ns := range slices.SortedFunc(maps.Keys(others), func(x, y string) int { return cmp.Or(cmp.Compare(others[y], others[x]), cmp.Compare(x, y)) }) {
		b.others = append(b.others, group{name: ns, stories: others[ns]})
	}
	return b.message(), nil
}
