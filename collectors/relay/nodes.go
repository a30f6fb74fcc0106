package relay

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/relay/wire"
	"golang.org/x/time/rate"
)

// Bounds of what is remembered of a node.
const (
	// rememberedIDs is how many event IDs of a node are recognized: a restarted
	// agent tells what it finds, some hundred events, and a new line some
	// thousand.
	rememberedIDs = 20_000
	// rememberedSpools is how many buffers of one node are remembered: a node
	// gets a new one when its disk is lost.
	rememberedSpools = 4
	// maxNodes bounds what agents can make the server remember.
	maxNodes = 10_000
	// skewed is a difference of clocks that is worth a word: below it, event
	// times of two nodes still tell the order of what people do.
	skewed = 2 * time.Second
)

// node is what the server knows of one node's agent.
type node struct {
	name   string
	quota  *rate.Limiter
	spools spools
	warn   rate.Sometimes
	taking sync.Mutex // held while a batch is taken: one line of the node at a time

	mu      sync.Mutex
	end     context.CancelFunc // of the open line
	heard   time.Time          // last word
	lost    bool
	lacking []string
	skew    time.Duration
	ids     [2]map[string]bool // of late, and before that
}

// enter notes that a line of the node is open, and ends an older one. leave
// must be called when the line has ended.
func (s *Server) enter(ctx context.Context, hello *wire.Hello) (n *node, line context.Context, leave func()) {
	s.mu.Lock()
	n = s.nodes[hello.Node]
	if n == nil {
		if len(s.nodes) >= maxNodes {
			s.forgetLongest()
		}
		n = &node{name: hello.Node, quota: limiter(s.opts.Quota), warn: rate.Sometimes{Interval: time.Minute}}
		n.ids[0], n.ids[1] = map[string]bool{}, map[string]bool{}
		s.nodes[hello.Node] = n
	}
	s.mu.Unlock()
	line, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.stop, cancel)
	n.mu.Lock()
	if n.end != nil {
		n.end()
	}
	n.end = cancel
	n.mu.Unlock()
	s.heard(n)
	return n, line, func() {
		stop()
		cancel()
	}
}

// forgetLongest makes room for a node. The lock is held.
func (s *Server) forgetLongest() {
	var oldest *node
	var since time.Time
	for _, n := range s.nodes {
		n.mu.Lock()
		if oldest == nil || n.heard.Before(since) {
			oldest, since = n, n.heard
		}
		n.mu.Unlock()
	}
	delete(s.nodes, oldest.name)
}

// heard notes a sign of life, and tells it where there was none for long.
func (s *Server) heard(n *node) {
	n.mu.Lock()
	lost, since := n.lost, n.heard
	n.heard, n.lost = now(), false
	n.mu.Unlock()
	if lost {
		s.opts.Log.Info("an agent is heard again", "node", n.name)
		s.report(n, tapio.NodeAgentBack, now(), tapio.SeverityInfo,
			fmt.Sprintf("the agent is heard again after %s", time.Since(since).Round(time.Second)))
	}
}

// beat takes in a heartbeat.
func (s *Server) beat(n *node, b *wire.Heartbeat) {
	skew := time.Until(time.Unix(0, b.Time)).Round(time.Millisecond)
	s.metrics.skew.WithLabelValues(n.name).Set(skew.Seconds())
	n.mu.Lock()
	n.skew, n.lacking = skew, bounded(b.Lacking)
	n.mu.Unlock()
}

// ahead is how far the node's clock is ahead of the engine's.
func (n *node) ahead() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.skew
}

// bounded cuts what an agent says of itself to what a person reads.
func bounded(lines []string) []string {
	const most, longest = 8, 300
	if len(lines) > most {
		lines = lines[:most]
	}
	for i, l := range lines {
		if len(l) > longest {
			lines[i] = strings.ToValidUTF8(l[:longest], "") + "…"
		}
	}
	return lines
}

