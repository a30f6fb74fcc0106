package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestDemo plays the demo and reads its page as a browser does: one message,
// which says in the end that the incident is resolved, with its thread.
func TestDemo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- demo(ctx, demoOptions{speed: maxSpeed, listen: "127.0.0.1:0", log: slog.New(slog.NewTextHandler(t.Output(), nil)), out: w})
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	lines.Scan()
	url := lines.Text()
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "The page stays up") {
		t.Log(lines.Text())
	}
	resp, err := http.Get(url + "page/state")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var state struct {
		Messages []struct {
			Text       string `json:"text"`
			TS         string `json:"ts"`
			ThreadTS   string `json:"thread_ts"`
			ReplyCount int    `json:"reply_count"`
		} `json:"messages"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&state); err != nil {
		t.Fatal(err)
	}
	roots := 0
	for _, m := range state.Messages {
		if m.ThreadTS != "" && m.ThreadTS != m.TS {
			continue
		}
		roots++
		if !strings.Contains(m.Text, "Resolved") || !strings.Contains(m.Text, "out of memory at its 64Mi limit") || m.ReplyCount == 0 {
			t.Errorf("the message is %+v", m)
		}
	}
	if roots != 1 {
		t.Errorf("%d messages, want one", roots)
	}
	cancel()
	go io.Copy(io.Discard, r)
	if err := <-done; err != nil {
		t.Errorf("stop: %v", err)
	}
}

// TestClock runs fast until the end of the film and with the wall from then on,
// without a jump.
func TestClock(t *testing.T) {
	first := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	last := first.Add(10 * time.Minute)
	start := time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)
	c := newClock(first, last, 10, start)
	if got := c.at(start); !got.Equal(first.Add(c.offset)) {
		t.Errorf("begins at %s", got)
	}
	if got := c.at(start.Add(30 * time.Second)).Sub(c.at(start)); got != 5*time.Minute {
		t.Errorf("after 30 s the film is at %s", got)
	}
	end := start.Add(time.Minute)
	if got := last.Add(c.offset); !got.Equal(end) || !c.at(end).Equal(end) {
		t.Errorf("ends at %s, shows %s", got, c.at(end))
	}
	if later := end.Add(time.Hour); !c.at(later).Equal(later) {
		t.Errorf("an hour later it shows %s", c.at(later))
	}
	if got := c.until(last.Add(c.offset), start); got != time.Minute {
		t.Errorf("%s until the end", got)
	}
}
