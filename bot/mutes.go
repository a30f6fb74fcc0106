package bot

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// mutePrefix begins the keys of mutes in the ledger.
const mutePrefix = ledgerPrefix + "mute/" // + ID

// muteKind says what a mute silences.
type muteKind string

const (
	muteStory     muteKind = "story"     // by ID
	muteWorkload  muteKind = "workload"  // namespace/name of what hurts
	muteNamespace muteKind = "namespace" // may have "*"
	muteNode      muteKind = "node"      // what hurts or what is at fault
	muteCause     muteKind = "cause"     // a code, or the start of codes: "image.*"
	muteTeam      muteKind = "team"
)

// Bounds of a mute.
const (
	minMute  = time.Minute
	maxMute  = 30 * 24 * time.Hour // a failure that is longer of no interest has a template or an annotation to ignore it
	maxMutes = 500                 // at one time
)

// mute silences the stories that it matches until it ends: they are kept and
// listed, and nothing is posted for them. A message that is out already stays
// true, because an edit pings nobody.
type mute struct {
	V     int       `json:"v"`
	ID    string    `json:"id"`
	Kind  muteKind  `json:"kind"`
	Name  string    `json:"name"`
	Until time.Time `json:"until"`
	By    ack       `json:"by"`
	Why   string    `json:"why,omitempty"`
}

func (m *mute) record() tapio.Record { return record(mutePrefix+m.ID, m) }

func (m *mute) matches(s *tapio.Story) bool {
	glob := func(name string) bool {
		ok, err := path.Match(m.Name, name)
		return err == nil && ok
	}
	switch m.Kind {
	case muteStory:
		return s.ID == m.Name
	case muteWorkload:
		return s.Subject.Namespace+"/"+s.Subject.Name == m.Name
	case muteNamespace:
		return s.Subject.Namespace != "" && glob(s.Subject.Namespace)
	case muteNode:
		return s.Subject.Kind == tapio.KindNode && s.Subject.Name == m.Name ||
			s.CauseEntity.Kind == tapio.KindNode && s.CauseEntity.Name == m.Name
	case muteCause:
		return glob(string(s.Cause))
	case muteTeam:
		return strings.EqualFold(s.Owner.Team, m.Name)
	}
	return false
}

// what names what is muted, as mrkdwn.
func (m *mute) what() string {
	if m.Kind == muteWorkload {
		return code(m.Name, budgetName)
	}
	return string(m.Kind) + " " + code(m.Name, budgetName)
}

// plainWhat is what without mrkdwn.
func (m *mute) plainWhat() string {
	if m.Kind == muteWorkload {
		return m.Name
	}
	return string(m.Kind) + " " + m.Name
}

// muteOf returns the mute that silences a story now and ends last, or nil.
func muteOf(mutes []*mute, s *tapio.Story, now time.Time) *mute {
	var best *mute
	for _, m := range mutes {
		if now.Before(m.Until) && m.matches(s) && (best == nil || m.Until.After(best.Until)) {
			best = m
		}
	}
	return best
}

// silencer returns the mute that silences a story, or nil.
func (d *desk) silencer(s *tapio.Story, now time.Time) *mute {
	return muteOf(d.muteList(), s, now)
}

func (d *desk) muteList() []*mute {
	var out []*mute
	for _, m := range d.mutes {
		out = append(out, m)
	}
	sortMutes(out)
	return out
}

