package bot

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// Call says when the people of the rotations are called, each by a direct
// message, because nobody acknowledges a story.
type Call struct {
	// Severity is the mildest that somebody is called for: 2 is SEV1 and SEV2.
	// 0 calls nobody.
	Severity int
	After    time.Duration // how long a message stands unacknowledged before the first is called
	Every    time.Duration // how long each has before the next is called
	Rounds   int           // how often each is called at most
}

// duty is the part that somebody has in a rotation.
type duty string

const (
	dutyPrimary   duty = "primary"
	dutySecondary duty = "secondary"
	dutyBackup    duty = "backup" // one of Rotation.Then
)

// called is one call of a person. Before the direct message is out it is an
// intent, in the thread of that message; afterwards it is part of what was said
// of the story.
type called struct {
	User   string    `json:"user"` // Slack ID
	Duty   duty      `json:"duty"`
	Team   string    `json:"team,omitempty"`
	At     time.Time `json:"at,omitzero"`
	Passed bool      `json:"passed,omitempty"` // they said that they can't take it
	Failed string    `json:"failed,omitempty"` // Slack's error name, where they can't be sent a message
}

// maxBefore is how many earlier calls a direct message names.
const maxBefore = 4

// The facts about calls.
const (
	newsCall tapio.NewsKind = "called"
	newsPass tapio.NewsKind = "passed"
)

const callPrefix = "call-"

// callID names the direct message of the thread's newest call.
func (t *thread) callID() string { return fmt.Sprintf("%s%s-%d", callPrefix, t.ID, t.Called) }

// people lists whom the rotation calls, in order, each once.
func (r *Rotation) people(now time.Time) []called {
	first, second, _ := r.at(now)
	out := []called{{User: first, Duty: dutyPrimary, Team: r.Team}}
	add := func(user string, part duty) {
		if !slices.ContainsFunc(out, func(c called) bool { return c.User == user }) {
			out = append(out, called{User: user, Duty: part, Team: r.Team})
		}
	}
	add(second, dutySecondary)
	for _, user := range r.Then {
		add(user, dutyBackup)
	}
	return out
}

// worst returns what decides whether somebody is called about a thread: the
// severity and team of its story, or of the worst of a storm's list that is
// open and that nobody silenced.
func (d *desk) worst(t *thread) (severity tapio.Severity, team string, ok bool) {
	if t.Kind == kindStory {
		return t.Severity, t.Team, t.Status == tapio.StatusOpen && t.Board == "" && !t.Muted
	}
	var worst *thread
	for _, id := range t.Members {
		m := d.threads[id]
		if m == nil || m.closed() || m.Muted || m.Board != t.ID {
			continue
		}
		if worst == nil || m.Severity.Level() < worst.Severity.Level() {
			worst = m
		}
	}
	if worst == nil {
		return "", "", false
	}
	return worst.Severity, worst.Team, true
}

// needy reports whether the thread's story is bad enough to call somebody, and
// nobody takes care of it.
func (d *desk) needy(t *thread) bool {
	if d.opts.Call.Severity == 0 || t.Kind != kindStory && t.Kind != kindStorm || t.RootTS == "" || t.Ack != nil {
		return false
	}
	severity, team, ok := d.worst(t)
	return ok && severity.Level() <= d.opts.Call.Severity && d.rotation(team) != nil
}

// heed keeps the time since which nobody takes care of a thread's story. One
// that comes and goes keeps it while it is gone: else nobody would ever be
// called for it.
func (d *desk) heed(t *thread, now time.Time) {
	switch {
	case d.needy(t):
		if t.Alone.IsZero() {
			t.Alone = now // calls begin anew, but for those who were called just now
			t.Calls = slices.DeleteFunc(t.Calls, func(c called) bool {
				return c.Passed || c.Failed != "" || now.Sub(c.At) >= d.opts.Call.Every
			})
		}
		d.alone[t.ID] = t
		return
	case t.Calling:
		d.alone[t.ID] = t // to take the call back
	default:
		delete(d.alone, t.ID)
	}
	if t.Ack != nil || t.Status != tapio.StatusResolved || !t.flapping(now) {
		t.Alone = time.Time{}
	}
}

