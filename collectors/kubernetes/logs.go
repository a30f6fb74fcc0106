package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/kubernetes/facts"
	"github.com/yairfalse/tapio/collectors/kubernetes/redact"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	logLines      = 200              // stack traces, and what recurs before them
	logBytes      = 64 << 10         // bounds 200 lines of a service that logs JSON
	logFewerLines = 20               // asked for where 200 are more than logBytes
	logTimeout    = 5 * time.Second  // a kubelet that takes longer is down
	logRepeat     = 30 * time.Second // the shortest time between two reads of one container
	wantsAtOnce   = 4                // reads go through the API server to kubelets: keep them few
	wantsWaiting  = 64
	wantTries     = 3               // a kubelet that is busy answers later
	wantPause     = 4 * time.Second // before the next try; the one after waits twice as long
	messageLimit  = 16 << 10        // bytes of a log that an event carries: what the engine reads of it
	lineLimit     = 500             // bytes of the line that reads most like the error
)

// wanted is a want that waits for its answer.
type wanted struct {
	ctx   context.Context
	want  tapio.Want
	tries int // so far
}

// asked holds when a container's log was last asked for.
type asked map[tapio.Want]time.Time

// again reports whether the want was asked for less than logRepeat ago, and
// notes it otherwise. It forgets what is older.
func (a asked) again(want tapio.Want, at time.Time) bool {
	for w, t := range a {
		if at.Sub(t) >= logRepeat {
			delete(a, w)
		}
	}
	if _, ok := a[want]; ok {
		return true
	}
	a[want] = at
	return false
}

// Answer takes a want and returns at once. The answer, if there is one, is an
// event or a state among the observations; that a log is empty or can't be read
// ([tapio.LogUnread]) is one too. Ctx bounds the whole life of the want, its time
// in the queue included. Wants other than for a container's log or a ConfigMap,
// repeated ones, and those for which there is no room are counted and not
// answered.
func (c *Collector) Answer(ctx context.Context, want tapio.Want) {
	e := want.Entity
	isLog := want.Kind == tapio.WantLog && e.Kind == tapio.KindPod && e.Container != ""
	isConfig := want.Kind == tapio.WantConfig && e.Kind == tapio.KindConfigMap
	if !isLog && !isConfig || e.Namespace == "" || e.Name == "" {
		c.metrics.want("unknown")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if isLog && !c.logs[e.Namespace] && !c.logs[metav1.NamespaceAll] {
		c.metrics.want("denied")
		c.unread(want, tapio.LogUnread)
		return
	}
	if len(c.wants) == cap(c.wants) { // all who add hold the lock: what has room now has room below
		c.metrics.want("dropped")
		return
	}
	if c.asked.again(want, now()) {
		c.metrics.want("repeated")
		return
	}
	c.wants <- wanted{ctx: ctx, want: want}
}

// answer answers wants until ctx ends.
func (c *Collector) answer(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-c.wants:
			if w.ctx.Err() != nil {
				c.metrics.want("expired")
				continue
			}
			read, cancel := context.WithTimeout(w.ctx, logTimeout)
			stop := context.AfterFunc(ctx, cancel)
			answers, err := c.read(read, w.want)
			stop()
			cancel()
			switch {
			case apierrors.IsForbidden(err):
				c.metrics.want("denied")
				c.unread(w.want, tapio.LogUnread)
			case err != nil && c.retry(w, err):
				c.metrics.want("retried")
			case err != nil:
				c.metrics.want("failed")
				c.unread(w.want, tapio.LogUnread)
				c.log.Debug("no answer", "want", string(w.want.Kind), "of", w.want.Entity.String(), "previous", w.want.Previous, "error", err)
			case len(answers) == 0:
				c.metrics.want("empty")
				c.unread(w.want, "")
			default:
				c.metrics.want("answered")
			}
			for _, o := range answers {
				c.queue.put(o)
			}
		}
	}
}

// retry puts a want that failed back into the queue after a pause, unless it
// was tried often enough or there is nothing to read.
func (c *Collector) retry(w wanted, err error) bool {
	if w.tries++; w.tries >= wantTries || apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) {
		return false
	}
	time.AfterFunc(time.Duration(w.tries)*wantPause, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.wants) == cap(c.wants) {
			c.metrics.want("dropped")
			return
		}
		c.wants <- w
	})
	return true
}

// read answers one want; no answer is none.
func (c *Collector) read(ctx context.Context, want tapio.Want) ([]tapio.Observation, error) {
	if want.Kind == tapio.WantConfig {
		m, err := c.reads.ConfigMaps(want.Entity.Namespace).Get(ctx, want.Entity.Name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("read ConfigMap: %w", err)
		}
		return facts.Between(nil, m, now(), false, nil), nil
	}
	event, err := c.readLog(ctx, want)
	if event == nil {
		return nil, err
	}
	return []tapio.Observation{{Event: event}}, nil
}

