package tapio_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the import path of the root package.
const module = "github.com/yairfalse/tapio"

// maxLines is the longest that a Go file may be before it is two duties.
const maxLines = 500

// source is a Go file of this module, whatever its build tags.
type source struct {
	name    string // slash-separated, from the root: "engine/engine.go"
	dir     string // "engine", or "." for the root
	test    bool
	lines   int
	set     *token.FileSet
	file    *ast.File
	imports []string
}

// sources parses every Go file of the module, those that a build tag hides
// included, but not of the modules below it that build the test cluster.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, own := os.Stat(filepath.Join(name, "go.mod"))
			skip := d.Name() == "testdata" || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") || own == nil
			if name != "." && skip {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s := source{name: filepath.ToSlash(name), test: strings.HasSuffix(name, "_test.go"), lines: strings.Count(string(text), "\n"), set: token.NewFileSet()}
		s.dir = path.Dir(s.name)
		if s.file, err = parser.ParseFile(s.set, name, text, parser.ParseComments); err != nil {
			return err
		}
		for _, spec := range s.file.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, p)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Fatalf("found %d Go files: this test runs at the root of the module", len(out))
	}
	return out
}

// room returns the room that a folder belongs to: "engine" for
// engine/topology, "collectors/kubernetes" for what is below that, "." for the
// root.
func room(dir string) string {
	first, rest, _ := strings.Cut(dir, "/")
	if second, _, _ := strings.Cut(rest, "/"); first == "collectors" || first == "bpf" {
		return path.Join(first, second)
	}
	return first
}

