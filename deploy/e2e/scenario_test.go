//go:build e2e

package e2e

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/yairfalse/tapio"
	"sigs.k8s.io/yaml"
)

// scenario is one file of testdata/causes; testdata/README.md tells its form.
type scenario struct {
	Cause              tapio.Cause    `json:"cause"`
	Entity             tapio.Entity   `json:"entity"`
	Alternatives       []tapio.Cause  `json:"alternatives,omitempty"`
	EntityAlternatives []tapio.Entity `json:"entity_alternatives,omitempty"`
	Healthy            string         `json:"healthy,omitempty"`   // file of testdata with what is applied first
	Node               string         `json:"node,omitempty"`      // role of the node that it breaks
	Access             bool           `json:"access,omitempty"`    // reaches into nodes or the control plane
	Registry           bool           `json:"registry,omitempty"`  // needs the test cluster's registry or its app image
	Alone              bool           `json:"alone,omitempty"`     // is played when all others are over
	Slow               bool           `json:"slow,omitempty"`      // takes the cluster more than a minute to notice
	Held               int            `json:"held,omitempty"`      // minutes for which its story is held back, where they are many
	Unproven           string         `json:"unproven,omitempty"`  // why it is not played yet: what is told of it is not right or not stable
	Elsewhere          string         `json:"elsewhere,omitempty"` // the test that plays it, where TestCauses does not
	Kinds              []tapio.Kind   `json:"kinds,omitempty"`     // kinds of workload that it breaks as well, for the corpus

	name  string
	files map[string]string
}

// maxHeld is how many minutes a test waits for a story that is held back.
const maxHeld = 6

// bases are the files of testdata that hold healthy workloads; the first is
// the one of a scenario that names none.
var bases = []string{"web.yaml", "pair.yaml"}

// readScenarios reads every file of testdata/causes, in the order of their
// names.
func readScenarios(t *testing.T) []scenario {
	t.Helper()
	files, err := filepath.Glob("testdata/causes/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d scenarios, %v", len(files), err)
	}
	var out []scenario
	for _, f := range files {
		out = append(out, readScenario(t, f))
	}
	return out
}

func readScenario(t *testing.T, file string) scenario {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := scenario{name: strings.TrimSuffix(filepath.Base(file), ".txtar"), files: map[string]string{}}
	if err := yaml.UnmarshalStrict(archive.Comment, &s); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, f := range archive.Files {
		s.files[f.Name] = string(f.Data)
	}
	if s.files["break"]+s.files["fault"] == "" || s.files["mend"]+s.files["repair"] == "" {
		t.Fatalf("%s: nothing breaks it, or nothing mends it", file)
	}
	if s.files["healthy.yaml"] == "" {
		if s.Healthy == "" {
			s.Healthy = bases[0]
		}
		if !slices.Contains(bases, s.Healthy) {
			t.Fatalf("%s: healthy: %s is none of %v", file, s.Healthy, bases)
		}
		s.files["healthy.yaml"] = readFile(t, filepath.Join("testdata", s.Healthy))
	}
	if s.Healthy == "pair.yaml" {
		s.Registry = true
	}
	return s
}

// namespace is where the scenario happens, and the channel it is told in.
func (s *scenario) namespace() string {
	return "e2e-" + strings.NewReplacer(".", "-", "_", "-").Replace(s.name)
}

// lacks says why the scenario can't be played on this cluster, or "".
func (s *scenario) lacks(b *bed) string {
	switch {
	case s.Node != "" && b.nodes[s.Node] == "", s.Access && len(b.nodes) == 0:
		return "needs node access"
	case s.Held > maxHeld:
		return "its story is held back for longer than a test waits: the corpus has a dump of it"
	case s.Unproven != "":
		return "not proven yet: " + s.Unproven
	case s.Elsewhere != "":
		return "is played by " + s.Elsewhere
	case s.Registry && len(b.nodes) == 0:
		return "needs the test cluster's registry and images"
	}
	return ""
}

// resolve fills in what a scenario leaves open about an entity: the node, and
// the namespace of what has one.
func resolve(e tapio.Entity, namespace, node string) tapio.Entity {
	e.Name = strings.NewReplacer("$NODE", node, "$NS", namespace).Replace(e.Name)
	if e.Namespace == "" && !clusterWide(e.Kind) {
		e.Namespace = namespace
	}
	return e
}

// clusterWide reports whether things of the kind are in no namespace.
func clusterWide(k tapio.Kind) bool {
	switch k {
	case tapio.KindNode, tapio.KindImage, tapio.KindRegistry, tapio.KindNamespace, tapio.KindPersistentVolume,
		"APIService", "Component", "Host", "MutatingWebhookConfiguration", "StorageClass", "ValidatingWebhookConfiguration", "Webhook":
		return true
	}
	return false
}

// answer is what must be told of one play of a scenario, or may be as well.
type answer struct {
	causes   []tapio.Cause
	entities []tapio.Entity // a name may be a pattern, as of a shell
}

func (s *scenario) want(namespace, node string) answer {
	a := answer{causes: append([]tapio.Cause{s.Cause}, s.Alternatives...)}
	for _, e := range append([]tapio.Entity{s.Entity}, s.EntityAlternatives...) {
		a.entities = append(a.entities, resolve(e, namespace, node))
	}
	return a
}

// is reports whether the story says what must be told.
func (a answer) is(s *tapio.Story) bool {
	return slices.Contains(a.causes, s.Cause) && slices.ContainsFunc(a.entities, func(e tapio.Entity) bool {
		matches, err := path.Match(e.Name, s.CauseEntity.Name)
		e.Name = s.CauseEntity.Name
		return err == nil && matches && e == s.CauseEntity
	})
}

func (a answer) String() string {
	return string(a.causes[0]) + " of " + a.entities[0].String()
}
