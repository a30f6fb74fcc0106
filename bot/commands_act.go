package bot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// do has the desk carry out an act and returns what to tell the person; ok is
// false where it was not taken.
func (b *Bot) do(ctx context.Context, a act) (tell string, ok bool) {
	q := request{do: a, done: make(chan string, 1)}
	select {
	case b.requests <- q:
	case <-ctx.Done():
		b.count.dropped.WithLabelValues("request").Inc()
		return "", false
	}
	select {
	case tell = <-q.done:
		return tell, true
	case <-ctx.Done():
		return "", false // it may be written yet; a second time changes nothing
	}
}

// doAndTell is do with words for every outcome.
func (b *Bot) doAndTell(ctx context.Context, a act, done string) message {
	tell, ok := b.do(ctx, a)
	switch {
	case !ok:
		return sorry("Tapio could not write that down just now. Try again in a moment.")
	case tell != "":
		return plainAnswer(tell)
	}
	return plainAnswer(done)
}

// ackByName is `/tapio ack NAME`.
func (b *Bot) ackByName(ctx context.Context, c command) message {
	if why := b.may(ctx, c.by.User, b.opts.Allow.Ack); why != "" {
		return sorry(why)
	}
	f := b.find(ctx, asked{name: c.rest, verb: c.word})
	if f.story == nil {
		return f.instead
	}
	undo := c.word == "unack"
	done := fmt.Sprintf(":eyes: You take care of *%s*.", escape(titleOf(f.story), budgetTitle))
	if undo {
		done = fmt.Sprintf(":fire: Nobody takes care of *%s* now.", escape(titleOf(f.story), budgetTitle))
	}
	return b.doAndTell(ctx, ackStory(f.story.ID, c.by, undo), done)
}

// noteByName is `/tapio note NAME TEXT`; without a text it opens the modal.
func (b *Bot) noteByName(ctx context.Context, c command) (message, bool) {
	name, text, _ := strings.Cut(c.rest, " ")
	f := b.find(ctx, asked{name: name, verb: c.word})
	if f.story == nil {
		return f.instead, true
	}
	if strings.TrimSpace(text) == "" {
		return b.openOr(ctx, c.trigger, noteView(f.story, "", modalFrom{Story: f.story.ID, Channel: c.channel}))
	}
	return b.doAndTell(ctx, noteStory(f.story.ID, c.by, tapio.NoteText, text),
		fmt.Sprintf(":memo: Added to the timeline of *%s*.", escape(titleOf(f.story), budgetTitle))), true
}

// feedbackByName is `/tapio feedback NAME`, which opens the modal.
func (b *Bot) feedbackByName(ctx context.Context, c command) (message, bool) {
	f := b.find(ctx, asked{name: c.rest, verb: c.word})
	if f.story == nil {
		return f.instead, true
	}
	return b.openOr(ctx, c.trigger, wrongView(f.story, b.opts.Causes, modalFrom{Story: f.story.ID, Channel: c.channel}))
}

// muteByName is `/tapio mute WHAT FOR [WHY]`; where one of the two is missing
// it opens the modal.
func (b *Bot) muteByName(ctx context.Context, c command) (message, bool) {
	if why := b.may(ctx, c.by.User, b.opts.Allow.Mute); why != "" {
		return sorry(why), true
	}
	what, long, why, err := splitMute(c.rest)
	if err != nil {
		return sorry(escape(err.Error(), budgetSentence) + "."), true
	}
	if what == "" {
		return b.openOr(ctx, c.trigger, muteView("", "", modalFrom{Channel: c.channel}))
	}
	m, instead := b.muteTarget(ctx, what, long)
	if instead != nil {
		return *instead, true
	}
	if long == 0 {
		return b.openOr(ctx, c.trigger, muteView(m.plainWhat(), "", modalFrom{Channel: c.channel}))
	}
	m.By, m.Why, m.Until = c.by, clean(why, budgetName, false), time.Now().Add(long)
	return b.doAndTell(ctx, muteWhat(*m), ""), true
}

