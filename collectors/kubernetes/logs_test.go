package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/yairfalse/tapio"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// newCollector makes one that may read logs.
func newCollector(t *testing.T, host string) *Collector {
	t.Helper()
	c, err := New(Options{
		Config: &rest.Config{Host: host},
		Log:    slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.logs = map[string]bool{metav1.NamespaceAll: true}
	return c
}

func logWant(pod string, previous bool) tapio.Want {
	return tapio.Want{Kind: tapio.WantLog, Previous: previous, Entity: tapio.Entity{
		Kind: tapio.KindPod, Namespace: "shop", Name: pod, Container: "app",
	}}
}

// kubelet answers requests for logs as an API server passes them on.
func kubelet(t *testing.T, answer func(w http.ResponseWriter, pod string, previous bool, lines string)) *Collector {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.Split(r.URL.Path, "/") // /api/v1/namespaces/NS/pods/POD/log
		q := r.URL.Query()
		if len(path) != 8 || path[7] != "log" || q.Get("container") != "app" || q.Get("limitBytes") != "65536" {
			t.Errorf("unexpected request %s", r.URL)
		}
		answer(w, path[6], q.Get("previous") == "true", q.Get("tailLines"))
	}))
	t.Cleanup(server.Close)
	return newCollector(t, server.URL)
}

func refuse(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: metav1.StatusReason(map[int]string{400: "BadRequest", 403: "Forbidden", 404: "NotFound", 500: "InternalError"}[code]), Message: message,
	})
}

func TestReadLog(t *testing.T) {
	long := strings.Repeat("x", 4000) + "\n"
	tests := []struct {
		name     string
		previous bool
		answer   func(w http.ResponseWriter, pod string, previous bool, lines string)
		check    func(t *testing.T, e *tapio.Event)
		err      string
	}{
		{"the previous run", true, func(w http.ResponseWriter, _ string, previous bool, lines string) {
			fmt.Fprintf(w, "starting\r\npanic: boom\npassword=hunter22 previous=%v lines=%s\n\n", previous, lines)
		}, func(t *testing.T, e *tapio.Event) {
			if e.Attrs[tapio.AttrPrevious] != "true" || !strings.Contains(e.Message, "previous=true lines=200") {
				t.Errorf("not the last 200 lines of the previous run: %+v", e)
			}
			if strings.Contains(e.Message, "hunter22") {
				t.Errorf("the message holds a password: %q", e.Message)
			}
			if got := e.Attrs[tapio.AttrLastError]; got != "panic: boom" {
				t.Errorf("last error %q, want panic: boom", got)
			}
			if err := e.Validate(); err != nil || e.Source != tapio.SourceKubernetes || e.Entity.Container != "app" {
				t.Errorf("%v in %+v", err, e)
			}
		}, ""},
		{"no previous run", true, func(w http.ResponseWriter, _ string, previous bool, _ string) {
			if previous {
				refuse(w, 400, `previous terminated container "app" in pod "checkout" not found`)
				return
			}
			fmt.Fprint(w, "error: cannot connect\n")
		}, func(t *testing.T, e *tapio.Event) {
			if e.Attrs[tapio.AttrPrevious] != "" || e.Message != "error: cannot connect" {
				t.Errorf("got %+v", e)
			}
		}, ""},
		{"a previous run that the kubelet has removed", true, func(w http.ResponseWriter, _ string, previous bool, _ string) {
			if previous {
				fmt.Fprint(w, "unable to retrieve container logs for containerd://5df2d96f0b76")
				return
			}
			fmt.Fprint(w, "error: cannot connect\n")
		}, func(t *testing.T, e *tapio.Event) {
			if e.Attrs[tapio.AttrPrevious] != "" || e.Message != "error: cannot connect" {
				t.Errorf("got %+v", e)
			}
		}, ""},
		{"a present run that the kubelet has removed", false, func(w http.ResponseWriter, _ string, _ bool, _ string) {
			fmt.Fprint(w, `failed to try resolving symlinks in path "/var/log/pods/shop_checkout/app/0.log": no such file or directory`)
		}, nil, ""},
		{"lines so long that the limit cuts the end", false, func(w http.ResponseWriter, _ string, _ bool, lines string) {
			if lines == "200" {
				fmt.Fprint(w, strings.Repeat(long, 20)[:logBytes])
				return
			}
			fmt.Fprintf(w, "%sfatal: asked for %s lines\n", long, lines)
		}, func(t *testing.T, e *tapio.Event) {
			if !strings.HasSuffix(e.Message, "\nfatal: asked for 20 lines") {
				t.Errorf("message %.100q", e.Message)
			}
		}, ""},
		{"more text than a message holds", false, func(w http.ResponseWriter, _ string, _ bool, _ string) {
			for i := range 500 {
				fmt.Fprintf(w, "%d %s\n", i, strings.Repeat("ü", 50))
			}
		}, func(t *testing.T, e *tapio.Event) {
			if len(e.Message) > messageLimit || len(e.Message) < messageLimit-200 {
				t.Errorf("%d bytes", len(e.Message))
			}
			if lines := strings.Split(e.Message, "\n"); !strings.HasPrefix(lines[0], "3") || !strings.HasPrefix(lines[len(lines)-1], "499 ") {
				t.Errorf("not the last whole lines: %.80q", e.Message)
			}
		}, ""},
		{"one line without end", false, func(w http.ResponseWriter, _ string, _ bool, _ string) {
			fmt.Fprint(w, strings.Repeat("ü", logBytes))
		}, func(t *testing.T, e *tapio.Event) {
			if len(e.Message) > messageLimit || len(e.Attrs[tapio.AttrLastError]) > lineLimit || !utf8.ValidString(e.Message) {
				t.Errorf("message of %d bytes, last error of %d", len(e.Message), len(e.Attrs[tapio.AttrLastError]))
			}
		}, ""},
		{"bytes that are no text", false, func(w http.ResponseWriter, _ string, _ bool, _ string) {
			_, _ = w.Write([]byte("error \xff\xfe\x00 here\n"))
		}, func(t *testing.T, e *tapio.Event) {
			if !utf8.ValidString(e.Message) {
				t.Errorf("message %q", e.Message)
			}
		}, ""},
		{"an empty log", true, func(http.ResponseWriter, string, bool, string) {}, nil, ""},
		{"the kubelet is down", false, func(w http.ResponseWriter, _ string, _ bool, _ string) {
			refuse(w, 500, "dial tcp 10.89.0.11:10250: connect: connection refused")
		}, nil, "connection refused"},
		{"the pod is gone", true, func(w http.ResponseWriter, _ string, _ bool, _ string) {
			refuse(w, 404, `pods "checkout" not found`)
		}, nil, "not found"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := kubelet(t, test.answer)
			e, err := c.readLog(t.Context(), logWant("checkout", test.previous))
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if test.check == nil {
				if e != nil {
					t.Errorf("got %+v, want nothing", e)
				}
				return
			}
			if e == nil {
				t.Fatal("no answer")
			}
			test.check(t, e)
		})
	}
}

