// Package cases finds, reads and writes labelled incidents: folders that hold
// what a cluster reported and what is right about it.
//
// A case is a folder with expect.yaml, an [Expectation], and either dump/,
// which `tapio tell` reads, or one recording (*.jsonl or *.jsonl.gz), which
// `tapio replay` reads. Cases may lie at any depth below the folders that are
// named; a case does not lie within a case.
//
// The package judges nothing: it knows neither the engine nor how an answer is
// compared with what is right.
package cases

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/yairfalse/tapio"
)

// The names within the folder of a case.
const (
	ExpectFile    = "expect.yaml"
	DumpFolder    = "dump"
	RecordingFile = "recording.jsonl.gz" // as Write names it; any *.jsonl or *.jsonl.gz is read
)

// Expectation is expect.yaml: what is right about a case. Either Healthy is
// set, or Cause and Entity are.
type Expectation struct {
	Cause  tapio.Cause  `json:"cause,omitempty"`
	Entity tapio.Entity `json:"entity,omitzero"` // the object at fault

	Alternatives       []tapio.Cause  `json:"alternatives,omitempty"`        // other causes that count as right
	EntityAlternatives []tapio.Entity `json:"entity_alternatives,omitempty"` // other objects that count as right
	Affected           []tapio.Entity `json:"affected,omitempty"`            // what is hurt, where that is known
	Also               []Incident     `json:"also,omitempty"`                // what else is wrong at the same time, each of which has a story of its own
	Healthy            bool           `json:"healthy,omitempty"`             // nothing is wrong: any story is false

	Label       string `json:"label,omitempty"`        // the source's own name for the kind of fault
	FaultObject string `json:"fault_object,omitempty"` // the source's own name for the object at fault
	Evidence    string `json:"evidence,omitempty"`     // where the decisive evidence is: k8s, spec, logs, metrics, …
}

// Incident is one cause and the object at fault.
type Incident struct {
	Cause  tapio.Cause  `json:"cause"`
	Entity tapio.Entity `json:"entity"`
}

// Validate reports an expectation that no answer could be held against.
func (x *Expectation) Validate() error {
	switch {
	case x.Healthy && (x.Cause != "" || !x.Entity.IsZero()):
		return errors.New("healthy, and yet it names a cause or an entity")
	case x.Healthy:
		return nil
	case x.Cause == "":
		return errors.New("cause is missing; say healthy: true where nothing is wrong")
	case x.Entity.Kind == "" || x.Entity.Name == "":
		return errors.New("entity wants at least kind and name")
	}
	for _, i := range x.Also {
		if i.Cause == "" || i.Entity.Kind == "" || i.Entity.Name == "" {
			return errors.New("what is wrong also wants a cause, and an entity with kind and name")
		}
	}
	return nil
}

// Case is one labelled incident.
type Case struct {
	Name      string // path of its folder below the folder that was named, with slashes
	Folder    string
	Dump      string // folder of the dump, or empty
	Recording string // file of the recording, or empty
	Expect    Expectation
}

// Find returns the cases in and below the folders, sorted by name, and
// sentences about what is odd in their expectations. It fails where a folder
// holds no case, or where a case can't be read or is incomplete.
func Find(folders []string) ([]Case, []string, error) {
	var (
		out      []Case
		warnings []string
		errs     []error
	)
	for _, folder := range folders {
		n := len(out)
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if _, err := os.Stat(filepath.Join(path, ExpectFile)); err != nil {
				return nil
			}
			c, warning, err := Read(path)
			if err != nil {
				errs = append(errs, err)
				return fs.SkipDir
			}
			if warning != "" {
				warnings = append(warnings, warning)
			}
			c.Name = name(folder, path)
			out = append(out, c)
			return fs.SkipDir
		})
		if err != nil {
			return nil, nil, fmt.Errorf("find cases: %w", err)
		}
		if len(out) == n && len(errs) == 0 {
			errs = append(errs, fmt.Errorf("%s holds no case: a case is a folder with %s", folder, ExpectFile))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	slices.SortFunc(out, func(a, b Case) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Folder, b.Folder))
	})
	return out, warnings, nil
}

// name is how a case is called: by its path below the folder that was named,
// or by its own name where it is that folder.
func name(root, path string) string {
	rel, err := filepath.Rel(root, path)
	if err != nil || rel == "." {
		return filepath.Base(path)
	}
	return filepath.ToSlash(rel)
}

// Read reads the case of one folder. A field of expect.yaml that is unknown is
// no error: other people's cases may say more. The warning names it.
func Read(folder string) (c Case, warning string, err error) {
	file := filepath.Join(folder, ExpectFile)
	data, err := os.ReadFile(file)
	if err != nil {
		return Case{}, "", fmt.Errorf("read case: %w", err)
	}
	c = Case{Name: filepath.Base(folder), Folder: folder}
	if odd := yaml.UnmarshalStrict(data, &c.Expect); odd != nil {
		c.Expect = Expectation{}
		if err := yaml.Unmarshal(data, &c.Expect); err != nil {
			return Case{}, "", fmt.Errorf("%s: %w", file, err)
		}
		warning = fmt.Sprintf("%s: %v", file, odd)
	}
	if err := c.Expect.Validate(); err != nil {
		return Case{}, "", fmt.Errorf("%s: %w", file, err)
	}
	if info, err := os.Stat(filepath.Join(folder, DumpFolder)); err == nil && info.IsDir() {
		c.Dump = filepath.Join(folder, DumpFolder)
		return c, warning, nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return Case{}, "", fmt.Errorf("read case: %w", err)
	}
	for _, e := range entries {
		n := e.Name()
		if e.IsDir() || !strings.HasSuffix(n, ".jsonl") && !strings.HasSuffix(n, ".jsonl.gz") {
			continue
		}
		if c.Recording != "" {
			return Case{}, "", fmt.Errorf("%s holds two recordings, %s and %s: one case is one incident", folder, filepath.Base(c.Recording), n)
		}
		c.Recording = filepath.Join(folder, n)
	}
	if c.Recording == "" {
		return Case{}, "", fmt.Errorf("%s holds neither %s/ nor a recording (*.jsonl.gz)", folder, DumpFolder)
	}
	return c, warning, nil
}
