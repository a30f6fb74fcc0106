package bot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/yairfalse/tapio"
)

// digestPrefix begins the keys of digests in the ledger.
const digestPrefix = ledgerPrefix + "digest/" // + channel ID or name as routed

// Periods of a digest.
const (
	everyDay  = "daily"
	everyWeek = "weekly"
	never     = "off"
)

// digestLate is how long after its time a digest is still posted, where Tapio
// was down when it was due.
const digestLate = 6 * time.Hour

// parseCron reads when digests are posted. Without a time zone it is UTC.
func parseCron(at string) (cron.Schedule, error) {
	if at == "" {
		at = "0 9 * * *"
	}
	if !strings.Contains(at, "TZ=") {
		at = "CRON_TZ=UTC " + at
	}
	s, err := cron.ParseStandard(at)
	if err != nil {
		return nil, fmt.Errorf("time of the digest: %w; write minute, hour, day, month and weekday, such as \"0 9 * * *\"", err)
	}
	return s, nil
}

// subscription is a channel that gets a digest.
type subscription struct {
	V       int       `json:"v"`
	Channel string    `json:"channel"`
	Every   string    `json:"every"` // daily, weekly or off
	Done    time.Time `json:"done"`  // the last time that was dealt with
	By      ack       `json:"by,omitzero"`
}

func (s *subscription) record() tapio.Record { return record(digestPrefix+s.Channel, s) }

// length is the period that it covers.
func (s *subscription) length() time.Duration {
	if s.Every == everyWeek {
		return 7 * 24 * time.Hour
	}
	return 24 * time.Hour
}

// next returns when the digest after a time is due.
func (b *Bot) nextDigest(s *subscription, after time.Time) time.Time {
	at := b.digestAt.Next(after)
	for range 7 {
		if s.Every != everyWeek || at.Weekday() == time.Monday {
			break
		}
		at = b.digestAt.Next(at)
	}
	return at
}

// startDigests takes the default channel's digest from the config where nobody
// said otherwise in the channel.
func (d *desk) startDigests(now time.Time) {
	name := d.defaultChannel()
	if d.opts.DigestEvery != "" && d.opts.DigestEvery != never && d.digests[name] == nil {
		d.digests[name] = &subscription{V: ledgerV, Channel: name, Every: d.opts.DigestEvery, Done: now}
	}
}

// digest starts the digests that are due and returns when the next one is.
func (d *desk) digest(ctx context.Context, now time.Time) (next time.Time, err error) {
	next = now.Add(idleWake)
	for _, s := range d.digests {
		if s.Every == never {
			continue
		}
		due := d.nextDigest(s, s.Done)
		if due.After(now) {
			if due.Before(next) {
				next = due
			}
			continue
		}
		for later := d.nextDigest(s, due); !later.After(now); later = d.nextDigest(s, due) {
			due = later // of several that were missed, the last
		}
		s.Done = due
		records := []tapio.Record{s.record()}
		sum, err := d.summarize(ctx, due.Add(-s.length()), due)
		if err != nil {
			d.log.Error("stories can't be read; a digest is left out", "channel", s.Channel, "error", err)
		}
		if happened := sum.told > 0 || len(sum.rows) > 0; happened && now.Sub(due) < digestLate {
			t := &thread{
				V: ledgerV, ID: fmt.Sprintf("digest-%s-%d", strings.TrimPrefix(s.Channel, "#"), due.Unix()), Kind: kindDigest,
				Route: s.Channel, Channel: d.usable(s.Channel, now), Root: rootNow, Updated: due, Line: s.Every,
			}
			d.threads[t.ID] = t
			d.note(t)
			records = append(records, t.record())
		}
		if err := d.save(ctx, records...); err != nil {
			return next, err
		}
	}
	return next, nil
}

// renderDigest lays out what a digest that is due says.
func (d *desk) renderDigest(ctx context.Context, t *thread) (message, error) {
	s := subscription{Every: t.Line}
	sum, err := d.summarize(ctx, t.Updated.Add(-s.length()), t.Updated)
	if err != nil {
		return message{}, err
	}
	return sum.message(t.Line), nil
}

// subscribe sets the digest of a channel.
func subscribe(s subscription) act {
	return func(ctx context.Context, d *desk, now time.Time) (string, error) {
		s.V, s.Done = ledgerV, now
		if p := d.places[d.defaultChannel()]; p != nil && p.ID == s.Channel {
			s.Channel = p.Name // it is known under one name only
		}
		d.digests[s.Channel] = &s
		if err := d.save(ctx, s.record()); err != nil {
			return "", err
		}
		if s.Every == never {
			return ":newspaper: This channel gets no digest any more.", nil
		}
		return fmt.Sprintf(":newspaper: This channel gets a digest %s, next %s. `/tapio digest off` ends it. Where nothing happened, nothing is posted.",
			s.Every, moment(d.nextDigest(&s, now), now)), nil
	}
}

// digestCommand is `/tapio digest [daily|weekly|off]`.
func (b *Bot) digestCommand(ctx context.Context, c command) message {
	switch word := strings.ToLower(strings.TrimSpace(c.rest)); word {
	case everyDay, everyWeek, never:
		if why := b.may(ctx, c.by.User, b.opts.Allow.Mute); why != "" {
			return sorry(why)
		}
		if !channelIDForm.MatchString(c.channel) {
			return sorry("Tapio doesn't know which channel this is.")
		}
		return b.doAndTell(ctx, subscribe(subscription{Channel: c.channel, Every: word, By: c.by}), "")
	case "", "week", "day":
		s := subscription{Every: everyDay}
		if word == "week" {
			s.Every = everyWeek
		}
		now := time.Now()
		sum, err := b.summarize(ctx, now.Add(-s.length()), now)
		if err != nil {
			return b.unread(err)
		}
		return sum.message(s.Every)
	}
	return sorry("A digest is `daily`, `weekly` or `off` for this channel; `/tapio digest` alone shows the last 24 hours, `/tapio digest week` the last week.")
}
