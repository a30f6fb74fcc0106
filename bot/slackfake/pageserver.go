package slackfake

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

// policy keeps the page from loading or sending anything anywhere else, and
// from running anything that is not a file of its own.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// keepStream is the pace of the comments that keep a page's stream open.
const keepStream = 15 * time.Second

// pageRoots is how many root messages of a channel the page gets at once.
const pageRoots = 100

// addPage adds the page and what it asks for.
func (w *Workspace) addPage(mux *http.ServeMux) {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // only a malformed path makes Sub fail
	}
	static := http.StripPrefix("/page/", http.FileServerFS(files))
	mux.Handle("GET /page/", guard(static))
	mux.Handle("GET /{$}", guard(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(rw, r, files, "page.html")
	})))
	mux.HandleFunc("GET /archives/{channel}/{message}", servePermalink)
	mux.Handle("GET /page/state", guard(http.HandlerFunc(w.serveState)))
	mux.Handle("GET /page/thread", guard(http.HandlerFunc(w.serveThread)))
	mux.Handle("GET /page/older", guard(http.HandlerFunc(w.serveOlder)))
	mux.Handle("GET /page/events", guard(http.HandlerFunc(w.serveEvents)))
	mux.Handle("POST /page/command", guard(http.HandlerFunc(w.serveCommand)))
	mux.Handle("GET /page/faults", guard(http.HandlerFunc(w.servePanel)))
	mux.Handle("POST /page/fault", guard(http.HandlerFunc(w.serveFault)))
	mux.Handle("POST /page/click", guard(http.HandlerFunc(w.serveClick)))
	w.addViews(mux)
}

// guard sets the headers of everything that the page consists of.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h := rw.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(rw, r)
	})
}

// servePermalink leads from a permalink to its place on the page.
func servePermalink(rw http.ResponseWriter, r *http.Request) {
	ts, ok := strings.CutPrefix(r.PathValue("message"), "p")
	if !ok || len(ts) < 7 || strings.Trim(ts, "0123456789") != "" || strings.Trim(r.PathValue("channel"), idLetters) != "" {
		http.NotFound(rw, r)
		return
	}
	ts = ts[:len(ts)-6] + "." + ts[len(ts)-6:]
	http.Redirect(rw, r, "/#"+r.PathValue("channel")+"/"+ts, http.StatusFound)
}

const idLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func (w *Workspace) serveState(rw http.ResponseWriter, _ *http.Request) {
	writeJSON(rw, http.StatusOK, w.pageState())
}

// pageState is everything that the page starts from.
func (w *Workspace) pageState() map[string]any {
	w.mu.Lock()
	defer w.mu.Unlock()
	users := []userView{}
	for _, u := range w.users {
		users = append(users, userView{ID: u.ID, Name: u.Name, Title: u.Title, Bot: u.Bot})
	}
	channels := []*channelView{}
	messages := []*messageView{}
	older := map[string]bool{}
	for _, c := range w.channels {
		if !c.members[w.me().ID] {
			continue
		}
		channels = append(channels, w.channelView(c))
		roots := c.roots
		if len(roots) > pageRoots {
			roots = roots[len(roots)-pageRoots:]
			older[c.ID] = true
		}
		messages = append(messages, w.rootViews(roots)...)
	}
	for _, m := range w.ephemerals {
		if m.To == w.me().ID {
			messages = append(messages, w.messageView(m))
		}
	}
	return map[string]any{
		"team": w.opts.Team, "me": w.me().ID, "bot": w.bot.ID, "hints": w.opts.Hints,
		"users": users, "channels": channels, "messages": messages, "older": older, "status": w.status, "views": w.viewsNow(),
	}
}

// rootViews shows root messages with the replies that were sent to the channel too.
func (w *Workspace) rootViews(roots []*Message) []*messageView {
	out := []*messageView{}
	for _, m := range roots {
		out = append(out, w.messageView(m))
		for _, r := range m.replies {
			if r.Broadcast {
				out = append(out, w.messageView(r))
			}
		}
	}
	return out
}

// serveThread answers with the messages of a thread.
func (w *Workspace) serveThread(rw http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	writeJSON(rw, http.StatusOK, w.pageThread(q.Get("channel"), q.Get("ts")))
}

