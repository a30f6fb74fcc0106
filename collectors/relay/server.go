package relay

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/relay/wire"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // makes the compressor known
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
)

// ServerOptions are what the engine's end of the relay needs.
type ServerOptions struct {
	Listen   string // address such as 0.0.0.0:7443
	CertFile string // PEM; read again when it changes
	KeyFile  string
	Reviews  authenticationclient.TokenReviewInterface
	Agents   []string // service accounts that agents have: namespace/name
	// Quota is how many observations a second one node may tell for long; for a
	// short time it may tell ten times as many.
	Quota      int
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

func (o *ServerOptions) validate() error {
	switch {
	case o.Listen == "" || o.CertFile == "" || o.KeyFile == "":
		return errors.New("relay: address, certificate and key are all needed")
	case o.Reviews == nil || o.Log == nil:
		return errors.New("relay: token reviews and log are both needed")
	case len(o.Agents) == 0:
		return errors.New("relay: name the service account of the agents, such as tapio/tapio-agent")
	case o.Quota <= 0:
		return errors.New("relay: the quota must be above 0")
	}
	return nil
}

// Server is the engine's end of the relay.
type Server struct {
	wire.UnimplementedRelayServer
	opts    ServerOptions
	gate    gate
	run     string // identity of this run of the engine
	listen  net.Listener
	grpc    *grpc.Server
	metrics *serverMetrics
	out     chan<- tapio.Observation
	stop    context.Context

	mu    sync.Mutex
	nodes map[string]*node
}

// NewServer listens and serves nothing yet: Run does.
func NewServer(o ServerOptions) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		opts: o, gate: gate{reviews: o.Reviews, agents: o.Agents}, run: rand.Text(),
		metrics: newServerMetrics(), nodes: map[string]*node{},
	}
	pair := &pair{cert: o.CertFile, key: o.KeyFile}
	if _, err := pair.get(nil); err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(s.metrics); err != nil {
			return nil, fmt.Errorf("relay: %w", err)
		}
	}
	var err error
	if s.listen, err = net.Listen("tcp", o.Listen); err != nil {
		return nil, fmt.Errorf("relay: %w; name another address with relay.listen", err)
	}
	s.grpc = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(&tls.Config{GetCertificate: pair.get, MinVersion: tls.VersionTLS13})),
		grpc.MaxRecvMsgSize(maxWord), grpc.MaxConcurrentStreams(2),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: lineAge, MaxConnectionAgeGrace: 5 * time.Second,
			Time: 10 * time.Second, Timeout: 10 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	wire.RegisterRelayServer(s.grpc, s)
	return s, nil
}

// Address is where the server listens.
func (s *Server) Address() net.Addr { return s.listen.Addr() }