// nextCall returns who is called next about a thread, and when; false where
// nobody is left.
func (d *desk) nextCall(t *thread, now time.Time) (called, time.Time, bool) {
	_, team, _ := d.worst(t)
	r := d.rotation(team)
	if r == nil {
		return called{}, time.Time{}, false
	}
	at := t.Alone.Add(d.opts.Call.After)
	if len(t.Calls) > 0 {
		at = t.Calls[0].At
	}
	times := map[string]int{}
	for _, c := range t.Calls {
		times[c.User]++
		if c.Passed || c.Failed != "" { // they need no time
			times[c.User] = d.opts.Call.Rounds
			at = later(at, c.At)
		} else {
			at = later(at, c.At.Add(d.opts.Call.Every))
		}
	}
	people := r.people(now)
	next := slices.MinFunc(people, func(a, b called) int { return cmp.Compare(times[a.User], times[b.User]) })
	return next, at, times[next.User] < d.opts.Call.Rounds
}

// escalate calls whoever is to be called by now, takes back calls that are no
// longer needed and not out yet, and returns when to look again. A call is an
// entry of the outbox like any other message: it is written before it is said.
func (d *desk) escalate(ctx context.Context, now time.Time) (time.Time, error) {
	wake := now.Add(idleWake)
	for _, id := range slices.Sorted(maps.Keys(d.alone)) {
		t := d.alone[id]
		dm := d.threads[t.callID()]
		switch {
		case t.Calling && dm == nil:
			t.Calling = false // given up, or lost with its entry
		case t.Calling:
			if d.needy(t) || dm.busy {
				continue // its result wakes us
			}
			if dm.unsure { // they may have been called all the same
				c := *dm.Call
				c.At = dm.Intent.At
				t.Calls = append(t.Calls, c)
			}
			delete(d.threads, dm.ID)
			delete(d.work, dm.ID)
			t.Calling = false
			d.note(t)
			if err := d.save(ctx, tapio.Record{Key: threadPrefix + dm.ID}, t.record()); err != nil {
				return wake, err
			}
			continue
		}
		next, at, ok := d.nextCall(t, now)
		if !ok {
			continue
		}
		if at.After(now) {
			if at.Before(wake) {
				wake = at
			}
			continue
		}
		t.Called++
		t.Calling = true
		dm = &thread{
			V: ledgerV, ID: t.callID(), Kind: kindDirect, Route: next.User, Channel: next.User,
			Parent: t.ID, Root: rootNow, Since: now, Updated: now, Title: t.Title, Call: &next,
		}
		d.threads[dm.ID] = dm
		d.note(dm)
		d.log.Info("somebody on call is called", "thread", t.ID, "user", next.User, "duty", string(next.Duty), "why", "nobody acknowledged it", "since", t.Alone)
		if err := d.save(ctx, dm.record(), t.record()); err != nil {
			return wake, err
		}
	}
	return wake, nil
}

// calledNow notes that the direct message of a call is out, or can't be sent,
// and says so in the thread. It returns what changed.
func (d *desk) calledNow(dm *thread, failed string, now time.Time) []tapio.Record {
	t := d.threads[dm.Parent]
	if dm.Call == nil || t == nil {
		return nil
	}
	c := *dm.Call
	c.At, c.Failed = now, failed
	t.Calls, t.Calling = append(t.Calls, c), false
	d.count.calls.WithLabelValues(string(c.Duty), cmp.Or(failed, "sent")).Inc()
	text := "the " + c.whose() + ", because " + d.lonely(t, now) + "."
	f := fact{Kind: newsCall, Time: now, At: now}
	if failed != "" {
		f.Linked = true // the mention is what reaches them
		text = fmt.Sprintf("%s, the %s, because %s. Slack takes no direct message for them (%s).", mentionOf(c.User), escape(c.whose(), budgetName), d.lonely(t, now), escape(failed, budgetName))
	}
	f.Text = text
	d.proclaim(t, f)
	records := []tapio.Record{t.record()}
	if t.Kind == kindStory {
		_, noted := d.annotate(t.ID, &ack{User: c.User}, tapio.NoteCall, "the "+c.whose(), now)
		records = append(records, noted)
	}
	return records
}

// whose says who was called, without a name: a name would be a mention, and the
// direct message has called already.
func (c *called) whose() string {
	if c.Team == "" {
		return string(c.Duty) + " on call"
	}
	return string(c.Duty) + " on call for " + c.Team
}

// lonely says for how long nobody took care.
func (d *desk) lonely(t *thread, now time.Time) string {
	return "nobody acknowledged this for " + duration(max(now.Sub(t.Alone), 0))
}

