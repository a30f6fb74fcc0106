package bot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
	"golang.org/x/time/rate"
)

// desk owns the threads: one goroutine reads batches, clicks and results of
// calls, writes the ledger, and starts calls. Nothing of it is shared.
type desk struct {
	*Bot
	cursor  cursor
	threads map[string]*thread
	work    map[string]*thread       // those that aren't idle
	places  map[string]*place        // by channel as routed
	boards  map[string]string        // channel → newest thread of kind backlog
	storms  map[string]string        // channel → newest thread of kind storm
	surge   map[string][]time.Time   // channel → when stories began there of late
	posts   *rate.Limiter            // chat.postMessage, for all channels
	mutes   map[string]*mute         // by ID
	digests map[string]*subscription // by channel
	notes   map[string][]tapio.Note  // by story
	alone   map[string]*thread       // those that somebody may be called for
	edits   *rate.Limiter            // chat.update, for all channels
	looks   *rate.Limiter            // searches of history, for all channels
	editsAt time.Time                // no edit before this: Slack said so

	batches chan []tapio.Revision // unbuffered: the next batch is read while this one is decided on
	results chan result           // unbuffered: each call waits until its result is taken

	fails   int       // calls in a row whose outcome is unknown
	deaf    error     // the token is refused, or Slack was never reached
	probeAt time.Time // when to try again
	probing bool
	busy    int // goroutines that will send a result
	sweepAt time.Time
}

func newDesk(b *Bot) *desk {
	return &desk{
		Bot:     b,
		threads: map[string]*thread{},
		work:    map[string]*thread{},
		places:  map[string]*place{},
		boards:  map[string]string{},
		mutes:   map[string]*mute{},
		digests: map[string]*subscription{},
		notes:   map[string][]tapio.Note{},
		alone:   map[string]*thread{},
		storms:  map[string]string{},
		surge:   map[string][]time.Time{},
		posts:   rate.NewLimiter(rate.Every(time.Minute/postsPerMinute), 30),
		edits:   rate.NewLimiter(rate.Every(time.Minute/editsPerMinute+50*time.Millisecond), 2),
		looks:   rate.NewLimiter(rate.Every(time.Minute/editsPerMinute+50*time.Millisecond), 2),
		batches: make(chan []tapio.Revision),
		results: make(chan result),
		deaf:    errNotConnected,
	}
}

// load reads the ledger. Calls that were under way when the last process
// ended have an unknown outcome.
func (d *desk) load(ctx context.Context) error {
	records, err := d.opts.Ledger.Read(ctx, ledgerPrefix)
	if err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	for _, r := range records {
		switch {
		case r.Key == keyCursor:
			c, err := decode(r, func(c *cursor) int { return c.V })
			if err != nil {
				return err
			}
			d.cursor = *c
		case len(r.Key) > len(threadPrefix) && r.Key[:len(threadPrefix)] == threadPrefix:
			t, err := decodeThread(r)
			switch {
			case errors.Is(err, errVersion):
				return err
			case err != nil: // one thread must not silence all others
				d.log.Error("a thread can't be read; its story will be told anew, as if nothing had been said", "error", err)
			default:
				d.keep(t)
			}
		case len(r.Key) > len(routePrefix) && r.Key[:len(routePrefix)] == routePrefix:
			rt, err := decode(r, func(r *route) int { return r.V })
			if err != nil {
				return err
			}
			d.place(rt.Name).route = *rt
		case len(r.Key) > len(mutePrefix) && r.Key[:len(mutePrefix)] == mutePrefix:
			m, err := decode(r, func(m *mute) int { return m.V })
			if err != nil {
				return err
			}
			d.mutes[m.ID] = m
		case len(r.Key) > len(digestPrefix) && r.Key[:len(digestPrefix)] == digestPrefix:
			s, err := decode(r, func(s *subscription) int { return s.V })
			if err != nil {
				return err
			}
			d.digests[s.Channel] = s
		default:
			return fmt.Errorf("ledger entry %s is not known to this Tapio; run the one that wrote it, or a newer one", r.Key)
		}
	}
	for _, t := range d.threads { // a list needs its stories
		d.heed(t, time.Now())
		d.place(t.Channel).next = time.Now().Add(postEvery) // the last process may have posted just now
	}
	d.startDigests(time.Now())
	return d.loadNotes(ctx)
}

