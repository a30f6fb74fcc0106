// Package api serves stories over HTTP and asks a running Tapio for them.
//
// It serves
//
//	GET /healthz              200 while the process runs
//	GET /readyz               200, or 503 with one line for each thing that is lacking
//	GET /metrics              Prometheus metrics
//	GET /api/v1/stories       {"stories":[…]}, newest first;
//	                          status=, pod=, workload=, namespace=, cause=, since=, limit=
//	GET /api/v1/stories/{id}  one story, with what people did about it in notes; the start of an ID is enough
//	GET /api/v1/stories/{id}/revisions
//	                          {"revisions":[{"seq":…,"story":…}…]}: all that was saved of it, oldest first
//
//	GET /api/v1/stories/{id}/feedback
//	                          {"feedback":[…]}: what people said of its cause
//	GET /api/v1/stories/{id}/recording
//	                          what was seen of it, as a gzip-compressed recording; 404 where that is forgotten
//	GET /api/v1/stats         how well stories were told; since=
//
// Errors are JSON: {"error":"…"}. There is no authentication: the default
// address is on loopback, and in a cluster a NetworkPolicy says who may ask.
// The package decides nothing about stories and keeps none.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/store"
)

// Limits on the number of stories in one answer.
const (
	defaultLimit = 100  // a screen of a terminal or a dashboard, some 500 KB
	maxLimit     = 1000 // what one request may hold in memory, some 5 MB
)

// Stories is where stories are read from: a *store.Store.
type Stories interface {
	Stories(ctx context.Context, q tapio.Query) ([]tapio.Story, error)
	Story(ctx context.Context, id string) (tapio.Story, error)
	History(ctx context.Context, id string) ([]tapio.Revision, error)
}

// Options configure [Handler].
type Options struct {
	Stories Stories
	Metrics http.Handler    // serves /metrics
	Ready   func() []string // what is lacking, in one line each; none means ready
	Slack   http.Handler    // serves /slack/; nil where Slack's requests don't come over HTTP
	Kept    Kept
	Log     *slog.Logger
	Now     func() time.Time
}

func (o *Options) validate() error {
	if o.Stories == nil || o.Metrics == nil || o.Ready == nil || o.Log == nil || o.Now == nil {
		return errors.New("api: stories, metrics, ready, log and now are all needed")
	}
	return nil
}

// Handler returns what is served.
func Handler(o Options) (http.Handler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		lacking := o.Ready()
		if len(lacking) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, strings.Join(lacking, "\n"))
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", o.Metrics)
	mux.HandleFunc("GET /api/v1/stories", o.list)
	mux.HandleFunc("GET /api/v1/stories/{id}", o.one)
	mux.HandleFunc("GET /api/v1/stories/{id}/revisions", o.history)
	mux.HandleFunc("GET /api/v1/stories/{id}/feedback", o.feedback)
	mux.HandleFunc("GET /api/v1/stories/{id}/recording", o.recording)
	mux.HandleFunc("GET /api/v1/stats", o.stats)
	if o.Slack != nil {
		mux.Handle("/slack/", o.Slack)
	}
	return mux, nil
}

// list is the body of /api/v1/stories.
type list struct {
	Stories []tapio.Story `json:"stories"`
}

// history is the body of /api/v1/stories/{id}/revisions.
type history struct {
	Revisions []tapio.Revision `json:"revisions"`
}

// failure is the body of every error.
type failure struct {
	Error string `json:"error"`
}

func (o *Options) list(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query(), o.Now())
	if err != nil {
		o.answer(w, http.StatusBadRequest, failure{err.Error()})
		return
	}
	stories, err := o.Stories.Stories(r.Context(), q)
	if err != nil {
		o.fail(w, r, err)
		return
	}
	if stories == nil {
		stories = []tapio.Story{}
	}
	o.answer(w, http.StatusOK, list{stories})
}

func (o *Options) one(w http.ResponseWriter, r *http.Request) {
	s, err := o.Stories.Story(r.Context(), r.PathValue("id"))
	if err != nil {
		o.fail(w, r, err)
		return
	}
	notes, err := o.notes(r.Context(), s.ID)
	if err != nil {
		o.fail(w, r, err)
		return
	}
	o.answer(w, http.StatusOK, noted{s, notes})
}

func (o *Options) history(w http.ResponseWriter, r *http.Request) {
	revisions, err := o.Stories.History(r.Context(), r.PathValue("id"))
	if err != nil {
		o.fail(w, r, err)
		return
	}
	o.answer(w, http.StatusOK, history{revisions})
}

func (o *Options) fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case r.Context().Err() != nil: // nobody waits for the answer any more
	case errors.Is(err, store.ErrNotFound):
		o.answer(w, http.StatusNotFound, failure{fmt.Sprintf("there is no story %q", r.PathValue("id"))})
	case errors.Is(err, store.ErrAmbiguous):
		o.answer(w, http.StatusConflict, failure{err.Error()})
	default:
		o.Log.Error("stories could not be read", "path", r.URL.Path, "err", err)
		o.answer(w, http.StatusInternalServerError, failure{"stories could not be read; the log of tapio says why"})
	}
}

func (o *Options) answer(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		o.Log.Error("answer could not be encoded", "err", err)
		http.Error(w, `{"error":"internal error"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The only error here is that the reader went away.
	_, _ = w.Write(append(data, '\n'))
}

var parameters = []string{"status", "pod", "workload", "namespace", "cause", "since", "limit"}

// parseQuery reads the parameters strictly: a misspelt filter must not answer
// with everything.
func parseQuery(values url.Values, now time.Time) (tapio.Query, error) {
	for name, v := range values {
		if !slices.Contains(parameters, name) {
			return tapio.Query{}, fmt.Errorf("unknown parameter %q; known are %s", name, strings.Join(parameters, ", "))
		}
		if len(v) > 1 {
			return tapio.Query{}, fmt.Errorf("parameter %q is given twice", name)
		}
	}
	q := tapio.Query{
		Status:    tapio.Status(values.Get("status")),
		Pod:       values.Get("pod"),
		Workload:  values.Get("workload"),
		Namespace: values.Get("namespace"),
		Cause:     tapio.Cause(values.Get("cause")),
		Limit:     defaultLimit,
	}
	switch q.Status {
	case "", tapio.StatusOpen, tapio.StatusResolved, tapio.StatusAbsorbed:
	default:
		return tapio.Query{}, fmt.Errorf("status %q is none of open, resolved, absorbed", q.Status)
	}
	if s := values.Get("since"); s != "" {
		at, err := ParseSince(s, now)
		if err != nil {
			return tapio.Query{}, err
		}
		q.Since = at
	}
	if s := values.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxLimit {
			return tapio.Query{}, fmt.Errorf("limit %q is not a number from 1 to %d", s, maxLimit)
		}
		q.Limit = n
	}
	return q, nil
}

// ParseSince reads a time such as 2026-11-23T10:00:00Z, or a duration before
// now such as 2h.
func ParseSince(s string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at.UTC(), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("since %q is neither a duration such as 2h nor a time such as 2026-11-23T10:00:00Z", s)
	}
	return now.UTC().Add(-d), nil
}
