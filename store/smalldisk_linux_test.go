package store

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/yairfalse/tapio"
)

// TestSmallDisk fills a real small disk until nothing is taken any more, and
// opens it again. It mounts one, so it needs root.
func TestSmallDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small disk")
	}
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("can't mount a small disk here: %v", err)
	}
	defer syscall.Unmount(disk, syscall.MNT_DETACH)
	dir := filepath.Join(disk, "store")
	o := Options{Dir: dir, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	story := sample()
	story.Revision = 0
	saved := 0
	random := rand.NewChaCha8([32]byte{})
	for {
		story.Revision++
		noise := make([]byte, 60<<10)
		if _, err := random.Read(noise); err != nil {
			t.Fatal(err)
		}
		story.Evidence = []tapio.Evidence{{ID: fmt.Sprint(story.Revision), Text: base64.StdEncoding.EncodeToString(noise)}}
		if _, err = s.Append(t.Context(), []tapio.Story{story}); err != nil {
			break
		}
		if saved++; saved > 100000 {
			t.Fatal("a disk of 48 MiB never runs full")
		}
	}
	if !errors.Is(err, ErrDiskFull) {
		t.Fatalf("after %d: %v", saved, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	history, err := s.History(t.Context(), story.ID)
	if err != nil || len(history) != saved || len(s.Damage()) > 0 {
		t.Errorf("%d of %d revisions, %v, damage %q", len(history), saved, err, s.Damage())
	}
	// The hint of a folder that can't be moved moves its files.
	if hint := moveHint(disk); !strings.Contains(hint, "cd "+disk+" && mkdir damaged && mv MANIFEST") {
		t.Error(hint)
	}
	// Another user of the disk leaves too little to open.
	s.Close()
	filler, err := os.Create(filepath.Join(disk, "other"))
	if err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 1<<20); err == nil; {
		_, err = filler.Write(chunk)
	}
	filler.Close()
	_, err = Open(o)
	if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), "Make the volume larger") {
		t.Errorf("open on a full disk: %v", err)
	}
}
