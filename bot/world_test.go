package bot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// errDead is what a ledger says whose process was killed.
var errDead = errors.New("killed")

// memory is journal, stories and ledger in memory. It can die at a write, as
// a process does: before the write or just after it.
type memory struct {
	mu      sync.Mutex
	revs    []tapio.Revision
	changed chan struct{}
	ledger  map[string][]byte

	writes int
	dieAt  int  // the write at which it dies; 0: never
	after  bool // the write is done before it dies
	dead   bool
	kept   map[string]bool // keys of all that was ever in the ledger
	kill   func()
	pause  time.Duration // of the next write
}

// slow makes the next write take so long.
func (m *memory) slow(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pause = d
}

func newMemory() *memory {
	return &memory{changed: make(chan struct{}), ledger: map[string][]byte{}, kept: map[string]bool{}}
}

// save appends revisions to the journal.
func (m *memory) save(stories ...tapio.Story) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range stories {
		m.revs = append(m.revs, tapio.Revision{Seq: uint64(len(m.revs) + 1), Story: s})
	}
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) Revisions(ctx context.Context, after uint64, max int) ([]tapio.Revision, error) {
	for {
		m.mu.Lock()
		changed := m.changed
		revs := slices.Clone(m.revs[min(int(after), len(m.revs)):])
		m.mu.Unlock()
		if len(revs) > 0 {
			return revs[:min(len(revs), max)], nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (m *memory) Story(_ context.Context, id string) (tapio.Story, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range slices.Backward(m.revs) {
		if m.revs[i].Story.ID == id {
			return m.revs[i].Story, nil
		}
	}
	return tapio.Story{}, errors.New("no such story")
}

func (m *memory) Stories(ctx context.Context, q tapio.Query) ([]tapio.Story, error) {
	m.mu.Lock()
	var ids []string
	for i := range slices.Backward(m.revs) {
		if id := m.revs[i].Story.ID; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	m.mu.Unlock()
	var out []tapio.Story
	for _, id := range ids {
		s, _ := m.Story(ctx, id)
		named := func(names []string, want string) bool {
			return want == "" || slices.ContainsFunc(names, func(n string) bool { return n == want || strings.HasSuffix(n, "/"+want) })
		}
		if (q.Status == "" || s.Status == q.Status) && named(s.AffectedPods, q.Pod) && named([]string{s.Subject.Namespace + "/" + s.Subject.Name}, q.Workload) {
			out = append(out, s)
		}
	}
	if q.Limit > 0 {
		out = out[:min(len(out), q.Limit)]
	}
	return out, nil
}

func (m *memory) Names(ctx context.Context, prefix string, limit int) ([]string, error) {
	stories, _ := m.Stories(ctx, tapio.Query{})
	var out []string
	for _, s := range stories {
		for _, n := range append([]string{s.Subject.Namespace + "/" + s.Subject.Name}, s.AffectedPods...) {
			if _, name, _ := strings.Cut(n, "/"); strings.HasPrefix(name, prefix) || strings.HasPrefix(n, prefix) {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), limit)], nil
}

func (m *memory) Read(_ context.Context, prefix string) ([]tapio.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []tapio.Record
	for k, v := range m.ledger {
		if strings.HasPrefix(k, prefix) {
			out = append(out, tapio.Record{Key: k, Value: v})
		}
	}
	slices.SortFunc(out, func(a, b tapio.Record) int { return cmp.Compare(a.Key, b.Key) })
	return out, nil
}

func (m *memory) Write(_ context.Context, records ...tapio.Record) error {
	m.mu.Lock()
	pause := m.pause
	m.pause = 0
	m.mu.Unlock()
	time.Sleep(pause)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	m.writes++
	dies := m.dieAt > 0 && m.writes == m.dieAt
	if !dies || m.after {
		for _, r := range records {
			if r.Value == nil {
				delete(m.ledger, r.Key)
			} else {
				m.ledger[r.Key] = r.Value
				m.kept[r.Key] = true
			}
		}
	}
	if dies {
		m.dead = true
		m.kill()
		return errDead
	}
	return nil
}

// wires is a network in memory, so that time in a test passes only while
// everybody waits.
type wires struct {
	mu    sync.Mutex
	hosts map[string]chan net.Conn
	done  chan struct{}
}

func newWires() *wires {
	return &wires{hosts: map[string]chan net.Conn{}, done: make(chan struct{})}
}

func (w *wires) host(addr string) chan net.Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hosts[addr] == nil {
		w.hosts[addr] = make(chan net.Conn)
	}
	return w.hosts[addr]
}

func (w *wires) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case w.host(addr) <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.done:
		return nil, net.ErrClosed
	}
}

// client speaks over the wires, without keeping connections.
func (w *wires) client() *http.Client {
	return &http.Client{Timeout: callTimeout, Transport: &http.Transport{DialContext: w.dial, DisableKeepAlives: true}}
}

// listener is one host of the wires.
type listener struct {
	wires *wires
	addr  string
}

func (l listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.wires.host(l.addr):
		return c, nil
	case <-l.wires.done:
		return nil, net.ErrClosed
	}
}
func (l listener) Close() error   { return nil }
func (l listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// world is a workspace, a journal and a bot that can be killed and started.
type world struct {
	t      *testing.T
	slack  *slackfake.Workspace
	mem    *memory
	bot    *Bot
	opts   Options
	wires  *wires
	cancel context.CancelFunc
	ended  chan error
}

// newWorld runs in a synctest bubble; what it starts ends with the test.
func newWorld(t *testing.T, workspace slackfake.Options, change ...func(*Options)) *world {
	t.Helper()
	wr := newWires()
	workspace.Client = wr.client()
	if workspace.Channels == nil {
		workspace.Channels = []slackfake.Channel{{Name: "incidents"}, {Name: "payments"}}
	}
	if workspace.Users == nil {
		workspace.Users = []slackfake.User{{Name: "first"}, {Name: "second"}}
	}
	w := &world{t: t, slack: slackfake.New(workspace), mem: newMemory(), wires: wr}
	w.opts = Options{
		Journal: w.mem, Stories: w.mem, Ledger: w.mem,
		BotToken: w.slack.BotToken(), AppToken: w.slack.AppToken(), SigningSecret: w.slack.SigningSecret(),
		APIURL: "http://localhost/api/", DefaultChannel: "#incidents",
		HTTPClient: wr.client(), Log: discard(),
	}
	if testing.Verbose() {
		w.opts.Log = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	for _, c := range change {
		c(&w.opts)
	}
	fake := &http.Server{Handler: w.slack.Handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	app := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.bot.Handler().ServeHTTP(rw, r) })}
	go fake.Serve(listener{wr, "localhost:80"})
	go app.Serve(listener{wr, "127.0.0.9:80"})
	if w.opts.SocketMode {
		w.start()
	} else {
		w.slack.DeliverHTTP("http://127.0.0.9/slack/commands", "http://127.0.0.9/slack/actions", "http://127.0.0.9/slack/events")
		w.start()
	}
	t.Cleanup(func() {
		w.stop()
		close(wr.done)
		fake.Close()
		app.Close()
		w.slack.Close()
	})
	return w
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func (w *world) start() {
	b, err := New(w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.mem.mu.Lock()
	w.mem.dead, w.mem.kill = false, cancel
	w.mem.mu.Unlock()
	w.bot, w.cancel, w.ended = b, cancel, make(chan error, 1)
	go func() { w.ended <- b.Run(ctx) }()
}

func (w *world) stop() error {
	w.cancel()
	return <-w.ended
}

// wait waits out d, and starts the bot anew if it was killed meanwhile.
func (w *world) wait(d time.Duration) {
	w.t.Helper()
	over := time.NewTimer(d)
	defer over.Stop()
	for {
		select {
		case err := <-w.ended:
			if !errors.Is(err, errDead) {
				w.t.Fatalf("the bot ended: %v", err)
			}
			time.Sleep(500 * time.Millisecond) // a process takes a while to start
			w.mem.dieAt = 0
			w.start()
		case <-over.C:
			return
		}
	}
}

// settle waits until nothing is left to say.
func (w *world) settle() {
	w.t.Helper()
	for range 120 {
		w.wait(5 * time.Second)
		if w.bot.Pending() == 0 {
			w.wait(5 * time.Second) // answers under way
			return
		}
	}
	w.t.Fatalf("%d things are still not said after 10 minutes; ready: %v", w.bot.Pending(), w.bot.Ready())
}

// roots are the root messages of a story in a channel, deleted ones left out.
func (w *world) roots(channel, story string) []slackfake.Message {
	var out []slackfake.Message
	for _, m := range w.slack.Messages(channel) {
		var meta struct {
			Payload map[string]any `json:"event_payload"`
		}
		json.Unmarshal(m.Metadata, &meta)
		if !m.Tombstone && meta.Payload["id"] == story {
			out = append(out, m)
		}
	}
	return out
}

// root is the one root message of a story.
func (w *world) root(channel, story string) slackfake.Message {
	w.t.Helper()
	roots := w.roots(channel, story)
	if len(roots) != 1 {
		w.t.Fatalf("%d root messages of story %s in %s, want one; all: %s", len(roots), story, channel, texts(w.slack.Messages(channel)))
	}
	return roots[0]
}

// said counts how often the replies of a root message hold each text.
func (w *world) said(channel string, root slackfake.Message, wants ...string) {
	w.t.Helper()
	replies := w.slack.Replies(channel, root.TS)
	for _, want := range wants {
		n := 0
		for _, r := range replies {
			n += strings.Count(string(r.Blocks), want)
		}
		if n != 1 {
			w.t.Errorf("%q was said %d times, want once; replies: %s", want, n, texts(replies))
		}
	}
}

// sane checks what must hold after any run.
func (w *world) sane() {
	w.t.Helper()
	if unknown := w.slack.UnknownMethods(); len(unknown) > 0 {
		w.t.Errorf("unknown methods were called: %v", unknown)
	}
	for _, c := range []string{"incidents", "payments"} {
		if n := w.slack.PeakPosts(c, 990*time.Millisecond); n > 1 {
			w.t.Errorf("%d posts within a second in %s", n, c)
		}
	}
	for _, c := range w.slack.Calls("") {
		if c.Error != "" && strings.HasPrefix(c.Error, "invalid_") && c.Error != "invalid_auth" && c.Fault == "" {
			w.t.Errorf("%s was refused: %s: %v", c.Method, c.Error, c.Args)
		}
	}
}

func texts(ms []slackfake.Message) string {
	var out []string
	for _, m := range ms {
		out = append(out, fmt.Sprintf("%s (edits %d, tombstone %v): %.200s", m.TS, m.Edits, m.Tombstone, m.Text))
	}
	return "\n\t" + strings.Join(out, "\n\t")
}
