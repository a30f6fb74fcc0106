package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/config"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
)

func newReplay(t terminal) *cobra.Command {
	var (
		configFile string
		revisions  bool
		out        output
	)
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Tell the stories of a recording",
		Long: `Tell the stories of a recording, as they stood at its end. The same recording
always gives the same output. "-" reads standard input.

Quiet time, reopen time and cluster name are those that were recorded; your own
templates come from --config.`,
		Example: "  tapio replay incident.jsonl.gz\n  tapio replay incident.jsonl.gz --revisions -o json",
		Args:    needs("a recording"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("one recording at a time; see %s --help", cmd.CommandPath())
			}
			c, err := config.Load(configFile)
			if err != nil {
				return err
			}
			all, warning, err := replay(args[0], c, revisions, warnTo(t.err))
			if err != nil {
				return fmt.Errorf("replay: %w", err)
			}
			if warning != nil {
				fmt.Fprintf(t.err, "warning: %s: %v\n", args[0], warning)
			}
			if len(all) == 0 && out == "text" {
				_, err := fmt.Fprintln(t.out, "Nothing wrong: the recording holds no story.")
				return err
			}
			return out.write(t, all)
		},
	}
	cmd.Flags().StringVar(&configFile, "config", "", "config file, for its templates")
	cmd.Flags().BoolVar(&revisions, "revisions", false, "every revision of every story, not only the last")
	out.flag(cmd)
	return cmd
}

// replay returns every revision that the recording makes, in order, or only the
// last one of each story, the one that matters most first.
func replay(file string, c config.Config, revisions bool, warn func(error)) (all []tapio.Story, warning, err error) {
	r, err := recording.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	h, ok := r.Header()
	if !ok {
		h = header(c, c.Cluster)
	}
	templates, err := loadTemplates(c.Engine.Templates, warn)
	if err != nil {
		return nil, nil, err
	}
	engine, narrator, err := newJudge(h, templates)
	if err != nil {
		return nil, nil, err
	}
	var last newest
	keep := last.add
	if revisions {
		keep = func(s tapio.Story) { all = append(all, s) }
	}
	warning, err = play(r, engine, narrator, keep)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	if !revisions {
		all = last.stories
		engine.Order(all)
	}
	return all, warning, nil
}

// header returns the engine's settings of a config.
func header(c config.Config, cluster string) recording.Header {
	return recording.Header{Cluster: cluster, Quiet: c.Engine.Quiet, Reopen: c.Engine.Reopen}
}
