package kernel

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// The probes, as the config names them.
const (
	ProbeOOM      = "oom"
	ProbeExit     = "exit"
	ProbeTCP      = "tcp"
	ProbeDNS      = "dns"
	ProbePressure = "pressure"
)

var probes = []string{ProbeOOM, ProbeExit, ProbeTCP, ProbeDNS, ProbePressure}

// Config is what a user may say of the kernel's probes.
type Config struct {
	Probes     []string       `json:"probes"`      // which to load; empty loads none
	CgroupRoot string         `json:"cgroup_root"` // where the node's cgroups are seen from here
	ProcRoot   string         `json:"proc_root"`   // where the node's /proc is seen from here
	Interval   tapio.Duration `json:"interval"`    // how often what the kernel adds up is read
	Queue      int            `json:"queue"`       // events that may wait to be converted
	// PressureSome is the share of time in percent in which work waits for memory
	// from which on that is told.
	PressureSome     float64 `json:"pressure_some"`
	KeepCapabilities bool    `json:"keep_capabilities"` // do not give up what only loading needs
}

// Validate says what can't be meant.
func (c *Config) Validate() error {
	for _, p := range c.Probes {
		if !slices.Contains(probes, p) {
			return fmt.Errorf("%q is no probe: there are %s", p, strings.Join(probes, ", "))
		}
	}
	switch {
	case time.Duration(c.Interval) < time.Second:
		return fmt.Errorf("interval is %s: reading more often than once a second costs more than it tells", time.Duration(c.Interval))
	case c.Queue < 1:
		return errors.New("queue must be above 0")
	case c.CgroupRoot == "" || c.ProcRoot == "":
		return errors.New("cgroup_root and proc_root must not be empty: /sys/fs/cgroup and /proc on the node itself")
	case !(c.PressureSome > 0 && c.PressureSome <= 100):
		return errors.New("pressure_some is a share in percent: above 0, at most 100")
	}
	return nil
}
