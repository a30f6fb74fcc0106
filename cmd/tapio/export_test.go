package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/api"
	"github.com/yairfalse/tapio/cmd/tapio/blackbox"
	"github.com/yairfalse/tapio/cmd/tapio/cases"
	"github.com/yairfalse/tapio/cmd/tapio/loop"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
	"github.com/yairfalse/tapio/store"
)

// played is a tapio run that has lived through the incident of the demo.
func played(t *testing.T) (journal *store.Store, keeper *blackbox.Keeper, server string) {
	t.Helper()
	film, err := readFilm(demoRecording)
	if err != nil {
		t.Fatal(err)
	}
	journal = openStore(t)
	templates, err := loadTemplates(nil, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	engine, narrator, err := newJudge(film.header, templates)
	if err != nil {
		t.Fatal(err)
	}
	keeper = &blackbox.Keeper{Box: blackbox.New(blackbox.Options{}), Folder: filepath.Join(t.TempDir(), "kept"), Header: film.header}
	log := slog.New(slog.DiscardHandler)
	l, err := loop.New(loop.Options{Engine: engine, Narrator: narrator, Save: saver(journal, log), Memory: keeper.Box, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	for i := range film.steps {
		if o := film.steps[i].Observation; o != nil {
			err = l.Observe(t.Context(), o)
		} else {
			err = l.Tick(t.Context(), film.steps[i].Time)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	h, err := api.Handler(api.Options{
		Stories: journal, Metrics: http.NotFoundHandler(), Ready: func() []string { return nil }, Log: log, Now: time.Now,
		Kept: api.Kept{Ledger: journal, Recording: keeper.Write},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return journal, keeper, srv.URL
}

// TestExport makes a case of a story that somebody called right: it is one
// that score reads, and it replays to the same story.
func TestExport(t *testing.T) {
	journal, keeper, server := played(t)
	stories, err := journal.Stories(t.Context(), tapio.Query{Status: tapio.StatusResolved})
	if err != nil || len(stories) == 0 {
		t.Fatalf("%d stories, %v", len(stories), err)
	}
	s := stories[0]
	folder := filepath.Join(t.TempDir(), "cases", "one")
	o := exportOptions{server: server, folder: folder, out: io.Discard}
	if err := export(t.Context(), o, s.ID); err == nil || !strings.Contains(err.Error(), "nobody said what the cause") {
		t.Errorf("exported without knowing the cause: %v", err)
	}
	f := tapio.Feedback{Story: s.ID, Time: time.Now(), By: "@first", User: "U1", Told: s.Cause, Standing: s.Standing, Good: true}
	if err := journal.Write(t.Context(), f.Record()); err != nil {
		t.Fatal(err)
	}
	if err := keeping(journal, keeper)(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	keeper.Box = blackbox.New(blackbox.Options{}) // as after a restart
	var out strings.Builder
	o.out = &out
	if err := export(t.Context(), o, s.ID); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "right, says @first") {
		t.Error(out.String())
	}
	c, warning, err := cases.Read(folder)
	if err != nil || warning != "" || c.Expect.Cause != s.Cause || c.Expect.Entity != s.CauseEntity {
		t.Fatalf("%+v, %q, %v", c, warning, err)
	}
	if got := replayed(t, c.Recording); got[s.ID].Cause != s.Cause || got[s.ID].Title != s.Title || got[s.ID].Status != tapio.StatusResolved {
		t.Errorf("replayed to %+v, want %+v", got, s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client, err := api.NewClient(server)
	if err != nil {
		t.Fatal(err)
	}
	counted, err := client.Stats(ctx, s.Timestamp.Add(-time.Hour))
	if err != nil || counted.Feedback.Right != 1 || counted.Stories == 0 || counted.ToCause.Count == 0 {
		t.Errorf("stats %+v, %v", counted, err)
	}
}

func replayed(t *testing.T, file string) map[string]tapio.Story {
	t.Helper()
	r, err := recording.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	h, _ := r.Header()
	templates, err := loadTemplates(nil, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	engine, narrator, err := newJudge(h, templates)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]tapio.Story{}
	if _, err := play(r, engine, narrator, func(s tapio.Story) { out[s.ID] = s }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestExpectation(t *testing.T) {
	s := &tapio.Story{ID: "s1", Cause: tapio.CauseOOMLimit, CauseEntity: tapio.Entity{Kind: tapio.KindPod, Name: "p"}, Subject: tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: "d"}}
	cache := tapio.Entity{Kind: tapio.KindConfigMap, Namespace: "shop", Name: "cache"}
	at := time.Date(2026, 11, 2, 14, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		said          []tapio.Feedback
		cause, entity string
		want          tapio.Cause
		at            tapio.Entity
		fails         string
	}{
		"nothing":         {fails: "nobody said"},
		"only words":      {said: []tapio.Feedback{{Text: "dunno", Right: "other"}}, fails: "nobody said"},
		"right":           {said: []tapio.Feedback{{Good: true, Told: s.Cause}}, want: s.Cause, at: s.CauseEntity},
		"wrong":           {said: []tapio.Feedback{{Right: tapio.CauseKeyMissing, Entity: cache}}, want: tapio.CauseKeyMissing, at: cache},
		"without object":  {said: []tapio.Feedback{{Right: tapio.CauseKeyMissing}}, want: tapio.CauseKeyMissing, at: s.Subject},
		"the newest wins": {said: []tapio.Feedback{{Good: true, Told: s.Cause, Time: at}, {Right: tapio.CauseTaint, Time: at.Add(time.Hour)}}, want: tapio.CauseTaint, at: s.Subject},
		"flags win":       {said: []tapio.Feedback{{Good: true, Told: s.Cause}}, cause: "sched.taint", entity: "ConfigMap/shop/cache", want: tapio.CauseTaint, at: cache},
		"a bad object":    {cause: "sched.taint", entity: "cache", fails: "neither Kind/name"},
	} {
		x, _, err := expectation(s, c.said, c.cause, c.entity)
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || x.Cause != c.want || x.Entity != c.at {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
	}
}