// unread answers a want for a log that there is not: the reason says why.
func (c *Collector) unread(want tapio.Want, reason string) {
	if want.Kind != tapio.WantLog {
		return
	}
	at := now()
	event := &tapio.Event{
		Time: at, Seen: at, Source: tapio.SourceKubernetes, Type: tapio.ContainerLog,
		Severity: tapio.SeverityInfo, Entity: want.Entity, Reason: reason,
	}
	event.SetID()
	c.queue.put(tapio.Observation{Event: event})
}

// readLog reads the end of a container's log. Where the previous run is asked
// for and there is none, it reads the present one. It returns nil for an empty
// log.
func (c *Collector) readLog(ctx context.Context, want tapio.Want) (*tapio.Event, error) {
	previous := want.Previous
	text, err := c.tail(ctx, want.Entity, previous)
	if previous && (apierrors.IsBadRequest(err) || apierrors.IsNotFound(err) || isGone(text)) {
		previous = false
		text, err = c.tail(ctx, want.Entity, previous)
	}
	if err != nil {
		return nil, err
	}
	if isGone(text) {
		return nil, nil
	}
	text = redact.Text(text)
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	at := now()
	event := &tapio.Event{
		Time: at, Seen: at, Source: tapio.SourceKubernetes, Type: tapio.ContainerLog,
		Severity: tapio.SeverityInfo, Entity: want.Entity, Message: end(text, messageLimit),
		Attrs: make(map[string]string),
	}
	if last := redact.LastError(strings.Split(text, "\n")); last != "" {
		event.Attrs[tapio.AttrLastError] = begin(last, lineLimit)
	}
	if previous {
		event.Attrs[tapio.AttrPrevious] = "true"
	}
	if pod, ok := c.caches.get("pods", want.Entity.Namespace, want.Entity.Name).(*corev1.Pod); ok {
		event.Attrs[tapio.AttrUID] = string(pod.UID)
	}
	event.SetID()
	return event, nil
}

// isGone reports whether a log is what a kubelet sends, as if it were the log,
// where it has removed the container or its file.
func isGone(text string) bool {
	return strings.HasPrefix(text, "unable to retrieve container logs for ") ||
		strings.HasPrefix(text, "failed to try resolving symlinks in path ")
}

// tail reads the last lines. The kubelet first goes back so many lines and then
// sends so many bytes from there, so where the limit cuts, it cuts the end,
// which is what explains a crash: then fewer lines are asked for.
func (c *Collector) tail(ctx context.Context, e tapio.Entity, previous bool) (string, error) {
	text, cut, err := c.lines(ctx, e, previous, logLines)
	if err != nil || !cut {
		return text, err
	}
	fewer, _, err := c.lines(ctx, e, previous, logFewerLines)
	if err != nil {
		return text, nil // the beginning is better than nothing
	}
	return fewer, nil
}

// lines reads the last lines of a log and reports whether logBytes cut them.
func (c *Collector) lines(ctx context.Context, e tapio.Entity, previous bool, lines int64) (text string, cut bool, err error) {
	limit := int64(logBytes)
	stream, err := c.reads.Pods(e.Namespace).GetLogs(e.Name, &corev1.PodLogOptions{
		Container: e.Container, Previous: previous, TailLines: &lines, LimitBytes: &limit,
	}).Stream(ctx)
	if err != nil {
		return "", false, fmt.Errorf("read log: %w", err)
	}
	defer stream.Close()
	raw, err := io.ReadAll(io.LimitReader(stream, limit))
	if err != nil && !(errors.Is(err, io.ErrUnexpectedEOF) && len(raw) > 0) {
		return "", false, fmt.Errorf("read log: %w", err)
	}
	text = strings.ToValidUTF8(string(bytes.ReplaceAll(raw, []byte("\r"), nil)), "\uFFFD")
	return strings.TrimRight(text, "\n"), int64(len(raw)) >= limit, nil
}

// end returns the last lines of a text that fit into limit bytes, or the end
// of the last line where not even that fits.
func end(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	cut := text[len(text)-limit:]
	if text[len(text)-limit-1] == '\n' {
		return cut
	}
	if _, rest, ok := strings.Cut(cut, "\n"); ok && rest != "" {
		return rest
	}
	return strings.ToValidUTF8(cut, "")
}

// begin returns the beginning of a line that fits into limit bytes.
func begin(line string, limit int) string {
	if len(line) <= limit {
		return line
	}
	return strings.ToValidUTF8(line[:limit-len("…")], "") + "…"
}
