package kernel

import (
	"errors"
	"io"
	"slices"

	"github.com/yairfalse/tapio/bpf/dns"
	"github.com/yairfalse/tapio/bpf/exit"
	"github.com/yairfalse/tapio/bpf/oom"
	"github.com/yairfalse/tapio/bpf/tcp"
	"github.com/yairfalse/tapio/collectors/kernel/pressure"
)

// open opens the probes that the config names and returns a line for each that
// can't be had.
func (c *Collector) open() (lacking []string) {
	wanted := func(name string) bool { return slices.Contains(c.opts.Config.Probes, name) }
	note := func(err error) {
		if err != nil {
			lacking = append(lacking, err.Error())
		}
	}
	if wanted(ProbeOOM) {
		p, err := oom.Open()
		c.oom = p
		note(err)
	}
	if wanted(ProbeExit) {
		p, err := exit.Open()
		c.exit = p
		note(err)
	}
	if wanted(ProbeTCP) {
		p, err := tcp.Open()
		c.tcp = p
		note(err)
	}
	if wanted(ProbeDNS) {
		root, err := dns.Root(c.opts.Config.CgroupRoot)
		if err == nil {
			c.dns, err = dns.Open(root)
		}
		note(err)
	}
	if wanted(ProbePressure) {
		p, err := pressure.New(c.opts.Config.ProcRoot, c.opts.Config.CgroupRoot)
		c.psi = p
		note(err)
		if err == nil {
			if _, err = p.Node(); err != nil {
				lacking = append(lacking, "kernel probe pressure: the node's own: "+err.Error()+" (needs Linux 4.20, and psi=1 where it is off)")
			}
		}
	}
	return lacking
}

// close closes what open opened.
func (c *Collector) close() error {
	var all []io.Closer
	if c.oom != nil {
		all = append(all, c.oom)
	}
	if c.exit != nil {
		all = append(all, c.exit)
	}
	if c.tcp != nil {
		all = append(all, c.tcp)
	}
	if c.dns != nil {
		all = append(all, c.dns)
	}
	var errs []error
	for _, p := range all {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
