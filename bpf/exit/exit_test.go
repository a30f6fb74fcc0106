package exit

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yairfalse/tapio/bpf/probetest"
)

func TestExits(t *testing.T) {
	probetest.Root(t)
	p, err := Open()
	probetest.Must(t, p, err)
	_, container := probetest.Pod(t)

	t.Run("first process ends by itself", func(t *testing.T) {
		cmd := container.Shell(true, "exit 3")
		_ = cmd.Run() // it ends with 3
		x := probetest.Next(t, p.Read, func(x Exit) bool { return x.PID == cmd.Process.Pid })
		if x.Code != 3 || x.Signal != 0 || !x.Main || x.Sender != nil || !strings.Contains(x.Place.Name, probetest.ContainerID()) || x.PeakRSS == 0 {
			t.Errorf("got %+v", x)
		}
		if x.Time.Before(x.Started) || time.Since(x.Time) > 10*time.Second {
			t.Errorf("started %v, ended %v", x.Started, x.Time)
		}
	})
	t.Run("killed by another process", func(t *testing.T) {
		cmd := container.Shell(true, "sleep 60 & wait")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		inside(t, container)
		kill := exec.Command("kill", "-KILL", fmt.Sprint(cmd.Process.Pid))
		if err := kill.Run(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		x := probetest.Next(t, p.Read, func(x Exit) bool { return x.PID == cmd.Process.Pid })
		if x.Signal != unix.SIGKILL || !x.Main || x.Sender == nil {
			t.Fatalf("got %+v", x)
		}
		if s := x.Sender; s.Signal != unix.SIGKILL || s.Kernel || s.PID != kill.Process.Pid || s.Command != "kill" || s.Cgroup == container.Inode(t) || s.Contained {
			t.Errorf("sender %+v", s)
		}
	})
	t.Run("told to end, and ends by itself", func(t *testing.T) {
		cmd := container.Shell(true, "trap 'exit 143' TERM", "sleep 60 & wait")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		inside(t, container)
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it ends with 143
		x := probetest.Next(t, p.Read, func(x Exit) bool { return x.PID == cmd.Process.Pid })
		if x.Code != 143 || x.Signal != 0 || x.Sender == nil || x.Sender.Signal != unix.SIGTERM || x.Sender.PID != os.Getpid() {
			t.Errorf("got %+v, sender %+v", x, x.Sender)
		}
	})
	t.Run("child that crashes", func(t *testing.T) {
		cmd := container.Shell(false, "ulimit -c 0", "sh -c 'kill -SEGV $$'", "true")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		x := probetest.Next(t, p.Read, func(x Exit) bool { return strings.Contains(x.Place.Name, probetest.ContainerID()) })
		if x.Signal != unix.SIGSEGV || x.Main || x.PID == cmd.Process.Pid {
			t.Errorf("got %+v", x)
		}
	})
	t.Run("children of a shell are counted and not told", func(t *testing.T) {
		before := p.Seen()
		cmd := container.Shell(true, "for i in 1 2 3 4 5 6 7 8 9 10; do sh -c 'exit 1'; done", "exit 0")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		x := probetest.Next(t, p.Read, func(x Exit) bool { return strings.Contains(x.Place.Name, probetest.ContainerID()) })
		if x.PID != cmd.Process.Pid {
			t.Errorf("told: %+v", x)
		}
		if n := p.Seen() - before; n < 11 {
			t.Errorf("%d were counted, want 11 or more", n)
		}
	})
	if n := p.Lost(); n != 0 {
		t.Errorf("%d lost", n)
	}
}

// inside waits until a shell is in the cgroup and has started its child.
func inside(t *testing.T, c probetest.Cgroup) {
	t.Helper()
	for range 500 {
		procs, err := os.ReadFile(c.Path + "/cgroup.procs")
		if err == nil && strings.Count(string(procs), "\n") >= 2 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no process came into the cgroup")
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, binary.Size(exitEvent{})))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := decode(raw); err == nil && len(raw) < binary.Size(exitEvent{}) {
			t.Error("half an event was read")
		}
	})
}
