package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/api"
	"github.com/yairfalse/tapio/store"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// memory answers with one story and remembers the question.
type memory struct {
	asked tapio.Query
	err   error
}

func (m *memory) Stories(_ context.Context, q tapio.Query) ([]tapio.Story, error) {
	m.asked = q
	return []tapio.Story{{ID: "inc-1", Title: "checkout runs out of memory"}}, m.err
}

func (m *memory) Story(_ context.Context, id string) (tapio.Story, error) {
	switch id {
	case "inc-1":
		return tapio.Story{ID: id}, m.err
	case "inc":
		return tapio.Story{}, &store.AmbiguousError{Prefix: id, Candidates: []string{"inc-1", "inc-3"}}
	}
	return tapio.Story{}, fmt.Errorf("story %s: %w", id, store.ErrNotFound)
}

func (m *memory) History(ctx context.Context, id string) ([]tapio.Revision, error) {
	s, err := m.Story(ctx, id)
	return []tapio.Revision{{Seq: 3, Story: s}}, err
}

func serve(t *testing.T, m *memory, lacking ...string) *httptest.Server {
	t.Helper()
	h, err := api.Handler(api.Options{
		Stories: m,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "tapio_up 1\n") }),
		Ready:   func() []string { return lacking },
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
		Now:     func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestServer(t *testing.T) {
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/healthz", 200, "ok"},
		{"GET", "/readyz", 200, "ok"},
		{"GET", "/metrics", 200, "tapio_up 1"},
		{"GET", "/api/v1/stories", 200, `{"stories":[{"id":"inc-1"`},
		{"GET", "/api/v1/stories/inc-1", 200, `{"id":"inc-1"`},
		{"GET", "/api/v1/stories/inc-2", 404, `{"error":"there is no story \"inc-2\""}`},
		{"GET", "/api/v1/stories/inc", 409, `{"error":"\"inc\" is the start of more than one story: inc-1, inc-3"}`},
		{"GET", "/api/v1/stories/inc-1/revisions", 200, `{"revisions":[{"seq":3,"story":{"id":"inc-1"`},
		{"GET", "/api/v1/stories/inc-2/revisions", 404, `{"error":"there is no story \"inc-2\""}`},
		{"GET", "/api/v1/stories?status=closed", 400, `{"error":"status \"closed\" is none of open, resolved, absorbed"}`},
		{"GET", "/api/v1/stories?pods=a", 400, `{"error":"unknown parameter \"pods\"`},
		{"GET", "/api/v1/stories?pod=a&pod=b", 400, `{"error":"parameter \"pod\" is given twice"}`},
		{"GET", "/api/v1/stories?since=yesterday", 400, `{"error":"since \"yesterday\" is neither`},
		{"GET", "/api/v1/stories?limit=0", 400, `{"error":"limit \"0\" is not a number from 1 to 1000"}`},
		{"POST", "/api/v1/stories", 405, ""},
		{"GET", "/slack/commands", 404, ""},
	} {
		t.Run(tt.method+tt.path, func(t *testing.T) {
			s := serve(t, &memory{})
			req, _ := http.NewRequest(tt.method, s.URL+tt.path, nil)
			resp, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != tt.status || !strings.HasPrefix(string(body), tt.body) {
				t.Errorf("got %d %s, want %d %s", resp.StatusCode, body, tt.status, tt.body)
			}
		})
	}
}

func TestNotReadySaysWhatLacks(t *testing.T) {
	s := serve(t, &memory{}, "slack: the token was refused", "kubernetes: the first listing is not complete")
	resp, err := s.Client().Get(s.URL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 503 || strings.Count(string(body), "\n") != 2 {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

// TestClient asks the server everything that a query can say.
func TestClient(t *testing.T) {
	m := &memory{}
	c, err := api.NewClient(serve(t, m).URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	q := tapio.Query{Status: tapio.StatusOpen, Pod: "shop/a", Workload: "a", Namespace: "shop", Cause: tapio.CauseOOMLimit, Since: now.Add(-time.Hour), Limit: 7}
	got, err := c.Stories(t.Context(), q)
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	if m.asked != q {
		t.Errorf("asked %+v, want %+v", m.asked, q)
	}
	if s, err := c.Story(t.Context(), "inc-1"); err != nil || s.ID != "inc-1" {
		t.Errorf("got %v, %v", s.ID, err)
	}
	if _, err := c.Story(t.Context(), "../healthz"); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	m.err = errors.New("disk full")
	if _, err := c.Stories(t.Context(), q); err == nil || !strings.Contains(err.Error(), "the log of tapio says why") {
		t.Errorf("got %v", err)
	}
}

func TestClientErrorsSayWhatToDo(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for server, want := range map[string]string{other.URL: "is that a tapio?", gone.URL: "start one with `tapio run`"} {
		c, err := api.NewClient(server)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Story(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := api.NewClient("localhost:8080"); err == nil {
		t.Error("accepted an address without a scheme")
	}
}

func TestParseSince(t *testing.T) {
	for in, want := range map[string]time.Time{
		"2h":                        now.Add(-2 * time.Hour),
		"2026-11-23T11:30:00Z":      now.Add(-30 * time.Minute),
		"2026-11-23T11:30:00+01:00": now.Add(-90 * time.Minute),
	} {
		if got, err := api.ParseSince(in, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %s, %v", in, got, err)
		}
	}
	if _, err := api.ParseSince("-2h", now); err == nil {
		t.Error("accepted a time to come")
	}
}