// own returns the folder of this module that an import path names, and whether
// it names one.
func own(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// standard reports whether the import path is of the standard library: its
// first element has no dot.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// ban says what a file must not import, and why. It returns "" where the
// import is fine.
func ban(s source, importPath string) string {
	from := room(s.dir)
	dir, ours := own(importPath)
	to := room(dir)
	switch {
	case !ours:
		if from == "." && !s.test && !standard(importPath) {
			return "the root package is the vocabulary that everything shares: what it imports, everything imports"
		}
		return ""
	case from == "cmd":
		return "" // joins everything
	case from == "deploy" && s.test && (dir == "cmd/tapio/cases" || dir == "cmd/tapio/recording"):
		return "" // what they write is read by tapio score
	case to == "cmd":
		return "cmd is the top floor: nothing stands on it"
	case from == ".":
		return "the root package is the ground floor: it stands on nothing"
	case strings.HasPrefix(from, "bpf/"):
		if !strings.HasPrefix(to, "bpf/") {
			return "kernel programs and their readers know no stories: they must be usable, and testable, by themselves"
		}
	case from == "deploy":
		if to != "." && to != "deploy" && dir != "bot/slackfake" {
			return "the end-to-end tests see Tapio as its users do: through its programs, HTTP and a workspace"
		}
	case s.dir == "bot/slackfake" && dir == "bot":
		return "the stand-in judges the bot: it must not share its idea of Slack"
	case s.dir == "bot" && !s.test && dir == "bot/slackfake":
		return "the bot has no test-only behaviour: it can't tell the stand-in from Slack"
	case strings.HasPrefix(to, "bpf/"):
		if from != "collectors/kernel" {
			return "only the kernel collector speaks with kernel programs"
		}
	case to != "." && to != from:
		return "rooms of one floor meet in cmd only: each can then be understood, tested and replaced alone"
	}
	return ""
}

// TestFloors holds the layers of the design: what may import what.
func TestFloors(t *testing.T) {
	for _, s := range sources(t) {
		for _, i := range s.imports {
			if why := ban(s, i); why != "" {
				t.Errorf("%s imports %s: %s", s.name, i, why)
			}
		}
	}
}

// TestBans shows that each ban bites, so that TestFloors can't pass by
// mistake.
func TestBans(t *testing.T) {
	for _, tt := range []struct {
		dir, imports string
		test, banned bool
	}{
		{".", "github.com/google/go-cmp/cmp", false, true},
		{".", "github.com/google/go-cmp/cmp", true, false},
		{".", "encoding/json", false, false},
		{".", module + "/engine", true, true},
		{"engine", module, false, false},
		{"engine/diagnosis", module + "/engine/topology", false, false},
		{"engine", module + "/store", false, true},
		{"narrate", module + "/engine", true, true},
		{"bot", module + "/store", true, true},
		{"bot", module + "/bot/slackfake", true, false},
		{"bot", module + "/bot/slackfake", false, true},
		{"bot/slackfake", module + "/bot", true, true},
		{"collectors/cri", module + "/collectors/kubernetes", false, true},
		{"collectors/kernel", module + "/bpf/oom", false, false},
		{"collectors/cri", module + "/bpf/oom", false, true},
		{"bpf/oom", module, false, true},
		{"store", module + "/cmd/tapio/config", false, true},
		{"deploy/e2e", module + "/engine", true, true},
		{"deploy/e2e", module, true, false},
		{"deploy/e2e", module + "/bot/slackfake", true, false},
		{"cmd/tapio", module + "/bot", false, false},
		{"cmd/tapio/config", module + "/store", false, false},
	} {
		s := source{name: tt.dir + "/x.go", dir: tt.dir, test: tt.test}
		if got := ban(s, tt.imports); (got != "") != tt.banned {
			t.Errorf("%s (test: %t) imports %s: got %q, want banned: %t", tt.dir, tt.test, tt.imports, got, tt.banned)
		}
	}
}

// TestEngineIsPure looks for what would make the same input give another
// output, or wait: clocks, goroutines, chance, the machine, a logger.
func TestEngineIsPure(t *testing.T) {
	packages := []string{"os", "net", "log", "math/rand", "crypto/rand", "runtime", "sync", "context", "syscall"}
	clocks := []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}
	for _, s := range sources(t) {
		if room(s.dir) != "engine" || s.test {
			continue
		}
		for _, i := range s.imports {
			for _, p := range packages {
				if i == "net/netip" { // reads addresses, and asks nobody
					continue
				}
				if i == p || strings.HasPrefix(i, p+"/") {
					t.Errorf("%s imports %s: the engine is pure, so that a recording replays byte for byte", s.name, i)
				}
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a goroutine: one caller owns the engine's state", s.set.Position(n.Pos()))
			case *ast.ChanType:
				t.Errorf("%s: a channel: the engine never waits", s.set.Position(n.Pos()))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
					t.Errorf("%s: time.%s: the engine runs on event time and on what Tick says", s.set.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestHouse holds the rules of the house that a machine can see.
func TestHouse(t *testing.T) {
	comments := map[string][]string{} // package folder → files with a package comment
	for _, s := range sources(t) {
		if s.lines > maxLines && !ast.IsGenerated(s.file) {
			t.Errorf("%s has %d lines: over %d a file holds more than one duty", s.name, s.lines, maxLines)
		}
		switch path.Base(s.dir) {
		case "types", "util", "utils", "common", "helpers", "manager":
			t.Errorf("%s: %q names no duty", s.name, path.Base(s.dir))
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && !ast.IsGenerated(s.file) && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init runs before anyone asked for it: make it a call", s.set.Position(f.Pos()))
			}
		}
		if s.test {
			continue
		}
		if comments[s.dir] == nil {
			comments[s.dir] = []string{}
		}
		if s.file.Doc != nil {
			comments[s.dir] = append(comments[s.dir], s.name)
		}
	}
	for dir, files := range comments {
		if len(files) != 1 {
			t.Errorf("package %s has %d package comments %v: one says its duty, its contract and what it does not do", dir, len(files), files)
		}
	}
}

// TestTopFolders keeps the first thing that a reader sees: every folder at the
// root is on the design's plan.
func TestTopFolders(t *testing.T) {
	plan := []string{
		"bot", "bpf", "cmd", "collectors", "deploy", "engine", "narrate", "store",
		"docs",       // pictures of the README
		"bin", "out", // what make builds and writes; git ignores both
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(plan, e.Name()) {
			t.Errorf("%s is not on the plan of the house: it belongs into a room", e.Name())
		}
	}
}