// passStory has the next person called at once, because this one can't take it.
func passStory(story string, by ack) act {
	return func(ctx context.Context, d *desk, now time.Time) (string, error) {
		t := d.threads[story]
		if t == nil || t.Kind != kindStory && t.Kind != kindStorm {
			return "Tapio doesn't remember this story any more.", nil
		}
		if t.Ack != nil && t.Ack.User == by.User {
			calls := t.Calls
			t.Ack = nil
			d.heed(t, now)
			t.Calls = calls // who was called just now isn't called again for it
		}
		switch {
		case t.Ack != nil:
			return t.Ack.name() + " takes care of it already.", nil
		case !d.needy(t):
			return "It needs nobody any more.", nil
		}
		by.At = now
		told := false
		for i := range t.Calls {
			if c := &t.Calls[i]; c.User == by.User {
				if told = c.Passed; told {
					break
				}
				c.Passed, c.At = true, now
			}
		}
		if told {
			return "You said so already.", nil
		}
		if !slices.ContainsFunc(t.Calls, func(c called) bool { return c.User == by.User }) {
			t.Calls = append(t.Calls, called{User: by.User, Passed: true, At: now})
		}
		next, at, more := d.nextCall(t, now)
		text := by.plainName() + " can't take it."
		if !more {
			text += " Nobody else is left to call."
		}
		d.proclaim(t, fact{Kind: newsPass, Time: now, At: now, Text: text})
		records := append(d.restate(t.ID), t.record())
		if t.Kind == kindStory {
			_, noted := d.annotate(t.ID, &by, tapio.NotePass, "", now)
			records = append(records, noted)
		}
		if !more {
			return ":telephone_receiver: Understood. Nobody else is left to call; the thread says so to everybody.", d.save(ctx, records...)
		}
		if at.After(now) {
			return fmt.Sprintf(":telephone_receiver: Understood. %s, the %s, is called %s, unless somebody acknowledges before.", mentionOf(next.User), escape(next.whose(), budgetName), moment(at, now)), d.save(ctx, records...)
		}
		return fmt.Sprintf(":telephone_receiver: Understood. %s, the %s, is called now.", mentionOf(next.User), escape(next.whose(), budgetName)), d.save(ctx, records...)
	}
}

// calling is what a message shows of calls.
type calling struct {
	last *called // who was called last, nil where nobody was
	next *called // who is called next, nil where nobody is left
	at   time.Time
}

// calling returns what the root message of a thread shows of calls. Before the
// message is out it says when somebody would be called.
func (d *desk) calling(t *thread, now time.Time) *calling {
	out := &calling{}
	alone := t.Alone
	if t.RootTS == "" { // the first message: Alone begins with it
		x := *t
		x.RootTS, x.Alone, x.Calls = "0", now, nil
		t, alone = &x, now
	}
	if alone.IsZero() || !d.needy(t) {
		return nil
	}
	if n := len(t.Calls); n > 0 && t.Calls[n-1].Duty != "" {
		out.last = &t.Calls[n-1]
	}
	if next, at, ok := d.nextCall(t, now); ok {
		out.next, out.at = &next, at
	}
	return out
}

// words are for a context line. Where unnamed, people are called by their duty:
// a new message would ping them.
func (c *calling) words(near time.Time, unnamed bool) string {
	if c == nil {
		return ""
	}
	who := func(p *called) string {
		if unnamed {
			return "the " + escape(p.whose(), budgetName)
		}
		return mentionOf(p.User)
	}
	var out []string
	if c.last != nil {
		out = append(out, fmt.Sprintf(":telephone_receiver: called %s %s", who(c.last), moment(c.last.At, near)))
	}
	switch {
	case c.next != nil && c.last != nil:
		out = append(out, fmt.Sprintf("then %s %s", who(c.next), moment(c.at, near)))
	case c.next != nil:
		out = append(out, fmt.Sprintf(":telephone_receiver: calls %s %s", who(c.next), moment(c.at, near)))
	case c.last != nil:
		out = append(out, "nobody else is left to call")
	}
	return strings.Join(out, " · ")
}

// summons is the direct message to somebody who is called.
type summons struct {
	call    called
	root    titled
	story   *tapio.Story // nil for a storm
	storm   string       // what a storm's list says, escaped
	thread  string       // ID for the buttons
	lonely  string       // for how long nobody took care
	before  []called     // who was called before
	calling *calling     // after this one
	over    bool         // nobody needs to do anything any more
	near    time.Time
}

