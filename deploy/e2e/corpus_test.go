//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/cases"
	"sigs.k8s.io/yaml"
)

// settle is how long a case goes on after its story was told: the facts of its
// first minute belong to it.
const settle = 12 * time.Second

// sample is one case of the corpus, as it was played.
type sample struct {
	name      string
	namespace string
	node      string // that it breaks, or ""
	everyNode bool   // what happens to any node is part of it
	begin     time.Time
	end       time.Time
	expect    cases.Expectation
	dump      string // folder of the dump, or ""
}

// corpus is what TestCorpus has recorded so far.
type corpus struct {
	*bed
	live *instance

	mu      sync.Mutex
	samples []sample
	seen    []tapio.Story // of the last second
	asked   time.Time
}

// TestCorpus plays each scenario in three variants, and healthy churn, and
// writes them down as labelled cases for `tapio score`: the recording, cut to
// what belongs to the case, and for the first variant a dump as well.
func TestCorpus(t *testing.T) {
	b := shared
	if b.corpus == "" {
		t.Skip("no -corpus: make corpus")
	}
	b.cleared(t)
	c := &corpus{bed: b}
	c.live = b.newInstance(t, newWorkspace(t), runOptions{name: "corpus", record: true})
	c.live.startReady()

	scenarios := readScenarios(t)
	order := newOrder(scenarios, b.atOnce)
	t.Run("healthy", func(t *testing.T) {
		if b.variant != "" {
			t.Skip("not every variant is recorded")
		}
		files, err := filepath.Glob("testdata/healthy/*.txtar")
		if err != nil || len(files) == 0 {
			fatalf(t, "found %d healthy scenarios, %v", len(files), err)
		}
		for _, f := range files {
			t.Run(strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) {
				t.Parallel()
				c.playHealthy(t, f, order)
			})
		}
	})
	group := func(name string, take func(*scenario) bool) {
		t.Run(name, func(t *testing.T) {
			for _, s := range scenarios {
				if !take(&s) {
					continue
				}
				for name, list := range c.together(&s) {
					t.Run(s.name+"/"+name, func(t *testing.T) {
						if !s.Alone {
							t.Parallel()
						}
						defer order.enter(&s)()
						c.playOnce(t, s, list...)
					})
				}
			}
		})
	}
	group("causes", func(s *scenario) bool { return !s.Alone })
	group("alone", func(s *scenario) bool { return s.Alone })

	c.live.stop()
	c.write(t) // what was played is kept, whatever failed
}

// together says which variants of a scenario are played at the same time: all
// of them where its fault is not of one namespace, so that it happens once and
// hurts each.
func (c *corpus) together(s *scenario) map[string][]variant {
	out := map[string][]variant{}
	for _, v := range variants {
		if c.variant != "" && !slices.Contains(strings.Split(c.variant, ","), v.suffix) {
			continue
		}
		name := v.suffix
		if s.files["fault"] != "" {
			name = "all"
		}
		out[name] = append(out[name], v)
	}
	return out
}

