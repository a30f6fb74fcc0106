// Package strict finds what is wrong in a YAML file that a person wrote, with
// its line and the path of the field.
//
// The strict decoder of sigs.k8s.io/yaml refuses unknown fields, but doesn't
// say where they stand. A [Document] is checked against the Go type that it is
// going to be decoded into; decoding stays the library's work.
package strict

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// Document is a parsed YAML file with its lines.
type Document struct {
	name string
	path string // of root in its file; empty where that is the whole file
	root *yamlv3.Node
}

// Parse reads a YAML document. The name is for errors.
func Parse(name string, data []byte) (*Document, error) {
	var n yamlv3.Node
	if err := yamlv3.Unmarshal(data, &n); err != nil {
		return nil, fmt.Errorf("%s: %w; check the indentation, and use spaces, not tabs", name, err)
	}
	d := &Document{name: name, root: &yamlv3.Node{Kind: yamlv3.MappingNode}}
	if len(n.Content) == 1 && n.Content[0].Tag != "!!null" {
		d.root = n.Content[0]
	}
	return d, nil
}

// Check reports every field of the document that the type of v doesn't have,
// and every value that its type can't hold. Items of a list that have an id
// are named by it.
func (d *Document) Check(v any) error {
	return errors.Join(d.walk(d.root, reflect.TypeOf(v), d.path)...)
}

// Outline checks the document's own fields as [Document.Check] does, and of
// lists only that they are lists: what is in them is left to their [Items].
func (d *Document) Outline(v any) error {
	outline := *d
	top := *d.root
	top.Content = nil
	for i := 0; i+1 < len(d.root.Content); i += 2 {
		value := d.root.Content[i+1]
		if value.Kind == yamlv3.SequenceNode {
			value = &yamlv3.Node{Kind: yamlv3.SequenceNode, Tag: value.Tag, Line: value.Line}
		}
		top.Content = append(top.Content, d.root.Content[i], value)
	}
	outline.root = &top
	return outline.Check(v)
}

// Items returns the items of the list under a key of the document, each as a
// document of its own that knows its lines and its path in the file.
func (d *Document) Items(key string) []*Document {
	if d.root.Kind != yamlv3.MappingNode {
		return nil
	}
	var out []*Document
	for i := 0; i+1 < len(d.root.Content); i += 2 {
		if d.root.Content[i].Value != key || d.root.Content[i+1].Kind != yamlv3.SequenceNode {
			continue
		}
		for j, item := range d.root.Content[i+1].Content {
			if item.Kind == yamlv3.AliasNode {
				item = item.Alias
			}
			out = append(out, &Document{name: d.name, path: fmt.Sprintf("%s[%s]", key, label(item, j)), root: item})
		}
	}
	return out
}

// Decode reads the document into v, which must be a pointer.
func (d *Document) Decode(v any) error {
	var plain any
	if err := d.root.Decode(&plain); err != nil {
		return err
	}
	text, err := yamlv3.Marshal(plain)
	if err != nil {
		return err
	}
	return yaml.UnmarshalStrict(text, v)
}

// Mistake is an error about the field at the path: FILE:LINE: FIELD: what is
// wrong.
func (d *Document) Mistake(path string, err error) error {
	full := strings.Trim(d.path+"."+path, ".")
	if full == "" {
		return fmt.Errorf("%s:%d: %w", d.name, d.Line(path), err)
	}
	return fmt.Errorf("%s:%d: %s: %w", d.name, d.Line(path), full, err)
}

