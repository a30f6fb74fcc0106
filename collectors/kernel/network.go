package kernel

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bpf/dns"
	"github.com/yairfalse/tapio/bpf/tcp"
)

const (
	// maxPairs bounds the events of one reading; the worst come first.
	maxPairs = 500
	// minSent is how many segments two sides must send again between two readings
	// to be told of: any network loses some.
	minSent = 5
)

// gather reads what the kernel adds up and what stands in files.
func (c *Collector) gather() {
	if c.tcp != nil {
		all, err := c.tcp.Take()
		if err != nil {
			c.metrics.failed.WithLabelValues(ProbeTCP).Inc()
		}
		c.connections(all)
	}
	if c.dns != nil {
		all, err := c.dns.Take()
		if err != nil {
			c.metrics.failed.WithLabelValues(ProbeDNS).Inc()
		}
		c.questions(all)
	}
	if c.psi != nil {
		c.measure()
	}
}

// connections tells of failures of containers' connections, the most frequent
// first.
func (c *Collector) connections(all []tcp.Failure) {
	slices.SortFunc(all, func(a, b tcp.Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.First.Compare(b.First))
	})
	told := 0
	for _, f := range all {
		c.metrics.events.WithLabelValues(ProbeTCP).Add(float64(f.Count))
		e := c.connection(f)
		if e == nil {
			continue
		}
		found, ok := place(f.Place, e)
		if !ok {
			continue // the node's own, or a server's side: its caller tells
		}
		if told++; told > maxPairs {
			c.full.Add(f.Count)
			continue
		}
		c.tell(found.ID, e)
	}
}

// connection makes an event of a failure, or nothing where it is none.
func (c *Collector) connection(f tcp.Failure) *tapio.Event {
	e := c.event(tapio.ConnectionFailed, tapio.SeverityMedium, f.First)
	peer := f.Remote.String()
	switch {
	case f.Outcome == tcp.Failed && f.Error == unix.ECONNREFUSED:
		e.Reason, e.Message = tapio.Refused, "connections to "+peer+" were refused"
	case f.Outcome == tcp.Failed && f.Error == unix.ETIMEDOUT, f.Outcome == tcp.GaveUp:
		e.Reason, e.Message = tapio.TimedOut, fmt.Sprintf("connections to %s got no answer within %s", peer, f.Wait.Round(100*time.Millisecond))
	case f.Outcome == tcp.Failed && (f.Error == unix.EHOSTUNREACH || f.Error == unix.ENETUNREACH):
		e.Reason, e.Message = tapio.NoRoute, "connections to "+peer+": no route"
	case f.Outcome == tcp.Failed:
		e.Reason, e.Message = unix.ErrnoName(f.Error), fmt.Sprintf("connections to %s failed: %s", peer, f.Error.Error())
	case f.Outcome == tcp.Reset:
		e.Type, e.Reason, e.Message = tapio.ConnectionReset, "reset", "connections to "+peer+" were reset by it"
	case f.Outcome == tcp.SYNRepeated:
		e.Type, e.Reason, e.Message = tapio.Retransmissions, "syn", "connections to "+peer+" got no first answer yet"
	case f.Outcome == tcp.Retransmitted && f.Count >= minSent:
		e.Type, e.Reason, e.Message = tapio.Retransmissions, "data", "data to "+peer+" had to be sent again"
	default:
		return nil
	}
	e.Count = int(min(f.Count, 1<<30))
	e.Attrs[tapio.AttrLocal] = f.Local.String()
	e.Attrs[tapio.AttrPeer] = f.Remote.Addr().String()
	e.Attrs[tapio.AttrPort] = strconv.Itoa(int(f.Port))
	if f.Wait > 0 {
		e.Attrs[tapio.AttrWait] = f.Wait.Round(time.Millisecond).String()
	}
	return e
}

// questions tells of questions to name servers that failed, by who asked whom.
func (c *Collector) questions(all []dns.Failure) {
	type pair struct {
		client, server netip.Addr
		code           int
	}
	slices.SortFunc(all, func(a, b dns.Failure) int { return cmp.Or(a.Asked.Compare(b.Asked), a.Client.Compare(b.Client)) })
	pairs := map[pair]*tapio.Event{}
	var told []*tapio.Event
	for _, f := range all {
		c.metrics.events.WithLabelValues(ProbeDNS).Inc()
		p := pair{f.Client.Addr(), f.Server, f.Code}
		if e := pairs[p]; e != nil {
			e.Count++
			continue
		}
		e := c.event(tapio.DNSFailed, tapio.SeverityMedium, f.Asked)
		e.Entity, e.Count = c.node(), 1
		e.Attrs[tapio.AttrLocal], e.Attrs[tapio.AttrPeer], e.Attrs[tapio.AttrPort] = p.client.String(), p.server.String(), "53"
		put(e, tapio.AttrMissing, f.Name)
		switch f.Code {
		case 0:
			e.Reason, e.Message = tapio.NoAnswer, fmt.Sprintf("name server %s gave %s no answer for %q", p.server, p.client, f.Name)
		case 5:
			e.Reason, e.Message = tapio.Refused, fmt.Sprintf("name server %s refused %s an answer for %q", p.server, p.client, f.Name)
		default:
			e.Reason, e.Message = tapio.ServerFailure, fmt.Sprintf("name server %s answered %s with a failure for %q", p.server, p.client, f.Name)
		}
		pairs[p] = e
		told = append(told, e)
	}
	for i, e := range told {
		if i >= maxPairs {
			c.full.Add(uint64(e.Count))
			continue
		}
		c.send(e)
	}
}
