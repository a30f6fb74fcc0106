package library

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"sigs.k8s.io/yaml"

	"github.com/yairfalse/tapio"
)

var update = flag.Bool("update", false, "write deploy/schema/templates.schema.json anew")

const schemaFile = "../../../deploy/schema/templates.schema.json"

// good is a template that is accepted.
const good = `
templates:
- id: license-expired
  name: License expired
  category: availability
  cause: config.license_expired
  rank: config
  standing: certain
  subject: workload
  cause_entity: container
  time_window: 10m
  hold: 5s
  pattern:
  - type: container.exit
    condition: exit_code == 78
  title_template: "{{.Workload}} has no valid licence"
  description_template: "Container {{.Container}} ended."
  cause_template: "Its licence has expired."
  recommendations: [Renew it]
  action: {text: Restart}
  default_severity: high
`

// TestSchemaIsFresh shows that the schema in deploy is the one that the code
// makes; -update writes it.
func TestSchemaIsFresh(t *testing.T) {
	got, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(schemaFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the schema has changed: run go test ./cmd/tapio/library -update")
	}
}

// TestDescriptions shows that no description is of a field that is gone.
// [Schema] itself fails where a field has none.
func TestDescriptions(t *testing.T) {
	data, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	var walk func(s *jsonschema.Schema, path string)
	walk = func(s *jsonschema.Schema, path string) {
		for ; s != nil; s = s.Items {
			for name, f := range s.Properties {
				p := strings.TrimPrefix(path+"."+name, ".")
				fields[p] = f.Description
				walk(f, p)
			}
		}
	}
	walk(&s, "")
	if diff := cmp.Diff(descriptions(), fields); diff != "" {
		t.Errorf("-described +fields:\n%s", diff)
	}
}

// validate holds a file against the schema.
func validate(t *testing.T, text []byte) error {
	t.Helper()
	data, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return resolved.Validate(v)
}

func TestSchemaAcceptsWhatShips(t *testing.T) {
	files, err := filepath.Glob("../../../engine/templates/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, text); err != nil {
			t.Errorf("%s: %v", f, err)
		}
		if _, refused := Parse(f, text); len(refused) > 0 {
			t.Errorf("%s is refused: %v", f, refused)
		}
	}
}

// TestRequired shows that the fields that the schema asks for are those without
// which a template is refused.
func TestRequired(t *testing.T) {
	if err := validate(t, []byte(good)); err != nil {
		t.Fatalf("the good template does not fit the schema: %v", err)
	}
	needed := map[string]bool{}
	for _, f := range required() {
		needed[f] = true
	}
	var file map[string][]map[string]any
	if err := yaml.Unmarshal([]byte(good), &file); err != nil {
		t.Fatal(err)
	}
	for field, value := range file["templates"][0] {
		delete(file["templates"][0], field)
		text, err := yaml.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		_, refused := Parse("mine.yaml", text)
		if got := len(refused) > 0; got != needed[field] {
			t.Errorf("without %s: refused %v, required %t", field, refused, needed[field])
		}
		if got := validate(t, text) != nil; got != needed[field] {
			t.Errorf("without %s: the schema objects %t, required %t", field, got, needed[field])
		}
		file["templates"][0][field] = value
	}
}