func (d *Document) walk(n *yamlv3.Node, t reflect.Type, path string) []error {
	if n.Kind == yamlv3.AliasNode {
		n = n.Alias
	}
	fail := func(n *yamlv3.Node, format string, args ...any) []error {
		at := fmt.Sprintf("%s:%d: ", d.name, n.Line)
		if path != "" {
			at += path + ": "
		}
		return []error{errors.New(at + fmt.Sprintf(format, args...))}
	}
	switch {
	case t.Kind() == reflect.Struct:
		if n.Kind != yamlv3.MappingNode {
			return fail(n, "want fields such as \"%s: …\" here", fields(t)[0])
		}
		return d.walkStruct(n, t, path)
	case t.Kind() == reflect.Slice:
		if n.Tag == "!!null" {
			return nil
		}
		if n.Kind != yamlv3.SequenceNode {
			return fail(n, "want a list here: one \"- …\" line for each")
		}
		var errs []error
		for i, item := range n.Content {
			errs = append(errs, d.walk(item, t.Elem(), fmt.Sprintf("%s[%s]", path, label(item, i)))...)
		}
		return errs
	case t.Kind() == reflect.Map:
		if n.Kind != yamlv3.MappingNode {
			return fail(n, "want fields here")
		}
		var errs []error
		for i := 0; i+1 < len(n.Content); i += 2 {
			errs = append(errs, d.walk(n.Content[i+1], t.Elem(), path+"."+n.Content[i].Value)...)
		}
		return errs
	}
	if n.Kind != yamlv3.ScalarNode {
		return fail(n, "want a single value here")
	}
	if n.Tag == "!!null" {
		return nil // keeps the default
	}
	if _, ok := reflect.New(t).Interface().(encoding.TextUnmarshaler); ok {
		if err := reflect.New(t).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
			return fail(n, "%v", err)
		}
		return nil
	}
	text, err := yamlv3.Marshal(n)
	if err != nil {
		return fail(n, "%v", err)
	}
	if err := yaml.UnmarshalStrict(text, reflect.New(t).Interface()); err != nil {
		return fail(n, "%q is not %s", n.Value, noun(t))
	}
	return nil
}

func (d *Document) walkStruct(n *yamlv3.Node, t reflect.Type, path string) []error {
	var errs []error
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		full := strings.TrimPrefix(path+"."+key.Value, ".")
		if first, twice := seen[key.Value]; twice {
			errs = append(errs, fmt.Errorf("%s:%d: %s stands here for the second time; the first is on line %d", d.name, key.Line, full, first))
			continue
		}
		seen[key.Value] = key.Line
		f, ok := field(t, key.Value)
		if !ok {
			errs = append(errs, fmt.Errorf("%s:%d: unknown field %s; %s", d.name, key.Line, full, suggest(key.Value, fields(t))))
			continue
		}
		errs = append(errs, d.walk(value, f.Type, full)...)
	}
	return errs
}

// Line returns the line of the field at the path, or of the nearest field
// above it that the document has.
func (d *Document) Line(path string) int {
	n, line := d.root, max(d.root.Line, 1)
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		next := (*yamlv3.Node)(nil)
		if n.Kind == yamlv3.AliasNode {
			n = n.Alias
		}
		switch n.Kind {
		case yamlv3.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == part {
					next, line = n.Content[i+1], n.Content[i].Line
				}
			}
		case yamlv3.SequenceNode:
			if i, err := strconv.Atoi(part); err == nil && i < len(n.Content) {
				next, line = n.Content[i], n.Content[i].Line
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return line
}

// label names an item of a list: by its id, where it has one, else by its place.
func label(n *yamlv3.Node, place int) string {
	if n.Kind == yamlv3.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == "id" && n.Content[i+1].Kind == yamlv3.ScalarNode && n.Content[i+1].Value != "" {
				return n.Content[i+1].Value
			}
		}
	}
	return strconv.Itoa(place)
}

func field(t reflect.Type, name string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if fieldName(t.Field(i)) == name {
			return t.Field(i), true
		}
	}
	return reflect.StructField{}, false
}

func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func fields(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		out = append(out, fieldName(t.Field(i)))
	}
	return out
}

func noun(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text; put it in quotes"
	}
	return "a number"
}

// suggest names the known field that is nearest to the unknown one, or all.
func suggest(got string, known []string) string {
	best, least := "", 4 // more than three edits is another word
	for _, k := range known {
		if strings.HasPrefix(k, got+"_") {
			return fmt.Sprintf("did you mean %s?", k)
		}
		if n := levenshtein.ComputeDistance(strings.ToLower(got), k); n < least {
			best, least = k, n
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	return "known here: " + strings.Join(known, ", ")
}
