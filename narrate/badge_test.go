package narrate

import (
	"testing"

	"github.com/yairfalse/tapio"
)

// TestBadges names who saw a line where it was not the API alone.
func TestBadges(t *testing.T) {
	s := &tapio.Story{Subject: checkout}
	exit := func(source tapio.Source, witnesses ...tapio.Source) *tapio.StoryEvent {
		e := ev(0, tapio.ContainerExit, in(pod1, "app"), "reason", "Error", tapio.AttrExitCode, "1")
		e.Source, e.Witnesses = source, witnesses
		return &e
	}
	plain := describe(exit(tapio.SourceKubernetes), s)
	for _, tt := range []struct {
		line *tapio.StoryEvent
		want string
	}{
		{exit(tapio.SourceKubernetes), plain},
		{exit(tapio.SourceKubernetes, tapio.SourceCRI), plain + " [k8s, runtime]"},
		{exit(tapio.SourceKubernetes, tapio.SourceCRI, tapio.SourceEBPF), plain + " [k8s, runtime, kernel]"},
		{exit(tapio.SourceEBPF), plain + " [kernel]"},
	} {
		if got := describe(tt.line, s); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
