package slackfake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Identities that never vary.
const (
	teamID = "T0LOCAL0000"
	appID  = "A0LOCAL0000"
)

// maxBody is the largest request body that is read, bytes.
const maxBody = 4 << 20

// method is one method of the Web API.
type method struct {
	scopes    []string // any of them is enough
	app       bool     // wants the app token
	perMinute int      // calls a minute, app and workspace; 0: counted elsewhere
	call      func(w *Workspace, a args) (reply, error)
}

// reply is the body of an answer, without "ok".
type reply map[string]any

// args are the arguments of a call; nested values are JSON text, as in a form.
type args map[string]string

// on says whether a boolean argument is set.
func (a args) on(name string) bool {
	v := a[name]
	return v == "1" || strings.EqualFold(v, "true")
}

// integer returns an argument as a number, or def when it is none.
func (a args) integer(name string, def int) int {
	n, err := strconv.Atoi(a[name])
	if err != nil {
		return def
	}
	return n
}

// apiError is an answer with ok false, by Slack's name.
type apiError struct {
	name       string
	extra      map[string]any
	retryAfter time.Duration // with status 429
}

func (e *apiError) Error() string { return e.name }

// fail answers with an error of Slack's.
func fail(name string) error { return &apiError{name: name} }

// methods are all methods that this workspace knows. Rates are those of
// Slack's tiers (docs.slack.dev/apis/web-api/rate-limits).
func methods() map[string]method {
	read := []string{"channels:history", "groups:history", "im:history"}
	list := []string{"channels:read", "groups:read", "im:read"}
	return map[string]method{
		"api.test":              {perMinute: 100, call: (*Workspace).apiTest},
		"auth.test":             {perMinute: 300, call: (*Workspace).authTest},
		"apps.connections.open": {app: true, perMinute: 50, call: (*Workspace).connectionsOpen},
		"chat.postMessage":      {scopes: []string{"chat:write"}, perMinute: 300, call: (*Workspace).postMessage},
		"chat.update":           {scopes: []string{"chat:write"}, perMinute: 50, call: (*Workspace).update},
		"chat.delete":           {scopes: []string{"chat:write"}, perMinute: 50, call: (*Workspace).deleteMessage},
		"chat.postEphemeral":    {scopes: []string{"chat:write"}, perMinute: 100, call: (*Workspace).postEphemeral},
		"chat.getPermalink":     {perMinute: 300, call: (*Workspace).permalink},
		"conversations.list":    {scopes: list, perMinute: 20, call: (*Workspace).conversationsList},
		"conversations.info":    {scopes: list, perMinute: 50, call: (*Workspace).conversationsInfo},
		"conversations.members": {scopes: list, perMinute: 100, call: (*Workspace).conversationsMembers},
		"conversations.history": {scopes: read, perMinute: 50, call: (*Workspace).history},
		"conversations.replies": {scopes: read, perMinute: 50, call: (*Workspace).replies},
		"conversations.join":    {scopes: []string{"channels:join"}, perMinute: 50, call: (*Workspace).join},
		"conversations.open":    {scopes: []string{"im:write"}, perMinute: 50, call: (*Workspace).open},
		"reactions.add":         {scopes: []string{"reactions:write"}, perMinute: 50, call: (*Workspace).react},
		"reactions.remove":      {scopes: []string{"reactions:write"}, perMinute: 50, call: (*Workspace).unreact},
		"users.lookupByEmail":   {scopes: []string{"users:read.email"}, perMinute: 50, call: (*Workspace).lookupByEmail},
		"blocks.validate":       {perMinute: 50, call: (*Workspace).blocksValidate},
		"users.info":            {scopes: []string{"users:read"}, perMinute: 100, call: (*Workspace).usersInfo},
		"usergroups.list":       {scopes: []string{"usergroups:read"}, perMinute: 20, call: (*Workspace).usergroupsList},
		"usergroups.users.list": {scopes: []string{"usergroups:read"}, perMinute: 20, call: (*Workspace).usergroupsUsersList},
		"views.open":            {perMinute: 100, call: (*Workspace).viewsOpen},
		"views.publish":         {perMinute: 100, call: (*Workspace).viewsPublish},
		"views.push":            {perMinute: 100, call: (*Workspace).viewsPush},
		"views.update":          {perMinute: 100, call: (*Workspace).viewsUpdate},
		"users.list":            {scopes: []string{"users:read"}, perMinute: 20, call: (*Workspace).usersList},
	}
}

