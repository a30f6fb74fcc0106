package bot

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
	"golang.org/x/time/rate"
)

// idleWake is when the desk looks again though nothing is due.
const idleWake = time.Hour

// errand is what a thread has to say next.
type errand struct {
	do   deed
	at   time.Time // not before
	rank int       // among those that are due, least first
}

// next returns what the thread has to say next. It doesn't look at Slack's
// pace.
func (t *thread) next(o *Options, now time.Time) (errand, bool) {
	if i := t.Intent; i != nil {
		return errand{do: i.Do, at: t.wait, rank: rankOf(i.Do, true)}, true
	}
	if t.RootTS == "" {
		if t.Root == rootFine {
			return errand{}, false
		}
		return errand{do: doPost, at: later(t.After, t.wait), rank: rankOf(doPost, true)}, true
	}
	var best errand
	found := false
	offer := func(e errand) {
		e.at = later(e.at, t.wait)
		first := e.at.Before(best.at)
		if !e.at.After(now) && !best.at.After(now) {
			first = e.rank < best.rank // both are due
		}
		if !found || first {
			best, found = e, true
		}
	}
	switch t.Root {
	case rootNow:
		e := errand{do: doEdit, rank: rankOf(doEdit, true)}
		if t.lists() {
			e.at = t.ShownAt.Add(boardEvery) // many stories change at once
		}
		offer(e)
	case rootSoon:
		offer(errand{do: doEdit, at: t.ShownAt.Add(o.EditEvery), rank: rankOf(doEdit, false)})
	}
	if t.rollingDue() {
		offer(errand{do: doRoll, rank: rankOf(doRoll, true)})
	}
	if ripe := t.ripe(now); len(t.News) > 0 {
		do := doReply
		if t.Replies >= rollingAfter && !slices.ContainsFunc(t.News[:ripe], func(f fact) bool { return f.Broadcast || f.Kind == tapio.NewsResolved }) {
			do = doRoll
		}
		switch {
		case ripe == 0:
			first := slices.MinFunc(t.News, func(a, b fact) int { return a.At.Compare(b.At) })
			offer(errand{do: do, at: first.At, rank: rankOf(do, false)})
		case t.Flush:
			offer(errand{do: do, rank: rankOf(do, true)})
		default:
			offer(errand{do: do, at: t.News[0].At.Add(o.BundleFor), rank: rankOf(do, false)})
		}
	}
	return best, found
}

