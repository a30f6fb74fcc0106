package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/blackbox"
	"github.com/yairfalse/tapio/cmd/tapio/stats"
)

// maxCounted is how many stories are counted at once; each is read with all its
// revisions.
const maxCounted = 2000

// Kept is what is kept beside the journal.
type Kept struct {
	Ledger    Ledger                                    // notes and feedback
	Recording func(s *tapio.Story, out io.Writer) error // what was seen of an incident; nil: nothing is
}

// Ledger is where notes and feedback are read from: a *store.Store.
type Ledger interface {
	Read(ctx context.Context, prefix string) ([]tapio.Record, error)
}

// noted is a story with what people did about it, as /api/v1/stories/{id}
// answers it.
type noted struct {
	tapio.Story
	Notes []tapio.Note `json:"notes,omitempty"`
}

// feedbacks is the body of /api/v1/stories/{id}/feedback.
type feedbacks struct {
	Feedback []tapio.Feedback `json:"feedback"`
}

// notes returns what people did about a story.
func (o *Options) notes(ctx context.Context, id string) ([]tapio.Note, error) {
	if o.Kept.Ledger == nil {
		return nil, nil
	}
	records, err := o.Kept.Ledger.Read(ctx, tapio.NotesKey(id))
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if r.Key == tapio.NotesKey(id) {
			return tapio.DecodeNotes(r)
		}
	}
	return nil, nil
}

// feedback returns what people said of a story's cause; "" is of all stories.
func (o *Options) feedbackOf(ctx context.Context, id string) ([]tapio.Feedback, error) {
	out := []tapio.Feedback{}
	if o.Kept.Ledger == nil {
		return out, nil
	}
	records, err := o.Kept.Ledger.Read(ctx, tapio.FeedbackKey(id))
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		f, err := tapio.DecodeFeedback(r)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func (o *Options) feedback(w http.ResponseWriter, r *http.Request) {
	s, err := o.Stories.Story(r.Context(), r.PathValue("id"))
	if err != nil {
		o.fail(w, r, err)
		return
	}
	f, err := o.feedbackOf(r.Context(), s.ID)
	if err != nil {
		o.fail(w, r, err)
		return
	}
	o.answer(w, http.StatusOK, feedbacks{f})
}

// recording answers with a recording of the incident, gzip-compressed JSON
// lines.
func (o *Options) recording(w http.ResponseWriter, r *http.Request) {
	s, err := o.Stories.Story(r.Context(), r.PathValue("id"))
	if err != nil {
		o.fail(w, r, err)
		return
	}
	if o.Kept.Recording == nil {
		o.answer(w, http.StatusNotFound, failure{blackbox.ErrNothing.Error()})
		return
	}
	// Held in memory, so that an error can still be said as one.
	var out bytes.Buffer
	switch err := o.Kept.Recording(&s, &out); {
	case errors.Is(err, blackbox.ErrNothing):
		o.answer(w, http.StatusNotFound, failure{err.Error()})
	case err != nil:
		o.fail(w, r, err)
	default:
		w.Header().Set("Content-Type", "application/gzip")
		_, _ = w.Write(out.Bytes()) // the only error is that the reader went away
	}
}

// stats answers with what is counted since a time; thirty days where none is
// named.
func (o *Options) stats(w http.ResponseWriter, r *http.Request) {
	now := o.Now().UTC()
	since := now.Add(-30 * 24 * time.Hour)
	if s := r.URL.Query().Get("since"); s != "" {
		var err error
		if since, err = ParseSince(s, now); err != nil {
			o.answer(w, http.StatusBadRequest, failure{err.Error()})
			return
		}
	}
	counted, err := o.count(r.Context(), since, now)
	if err != nil {
		o.fail(w, r, err)
		return
	}
	o.answer(w, http.StatusOK, counted)
}

func (o *Options) count(ctx context.Context, since, now time.Time) (stats.Stats, error) {
	stories, err := o.Stories.Stories(ctx, tapio.Query{Since: since, Limit: maxCounted + 1})
	if err != nil {
		return stats.Stats{}, err
	}
	more := len(stories) > maxCounted
	said, err := o.feedbackOf(ctx, "")
	if err != nil {
		return stats.Stats{}, err
	}
	byStory := map[string][]tapio.Feedback{}
	for _, f := range said {
		byStory[f.Story] = append(byStory[f.Story], f)
	}
	var all []stats.Told
	for _, s := range stories[:min(len(stories), maxCounted)] {
		t := stats.Told{Story: s, Feedback: byStory[s.ID]}
		if t.Revisions, err = o.Stories.History(ctx, s.ID); err != nil {
			return stats.Stats{}, err
		}
		if t.Notes, err = o.notes(ctx, s.ID); err != nil {
			return stats.Stats{}, err
		}
		all = append(all, t)
	}
	out := stats.Count(since, now, all)
	out.Truncated = more
	return out, nil
}

// Notes returns what people did about a story, oldest first.
func (c *Client) Notes(ctx context.Context, id string) ([]tapio.Note, error) {
	var out struct {
		Notes []tapio.Note `json:"notes"`
	}
	err := c.get(ctx, "/api/v1/stories/"+url.PathEscape(id), &out)
	return out.Notes, err
}

// Feedback returns what people said of a story's cause.
func (c *Client) Feedback(ctx context.Context, id string) ([]tapio.Feedback, error) {
	var out feedbacks
	err := c.get(ctx, "/api/v1/stories/"+url.PathEscape(id)+"/feedback", &out)
	return out.Feedback, err
}

// Stats returns what is counted since a time.
func (c *Client) Stats(ctx context.Context, since time.Time) (stats.Stats, error) {
	var out stats.Stats
	err := c.get(ctx, "/api/v1/stats?since="+url.QueryEscape(since.UTC().Format(time.RFC3339)), &out)
	return out, err
}

// Recording returns a recording of a story's incident, or [ErrNotFound] where
// nothing is remembered of it.
func (c *Client) Recording(ctx context.Context, id string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/api/v1/stories/"+url.PathEscape(id)+"/recording", nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.base, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no tapio answers at %s: %w; name another with --server or TAPIO_SERVER", c.base, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask %s: %w", c.base, err)
	case resp.StatusCode == http.StatusNotFound:
		return nil, ErrNotFound
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers %s", c.base, resp.Status)
	}
	return data, nil
}
