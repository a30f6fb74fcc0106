// Package sender is an agent's end of the relay: it keeps a line to the engine
// open and tells what the spool holds, in order, until the engine has it. See
// the package relay for what both ends promise. It stands apart so that an
// agent carries nothing of the engine's end.
package sender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/yairfalse/tapio/collectors/relay/spool"
	"github.com/yairfalse/tapio/collectors/relay/wire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // makes the compressor known
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

const (
	// beat is how often an agent says that it lives: the engine's end takes 20
	// seconds of silence for its loss.
	beat = 5 * time.Second
	// retell is how much a new run of the engine is told again: as far back as
	// a change may lie before the failure that it is the trigger of.
	retell = 10 * time.Minute
	// maxWord bounds a message: a batch and some.
	maxWord = 1 << 20
	// Bounds of a batch: enough to spare round trips, few enough to be
	// acknowledged many times a second.
	batchEntries = 500
	batchBytes   = 256 << 10
	// window is how many entries may be on the way without a receipt.
	window = 5_000
)

// Waits between tries to open a line.
const (
	firstWait = 500 * time.Millisecond
	longWait  = 15 * time.Second
)

// Options are what an agent's end of the relay needs.
type Options struct {
	Address    string // host:port of the server
	ServerName string // in the server's certificate; "" takes the host of the address
	CAFile     string // PEM with what signs the server's certificate; read at each try
	TokenFile  string // the service account's token; read at each try, because it is rotated
	Node       string // name of the node
	Spool      *spool.Spool
	Lacking    func() []string // what the agent can't see, one line each
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

func (o *Options) validate() error {
	host, _, err := net.SplitHostPort(o.Address)
	switch {
	case err != nil:
		return fmt.Errorf("relay: %q is not the address of an engine such as tapio-relay.tapio.svc:7443", o.Address)
	case o.CAFile == "" || o.TokenFile == "" || o.Node == "":
		return errors.New("relay: CA file, token file and node name are all needed")
	case o.Spool == nil || o.Lacking == nil || o.Log == nil:
		return errors.New("relay: spool, lacking and log are all needed")
	}
	if o.ServerName == "" {
		o.ServerName = host
	}
	return nil
}

// Sender is an agent's end of the relay.
type Sender struct {
	opts    Options
	metrics *metrics
	problem atomic.Pointer[string]
}

// New returns a Sender that is not running yet.
func New(o Options) (*Sender, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Sender{opts: o}
	s.metrics = newMetrics(o.Spool)
	text := "no engine was reached yet"
	s.problem.Store(&text)
	if o.Registerer != nil {
		if err := o.Registerer.Register(s.metrics); err != nil {
			return nil, fmt.Errorf("relay: %w", err)
		}
	}
	return s, nil
}

// Problem says in one line why the engine isn't reached, or nothing.
func (s *Sender) Problem() string {
	if p := s.problem.Load(); p != nil {
		return *p
	}
	return ""
}

// Run keeps a line to the engine open until ctx ends. It never gives up: what
// can't be sent waits in the spool.
func (s *Sender) Run(ctx context.Context) error {
	wait, said := firstWait, ""
	for {
		began := time.Now()
		err := s.line(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil || time.Since(began) > longWait {
			wait, said = firstWait, ""
		}
		if err != nil {
			text := explain(err)
			s.problem.Store(&text)
			s.metrics.failures.Inc()
			if text != said { // once for each way to fail
				s.opts.Log.Warn("the engine is not reached; what is seen waits in the buffer", "address", s.opts.Address, "err", text)
				said = text
			}
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, longWait)
		case <-ctx.Done():
			return nil
		}
	}
}

// line opens one line and tells what the spool holds until it breaks. A nil
// error means that the server ended it in good order.
func (s *Sender) line(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	roots, err := authorities(s.opts.CAFile)
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient("passthrough:///"+s.opts.Address,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			RootCAs: roots, ServerName: s.opts.ServerName, MinVersion: tls.VersionTLS13,
		})),
		grpc.WithPerRPCCredentials(bearer{s.opts.TokenFile}),
		grpc.WithDefaultCallOptions(grpc.UseCompressor("gzip"), grpc.MaxCallSendMsgSize(maxWord)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithUserAgent("tapio-agent"),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithNoProxy(),
	)
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := wire.NewRelayClient(conn).Tell(ctx)
	if err != nil {
		return err
	}
	hello := &wire.Hello{Node: s.opts.Node, Spool: s.opts.Spool.ID()}
	if err := stream.Send(&wire.Word{Kind: &wire.Word_Hello{Hello: hello}}); err != nil {
		return ended(stream, err)
	}
	answer, err := stream.Recv()
	if err != nil {
		return err
	}
	welcome := answer.GetWelcome()
	if welcome == nil {
		return errors.New("the engine's first word is no welcome: agent and engine are not of one release")
	}
	from, err := s.opts.Spool.Resume(welcome.Engine, welcome.Through, time.Now().Add(-retell))
	if err != nil {
		return err
	}
	s.problem.Store(nil)
	s.metrics.connected.Set(1)
	defer s.metrics.connected.Set(0)
	s.opts.Log.Info("the engine is reached", "address", s.opts.Address, "from", from)

	// Receipts are read beside what is sent; the channel holds the newest one,
	// which says all that the ones before it said.
	receipts := make(chan uint64, 1)
	broken := make(chan error, 1)
	go func() {
		for {
			answer, err := stream.Recv()
			if err != nil {
				broken <- err
				return
			}
			through := answer.GetReceipt().GetThrough()
			select {
			case <-receipts:
			default:
			}
			receipts <- through
		}
	}()
	return s.tell(stream, welcome.Engine, from, receipts, broken)
}