// rankOf puts new incidents before changes of state, those before replies,
// and mere growth last.
func rankOf(do deed, urgent bool) int {
	switch {
	case do == doPost:
		return 0
	case do == doEdit && urgent:
		return 1
	case urgent:
		return 2
	case do == doEdit:
		return 4
	}
	return 3
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// dispatch starts every call that may start now and returns when to look
// again.
func (d *desk) dispatch(ctx, calls context.Context, now time.Time) (wake time.Time, err error) {
	wake = now.Add(idleWake)
	if now.After(d.sweepAt) {
		if err := d.sweep(ctx, now); err != nil {
			return wake, err
		}
	}
	if d.deaf != nil {
		if d.probing {
			return wake, nil
		}
		if !d.probeAt.After(now) {
			d.probing = true
			d.start(func() result { return result{kind: probed, err: d.api.test(calls)} })
			return wake, nil
		}
		return d.probeAt, nil
	}
	for {
		t, e, again := d.pick(now)
		if again.Before(wake) {
			wake = again
		}
		if t == nil {
			return wake, nil
		}
		if err := d.say(ctx, calls, t, e.do, now); err != nil {
			return wake, err
		}
	}
}

// pick returns the most urgent errand that may be run now, or nil and when
// one may be.
func (d *desk) pick(now time.Time) (best *thread, what errand, wake time.Time) {
	wake = now.Add(idleWake)
	held := d.shaky() && d.intents() >= maxIntents
	for _, t := range d.work {
		if t.busy || held && t.Intent == nil {
			continue
		}
		refused := time.Time{}
		if t.Channel != d.defaultChannel() && d.parked(t.Channel, now) {
			if t.stays() {
				refused = d.places[t.Channel].Since.Add(parkFor)
			} else {
				d.move(t)
			}
		}
		e, ok := t.next(&d.opts, now)
		if !ok {
			t.News = nil // of a root message that will never be
			continue
		}
		e.at = later(later(e.at, refused), d.allowed(t, e.do, now))
		if e.at.After(now) {
			if e.at.Before(wake) {
				wake = e.at
			}
			continue
		}
		if best == nil || e.rank < what.rank || e.rank == what.rank && (t.Updated.Before(best.Updated) || t.Updated.Equal(best.Updated) && t.ID < best.ID) {
			best, what = t, e
		}
	}
	return best, what, wake
}

// While Slack doesn't answer, no more calls than these are begun: each would
// have to be looked for afterwards, while what only waits is said as it is then.
const (
	shakyAfter = 3 // unknown outcomes in a row
	maxIntents = 5
)

func (d *desk) shaky() bool { return d.fails >= shakyAfter }

// intents counts the calls that were begun.
func (d *desk) intents() int {
	n := 0
	for _, t := range d.work {
		if t.Intent != nil {
			n++
		}
	}
	return n
}

// allowed returns when Slack's pace lets the thread make the call.
func (d *desk) allowed(t *thread, do deed, now time.Time) time.Time {
	p := d.place(t.Channel)
	at := p.wait
	if p.busy {
		return now.Add(idleWake) // its result wakes us
	}
	if t.Channel == d.defaultChannel() && d.parked(t.Channel, now) {
		at = later(at, p.Since.Add(parkDefaultFor))
	}
	i := intent{Do: do}
	if i.posts(t) {
		at = later(at, later(p.next, later(free(p.posts, now), free(d.posts, now))))
		if t.unsure {
			at = later(at, free(d.looks, now))
		}
	} else {
		at = later(at, later(d.editsAt, free(d.edits, now)))
	}
	return later(at, d.parentAt(t, do, now))
}

// free returns when the limiter will let one call through.
func free(l *rate.Limiter, now time.Time) time.Time {
	have := l.TokensAt(now)
	if have >= 1 {
		return now
	}
	return now.Add(time.Duration((1-have)/float64(l.Limit())*float64(time.Second)).Round(time.Millisecond) + time.Millisecond)
}

// parentAt holds back that a story is part of another one until that one's
// message can be linked, for a while.
func (d *desk) parentAt(t *thread, do deed, now time.Time) time.Time {
	if t.Kind != kindAside && t.Kind != kindDirect && (t.Status != tapio.StatusAbsorbed || do == doPost || t.Board != "") {
		return now
	}
	p := d.threads[t.Parent]
	if p == nil || p.Permalink != "" || p.idle() && p.RootTS == "" {
		return now
	}
	return t.Updated.Add(parentWait)
}

// say records the intent and starts the call.
func (d *desk) say(ctx, calls context.Context, t *thread, do deed, now time.Time) error {
	if t.Intent == nil {
		i := &intent{Do: do, Nonce: nonce(), Revision: t.Revision, At: now}
		switch do {
		case doPost, doEdit:
			t.Root = rootFine
		case doReply:
			i.News = t.take(now)
		case doRoll:
			if t.Rolling == nil {
				t.Rolling = &rolling{}
			}
			t.Rolling.add(t.take(now))
			t.Rolling.Due = true
		}
		t.Intent = i
	}
	m, err := d.render(ctx, t, now)
	if err != nil {
		t.tries++
		t.wait = now.Add(backoff(t.tries))
		d.log.Error("message can't be made", "thread", t.ID, "error", err)
		return nil
	}
	print := m.fingerprint()
	if do == doEdit && print != "" && print == t.Shown && !t.Intent.Plain {
		t.Intent = nil // it looks the same: silence
		d.count.decided.WithLabelValues(string(stepSilence), string(whySame)).Inc()
		d.note(t)
		return d.save(ctx, t.record())
	}
	if err := d.save(ctx, t.record()); err != nil {
		return err
	}
	p := d.place(t.Channel)
	c := call{
		api: d.api, name: t.Channel, channel: p.ID, root: t.RootTS, message: m, print: print,
		posts: t.Intent.posts(t), unsure: t.unsure, plain: t.Intent.Plain, nonce: t.Intent.Nonce, since: t.Intent.At,
		meta: map[string]any{"id": t.ID, "rev": t.Intent.Revision, "nonce": t.Intent.Nonce},
	}
	if t.ChannelID != "" {
		c.channel = t.ChannelID
	}
	switch do {
	case doReply:
		c.broadcast = slices.ContainsFunc(t.Intent.News, func(f fact) bool { return f.Broadcast })
	case doRoll:
		c.edits = t.Rolling.TS
	case doEdit:
		c.edits = t.RootTS
	}
	if do == doPost {
		c.root = ""
	}
	t.busy, p.busy = true, true
	if c.posts {
		p.posts.AllowN(now, 1)
		d.posts.AllowN(now, 1)
		if c.unsure {
			d.looks.AllowN(now, 1)
		}
	} else {
		d.edits.AllowN(now, 1)
	}
	d.start(func() result {
		r := c.run(calls)
		r.thread = t
		return r
	})
	return nil
}

// take takes the news that may be told now.
func (t *thread) take(now time.Time) []fact {
	n := t.ripe(now)
	if n == 0 && len(t.News) > 0 {
		n = len(t.News) // the errand was for what comes first
	}
	out := slices.Clone(t.News[:n])
	t.News, t.Flush = slices.Clone(t.News[n:]), false
	if len(t.News) == 0 {
		t.News = nil
	}
	if slices.ContainsFunc(out, func(f fact) bool { return f.Kind == newsFlap }) {
		t.FlapTold = now
	}
	return out
}

// start runs a call in a goroutine of its own.
func (d *desk) start(f func() result) {
	d.busy++
	go func() { d.results <- f() }()
}

// backoff is the pause after so many tries.
func backoff(tries int) time.Duration {
	return min(grace<<min(tries-1, 10), maxBackoff)
}

// render lays out what the intent of the thread says.
func (d *desk) render(ctx context.Context, t *thread, now time.Time) (message, error) {
	switch t.Intent.Do {
	case doReply:
		return reply(t.Title, d.linked(t, t.Intent.News)), nil
	case doRoll:
		return t.Rolling.message(t.Title), nil
	}
	switch t.Kind {
	case kindNotice:
		return sorry(t.Line), nil
	case kindBacklog:
		return d.renderBacklog(ctx, t)
	case kindDigest:
		return d.renderDigest(ctx, t)
	case kindStorm:
		return d.renderStorm(ctx, t, now)
	case kindAside:
		return d.renderAside(ctx, t)
	case kindDirect:
		if t.Call != nil {
			return d.renderSummons(ctx, t, now)
		}
		return d.renderDirect(ctx, t)
	}
	s, err := d.opts.Stories.Story(ctx, t.ID)
	if err != nil {
		return message{}, fmt.Errorf("read story %s: %w", t.ID, err)
	}
	sc := scene{story: &s, ack: t.Ack, muted: d.silencer(&s, now), reopened: t.Reopened, lost: t.Lost, flaps: t.flaps(t.Reopened)}
	if t.Channel != t.Route {
		sc.meantFor = t.Route
	}
	sc.calls = d.calling(t, now).words(s.Timestamp, t.Intent.Do == doPost)
	if t.Intent.Do == doPost {
		sc.unnamed()
	}
	if s.Status == tapio.StatusAbsorbed {
		sc.parent = d.titled(ctx, s.AbsorbedInto)
		if p, err := d.opts.Stories.Story(ctx, s.AbsorbedInto); err == nil && p.Status == tapio.StatusResolved {
			sc.parentOver = p.Resolved
		}
	}
	if s.Follows != "" {
		sc.follows = d.titled(ctx, s.Follows)
	}
	return sc.root(), nil
}

func (d *desk) renderBacklog(ctx context.Context, t *thread) (message, error) {
	members := slices.Clone(t.Members)
	open := func(id string) bool {
		m := d.threads[id]
		return m == nil || !m.closed()
	}
	slices.SortStableFunc(members, func(a, b string) int { // open ones first
		switch x, y := open(a), open(b); {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	})
	b := board{total: len(members)}
	for _, id := range members {
		if open(id) {
			b.open++
		}
	}
	for _, id := range members[:min(len(members), maxListed)] {
		s, err := d.opts.Stories.Story(ctx, id)
		if err != nil {
			return message{}, fmt.Errorf("read story %s: %w", id, err)
		}
		l := boardLine{story: s}
		if m := d.threads[id]; m != nil && m.Board == "" {
			l.own = titled{title: m.Title, link: m.Permalink}
		}
		b.lines = append(b.lines, l)
	}
	return b.message(), nil
}

// titled names another story and its message.
func (d *desk) titled(ctx context.Context, id string) titled {
	if t := d.threads[id]; t != nil {
		return titled{title: t.Title, link: t.Permalink}
	}
	if s, err := d.opts.Stories.Story(ctx, id); err == nil {
		return titled{title: titleOf(&s)}
	}
	return titled{title: id}
}

// linked gives news about another story words with a link to its message.
func (d *desk) linked(t *thread, news []fact) []fact {
	news = slices.Clone(news)
	for i := range news {
		f := &news[i]
		switch {
		case f.Kind == tapio.NewsAbsorbed:
			p := titled{title: t.Parent}
			if parent := d.threads[t.Parent]; parent != nil {
				p = titled{title: parent.Title, link: parent.Permalink}
			}
			f.Text, f.Linked = "this is part of "+p.mrkdwn()+", where it is told from here on.", true
		case f.Kind == tapio.NewsAbsorbs && d.threads[f.Story] != nil:
			child := d.threads[f.Story]
			f.Text, f.Linked = "this explains "+titled{title: child.Title, link: child.Permalink}.mrkdwn()+" too.", true
		}
	}
	return news
}
