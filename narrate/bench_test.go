package narrate

import (
	"io"
	"testing"

	"github.com/yairfalse/tapio"
)

// BenchmarkTell words one story of four timeline lines.
func BenchmarkTell(b *testing.B) {
	n := narrator(b)
	given := scenes()[0].story(b, library(b), false)
	b.ReportAllocs()
	for b.Loop() {
		s := given
		if err := n.Tell(&s); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkText writes one story for a terminal.
func BenchmarkText(b *testing.B) {
	s := scenes()[0].story(b, library(b), false)
	if err := narrator(b).Tell(&s); err != nil {
		b.Fatal(err)
	}
	stories := []tapio.Story{s}
	b.ReportAllocs()
	for b.Loop() {
		if err := Text(io.Discard, stories, TextOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
