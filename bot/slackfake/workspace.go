// Package slackfake is a Slack workspace in memory: the Web API, Socket Mode,
// signed request URLs and response URLs that Tapio's bot uses, and a web page
// on which a person reads and answers. Tests and the local workspace page use
// the same code, and the bot cannot tell it from Slack: it keeps Slack's
// limits, rate limits and error names, and it can be told to fail as Slack does.
//
// Contract: a Workspace is safe for use by several goroutines. A message is
// known by channel and ts; ts is a string that grows within a channel and may
// repeat in another one. What is committed is visible before the call that
// made it returns. Everything that is kept has a bound (see the constants), so
// that a page can stay up for days.
//
// It does not know Tapio's stories, never imports the bot, stores nothing on
// disk, and refuses requests that name any host but this machine.
package slackfake

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what a Workspace keeps.
const (
	maxRoots      = 2000   // root messages a channel; the oldest goes with its thread
	maxReplies    = 2000   // replies a thread; the oldest goes
	maxEphemerals = 500    // in the whole workspace; the oldest goes
	maxCalls      = 20_000 // calls in the log; the oldest goes
	maxPings      = 20_000 // pings in the log; the oldest goes
	maxPosts      = 20_000 // post times a channel; the oldest goes
)

// User is a person, or the bot itself.
type User struct {
	ID    string // made when empty
	Name  string // handle, without @
	Title string // full name; the handle when empty
	Email string
	Bot   bool
}

// Channel is a conversation of the workspace.
type Channel struct {
	ID       string // made when empty
	Name     string // without #
	Topic    string
	Private  bool
	Archived bool
	NoBot    bool     // the bot is not a member
	IM       string   // user ID of the person whom the bot talks to here
	Members  []string // user names or IDs; every person when empty
}

// Options describes a workspace. The zero value is a useful one: a person
// named "you", the channel #incidents, random tokens and Slack's own pace.
type Options struct {
	Team    string // name of the workspace; "Local workspace" when empty
	BotName string // "tapio" when empty

	BotToken      string   // "xoxb-…", random when empty
	AppToken      string   // "xapp-…", random when empty
	SigningSecret string   // of signed requests, random when empty
	Scopes        []string // of the bot token; every scope that a method here needs when empty

	Users    []User    // people; the first one is who the page acts as
	Channels []Channel // #incidents when empty

	// CreateChannels makes a channel when the bot posts to a name that does
	// not exist. It is meant for the page, where nobody can make one.
	CreateChannels bool

	Groups []Group // user groups

	// CommandsURL, InteractionsURL and EventsURL are the request URLs of the
	// app. Where one is empty, its requests go over Socket Mode.
	CommandsURL     string
	InteractionsURL string
	EventsURL       string

	// WaitScale (0 to 1) shortens the waits of Socket Mode: ack deadline,
	// retries, pings. 1 when 0.
	WaitScale float64

	// NoRateLimits answers any number of calls.
	NoRateLimits bool

	// Client carries signed requests to the request URLs; one with Slack's
	// deadline when nil.
	Client *http.Client

	// Hints are commands that the page offers, such as "/tapio list".
	Hints []string

	// Seed makes random faults repeatable.
	Seed uint64

	Now func() time.Time // time.Now when nil
	Log *slog.Logger     // discards when nil
}

// Workspace is one Slack workspace with one app installed. Make it with New.
type Workspace struct {
	opts    Options
	methods map[string]method
	log     *slog.Logger

	ctx  context.Context // ends with Close
	stop context.CancelFunc

	mu         sync.Mutex
	base       string // "http://host" as the last caller named it
	lastID     int
	botID      string // of the bot, as messages name it
	bot        *User
	users      []*User
	channels   []*channel
	revoked    bool
	ephemerals []*Message
	calls      []Call
	unknown    []string
	pings      []Ping
	faults     []*Fault
	random     *randomFaults
	shakes     uint64                 // calls of InjectRandom
	rates      map[string][]time.Time // method, or method and channel → calls of the last minute
	urls       map[string]*responseURL
	waiting    []*commandWait
	triggers   []*trigger
	modals     map[string][]*View // user ID → open modals, the last on top
	homes      map[string]*View   // user ID → App Home
	groups     []*Group
	sockets    []*socket
	tickets    map[string]bool
	acks       map[string]chan json.RawMessage // envelope → who waits for its ack
	delivered  int                             // envelopes so far: they go round the sockets
	overtakers []chan struct{}                 // closed by the next envelope that is sent
	status     Status
	watchers   map[*watcher]bool
}

// channel is a Channel with what happened in it.
type channel struct {
	Channel
	members map[string]bool
	created time.Time
	lastTS  string
	roots   []*Message // oldest first
	posts   []time.Time
}