// listenFor notices agents that have fallen silent.
func (s *Server) listenFor(ctx context.Context) {
	clock := time.NewTicker(time.Second)
	defer clock.Stop()
	for {
		select {
		case <-clock.C:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		var silent []*node
		heard := 0
		for _, n := range s.nodes {
			n.mu.Lock()
			if !n.lost && time.Since(n.heard) > silence {
				n.lost = true
				silent = append(silent, n)
			}
			if !n.lost {
				heard++
			}
			n.mu.Unlock()
		}
		s.mu.Unlock()
		s.metrics.agents.Set(float64(heard))
		for _, n := range silent {
			n.mu.Lock()
			since := n.heard
			n.mu.Unlock()
			s.opts.Log.Warn("an agent has fallen silent", "node", n.name, "since", since)
			s.report(n, tapio.NodeAgentLost, since, tapio.SeverityMedium, "nothing is heard from the agent of the node")
		}
	}
}

// report tells the engine something about an agent.
func (s *Server) report(n *node, what tapio.EventType, at time.Time, severity tapio.Severity, message string) {
	e := &tapio.Event{
		Time: at, Seen: now(), Source: tapio.SourceAgent, Type: what, Severity: severity,
		Entity: tapio.Entity{Kind: tapio.KindNode, Name: n.name}, Message: message,
		Attrs: map[string]string{tapio.AttrNode: n.name},
	}
	e.SetID()
	select {
	case s.out <- tapio.Observation{Time: now(), Event: e}:
	case <-s.stop.Done():
	}
}

// Lacking says in one line which agents are lost, which clocks are wrong and
// what agents can't see, or nothing.
func (s *Server) Lacking() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lost, late, blind []string
	for _, n := range s.nodes {
		n.mu.Lock()
		switch {
		case n.lost:
			lost = append(lost, n.name)
		case n.skew.Abs() > skewed:
			late = append(late, fmt.Sprintf("%s (%+.0f s)", n.name, n.skew.Seconds()))
		case len(n.lacking) > 0:
			blind = append(blind, n.name+": "+strings.Join(n.lacking, "; "))
		}
		n.mu.Unlock()
	}
	var out []string
	for _, l := range []struct {
		what  string
		names []string
	}{{"agents that are not heard", lost}, {"clocks that are wrong", late}, {"not seen", blind}} {
		if len(l.names) > 0 {
			out = append(out, l.what+": "+few(l.names))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "agents: " + strings.Join(out, " — ")
}

// throttled says, once a minute, that a node is beyond its quota.
func (n *node) throttled(log *slog.Logger) {
	n.warn.Do(func() { log.Warn("a node tells more than its quota and is made to wait", "node", n.name) })
}

// complain says, once a minute, that a node tells what it may not.
func (n *node) complain(log *slog.Logger, why string) {
	n.warn.Do(func() { log.Warn("an observation of an agent is refused", "node", n.name, "why", why) })
}

// first reports whether the event is new, and remembers it.
func (n *node) first(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ids[0][id] || n.ids[1][id] {
		return false
	}
	if len(n.ids[0]) >= rememberedIDs/2 {
		n.ids[0], n.ids[1] = map[string]bool{}, n.ids[0]
	}
	n.ids[0][id] = true
	return true
}

// forget takes back what first remembered: the engine did not get it.
func (n *node) forget(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.ids[0], id)
	delete(n.ids[1], id)
}

// spools knows up to which number the buffers of one node were taken.
type spools struct {
	mu   sync.Mutex
	list []taken
}

type taken struct {
	id      string
	through uint64
}

func (s *spools) through(id string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.list {
		if t.id == id {
			return t.through
		}
	}
	return 0
}

func (s *spools) set(id string, through uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if s.list[i].id == id {
			s.list[i].through = through
			return
		}
	}
	if len(s.list) >= rememberedSpools {
		s.list = s.list[1:]
	}
	s.list = append(s.list, taken{id, through})
}

// few lists names, the first five of them.
func few(names []string) string {
	const most = 5
	slices.Sort(names)
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