// keep takes a thread of the ledger into memory.
func (d *desk) keep(t *thread) {
	d.threads[t.ID] = t
	if t.Kind == kindBacklog {
		if old := d.threads[d.boards[t.Route]]; old == nil || old.Updated.Before(t.Updated) {
			d.boards[t.Route] = t.ID
		}
	}
	if old := d.threads[d.storms[t.Route]]; t.Kind == kindStorm && (old == nil || old.Updated.Before(t.Updated)) {
		d.storms[t.Route] = t.ID
	}
	if t.Kind == kindStory && time.Since(t.Since) < d.opts.StormFor {
		d.surged(t.Route, t.Since)
	}
	if i := t.Intent; i != nil {
		if i.posts(t) {
			t.unsure = true
			t.wait = i.At.Add(grace)
		} else {
			t.unsend()
		}
	}
	d.file(t)
}

// note keeps the books about a thread that changed. It comes before the
// thread's record is made: it may change it.
func (d *desk) note(t *thread) {
	d.heed(t, time.Now())
	d.file(t)
}

// file files the thread under work while it isn't idle.
func (d *desk) file(t *thread) {
	if t.idle() {
		delete(d.work, t.ID)
	} else {
		d.work[t.ID] = t
	}
}

func (d *desk) run(ctx context.Context) error {
	// Calls outlive ctx by stopGrace, so that an ordinary stop leaves no
	// unknown outcome behind.
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		wake, err := d.due(ctx, calls, now)
		if err != nil {
			return d.stop(cancel, err)
		}
		d.report()
		timer.Reset(max(time.Until(wake), 0))
		select {
		case <-ctx.Done():
			return d.stop(cancel, nil)
		case revs := <-d.batches:
			err = d.take(ctx, revs, time.Now())
		case r := <-d.results:
			d.busy--
			err = d.settle(ctx, r, time.Now())
		case q := <-d.requests:
			err = d.serve(ctx, q, time.Now())
		case <-timer.C:
		}
		if err != nil {
			return d.stop(cancel, err)
		}
	}
}

// due does what the time asks for and returns when to look again.
func (d *desk) due(ctx, calls context.Context, now time.Time) (time.Time, error) {
	var times []time.Time
	for _, look := range []func() (time.Time, error){
		func() (time.Time, error) { return d.endMutes(ctx, now) },
		func() (time.Time, error) { return d.digest(ctx, now) },
		func() (time.Time, error) { return d.escalate(ctx, now) },
		func() (time.Time, error) { return d.revisit(calls, now), nil },
		func() (time.Time, error) { return d.dispatch(ctx, calls, now) },
	} {
		at, err := look()
		if err != nil {
			return now, err
		}
		times = append(times, at)
	}
	return slices.MinFunc(times, time.Time.Compare), nil
}

// stop waits a little for calls under way and records their results.
func (d *desk) stop(cancel context.CancelFunc, cause error) error {
	d.setReady(errors.New("the bot stopped"))
	deadline := time.NewTimer(stopGrace)
	defer deadline.Stop()
	ctx, done := context.WithTimeout(context.Background(), 2*stopGrace)
	defer done()
	for d.busy > 0 {
		select {
		case r := <-d.results:
			d.busy--
			if cause == nil {
				cause = d.settle(ctx, r, time.Now())
			}
		case <-deadline.C:
			cancel() // what is left will be looked for at the next start
		}
	}
	return cause
}

