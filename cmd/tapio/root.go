package main

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/narrate"
)

func newRoot(t terminal) *cobra.Command {
	var level string
	root := &cobra.Command{
		Use:   "tapio",
		Short: "Tapio tells the story of a Kubernetes incident in Slack",
		Long: `Tapio tells the story of a Kubernetes incident: what happened, why, whom it
hurts, what to do, in one Slack thread that stays true until it is resolved.

Begin with "tapio demo". It needs no cluster and no Slack.`,
		Example: `  tapio demo
  kubectl get pods,events,deploy,rs,svc,endpointslices,nodes -A -o json | tapio tell -
  tapio run --slack=local`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			text := fmt.Sprintf("unknown command %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += fmt.Sprintf("; did you mean %q?", near[0])
			}
			return fmt.Errorf("%s; see tapio --help", text)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(t.in)
	root.SetOut(t.out)
	root.SetErr(t.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.PersistentFlags().StringVar(&level, "log-level", "info", "least level of what is logged to standard error: debug, info, warn, error")
	logger := func() (*slog.Logger, error) {
		var l slog.Level
		if err := l.UnmarshalText([]byte(level)); err != nil {
			return nil, fmt.Errorf("--log-level %q is none of debug, info, warn, error", level)
		}
		return slog.New(slog.NewTextHandler(t.err, &slog.HandlerOptions{Level: l})), nil
	}
	root.AddCommand(
		newDemo(t, logger), newRun(t, logger), newTell(t, logger), newStories(t), newStory(t),
		newRecord(t, logger), newStats(t), newReplay(t), newScore(t), newTemplates(t), newVersion(t),
	)
	return root
}

// loggers makes the logger of a command, once its flags are parsed.
type loggers func() (*slog.Logger, error)

// output is the flag -o.
type output string

var outputs = []string{"text", "json", "markdown"}

func (o *output) String() string { return string(*o) }
func (o *output) Type() string   { return "format" }
func (o *output) Set(s string) error {
	if !slices.Contains(outputs, s) {
		return fmt.Errorf("want one of %s", strings.Join(outputs, ", "))
	}
	*o = output(s)
	return nil
}

func (o *output) flag(cmd *cobra.Command) {
	*o = "text"
	cmd.Flags().VarP(o, "output", "o", "text, json or markdown")
}

// write renders stories. There may be none.
func (o *output) write(t terminal, stories []tapio.Story) error {
	var err error
	switch *o {
	case "json":
		err = narrate.JSON(t.out, stories)
	case "markdown":
		err = narrate.Markdown(t.out, stories)
	default:
		columns := width(t.out)
		err = narrate.Text(t.out, stories, narrate.TextOptions{Width: min(columns, 120), Color: columns > 0})
	}
	if err != nil {
		return fmt.Errorf("write stories: %w", err)
	}
	return nil
}

func newVersion(t terminal) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print which tapio this is",
		Example: "  tapio version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(t.out, version())
			return err
		},
	}
}

// version says what was built, from what the Go tool wrote into the binary.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "tapio (unknown build)"
	}
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "development build"
	}
	out := "tapio " + v
	if c := setting["vcs.revision"]; c != "" {
		out += ", commit " + c[:min(12, len(c))]
		if setting["vcs.modified"] == "true" {
			out += " with local changes"
		}
		if at := setting["vcs.time"]; at != "" {
			out += " of " + at
		}
	}
	return fmt.Sprintf("%s, %s %s/%s", out, info.GoVersion, setting["GOOS"], setting["GOARCH"])
}
