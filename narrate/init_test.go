package narrate

import (
	"strings"
	"testing"

	"github.com/yairfalse/tapio"
)

// TestInitContainerIsNamed says that it is an init container that fails, and
// only where it is one.
func TestInitContainerIsNamed(t *testing.T) {
	for init, want := range map[string]bool{"true": true, "": false} {
		s := exitScene("container-app-error", "Error", "1", "").story(t, library(t), false)
		for i := range s.Timeline {
			s.Timeline[i].Data[tapio.AttrInit] = init
		}
		if err := narrator(t).Tell(&s); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(s.Title, "init container app"); got != want {
			t.Errorf("init %q: the title is %q", init, s.Title)
		}
	}
}
