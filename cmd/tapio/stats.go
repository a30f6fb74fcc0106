package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio/cmd/tapio/api"
)

func newStats(t terminal) *cobra.Command {
	var (
		server, since string
		asJSON        bool
	)
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Count how well a running tapio told its stories: accuracy, noise, time to insight",
		Long: `Count how well a running tapio told its stories: how often their cause was right
where people said so in Slack, how much noise they made, and how long it took
until they were told and until their cause was known.`,
		Example: "  tapio stats\n  tapio stats --since 168h --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := api.NewClient(server)
			if err != nil {
				return err
			}
			from, err := api.ParseSince(since, time.Now())
			if err != nil {
				return err
			}
			s, err := client.Stats(cmd.Context(), from)
			if err != nil {
				return err
			}
			if !asJSON {
				return s.Text(t.out)
			}
			enc := json.NewEncoder(t.out)
			enc.SetIndent("", "  ")
			if err := enc.Encode(s); err != nil {
				return fmt.Errorf("write numbers: %w", err)
			}
			return nil
		},
	}
	serverFlag(cmd, &server)
	cmd.Flags().StringVar(&since, "since", "720h", "from a time, or a duration such as 168h before now, on")
	cmd.Flags().BoolVar(&asJSON, "json", false, "JSON instead of text")
	return cmd
}