// New makes a workspace. Whatever opts leaves open is chosen.
func New(opts Options) *Workspace {
	opts.Team = cmp.Or(opts.Team, "Local workspace")
	opts.BotName = cmp.Or(opts.BotName, "tapio")
	opts.BotToken = cmp.Or(opts.BotToken, "xoxb-"+rand.Text())
	opts.AppToken = cmp.Or(opts.AppToken, "xapp-1-"+rand.Text())
	opts.SigningSecret = cmp.Or(opts.SigningSecret, rand.Text())
	opts.WaitScale = cmp.Or(opts.WaitScale, 1)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Client == nil {
		opts.Client = &http.Client{}
	}
	if !slices.ContainsFunc(opts.Users, func(u User) bool { return !u.Bot }) {
		opts.Users = append(opts.Users, User{Name: "you"})
	}
	if len(opts.Channels) == 0 {
		opts.Channels = []Channel{{Name: "incidents"}}
	}
	w := &Workspace{
		opts:     opts,
		methods:  methods(),
		log:      opts.Log,
		rates:    map[string][]time.Time{},
		urls:     map[string]*responseURL{},
		tickets:  map[string]bool{},
		acks:     map[string]chan json.RawMessage{},
		watchers: map[*watcher]bool{},
		modals:   map[string][]*View{},
		homes:    map[string]*View{},
	}
	if len(opts.Scopes) == 0 {
		w.opts.Scopes = allScopes(w.methods)
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.base = "http://localhost"
	w.botID = w.newID("B")
	w.bot = w.addUser(User{Name: opts.BotName, Title: strings.ToUpper(opts.BotName[:1]) + opts.BotName[1:], Bot: true})
	for _, u := range opts.Users {
		w.addUser(u)
	}
	for _, c := range opts.Channels {
		w.addChannel(c)
	}
	for _, g := range opts.Groups {
		g.ID = cmp.Or(g.ID, w.newID("S"))
		w.groups = append(w.groups, &g)
	}
	return w
}

// BotToken is the token of the Web API.
func (w *Workspace) BotToken() string { return w.opts.BotToken }

// AppToken is the token of Socket Mode.
func (w *Workspace) AppToken() string { return w.opts.AppToken }

// SigningSecret is the key of signed requests.
func (w *Workspace) SigningSecret() string { return w.opts.SigningSecret }

// BotUserID is the user ID under which the bot posts.
func (w *Workspace) BotUserID() string { return w.bot.ID }

// UserID returns the ID of a user by name or ID, or "".
func (w *Workspace) UserID(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u := w.user(name); u != nil {
		return u.ID
	}
	return ""
}

// ChannelID returns the ID of a channel by name (with or without #) or ID, or "".
func (w *Workspace) ChannelID(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.channel(name); c != nil {
		return c.ID
	}
	return ""
}

// DeliverHTTP sets the request URLs of the app; "" goes back to Socket Mode.
func (w *Workspace) DeliverHTTP(commandsURL, interactionsURL, eventsURL string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opts.CommandsURL, w.opts.InteractionsURL, w.opts.EventsURL = commandsURL, interactionsURL, eventsURL
}

// newID returns an ID of Slack's shape, unique in this workspace.
func (w *Workspace) newID(prefix string) string {
	w.lastID++
	return fmt.Sprintf("%s0LOCAL%05d", prefix, w.lastID)
}

func (w *Workspace) addUser(u User) *User {
	u.ID = cmp.Or(u.ID, w.newID("U"))
	u.Title = cmp.Or(u.Title, u.Name)
	w.users = append(w.users, &u)
	return &u
}

func (w *Workspace) addChannel(c Channel) *channel {
	c.Name = strings.TrimPrefix(c.Name, "#")
	if c.ID == "" {
		prefix := "C"
		if c.IM != "" {
			prefix = "D"
		}
		c.ID = w.newID(prefix)
	}
	ch := &channel{Channel: c, members: map[string]bool{}, created: w.opts.Now()}
	ch.members[w.bot.ID] = !c.NoBot
	if c.IM != "" {
		ch.members[c.IM] = true
	} else {
		for _, u := range w.users {
			in := len(c.Members) == 0 || slices.Contains(c.Members, u.Name) || slices.Contains(c.Members, u.ID)
			if in && !u.Bot {
				ch.members[u.ID] = true
			}
		}
	}
	w.channels = append(w.channels, ch)
	return ch
}

// user finds a user by ID or name; nil when there is none.
func (w *Workspace) user(s string) *User {
	s = strings.TrimPrefix(s, "@")
	for _, u := range w.users {
		if u.ID == s || u.Name == s {
			return u
		}
	}
	return nil
}

// channel finds a channel by ID or name; nil when there is none.
func (w *Workspace) channel(s string) *channel {
	name := strings.TrimPrefix(s, "#")
	for _, c := range w.channels {
		if c.ID == s || c.Name != "" && c.Name == name {
			return c
		}
	}
	return nil
}

// direct returns the conversation of the bot with a user, made when needed.
func (w *Workspace) direct(userID string) *channel {
	for _, c := range w.channels {
		if c.IM == userID {
			return c
		}
	}
	c := w.addChannel(Channel{IM: userID})
	w.publishChannel(c)
	return c
}

// nextTS returns the ts of a new message: the time, but always later than the
// last one of the channel.
func (c *channel) nextTS(now time.Time) string {
	ts := fmt.Sprintf("%d.%06d", now.Unix(), now.Nanosecond()/1000)
	if compareTS(ts, c.lastTS) <= 0 {
		sec, micro := splitTS(c.lastTS)
		if micro++; micro == 1_000_000 {
			sec, micro = sec+1, 0
		}
		ts = fmt.Sprintf("%d.%06d", sec, micro)
	}
	c.lastTS = ts
	return ts
}

// splitTS reads a ts; what is not a number counts as 0.
func splitTS(ts string) (sec, micro int64) {
	whole, part, _ := strings.Cut(ts, ".")
	part = (part + "000000")[:6]
	fmt.Sscanf(whole, "%d", &sec)
	fmt.Sscanf(part, "%d", &micro)
	return sec, micro
}

// compareTS orders two ts by time.
func compareTS(a, b string) int {
	as, am := splitTS(a)
	bs, bm := splitTS(b)
	return cmp.Or(cmp.Compare(as, bs), cmp.Compare(am, bm))
}

// scaled shortens a wait by Options.WaitScale.
func (w *Workspace) scaled(d time.Duration) time.Duration {
	return min(d, max(time.Duration(float64(d)*w.opts.WaitScale), time.Microsecond))
}

// Close ends every socket, page stream and delivery.
func (w *Workspace) Close() {
	w.stop()
	w.CutSockets()
}
