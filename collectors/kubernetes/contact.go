package kubernetes

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/yairfalse/tapio"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// gapBound is how long a watch may be lost before the story should know: long
// enough for a restart of one API server behind a load balancer, short enough
// that no failure of interest fits into it unseen.
const gapBound = 15 * time.Second

// contact knows when one resource was last heard of and tells when something
// may have been missed. There are two ways to lose a watch:
//
//   - It is resumed where it ended: the API server replays every change, so
//     nothing is lost, only late. That is a gap when the outage was longer than
//     the bound.
//   - Its place in history is gone (410, or the stream broke): the resource is
//     listed anew, and of several changes to one object only the last shows.
//     That is a gap when the last contact was longer ago than the bound.
//
// Both gaps reach from the last contact to the recovery.
type contact struct {
	resource string
	bound    time.Duration

	mu     sync.Mutex
	last   time.Time // last answer, event or bookmark
	down   time.Time // when the loss was noticed; zero while there is contact
	cause  string
	told   bool // that this outage is longer than the bound
	listed bool // the first listing is complete
}

// alive notes an event, a bookmark or the regular end of a watch.
func (c *contact) alive(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.down, c.told, c.cause = at, time.Time{}, false, ""
}

// lost notes that a request failed or that a watch ended early. It returns
// true once per outage: when that has lasted longer than the bound.
func (c *contact) lost(at time.Time, cause string) (long bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down.IsZero() {
		c.down = at
	}
	c.cause = cause
	if c.told || at.Sub(c.down) < c.bound {
		return false
	}
	c.told = true
	return true
}

// silent notes that a watch delivers nothing any more. The loss began with the
// last contact.
func (c *contact) silent(cause string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down, c.cause = c.last, cause
}

// opened notes that a watch was accepted. It returns the gap that this ends, if
// there is one.
func (c *contact) opened(at time.Time) (gap *tapio.Gap) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listed && !c.down.IsZero() && at.Sub(c.down) >= c.bound {
		gap = c.gap(at, "no contact: "+c.cause)
	}
	c.last, c.down, c.told = at, time.Time{}, false
	return gap
}

// complete notes that a listing is complete. It returns the gap that a listing
// anew ends, if there is one.
func (c *contact) complete(at time.Time) (gap *tapio.Gap) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listed && at.Sub(c.last) >= c.bound {
		cause := c.cause
		if cause == "" {
			cause = "watch lost"
		}
		gap = c.gap(at, cause+"; listed anew, changes in between may be missing")
	}
	c.listed = true
	c.last, c.down, c.told, c.cause = at, time.Time{}, false, ""
	return gap
}

func (c *contact) gap(at time.Time, reason string) *tapio.Gap {
	return &tapio.Gap{Source: tapio.SourceKubernetes, Resource: c.resource, From: c.last, To: at, Reason: reason}
}

// up reports whether the resource is listed and watched.
func (c *contact) up() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.listed && c.down.IsZero()
}

// reasonLimit bounds the words of an error within a gap, in bytes: a story
// shows them in one line.
const reasonLimit = 200

// reason says in a few words why a request failed.
func reason(err error) string {
	switch {
	case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		return "watch expired (410)"
	case apierrors.IsForbidden(err):
		return "forbidden (403)"
	case apierrors.IsUnauthorized(err):
		return "credentials refused (401)"
	case apierrors.IsTooManyRequests(err):
		return "API server overloaded (429)"
	case strings.Contains(err.Error(), "http2: client connection lost"):
		return "connection lost" // a ping was not answered
	}
	// The innermost error says what happened; the outer ones repeat the URL.
	for {
		inner := errors.Unwrap(err)
		if inner == nil || inner.Error() == "" {
			break
		}
		err = inner
	}
	text := strings.ToValidUTF8(err.Error(), "")
	if len(text) > reasonLimit {
		text = strings.ToValidUTF8(text[:reasonLimit], "")
	}
	return text
}
