package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/lifecycle"
	"github.com/yairfalse/tapio/collectors/cri"
	"github.com/yairfalse/tapio/collectors/kernel"
	"github.com/yairfalse/tapio/collectors/relay/sender"
	"github.com/yairfalse/tapio/collectors/relay/spool"
)

// stopTimeout bounds a clean stop. It is below the 30 s that Kubernetes gives a
// pod before it kills it.
const stopTimeout = 15 * time.Second

// sense is a collector of this node. A new one is added to the list in senses.
type sense struct {
	name string
	// run tells what is sensed until the context ends, and then returns nil. put
	// never waits and may be called from any goroutine; what it is given must
	// not be changed afterwards. An error ends this sense only: it is logged,
	// and lacking says it.
	run func(ctx context.Context, put func(tapio.Observation)) error
	// lacking says, one line each, what it can't see and what would mend that.
	// It may be called at any time, from any goroutine.
	lacking func() []string
}

// options are what run needs. Flags have been applied to the config.
type options struct {
	config config
	log    *slog.Logger
}

// senses makes the collectors of this node.
func senses(o options, registry prometheus.Registerer) ([]sense, error) {
	runtime, err := cri.New(cri.Options{Config: o.config.CRI, Node: o.config.Node, Log: o.log, Registerer: registry})
	if err != nil {
		return nil, err
	}
	seen, err := kernel.New(kernel.Options{Config: o.config.Kernel, Node: o.config.Node, Find: runtime.Find, Log: o.log, Registerer: registry})
	if err != nil {
		return nil, err
	}
	keeper := newKubeletWatch(o.config.Node, o.config.Kubelet.HealthURL, o.log)
	return []sense{
		{name: "cri", run: runtime.Run, lacking: func() []string { return lines(runtime.Lacking()) }},
		{name: "kernel", run: seen.Run, lacking: seen.Lacking},
		{name: "kubelet", run: keeper.run, lacking: func() []string { return lines(keeper.lacking()) }},
	}, nil
}

// run joins the parts and waits for the context to end or a part to fail.
func run(ctx context.Context, o options) (err error) {
	parts := lifecycle.New()
	defer func() { err = errors.Join(err, parts.Stop(stopTimeout)) }()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	buffer, err := spool.Open(spool.Options{
		Dir: o.config.Buffer.Dir, Node: o.config.Node,
		Entries: o.config.Buffer.Entries, Bytes: int64(o.config.Buffer.Megabytes) << 20,
	})
	if err != nil {
		return err
	}
	parts.Run("buffer", buffer.Run)

	list, err := senses(o, registry)
	if err != nil {
		return err
	}
	watch := &watch{senses: list, log: o.log, ended: make(map[string]string)}
	engine := o.config.Engine
	line, err := sender.New(sender.Options{
		Address: engine.Address, ServerName: engine.ServerName, CAFile: engine.CAFile, TokenFile: engine.TokenFile,
		Node: o.config.Node, Spool: buffer, Lacking: watch.lacking, Log: o.log, Registerer: registry,
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", o.config.Listen)
	if err != nil {
		return fmt.Errorf("health and metrics: %w; name another address with listen", err)
	}
	server := &http.Server{Handler: handler(registry, watch, line), ReadHeaderTimeout: 10 * time.Second}
	parts.Run("health and metrics", func(context.Context) error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	parts.Add("health and metrics", func(context.Context) error { return server.Close() })
	parts.Run("relay", line.Run)
	for _, s := range list {
		parts.Run(s.name, func(ctx context.Context) error {
			if err := s.run(ctx, buffer.Put); err != nil && ctx.Err() == nil {
				watch.end(s.name, err)
			}
			return nil
		})
	}
	o.log.Info("watching", "node", o.config.Node, "engine", engine.Address, "health", "http://"+l.Addr().String())
	select {
	case <-ctx.Done():
		return nil
	case err := <-parts.Failed():
		return err
	}
}

// handler serves health and metrics. The agent is ready while it sees and is
// heard: what is lacking is listed.
func handler(registry *prometheus.Registry, w *watch, line *sender.Sender) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(out http.ResponseWriter, _ *http.Request) { fmt.Fprintln(out, "ok") })
	mux.HandleFunc("GET /readyz", func(out http.ResponseWriter, _ *http.Request) {
		lacking := append(w.lacking(), lines(line.Problem())...)
		if len(lacking) > 0 {
			out.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(out, strings.Join(lacking, "\n"))
			return
		}
		fmt.Fprintln(out, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// lines is a line, or none.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}
