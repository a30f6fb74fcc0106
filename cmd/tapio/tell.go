package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/config"
	"github.com/yairfalse/tapio/cmd/tapio/lifecycle"
	"github.com/yairfalse/tapio/collectors/kubernetes/dump"
	"github.com/yairfalse/tapio/engine"
)

const (
	// patience is after which time a person is told what is being waited for.
	patience = 2 * time.Second
	// logPatience is how long tell waits for the log lines of crashed
	// containers: what a healthy kubelet needs for one, several times over.
	logPatience = 3 * time.Second
)

type tellOptions struct {
	config  config.Config
	cluster cluster
	sources []string // dumps; none means the live cluster
	in      io.Reader
	log     *slog.Logger
	err     io.Writer
}

func newTell(t terminal, logger loggers) *cobra.Command {
	var (
		configFile string
		out        output
		o          = tellOptions{in: t.in, err: t.err}
	)
	cmd := &cobra.Command{
		Use:   "tell [FILE…|DIR…|-]",
		Short: "Tell what is wrong right now, in a cluster or in dumps of one",
		Long: `Tell what is wrong right now. Without arguments it reads the live cluster of the
kubeconfig. With arguments it reads dumps: lists that "kubectl get … -o json"
wrote ("-" is standard input), or the folder that "kubectl cluster-info dump
-A --output-directory DIR" wrote, logs included.

The exit code is 0 where nothing is wrong, 2 where stories were told, 1 after an
error or where nothing wrong was found in a dump that is damaged.`,
		Example: `  tapio tell
  kubectl get pods,events,deploy,rs,svc,endpointslices,nodes -A -o json | tapio tell -
  tapio tell ./cluster-dump -o markdown`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.log, err = logger(); err != nil {
				return err
			}
			if o.config, err = config.Load(configFile); err != nil {
				return err
			}
			o.sources = args
			stories, looked, err := tell(cmd.Context(), o)
			if err != nil {
				return fmt.Errorf("tell: %w", err)
			}
			if len(stories) == 0 && looked.damaged {
				// Half a dump can't give the all-clear.
				return fmt.Errorf("tell: no story in what could be read (%s); the warnings say what is missing", looked)
			}
			if len(stories) == 0 && out == "text" {
				_, err := fmt.Fprintf(t.out, "Nothing wrong: looked at %s.\n", looked)
				return err
			}
			if err := out.write(t, stories); err != nil || len(stories) == 0 {
				return err
			}
			return toldStories
		},
	}
	o.cluster.flags(cmd)
	out.flag(cmd)
	cmd.Flags().StringVar(&configFile, "config", "", "config file, for its templates")
	return cmd
}

// tell returns the stories of this moment and says what was looked at.
func tell(ctx context.Context, o tellOptions) ([]tapio.Story, *looked, error) {
	templates, err := loadTemplates(o.config.Engine.Templates, warnTo(o.err))
	if err != nil {
		return nil, nil, err
	}
	name := o.config.Cluster
	if len(o.sources) == 0 {
		name = clusterName(o.config, o.cluster)
	}
	engine, narrator, err := newJudge(header(o.config, name), templates)
	if err != nil {
		return nil, nil, err
	}
	saw := &looked{kinds: map[tapio.Kind]int{}}
	progress := startProgress(o.err, saw)
	defer progress.stop()
	var now time.Time
	if len(o.sources) == 0 {
		now, err = tellLive(ctx, o, engine, saw)
	} else {
		now, err = tellDumps(ctx, o, engine, saw)
	}
	if err != nil {
		return nil, nil, err
	}
	stories := engine.Flush(now)
	for i := range stories {
		if err := narrator.Tell(&stories[i]); err != nil {
			return nil, nil, fmt.Errorf("words: %w", err)
		}
	}
	return stories, saw, nil
}

// tellLive feeds the engine one listing of the cluster, and the log lines that
// it asks for.
func tellLive(ctx context.Context, o tellOptions, e *engine.Engine, saw *looked) (now time.Time, err error) {
	collector, err := newCollector(ctx, o.cluster, o.log, nil)
	if err != nil {
		return time.Time{}, err
	}
	for _, m := range collector.Missing() {
		fmt.Fprintf(o.err, "warning: can't read %s\n", m)
	}
	parts := lifecycle.New()
	defer func() { err = errors.Join(err, parts.Stop(stopTimeout)) }()
	in := make(chan tapio.Observation, 1024) // as in startWatch; nobody reads it after the end
	parts.Run("collector", func(ctx context.Context) error { return collector.Run(ctx, in) })

	asked, answered := 0, 0
	synced := collector.Synced()
	var enough <-chan time.Time
	for {
		select {
		case obs := <-in:
			saw.count(&obs)
			if obs.Event != nil && obs.Event.Type == tapio.ContainerLog || obs.State != nil && obs.State.Config != nil {
				answered++
			}
			_, wants := e.Observe(&obs)
			for _, w := range wants {
				asked++
				collector.Answer(ctx, w)
			}
		case <-synced:
			synced = nil
			enough = time.After(logPatience)
		case <-enough:
			return time.Now().UTC(), nil
		case err := <-parts.Failed():
			return time.Time{}, err
		case <-ctx.Done():
			return time.Time{}, errors.New("stopped before the cluster was read")
		}
		if synced == nil && answered >= asked && len(in) == 0 {
			return time.Now().UTC(), nil
		}
	}
}

// tellDumps feeds the engine what the dumps show. Now is when they were
// written.
func tellDumps(ctx context.Context, o tellOptions, e *engine.Engine, saw *looked) (now time.Time, err error) {
	result, err := dump.Read(ctx, dump.Options{Paths: o.sources, Stdin: o.in, Log: o.log, Progress: saw.reading})
	if err != nil {
		return time.Time{}, err
	}
	for _, w := range result.Warnings {
		fmt.Fprintf(o.err, "warning: %s\n", w)
		saw.damaged = true
	}
	if len(result.Missing) > 0 {
		fmt.Fprintf(o.err, "not in the dump, so not looked at: %s\n", strings.Join(result.Missing, "; "))
	}
	for i := range result.Observations {
		saw.count(&result.Observations[i])
		e.Observe(&result.Observations[i]) // a dump holds the logs that it holds: nobody to ask
	}
	return result.Now, nil
}
