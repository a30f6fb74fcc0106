package bot

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
)

// Keys of the ledger. Values are JSON with a version.
const (
	ledgerPrefix = "bot/"
	keyCursor    = ledgerPrefix + "cursor"   // cursor: what was read of the journal
	threadPrefix = ledgerPrefix + "thread/"  // + thread ID: what was said, is to be said, is being said
	routePrefix  = ledgerPrefix + "channel/" // + name as routed: its ID, and whether it refuses us
	ledgerV      = 1
)

// messageGone stands for the address of a root message that was deleted.
const messageGone = "gone"

// threadKind says what a thread's root message shows.
type threadKind string

const (
	kindStory   threadKind = "story"   // one story
	kindBacklog threadKind = "backlog" // the failures that were already there
	kindStorm   threadKind = "storm"   // the stories of a storm
	kindNotice  threadKind = "notice"  // one line about a channel that refuses us
	kindDigest  threadKind = "digest"  // what happened in a day or a week
	kindAside   threadKind = "aside"   // one line about a story, for a team that it hurts
	kindDirect  threadKind = "direct"  // a direct message about a story
)

// urgency says what the root message of a thread needs.
type urgency string

const (
	rootFine urgency = ""
	rootSoon urgency = "soon" // it grew: at most one edit per Options.EditEvery
	rootNow  urgency = "now"  // its state changed, or there is none yet
)

// thread is the memory of one root message and its replies: what was said,
// what is to be said and what is being said just now. One record holds all
// three, so that a write moves a fact from one to the next or not at all.
type thread struct {
	V    int        `json:"v"`
	ID   string     `json:"id"` // the story's ID, or made up with a prefix
	Kind threadKind `json:"kind"`

	Route   string `json:"route"`   // the channel it is meant for
	Channel string `json:"channel"` // the one it goes to: another one where Route refuses us

	// What the last revision said that was decided on.
	Revision int            `json:"revision,omitempty"`
	Status   tapio.Status   `json:"status,omitempty"`
	Severity tapio.Severity `json:"severity,omitempty"`
	Title    string         `json:"title,omitempty"`
	Updated  time.Time      `json:"updated,omitzero"`  // when that revision was made
	Reopened time.Time      `json:"reopened,omitzero"` // when it last came back
	Parent   string         `json:"parent,omitempty"`  // story that absorbed it; of an aside or a direct message: its story
	Follows  string         `json:"follows,omitempty"`
	Board    string         `json:"board,omitempty"` // thread of kind backlog or storm that tells this story
	Where    string         `json:"where,omitempty"` // namespace
	Since    time.Time      `json:"since,omitzero"`  // when the bot first heard of it
	Worst    tapio.Severity `json:"worst,omitempty"` // since it opened or came back
	Flaps    []time.Time    `json:"flaps,omitempty"` // when it came back, in the last hour
	FlapTold time.Time      `json:"flap_told,omitzero"`
	Ack      *ack           `json:"ack,omitempty"`
	Team     string         `json:"team,omitempty"`    // owner of the story
	Alone    time.Time      `json:"alone,omitzero"`    // since when it needs somebody and nobody takes care of it
	Calls    []called       `json:"calls,omitempty"`   // of people on call, since Alone, oldest first
	Muted    bool           `json:"muted,omitempty"`   // a mute silences it
	Members  []string       `json:"members,omitempty"` // of a backlog or storm: story IDs
	Line     string         `json:"line,omitempty"`    // of a notice: its mrkdwn; of a digest: daily or weekly; of a direct message: why it is sent; of a storm: storyLate or nothing

	// What was said.
	ChannelID string    `json:"channel_id,omitempty"`
	RootTS    string    `json:"root_ts,omitempty"`
	Permalink string    `json:"permalink,omitempty"`
	Lost      string    `json:"lost,omitempty"`  // address of the root message before this one, or messageGone
	Shown     string    `json:"shown,omitempty"` // fingerprint of the root message
	ShownAt   time.Time `json:"shown_at,omitzero"`
	Replies   int       `json:"replies,omitempty"`
	Rolling   *rolling  `json:"rolling,omitempty"`
	ToldPart  bool      `json:"told_part,omitempty"` // that it is part of Parent
	Deleted   int       `json:"deleted,omitempty"`   // how often people deleted the root message
	Hushed    bool      `json:"hushed,omitempty"`    // they don't want to see it

	// What is to be said.
	Call    *called `json:"call,omitempty"`    // of a direct message: it calls somebody
	Called  int     `json:"called,omitempty"`  // number of the story's newest call
	Calling bool    `json:"calling,omitempty"` // that one isn't out yet

	Root  urgency   `json:"root,omitempty"`
	After time.Time `json:"after,omitzero"` // no root message before this
	News  []fact    `json:"news,omitempty"`
	Flush bool      `json:"flush,omitempty"` // the news don't wait for more

	// What is being said: recorded before the call, gone after its result.
	Intent *intent `json:"intent,omitempty"`

	// What this process alone knows of the call.
	busy   bool      // a goroutine is making it
	unsure bool      // it may have been made: search before making it again
	wait   time.Time // not before this
	tries  int
}

