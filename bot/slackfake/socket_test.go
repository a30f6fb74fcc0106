package slackfake

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

// pipes is a listener in memory, for tests with a clock of their own.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	a, b := net.Pipe()
	p.conns <- b
	return a, nil
}

// servePipes serves a workspace in memory until the test ends.
func servePipes(t *testing.T, w *Workspace) *pipes {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: w.Handler()}
	go srv.Serve(p)
	t.Cleanup(func() { w.Close(); srv.Close() })
	return p
}

// app is a Socket Mode client that acks what decide says.
type app struct {
	conn  *websocket.Conn
	heard chan envelope // what came, hello first
}

type envelope struct {
	Type       string            `json:"type"`
	Reason     string            `json:"reason"`
	EnvelopeID string            `json:"envelope_id"`
	Retry      int               `json:"retry_attempt"`
	Payload    map[string]string `json:"payload"`
}

// connect opens a socket. ack returns the payload of the ack, or false for none.
func connect(t *testing.T, w *Workspace, p *pipes, ack func(envelope) (any, bool)) *app {
	t.Helper()
	_, out := call(t, w, "apps.connections.open", "token", w.AppToken())
	d := websocket.Dialer{NetDialContext: p.dial}
	conn, _, err := d.Dial(out["url"].(string), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	a := &app{conn: conn, heard: make(chan envelope, 100)}
	go func() {
		defer close(a.heard)
		for {
			var e envelope
			if conn.ReadJSON(&e) != nil {
				return
			}
			a.heard <- e
			if e.EnvelopeID == "" {
				continue
			}
			if payload, yes := ack(e); yes {
				conn.WriteJSON(map[string]any{"envelope_id": e.EnvelopeID, "payload": payload})
			}
		}
	}()
	if e := <-a.heard; e.Type != "hello" && e.Reason == "" {
		t.Fatalf("first message %+v", e)
	}
	return a
}

func always(payload any) func(envelope) (any, bool) {
	return func(envelope) (any, bool) { return payload, true }
}

func TestLostAckIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Options{})
		p := servePipes(t, w)
		a := connect(t, w, p, func(e envelope) (any, bool) { return map[string]string{"text": "done"}, e.Retry == 2 })
		start := time.Now()
		m, err := w.Command(t.Context(), "you", "incidents", "/tapio list open")
		if err != nil {
			t.Fatal(err)
		}
		// 3 s without an ack, at once again, 3 s, a minute later again.
		if took := time.Since(start); took != 66*time.Second {
			t.Errorf("answered after %v, want 66 s", took)
		}
		if m.Text != "done" || !m.Ephemeral {
			t.Errorf("answer %+v", m)
		}
		triggers := map[string]bool{}
		for retry := range 3 {
			e := <-a.heard
			triggers[e.Payload["trigger_id"]] = true
			if e.Retry != retry || e.Payload["command"] != "/tapio" || e.Payload["text"] != "list open" {
				t.Errorf("envelope %+v", e)
			}
		}
		if len(triggers) != 1 {
			t.Errorf("retries should carry the same trigger: %v", triggers)
		}
	})
}

func TestCommandWithoutApp(t *testing.T) {
	w := New(Options{})
	if _, err := w.Command(t.Context(), "you", "incidents", "/tapio"); !errors.Is(err, ErrNoApp) {
		t.Errorf("error %v", err)
	}
	if _, err := w.Command(t.Context(), "nobody", "incidents", "/tapio"); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("error %v", err)
	}
}

func TestNeverAcked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Options{})
		p := servePipes(t, w)
		connect(t, w, p, func(envelope) (any, bool) { return nil, false })
		start := time.Now()
		if _, err := w.Command(t.Context(), "you", "incidents", "/tapio"); !errors.Is(err, ErrTimeout) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took != 6*time.Minute+12*time.Second {
			t.Errorf("gave up after %v, want 6 min and 4 times 3 s", took)
		}
	})
}

func TestEnvelopeFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Options{})
		p := servePipes(t, w)
		a := connect(t, w, p, always(map[string]string{"text": "ok"}))
		w.Inject(Fault{Kind: DuplicateEnvelope, Method: "envelope"})
		w.Inject(Fault{Kind: LostAck, Method: "envelope", Nth: 2})
		for range 2 {
			if _, err := w.Command(t.Context(), "you", "incidents", "/tapio"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := len(a.heard); n != 4 {
			t.Errorf("%d envelopes, want two copies of the first and two attempts of the second", n)
		}
		if n := len(w.Ephemerals("you")); n != 2 {
			t.Errorf("%d answers shown, want 2", n)
		}
	})
}

func TestEachEnvelopeGoesToOneSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Options{})
		p := servePipes(t, w)
		var apps []*app
		for range maxSockets {
			apps = append(apps, connect(t, w, p, always(map[string]string{"text": "ok"})))
		}
		if w.Sockets() != maxSockets {
			t.Fatalf("%d sockets", w.Sockets())
		}
		extra := connect(t, w, p, always(nil))
		if _, open := <-extra.heard; open || w.Sockets() != maxSockets {
			t.Error("an eleventh socket stayed open")
		}
		for range maxSockets {
			if _, err := w.Command(t.Context(), "you", "incidents", "/tapio"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for i, a := range apps {
			if len(a.heard) != 1 {
				t.Errorf("socket %d got %d envelopes", i, len(a.heard))
			}
		}
	})
}

func TestRefreshCutAndStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Options{})
		p := servePipes(t, w)
		old := connect(t, w, p, always(nil))
		w.RefreshSockets()
		if e := <-old.heard; e.Type != "disconnect" || e.Reason != "refresh_requested" {
			t.Errorf("got %+v", e)
		}
		fresh := connect(t, w, p, always(map[string]string{"text": "ok"}))
		if _, err := w.Command(t.Context(), "you", "incidents", "/tapio"); err != nil {
			t.Fatal(err)
		}
		if e := <-fresh.heard; e.Type != "slash_commands" {
			t.Errorf("the new socket got %+v", e)
		}
		time.Sleep(refreshAfter)
		synctest.Wait()
		if _, open := <-old.heard; open || w.Sockets() != 1 {
			t.Error("the old socket is still open")
		}
		w.StallSockets()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := w.Command(ctx, "you", "incidents", "/tapio"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("over a stalled socket: %v", err)
		}
		w.CutSockets()
		synctest.Wait()
		if w.Sockets() != 0 {
			t.Error("a cut socket is still open")
		}
	})
}

func TestTicketsWorkOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Options{})
		p := servePipes(t, w)
		_, out := call(t, w, "apps.connections.open", "token", w.AppToken())
		d := websocket.Dialer{NetDialContext: p.dial}
		conn, _, err := d.Dial(out["url"].(string), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, resp, err := d.Dial(out["url"].(string), nil); err == nil || resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("second use of a ticket: %v", err)
		}
	})
}

func TestPings10s(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Options{})
		p := servePipes(t, w)
		_, out := call(t, w, "apps.connections.open", "token", w.AppToken())
		d := websocket.Dialer{NetDialContext: p.dial}
		conn, _, err := d.Dial(out["url"].(string), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		pinged := make(chan string, 1)
		conn.SetPingHandler(func(s string) error { pinged <- s; return nil })
		go func() {
			var v json.RawMessage
			for conn.ReadJSON(&v) == nil {
			}
		}()
		start := time.Now()
		if s := <-pinged; s != "ping 1" || time.Since(start) != pingEvery {
			t.Errorf("%q after %v", s, time.Since(start))
		}
	})
}
