// Package bot tells stories in Slack. It follows the journal of revisions,
// decides for each whether to post, edit or stay silent, and sees to it that
// every message is said once, whatever happens to Slack or to Tapio.
//
// Contract. The bot keeps one root message per story and channel, which is
// always the newest truth, and a thread of replies for what changed. All that
// it remembers is in the ledger: how far it read the journal, and for each
// thread what was said, what is to be said and what is being said. A fact
// moves between the three by one atomic write, and the cursor advances in the
// same write that records what the revision led to. So a kill at any instant
// loses nothing: what was not read is read again, what was to be said is said.
//
// It doubles nothing either, as far as Slack allows. Slack has no idempotency
// key. The intent of a call is written before the call, with a nonce that is
// also in the message's metadata. A call whose outcome is unknown (a kill, a
// timeout, a cut connection, a 5xx) is made again only after the channel's
// history or the thread was searched for the nonce. What remains is the crash
// window: a message that Slack takes in later than the search that follows the
// pause after the call would be posted twice. Edits are repeated freely.
//
// A slow Slack never slows the engine: the bot holds no queue but the ledger,
// and a thread that waits for its turn shows the newest revision when it comes.
//
// It does not word stories (narrate does), judge them (engine) or keep them
// (store). It talks to Slack's Web API, and hears commands and clicks over
// Socket Mode or signed HTTP.
package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/robfig/cron/v3"
	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// Journal is the stream of saved revisions, oldest first.
type Journal interface {
	// Revisions returns up to max revisions with Seq greater than after. It
	// blocks until there is one or ctx ends.
	Revisions(ctx context.Context, after uint64, max int) ([]tapio.Revision, error)
}

// Stories answers questions about stories.
type Stories interface {
	// Story returns the newest revision of a story.
	Story(ctx context.Context, id string) (tapio.Story, error)
	// Stories returns the newest revisions that the query selects, newest first.
	Stories(ctx context.Context, q tapio.Query) ([]tapio.Story, error)
	// Names returns names of pods and workloads of stories that begin with
	// prefix, as name or namespace/name, sorted.
	Names(ctx context.Context, prefix string, limit int) ([]string, error)
}

// Ledger is a small durable key-value space. The bot uses keys that begin
// with "bot/", and those of notes and feedback that the root package defines.
type Ledger interface {
	Read(ctx context.Context, prefix string) ([]tapio.Record, error)
	// Write stores all records or none, and returns when they are durable.
	Write(ctx context.Context, records ...tapio.Record) error
}

// Route sends the stories of the namespaces that match to a channel.
type Route struct {
	Namespace string // a name, or a pattern with "*" as in path.Match
	Channel   string // "#name" or ID
}

// Options says what a bot works with.
type Options struct {
	Journal Journal
	Stories Stories
	Ledger  Ledger

	BotToken       string
	AppToken       string // of Socket Mode
	SigningSecret  string // of signed HTTP requests; none is accepted where it is empty
	APIURL         string // Slack's own where it is empty
	SocketMode     bool
	DefaultChannel string  // "#name" or ID
	Routes         []Route // the first that matches wins; an annotation goes before all

	// TellResolved are channels that see the reply which says that a story is
	// resolved, and not its thread alone.
	TellResolved []string

	Allow       Allow       // who may acknowledge and mute
	OnCall      []Rotation  // who is on call
	Call        Call        // when they are called
	Causes      []CauseName // what the modal for a wrong cause offers
	DigestAt    string      // when digests are posted, as cron writes it: "0 9 * * *"; at 9:00 UTC where it is empty
	DigestEvery string      // of the default channel: daily, weekly or off; off where it is empty

	// Keep is told when somebody says that a story's cause is right or wrong:
	// what was seen of the incident is worth keeping. It may be nil.
	Keep func(ctx context.Context, story string) error
	// Lacking says what the rest of Tapio lacks, one line each, for the App
	// Home. It may be nil.
	Lacking func() []string

	// BundleFor is how long news wait for more before they become one reply.
	// 20 s where it is 0.
	BundleFor time.Duration
	// EditEvery is the least time between two edits of a root message that
	// only grew. 30 s where it is 0.
	EditEvery time.Duration

	// StormAfter is how many new stories of a channel within StormFor get a
	// message each; more are a storm, and one message lists them. 10 and 60 s
	// where they are 0; a negative StormAfter turns it off.
	StormAfter int
	StormFor   time.Duration

	// HTTPClient makes the calls of the Web API. Where it is nil, one with a
	// timeout of 15 s is made. It must not retry.
	HTTPClient *http.Client

	Log        *slog.Logger
	Registerer prometheus.Registerer // nil keeps the metrics to the bot
}

