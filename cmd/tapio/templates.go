package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/config"
	"github.com/yairfalse/tapio/cmd/tapio/library"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
	"github.com/yairfalse/tapio/cmd/tapio/score"
	"github.com/yairfalse/tapio/cmd/tapio/trial"
	"github.com/yairfalse/tapio/narrate"
)

func newTemplates(t terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "templates",
		Short:   "The pattern library and your own templates",
		Example: "  tapio templates list\n  tapio templates lint mine.yaml\n  tapio templates test mine.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use:     "list [FILE…]",
			Short:   "List the shipped templates, and those of the files",
			Example: "  tapio templates list\n  tapio templates list mine.yaml",
			RunE: func(_ *cobra.Command, files []string) error {
				templates, err := loadTemplates(files, warnTo(t.err))
				if err != nil {
					return err
				}
				return listTemplates(t, templates)
			},
		},
		&cobra.Command{
			Use:   "lint FILE…",
			Short: "Check template files: fields, conditions, patterns and words",
			Long: `Check template files: fields, conditions, patterns and words. Each mistake is
one line that names file, line, template and field. The exit code is 1 if there
is any. "tapio run" and "tapio tell" leave a template with a mistake out, say so,
and go on with the rest.`,
			Example: "  tapio templates lint mine.yaml",
			Args:    needs("a file with templates"),
			RunE:    func(_ *cobra.Command, files []string) error { return lintTemplates(t, files) },
		},
		&cobra.Command{
			Use:   "test FILE…",
			Short: "Run the tests that stand next to your templates",
			Long: `Run the tests under the key "tests" of template files. A test is a small cluster
(one workload, its pods on one node, a Service before them), what is observed in
it and when, and the story that must come first:

  tests:
  - name: two exits with code 78 are a missing licence
    observe:
    - {at: 0s, type: container.exit, reason: Error, exit_code: 78}
    - {at: 20s, type: container.exit, reason: Error, exit_code: 78}
    expect: {template: license-expired, title: checkout has no valid licence}

Instead of observe, a test may name a dump or a recording. The files' templates
work together with the shipped ones. engine/templates/README.md describes every
field. The exit code is 1 where a test fails or a file has a mistake.`,
			Example: "  tapio templates test mine.yaml",
			Args:    needs("a file with templates and tests"),
			RunE:    func(cmd *cobra.Command, files []string) error { return testTemplates(cmd.Context(), t, files) },
		},
		&cobra.Command{
			Use:   "schema",
			Short: "Print the JSON Schema of template files, for your editor",
			Long: `Print the JSON Schema of template files. Editors with a YAML language server
complete and check a file that begins with

  # yaml-language-server: $schema=templates.schema.json`,
			Example: "  tapio templates schema > templates.schema.json",
			Args:    cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				schema, err := library.Schema()
				if err != nil {
					return err
				}
				_, err = t.out.Write(schema)
				return err
			},
		},
	)
	return cmd
}

// needs asks for at least one argument.
func needs(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("name %s; see %s --help", what, cmd.CommandPath())
		}
		return nil
	}
}

// loadTemplates returns the shipped templates and those of the users' files,
// without those that have a mistake, each of which is handed to refused.
func loadTemplates(files []string, refused func(error)) ([]tapio.Template, error) {
	templates, mistakes, err := library.Load(files)
	if err != nil {
		return nil, err
	}
	for _, m := range mistakes {
		refused(m)
	}
	return templates, nil
}

func listTemplates(t terminal, templates []tapio.Template) error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TEMPLATE\tCAUSE\tSEVERITY\tTOLD AFTER\tNAME")
	for _, x := range templates {
		hold, err := x.Hold.MarshalText()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", x.ID, x.Cause, x.DefaultSeverity, hold, x.Name)
	}
	return w.Flush()
}

func lintTemplates(t terminal, files []string) error {
	count := 0
	for _, name := range files {
		own, _, err := library.Read(name)
		if err != nil {
			return err
		}
		count += len(own.Templates)
	}
	// Together with the library they must still make one engine.
	_, mistakes, err := library.Load(files)
	if err != nil {
		return err
	}
	if err := errors.Join(mistakes...); err != nil {
		fmt.Fprintln(t.err, err)
		return exitCode(1)
	}
	_, err = fmt.Fprintf(t.out, "ok: %d templates\n", count)
	return err
}

// testTemplates runs the tests of the files against the templates of all of
// them.
func testTemplates(ctx context.Context, t terminal, files []string) error {
	bad := false
	templates, err := loadTemplates(files, func(err error) {
		fmt.Fprintln(t.err, err)
		bad = true
	})
	if err != nil {
		return err
	}
	c, err := config.Default()
	if err != nil {
		return err
	}
	teller, err := newTeller(c, templates)
	if err != nil {
		return err
	}
	passed := 0
	for _, file := range files {
		own, _, err := library.Read(file)
		if err != nil {
			return err
		}
		for _, test := range own.Tests {
			if err := teller.try(ctx, file, test); err != nil {
				fmt.Fprintf(t.out, "FAIL  %s:%d: %s\n", file, test.Line, test.Name)
				for _, e := range library.Parts(err) {
					fmt.Fprintf(t.out, "      %v\n", e)
				}
				bad = true
				continue
			}
			fmt.Fprintf(t.out, "ok    %s:%d: %s\n", file, test.Line, test.Name)
			passed++
		}
	}
	if bad {
		return exitCode(1)
	}
	if passed == 0 {
		return errors.New("no tests: write them under the key \"tests\"; tapio templates test --help shows one")
	}
	_, err = fmt.Fprintf(t.out, "ok: %s\n", plural(passed, "test"))
	return err
}

// try runs one test of a file and returns what is wrong.
func (t *teller) try(ctx context.Context, file string, test library.Test) error {
	n, err := narrate.New(t.templates)
	if err != nil {
		return err
	}
	var stories []tapio.Story
	beside := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(filepath.Dir(file), name)
	}
	switch {
	case test.Dump != "":
		stories, _, err = t.dump(ctx, beside(test.Dump), n, score.NewObjects())
	case test.Recording != "":
		stories, _, err = t.recording(beside(test.Recording), n, score.NewObjects())
	default:
		stories, err = t.observe(test, n)
	}
	if err != nil {
		return err
	}
	return trial.Compare(test.Expect, stories)
}

// observe tells the story of what a test spells out.
func (t *teller) observe(test library.Test, n *narrate.Narrator) ([]tapio.Story, error) {
	observations, err := trial.Observations(test)
	if err != nil {
		return nil, err
	}
	e, err := t.again(recording.Header{Cluster: "test"})
	if err != nil {
		return nil, err
	}
	return trial.Tell(e, n, observations)
}
