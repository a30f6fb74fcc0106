package library

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/diagnosis"
)

// Schema returns the JSON Schema of template files, for editors. It says what
// a field is for and which words it knows; that conditions compile and words
// can be written, `tapio templates lint` checks.
func Schema() ([]byte, error) {
	s, err := jsonschema.For[File](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[tapio.Duration](): {Type: "string", Pattern: `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`},
		reflect.TypeFor[tapio.Rank]():     {Type: "string", Enum: words(diagnosis.Ranks())},
		reflect.TypeFor[tapio.Severity](): {Type: "string", Enum: words([]tapio.Severity{tapio.SeverityCritical, tapio.SeverityHigh, tapio.SeverityMedium, tapio.SeverityLow})},
		reflect.TypeFor[tapio.Standing](): {Type: "string", Enum: words([]tapio.Standing{tapio.StandingCertain, tapio.StandingLikely, tapio.StandingPossible, tapio.StandingUnknown})},
	}})
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "Templates of Tapio"
	s.Description = "Failure patterns, the words for them, and their tests. tapio templates lint checks what a schema can't."
	s.Properties["templates"].Items.Properties["subject"].Enum = words(diagnosis.Subjects())
	s.Properties["tests"].Items.Properties["observe"].Items.Properties["on"].Enum = words([]string{"container", "pod", "workload", "service", "node"})
	s.Properties["templates"].Items.Properties["explains"].Items.Properties["over"].Enum = words(diagnosis.Relations())
	s.Properties["templates"].Items.Required = required()
	if err := describe(s, ""); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return b.Bytes(), nil
}

// required are the fields without which no template is accepted.
func required() []string {
	return []string{"id", "cause", "rank", "standing", "subject", "pattern", "title_template", "description_template", "default_severity"}
}

func words[T any](list []T) []any {
	out := make([]any, len(list))
	for i, w := range list {
		out[i] = w
	}
	return out
}

// describe gives every field its sentence, and fails where one lacks it.
func describe(s *jsonschema.Schema, path string) error {
	for name, field := range s.Properties {
		p := strings.TrimPrefix(path+"."+name, ".")
		text, ok := descriptions()[p]
		if !ok {
			return fmt.Errorf("schema: field %s has no description", p)
		}
		field.Description = text
		for inner := field; inner != nil; inner = inner.Items { // of a list, its items
			if err := describe(inner, p); err != nil {
				return err
			}
		}
	}
	return nil
}
