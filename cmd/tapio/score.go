package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/cases"
	"github.com/yairfalse/tapio/cmd/tapio/config"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
	"github.com/yairfalse/tapio/cmd/tapio/score"
	"github.com/yairfalse/tapio/collectors/kubernetes/dump"
	"github.com/yairfalse/tapio/engine"
	"github.com/yairfalse/tapio/narrate"
)

func newScore(t terminal) *cobra.Command {
	var (
		configFile string
		out        string
		least      float64
	)
	cmd := &cobra.Command{
		Use:   "score DIR…",
		Short: "Measure how often labelled incidents are told right",
		Long: `Measure how often the cause and the object of labelled incidents are told
right. Cases are found at any depth below the folders. A case is a folder with

  expect.yaml    what is right: cause (a code) and entity {kind, namespace, name},
                 or healthy: true; if you like, alternatives (other causes) and
                 entity_alternatives (other objects) that are right too, affected
                 (a list of objects), label, evidence
  dump/          what "tapio tell" reads, or
  *.jsonl[.gz]   one recording, which "tapio replay" reads

The first answer is the cause of the first story that tell or replay prints; the
first three go on with the other stories, then with their other hypotheses. The
object is right where the story's cause_entity is

- the expected object or one of its entity_alternatives, whichever container;
- for an app: its workload, ReplicaSets, jobs, pods, or a Service that selects
  its pods (or has its name, where it selects none);
- for a Namespace: a ResourceQuota or LimitRange in it;
- a thing that the expected object lacks, such as an image, a registry, a
  ConfigMap, a volume or a quota, while the story is about that object (its
  subject). What cause_entity alone names is counted beside it.

On a healthy case any story is false. The exit code is 1 where the share that is
right on cause and object is below --min, or where a healthy case has a story
and --min is given. GOMAXPROCS says how many cases are told at a time.`,
		Example: "  tapio score corpus\n  tapio score corpus --min 0.97\n  tapio score corpus -o json > score.json",
		Args:    needs("a folder with cases"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out != "text" && out != "json" {
				return fmt.Errorf("-o %s is none of text, json", out)
			}
			if least < 0 || least > 1 {
				return fmt.Errorf("--min %v is no share: want 0 to 1, such as 0.97", least)
			}
			c, err := config.Load(configFile)
			if err != nil {
				return err
			}
			report, err := scoreCases(cmd.Context(), args, c, t.err)
			if err != nil {
				return fmt.Errorf("score: %w", err)
			}
			if err := writeReport(t.out, report, out); err != nil {
				return fmt.Errorf("write the report: %w", err)
			}
			return enough(cmd, report, least)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "text", "text or json")
	cmd.Flags().Float64Var(&least, "min", 0, "fail where a smaller share is right on cause and object, such as 0.97")
	cmd.Flags().StringVar(&configFile, "config", "", "config file, for its templates")
	return cmd
}

func writeReport(w io.Writer, r score.Report, format string) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	return r.Text(w)
}

// enough fails where the report stays below what --min asks for.
func enough(cmd *cobra.Command, r score.Report, least float64) error {
	if !cmd.Flags().Changed("min") {
		return nil
	}
	var errs []error
	if got := r.Total.Share(r.Total.First.Both); got < least {
		errs = append(errs, fmt.Errorf("score: %.1f %% right on cause and object, want %.1f %%", 100*got, 100*least))
	}
	if r.FalseStories > 0 {
		errs = append(errs, fmt.Errorf("score: %s of healthy cases", plural(r.FalseStories, "false story")))
	}
	return errors.Join(errs...)
}

// scoreCases tells every case below the folders and judges it.
func scoreCases(ctx context.Context, folders []string, c config.Config, out io.Writer) (score.Report, error) {
	list, warnings, err := cases.Find(folders)
	if err != nil {
		return score.Report{}, err
	}
	for _, w := range warnings {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
	templates, err := loadTemplates(c.Engine.Templates)
	if err != nil {
		return score.Report{}, err
	}
	teller, err := newTeller(c, templates)
	if err != nil {
		return score.Report{}, err
	}
	done := showCount(out, len(list))
	results := make([]score.Result, len(list))
	errs := make([]error, len(list))
	notes := make([][]string, len(list))
	var next, told atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(list)) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(list) || ctx.Err() != nil {
					return
				}
				results[i], notes[i], errs[i] = teller.tell(ctx, list[i])
				done.show(int(told.Add(1)))
			}
		})
	}
	workers.Wait()
	done.end()
	for i, n := range notes {
		for _, w := range n {
			fmt.Fprintf(out, "warning: %s: %s\n", list[i].Name, w)
		}
	}
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return score.Report{}, err
	}
	return score.Tally(results), nil
}

