package engine

import "testing"

func TestLibraryCompiles(t *testing.T) {
	list, err := Library()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 30 {
		t.Errorf("%d templates, want at least 30", len(list))
	}
	if _, err := New(Options{Templates: list}); err != nil {
		t.Fatal(err)
	}
}