// A log that there is not is answered too: a story may wait for it.
func TestAnswerOfNoLog(t *testing.T) {
	tests := []struct {
		name   string
		logs   map[string]bool // namespaces whose logs may be read
		answer func(w http.ResponseWriter, pod string, previous bool, lines string)
		reason string
	}{
		{"empty", nil, func(http.ResponseWriter, string, bool, string) {}, ""},
		{"the pod is gone", nil, func(w http.ResponseWriter, _ string, _ bool, _ string) {
			refuse(w, 404, `pods "checkout" not found`)
		}, tapio.LogUnread},
		{"forbidden", nil, func(w http.ResponseWriter, _ string, _ bool, _ string) {
			refuse(w, 403, "pods/log is forbidden")
		}, tapio.LogUnread},
		{"known to be forbidden", map[string]bool{"other": true}, nil, tapio.LogUnread},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := kubelet(t, test.answer)
			if test.logs != nil {
				c.logs = test.logs
			}
			ctx, cancel := context.WithCancel(t.Context())
			var workers sync.WaitGroup
			out := make(chan tapio.Observation)
			workers.Go(func() { c.answer(ctx) })
			workers.Go(func() { c.queue.run(ctx, out) })
			want := logWant("checkout", true)
			c.Answer(ctx, want)
			got := (<-out).Event
			cancel()
			workers.Wait()
			if got.Type != tapio.ContainerLog || got.Entity != want.Entity || got.Message != "" || got.Reason != test.reason {
				t.Errorf("got %+v, want an answer without message and with reason %q", got, test.reason)
			}
			if err := got.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnswerReadsFewAtOnce(t *testing.T) {
	var mu sync.Mutex
	running, most := 0, 0
	release := make(chan struct{})
	busy := make(chan struct{}, wantsWaiting)
	c := kubelet(t, func(w http.ResponseWriter, pod string, _ bool, _ string) {
		mu.Lock()
		running++
		most = max(most, running)
		mu.Unlock()
		busy <- struct{}{}
		<-release
		mu.Lock()
		running--
		mu.Unlock()
		fmt.Fprintf(w, "error in %s\n", pod)
	})
	for i := range 20 {
		c.Answer(t.Context(), logWant(fmt.Sprintf("pod-%d", i), false))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for range wantsAtOnce {
		workers.Go(func() { c.answer(ctx) })
	}
	for range wantsAtOnce {
		<-busy
	}
	close(release)
	out := make(chan tapio.Observation)
	workers.Go(func() { c.queue.run(ctx, out) })
	seen := map[string]bool{}
	for range 20 {
		seen[(<-out).Event.Entity.Name] = true
	}
	cancel()
	workers.Wait()
	if len(seen) != 20 || most != wantsAtOnce {
		t.Errorf("%d pods answered with at most %d reads at once; want 20 and %d", len(seen), most, wantsAtOnce)
	}
}

func TestAnswerBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCollector(t, "127.0.0.1:1")
		count := func(result string) int { return int(testutil.ToFloat64(c.metrics.wants.WithLabelValues(result))) }
		for i := range 100 {
			c.Answer(t.Context(), logWant(fmt.Sprintf("pod-%d", i), false))
		}
		if got := count("dropped"); got != 100-wantsWaiting || len(c.wants) != wantsWaiting {
			t.Errorf("%d dropped, %d wait; want %d and %d", got, len(c.wants), 100-wantsWaiting, wantsWaiting)
		}
		for range wantsWaiting {
			<-c.wants
		}
		c.Answer(t.Context(), logWant("pod-0", false))
		c.Answer(t.Context(), logWant("pod-0", true)) // another log
		c.Answer(t.Context(), logWant("pod-99", false))
		if count("repeated") != 1 || len(c.wants) != 2 {
			t.Errorf("%d repeated, %d wait; want 1 and 2: what was dropped may be asked for again", count("repeated"), len(c.wants))
		}
		time.Sleep(logRepeat)
		c.Answer(t.Context(), logWant("pod-0", false))
		if count("repeated") != 1 || len(c.asked) != 1 {
			t.Errorf("%d repeated, %d remembered; want 1 and 1", count("repeated"), len(c.asked))
		}
		c.Answer(t.Context(), tapio.Want{Kind: "spec", Entity: logWant("pod-1", false).Entity})
		c.Answer(t.Context(), tapio.Want{Kind: tapio.WantLog, Entity: logWant("pod-1", false).Entity.Object()})
		if count("unknown") != 2 {
			t.Errorf("%d unknown, want 2", count("unknown"))
		}
		c.logs = map[string]bool{"other": true}
		c.Answer(t.Context(), logWant("pod-1", false))
		if count("denied") != 1 {
			t.Errorf("%d denied, want 1", count("denied"))
		}
	})
}

