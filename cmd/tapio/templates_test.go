package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCookbook runs the tests of the examples in the cookbook and in the README,
// each alone.
func TestCookbook(t *testing.T) {
	var parts []string
	for _, name := range []string{"../../engine/templates/README.md", "../../README.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, strings.Split(string(text), "```yaml\n")[1:]...)
	}
	if len(parts) < 4 {
		t.Fatalf("%d examples, want at least 4", len(parts))
	}
	for i, part := range parts {
		example, _, _ := strings.Cut(part, "```")
		file := filepath.Join(t.TempDir(), fmt.Sprintf("example-%d.yaml", i+1))
		if err := os.WriteFile(file, []byte(example), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		if err := testTemplates(t.Context(), terminal{out: &out, err: &errs}, []string{file}); err != nil {
			t.Errorf("example %d: %v\n%s%s", i+1, err, out.String(), errs.String())
		}
		if strings.Count(out.String(), "ok    ") != strings.Count(example, "- name:") {
			t.Errorf("example %d: not every test was run:\n%s", i+1, out.String())
		}
	}
}