// save writes to the ledger. Nothing is said that isn't written: it tries
// until the write succeeds or ctx ends.
func (d *desk) save(ctx context.Context, records ...tapio.Record) error {
	wait := 100 * time.Millisecond
	for {
		err := d.opts.Ledger.Write(ctx, records...)
		if err == nil {
			return nil
		}
		err = fmt.Errorf("write ledger: %w", err)
		if ctx.Err() != nil {
			return err
		}
		d.log.Error("ledger can't be written; nothing is said until it can", "error", err)
		d.setReady(err)
		sleep(ctx, wait)
		wait = min(2*wait, maxBackoff)
	}
}

// take decides on a batch of revisions. The cursor and all that the batch led
// to are one write.
func (d *desk) take(ctx context.Context, revs []tapio.Revision, now time.Time) error {
	changed := map[string]*thread{}
	for i := range revs {
		rev := &revs[i]
		if rev.Seq <= d.cursor.Seq {
			continue
		}
		d.cursor = cursor{V: ledgerV, Seq: rev.Seq}
		s := &rev.Story
		dec := decide(d.threads[s.ID], s, d.room(d.threads[s.ID], s, now))
		for _, a := range dec.outcomes() {
			d.count.decided.WithLabelValues(string(a.step), string(a.why)).Inc()
			d.log.Debug("decided", "story", s.ID, "revision", s.Revision, "step", string(a.step), "why", string(a.why))
		}
		for _, t := range d.apply(dec, s, now) {
			changed[t.ID] = t
		}
	}
	records := []tapio.Record{record(keyCursor, d.cursor)}
	for _, id := range slices.Sorted(maps.Keys(changed)) {
		d.note(changed[id])
		records = append(records, changed[id].record())
	}
	return d.save(ctx, records...)
}

// apply carries a decision over to the threads and returns those it changed.
func (d *desk) apply(dec decision, s *tapio.Story, now time.Time) []*thread {
	t := d.threads[s.ID]
	if dec.step == stepSilence {
		return nil
	}
	if t == nil {
		channel := d.channelOf(s)
		t = &thread{V: ledgerV, ID: s.ID, Kind: kindStory, Route: channel, Channel: d.usable(channel, now), Where: s.Subject.Namespace, Since: now}
		d.threads[t.ID] = t
		if dec.step == stepPost || dec.step == stepStorm {
			d.surged(channel, now)
		}
	}
	changed := []*thread{t}
	if s.Status == tapio.StatusOpen && t.Status == tapio.StatusResolved {
		t.Reopened = s.Updated
		t.cameBack(s.Updated)
		t.Worst = ""
	}
	if t.Worst == "" || s.Severity.Level() < t.Worst.Level() {
		t.Worst = s.Severity
	}
	ended := t.Status != s.Status
	if dec.direct {
		changed = append(changed, d.direct(t, s, t.Ack, dec.why, now)...)
	}
	t.Revision, t.Status, t.Severity, t.Updated = s.Revision, s.Status, s.Severity, s.Updated
	t.Title, t.Follows, t.Parent, t.Team = titleOf(s), s.Follows, s.AbsorbedInto, s.Owner.Team
	if dec.clear {
		t.Ack = nil
	}
	t.Muted = d.silencer(s, now) != nil
	switch dec.step {
	case stepDrop, stepHold:
		t.Root, t.News = rootFine, nil
		return append(changed, d.asides(t, s, ended, now)...)
	case stepBacklog:
		board := d.board(t, now)
		t.Board = board.ID
		return append(changed, board)
	case stepStorm:
		return append(changed, d.storm(t, now)...)
	case stepPost:
		t.Hushed = false
		if b := d.threads[t.Board]; b != nil {
			t.Board = ""
			b.Root = rootNow
			changed = append(changed, b)
		}
		t.Root = rootNow
	case stepEditNow:
		t.Root = rootNow
	case stepEdit:
		if t.Root == rootFine {
			t.Root = rootSoon
		}
	}
	if b := d.threads[t.Board]; b != nil {
		t.Root = rootFine // the summary tells it
		if b.Root == rootFine {
			b.Root = rootSoon
		}
		if ended {
			b.Root = rootNow
		}
		return append(append(changed, b), d.asides(t, s, ended, now)...)
	}
	var facts []fact
	for _, n := range dec.news {
		f := newFact(s, n, now)
		f.Broadcast = dec.loud && (n.Kind == tapio.NewsSeverity || n.Kind == tapio.NewsReopened) ||
			n.Kind == tapio.NewsResolved && slices.ContainsFunc(d.opts.TellResolved, func(c string) bool { return channelName(c) == t.Route })
		facts = append(facts, f)
	}
	if dec.fold {
		t.fold(s, facts, now)
	} else {
		for _, f := range facts {
			t.hear(f)
		}
	}
	if s.Status == tapio.StatusAbsorbed && !t.ToldPart && !t.Muted {
		t.ToldPart = true
		t.hear(fact{Kind: tapio.NewsAbsorbed, Time: s.Updated, At: now})
	}
	t.Flush = t.Flush || dec.flush
	return append(changed, d.asides(t, s, ended, now)...)
}