// Run serves agents and sends what they tell to out, until ctx ends. The caller
// owns out and must not close it before Run has returned; while nobody reads
// it, agents wait.
func (s *Server) Run(ctx context.Context, out chan<- tapio.Observation) error {
	s.out, s.stop = out, ctx
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	running.Go(func() { s.listenFor(ctx) })
	running.Go(func() {
		<-ctx.Done()
		s.grpc.Stop() // ends every line; agents keep what has no receipt
	})
	if err := s.grpc.Serve(s.listen); err != nil && ctx.Err() == nil {
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}

// Tell serves one line. It implements [wire.RelayServer].
func (s *Server) Tell(stream wire.Relay_TellServer) error {
	word, err := stream.Recv()
	if err != nil {
		return err
	}
	hello := word.GetHello()
	if hello == nil || hello.Node == "" || hello.Spool == "" || len(hello.Node) > 253 || len(hello.Spool) > 64 {
		s.metrics.refused.WithLabelValues("content").Inc()
		return status.Error(codes.InvalidArgument, "the first word names no node and no buffer")
	}
	if err := s.gate.check(stream.Context(), hello.Node); err != nil {
		s.metrics.refused.WithLabelValues("token").Inc()
		s.opts.Log.Warn("an agent is refused", "node", hello.Node, "err", status.Convert(err).Message())
		return err
	}
	n, ctx, leave := s.enter(stream.Context(), hello)
	defer leave()
	n.taking.Lock() // what an older line of the node is taking counts
	welcome := &wire.Welcome{Engine: s.run, Through: n.spools.through(hello.Spool)}
	n.taking.Unlock()
	if err := stream.Send(&wire.Answer{Kind: &wire.Answer_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	s.opts.Log.Info("an agent is heard", "node", hello.Node)
	for {
		// A newer line of the same node, or the stop, ends this one.
		word, err := stream.Recv()
		if ctx.Err() != nil {
			return status.Error(codes.Aborted, "a newer line of this node is open, or the engine stops")
		}
		if err != nil {
			return err
		}
		s.heard(n)
		switch kind := word.Kind.(type) {
		case *wire.Word_Heartbeat:
			s.beat(n, kind.Heartbeat)
		case *wire.Word_Batch:
			through, err := s.take(ctx, n, hello.Spool, kind.Batch)
			if err != nil {
				return err
			}
			receipt := &wire.Answer{Kind: &wire.Answer_Receipt{Receipt: &wire.Receipt{Through: through}}}
			if err := stream.Send(receipt); err != nil {
				return err
			}
		}
	}
}

// take sends a batch on. It waits where the node is beyond its quota or the
// engine is slow.
func (s *Server) take(ctx context.Context, n *node, spool string, batch *wire.Batch) (uint64, error) {
	n.taking.Lock()
	defer n.taking.Unlock()
	through := n.spools.through(spool)
	for _, entry := range batch.Entries {
		if entry.Number <= through {
			s.metrics.repeated.Inc()
			continue
		}
		if len(entry.Observation) > maxObservation {
			s.refuse(n, "an observation is longer than 16 KiB")
		} else if o, err := tapio.DecodeObservation(entry.Observation); err != nil {
			s.refuse(n, err.Error())
		} else if why := unfit(o); why != "" {
			s.refuse(n, why)
		} else if o.Event != nil && !n.first(o.Event.ID) {
			s.metrics.repeated.Inc()
		} else if err := s.pass(ctx, n, o); err != nil {
			return 0, err
		}
		through = entry.Number
		n.spools.set(spool, through)
	}
	return through, nil
}

// pass gives one observation to the engine.
func (s *Server) pass(ctx context.Context, n *node, o *tapio.Observation) error {
	if wait := n.quota.Reserve().Delay(); wait > 0 {
		s.metrics.throttled.Add(wait.Seconds())
		n.throttled(s.opts.Log)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return status.Error(codes.Aborted, "the line is closed")
		}
		s.heard(n)
	}
	now := now()
	if o.Event != nil && !o.Event.Listed { // what was there before the agent was is no delay
		s.metrics.delay.WithLabelValues(string(o.Event.Source)).Observe(max(0, now.Sub(o.Event.Time)+n.ahead()).Seconds())
	}
	if o.Event != nil && o.Event.Time.After(now.Add(time.Second)) {
		o.Event.Time = now // nothing has happened in the future: the node's clock is wrong
	}
	o.Time = now
	from := tapio.SourceAgent
	switch {
	case o.Event != nil:
		from = o.Event.Source
	case o.Gap != nil:
		from = o.Gap.Source
	}
	select {
	case s.out <- *o:
		s.metrics.observations.WithLabelValues(string(from)).Inc()
		return nil
	case <-ctx.Done():
		if o.Event != nil {
			n.forget(o.Event.ID)
		}
		return status.Error(codes.Aborted, "the line is closed")
	}
}

func (s *Server) refuse(n *node, why string) {
	s.metrics.refused.WithLabelValues("content").Inc()
	n.complain(s.opts.Log, why)
}

// unfit says why an agent may not tell this, or nothing.
func unfit(o *tapio.Observation) string {
	switch {
	case o.State != nil:
		return "an agent tells no states"
	case o.Event != nil:
		switch o.Event.Source {
		case tapio.SourceCRI, tapio.SourceEBPF, tapio.SourceAgent:
		default:
			return fmt.Sprintf("an agent does not speak for %q", o.Event.Source)
		}
		if o.Event.Type == tapio.NodeAgentLost || o.Event.Type == tapio.NodeAgentBack {
			return "an agent does not say of itself that it is gone"
		}
	}
	return ""
}

// now is the wall clock in UTC, without the monotonic reading, which a
// recording can't hold.
func now() time.Time { return time.Now().UTC().Round(0) }

// burst is how many observations a node may tell at once.
func burst(quota int) int { return 10 * quota }

func limiter(quota int) *rate.Limiter { return rate.NewLimiter(rate.Limit(quota), burst(quota)) }
