package bot

import (
	"sync"
	"time"
)

// Slack sends what was not acknowledged again after 0, 1 and 5 minutes, over
// either socket.
const (
	rememberFor = 15 * time.Minute
	rememberMax = 10_000 // requests remembered; above it the oldest are forgotten early
)

// recent remembers which requests were seen. It is safe for concurrent use.
type recent struct {
	mu    sync.Mutex
	times map[string]time.Time
	order []seenAt // oldest first
}

type seenAt struct {
	key string
	at  time.Time
}

func newRecent() *recent { return &recent{times: map[string]time.Time{}} }

// first reports whether the key is seen for the first time.
func (r *recent) first(key string) bool {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.order) > 0 && (now.Sub(r.order[0].at) > rememberFor || len(r.order) >= rememberMax) {
		if o := r.order[0]; r.times[o.key].Equal(o.at) {
			delete(r.times, o.key)
		}
		r.order = r.order[1:]
	}
	if _, ok := r.times[key]; ok {
		return false
	}
	r.times[key] = now
	r.order = append(r.order, seenAt{key, now})
	return true
}

// forget makes a request that wasn't handled new again.
func (r *recent) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.times, key)
}
