package probetest

import (
	"io"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Cost has the kernel measure its programs while f runs, and reports the
// nanoseconds of each run as "ns/NAME". f makes b.N things happen.
func Cost(b *testing.B, programs map[string]*ebpf.Program, f func()) {
	b.Helper()
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		Unable(b, err)
	}
	defer closing(b, stats)
	before := map[string]*ebpf.ProgramStats{}
	for name, p := range programs {
		before[name] = read(b, p)
	}
	b.ResetTimer()
	f()
	b.StopTimer()
	for name, p := range programs {
		after := read(b, p)
		if runs := after.RunCount - before[name].RunCount; runs > 0 {
			b.ReportMetric(float64((after.Runtime-before[name].Runtime).Nanoseconds())/float64(runs), "ns/"+name)
		}
	}
}

func closing(b *testing.B, c io.Closer) {
	if err := c.Close(); err != nil {
		b.Error(err)
	}
}

func read(b *testing.B, p *ebpf.Program) *ebpf.ProgramStats {
	b.Helper()
	s, err := p.Stats()
	if err != nil {
		Unable(b, err) // before Linux 5.8
	}
	return s
}