// ack says who takes care of the story.
type ack struct {
	User string    `json:"user"` // Slack ID
	Name string    `json:"name,omitempty"`
	At   time.Time `json:"at"`
}

// fact is one piece of news for the thread, with what its reply shows.
type fact struct {
	Kind      tapio.NewsKind `json:"kind"`
	Time      time.Time      `json:"time"`
	Text      string         `json:"text"`
	Standing  tapio.Standing `json:"standing,omitempty"`
	Sources   string         `json:"sources,omitempty"`   // "k8s-api ×3"
	Log       []string       `json:"log,omitempty"`       // last lines of the log
	Story     string         `json:"story,omitempty"`     // ID of the story that is part of this one
	Broadcast bool           `json:"broadcast,omitempty"` // to the channel as well
	More      int            `json:"more,omitempty"`      // earlier facts that were left out
	At        time.Time      `json:"at"`                  // when the bot took it up; later where it is to wait
	Ref       time.Time      `json:"ref,omitzero"`        // when it was worded

	Linked bool `json:"linked,omitempty"` // Text is mrkdwn that the bot made
}

// The facts that the bot itself adds to tapio's kinds of news.
const (
	newsAck   tapio.NewsKind = "ack"
	newsUnack tapio.NewsKind = "unack"
)

// rolling is the reply that is edited once a thread is long.
type rolling struct {
	TS    string   `json:"ts,omitempty"`
	Lines []string `json:"lines"`          // mrkdwn
	Last  string   `json:"last,omitempty"` // the newest as mrkdwn without dates, for phones
	More  int      `json:"more,omitempty"` // facts that no longer fit
	Due   bool     `json:"due,omitempty"`  // it holds lines that weren't said yet
}

// deed is a kind of call that says something.
type deed string

const (
	doPost  deed = "post"  // the root message
	doEdit  deed = "edit"  // the root message
	doReply deed = "reply" // a reply
	doRoll  deed = "roll"  // the rolling reply: posted the first time, edited later
)

// intent is a call that is about to be made, or was made with unknown result.
type intent struct {
	Do       deed      `json:"do"`
	Nonce    string    `json:"nonce"` // also in the message's metadata
	Revision int       `json:"revision"`
	At       time.Time `json:"at"`
	News     []fact    `json:"news,omitempty"`  // of a reply
	Plain    bool      `json:"plain,omitempty"` // Slack refused the blocks
}

// posts reports whether the call makes a new message, so that making it twice
// would show.
func (i *intent) posts(t *thread) bool {
	switch i.Do {
	case doPost, doReply:
		return true
	case doRoll:
		return t.Rolling == nil || t.Rolling.TS == ""
	}
	return false
}

// closed reports whether nothing more is expected of the story.
func (t *thread) closed() bool {
	return t.Status == tapio.StatusResolved || t.Status == tapio.StatusAbsorbed || t.once()
}

// once reports whether it is said once and then forgotten.
func (t *thread) once() bool {
	return t.Kind == kindNotice || t.Kind == kindDigest || t.Kind == kindDirect
}

// lists reports whether the root message lists stories.
func (t *thread) lists() bool { return t.Kind == kindBacklog || t.Kind == kindStorm }

