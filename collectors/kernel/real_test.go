package kernel

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bpf/exit"
	"github.com/yairfalse/tapio/bpf/probetest"
)

// watch runs a collector on the real kernel and returns a function that waits
// for an event that is looked for.
func watch(t *testing.T, config Config) (c *Collector, next func(is func(*tapio.Event) bool) *tapio.Event) {
	t.Helper()
	probetest.Root(t)
	known := true
	config.KeepCapabilities = true // the test still needs them
	c, _ = collector(t, config, &known)
	events := make(chan *tapio.Event, 10_000) // more than a test's seconds bring; what is beyond is dropped
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Run(ctx, func(o tapio.Observation) {
			if o.Event != nil {
				select {
				case events <- o.Event:
				default:
				}
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for c.lacking.Load() == nil {
		select {
		case err := <-ended:
			ended <- err
			probetest.Unable(t, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return c, func(is func(*tapio.Event) bool) *tapio.Event {
		return probetest.Next(t, func() (*tapio.Event, error) { return <-events, nil }, is)
	}
}

func mine(typ tapio.EventType) func(*tapio.Event) bool {
	return func(e *tapio.Event) bool { return e.Type == typ && e.Entity == pod }
}

// TestReal has each thing happen to a container of the real kernel.
func TestReal(t *testing.T) {
	c, next := watch(t, defaults())
	if l := c.Lacking(); len(l) > 0 {
		t.Errorf("lacking: %v", l)
	}
	_, container := probetest.Pod(t)

	t.Run("out of memory", func(t *testing.T) {
		container.Limit(t, 20<<20)
		if err := container.Shell(true, probetest.Eat).Run(); err == nil {
			t.Fatal("it was not killed")
		}
		e := next(mine(tapio.OOMKill))
		if e.Reason != tapio.OOMContainer || e.Attrs[tapio.AttrMemoryLimit] != "20Mi" || e.Attrs[tapio.AttrUID] != probetest.PodUID() {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("killed from outside", func(t *testing.T) {
		cmd := container.Shell(true, "echo in; sleep 60 & wait")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		e := next(func(e *tapio.Event) bool {
			return mine(tapio.ProcessExit)(e) && e.Attrs[tapio.AttrPID] == fmt.Sprint(cmd.Process.Pid)
		})
		if e.Attrs[tapio.AttrExitCode] != "137" || e.Attrs[tapio.AttrMain] != "true" || e.Attrs[tapio.AttrSender] != tapio.SenderNode ||
			e.Attrs[tapio.AttrSenderPID] != fmt.Sprint(os.Getpid()) {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("connection refused", func(t *testing.T) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := container.Shell(false, fmt.Sprintf("bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d' 2>/dev/null; true", port)).Run(); err != nil {
			t.Fatal(err)
		}
		e := next(mine(tapio.ConnectionFailed))
		if e.Reason != tapio.Refused || e.Attrs[tapio.AttrPort] != fmt.Sprint(port) || e.Count != 1 {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("near its limit", func(t *testing.T) {
		container.Limit(t, 32<<20)
		// Nearly all of it is taken, and files that are written meet the limit again
		// and again without anybody being killed.
		script := "(head -c 31000000 /dev/zero; sleep 4) | tail -c 31000000 >/dev/null & " +
			"for i in 1 2 3 4 5 6; do head -c 4000000 /dev/zero >" + t.TempDir() + "/f$i; sleep 0.5; done; wait"
		if err := container.Shell(false, script).Run(); err != nil {
			t.Fatal(err)
		}
		e := next(mine(tapio.MemoryPressure))
		if e.Attrs[tapio.AttrMemoryLimit] != "32Mi" || e.Attrs[tapio.AttrCharged] == "" || e.Severity != tapio.SeverityMedium {
			t.Errorf("got %+v", e)
		}
	})
}

// TestLacking has probes that can't be had: they are named with the reason, and
// the others run.
func TestLacking(t *testing.T) {
	config := defaults()
	config.CgroupRoot = t.TempDir()
	config.ProcRoot = config.CgroupRoot
	c, next := watch(t, config)
	lacking := strings.Join(c.Lacking(), "\n")
	for _, want := range []string{"kernel probe dns: no cgroup of version 2 below cgroup_root", "no memory controller of cgroups below"} {
		if !strings.Contains(lacking, want) {
			t.Errorf("lacking %q, want %q", lacking, want)
		}
	}
	_, container := probetest.Pod(t)
	if err := container.Shell(true, "exit 5").Run(); err == nil {
		t.Fatal("it did not fail")
	}
	if e := next(mine(tapio.ProcessExit)); e.Attrs[tapio.AttrExitCode] != "5" {
		t.Errorf("got %+v", e)
	}
}

// TestDropCapabilities runs this test again as a process of its own, which
// gives up its capabilities and goes on reading.
func TestDropCapabilities(t *testing.T) {
	probetest.Root(t)
	if os.Getenv("TAPIO_TEST_DROP") == "" {
		_, container := probetest.Pod(t)
		cmd := exec.Command(os.Args[0], "-test.run=^TestDropCapabilities$", "-test.v")
		cmd.Env = append(os.Environ(), "TAPIO_TEST_DROP="+container.Path)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	container := probetest.Cgroup{Path: os.Getenv("TAPIO_TEST_DROP")}
	known := true
	c, told := collector(t, defaults(), &known)
	c.opts.Find = func(id string) (tapio.Entity, bool) { return pod, strings.Contains(container.Path, id) }
	if l := c.open(); len(l) > 0 {
		t.Errorf("lacking: %v", l)
	}
	if err := dropCapabilities(); err != nil {
		t.Fatal(err)
	}
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(tasks) < 2 {
		t.Fatalf("%d threads, %v", len(tasks), err)
	}
	for _, name := range tasks {
		status, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		for _, set := range []string{"CapEff:", "CapPrm:", "CapBnd:"} {
			_, after, _ := strings.Cut(string(status), set)
			value, _, _ := strings.Cut(strings.TrimSpace(after), "\n")
			if want := fmt.Sprintf("%016x", 1<<unix.CAP_BPF); value != want {
				t.Errorf("%s: %s %s, want %s", name, set, value, want)
			}
		}
	}
	if err := container.Shell(false, "kill -KILL $$").Run(); err == nil {
		t.Fatal("it was not killed")
	}
	x := probetest.Next(t, c.exit.Read, func(x exit.Exit) bool { return x.Place.Name == filepath.Base(container.Path) })
	c.take(x)
	if len(*told) != 1 {
		t.Errorf("told %v", *told)
	}
	c.gather()
	if err := c.close(); err != nil {
		t.Error(err)
	}
}
