// Package tcp tells which TCP connections failed, were reset or had to send
// again, added up by the kernel by who called whom on which port.
package tcp

import (
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/yairfalse/tapio/bpf/probe"
)

//go:generate go tool bpf2go -target amd64,arm64 -type key -type total -type place tcp tcp.c -- -O2 -Wall -Werror

// Minimum is the oldest kernel that the probe runs on: reading kernel memory
// by CO-RE helpers, and sums without a ring buffer.
const Minimum = "5.5"

// Outcome is what happened to a connection.
type Outcome uint16

// The outcomes, numbered as tcp.c has them.
const (
	GaveUp        Outcome = iota + 1 // no answer, and the caller gave up after a second or more
	Failed                           // connect failed with Error
	Reset                            // the peer reset an established connection
	Retransmitted                    // data was sent again
	SYNRepeated                      // the first packet was sent again
)

// Failure is what happened between two addresses since the last reading.
type Failure struct {
	First, Last time.Time
	Count       uint64
	Outcome     Outcome
	Error       unix.Errno     // of connect, where Outcome is Failed
	Wait        time.Duration  // on average, until connect failed
	Local       netip.Addr     // this node's side
	Remote      netip.AddrPort // the other side; port 0 where the other side is the client
	Port        uint16         // the server's port
	Server      bool           // the local side is the server; guessed by the ports where its connect was not seen
	Place       probe.Place    // of the process that called connect; empty where it was in no container
}

// Probe is a loaded probe. One goroutine reads it; the other methods may be
// called from any.
type Probe struct {
	objects tcpObjects
	links   []link.Link
}

// Open loads and attaches the probe. The error is a [probe.Error].
func Open() (*Probe, error) {
	if err := probe.Ready("tcp"); err != nil {
		return nil, err
	}
	p := new(Probe)
	if err := loadTcpObjects(&p.objects, nil); err != nil {
		return nil, &probe.Error{Probe: "tcp", Hook: "load", Minimum: Minimum, Err: err}
	}
	var err error
	if p.links, err = probe.Attach("tcp", Minimum, map[string]*ebpf.Program{
		"inet_sock_set_state": p.objects.InetSockSetState,
		"tcp_retransmit_skb":  p.objects.TcpRetransmitSkb,
		"tcp_receive_reset":   p.objects.TcpReceiveReset,
	}); err != nil {
		return nil, probe.Undo(err, p)
	}
	return p, nil
}

// Take returns what was added up since the last time, in no order, and begins
// anew.
func (p *Probe) Take() ([]Failure, error) {
	var keys []tcpKey
	var key tcpKey
	var total tcpTotal
	all := p.objects.Totals.Iterate()
	for all.Next(&key, &total) {
		keys = append(keys, key)
	}
	// An iteration that meets a deletion begins anew; what it lacks is taken the
	// next time.
	if err := all.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return nil, err
	}
	var out []Failure
	seen := map[tcpKey]bool{}
	for _, k := range keys {
		if seen[k] {
			continue
		}
		seen[k] = true
		if err := p.objects.Totals.LookupAndDelete(k, &total); err != nil {
			if err = p.objects.Totals.Lookup(k, &total); err != nil {
				continue
			}
			// Before Linux 5.14 a hash can't do both at once; what is added in
			// between is lost.
			if err = p.objects.Totals.Delete(k); err != nil {
				return out, err
			}
		}
		out = append(out, p.failure(k, total))
	}
	return out, nil
}

func (p *Probe) failure(k tcpKey, t tcpTotal) Failure {
	f := Failure{
		First: probe.Time(t.First), Last: probe.Time(t.Last), Count: t.Count, Outcome: Outcome(k.Outcome), Error: unix.Errno(k.Error),
		Local: netip.AddrFrom16(k.Local).Unmap(), Port: k.Port, Server: k.Server != 0,
	}
	remote := uint16(0)
	if !f.Server {
		remote = k.Port
	}
	f.Remote = netip.AddrPortFrom(netip.AddrFrom16(k.Remote).Unmap(), remote)
	if t.Count > 0 {
		f.Wait = time.Duration(t.Waited / t.Count)
	}
	var place tcpPlace
	if k.Cgroup != 0 && p.objects.Places.Lookup(k.Cgroup, &place) == nil {
		f.Place = probe.Place{Cgroup: place.Cgroup, Name: probe.Text(place.Name[:]), Parent: probe.Text(place.Parent[:])}
	}
	return f
}

// Lost returns how many failures found no room so far.
func (p *Probe) Lost() uint64 { return probe.Sum(p.objects.Lost, 0) }

// Close detaches the probe.
func (p *Probe) Close() error {
	closers := []io.Closer{&p.objects}
	for _, l := range p.links {
		closers = append(closers, l)
	}
	return probe.CloseAll(closers)
}