// board returns the summary that takes up a failure which was already there.
func (d *desk) board(t *thread, now time.Time) *thread {
	b := d.threads[d.boards[t.Route]]
	if b == nil || now.Sub(b.Updated) > backlogOpen {
		b = &thread{
			V: ledgerV, ID: "backlog-" + t.ID, Kind: kindBacklog, Route: t.Route, Channel: t.Channel,
			Updated: now, After: now.Add(d.opts.BundleFor), Title: "Failures that were already there",
		}
		d.threads[b.ID] = b
		d.boards[t.Route] = b.ID
	}
	b.Members = append(b.Members, t.ID)
	b.Root = rootNow
	if b.RootTS != "" {
		b.Root = rootSoon
	}
	return b
}

// sweep forgets threads that ended long ago.
func (d *desk) sweep(ctx context.Context, now time.Time) error {
	d.sweepAt = now.Add(24 * time.Hour)
	var gone []tapio.Record
	for id, t := range d.threads {
		if !t.idle() || now.Sub(t.Updated) < keepThreads || (t.Kind == kindStory || t.Kind == kindAside) && !t.closed() {
			continue
		}
		delete(d.threads, id)
		delete(d.alone, id)
		gone = append(gone, tapio.Record{Key: threadPrefix + id})
	}
	for id, notes := range d.notes {
		if d.threads[id] == nil && now.Sub(notes[len(notes)-1].Time) >= keepThreads {
			delete(d.notes, id)
			gone = append(gone, tapio.Record{Key: tapio.NotesKey(id)})
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return d.save(ctx, gone...)
}

// report brings the gauges up to date.
func (d *desk) report() {
	n := 0
	for _, t := range d.work {
		if t.Intent != nil {
			n++
		}
		if t.Root != rootFine {
			n++
		}
		if len(t.News) > 0 {
			n++
		}
	}
	d.depth.Store(int64(n))
	d.count.depth.Set(float64(n))
	parked := 0
	for _, p := range d.places {
		if p.route.Refused != "" {
			parked++
		}
	}
	d.count.parked.Set(float64(parked))
	switch def := d.places[channelName(d.opts.DefaultChannel)]; {
	case d.deaf != nil:
		d.setReady(d.deaf)
	case d.shaky():
		d.setReady(fmt.Errorf("slack at %s doesn't answer: %d calls in a row; what is to be said waits", d.opts.APIURL, d.fails))
	case def != nil && def.route.Refused != "":
		d.setReady(fmt.Errorf("slack refuses the default channel %s (%s): %s", d.opts.DefaultChannel, def.route.Refused, mend(def.route.Refused)))
	default:
		d.setReady(nil)
	}
}

// nonce is unlike any other one.
func nonce() string { return rand.Text()[:16] }
