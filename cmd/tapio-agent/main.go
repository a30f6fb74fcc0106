// Command tapio-agent tells the engine what a node's container runtime and
// kernel see. One runs on each node.
//
// This package joins the parts: it reads flags and config, starts the buffer,
// the senses and the line to the engine in that order, and stops them in
// reverse. It judges nothing. A sense that can't work is named and the rest
// run.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(execute()) }

// execute runs the command line of the process and returns its exit code.
func execute() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal kills: the first one gave the parts their time to stop.
	context.AfterFunc(ctx, stop)
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "tapio-agent: %v\n", err)
		return 1
	}
	return 0
}

func newCommand() *cobra.Command {
	var (
		file, level, node string
		printConfig       bool
	)
	cmd := &cobra.Command{
		Use:   "tapio-agent",
		Short: "Tell the engine what this node's container runtime and kernel see",
		Long: `Tell the engine what this node's container runtime and kernel see, until it is
stopped. What the engine can't be told now waits in a buffer on disk and is told
in order later. The Helm chart runs one on each node.

The agent shows the engine its service account's token, made for the audience
"tapio"; the engine asks the API server whose it is.`,
		Example: `  NODE_NAME=worker-1 tapio-agent --config agent.yaml
  tapio-agent --print-config > agent.yaml`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if printConfig {
				_, err := cmd.OutOrStdout().Write(reference)
				return err
			}
			var l slog.Level
			if err := l.UnmarshalText([]byte(level)); err != nil {
				return fmt.Errorf("--log-level %q is none of debug, info, warn, error", level)
			}
			c, err := load(file)
			if err != nil {
				return err
			}
			if node != "" {
				c.Node = node
			}
			if c.Node == "" {
				return fmt.Errorf("which node is this? Set NODE_NAME, as the chart does from spec.nodeName, or --node")
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: l}))
			return run(cmd.Context(), options{config: c, log: log})
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "config file; without it every setting has its default")
	f.BoolVar(&printConfig, "print-config", false, "print every setting with its default, and end")
	f.StringVar(&node, "node", os.Getenv("NODE_NAME"), "name of this node in Kubernetes")
	f.StringVar(&level, "log-level", "info", "least level of what is logged to standard error: debug, info, warn, error")
	return cmd
}