// TestRefused shows file, line, field and reason of each mistake, and that the
// other template of the file is kept.
func TestRefused(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"unknown field", "  hold: 5s", "  holds: 5s", "mine.yaml:12: unknown field templates[license-expired].holds; did you mean hold?"},
		{"no duration", "hold: 5s", "hold: soon", `mine.yaml:12: templates[license-expired].hold: "soon" is not a duration such as 30s or 10m`},
		{"no rank", "rank: config", "rank: high", `mine.yaml:7: templates[license-expired].rank: "high" is none of node, infrastructure`},
		{"condition", "exit_code == 78", "exit_cod == 78", "mine.yaml:15: templates[license-expired].pattern[0].condition: at character 1: undeclared reference to 'exit_cod'"},
		{"regular expression", "condition: exit_code == 78", "reason: '('", "mine.yaml:15: templates[license-expired].pattern[0].reason: error parsing regexp"},
		{"capture without a group", "condition: exit_code == 78", "capture: {object: x}", `mine.yaml:15: templates[license-expired].pattern[0].capture.object: "x" has no group`},
		{"variable", "{{.Workload}} has", "{{.Workloat}} has", "mine.yaml:16: templates[license-expired].title_template: "},
		{"words", "[Renew it]", "['']", "mine.yaml:19: templates[license-expired].recommendations[0]: is empty"},
		{"no list", "[Renew it]", "Renew it", "mine.yaml:19: templates[license-expired].recommendations: want a list here"},
		{"twice", "- id: license-expired", "- id: other", `mine.yaml:22: templates[1].id: "other" is the id of the template on line 3`},
	} {
		text := strings.Replace(good, tt.old, tt.new, 1) + strings.Replace(strings.TrimPrefix(good, "\ntemplates:\n"), "id: license-expired", "id: other", 1)
		own, refused := Parse("mine.yaml", []byte(text))
		if len(refused) != 1 || !strings.HasPrefix(refused[0].Error(), tt.want) || strings.Contains(refused[0].Error(), "\n") {
			t.Errorf("%s: got %q, want %q", tt.name, refused, tt.want)
		}
		if len(own.Templates) != 1 || own.Templates[0].ID != "other" {
			t.Errorf("%s: the other template is not kept: %d", tt.name, len(own.Templates))
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	shipped, refused, err := Load(nil)
	if err != nil || len(refused) > 0 {
		t.Fatal(refused, err)
	}
	find := func(list []tapio.Template, id string) *tapio.Template {
		for i := range list {
			if list[i].ID == id {
				return &list[i]
			}
		}
		return nil
	}

	mine := write("mine.yaml", good)
	all, refused, err := Load([]string{mine})
	if err != nil || len(refused) > 0 || len(all) != len(shipped)+1 {
		t.Errorf("added: %d of %d, %v, %v", len(all), len(shipped), refused, err)
	}

	replace := strings.Replace(good, "license-expired", "container-oom-limit", 1)
	all, refused, err = Load([]string{write("replaces.yaml", replace)})
	if err != nil || len(refused) > 0 || len(all) != len(shipped) || find(all, "container-oom-limit").Name != "License expired" {
		t.Errorf("replaced: %d of %d, %v, %v", len(all), len(shipped), refused, err)
	}

	broken := write("broken.yaml", strings.Replace(replace, "rank: config", "rank: none", 1))
	all, refused, err = Load([]string{broken, mine})
	if err != nil || len(refused) != 1 || len(all) != len(shipped)+1 || find(all, "container-oom-limit").Name == "License expired" {
		t.Errorf("a broken one: %d of %d, %v, %v", len(all), len(shipped), refused, err)
	}

	_, refused, err = Load([]string{mine, write("again.yaml", good)})
	if err != nil || len(refused) != 1 || !strings.Contains(refused[0].Error(), "mine.yaml too") {
		t.Errorf("one ID in two files: %v, %v", refused, err)
	}
	if _, _, err = Load([]string{filepath.Join(dir, "none.yaml")}); err == nil {
		t.Error("a file that is not there is no mistake of a template")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(good + "tests:\n- {name: x, observe: [{at: 0s, type: container.exit}], expect: {none: true}}\n"))
	f.Add([]byte("templates: [*a, &a {id: b}]"))
	f.Add([]byte("a: &a [*a]\ntemplates: *a"))
	f.Add([]byte("templates: {}\ntests: 3"))
	f.Fuzz(func(t *testing.T, data []byte) {
		own, refused := Parse("f.yaml", data)
		if len(own.Templates) == 0 && len(refused) == 0 {
			t.Error("nothing was read, and nothing was said")
		}
		for _, e := range refused {
			if !strings.HasPrefix(e.Error(), "f.yaml:") {
				t.Errorf("no file in %q", e)
			}
		}
		_ = fmt.Sprint(own.Tests)
	})
}