// tell sends batches behind the number and heartbeats until the line breaks.
func (s *Sender) tell(stream wire.Relay_TellClient, engine string, from uint64, receipts <-chan uint64, broken <-chan error) error {
	clock := time.NewTicker(beat)
	defer clock.Stop()
	sent, acknowledged := from, from
	if err := s.beat(stream); err != nil {
		return ended(stream, err)
	}
	for {
		// Batches go out while there is something and the window has room.
		for sent < acknowledged+window {
			list, err := s.opts.Spool.After(sent, batchEntries, batchBytes)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				break
			}
			batch := &wire.Batch{Entries: make([]*wire.Entry, len(list))}
			for i, e := range list {
				batch.Entries[i] = &wire.Entry{Number: e.Number, Observation: e.Observation}
			}
			if err := stream.Send(&wire.Word{Kind: &wire.Word_Batch{Batch: batch}}); err != nil {
				return ended(stream, err)
			}
			sent = list[len(list)-1].Number
			s.metrics.sent.Add(float64(len(list)))
			select {
			case through := <-receipts:
				acknowledged = max(acknowledged, through)
			default:
			}
		}
		select {
		case <-s.opts.Spool.Saved():
		case through := <-receipts:
			acknowledged = max(acknowledged, through)
			if err := s.opts.Spool.Acknowledge(engine, acknowledged); err != nil {
				return fmt.Errorf("note what the engine has: %w", err)
			}
		case <-clock.C:
			if err := s.beat(stream); err != nil {
				return ended(stream, err)
			}
		case err := <-broken:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func (s *Sender) beat(stream wire.Relay_TellClient) error {
	waiting, _ := s.opts.Spool.Waiting()
	return stream.Send(&wire.Word{Kind: &wire.Word_Heartbeat{Heartbeat: &wire.Heartbeat{
		Time: time.Now().UnixNano(), Lacking: s.opts.Lacking(), Waiting: waiting,
	}}})
}

// ended returns why a line ended on which nothing can be sent any more.
func ended(stream wire.Relay_TellClient, err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
}

// bearer shows the token of a file, which is read each time.
type bearer struct{ file string }

// GetRequestMetadata implements [credentials.PerRPCCredentials].
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := os.ReadFile(b.file)
	if err != nil {
		return nil, status.Errorf(codes.Unauthenticated, "read the service account's token: %v", err)
	}
	return map[string]string{"authorization": "Bearer " + strings.TrimSpace(string(token))}, nil
}

// RequireTransportSecurity implements [credentials.PerRPCCredentials].
func (bearer) RequireTransportSecurity() bool { return true }

func authorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the relay's CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the relay's CA: %s holds no certificate", file)
	}
	return roots, nil
}

// explain adds what to look at to the errors that a person can mend.
func explain(err error) string {
	text := err.Error()
	if s, ok := status.FromError(err); ok {
		text = s.Message()
	}
	hint := ""
	switch {
	case strings.Contains(text, "certificate has expired"):
		hint = "the relay's certificate has expired, or the clock of this node is wrong: renew the certificate (helm upgrade), or mend the clock"
	case strings.Contains(text, "certificate signed by unknown authority"), strings.Contains(text, "certificate is valid for"):
		hint = "the relay's certificate is not the one that ca_file and server_name expect"
	case status.Code(err) == codes.Unauthenticated:
		hint = "the engine refuses the token: it must be projected with the audience \"tapio\""
	case status.Code(err) == codes.PermissionDenied:
		hint = "the engine knows the token and does not take it for an agent's of this node: see relay.agents in its config"
	case strings.Contains(text, "connection refused"):
		hint = "nothing listens there: is the engine running, and relay.listen set?"
	}
	if hint != "" {
		return text + " (" + hint + ")"
	}
	return text
}
