package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// ErrNotFound is returned by [Client.Story] where there is no such story.
var ErrNotFound = errors.New("no such story")

// maxAnswer bounds an answer in bytes: above what the server's own limit on
// stories allows, below what would hurt a laptop.
const maxAnswer = 256 << 20

// clientTimeout bounds one question to a running Tapio.
const clientTimeout = 30 * time.Second

// Client asks a running Tapio.
type Client struct {
	base string
	http *http.Client
}

// NewClient returns a client for the address of a `tapio run`, such as
// http://127.0.0.1:8080.
func NewClient(server string) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("server %q is not an address such as http://127.0.0.1:8080", server)
	}
	return &Client{base: strings.TrimSuffix(server, "/"), http: &http.Client{Timeout: clientTimeout}}, nil
}

// Stories returns the stories that match, newest first.
func (c *Client) Stories(ctx context.Context, q tapio.Query) ([]tapio.Story, error) {
	v := url.Values{}
	for name, value := range map[string]string{
		"status": string(q.Status), "pod": q.Pod, "workload": q.Workload, "namespace": q.Namespace, "cause": string(q.Cause),
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if !q.Since.IsZero() {
		v.Set("since", q.Since.UTC().Format(time.RFC3339))
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	var out list
	err := c.get(ctx, "/api/v1/stories?"+v.Encode(), &out)
	return out.Stories, err
}

// Story returns one story, or [ErrNotFound].
func (c *Client) Story(ctx context.Context, id string) (tapio.Story, error) {
	var out tapio.Story
	err := c.get(ctx, "/api/v1/stories/"+url.PathEscape(id), &out)
	return out, err
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.base, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("no tapio answers at %s: %w; start one with `tapio run`, or name another with --server or TAPIO_SERVER", c.base, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.base, err)
	}
	if resp.StatusCode != http.StatusOK {
		var f failure
		known := json.Unmarshal(data, &f) == nil && f.Error != ""
		switch {
		case known && resp.StatusCode == http.StatusNotFound:
			return ErrNotFound
		case known:
			return fmt.Errorf("%s answers: %s", c.base, f.Error)
		}
		return fmt.Errorf("%s answers %s; is that a tapio? name another with --server or TAPIO_SERVER", c.base, resp.Status)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s does not answer as a tapio does: %w; name another with --server or TAPIO_SERVER", c.base, err)
	}
	return nil
}
