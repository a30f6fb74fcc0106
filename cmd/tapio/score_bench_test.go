package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/yairfalse/tapio/cmd/tapio/cases"
	"github.com/yairfalse/tapio/cmd/tapio/config"
)

// BenchmarkCase measures what one labelled incident takes, from its folder to
// the words, without the start: templates are compiled once. It goes through
// the folders of cases that the environment variable TAPIO_CASES names,
// separated as in PATH.
//
//	TAPIO_CASES=deploy/corpus go test -run '^$' -bench Case ./cmd/tapio
func BenchmarkCase(b *testing.B) {
	folders := os.Getenv("TAPIO_CASES")
	if folders == "" {
		b.Skip("TAPIO_CASES names no folder with cases")
	}
	list, _, err := cases.Find(filepath.SplitList(folders))
	if err != nil {
		b.Fatal(err)
	}
	c, err := config.Default()
	if err != nil {
		b.Fatal(err)
	}
	templates, err := loadTemplates(nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	teller, err := newTeller(c, templates)
	if err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		if _, _, err := teller.tell(b.Context(), list[i%len(list)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkStart measures what every command that judges pays once: reading and
// compiling the shipped templates, and parsing their words.
func BenchmarkStart(b *testing.B) {
	c, err := config.Default()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		templates, err := loadTemplates(nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := newJudge(header(c, ""), templates); err != nil {
			b.Fatal(err)
		}
	}
}