func TestEndAndBegin(t *testing.T) {
	tests := []struct{ text, end, begin string }{
		{"short", "short", "short"},
		{"one\ntwo\nthree", "two\nthree", "one\ntwo…"},
		{"12345678901234", "5678901234", "1234567…"},
		{"abc\n1234567890", "1234567890", "abc\n123…"},
		{"üüüüüüüü", "üüüüü", "üüü…"},
		{"", "", ""},
	}
	for _, test := range tests {
		if got := end(test.text, 10); got != test.end {
			t.Errorf("end(%q) = %q, want %q", test.text, got, test.end)
		}
		if got := begin(test.text, 10); got != test.begin {
			t.Errorf("begin(%q) = %q, want %q", test.text, got, test.begin)
		}
	}
}

func TestAnswerOfConfigMap(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces/shop/configmaps/web" {
			t.Errorf("unexpected request %s", r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"web","namespace":"shop","uid":"u"},"data":{"DB_URL":"http://dbb","API_TOKEN":"hunter2hunter2"}}`)
	}))
	t.Cleanup(server.Close)
	c := newCollector(t, server.URL)
	got, err := c.read(t.Context(), tapio.Want{Kind: tapio.WantConfig, Entity: tapio.Entity{Kind: tapio.KindConfigMap, Namespace: "shop", Name: "web"}})
	if err != nil || len(got) != 1 || got[0].State == nil || got[0].State.Config == nil {
		t.Fatalf("got %+v, %v; want one state with values", got, err)
	}
	if values := got[0].State.Config.Values; values["DB_URL"] != "http://dbb" || strings.Contains(values["API_TOKEN"], "hunter2") {
		t.Errorf("the values are %v; want the address, and no secret", values)
	}
}

func TestAnswerTriesAgain(t *testing.T) {
	var tries atomic.Int32
	c := kubelet(t, func(w http.ResponseWriter, _ string, _ bool, _ string) {
		if tries.Add(1) < wantTries {
			refuse(w, 500, "the kubelet is busy")
			return
		}
		fmt.Fprintln(w, "panic: boom")
	})
	for i := 1; i < wantTries; i++ {
		w := wanted{ctx: t.Context(), want: logWant("pod", true), tries: i - 1}
		if _, err := c.read(t.Context(), w.want); err == nil || !c.retry(w, err) {
			t.Fatalf("try %d: %v; want an error and another try", i, err)
		}
	}
	if got, err := c.read(t.Context(), logWant("pod", true)); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v; want the log", got, err)
	}
	for _, last := range []wanted{{tries: wantTries - 1}, {}} {
		err := error(apierrors.NewNotFound(corev1.Resource("pods"), "pod"))
		if last.tries > 0 {
			err = errors.New("the kubelet is busy")
		}
		if c.retry(last, err) {
			t.Errorf("%v is tried again after %d tries", err, last.tries)
		}
	}
}

func TestRetryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCollector(t, "127.0.0.1:1")
		c.retry(wanted{ctx: t.Context(), want: logWant("pod", true)}, errors.New("the kubelet is busy"))
		time.Sleep(wantPause - time.Millisecond)
		if len(c.wants) != 0 {
			t.Error("tried again before the pause was over")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if len(c.wants) != 1 || (<-c.wants).tries != 1 {
			t.Error("not tried again after the pause")
		}
	})
}