// splitMute reads "WHAT [for] FOR [because WHY]".
func splitMute(text string) (what string, long time.Duration, why string, err error) {
	fields := strings.Fields(text)
	for i := 1; i < len(fields); i++ {
		last := i
		d, err := parseFor(fields[i])
		if err != nil && i+1 < len(fields) && strings.Trim(fields[i], "0123456789") == "" {
			if d, err = parseFor(fields[i] + strings.ToLower(fields[i+1][:1])); err == nil { // "2 hours"
				last = i + 1
			}
		}
		if err != nil {
			continue
		}
		words := fields[:i]
		if strings.EqualFold(words[len(words)-1], "for") && len(words) > 1 {
			words = words[:len(words)-1]
		}
		why = strings.TrimSpace(strings.TrimPrefix(strings.Join(fields[last+1:], " "), "because "))
		return strings.Join(words, " "), d, why, nil
	}
	if len(fields) > 1 && strings.ContainsAny(fields[len(fields)-1][:1], "0123456789") {
		_, err := parseFor(fields[len(fields)-1])
		return "", 0, "", err
	}
	return strings.Join(fields, " "), 0, "", nil
}

// muteTarget finds out what is to be muted: "namespace shop", "node/worker-1",
// "team payments", "cause image.*", an ID, or the name of a workload.
func (b *Bot) muteTarget(ctx context.Context, what string, long time.Duration) (*mute, *message) {
	kind, name, ok := strings.Cut(what, " ")
	if !ok {
		kind, name, ok = strings.Cut(what, "/")
	}
	name = strings.Trim(strings.TrimSpace(name), "`*'\"<>")
	if ok && name != "" {
		kinds := map[string]muteKind{
			"namespace": muteNamespace, "ns": muteNamespace, "node": muteNode, "team": muteTeam,
			"cause": muteCause, "story": muteStory, "workload": muteWorkload,
		}
		if k := kinds[strings.ToLower(kind)]; k != "" && (k != muteWorkload || strings.Contains(name, "/")) {
			if k == muteNamespace || k == muteCause {
				name = strings.TrimSpace(what[len(kind)+1:]) // "*" means something there
			}
			return &mute{Kind: k, Name: clean(name, budgetName, false)}, nil
		}
	}
	f := b.find(ctx, asked{name: what, verb: "mute", tail: forWords(long)})
	if f.story == nil {
		if ns, name, ok := strings.Cut(bareName(what), "/"); ok && ns != "" && name != "" {
			return &mute{Kind: muteWorkload, Name: ns + "/" + name}, nil // before it fails
		}
		return nil, &f.instead
	}
	if s := f.story; s.ID == bareName(what) {
		return &mute{Kind: muteStory, Name: s.ID}, nil
	} else if s.Subject.Kind == tapio.KindNode {
		return &mute{Kind: muteNode, Name: s.Subject.Name}, nil
	} else {
		return &mute{Kind: muteWorkload, Name: s.Subject.Namespace + "/" + s.Subject.Name}, nil
	}
}

// forWords writes a duration as parseFor reads it.
func forWords(d time.Duration) string {
	if d == 0 {
		return ""
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// unmuteByName is `/tapio unmute WHAT`; without a name it offers the mutes.
func (b *Bot) unmuteByName(ctx context.Context, c command) message {
	if why := b.may(ctx, c.by.User, b.opts.Allow.Mute); why != "" {
		return sorry(why)
	}
	mutes, err := b.mutesNow(ctx, time.Now())
	if err != nil {
		return b.unread(err)
	}
	want := strings.ToLower(strings.Trim(strings.TrimSpace(c.rest), "`'\"<>"))
	var hits []*mute
	for _, m := range mutes {
		name := strings.ToLower(m.Name)
		if want != "" && (m.ID == want || name == want || strings.ToLower(m.plainWhat()) == want || strings.HasSuffix(name, "/"+want) || strings.HasSuffix(want, "/"+name)) {
			hits = append(hits, m)
		}
	}
	if len(hits) == 1 {
		return b.doAndTell(ctx, unmuteIt(hits[0].ID, c.by), "")
	}
	if len(hits) > 1 {
		mutes = hits
	}
	return muteList(mutes, want, time.Now())
}