// teller tells cases, several at a time, with templates that are compiled once.
type teller struct {
	config    config.Config
	engine    *engine.Engine // never fed: only asked for engines like it
	templates []tapio.Template
	narrators sync.Pool // of *narrate.Narrator: each serves one goroutine at a time
}

func newTeller(c config.Config, templates []tapio.Template) (*teller, error) {
	e, n, err := newJudge(header(c, c.Cluster), templates)
	if err != nil {
		return nil, err
	}
	t := &teller{config: c, engine: e, templates: templates}
	t.narrators.Put(n)
	return t, nil
}

// tell tells one case and returns what there is to judge, and warnings.
func (t *teller) tell(ctx context.Context, c cases.Case) (r score.Result, notes []string, err error) {
	narrator, ok := t.narrators.Get().(*narrate.Narrator)
	if !ok {
		if narrator, err = narrate.New(t.templates); err != nil {
			return score.Result{}, nil, err
		}
	}
	defer t.narrators.Put(narrator)
	r = score.Result{Case: c, Objects: score.NewObjects()}
	began := time.Now()
	if c.Dump != "" {
		r.Stories, notes, err = t.dump(ctx, c.Dump, narrator, r.Objects)
	} else {
		r.Stories, notes, err = t.recording(c.Recording, narrator, r.Objects)
	}
	r.Took = time.Since(began)
	if err != nil {
		return score.Result{}, nil, fmt.Errorf("case %s: %w", c.Name, err)
	}
	return r, notes, nil
}

func (t *teller) again(h recording.Header) (*engine.Engine, error) {
	return t.engine.Again(engine.Options{
		Cluster: h.Cluster, Quiet: time.Duration(h.Quiet), Reopen: time.Duration(h.Reopen), Backlog: h.Backlog,
	})
}

// dump does what `tapio tell` does.
func (t *teller) dump(ctx context.Context, folder string, n *narrate.Narrator, objects *score.Objects) ([]tapio.Story, []string, error) {
	e, err := t.again(header(t.config, t.config.Cluster))
	if err != nil {
		return nil, nil, err
	}
	read, err := dump.Read(ctx, dump.Options{Paths: []string{folder}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	for i := range read.Observations {
		objects.Observe(&read.Observations[i])
		e.Observe(&read.Observations[i])
	}
	stories := e.Flush(read.Now)
	for i := range stories {
		if err := n.Tell(&stories[i]); err != nil {
			return nil, nil, fmt.Errorf("words: %w", err)
		}
	}
	return stories, read.Warnings, nil
}

// recording does what `tapio replay` does, and leaves out the stories that
// another one explains.
func (t *teller) recording(file string, n *narrate.Narrator, objects *score.Objects) (stories []tapio.Story, notes []string, err error) {
	r, err := recording.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	h, ok := r.Header()
	if !ok {
		h = header(t.config, t.config.Cluster)
	}
	e, err := t.again(h)
	if err != nil {
		return nil, nil, err
	}
	if err := e.Restore(slices.Clone(h.Restored)); err != nil {
		return nil, nil, err
	}
	var last newest
	warning, err := play(watched{r, objects}, e, n, last.add)
	if err != nil {
		return nil, nil, err
	}
	if warning != nil {
		notes = append(notes, warning.Error())
	}
	for _, s := range last.stories {
		if s.Status != tapio.StatusAbsorbed {
			stories = append(stories, s)
		}
	}
	e.Order(stories)
	return stories, notes, nil
}

// watched lets the objects see each observation that is read.
type watched struct {
	steps
	objects *score.Objects
}

func (w watched) Next() (recording.Step, error) {
	step, err := w.steps.Next()
	if err == nil && step.Observation != nil {
		w.objects.Observe(step.Observation)
	}
	return step, err
}

// count shows how many cases are told, once that takes long.
type count struct {
	mu    sync.Mutex
	line  *statusLine
	began time.Time
	of    int
	shown bool
}

func showCount(w io.Writer, of int) *count {
	return &count{line: newStatusLine(w), began: time.Now(), of: of}
}

func (c *count) show(n int) {
	if time.Since(c.began) < patience {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = true
	c.line.show(fmt.Sprintf("told %d of %s", n, plural(c.of, "case")))
}

func (c *count) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shown {
		c.line.end(fmt.Sprintf("told %s in %s", plural(c.of, "case"), time.Since(c.began).Round(100*time.Millisecond)))
	}
}
