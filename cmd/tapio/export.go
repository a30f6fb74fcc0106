package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/api"
	"github.com/yairfalse/tapio/cmd/tapio/cases"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
)

type exportOptions struct {
	server, folder, cause, entity string
	out                           io.Writer
}

func newExport(t terminal) *cobra.Command {
	o := exportOptions{out: t.out}
	cmd := &cobra.Command{
		Use:   "export STORY",
		Short: "Make a test case of a story of a running tapio",
		Long: `Make a test case of a story: a folder with a recording of what tapio saw of the
incident, and with what its cause really was, for tapio score. What it was is
taken from the feedback that people gave in Slack; --cause and --entity say it
otherwise.

A running tapio remembers what it saw for about two hours, and for good of the
stories that somebody called right or wrong. Secrets are hidden; names, images
and messages of the cluster are not: look at it before you pass it on.`,
		Example: "  tapio record export 7h2k9m4q1xw3e8ra\n  tapio record export checkout --cause config.key_missing --entity ConfigMap/shop/cache -o cases/cache\n  tapio score cases",
		Args:    needs("the ID of a story, or a pod or workload"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("one story at a time; see %s --help", cmd.CommandPath())
			}
			return export(cmd.Context(), o, args[0])
		},
	}
	serverFlag(cmd, &o.server)
	f := cmd.Flags()
	f.StringVarP(&o.folder, "output", "o", "", "folder to make; cases/STORY where it is not given")
	f.StringVar(&o.cause, "cause", "", "the right cause, such as config.key_missing")
	f.StringVar(&o.entity, "entity", "", "the object at fault: Kind/namespace/name, or Kind/name")
	return cmd
}

func export(ctx context.Context, o exportOptions, name string) error {
	client, err := api.NewClient(o.server)
	if err != nil {
		return err
	}
	stories, err := findStory(ctx, client, name)
	if err != nil {
		return err
	}
	s := stories[0]
	said, err := client.Feedback(ctx, s.ID)
	if err != nil {
		return err
	}
	expect, why, err := expectation(&s, said, o.cause, o.entity)
	if err != nil {
		return err
	}
	data, err := client.Recording(ctx, s.ID)
	if errors.Is(err, api.ErrNotFound) {
		return fmt.Errorf("what was seen of story %s is forgotten: tapio remembers about two hours, and for good what somebody called right or wrong", s.ID)
	}
	if err != nil {
		return err
	}
	r, err := recording.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	h, _ := r.Header()
	if o.folder == "" {
		o.folder = "cases/" + s.ID
	}
	if err := cases.Write(o.folder, h, stepsOf(r), expect); err != nil {
		return err
	}
	fmt.Fprintf(o.out, "%s: %s at %s, %s\n", o.folder, expect.Cause, expect.Entity, why)
	return nil
}

// stepsOf reads a recording to its end.
func stepsOf(r *recording.Reader) iter.Seq2[recording.Step, error] {
	return func(yield func(recording.Step, error) bool) {
		for {
			s, err := r.Next()
			if errors.Is(err, io.EOF) || !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// expectation is what the cause of a story really was: as the flags say, else
// as the newest feedback that names one does. why says who said so.
func expectation(s *tapio.Story, said []tapio.Feedback, cause, entity string) (x cases.Expectation, why string, err error) {
	x = cases.Expectation{Label: s.Template}
	slices.SortFunc(said, func(a, b tapio.Feedback) int { return b.Time.Compare(a.Time) })
	why = "as you say"
	for _, f := range said {
		if x.Cause != "" || cause != "" {
			break
		}
		switch {
		case f.Good:
			x.Cause, x.Entity, why = f.Told, s.CauseEntity, "right, says "+f.By
		case f.Right != "" && f.Right != "other" && f.Right != tapio.CauseUnknown:
			x.Cause, x.Entity, why = f.Right, f.Entity, "says "+f.By
		}
	}
	if cause != "" {
		x.Cause = tapio.Cause(cause)
	}
	if entity != "" {
		if x.Entity, err = tapio.ParseEntity(entity); err != nil {
			return x, "", err
		}
	}
	if x.Cause == "" {
		return x, "", fmt.Errorf("nobody said what the cause of story %s was: say it with --cause and --entity, or in Slack with /tapio feedback", s.ID)
	}
	if x.Entity.IsZero() {
		x.Entity = s.Subject // what hurts is known, what is at fault was not said
		why += "; the object at fault was not said, so it is what hurts: correct expect.yaml"
	}
	return x, why, nil
}
