package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/api"
	"github.com/yairfalse/tapio/cmd/tapio/blackbox"
	"github.com/yairfalse/tapio/cmd/tapio/config"
	"github.com/yairfalse/tapio/cmd/tapio/lifecycle"
	"github.com/yairfalse/tapio/cmd/tapio/loop"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
	"github.com/yairfalse/tapio/store"
)

// stopTimeout bounds a clean stop. It is below the 30 s that Kubernetes gives a
// pod before it kills it.
const stopTimeout = 20 * time.Second

// maxRestored is how many resolved stories the engine is reminded of at start:
// enough to reopen what has just ended and to say "seen before".
const maxRestored = 200

// runOptions is what run needs. Flags have been applied to the config.
type runOptions struct {
	config      config.Config
	cluster     cluster
	localSlack  bool   // serve the local workspace instead of talking to Slack
	localListen string // loopback address of the local workspace
	memory      bool   // keep the journal in memory
	record      string // file to record to; "" records nothing
	log         *slog.Logger
	out         io.Writer
}

func newRun(t terminal, logger loggers) *cobra.Command {
	var (
		configFile, slack, listen, data string
		printConfig                     bool
		o                               = runOptions{out: t.out}
	)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Watch a cluster and tell its incidents in Slack",
		Long: `Watch a cluster and tell its incidents in Slack, until it is stopped. Tokens come
from environment variables or files that the config names: SLACK_BOT_TOKEN and
SLACK_APP_TOKEN where it names no others.

--slack=local tells them on a page of this machine instead; then nothing is kept
unless --data names a folder.`,
		Example: `  tapio run --slack=local
  tapio run --config tapio.yaml
  tapio run --print-config > tapio.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if printConfig {
				_, err := t.out.Write(config.Reference)
				return err
			}
			if o.log, err = logger(); err != nil {
				return err
			}
			if o.config, err = config.Load(configFile); err != nil {
				return err
			}
			switch slack {
			case "":
			case "local":
				o.localSlack = true
				o.memory = data == ""
			default:
				return fmt.Errorf("--slack=%s: the only other workspace is \"local\"; leave the flag out for Slack itself", slack)
			}
			if listen != "" {
				o.config.Listen = listen
			}
			if data != "" {
				o.config.Store.Dir = data
			}
			return run(cmd.Context(), o)
		},
	}
	o.cluster.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&configFile, "config", "", "config file; without it every setting has its default")
	f.BoolVar(&printConfig, "print-config", false, "print every setting with its default, and end")
	f.StringVar(&slack, "slack", "", "\"local\" tells stories on a page of this machine instead of Slack")
	f.StringVar(&o.localListen, "local-listen", "127.0.0.1:8090", "loopback address of that page")
	f.StringVar(&listen, "listen", "", "address of health, metrics and the stories API, instead of the config's")
	f.StringVar(&data, "data", "", "folder of the journal, instead of the config's")
	f.StringVar(&o.record, "record", "", "file to record all that the engine sees to, for tapio replay")
	return cmd
}

// run joins the parts and waits for the context to end or a part to fail. A
// part is made, its undoing is stacked beside it, the next part uses it; the
// stop is the same list reversed.
func run(ctx context.Context, o runOptions) (err error) {
	parts := lifecycle.New()
	defer func() { err = errors.Join(err, parts.Stop(stopTimeout)) }()
	registry := newRegistry()

	// First up and last down, so that it can be seen what a start or a stop
	// waits for.
	health := &health{}
	front := &front{}
	front.serve(health.starting())
	l, err := net.Listen("tcp", o.config.Listen)
	if err != nil {
		return fmt.Errorf("health and API: %w; name another address with --listen", err)
	}
	serve(parts, "health and API", l, front)

	storeOptions := store.Options{Dir: o.config.Store.Dir, Retention: time.Duration(o.config.Store.Retention), Log: o.log, Registerer: registry}
	if o.memory {
		storeOptions.Dir, storeOptions.InMemory = "", true
	}
	journal, err := store.Open(storeOptions)
	if err != nil {
		return err
	}
	parts.Add("store", func(context.Context) error { return journal.Close() })

	templates, err := loadTemplates(o.config.Engine.Templates, func(err error) { o.log.Warn("template refused", "error", err) })
	if err != nil {
		return err
	}
	kept := newKeeper(o)
	speaker, err := startSlack(parts, o, journal, registry, extras{
		causes: causeNames(templates), keep: keeping(journal, kept), lacking: health.lacking,
	})
	if err != nil {
		return err
	}
	health.add(speaker.lacking)

	// The cluster is asked before the engine is made: a wrong kubeconfig ends
	// the start here.
	collector, err := newCollector(ctx, o.cluster, o.log, registry)
	if err != nil {
		return err
	}
	control, err := newControlPlane(o.config.ControlPlane, o.cluster, collector, o.log, registry)
	if err != nil {
		return err
	}
	health.add(func() string {
		select {
		case <-collector.Synced():
			return ""
		default:
			return "kubernetes: the first listing is not complete"
		}
	})

	agents, err := newRelay(o, registry)
	if err != nil {
		return err
	}

	h, err := recall(ctx, journal, header(o.config, clusterName(o.config, o.cluster)))
	if err != nil {
		return err
	}
	engine, narrator, err := newJudge(h, templates)
	if err != nil {
		return err
	}
	var file *recording.Writer
	if o.record != "" {
		if file, err = recording.Create(o.record, h); err != nil {
			return err
		}
		parts.Add("recording", func(context.Context) error { return file.Close() })
	}
	loop, err := loop.New(loop.Options{
		Engine: engine, Narrator: narrator, Save: saver(journal, o.log), Ask: collector.Answer,
		Recording: file, Memory: kept.Box, Log: o.log, Registerer: registry,
	})
	if err != nil {
		return err
	}
	health.add(loop.Lacking)

	handler, err := api.Handler(api.Options{
		Stories: journal, Metrics: metricsHandler(registry), Ready: health.lacking, Slack: speaker.handler,
		Kept: api.Kept{Ledger: journal, Recording: kept.Write},
		Log:  o.log, Now: time.Now,
	})
	if err != nil {
		return err
	}
	front.serve(handler)
	sources := []source{{"collector", collector.Run}, {"control plane", control.Run}}
	if agents != nil {
		sources = append(sources, source{"relay", agents.Run})
	}
	startWatch(parts, loop, sources...)
	parts.Run("first listing", func(ctx context.Context) error { return noteListing(ctx, collector.Synced(), journal) })

	o.log.Info("watching", "cluster", h.Cluster, "api", "http://"+l.Addr().String(), "open_stories", countOpen(h.Restored), "templates", len(templates))
	return wait(ctx, parts)
}

// newKeeper remembers what the engine is fed, and keeps what was seen of a
// story that somebody calls right or wrong in a folder beside the journal.
func newKeeper(o runOptions) *blackbox.Keeper {
	k := &blackbox.Keeper{Box: blackbox.New(blackbox.Options{}), Header: header(o.config, clusterName(o.config, o.cluster))}
	if !o.memory {
		k.Folder = filepath.Clean(o.config.Store.Dir) + "-recordings"
	}
	return k
}

// keeping keeps what was seen of a story of the journal.
func keeping(journal *store.Store, k *blackbox.Keeper) func(context.Context, string) error {
	return func(ctx context.Context, id string) error {
		s, err := journal.Story(ctx, id)
		if err != nil {
			return err
		}
		return k.Keep(&s)
	}
}

// saver appends to the journal. A story that the journal refuses for good is
// logged and left behind, so that it doesn't hold up all others.
func saver(journal *store.Store, log *slog.Logger) func(context.Context, []tapio.Story) error {
	return func(ctx context.Context, stories []tapio.Story) error {
		_, err := journal.Append(ctx, stories)
		if !refused(err) {
			return err
		}
		for _, s := range stories {
			_, err := journal.Append(ctx, []tapio.Story{s})
			switch {
			case refused(err):
				log.Error("the store refuses a revision", "story", s.ID, "revision", s.Revision, "title", s.Title, "err", err)
			case err != nil:
				return err
			}
		}
		return nil
	}
}

// refused reports whether the journal will never take the story, however often
// it is tried.
func refused(err error) bool {
	return errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrInvalid)
}

// keyListed is the ledger's record of the first complete listing.
const keyListed = "run/listed"

// recall adds to the header what the journal knows of earlier runs: the open
// stories, the lately resolved ones, and whether there was an earlier run.
func recall(ctx context.Context, journal *store.Store, h recording.Header) (recording.Header, error) {
	open, err := journal.Stories(ctx, tapio.Query{Status: tapio.StatusOpen})
	if err != nil {
		return h, fmt.Errorf("read open stories: %w", err)
	}
	resolved, err := journal.Stories(ctx, tapio.Query{Status: tapio.StatusResolved, Limit: maxRestored})
	if err != nil {
		return h, fmt.Errorf("read resolved stories: %w", err)
	}
	listed, err := journal.Read(ctx, keyListed)
	if err != nil {
		return h, fmt.Errorf("read the ledger: %w", err)
	}
	h.Restored = append(open, resolved...)
	h.Backlog = len(listed) == 0
	return h, nil
}

// noteListing writes down that the cluster was listed once: what is found
// failing from then on is news and no backlog, also after a restart.
func noteListing(ctx context.Context, synced <-chan struct{}, journal *store.Store) error {
	select {
	case <-synced:
	case <-ctx.Done():
		return nil
	}
	err := journal.Write(ctx, tapio.Record{Key: keyListed, Value: []byte(time.Now().UTC().Format(time.RFC3339))})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	return nil
}

func countOpen(stories []tapio.Story) int {
	n := 0
	for _, s := range stories {
		if s.Status == tapio.StatusOpen {
			n++
		}
	}
	return n
}

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func metricsHandler(r *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}
