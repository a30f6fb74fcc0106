package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/config"
	"github.com/yairfalse/tapio/cmd/tapio/lifecycle"
	"github.com/yairfalse/tapio/cmd/tapio/loop"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
)

type recordOptions struct {
	config   config.Config
	cluster  cluster
	file     string
	duration time.Duration // 0: until the context ends
	log      *slog.Logger
	out      io.Writer
}

func newRecord(t terminal, logger loggers) *cobra.Command {
	var (
		configFile string
		o          = recordOptions{out: t.err}
	)
	cmd := &cobra.Command{
		Use:   "record -o FILE",
		Short: "Record what a cluster reports, for replay",
		Long: `Record what a cluster reports, and the answers to what the engine asks for, as
JSON lines; gzip-compressed where the name ends in .gz. Nothing is stored or
posted. A recording holds names, images, messages and log lines of the cluster
(secrets in log lines are hidden): look at it before you pass it on.`,
		Example: "  tapio record -o incident.jsonl.gz --for 15m\n  tapio replay incident.jsonl.gz",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.log, err = logger(); err != nil {
				return err
			}
			if o.config, err = config.Load(configFile); err != nil {
				return err
			}
			if o.file == "" {
				return fmt.Errorf("name the file to write with -o FILE; see %s --help", cmd.CommandPath())
			}
			return record(cmd.Context(), o)
		},
	}
	o.cluster.flags(cmd)
	cmd.Flags().StringVarP(&o.file, "output", "o", "", "file to write; it must not exist yet")
	cmd.Flags().DurationVar(&o.duration, "for", 0, "how long to record; without it, until Ctrl-C")
	cmd.Flags().StringVar(&configFile, "config", "", "config file, for its engine settings and templates")
	cmd.AddCommand(newExport(t))
	return cmd
}

// record runs collector and engine without a store and a bot, and writes what
// the engine is fed. It prints each story's title as it is told.
func record(ctx context.Context, o recordOptions) (err error) {
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	parts := lifecycle.New()
	defer func() { err = errors.Join(err, parts.Stop(stopTimeout)) }()

	collector, err := newCollector(ctx, o.cluster, o.log, nil)
	if err != nil {
		return err
	}
	control, err := newControlPlane(o.config.ControlPlane, o.cluster, collector, o.log, nil)
	if err != nil {
		return err
	}
	templates, err := loadTemplates(o.config.Engine.Templates, warnTo(o.out))
	if err != nil {
		return err
	}
	h := header(o.config, clusterName(o.config, o.cluster))
	engine, narrator, err := newJudge(h, templates)
	if err != nil {
		return err
	}
	file, err := recording.Create(o.file, h)
	if err != nil {
		return err
	}
	parts.Add("recording", func(context.Context) error { return file.Close() })

	loop, err := loop.New(loop.Options{
		Engine: engine, Narrator: narrator, Ask: collector.Answer, Recording: file, Log: o.log,
		Save: func(_ context.Context, stories []tapio.Story) error {
			for _, s := range stories {
				fmt.Fprintf(o.out, "%s  %s: %s\n", s.Updated.UTC().Format(time.TimeOnly), s.Status, s.Title)
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	startWatch(parts, loop, source{"collector", collector.Run}, source{"control plane", control.Run})
	fmt.Fprintf(o.out, "Recording to %s. Stop with Ctrl-C.\n", o.file)
	return wait(ctx, parts)
}

// source is a collector by its name: it sends what it sees until its context
// ends.
type source struct {
	name string
	run  func(context.Context, chan<- tapio.Observation) error
}

// startWatch starts the loop and the collectors that feed it.
func startWatch(parts *lifecycle.Parts, loop *loop.Loop, sources ...source) {
	// The collectors' own queues are the bounded ones. This channel only spares
	// the goroutines a switch for each observation. It keeps the order of each
	// collector; the last one to end closes it, after which the loop drains it
	// and ends.
	in := make(chan tapio.Observation, 1024)
	parts.Run("engine", func(ctx context.Context) error { return loop.Run(ctx, in) })
	var running sync.WaitGroup
	running.Add(len(sources))
	for _, s := range sources {
		parts.Run(s.name, func(ctx context.Context) error {
			defer running.Done()
			return s.run(ctx, in)
		})
	}
	go func() {
		running.Wait()
		close(in)
	}()
}

// wait returns when the context ends, with nil, or when a part fails.
func wait(ctx context.Context, parts *lifecycle.Parts) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-parts.Failed():
		return err
	}
}