func (w *Workspace) pageThread(channel, ts string) []*messageView {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := []*messageView{}
	c := w.channel(channel)
	if c == nil || !c.members[w.me().ID] {
		return out
	}
	if _, root := c.message(ts); root != nil {
		out = append(out, w.messageView(root))
		for _, m := range root.replies {
			out = append(out, w.messageView(m))
		}
	}
	return out
}

// serveOlder answers with the roots before a ts, and whether there are more.
func (w *Workspace) serveOlder(rw http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	out, more := w.pageOlder(q.Get("channel"), q.Get("before"))
	writeJSON(rw, http.StatusOK, map[string]any{"messages": out, "more": more})
}

func (w *Workspace) pageOlder(channel, before string) (out []*messageView, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channel(channel)
	if c == nil || !c.members[w.me().ID] {
		return []*messageView{}, false
	}
	n := 0
	for n < len(c.roots) && compareTS(c.roots[n].TS, before) < 0 {
		n++
	}
	from := max(n-pageRoots, 0)
	return w.rootViews(c.roots[from:n]), from > 0
}

// serveEvents streams changes to the page.
func (w *Workspace) serveEvents(rw http.ResponseWriter, r *http.Request) {
	v := w.watch()
	defer w.unwatch(v)
	rw.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(rw)
	fmt.Fprint(rw, "retry: 1000\n\n")
	keep := time.NewTicker(keepStream)
	defer keep.Stop()
	for {
		if err := flush.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-w.ctx.Done():
			return
		case <-keep.C:
			fmt.Fprint(rw, ": still here\n\n")
		case b, ok := <-v.changes:
			if !ok {
				return
			}
			fmt.Fprintf(rw, "data: %s\n\n", b)
		}
	}
}

// serveCommand types a slash command as the person at the page.
func (w *Workspace) serveCommand(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		Channel string `json:"channel"`
		Text    string `json:"text"`
	}
	if !readPagePost(rw, r, &in) {
		return
	}
	if !strings.HasPrefix(strings.TrimSpace(in.Text), "/") {
		writeJSON(rw, http.StatusOK, reply{"error": "Only commands are understood here. They start with a slash, such as /tapio help."})
		return
	}
	w.mu.Lock()
	d, u, err := w.prepareCommand(w.me(), w.channel(in.Channel), in.Text)
	w.mu.Unlock()
	if err == nil {
		err = w.handOver(d, u)
	}
	writePageResult(rw, err)
}

// serveClick presses a button as the person at the page.
func (w *Workspace) serveClick(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		Channel  string `json:"channel"`
		TS       string `json:"ts"`
		ActionID string `json:"action_id"`
		BlockID  string `json:"block_id"`
		Value    string `json:"value"`
	}
	if !readPagePost(rw, r, &in) {
		return
	}
	d, err := w.prepareClick(Action{
		User: w.me().ID, Channel: in.Channel, TS: in.TS, ActionID: in.ActionID, BlockID: in.BlockID, Value: in.Value,
	})
	if err == nil {
		err = w.handOver(d, nil)
	}
	writePageResult(rw, err)
}

// handOver gives a delivery to the app, and what its ack carries to the person
// at the page. It gives up after the deadline of the first attempt; retries go
// on without it.
func (w *Workspace) handOver(d delivery, u *responseURL) error {
	done := make(chan error, 1)
	go func() {
		body, err := w.deliver(w.ctx, d)
		if err == nil && u != nil {
			err = w.respond(u, body)
		}
		done <- err
	}()
	late := time.NewTimer(w.scaled(ackWithin))
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return ErrTimeout
	}
}

// readPagePost reads what the page posted. Only a script can send this content
// type, and a script of another origin is refused before.
func readPagePost(rw http.ResponseWriter, r *http.Request, into any) bool {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		http.Error(rw, "want application/json", http.StatusUnsupportedMediaType)
		return false
	}
	b, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, 64<<10))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

// writePageResult tells the page how a command or click went, in words for a person.
func writePageResult(rw http.ResponseWriter, err error) {
	out := reply{}
	switch {
	case errors.Is(err, ErrNoApp):
		out["error"] = "Tapio is not connected to this workspace."
	case errors.Is(err, ErrTimeout):
		out["error"] = "Tapio did not answer within 3 seconds."
	case err != nil:
		out["error"] = err.Error()
	}
	writeJSON(rw, http.StatusOK, out)
}
