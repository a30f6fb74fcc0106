package slackfake

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Handler serves the Web API under /api/, Socket Mode, response URLs, and the
// page at /. Listen on loopback only: requests that name another host are
// refused, and so are requests from pages of other origins.
func (w *Workspace) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/{method}", w.serveAPI)
	mux.HandleFunc("GET /api/{method}", w.serveAPI)
	mux.HandleFunc("GET "+linkPath, w.serveLink)
	mux.HandleFunc("POST /response/{id}", w.serveResponse)
	w.addPage(mux)
	return onlyLocal(mux)
}

// onlyLocal refuses what a foreign web page could send through a browser: a
// host name that was bound to this machine's address, or another origin.
func onlyLocal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) {
			http.Error(rw, "this workspace answers on localhost only", http.StatusForbidden)
			return
		}
		// A socket is opened with a ticket that no page can get, and clients of
		// Slack name Slack as its origin.
		if o := r.Header.Get("Origin"); o != "" && r.URL.Path != linkPath {
			u, err := url.Parse(o)
			if err != nil || u.Host != r.Host {
				http.Error(rw, "this workspace answers its own page only", http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(rw, r)
	})
}

// isLoopback says whether a Host header names this machine.
func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// setBase remembers how the app reaches this workspace.
func (w *Workspace) setBase(r *http.Request) {
	base := "http://" + r.Host
	if r.TLS != nil {
		base = "https://" + r.Host
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.base = base
}
