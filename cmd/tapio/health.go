package main

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
)

// health knows what is lacking, part by part.
type health struct {
	mu    sync.Mutex
	parts []func() string
}

// add adds a part that says in one line what it lacks, or nothing.
func (h *health) add(lacking func() string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parts = append(h.parts, lacking)
}

func (h *health) lacking() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, part := range h.parts {
		if text := part(); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// starting answers while the parts are being made: alive, not ready.
func (h *health) starting() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "tapio is starting", http.StatusServiceUnavailable)
	})
	return mux
}

// front passes requests on to the handler of the moment.
type front struct{ handler atomic.Pointer[http.Handler] }

func (f *front) serve(h http.Handler) { f.handler.Store(&h) }

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*f.handler.Load()).ServeHTTP(w, r)
}
