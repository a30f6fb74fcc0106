package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/yairfalse/tapio"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// wire is an informer's requests with a test at the other end.
type wire struct {
	t        *testing.T
	start    time.Time
	requests *cache.ListWatch
	server   *watch.FakeWatcher // of the watch that was opened last
	err      error              // the answer to the next requests
	gaps     []string
}

func newWire(t *testing.T) *wire {
	w := &wire{t: t, start: now()}
	o := &observer{
		contact: &contact{resource: "pods", bound: gapBound},
		gap: func(g *tapio.Gap) {
			w.gaps = append(w.gaps, fmt.Sprintf("%.0f-%.0f %s", g.From.Sub(w.start).Seconds(), g.To.Sub(w.start).Seconds(), g.Reason))
		},
		failed: func(string, bool) {},
	}
	w.requests = o.observe(&cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}, w.err
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			w.server = watch.NewFake()
			return w.server, w.err
		},
	})
	return w
}

// list lists as a reflector that doesn't stream listings.
func (w *wire) list() {
	_, _ = w.requests.ListWithContext(w.t.Context(), metav1.ListOptions{})
}

// open opens a watch with a timeout of five minutes; nil where it is refused.
func (w *wire) open(listing bool) watch.Interface {
	seconds := int64(300)
	options := metav1.ListOptions{TimeoutSeconds: &seconds}
	if listing {
		options.SendInitialEvents = &listing
	}
	got, err := w.requests.WatchWithContext(w.t.Context(), options)
	if err != nil {
		return nil
	}
	return got
}

// reading counts what comes out of a watch until it ends.
func reading(stream watch.Interface) (events *atomic.Int32, ended *atomic.Bool) {
	events, ended = new(atomic.Int32), new(atomic.Bool)
	go func() {
		for range stream.ResultChan() {
			events.Add(1)
		}
		ended.Store(true)
	}()
	return events, ended
}

// pass lets time pass and everybody act on it.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func bookmark(end bool) *corev1.Pod {
	pod := &corev1.Pod{}
	if end {
		pod.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
	}
	return pod
}

func TestStream(t *testing.T) {
	expired := apierrors.NewResourceExpired("too old resource version: 1 (300)")
	tests := []struct {
		name string
		do   func(t *testing.T, w *wire)
		want []string
	}{
		{"a watch that ends by its timeout is renewed without a gap", func(t *testing.T, w *wire) {
			w.list()
			_, ended := reading(w.open(false))
			pass(300 * time.Second)
			w.server.Stop()
			synctest.Wait()
			if !ended.Load() {
				t.Error("the end was not passed on")
			}
			w.open(false).Stop()
		}, nil},
		{"a watch that ends early and can't be renewed", func(t *testing.T, w *wire) {
			w.list()
			reading(w.open(false))
			pass(40 * time.Second)
			w.server.Add(&corev1.Pod{})
			pass(10 * time.Second)
			w.server.Stop()
			synctest.Wait()
			w.err = errors.New("connection refused")
			w.open(false)
			pass(20 * time.Second)
			w.open(false)
			w.err = nil
			last := w.open(false)
			w.server.Add(&corev1.Pod{})
			last.Stop()
		}, []string{"40-70 no contact: connection refused"}},
		{"an outage that shows as watches which are closed at once", func(t *testing.T, w *wire) {
			w.list()
			reading(w.open(false))
			pass(10 * time.Second)
			w.server.Stop()
			synctest.Wait()
			for range 5 {
				_, ended := reading(w.open(false))
				w.server.Stop()
				synctest.Wait()
				if !ended.Load() {
					t.Error("the end was not passed on")
				}
				pass(5 * time.Second)
			}
			w.open(false)
			pass(openAfter)
			synctest.Wait()
			w.server.Stop()
		}, []string{"0-35 no contact: the watch ended early"}},
		{"a place in history that is gone", func(t *testing.T, w *wire) {
			w.list()
			reading(w.open(false))
			pass(100 * time.Second)
			w.server.Error(&expired.ErrStatus)
			synctest.Wait()
			w.server.Stop()
			pass(time.Second)
			w.list()
		}, []string{"0-101 watch expired (410); listed anew, changes in between may be missing"}},
		{"a place that is gone when the watch is renewed, listed anew as a stream", func(t *testing.T, w *wire) {
			w.list()
			reading(w.open(false))
			pass(100 * time.Second)
			w.server.Stop()
			synctest.Wait()
			reading(w.open(false))
			w.server.Error(&expired.ErrStatus)
			synctest.Wait()
			w.server.Stop()
			listing := w.open(true)
			events, _ := reading(listing)
			w.server.Add(&corev1.Pod{})
			pass(5 * time.Second)
			w.server.Action(watch.Bookmark, bookmark(true))
			synctest.Wait()
			if events.Load() != 2 {
				t.Errorf("%d events passed on, want 2", events.Load())
			}
			listing.Stop()
		}, []string{"0-105 watch expired (410); listed anew, changes in between may be missing"}},
		{"a watch that sent bookmarks goes silent", func(t *testing.T, w *wire) {
			w.list()
			_, ended := reading(w.open(false))
			for range 2 {
				pass(time.Minute)
				w.server.Action(watch.Bookmark, bookmark(false))
			}
			pass(bookmarkSilence - time.Second)
			if ended.Load() {
				t.Error("the watch was ended too soon")
			}
			pass(2 * time.Second)
			if !ended.Load() {
				t.Error("the silent watch was not ended")
			}
			last := w.open(false)
			w.server.Add(&corev1.Pod{})
			last.Stop()
		}, []string{"120-301 no contact: the watch went silent"}},
		{"a watch that never says anything is ended after its timeout", func(t *testing.T, w *wire) {
			w.list()
			_, ended := reading(w.open(false))
			pass(300*time.Second + endSilence - time.Second)
			if ended.Load() {
				t.Error("the watch was ended too soon")
			}
			pass(2 * time.Second)
			if !ended.Load() {
				t.Error("the silent watch was not ended")
			}
		}, nil},
		{"a streamed listing goes silent", func(t *testing.T, w *wire) {
			_, ended := reading(w.open(true))
			w.server.Add(&corev1.Pod{})
			pass(listingSilence + time.Second)
			if !ended.Load() {
				t.Error("the silent listing was not ended")
			}
		}, nil},
		{"a reader that stops in the middle of an event", func(t *testing.T, w *wire) {
			stream := w.open(false)
			go w.server.Add(&corev1.Pod{})
			synctest.Wait() // nobody reads
			stream.Stop()
			stream.Stop()
			synctest.Wait()
			if !w.server.IsStopped() {
				t.Error("the request goes on")
			}
			if _, ok := <-stream.ResultChan(); ok {
				t.Error("an event after the end")
			}
		}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				test.do(t, w)
				synctest.Wait()
				if diff := cmp.Diff(test.want, w.gaps); diff != "" {
					t.Errorf("gaps (-want +got):\n%s", diff)
				}
			})
		})
	}
}
