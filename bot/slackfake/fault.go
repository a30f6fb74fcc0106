package slackfake

import (
	"context"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// FaultKind is one way in which Slack fails.
type FaultKind string

// The kinds of faults. Those of envelopes take the method name "envelope".
const (
	RateLimited       FaultKind = "429"               // with Retry-After: Fault.RetryAfter
	RateLimitedBare   FaultKind = "429 bare"          // without Retry-After
	RateLimitedOK     FaultKind = "200 ratelimited"   // ok false, status 200
	ServerError       FaultKind = "500"               // nothing was done
	BadGateway        FaultKind = "502"               // nothing was done; the body is HTML
	CutBefore         FaultKind = "cut before commit" // nothing was done, the connection ends
	CommitThenCut     FaultKind = "commit then cut"   // it was done, the connection ends
	Slow              FaultKind = "slow"              // waits Fault.Delay, then answers
	Prepare           FaultKind = "prepare"           // runs Fault.Before, then answers
	DuplicateEnvelope FaultKind = "duplicate"         // an envelope is sent twice
	OutOfOrder        FaultKind = "out of order"      // an envelope waits until another one overtook it, at most 2 s
	LostAck           FaultKind = "lost ack"          // the ack of an envelope is not heard
)

// Fault makes calls go wrong.
type Fault struct {
	Kind       FaultKind
	Method     string        // "chat.postMessage"; "envelope" for what Slack sends; "" any Web API call
	Nth        int           // the first call that it strikes, counted from now; 1 when 0
	Times      int           // calls that it strikes from there on; 1 when 0
	RetryAfter time.Duration // of RateLimited; 1 s when 0
	Delay      time.Duration // before the call is looked at

	// Before changes the workspace before the call is carried out: archive the
	// channel, delete the message, revoke the token.
	Before func(*Workspace)

	seen int
}

// randomFaults strike a share of all calls. Whether the nth call of a method in
// a channel is struck depends on nothing else, so that calls which are made at
// the same time may come in either order.
type randomFaults struct {
	seed    uint64
	share   float64
	kinds   []FaultKind
	methods []string
	calls   map[string]int
}

// strike returns the kind of fault that strikes a call, or "".
func (r *randomFaults) strike(method, channel string) FaultKind {
	if !slices.Contains(r.methods, method) {
		return ""
	}
	key := method + " " + channel
	r.calls[key]++
	h := fnv.New64a()
	io.WriteString(h, key)
	rng := rand.New(rand.NewPCG(r.seed^h.Sum64(), uint64(r.calls[key])))
	if rng.Float64() >= r.share {
		return ""
	}
	return r.kinds[rng.IntN(len(r.kinds))]
}

// Inject adds a fault. Several faults of one method wait for their calls side
// by side.
func (w *Workspace) Inject(f Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, &f)
}

// InjectRandom makes a share (0 to 1) of the calls of the methods fail in one
// of the kinds, repeatably by Options.Seed. A share of 0 ends it.
func (w *Workspace) InjectRandom(share float64, kinds []FaultKind, methods ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.random = nil
	if share > 0 && len(kinds) > 0 {
		w.shakes++
		w.random = &randomFaults{seed: w.opts.Seed + w.shakes<<32, share: share, kinds: kinds, methods: methods, calls: map[string]int{}}
	}
}

// takeFault returns the fault that strikes this call, or nil, and runs what it
// does beforehand.
func (w *Workspace) takeFault(method, channel string) *Fault {
	w.mu.Lock()
	f := w.nextFault(method, channel)
	w.mu.Unlock()
	if f != nil && f.Before != nil {
		f.Before(w)
	}
	return f
}

func (w *Workspace) nextFault(method, channel string) *Fault {
	var hit *Fault
	for _, f := range w.faults {
		if f.Method != method && (f.Method != "" || method == envelopeMethod) {
			continue
		}
		f.seen++
		first := max(f.Nth, 1)
		if hit == nil && f.seen >= first && f.seen < first+max(f.Times, 1) {
			hit = f
		}
	}
	w.faults = slices.DeleteFunc(w.faults, func(f *Fault) bool { return f.seen >= max(f.Nth, 1)+max(f.Times, 1)-1 })
	if r := w.random; hit == nil && r != nil {
		if kind := r.strike(method, channel); kind != "" {
			hit = &Fault{Kind: kind, Method: method}
		}
	}
	return hit
}

// answersInstead says whether the fault's answer takes the place of the call's.
func (f *Fault) answersInstead() bool {
	switch f.Kind {
	case RateLimited, RateLimitedBare, RateLimitedOK, ServerError, BadGateway, CutBefore:
		return true
	}
	return false
}

func (f *Fault) answer(rw http.ResponseWriter) {
	switch f.Kind {
	case RateLimited:
		writeError(rw, &apiError{name: "ratelimited", retryAfter: max(f.RetryAfter, time.Second)})
	case RateLimitedBare:
		writeJSON(rw, http.StatusTooManyRequests, reply{"ok": false, "error": "ratelimited"})
	case RateLimitedOK:
		writeJSON(rw, http.StatusOK, reply{"ok": false, "error": "ratelimited"})
	case ServerError:
		rw.WriteHeader(http.StatusInternalServerError)
		io.WriteString(rw, `{"ok":false,"error":"internal_error"}`)
	case BadGateway:
		rw.Header().Set("Content-Type", "text/html")
		rw.WriteHeader(http.StatusBadGateway)
		io.WriteString(rw, "<html><body>502 Bad Gateway</body></html>")
	case CutBefore:
		panic(http.ErrAbortHandler) // the client sees the connection end
	}
}

// overtakeWithin is how long an envelope waits to be overtaken, scaled by
// Options.WaitScale. The ack deadline begins afterwards.
const overtakeWithin = 2 * time.Second

// overtaken waits until another envelope was sent.
func (w *Workspace) overtaken(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, w.scaled(overtakeWithin))
	defer cancel()
	w.mu.Lock()
	next := make(chan struct{})
	w.overtakers = append(w.overtakers, next)
	w.mu.Unlock()
	select {
	case <-next:
	case <-ctx.Done():
	}
}

// sleep waits and says whether the wait came to its end.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// SetArchived archives a channel, by name or ID, or brings it back.
func (w *Workspace) SetArchived(channel string, archived bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.channel(channel); c != nil {
		c.Archived = archived
		w.publishChannel(c)
	}
}

// SetBotMember takes the bot out of a channel, by name or ID, or puts it in.
func (w *Workspace) SetBotMember(channel string, member bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.channel(channel); c != nil {
		c.members[w.bot.ID] = member
		w.publishChannel(c)
	}
}

// SetRevoked makes the tokens worthless, or good again.
func (w *Workspace) SetRevoked(revoked bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revoked = revoked
}

// DeleteMessage deletes a message as a person would and says whether it was there.
func (w *Workspace) DeleteMessage(channel, ts string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channel(channel)
	if c == nil {
		return false
	}
	m, root := c.message(ts)
	if m == nil || m.Tombstone {
		return false
	}
	w.remove(c, m, root)
	return true
}