func (d *desk) renderSummons(ctx context.Context, dm *thread, now time.Time) (message, error) {
	t := d.threads[dm.Parent]
	if t == nil {
		return message{}, fmt.Errorf("story %s isn't known any more", dm.Parent)
	}
	s := summons{call: *dm.Call, root: d.titled(ctx, t.ID), thread: t.ID, lonely: d.lonely(t, now), before: t.Calls, over: !d.needy(t), near: now}
	x := *t // as if it were out
	c := *dm.Call
	c.At = now
	x.Calls = append(slices.Clone(t.Calls), c)
	s.calling = d.calling(&x, now)
	if t.Kind == kindStorm {
		open := 0
		for _, id := range t.Members {
			if m := d.threads[id]; m != nil && !m.closed() {
				open++
			}
		}
		severity, _, _ := d.worst(t)
		s.root.title = fmt.Sprintf("%d stories began almost at once", len(t.Members))
		s.storm = fmt.Sprintf("%d still open, the worst of them SEV%d.", open, severity.Level())
		return s.message(), nil
	}
	story, err := d.opts.Stories.Story(ctx, t.ID)
	if err != nil {
		return message{}, fmt.Errorf("read story %s: %w", t.ID, err)
	}
	s.story = &story
	return s.message(), nil
}

func (s *summons) message() message {
	head, at := ":telephone_receiver: ", ""
	if s.story != nil {
		head += "*" + s.story.SeverityName() + " · " + strings.ReplaceAll(s.root.mrkdwn(), "*", "∗") + "*"
		at = locality(s.story)
	} else {
		head += "*" + strings.ReplaceAll(s.root.mrkdwn(), "*", "∗") + "*"
	}
	why := fmt.Sprintf("You are *%s*: %s.", escape(s.call.whose(), budgetName), s.lonely)
	for _, c := range s.before[max(len(s.before)-maxBefore, 0):] {
		switch {
		case c.User == s.call.User:
			why += fmt.Sprintf(" You were called %s.", moment(c.At, s.near))
		case c.Passed:
			why += fmt.Sprintf(" %s can't take it.", mentionOf(c.User))
		case c.Failed != "":
			why += fmt.Sprintf(" %s could not be reached by direct message.", mentionOf(c.User))
		default:
			why += fmt.Sprintf(" %s was called %s.", mentionOf(c.User), moment(c.At, s.near))
		}
	}
	m := message{Text: fmt.Sprintf("%s%s. You are %s: %s.", escape(s.root.title, budgetTitle), at, escape(s.call.whose(), budgetName), s.lonely)}
	if s.story != nil {
		m.Text = s.story.SeverityName() + ": " + m.Text
	}
	body := s.storm
	if s.story != nil {
		body = strings.TrimLeft(summary(s.story)+stateNow(s.story), "\n")
	}
	m.Blocks = []slack.Block{section(head + "\n" + why)}
	if body != "" {
		m.Blocks = append(m.Blocks, section(body))
	}
	if s.story != nil {
		m.Blocks = append(m.Blocks, nextAction(s.story)...)
	}
	first := button(actionAck, "Ack", s.thread)
	first.Style = slack.StylePrimary
	buttons := []*slack.ButtonBlockElement{first, button(actionPass, "I can't take it", s.thread)}
	if s.story != nil {
		buttons = append(buttons, button(actionTimeline, "Show timeline", s.story.ID), runbook(s.story))
	}
	m.Blocks = append(m.Blocks, actions("", buttons...))
	ends := "*Ack* ends this. Nobody else is left to call."
	if c := s.calling; c != nil && c.next != nil {
		ends = fmt.Sprintf("*Ack* ends this. Otherwise %s is called %s.", mentionOf(c.next.User), moment(c.at, s.near))
		if c.next.User == s.call.User {
			ends = fmt.Sprintf("*Ack* ends this. Otherwise you are called again %s.", moment(c.at, s.near))
		}
	}
	if s.over {
		ends = "Nothing is left to do: it is over, or somebody took it meanwhile."
	}
	m.Blocks = append(m.Blocks, contextLine(ends))
	if s.story != nil {
		m.Blocks = append(m.Blocks, contextLine(where(s.story), reference(s.story)))
	}
	return m
}
