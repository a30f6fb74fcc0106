package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
	"github.com/yairfalse/tapio/store"
)

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{InMemory: true, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func story(id string, revision int, status tapio.Status) tapio.Story {
	at := time.Date(2026, 11, 23, 10, revision, 0, 0, time.UTC)
	return tapio.Story{
		ID: id, Revision: revision, Status: status, Severity: tapio.SeverityHigh, Cause: tapio.CauseOOMLimit,
		Subject: tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: id}, Timestamp: at, Updated: at,
	}
}

// TestSaverGoesOn saves what it can beside a revision that the store refuses.
func TestSaverGoesOn(t *testing.T) {
	journal := openStore(t)
	var log strings.Builder
	save := saver(journal, slog.New(slog.NewTextHandler(&log, nil)))
	if err := save(t.Context(), []tapio.Story{story("a", 2, tapio.StatusOpen)}); err != nil {
		t.Fatal(err)
	}
	if err := save(t.Context(), []tapio.Story{story("a", 1, tapio.StatusOpen), story("b", 1, tapio.StatusOpen)}); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Story(t.Context(), "b"); err != nil {
		t.Errorf("the story beside the refused one was lost: %v", err)
	}
	if !strings.Contains(log.String(), "the store refuses a revision") {
		t.Errorf("nobody was told: %s", log.String())
	}
}

// TestRecall reads open and resolved stories, and knows a first run from a
// later one.
func TestRecall(t *testing.T) {
	journal := openStore(t)
	h, err := recall(t.Context(), journal, recording.Header{})
	if err != nil || !h.Backlog || len(h.Restored) != 0 {
		t.Fatalf("first run: %+v, %v", h, err)
	}
	synced := make(chan struct{})
	close(synced)
	if err := noteListing(t.Context(), synced, journal); err != nil {
		t.Fatal(err)
	}
	closed := story("done", 3, tapio.StatusResolved)
	closed.Resolved = closed.Updated
	if _, err := journal.Append(t.Context(), []tapio.Story{story("a", 1, tapio.StatusOpen), closed}); err != nil {
		t.Fatal(err)
	}
	h, err = recall(t.Context(), journal, recording.Header{Cluster: "prod"})
	if err != nil || h.Backlog || h.Cluster != "prod" || len(h.Restored) != 2 || countOpen(h.Restored) != 1 {
		t.Fatalf("later run: %+v, %v", h, err)
	}
}
