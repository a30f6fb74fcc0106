package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yairfalse/tapio"
)

// watch knows what the senses lack.
type watch struct {
	senses []sense
	log    *slog.Logger

	mu    sync.Mutex
	ended map[string]string // senses that gave up, and why
}

func (w *watch) end(name string, err error) {
	w.log.Error("a sense has given up; the others go on", "sense", name, "err", err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended[name] = fmt.Sprintf("%s: %v", name, err)
}

func (w *watch) lacking() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, s := range w.senses {
		if why, ok := w.ended[s.name]; ok {
			out = append(out, why)
			continue
		}
		out = append(out, s.lacking()...)
	}
	return slices.Clip(out)
}

const (
	// askKubelet is how often the kubelet is asked how it is, and how long it
	// may take.
	askKubelet     = 5 * time.Second
	kubeletTimeout = 3 * time.Second
	// kubeletMisses is after how many answers that didn't come the kubelet is
	// told to be down: a restart of it takes a few seconds.
	kubeletMisses = 2
)

// kubeletWatch asks the kubelet of this node how it is. That the node lives and
// its kubelet does not is what nobody off the node can tell.
type kubeletWatch struct {
	node, url string
	every     time.Duration
	log       *slog.Logger
	client    *http.Client
	down      atomic.Pointer[string]
}

func newKubeletWatch(node, url string, log *slog.Logger) *kubeletWatch {
	return &kubeletWatch{node: node, url: url, every: askKubelet, log: log, client: &http.Client{Timeout: kubeletTimeout}}
}

func (k *kubeletWatch) lacking() string {
	if p := k.down.Load(); p != nil {
		return *p
	}
	return ""
}

func (k *kubeletWatch) run(ctx context.Context, put func(tapio.Observation)) error {
	if k.url == "" {
		<-ctx.Done()
		return nil
	}
	clock := time.NewTicker(k.every)
	defer clock.Stop()
	seen, misses := false, 0
	var since time.Time
	for {
		err := k.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			if misses >= kubeletMisses && seen {
				k.tell(put, tapio.NodeKubeletUp, tapio.SeverityInfo, now(), "the kubelet answers again")
			}
			seen, misses = true, 0
			k.down.Store(nil)
		default:
			if misses++; misses == 1 {
				since = now()
			}
			text := "the kubelet does not answer: " + err.Error()
			k.down.Store(&text)
			if misses == kubeletMisses && seen {
				k.log.Warn("the kubelet does not answer", "err", err)
				k.tell(put, tapio.NodeKubeletDown, tapio.SeverityHigh, since, text)
			}
		}
		select {
		case <-clock.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (k *kubeletWatch) ask(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return err
	}
	answer, err := k.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, 4096)); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", k.url, answer.Status)
	}
	return nil
}

func (k *kubeletWatch) tell(put func(tapio.Observation), what tapio.EventType, severity tapio.Severity, at time.Time, text string) {
	e := &tapio.Event{
		Time: at, Seen: now(), Source: tapio.SourceAgent, Type: what, Severity: severity,
		Entity: tapio.Entity{Kind: tapio.KindNode, Name: k.node}, Message: text,
		Attrs: map[string]string{tapio.AttrNode: k.node},
	}
	e.SetID()
	put(tapio.Observation{Time: e.Seen, Event: e})
}

// now is the wall clock in UTC, without the monotonic reading, which a
// recording can't hold.
func now() time.Time { return time.Now().UTC().Round(0) }
