package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/yairfalse/tapio"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestContact(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	tests := []struct {
		name string
		do   func(*contact) []*tapio.Gap
		want []string
		up   bool
	}{
		{"a first listing is no gap, however late", func(c *contact) []*tapio.Gap {
			c.lost(at(0), "connection refused")
			c.lost(at(100), "connection refused")
			return []*tapio.Gap{c.complete(at(300))}
		}, nil, true},
		{"a watch that is renewed is no gap", func(c *contact) []*tapio.Gap {
			c.complete(at(0))
			c.alive(at(400))
			gap := c.opened(at(500))
			return []*tapio.Gap{gap}
		}, nil, true},
		{"a short outage is none", func(c *contact) []*tapio.Gap {
			c.complete(at(0))
			c.lost(at(50), "the watch ended early")
			gap := c.opened(at(60))
			return []*tapio.Gap{gap}
		}, nil, true},
		{"a long outage is one, from the last contact", func(c *contact) []*tapio.Gap {
			c.complete(at(0))
			c.alive(at(40))
			c.lost(at(50), "the watch ended early")
			c.lost(at(60), "connection refused")
			gap := c.opened(at(70))
			return []*tapio.Gap{gap}
		}, []string{"pods 40-70 no contact: connection refused"}, true},
		{"a listing anew soon after the last contact is none", func(c *contact) []*tapio.Gap {
			c.complete(at(0))
			c.alive(at(100))
			c.lost(at(100), "watch expired (410)")
			return []*tapio.Gap{c.complete(at(101))}
		}, nil, true},
		{"a listing anew long after it is one", func(c *contact) []*tapio.Gap {
			c.complete(at(0))
			c.alive(at(100))
			c.lost(at(150), "watch expired (410)")
			return []*tapio.Gap{c.complete(at(151))}
		}, []string{"pods 100-151 watch expired (410); listed anew, changes in between may be missing"}, true},
		{"silence counts from the last contact", func(c *contact) []*tapio.Gap {
			c.complete(at(0))
			c.alive(at(60))
			c.silent("the watch went silent")
			gap := c.opened(at(240))
			return []*tapio.Gap{gap}
		}, []string{"pods 60-240 no contact: the watch went silent"}, true},
		{"an outage that lasts", func(c *contact) []*tapio.Gap {
			c.complete(at(0))
			c.lost(at(10), "connection refused")
			return nil
		}, nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &contact{resource: "pods", bound: gapBound}
			var got []string
			for _, g := range test.do(c) {
				if g != nil {
					got = append(got, fmt.Sprintf("%s %.0f-%.0f %s", g.Resource, g.From.Sub(start).Seconds(), g.To.Sub(start).Seconds(), g.Reason))
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			if c.up() != test.up {
				t.Errorf("up: %v, want %v", c.up(), test.up)
			}
		})
	}
}

func TestContactTellsALongOutageOnce(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := &contact{resource: "pods", bound: gapBound}
	c.complete(start)
	var told []int
	for s := range 60 {
		if c.lost(start.Add(time.Duration(s)*time.Second), "connection refused") {
			told = append(told, s)
		}
	}
	if diff := cmp.Diff([]int{15}, told); diff != "" {
		t.Errorf("told at seconds (-want +got):\n%s", diff)
	}
}

func TestReason(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	tests := []struct {
		err  error
		want string
	}{
		{apierrors.NewResourceExpired("too old resource version: 1 (300)"), "watch expired (410)"},
		{apierrors.NewGone("gone"), "watch expired (410)"},
		{apierrors.NewForbidden(pods, "", errors.New("no")), "forbidden (403)"},
		{apierrors.NewUnauthorized("no"), "credentials refused (401)"},
		{apierrors.NewTooManyRequests("slow down", 1), "API server overloaded (429)"},
		{&url.Error{Op: "Get", URL: "https://10.0.0.1:6443/api/v1/pods?watch=true", Err: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}}, "connection refused"},
		{fmt.Errorf("list: %w", context.DeadlineExceeded), "context deadline exceeded"},
		{errors.New(strings.Repeat("ü", 300)), strings.Repeat("ü", 100)},
		{apierrors.NewInternalError(errors.New("unable to decode an event from the watch stream: http2: client connection lost")), "connection lost"},
		{errors.New("bad \xff byte"), "bad  byte"},
	}
	for _, test := range tests {
		if got := reason(test.err); got != test.want {
			t.Errorf("reason(%v) = %q, want %q", test.err, got, test.want)
		}
	}
}
