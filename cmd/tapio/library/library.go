// Package library joins the templates that Tapio ships with the users' own:
// it reads their files, refuses what is wrong in them with file, line, field
// and reason, and goes on with the rest. It also describes the files to
// editors, as a JSON Schema.
//
// One bad template never costs the others: it is left out, and where it was to
// replace a shipped one, that one stays.
package library

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/strict"
	"github.com/yairfalse/tapio/engine"
	"github.com/yairfalse/tapio/engine/diagnosis"
	"github.com/yairfalse/tapio/narrate"
)

// File is what a file of templates holds. Only `tapio templates test` reads
// the tests.
type File struct {
	Templates []tapio.Template `json:"templates"`
	Tests     []Test           `json:"tests,omitempty"`
}

// Own is what was read of one user's file.
type Own struct {
	Templates []tapio.Template
	Tests     []Test
	Document  *strict.Document // for the lines of the tests
}

// Read reads a user's file. refused has an error for each mistake, which
// begins with FILE:LINE: and names the field; a template that has one is left
// out. err says that the file can't be read at all.
func Read(name string) (own Own, refused []error, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return Own{}, nil, fmt.Errorf("read templates: %w", err)
	}
	own, refused = Parse(name, data)
	return own, refused, nil
}

// Parse does what [Read] does, on the text of a file.
func Parse(name string, data []byte) (own Own, refused []error) {
	doc, err := strict.Parse(name, data)
	if err != nil {
		return Own{}, []error{err}
	}
	own.Document = doc
	refused = append(refused, Parts(doc.Outline(File{}))...)
	compiler, err := diagnosis.NewCompiler()
	if err != nil {
		return Own{}, []error{err}
	}
	items := doc.Items("templates")
	tests := doc.Items("tests")
	if len(items) == 0 && len(tests) == 0 && len(refused) == 0 {
		refused = append(refused, doc.Mistake("", errors.New("no templates: want a list under the key \"templates\"")))
	}
	first := map[string]int{} // line of the template with the ID
	for i, item := range items {
		path := fmt.Sprintf("templates[%d]", i)
		t, errs := template(item, compiler)
		if line, twice := first[t.ID]; twice && len(errs) == 0 {
			errs = []error{doc.Mistake(path+".id", fmt.Errorf("%q is the id of the template on line %d; give one of them another", t.ID, line))}
		}
		if len(errs) > 0 {
			refused = append(refused, errs...)
			continue
		}
		first[t.ID] = doc.Line(path)
		own.Templates = append(own.Templates, t)
	}
	for _, item := range tests {
		var t Test
		if errs := Parts(item.Check(t)); len(errs) > 0 {
			refused = append(refused, errs...)
			continue
		}
		if err := item.Decode(&t); err != nil {
			refused = append(refused, item.Mistake("", err))
			continue
		}
		t.Line = item.Line("")
		own.Tests = append(own.Tests, t)
	}
	return own, refused
}

// position is how the compiler of conditions says where a mistake is.
var position = regexp.MustCompile(`^ERROR: <input>:1:(\d+): `)

// template reads one template and returns all that is wrong with it.
func template(item *strict.Document, compiler *diagnosis.Compiler) (t tapio.Template, errs []error) {
	if errs := Parts(item.Check(t)); len(errs) > 0 {
		return t, errs
	}
	if err := item.Decode(&t); err != nil {
		return t, []error{item.Mistake("", err)}
	}
	_, err := compiler.Compile(t)
	for _, err := range append(Parts(err), narrate.Lint(t)...) {
		field := ""
		var in *tapio.FieldError
		if errors.As(err, &in) {
			field, err = in.Field, in.Err
		}
		// A condition's mistake is shown by its compiler on further lines.
		text, _, _ := strings.Cut(err.Error(), "\n")
		errs = append(errs, item.Mistake(field, errors.New(position.ReplaceAllString(text, "at character $1: "))))
	}
	return t, errs
}

// Load returns the shipped templates and those of the users' files. A user's
// template replaces the shipped one that has its ID. What was refused is in
// refused, one error for each mistake. err says that a file can't be read, or
// that what ships is broken.
func Load(files []string) (templates []tapio.Template, refused []error, err error) {
	templates, err = engine.Library()
	if err != nil {
		return nil, nil, fmt.Errorf("shipped templates: %w", err)
	}
	place := map[string]int{}
	for i, t := range templates {
		place[t.ID] = i
	}
	from := map[string]string{}
	for _, name := range files {
		own, errs, err := Read(name)
		if err != nil {
			return nil, nil, err
		}
		refused = append(refused, errs...)
		for _, t := range own.Templates {
			if first := from[t.ID]; first != "" {
				refused = append(refused, fmt.Errorf("%s: template %q is in %s too; give one of them another id", name, t.ID, first))
				continue
			}
			from[t.ID] = name
			if i, ok := place[t.ID]; ok {
				templates[i] = t
				continue
			}
			place[t.ID] = len(templates)
			templates = append(templates, t)
		}
	}
	return templates, refused, nil
}

// Parts takes a joined error apart.
func Parts(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range joined.Unwrap() {
			out = append(out, Parts(e)...)
		}
		return out
	}
	return []error{err}
}