func sortMutes(list []*mute) {
	slices.SortFunc(list, func(x, y *mute) int {
		if c := x.Until.Compare(y.Until); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
}

// mutesNow returns the mutes of the ledger that haven't ended, the next to
// end first. It may be called from any goroutine.
func (b *Bot) mutesNow(ctx context.Context, now time.Time) ([]*mute, error) {
	records, err := b.opts.Ledger.Read(ctx, mutePrefix)
	if err != nil {
		return nil, fmt.Errorf("read mutes: %w", err)
	}
	var out []*mute
	for _, r := range records {
		m, err := decode(r, func(m *mute) int { return m.V })
		if err != nil {
			return nil, err
		}
		if now.Before(m.Until) {
			out = append(out, m)
		}
	}
	sortMutes(out)
	return out, nil
}

// mute silences what the mute matches. The same thing muted again gets the new
// end.
func (d *desk) mute(ctx context.Context, m *mute, now time.Time) (string, error) {
	for _, old := range d.mutes {
		if old.Kind == m.Kind && old.Name == m.Name {
			m.ID = old.ID
		}
	}
	if m.ID == "" && len(d.mutes) >= maxMutes {
		return fmt.Sprintf("There are %d mutes already; end some with `/tapio unmute` first.", len(d.mutes)), nil
	}
	if m.ID == "" {
		m.ID = nonce()
	}
	m.V = ledgerV
	d.mutes[m.ID] = m
	return "", d.remute(ctx, m, tapio.NoteMute, &m.By, now)
}

// unmute ends a mute. by is nil where its time was over.
func (d *desk) unmute(ctx context.Context, id string, by *ack, now time.Time) (string, error) {
	m := d.mutes[id]
	if m == nil {
		return "This mute has ended already.", nil
	}
	delete(d.mutes, id)
	return "", d.remute(ctx, m, tapio.NoteUnmute, by, now)
}

// remute writes a mute that began or ended, and brings the threads of the
// stories that it matches up to date: a muted one says so, and one that is no
// longer muted is told, for the first time where it has no message yet.
func (d *desk) remute(ctx context.Context, m *mute, kind tapio.NoteKind, by *ack, now time.Time) error {
	records := []tapio.Record{{Key: mutePrefix + m.ID}}
	if kind == tapio.NoteMute {
		records[0] = m.record()
	}
	open, err := d.opts.Stories.Stories(ctx, tapio.Query{Status: tapio.StatusOpen, Limit: maxSearched})
	if err != nil {
		d.log.Error("stories can't be read; messages of muted stories change with their next revision", "error", err)
	}
	for i := range open {
		s := &open[i]
		t := d.threads[s.ID]
		if t == nil || !m.matches(s) {
			continue
		}
		t.Muted = d.silencer(s, now) != nil
		if t.Board == "" && (t.RootTS != "" || !t.Muted) {
			t.Root = rootNow
		}
		if t.RootTS == "" && t.Intent == nil && t.Muted {
			t.Root, t.News = rootFine, nil // it wasn't out yet
		}
		if by != nil {
			text := ""
			if kind == tapio.NoteMute {
				text = "until " + clock(m.Until, now)
				if m.Why != "" {
					text += ", " + m.Why
				}
			}
			_, r := d.annotate(s.ID, by, kind, text, now)
			records = append(records, r)
		}
		d.note(t)
		records = append(records, t.record())
		if b := d.threads[t.Board]; b != nil {
			d.note(b) // whether somebody is called for the list may depend on it
			records = append(records, b.record())
		}
		if len(records) > batchSize {
			if err := d.save(ctx, records...); err != nil {
				return err
			}
			records = nil
		}
	}
	if len(records) == 0 {
		return nil
	}
	return d.save(ctx, records...)
}

// endMutes ends those whose time is over and returns when the next one ends.
func (d *desk) endMutes(ctx context.Context, now time.Time) (next time.Time, err error) {
	next = now.Add(idleWake)
	for _, m := range d.muteList() {
		if now.Before(m.Until) {
			if m.Until.Before(next) {
				next = m.Until
			}
			continue
		}
		d.log.Info("mute ended", "kind", string(m.Kind), "name", m.Name)
		if _, err := d.unmute(ctx, m.ID, nil, now); err != nil {
			return next, err
		}
	}
	return next, nil
}

// parseFor reads for how long something is muted: Go's durations, and days and
// weeks: "30m", "2h", "1d", "1w", "1h30m".
func parseFor(s string) (time.Duration, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	var total time.Duration
	for _, unit := range []struct {
		letter string
		length time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		number, rest, ok := strings.Cut(s, unit.letter)
		if !ok {
			continue
		}
		n := 0
		if _, err := fmt.Sscanf(number, "%d", &n); err != nil || fmt.Sprint(n) != number || n < 0 || n > 9999 {
			return 0, fmt.Errorf("%q is no time such as 30m, 2h, 1d or 1w", s)
		}
		total += time.Duration(n) * unit.length
		s = rest
	}
	if s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("%q is no time such as 30m, 2h, 1d or 1w", s)
		}
		total += d
	}
	if total < minMute || total > maxMute {
		return 0, fmt.Errorf("a mute lasts from 1 minute to 30 days, not %s", total)
	}
	return total, nil
}