func (o *Options) validate() error {
	switch {
	case o.Journal == nil || o.Stories == nil || o.Ledger == nil:
		return errors.New("bot needs a journal, stories and a ledger")
	case o.Log == nil:
		return errors.New("bot needs a logger")
	case o.BotToken == "":
		return errors.New("no bot token: copy the Bot User OAuth Token (xoxb-…) from OAuth & Permissions of your app at https://api.slack.com/apps")
	case o.SocketMode && o.AppToken == "":
		return errors.New("no app token: Socket Mode needs an App-Level Token (xapp-…) with scope connections:write from Basic Information of your app at https://api.slack.com/apps")
	case channelName(o.DefaultChannel) == "":
		return fmt.Errorf("default channel %q is not a channel: write it as #name or as an ID such as C0123456789", o.DefaultChannel)
	}
	for i, r := range o.OnCall {
		if len(r.People) == 0 || r.Each <= 0 {
			return fmt.Errorf("rotation %d has no people or turns of no length", i+1)
		}
	}
	if c := o.Call; c.Severity != 0 && (c.Severity < 0 || c.After <= 0 || c.Every <= 0 || c.Rounds <= 0) {
		return fmt.Errorf("calls of people on call need a severity, times and rounds above 0, not %+v", c)
	}
	for i, r := range o.Routes {
		if channelName(r.Channel) == "" {
			return fmt.Errorf("route %d: %q is not a channel: write it as #name or as an ID such as C0123456789", i+1, r.Channel)
		}
		if _, err := path.Match(r.Namespace, ""); err != nil {
			return fmt.Errorf("route %d: namespace pattern %q: %w", i+1, r.Namespace, err)
		}
	}
	return nil
}

// Bot tells stories in Slack. Make it with New and start it with Run.
type Bot struct {
	opts   Options
	log    *slog.Logger
	api    *api
	count  *metrics
	seen   *recent
	groups *groups

	digestAt cron.Schedule
	// requests are what people did, oldest first, for the desk to take in
	// between. Nobody closes it. When maxQueued of them wait, more are refused.
	requests chan request
	queue    chan struct{}  // one for each answer under way or waiting
	slots    chan struct{}  // one for each answer under way, at most maxAnswers
	others   sync.WaitGroup // goroutines that end with Run
	ended    chan struct{}  // closed when Run ends: no request is taken any more
	depth    atomic.Int64   // what the outbox holds

	mu    sync.Mutex
	state error // why the bot can't speak; nil when it can
}

// errNotConnected is what Ready says before Slack was reached.
var errNotConnected = errors.New("slack was not reached yet")

// New makes a bot. It doesn't speak to Slack before Run or Check.
func New(opts Options) (*Bot, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	if opts.BundleFor == 0 {
		opts.BundleFor = 20 * time.Second
	}
	if opts.EditEvery == 0 {
		opts.EditEvery = 30 * time.Second
	}
	if opts.StormAfter == 0 {
		opts.StormAfter = 10
	}
	if opts.StormFor == 0 {
		opts.StormFor = time.Minute
	}
	if opts.APIURL == "" {
		opts.APIURL = slack.APIURL
	}
	if !strings.HasSuffix(opts.APIURL, "/") {
		opts.APIURL += "/"
	}
	if opts.HTTPClient == nil {
		opts.HTTPClient = &http.Client{Timeout: callTimeout}
	}
	digestAt, err := parseCron(opts.DigestAt)
	if err != nil {
		return nil, err
	}
	count, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	client := slack.New(opts.BotToken, slack.OptionAPIURL(opts.APIURL), slack.OptionHTTPClient(opts.HTTPClient))
	return &Bot{
		opts:     opts,
		log:      opts.Log,
		api:      &api{client: client, log: opts.Log},
		count:    count,
		seen:     newRecent(),
		groups:   newGroups(),
		state:    errNotConnected,
		digestAt: digestAt,

		requests: make(chan request, maxQueued),
		ended:    make(chan struct{}),
		queue:    make(chan struct{}, maxQueued+maxAnswers),
		slots:    make(chan struct{}, maxAnswers),
	}, nil
}

// Check asks Slack whether the bot token is good. The error says what the
// token is and where to find it, and never shows it.
func (b *Bot) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	who, err := b.api.client.AuthTestContext(ctx)
	switch v, reason, _ := judge(err); v {
	case callDone:
		b.log.Info("slack knows us", "team", who.Team, "bot", who.User)
		return nil
	case callToken:
		return botTokenError(reason)
	}
	return fmt.Errorf("reach slack at %s: %w", b.opts.APIURL, err)
}

// Ready returns nil while the bot can speak, and otherwise why it can't.
func (b *Bot) Ready() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

func (b *Bot) setReady(state error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = state
}

// Pending returns how many messages, edits and replies wait to be said.
func (b *Bot) Pending() int { return int(b.depth.Load()) }

// Run tells stories until ctx ends. It returns an error where the ledger can't
// be read or written; trouble with Slack is waited out and shown by Ready.
func (b *Bot) Run(ctx context.Context) error {
	d := newDesk(b)
	if err := d.load(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer b.finishAnswers()
	defer b.others.Wait()
	defer cancel()
	defer close(b.ended)
	b.others.Go(func() { b.follow(ctx, d.cursor.Seq, d.batches) })
	if b.opts.SocketMode {
		// Slack closes a socket before it opens the next: two bridge the gap.
		for i := range 2 {
			b.others.Go(func() { b.listen(ctx, i) })
		}
	}
	return d.run(ctx)
}

// batchSize is how many revisions are taken from the journal at once: one
// ledger write covers them, and a write has a bound (some 500 KiB in the store).
const batchSize = 20

// follow reads the journal and hands batches to the desk, one at a time.
func (b *Bot) follow(ctx context.Context, after uint64, batches chan<- []tapio.Revision) {
	wait := time.Second
	for ctx.Err() == nil {
		revs, err := b.opts.Journal.Revisions(ctx, after, batchSize)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			b.log.Error("journal can't be read", "after", after, "error", err)
			sleep(ctx, wait)
			wait = min(2*wait, maxBackoff)
			continue
		}
		wait = time.Second
		if len(revs) == 0 {
			continue
		}
		select {
		case batches <- revs:
			after = revs[len(revs)-1].Seq
		case <-ctx.Done():
		}
	}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
