package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/strict"
	"github.com/yairfalse/tapio/engine"
	"github.com/yairfalse/tapio/narrate"
)

func newTemplates(t terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "templates",
		Short:   "The pattern library and your own templates",
		Example: "  tapio templates list\n  tapio templates lint mine.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use:     "list [FILE…]",
			Short:   "List the shipped templates, and those of the files",
			Example: "  tapio templates list\n  tapio templates list mine.yaml",
			RunE: func(_ *cobra.Command, files []string) error {
				templates, err := loadTemplates(files)
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
one line that names file, template and field. The exit code is 1 if there is any.`,
			Example: "  tapio templates lint mine.yaml",
			Args:    needs("a file with templates"),
			RunE:    func(_ *cobra.Command, files []string) error { return lintTemplates(t, files) },
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

// templateFile is what a file of templates holds.
type templateFile struct {
	Templates []tapio.Template `json:"templates"`
}

// readTemplates reads a user's file. Errors name file, template and field.
func readTemplates(name string) ([]tapio.Template, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	doc, err := strict.Parse(name, data)
	if err != nil {
		return nil, err
	}
	if err := doc.Check(templateFile{}); err != nil {
		return nil, err
	}
	return engine.ParseTemplates(name, data)
}

// loadTemplates returns the shipped library and the users' templates. A user's
// template replaces the shipped one that has its ID.
func loadTemplates(files []string) ([]tapio.Template, error) {
	templates, err := engine.Library()
	if err != nil {
		return nil, fmt.Errorf("shipped templates: %w", err)
	}
	place := map[string]int{}
	for i, t := range templates {
		place[t.ID] = i
	}
	from := map[string]string{}
	for _, name := range files {
		own, err := readTemplates(name)
		if err != nil {
			return nil, err
		}
		for _, t := range own {
			if first := from[t.ID]; first != "" {
				return nil, fmt.Errorf("template %q is in %s and in %s; give one of them another id", t.ID, first, name)
			}
			from[t.ID] = name
			if i, ok := place[t.ID]; ok {
				templates[i] = t
				continue
			}
			templates = append(templates, t)
		}
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
	var mistakes []error
	for _, name := range files {
		templates, err := readTemplates(name)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		count += len(templates)
		for _, x := range templates {
			for _, err := range narrate.Lint(x) {
				mistakes = append(mistakes, fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	if len(mistakes) == 0 {
		// Together with the library they must still make one engine.
		if _, err := loadTemplates(files); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	if err := errors.Join(mistakes...); err != nil {
		fmt.Fprintln(t.err, err)
		return exitCode(1)
	}
	_, err := fmt.Fprintf(t.out, "ok: %d templates\n", count)
	return err
}
