// Package dns tells which questions to name servers got an error or no
// answer. It sees UDP of port 53; TCP, TLS and HTTPS it does not see, and an
// answer that the name does not exist is an answer.
package dns

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/yairfalse/tapio/bpf/probe"
)

//go:generate go tool bpf2go -target amd64,arm64 -type key -type question dns dns.c -- -O2 -Wall -Werror

// Minimum is the oldest kernel that the probe runs on: several programs on one
// cgroup, by links.
const Minimum = "5.7"

// Patience is how long a question waits for its answer until it counts as
// unanswered: resolvers ask again after 5 s.
const Patience = 5 * time.Second

// Failure is a question that failed.
type Failure struct {
	Asked  time.Time
	Client netip.AddrPort
	Server netip.Addr
	Name   string // asked for, its first 63 bytes, without the last dot; empty where it can't be read
	Code   int    // 2 server failure, 5 refused, 0 no answer
}

// Probe is a loaded probe. One goroutine reads it.
type Probe struct {
	objects dnsObjects
	links   []link.Link
}

// Open loads the probe and attaches it to the folder of a cgroup of version 2,
// the root for all of a host. Hosts of version 1 have one too, which nothing
// need use: see [Root]. The error is a [probe.Error].
func Open(cgroup string) (*Probe, error) {
	if err := probe.Ready("dns"); err != nil {
		return nil, err
	}
	p := new(Probe)
	if err := loadDnsObjects(&p.objects, nil); err != nil {
		return nil, &probe.Error{Probe: "dns", Hook: "load", Minimum: Minimum, Err: err}
	}
	for _, a := range []struct {
		program *ebpf.Program
		to      ebpf.AttachType
	}{{p.objects.Ask, ebpf.AttachCGroupInetEgress}, {p.objects.Answer, ebpf.AttachCGroupInetIngress}} {
		l, err := link.AttachCgroup(link.CgroupOptions{Path: cgroup, Attach: a.to, Program: a.program})
		if err != nil {
			return nil, probe.Undo(&probe.Error{Probe: "dns", Hook: "cgroup " + cgroup, Minimum: Minimum, Err: err}, p)
		}
		p.links = append(p.links, l)
	}
	return p, nil
}

// Take returns the questions that failed since the last time, in no order: those
// with an error, and those without an answer for [Patience].
func (p *Probe) Take() ([]Failure, error) {
	var mono unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono); err != nil {
		return nil, err
	}
	var keys []dnsKey
	var out []Failure
	var key dnsKey
	var q dnsQuestion
	all := p.objects.Questions.Iterate()
	for all.Next(&key, &q) {
		if q.Answered != 0 || mono.Nano()-int64(q.Asked) >= int64(Patience) {
			keys = append(keys, key)
			out = append(out, failure(key, q))
		}
	}
	if err := all.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return nil, err
	}
	kept := out[:0]
	for i, k := range keys {
		// Gone: it was answered after all, or met twice.
		if p.objects.Questions.Delete(k) == nil {
			kept = append(kept, out[i])
		}
	}
	return kept, nil
}

// Close detaches the probe.
func (p *Probe) Close() error {
	closers := []io.Closer{&p.objects}
	for _, l := range p.links {
		closers = append(closers, l)
	}
	return probe.CloseAll(closers)
}

func failure(k dnsKey, q dnsQuestion) Failure {
	return Failure{
		Asked:  probe.Time(q.Asked),
		Client: netip.AddrPortFrom(netip.AddrFrom16(k.Client).Unmap(), k.Port),
		Server: netip.AddrFrom16(k.Server).Unmap(),
		Name:   name(q.Name[:min(int(q.Length), len(q.Name))]),
		Code:   int(q.Rcode),
	}
}

// name reads the labels of a question, as far as they are there.
func name(b []byte) string {
	var labels []string
	for len(b) > 0 && b[0] != 0 {
		n := int(b[0])
		if n > 63 {
			return "" // a pointer: no resolver asks so
		}
		b = b[1:]
		part := b[:min(n, len(b))]
		for _, c := range part {
			if c <= ' ' || c >= 0x7f || c == '.' {
				return ""
			}
		}
		labels = append(labels, string(part))
		b = b[len(part):]
	}
	return strings.Join(labels, ".")
}
