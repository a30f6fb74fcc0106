package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// maxAsides is how many channels get a line about one story.
const maxAsides = 20

// asides brings the lines about a story up to date that stand in the channels
// of the teams which it hurts, and makes those that are missing. The story
// itself is told to the owner of the cause. It returns what changed.
func (d *desk) asides(t *thread, s *tapio.Story, ended bool, now time.Time) []*thread {
	var changed []*thread
	for _, id := range s.Absorbed { // their messages say how this story stands
		if child := d.threads[id]; child != nil && ended && child.RootTS != "" && child.Status == tapio.StatusAbsorbed {
			child.Root = rootNow
			changed = append(changed, child)
		}
	}
	for _, channel := range d.touched(t, s) {
		id := "aside-" + s.ID + "-" + strings.TrimPrefix(channel, "#")
		a := d.threads[id]
		switch {
		case a == nil:
			if s.Status != tapio.StatusOpen || t.Board != "" || t.Muted || d.toldIn(channel, s) {
				continue
			}
			a = &thread{V: ledgerV, ID: id, Kind: kindAside, Route: channel, Channel: d.usable(channel, now), Parent: s.ID, Since: now, Root: rootNow}
			d.threads[id] = a
		case a.RootTS == "" && a.Intent == nil:
			if a.Root = rootNow; s.Status != tapio.StatusOpen {
				a.Root = rootFine // it is over before it was told
			}
		case ended:
			a.Root = rootNow
		case a.Root == rootFine:
			a.Root = rootSoon
		}
		a.Status, a.Title, a.Updated = s.Status, t.Title, now
		d.note(a)
		changed = append(changed, a)
	}
	return changed
}

// restate has what leads to a story say how it stands: the lines in the
// channels of other teams, and the messages of stories that are part of it. It
// returns their records.
func (d *desk) restate(story string) []tapio.Record {
	var out []tapio.Record
	for _, t := range d.threads {
		leads := t.Kind == kindAside || t.Kind == kindStory && t.Status == tapio.StatusAbsorbed
		if leads && t.Parent == story && t.Root == rootFine && t.RootTS != "" {
			t.Root = rootNow
			d.note(t)
			out = append(out, t.record())
		}
	}
	return out
}

// touched lists the channels that get a line about the story.
func (d *desk) touched(t *thread, s *tapio.Story) []string {
	var out []string
	offer := func(channel string) {
		if channel != "" && channel != t.Route && channel != d.defaultChannel() && !slices.Contains(out, channel) && len(out) < maxAsides {
			out = append(out, channel)
		}
	}
	if s.Owner.Channel != "" {
		offer(channelName(s.Owner.Channel)) // the cause is another team's than was thought at first
	}
	for i := range s.Touches {
		offer(d.channelFor(s.Touches[i].Owner.Channel, s.Touches[i].Namespace, s.ID))
	}
	return out
}

// toldIn reports whether a message in the channel already leads to the story:
// that of a story which is now part of it.
func (d *desk) toldIn(channel string, s *tapio.Story) bool {
	for _, id := range s.Absorbed {
		if child := d.threads[id]; child != nil && child.Route == channel && (child.RootTS != "" || child.Intent != nil) {
			return true
		}
	}
	return false
}

// renderAside lays out the line about a story in the channel of a team that it
// hurts.
func (d *desk) renderAside(ctx context.Context, t *thread) (message, error) {
	s, err := d.opts.Stories.Story(ctx, t.Parent)
	if err != nil {
		return message{}, fmt.Errorf("read story %s: %w", t.Parent, err)
	}
	l := aside{story: &s, root: d.titled(ctx, s.ID)}
	if p := d.threads[s.ID]; p != nil {
		l.told, l.ack = p.Channel, p.Ack
	}
	if s.Status == tapio.StatusAbsorbed {
		l.parent = d.titled(ctx, s.AbsorbedInto)
	}
	for i := range s.Touches {
		if d.channelFor(s.Touches[i].Owner.Channel, s.Touches[i].Namespace, s.ID) == t.Route {
			l.hurt = append(l.hurt, s.Touches[i].Affected...)
		}
	}
	return l.message(), nil
}

// direct makes the direct message to the person who took care of a story that
// came back or got worse. A reply in a thread may not be seen by anybody.
func (d *desk) direct(t *thread, s *tapio.Story, to *ack, why reason, now time.Time) []*thread {
	if to == nil || !userID.MatchString(to.User) {
		return nil
	}
	dm := &thread{
		V: ledgerV, ID: fmt.Sprintf("direct-%s-%d", s.ID, s.Revision), Kind: kindDirect, Route: to.User, Channel: to.User,
		Parent: s.ID, Root: rootNow, Since: now, Updated: now, Title: t.Title,
		Line: string(why) + ". You had taken care of it.",
	}
	d.threads[dm.ID] = dm
	d.note(dm)
	return []*thread{dm}
}

// renderDirect lays out a direct message about a story.
func (d *desk) renderDirect(ctx context.Context, t *thread) (message, error) {
	s, err := d.opts.Stories.Story(ctx, t.Parent)
	if err != nil {
		return message{}, fmt.Errorf("read story %s: %w", t.Parent, err)
	}
	return directMessage(&s, d.titled(ctx, s.ID), t.Line), nil
}
