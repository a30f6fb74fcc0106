package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/api"
)

// serverFlag is the address of the running tapio that is asked.
func serverFlag(cmd *cobra.Command, server *string) {
	fallback := "http://127.0.0.1:8080"
	if s := os.Getenv("TAPIO_SERVER"); s != "" {
		fallback = s
	}
	cmd.Flags().StringVar(server, "server", fallback, "address of a tapio run; the environment variable TAPIO_SERVER sets another default")
}

func newStories(t terminal) *cobra.Command {
	var (
		server, status, cause, since string
		out                          output
		q                            tapio.Query
	)
	cmd := &cobra.Command{
		Use:     "stories",
		Short:   "List the stories of a running tapio, newest first",
		Example: "  tapio stories --status open\n  tapio stories --namespace shop --since 24h -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := api.NewClient(server)
			if err != nil {
				return err
			}
			q.Status, q.Cause = tapio.Status(status), tapio.Cause(cause)
			if since != "" {
				if q.Since, err = api.ParseSince(since, time.Now()); err != nil {
					return err
				}
			}
			stories, err := client.Stories(cmd.Context(), q)
			if err != nil {
				return err
			}
			if len(stories) == 0 && out == "text" {
				_, err := fmt.Fprintln(t.out, "No stories match.")
				return err
			}
			return out.write(t, stories)
		},
	}
	serverFlag(cmd, &server)
	out.flag(cmd)
	cmd.Flags().StringVar(&status, "status", "", "only open, resolved or absorbed ones")
	cmd.Flags().StringVar(&q.Pod, "pod", "", "only those that affect the pod, NAME or NAMESPACE/NAME")
	cmd.Flags().StringVar(&q.Workload, "workload", "", "only those that affect the workload, NAME or NAMESPACE/NAME")
	cmd.Flags().StringVarP(&q.Namespace, "namespace", "n", "", "only those of the namespace")
	cmd.Flags().StringVar(&cause, "cause", "", "only those with the cause, such as container.oom_limit")
	cmd.Flags().StringVar(&since, "since", "", "only those that changed since a time, or within a duration such as 2h")
	cmd.Flags().IntVar(&q.Limit, "limit", 20, "at most so many")
	return cmd
}

func newStory(t terminal) *cobra.Command {
	var (
		server string
		out    output
	)
	cmd := &cobra.Command{
		Use:     "story POD|ID",
		Short:   "Tell one story of a running tapio: by its ID, or the newest one of a pod",
		Example: "  tapio story checkout-7d9f6c-x2x4q\n  tapio story shop/checkout-7d9f6c-x2x4q -o markdown",
		Args:    needs("a pod or the ID of a story"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("one story at a time; see %s --help", cmd.CommandPath())
			}
			client, err := api.NewClient(server)
			if err != nil {
				return err
			}
			stories, err := findStory(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			if err := out.write(t, stories[:1]); err != nil {
				return err
			}
			if out != "json" {
				notes, err := client.Notes(cmd.Context(), stories[0].ID)
				if err != nil {
					return err
				}
				writeNotes(t.out, notes)
			}
			for _, s := range stories[1:] {
				fmt.Fprintf(t.err, "earlier: %s  %s  %s\n", s.ID, s.Timestamp.UTC().Format(time.RFC3339), s.Title)
			}
			return nil
		},
	}
	serverFlag(cmd, &server)
	out.flag(cmd)
	return cmd
}

// writeNotes prints what people did about a story.
func writeNotes(out io.Writer, notes []tapio.Note) {
	if len(notes) == 0 {
		return
	}
	fmt.Fprintln(out, "\nWhat people did:")
	for i := range notes {
		fmt.Fprintf(out, "- %s  %s\n", notes[i].Time.UTC().Format("15:04:05"), printable(notes[i].Sentence()))
	}
}

// printable drops what could steer a terminal: notes are typed by anybody.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// findStory returns the story with the ID, or those of the pod or workload of
// that name, newest first; at least one.
func findStory(ctx context.Context, client *api.Client, name string) ([]tapio.Story, error) {
	s, err := client.Story(ctx, name)
	if err == nil {
		return []tapio.Story{s}, nil
	}
	if !errors.Is(err, api.ErrNotFound) {
		return nil, err
	}
	const others = 5 // named below the newest one
	for _, q := range []tapio.Query{{Pod: name, Limit: others}, {Workload: name, Limit: others}} {
		stories, err := client.Stories(ctx, q)
		if err != nil {
			return nil, err
		}
		if len(stories) > 0 {
			return stories, nil
		}
	}
	return nil, fmt.Errorf("no story has the ID %q and none affects a pod or workload of that name; list them with `tapio stories`", name)
}