// playOnce breaks the variants at the same time.
func (c *corpus) playOnce(t *testing.T, s scenario, list ...variant) {
	node := c.nodes[s.Node]
	var all []*sample
	var places []*place
	var played []scenario
	for _, v := range list {
		one := s.vary(v)
		x := &sample{name: s.name + "-" + v.suffix, namespace: v.prefix + strings.TrimPrefix(s.namespace(), "e2e"), node: node, everyNode: s.Alone, begin: time.Now()}
		want := one.want(x.namespace, node)
		x.expect = cases.Expectation{Cause: want.causes[0], Alternatives: want.causes[1:], Entity: want.entities[0], EntityAlternatives: want.entities[1:], Label: s.name}
		if v.noise.also != "" {
			x.expect.Also = []cases.Incident{{Cause: tapio.CauseReadinessFailed, Entity: tapio.Entity{Kind: tapio.KindDeployment, Namespace: x.namespace, Name: v.noise.also, Container: "app"}}}
		}
		p := c.set(t, x.namespace, &one, node)
		if v.noise.apply != "" {
			p.run(t, "kubectl apply -f - <<'EOF'\n"+v.noise.apply+"EOF\n")
			p.awaitRollouts(t)
		}
		all, places, played = append(all, x), append(places, p), append(played, one)
	}
	defer func() {
		for i, p := range places {
			// What can't be undone, a StatefulSet's failed release, goes with
			// the namespace.
			if text, err := p.script(t.Context(), p.dir, p.env, "set +e\n"+played[i].files["mend"]+"\nkubectl delete namespace --wait=false "+p.name); err != nil {
				t.Logf("mend %s: %v\n%s", p.name, err, text)
			}
		}
		if s.files["repair"] != "" {
			places[0].run(t, s.files["repair"])
		}
	}()
	// What another hurt just before is often the same object: its story is over
	// first.
	for start := time.Now(); time.Since(start) < time.Minute && slices.ContainsFunc(all, func(x *sample) bool {
		return slices.ContainsFunc(c.stories(), func(s tapio.Story) bool {
			return s.Status == tapio.StatusOpen && (s.CauseEntity == x.expect.Entity || node != "" && s.CauseEntity.Name == node)
		})
	}); {
		time.Sleep(time.Second)
	}
	broke := time.Now()
	told := func(i int) bool {
		want := played[i].want(all[i].namespace, node)
		return slices.ContainsFunc(c.stories(), func(s tapio.Story) bool {
			return want.is(&s) && (s.Status == tapio.StatusOpen || s.Timestamp.After(broke))
		})
	}
	if s.files["fault"] != "" {
		places[0].run(t, s.files["fault"])
	}
	var breaking sync.WaitGroup
	for i, p := range places {
		breaking.Go(func() { p.run(t, played[i].files["break"]+"\n"+list[i].noise.after) })
	}
	breaking.Wait()
	limit := 75 * time.Second
	if s.Node != "" || s.Slow {
		limit = 150 * time.Second
	}
	limit += time.Duration(s.Held) * time.Minute
	for i := range all {
		for !told(i) && time.Since(broke) < limit {
			time.Sleep(time.Second)
		}
	}
	time.Sleep(settle)
	for i, x := range all {
		x.end = time.Now()
		if list[i].suffix == variants[0].suffix {
			x.dump = c.dump(t, places[i], x)
		}
		c.add(*x)
	}
}

// playHealthy plays a file of testdata/healthy, of which nothing may be told.
func (c *corpus) playHealthy(t *testing.T, file string, o *order) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := scenario{name: strings.TrimSuffix(filepath.Base(file), ".txtar"), Healthy: bases[0], files: map[string]string{}}
	if err := yaml.UnmarshalStrict(archive.Comment, &s); err != nil {
		fatalf(t, "%s: %v", file, err)
	}
	for _, f := range archive.Files {
		s.files[f.Name] = string(f.Data)
	}
	if s.files["healthy.yaml"] == "" {
		s.files["healthy.yaml"] = readFile(t, filepath.Join("testdata", s.Healthy))
	}
	defer o.enter(&s)()
	node := c.nodes[s.Node]
	x := sample{name: "healthy-" + s.name, namespace: "well-" + s.name, node: node, begin: time.Now(), expect: cases.Expectation{Healthy: true}}
	p := c.set(t, x.namespace, &s, node)
	p.run(t, s.files["steps"])
	x.dump = c.dump(t, p, &x)
	time.Sleep(quiet + 10*time.Second) // what was held back would be told by then
	x.end = time.Now()
	c.add(x)
	p.run(t, "kubectl delete namespace --wait=false "+p.name)
}

func (c *corpus) add(x sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.samples = append(c.samples, x)
}

// stories asks the live run, once a second for all who want to know.
func (c *corpus) stories() []tapio.Story {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.asked) > time.Second {
		if list, err := c.live.list("since=" + time.Now().Add(-10*time.Minute).UTC().Format(time.RFC3339)); err == nil {
			c.seen = list // a machine that is too busy to answer is asked again
		}
		c.asked = time.Now()
	}
	return c.seen
}

// write cuts the recording into the cases.
func (c *corpus) write(t *testing.T) {
	whole := filepath.Join(c.out, "corpus.jsonl")
	steps, header := readSteps(t, whole)
	broken := map[string]bool{}
	for _, node := range c.nodes {
		broken[node] = true
	}
	for _, x := range c.samples {
		folder := filepath.Join(c.corpus, "recordings", x.name)
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		cut := &cut{sample: x, broken: broken}
		if err := cases.Write(folder, header, cut.of(steps), x.expect); err != nil {
			errorf(t, "%s: %v", x.name, err)
		}
	}
	t.Logf("%d cases in %s", len(c.samples), c.corpus)
}
