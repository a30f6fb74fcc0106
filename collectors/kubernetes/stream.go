package kubernetes

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/yairfalse/tapio"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

const (
	// listTimeout bounds one request for a list: 150,000 pods take about a
	// minute from a healthy API server.
	listTimeout = 5 * time.Minute
	// listingSilence is how long a streamed listing may pause.
	listingSilence = time.Minute
	// bookmarkSilence is how long a watch may say nothing once it has shown that
	// it sends bookmarks. The API server sends one a minute.
	bookmarkSilence = 3 * time.Minute
	// endSilence is how long after its own timeout a watch may stay open.
	endSilence = 30 * time.Second
	// watchTimeout stands in where a watch was asked for without a timeout:
	// the longest that the reflector asks for.
	watchTimeout = 10 * time.Minute
	// regularEnd is how much before its timeout a watch may end and still have
	// ended by it: client and server don't start the clock together.
	regularEnd = time.Second
	// openAfter is how long a watch that says nothing must live to count as
	// opened: client-go hands out one that is closed already where the
	// connection failed, and a refusal (410) may be its first event.
	openAfter = time.Second
)

// observer hears of everything that passes between one informer and the API
// server. The reflector retries most failed watches without telling anyone,
// so what its error handler hears is not enough.
type observer struct {
	contact *contact
	gap     func(*tapio.Gap)
	failed  func(cause string, long bool)
}

// observe wraps the requests of an informer.
func (o *observer) observe(inner *cache.ListWatch) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			limited, cancel := context.WithTimeout(ctx, listTimeout)
			defer cancel()
			list, err := inner.ListWithContext(limited, options)
			if err != nil {
				o.lost(ctx, err)
				return nil, err
			}
			if m, err := meta.ListAccessor(list); err == nil && m.GetContinue() == "" {
				o.report(o.contact.complete(now()))
			}
			return list, nil
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			start := now()
			w, err := inner.WatchWithContext(ctx, options)
			if err != nil {
				o.lost(ctx, err)
				return nil, err
			}
			s := &stream{
				observer: o, inner: w, start: start, answered: now(), timeout: watchTimeout,
				listing: options.SendInitialEvents != nil && *options.SendInitialEvents,
				out:     make(chan watch.Event), // unbuffered: the order and the end of inner are passed on as they are
				done:    make(chan struct{}),
			}
			if options.TimeoutSeconds != nil {
				s.timeout = time.Duration(*options.TimeoutSeconds) * time.Second
			}
			go s.run()
			return s, nil
		},
	}
}

func (o *observer) report(gap *tapio.Gap) {
	if gap != nil {
		o.gap(gap)
	}
}

// lost notes a failed request, unless it failed because the collector stops.
func (o *observer) lost(ctx context.Context, err error) {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return
	}
	cause := reason(err)
	o.failed(cause, o.contact.lost(now(), cause))
}

// stream passes the events of one watch on, notes each as contact, and ends a
// watch that has gone silent, so that the reflector asks for a new one.
type stream struct {
	*observer
	inner     watch.Interface
	start     time.Time // of the request
	answered  time.Time
	timeout   time.Duration
	listing   bool // until the bookmark that ends the initial events
	opened    bool // the watch counts as contact
	broken    bool // an event was an error, which says why the watch ends
	bookmarks int
	out       chan watch.Event
	done      chan struct{} // closed by Stop
	stop      sync.Once
}

// ResultChan returns the channel of events. It is closed when the watch ends.
func (s *stream) ResultChan() <-chan watch.Event { return s.out }

// Stop ends the watch. It may be called more than once.
func (s *stream) Stop() { s.stop.Do(func() { close(s.done) }) }

func (s *stream) run() {
	defer close(s.out)
	defer s.inner.Stop()
	patience := time.NewTimer(s.patience())
	defer patience.Stop()
	quiet := time.NewTimer(openAfter)
	defer quiet.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-quiet.C:
			s.open()
		case <-patience.C:
			cause := "the watch went silent"
			s.contact.silent(cause)
			s.failed(cause, false)
			return
		case event, ok := <-s.inner.ResultChan():
			if !ok {
				s.ended()
				return
			}
			s.note(event)
			select {
			case s.out <- event:
			case <-s.done:
				return
			}
			patience.Reset(s.patience())
		}
	}
}

// patience is how long the watch may now be silent.
func (s *stream) patience() time.Duration {
	switch {
	case s.listing:
		return listingSilence
	case s.bookmarks > 1:
		return bookmarkSilence
	}
	// A resource that nobody changed since the API server started gets no
	// bookmarks, so only the end of the watch can be waited for.
	return time.Until(s.start.Add(s.timeout + endSilence))
}

func (s *stream) note(event watch.Event) {
	switch event.Type {
	case watch.Error:
		s.broken = true
		cause := reason(apierrors.FromObject(event.Object))
		s.failed(cause, s.contact.lost(now(), cause))
		return
	case watch.Bookmark:
		s.bookmarks++
		m, err := meta.Accessor(event.Object)
		if s.listing && err == nil && m.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" {
			s.listing, s.opened = false, true
			s.report(s.contact.complete(now()))
			return
		}
	}
	s.open()
	if !s.listing {
		s.contact.alive(now())
	}
}

// open notes that the watch was accepted. Of a listing that is known only at
// its end.
func (s *stream) open() {
	if s.opened || s.listing || s.broken {
		return
	}
	s.opened = true
	s.report(s.contact.opened(s.answered))
}

// ended notes that the API server or the network closed the watch.
func (s *stream) ended() {
	select {
	case <-s.done:
		return
	default:
	}
	if s.broken {
		return
	}
	at := now()
	if !s.listing && at.Sub(s.start) >= s.timeout-regularEnd {
		s.contact.alive(at)
		return
	}
	cause := "the watch ended early"
	s.failed(cause, s.contact.lost(at, cause))
}