// allScopes is every scope that some method asks for, and that of commands.
func allScopes(ms map[string]method) []string {
	all := map[string]bool{"commands": true}
	for _, m := range ms {
		for _, s := range m.scopes {
			all[s] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// serveAPI answers /api/METHOD.
func (w *Workspace) serveAPI(rw http.ResponseWriter, r *http.Request) {
	name := r.PathValue("method")
	a, token, err := readArgs(r)
	if err != nil {
		w.record(Call{Method: name, Error: err.Error()})
		writeJSON(rw, http.StatusOK, reply{"ok": false, "error": err.Error()})
		return
	}
	w.setBase(r)
	fault := w.takeFault(name, a["channel"])
	if fault != nil && fault.Delay > 0 {
		if !sleep(r.Context(), fault.Delay) {
			return
		}
	}
	if fault != nil && fault.answersInstead() {
		w.record(Call{Method: name, Args: a, Error: string(fault.Kind), Fault: fault.Kind})
		fault.answer(rw)
		return
	}
	out, err := w.do(name, a, token, fault)
	if fault != nil && fault.Kind == CommitThenCut {
		panic(http.ErrAbortHandler) // the client sees the connection end
	}
	if err != nil {
		writeError(rw, err)
		return
	}
	if name == "auth.test" {
		rw.Header().Set("X-OAuth-Scopes", strings.Join(w.opts.Scopes, ","))
	}
	out["ok"] = true
	writeJSON(rw, http.StatusOK, out)
}

// do carries a call out and writes it into the log.
func (w *Workspace) do(name string, a args, token string, fault *Fault) (reply, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out, err := w.dispatch(name, a, token)
	c := Call{Method: name, Args: a}
	if err != nil {
		c.Error = err.Error()
	}
	if fault != nil {
		c.Fault = fault.Kind
	}
	w.recordLocked(c)
	return out, err
}

func (w *Workspace) dispatch(name string, a args, token string) (reply, error) {
	m, ok := w.methods[name]
	if !ok {
		w.unknown = keepLast(append(w.unknown, name), maxCalls)
		return nil, &apiError{name: "unknown_method", extra: map[string]any{"req_method": name}}
	}
	if name == "api.test" {
		return m.call(w, a)
	}
	want := w.opts.BotToken
	if m.app {
		want = w.opts.AppToken
	}
	switch {
	case token == "":
		return nil, fail("not_authed")
	case token != w.opts.BotToken && token != w.opts.AppToken:
		return nil, fail("invalid_auth")
	case w.revoked:
		return nil, fail("token_revoked")
	case token != want:
		return nil, fail("not_allowed_token_type")
	}
	if len(m.scopes) > 0 && !slices.ContainsFunc(m.scopes, func(s string) bool { return slices.Contains(w.opts.Scopes, s) }) {
		return nil, &apiError{name: "missing_scope", extra: map[string]any{
			"needed": m.scopes[0], "provided": strings.Join(w.opts.Scopes, ","),
		}}
	}
	if err := w.limitRate(name, m.perMinute); err != nil {
		return nil, err
	}
	return m.call(w, a)
}

// limitRate counts a call against a limit per minute.
func (w *Workspace) limitRate(key string, perMinute int) error {
	now := w.opts.Now()
	recent := slices.DeleteFunc(w.rates[key], func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	w.rates[key] = recent
	if !w.opts.NoRateLimits && perMinute > 0 && len(recent) >= perMinute {
		wait := time.Minute - now.Sub(recent[len(recent)-perMinute])
		return &apiError{name: "ratelimited", retryAfter: wait}
	}
	w.rates[key] = append(recent, now)
	return nil
}

// readArgs reads a form or a JSON body, and the token from header or form.
func readArgs(r *http.Request) (a args, token string, err error) {
	a = args{}
	for k, v := range r.URL.Query() {
		a[k] = v[0]
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return nil, "", errors.New("request_too_large")
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		if err := a.addJSON(body); err != nil {
			return nil, "", err
		}
	case "multipart/form-data":
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if err := r.ParseMultipartForm(maxBody); err != nil {
			return nil, "", errors.New("invalid_form_data")
		}
		for k, v := range r.MultipartForm.Value {
			a[k] = v[0]
		}
	default:
		if err := a.addForm(body); err != nil {
			return nil, "", err
		}
	}
	token = a["token"]
	delete(a, "token")
	if h, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = h
	}
	return a, token, nil
}

func writeError(rw http.ResponseWriter, err error) {
	var e *apiError
	if !errors.As(err, &e) {
		e = &apiError{name: "internal_error"}
	}
	body := reply{"ok": false, "error": e.name}
	maps.Copy(body, e.extra)
	status := http.StatusOK
	if e.retryAfter > 0 {
		status = http.StatusTooManyRequests
		rw.Header().Set("Retry-After", strconv.Itoa(int((e.retryAfter+time.Second-1)/time.Second)))
	}
	writeJSON(rw, status, body)
}

func writeJSON(rw http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, fmt.Appendf(nil, `{"ok":false,"error":%q}`, err.Error())
	}
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	rw.WriteHeader(status)
	rw.Write(b)
}
