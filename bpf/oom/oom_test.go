package oom

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio/bpf/probetest"
)

const mib = 1 << 20

// TestLimits has a container killed at its own limit and one at its pod's.
func TestLimits(t *testing.T) {
	probetest.Root(t)
	p, err := Open()
	probetest.Must(t, p, err)
	for _, tt := range []struct {
		name           string
		main           bool
		pod, container int64
		level          int
		limit          int64
	}{
		{"first process at the container's limit", true, 0, 20 * mib, 0, 20 * mib},
		{"child at the container's limit", false, 0, 16 * mib, 0, 16 * mib},
		{"at the pod's limit", true, 24 * mib, 64 * mib, 1, 24 * mib},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod, container := probetest.Pod(t)
			if tt.pod != 0 {
				pod.Limit(t, tt.pod)
			}
			container.Limit(t, tt.container)
			before := time.Now()
			cmd := container.Shell(tt.main, probetest.Eat)
			if out, err := cmd.CombinedOutput(); err == nil {
				t.Fatalf("it was not killed: %s", out)
			}
			k := probetest.Next(t, p.Read, func(k Kill) bool { return k.PID == cmd.Process.Pid })
			if !strings.Contains(k.Place.Name, probetest.ContainerID()) || !strings.Contains(k.Place.Parent, "pod0f8ad1a2") || k.Place.Cgroup != container.Inode(t) {
				t.Errorf("place %+v", k.Place)
			}
			if k.Level != tt.level || k.Limit != tt.limit || k.Usage > k.Limit || k.Usage < k.Limit-slackBytes {
				t.Errorf("level %d, usage %d of limit %d; want level %d, limit %d", k.Level, k.Usage, k.Limit, tt.level, tt.limit)
			}
			if k.ContainerLimit != tt.container || k.ContainerUsage == 0 {
				t.Errorf("container: usage %d of limit %d, want limit %d", k.ContainerUsage, k.ContainerLimit, tt.container)
			}
			if d := k.Time.Sub(before); d < 0 || d > 10*time.Second {
				t.Errorf("time is %v after the start", d)
			}
			if k.Exact && (k.Main != tt.main || k.Command != "tail" || k.RSS < tt.limit/2 || k.RSS > tt.limit+4*mib) {
				t.Errorf("main %t, command %q, %d bytes", k.Main, k.Command, k.RSS)
			}
		})
	}
	if n := p.Lost(); n != 0 {
		t.Errorf("%d lost", n)
	}
}

// TestCrowd has many processes of one container killed at once: those that end
// give back memory while the next victim is chosen, and still it is the limit
// that was reached.
func TestCrowd(t *testing.T) {
	probetest.Root(t)
	p, err := Open()
	probetest.Must(t, p, err)
	_, container := probetest.Pod(t)
	container.Limit(t, 32*mib)
	for range 15 {
		cmd := container.Shell(true, "for i in 1 2 3 4 5 6 7 8; do tail /dev/zero & done", "tail /dev/zero", "wait")
		_ = cmd.Run()
	}
	last := container.Shell(true, probetest.Eat)
	if out, err := last.CombinedOutput(); err == nil {
		t.Fatalf("it was not killed: %s", out)
	}
	kills := 0
	probetest.Next(t, p.Read, func(k Kill) bool {
		if k.Place.Cgroup == container.Inode(t) {
			if kills++; k.Level != 0 || k.Limit != 32*mib {
				t.Errorf("kill %d: level %d, usage %d of limit %d", kills, k.Level, k.Usage, k.Limit)
			}
		}
		return k.PID == last.Process.Pid
	})
	if kills < 16 {
		t.Errorf("%d kills, want some in each round", kills)
	}
	t.Logf("%d kills", kills)
}

// slackBytes is how far below its limit usage may be when memory runs out.
const slackBytes = 64 * 4096

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, binary.Size(oomEvent{})))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := decode(raw); err == nil && len(raw) < binary.Size(oomEvent{}) {
			t.Error("half an event was read")
		}
	})
}
