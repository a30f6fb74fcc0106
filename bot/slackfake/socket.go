package slackfake

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Limits and times of Socket Mode (docs.slack.dev/apis/events-api/using-socket-mode).
const (
	maxSockets   = 10
	maxAck       = 20_000           // bytes; a longer ack is not heard
	pingEvery    = 10 * time.Second // scaled by Options.WaitScale
	refreshAfter = 10 * time.Second // from the notice to the end of a socket, scaled
	writeWait    = 5 * time.Second  // a socket that takes nothing for so long is closed
)

// linkPath is where sockets are opened.
const linkPath = "/link/"

// socket is one open connection of the app.
type socket struct {
	conn *websocket.Conn
	stop context.CancelFunc

	write sync.Mutex // one writer at a time

	// Under the workspace's lock:
	leaving bool // asked to go: gets no more envelopes
	stalled bool // neither pings nor delivers nor listens
}

func (w *Workspace) connectionsOpen(args) (reply, error) {
	ticket := rand.Text()
	w.tickets[ticket] = true
	url := strings.Replace(w.base, "http", "ws", 1) + linkPath + "?ticket=" + ticket + "&app_id=" + appID
	return reply{"url": url}, nil
}

// serveLink is one Socket Mode connection from hello to its end.
func (w *Workspace) serveLink(rw http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	w.mu.Lock()
	known := w.tickets[ticket]
	delete(w.tickets, ticket)
	w.mu.Unlock()
	if !known {
		http.Error(rw, "unknown or used ticket", http.StatusUnauthorized)
		return
	}
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(rw, r, nil)
	if err != nil {
		w.log.Warn("socket not opened", "error", err)
		return
	}
	defer conn.Close()
	ctx, stop := context.WithCancel(w.ctx)
	defer stop()
	s := &socket{conn: conn, stop: stop}

	w.mu.Lock()
	full := len(w.sockets) >= maxSockets
	if !full {
		w.sockets = append(w.sockets, s)
	}
	n := len(w.sockets)
	w.mu.Unlock()
	if full {
		s.send(disconnect("too_many_websockets"))
		return
	}
	defer func() {
		w.mu.Lock()
		w.sockets = slices.DeleteFunc(w.sockets, func(x *socket) bool { return x == s })
		w.mu.Unlock()
	}()
	hello := map[string]any{
		"type": "hello", "num_connections": n,
		"connection_info": map[string]any{"app_id": appID},
		"debug_info":      map[string]any{"host": "local", "approximate_connection_time": 18060},
	}
	if err := s.send(hello); err != nil {
		return
	}
	go w.keepAlive(ctx, s)
	for {
		_, b, err := conn.ReadMessage()
		if err != nil {
			return
		}
		w.hear(s, b)
	}
}

// keepAlive pings until ctx ends, then closes the connection, which ends the
// reading loop.
func (w *Workspace) keepAlive(ctx context.Context, s *socket) {
	defer s.conn.Close()
	t := time.NewTicker(w.scaled(pingEvery))
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		w.mu.Lock()
		stalled := s.stalled
		w.mu.Unlock()
		if stalled {
			continue
		}
		if err := s.conn.WriteControl(websocket.PingMessage, fmt.Appendf(nil, "ping %d", n), time.Now().Add(writeWait)); err != nil {
			return
		}
	}
}

func (s *socket) send(v any) error {
	s.write.Lock()
	defer s.write.Unlock()
	s.conn.SetWriteDeadline(time.Now().Add(writeWait))
	return s.conn.WriteJSON(v)
}

func disconnect(reason string) map[string]any {
	return map[string]any{"type": "disconnect", "reason": reason, "debug_info": map[string]any{"host": "local"}}
}

// hear reads an ack.
func (w *Workspace) hear(s *socket, b []byte) {
	var in struct {
		EnvelopeID string          `json:"envelope_id"`
		Payload    json.RawMessage `json:"payload"`
	}
	if json.Unmarshal(b, &in) != nil || len(b) >= maxAck {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	ack := w.acks[in.EnvelopeID]
	if ack == nil || s.stalled {
		return
	}
	delete(w.acks, in.EnvelopeID)
	ack <- in.Payload // buffered: one ack an envelope
}

// pick chooses the socket of the next envelope; nil when none is open.
func (w *Workspace) pick() *socket {
	var open []*socket
	for _, s := range w.sockets {
		if !s.leaving {
			open = append(open, s)
		}
	}
	if len(open) == 0 {
		return nil
	}
	w.delivered++
	return open[w.delivered%len(open)]
}

// Sockets returns how many Socket Mode connections are open.
func (w *Workspace) Sockets() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sockets)
}

// RefreshSockets asks every connection to be replaced, as Slack does every few
// hours: a notice first, the end a little later.
func (w *Workspace) RefreshSockets() {
	w.mu.Lock()
	sockets := slices.Clone(w.sockets)
	for _, s := range sockets {
		s.leaving = true
	}
	w.mu.Unlock()
	for _, s := range sockets {
		s.send(disconnect("refresh_requested"))
		time.AfterFunc(w.scaled(refreshAfter), s.stop)
	}
}

// CutSockets ends every connection without a word.
func (w *Workspace) CutSockets() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sockets {
		s.stop()
	}
}

// StallSockets leaves every connection open and silent: no ping, no envelope
// gets through, no ack is heard.
func (w *Workspace) StallSockets() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sockets {
		s.stalled = true
	}
}
