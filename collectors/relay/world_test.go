package relay_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/relay"
	"github.com/yairfalse/tapio/collectors/relay/sender"
	"github.com/yairfalse/tapio/collectors/relay/spool"
	authenticationv1 "k8s.io/api/authentication/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"
)

// world is an API server that knows tokens, an engine that can be killed, a
// link that can be cut, and agents. The API server is an HTTP stand-in here;
// the end-to-end tests have the real one.
type world struct {
	t       testing.TB
	dir     string
	reviews authenticationclient.TokenReviewInterface
	engine  *engineEnd
	link    *link
	quota   int
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, dir: t.TempDir(), quota: 100_000}
	api := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		var review authenticationv1.TokenReview
		if err := json.NewDecoder(in.Body).Decode(&review); err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
			return
		}
		// A token is "account@node", account as namespace:name.
		account, node, ok := strings.Cut(review.Spec.Token, "@")
		review.Status = authenticationv1.TokenReviewStatus{Authenticated: ok}
		if ok {
			review.Status.Audiences = review.Spec.Audiences
			review.Status.User = authenticationv1.UserInfo{
				Username: "system:serviceaccount:" + account,
				Extra:    map[string]authenticationv1.ExtraValue{"authentication.kubernetes.io/node-name": {node}},
			}
		}
		out.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(out).Encode(&review); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(api.Close)
	client, err := authenticationclient.NewForConfig(&rest.Config{Host: api.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	w.reviews = client.TokenReviews()
	w.certificate(time.Now().Add(time.Hour))
	w.link = newLink(t)
	return w
}

// certificate writes a certificate that lasts until then, signed by itself.
func (w *world) certificate(until time.Time) {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "relay"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, DNSNames: []string{"relay.test"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	w.write("tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (w *world) write(name string, data []byte) string {
	w.t.Helper()
	file := filepath.Join(w.dir, name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// engineEnd is one run of the engine's end, with what it was told.
type engineEnd struct {
	server *relay.Server
	stop   func()
	mu     sync.Mutex
	told   []tapio.Observation
	slow   time.Duration // for each observation
}

// start starts the engine's end, at the far side of the link.
func (w *world) start() *engineEnd {
	w.t.Helper()
	server, err := relay.NewServer(relay.ServerOptions{
		Listen: "127.0.0.1:0", CertFile: filepath.Join(w.dir, "tls.crt"), KeyFile: filepath.Join(w.dir, "tls.key"),
		Reviews: w.reviews, Agents: []string{"tapio/tapio-agent"}, Quota: w.quota, Log: logTo(w.t),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	in := make(chan tapio.Observation)
	e := &engineEnd{server: server}
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Run(ctx, in); err != nil {
			w.t.Error(err)
		}
		close(in)
	})
	running.Go(func() {
		for o := range in {
			e.mu.Lock()
			e.told = append(e.told, o)
			wait := e.slow
			e.mu.Unlock()
			time.Sleep(wait)
		}
	})
	e.stop = func() { cancel(); running.Wait() }
	w.t.Cleanup(e.stop)
	w.engine = e
	w.link.to(server.Address().String())
	return e
}

// events are the test's own numbers of what the engine was told, and the gaps.
func (e *engineEnd) events() (own []int, gaps []tapio.Gap, others []tapio.EventType) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range e.told {
		switch {
		case o.Gap != nil:
			gaps = append(gaps, *o.Gap)
		case o.Event.Source == tapio.SourceAgent:
			others = append(others, o.Event.Type)
		default:
			own = append(own, o.Event.Int("n"))
		}
	}
	return own, gaps, others
}

// agent is one agent.
type agent struct {
	spool  *spool.Spool
	sender *sender.Sender
	stop   func()
}

// agent starts an agent with a token and a buffer.
func (w *world) agent(node, token, dir string, entries int) *agent {
	w.t.Helper()
	s, err := spool.Open(spool.Options{Dir: dir, Node: node, Entries: entries})
	if err != nil {
		w.t.Fatal(err)
	}
	line, err := sender.New(sender.Options{
		Address: w.link.address(), ServerName: "relay.test", CAFile: filepath.Join(w.dir, "tls.crt"),
		TokenFile: w.write("token-"+node, []byte(token+"\n")), Node: node, Spool: s,
		Lacking: func() []string { return nil }, Log: logTo(w.t),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var sending, writing sync.WaitGroup
	writeCtx, end := context.WithCancel(context.Background())
	writing.Go(func() {
		if err := s.Run(writeCtx); err != nil {
			w.t.Error(err)
		}
	})
	sending.Go(func() {
		if err := line.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	var once sync.Once
	a := &agent{spool: s, sender: line, stop: func() {
		once.Do(func() { cancel(); sending.Wait(); end(); writing.Wait() })
	}}
	w.t.Cleanup(a.stop)
	return a
}

const goodToken = "tapio:tapio-agent@node-1"

// event is the n-th thing that an agent of the node saw.
func event(node string, n int) tapio.Observation {
	at := time.Now().UTC().Round(0)
	e := &tapio.Event{
		Time: at, Seen: at, Source: tapio.SourceCRI, Type: tapio.CRIContainerStarted, Severity: tapio.SeverityInfo,
		Entity: tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "web-" + node, Container: "app"},
		Attrs:  map[string]string{tapio.AttrContainerID: fmt.Sprintf("containerd://%s-%d", node, n), "n": fmt.Sprint(n), tapio.AttrNode: node},
	}
	e.SetID()
	return tapio.Observation{Time: at, Event: e}
}

// inOrderOnce fails unless own is from 0 to n-1.
func inOrderOnce(t *testing.T, own []int, n int) {
	t.Helper()
	if len(own) != n {
		t.Errorf("%d events arrived, want %d", len(own), n)
	}
	for i, v := range own {
		if v != i {
			t.Fatalf("the event in place %d is number %d", i, v)
		}
	}
}

func await(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, limit)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func logTo(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// link is a network in between that can be cut.
type link struct {
	listener net.Listener
	mu       sync.Mutex
	target   string
	cut      bool
	conns    map[net.Conn]bool
}

func newLink(t testing.TB) *link {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{listener: l, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); k.set(true) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go k.join(c)
		}
	}()
	return k
}

func (k *link) address() string { return k.listener.Addr().String() }

func (k *link) to(target string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.target = target
}

// set cuts the link, or mends it.
func (k *link) set(cut bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut = cut
	if cut {
		for c := range k.conns {
			c.Close()
		}
	}
}

func (k *link) join(near net.Conn) {
	defer near.Close()
	k.mu.Lock()
	target, cut := k.target, k.cut
	k.mu.Unlock()
	if cut {
		return
	}
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	k.mu.Lock()
	k.conns[near], k.conns[far] = true, true
	k.mu.Unlock()
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			io.Copy(way[0], way[1])
			done <- struct{}{}
		}()
	}
	<-done
	k.mu.Lock()
	delete(k.conns, near)
	delete(k.conns, far)
	k.mu.Unlock()
}