// ripe returns how many of the news may be told, which come before the others.
func (t *thread) ripe(now time.Time) int {
	slices.SortStableFunc(t.News, func(a, b fact) int {
		x, y := a.At.After(now), b.At.After(now)
		switch {
		case x == y:
			return 0
		case x:
			return 1
		}
		return -1
	})
	n := slices.IndexFunc(t.News, func(f fact) bool { return f.At.After(now) })
	if n < 0 {
		n = len(t.News)
	}
	return n
}

// idle reports whether nothing is to be said or being said.
func (t *thread) idle() bool {
	return t.Intent == nil && t.Root == rootFine && len(t.News) == 0 && !t.rollingDue()
}

func (t *thread) rollingDue() bool { return t.Rolling != nil && t.Rolling.Due }

// hear adds news to those that wait. When too many wait, because Slack can't be
// reached for long, the oldest are only counted: the timeline has them all.
func (t *thread) hear(f fact) {
	t.News = append(t.News, f)
	for len(t.News) > maxWaiting {
		t.News[1].More += t.News[0].More + 1
		t.News[1].Broadcast = t.News[1].Broadcast || t.News[0].Broadcast
		t.News = slices.Delete(t.News, 0, 1)
	}
}

// userID is how Slack writes the ID of a person.
var userID = regexp.MustCompile(`^[UW][A-Z0-9]{2,30}$`)

// mention names the person. It pings nobody where it is used: edits don't.
func (a *ack) mention() string {
	if userID.MatchString(a.User) {
		return "<@" + a.User + ">"
	}
	return a.name()
}

// name names the person without a mention, escaped.
func (a *ack) name() string { return escape(a.plainName(), budgetName) }

// plainName is name before it is escaped.
func (a *ack) plainName() string {
	if a.Name != "" {
		return "@" + a.Name
	}
	return "somebody"
}

// cursor is how far the journal was read.
type cursor struct {
	V   int    `json:"v"`
	Seq uint64 `json:"seq"`
}

// route is what is known of a channel under the name that stories use for it.
type route struct {
	V       int       `json:"v"`
	Name    string    `json:"name"`
	ID      string    `json:"id,omitempty"`
	Refused string    `json:"refused,omitempty"` // Slack's error name, while it refuses us
	Since   time.Time `json:"since,omitzero"`    // of the last refusal
}

func (t *thread) record() tapio.Record { return record(threadPrefix+t.ID, t) }
func (r *route) record() tapio.Record  { return record(routePrefix+r.Name, r) }

// record encodes one entry of the ledger. The types here can always be
// encoded.
func record(key string, v any) tapio.Record {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("ledger entry %s: %v", key, err))
	}
	return tapio.Record{Key: key, Value: b}
}

// errVersion is returned for what another Tapio wrote.
var errVersion = errors.New("this Tapio reads version")

// decode reads an entry of the ledger.
func decode[T any](r tapio.Record, version func(*T) int) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(r.Value, v); err != nil {
		return nil, fmt.Errorf("ledger entry %s: %w", r.Key, err)
	}
	if n := version(v); n != ledgerV {
		return nil, fmt.Errorf("ledger entry %s has version %d: %w %d; run the Tapio that wrote it, or a newer one", r.Key, n, errVersion, ledgerV)
	}
	return v, nil
}

func decodeThread(r tapio.Record) (*thread, error) {
	t, err := decode(r, func(t *thread) int { return t.V })
	if err != nil {
		return nil, err
	}
	wrong := ""
	switch i := t.Intent; {
	case t.ID == "" || r.Key != threadPrefix+t.ID:
		wrong = fmt.Sprintf("thread %q", t.ID)
	case t.Kind != kindStory && t.Kind != kindAside && !t.lists() && !t.once():
		wrong = fmt.Sprintf("a thread of kind %q", t.Kind)
	case i == nil || i.Do == doPost || t.RootTS != "" && (i.Do == doEdit || i.Do == doReply || i.Do == doRoll && t.Rolling != nil):
		return t, nil
	default:
		wrong = fmt.Sprintf("an intent to %q that can't be", i.Do)
	}
	return nil, fmt.Errorf("ledger entry %s is damaged: it holds %s", r.Key, wrong)
}
