package engine

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/diagnosis"
)

//go:embed templates/*.yaml
var templates embed.FS

// Library returns the templates that Tapio ships.
func Library() ([]tapio.Template, error) {
	names, err := fs.Glob(templates, "templates/*.yaml")
	if err != nil {
		return nil, err
	}
	var out []tapio.Template
	for _, name := range names {
		data, err := templates.ReadFile(name)
		if err != nil {
			return nil, err
		}
		list, err := ParseTemplates(strings.TrimPrefix(name, "templates/"), data)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// ParseTemplates reads a YAML file of templates (a list under the key
// "templates") and checks that each can match. Errors name the file, the
// template and the field; name is only for them.
func ParseTemplates(name string, data []byte) ([]tapio.Template, error) {
	var file struct {
		Templates []tapio.Template `json:"templates"`
	}
	if err := yaml.UnmarshalStrict(data, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(file.Templates) == 0 {
		return nil, fmt.Errorf("%s: no templates: want a list under the key \"templates\"", name)
	}
	compiler, err := diagnosis.NewCompiler()
	if err != nil {
		return nil, err
	}
	var errs []error
	seen := map[string]bool{}
	for _, t := range file.Templates {
		if _, err := compiler.Compile(t); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		if seen[t.ID] {
			errs = append(errs, fmt.Errorf("%s: template %q is there twice", name, t.ID))
		}
		seen[t.ID] = true
	}
	return file.Templates, errors.Join(errs...)
}
