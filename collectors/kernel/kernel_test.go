package kernel

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bpf/exit"
	"github.com/yairfalse/tapio/bpf/oom"
	"github.com/yairfalse/tapio/bpf/probe"
	"github.com/yairfalse/tapio/bpf/probetest"
)

const (
	containerID = "4f1c0de5aa00bb11cc22dd33ee44ff5500112233445566778899aabbccddeeff"
	podUID      = "0f8ad1a2-7c1b-4b8e-9d7e-52e1c9a0b001"
)

var (
	pod = tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "checkout-1", Container: "app"}
	at  = probe.Place{
		Cgroup: 7, Name: "cri-containerd-" + containerID + ".scope",
		Parent: "kubepods-burstable-pod0f8ad1a2_7c1b_4b8e_9d7e_52e1c9a0b001.slice",
	}
)

func defaults() Config {
	return Config{Probes: probes, CgroupRoot: "/sys/fs/cgroup", ProcRoot: "/proc", Interval: tapio.Duration(time.Second), Queue: 64, PressureSome: 10}
}

// collector makes one that knows the test's container once known is true, and
// returns what it tells.
func collector(t *testing.T, config Config, known *bool) (*Collector, *[]*tapio.Event) {
	t.Helper()
	c, err := New(Options{
		Config: config, Node: "n1", Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Registerer: prometheus.NewPedanticRegistry(),
		Find: func(id string) (tapio.Entity, bool) {
			return pod, *known && (id == containerID || id == probetest.ContainerID())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var told []*tapio.Event
	c.put = func(o tapio.Observation) {
		if err := o.Validate(); err != nil {
			t.Error(err)
		}
		if o.Event != nil {
			told = append(told, o.Event)
		}
	}
	return c, &told
}

func TestKills(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		kill                   oom.Kill
		reason, limit, message string
		entity                 tapio.Entity
	}{
		{"container's limit", oom.Kill{PID: 42, Command: "java", Main: true, Exact: true, Place: at, Level: 0, Limit: 256 << 20, Usage: 256<<20 - 4096, RSS: 1 << 20},
			tapio.OOMContainer, "256Mi", "process 42 (java) was killed at the memory limit of its container, 256Mi", pod},
		{"pod's limit", oom.Kill{PID: 42, Command: "java", Exact: true, Place: at, Level: 1, Limit: 1 << 30},
			tapio.OOMPod, "1Gi", "process 42 (java) was killed at the memory limit of its pod, 1Gi", pod},
		{"limit of all pods", oom.Kill{PID: 42, Exact: true, Place: at, Level: 3, Limit: 1<<30 + 1024},
			tapio.OOMParent, "1048577Ki", "process 42 was killed when the node's pods together reached what is set aside for them, 1048577Ki", pod},
		{"node", oom.Kill{PID: 42, Command: "java", Exact: true, Place: at, Level: oom.NoLimit},
			tapio.OOMNode, "", "process 42 (java) was killed because the node had no memory left", pod},
		{"of no container", oom.Kill{PID: 42, Command: "sshd", Exact: true, Place: probe.Place{Name: "sshd.service"}, Level: oom.NoLimit},
			tapio.OOMNode, "", "process 42 (sshd) was killed because the node had no memory left", tapio.Entity{Kind: tapio.KindNode, Name: "n1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				known := true
				c, told := collector(t, defaults(), &known)
				tt.kill.Time = now()
				c.take(tt.kill)
				time.Sleep(together)
				c.settle(now())
				if len(*told) != 1 {
					t.Fatalf("told %d events", len(*told))
				}
				e := (*told)[0]
				if e.Type != tapio.OOMKill || e.Source != tapio.SourceEBPF || e.Severity != tapio.SeverityHigh || e.Entity != tt.entity ||
					e.Reason != tt.reason || e.Attrs[tapio.AttrMemoryLimit] != tt.limit || e.Message != tt.message {
					t.Errorf("got %+v", e)
				}
				if main := e.Attrs[tapio.AttrMain] == "true"; main != tt.kill.Main {
					t.Errorf("main: %t", main)
				}
				if e.Entity == pod && (e.Attrs[tapio.AttrUID] != podUID || e.Attrs[tapio.AttrContainerID] != containerID) {
					t.Errorf("IDs: %v", e.Attrs)
				}
			})
		})
	}
}

// TestGroupKill has all processes of a container killed at once: one fact.
func TestGroupKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := true
		c, told := collector(t, defaults(), &known)
		first := now()
		for i := range 5 {
			c.take(oom.Kill{Time: now(), PID: 40 + i, Command: "worker", Main: i == 3, Exact: true, Place: at, Limit: 64 << 20})
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(together)
		c.settle(now())
		if len(*told) != 1 || (*told)[0].Count != 5 || (*told)[0].Attrs[tapio.AttrPID] != "43" || !(*told)[0].Time.Equal(first) {
			t.Errorf("told %+v", *told)
		}
		c.take(oom.Kill{Time: now(), PID: 99, Exact: true, Place: at, Limit: 64 << 20})
		time.Sleep(together)
		c.settle(now())
		if len(*told) != 2 || (*told)[1].Count != 0 {
			t.Errorf("a later kill is one of its own: told %+v", *told)
		}
	})
}

func TestExits(t *testing.T) {
	killed := exit.Exit{PID: 42, Command: "java", Signal: unix.SIGKILL, Main: true, Place: at}
	with := func(s exit.Sender) exit.Exit {
		x := killed
		x.Sender = &s
		return x
	}
	for _, tt := range []struct {
		name                          string
		exit                          exit.Exit
		code, signal, sender, message string
	}{
		{"by itself", exit.Exit{PID: 42, Command: "java", Code: 3, Main: true, Place: at}, "3", "", "", "process 42 (java) ended with exit code 3"},
		{"killed, by whom is not known", killed, "137", "9", "", "process 42 (java) was ended by SIGKILL"},
		{"by the kernel", with(exit.Sender{Signal: unix.SIGKILL, Kernel: true, PID: 42}), "137", "9", "kernel", "process 42 (java) was ended by SIGKILL, sent by the kernel"},
		{"by the runtime", with(exit.Sender{Signal: unix.SIGKILL, PID: 77, Command: "runc", Cgroup: 1}), "137", "9", "node", "process 42 (java) was ended by SIGKILL, sent by the node's process 77 (runc)"},
		{"by its own", with(exit.Sender{Signal: unix.SIGKILL, PID: 77, Contained: true, Command: "sh", Cgroup: 7}), "137", "9", "container", "process 42 (java) was ended by SIGKILL, sent by its own container's process 77 (sh)"},
		{"by another container", with(exit.Sender{Signal: unix.SIGKILL, PID: 77, Contained: true, Command: "sh", Cgroup: 8}), "137", "9", "other", "process 42 (java) was ended by SIGKILL, sent by another container's process 77 (sh)"},
		{"a SIGTERM before is not who killed it", with(exit.Sender{Signal: unix.SIGTERM, PID: 77, Command: "runc"}), "137", "9", "", "process 42 (java) was ended by SIGKILL"},
		{"told to end", exit.Exit{PID: 42, Command: "java", Code: 143, Main: true, Place: at, Sender: &exit.Sender{Signal: unix.SIGTERM, PID: 77, Command: "runc"}}, "143", "", "node", "process 42 (java) ended with exit code 143 after SIGTERM, sent by the node's process 77 (runc)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			known := true
			c, told := collector(t, defaults(), &known)
			tt.exit.Time, tt.exit.Started = now(), now()
			c.take(tt.exit)
			if len(*told) != 1 {
				t.Fatalf("told %d events", len(*told))
			}
			e := (*told)[0]
			if e.Type != tapio.ProcessExit || e.Entity != pod || e.Message != tt.message {
				t.Errorf("got %q about %v", e.Message, e.Entity)
			}
			for attr, want := range map[string]string{tapio.AttrExitCode: tt.code, tapio.AttrSignal: tt.signal, tapio.AttrSender: tt.sender} {
				if got := e.Attrs[attr]; got != want {
					t.Errorf("%s is %q, want %q", attr, got, want)
				}
			}
		})
	}
}

// TestUnknownContainer has the kernel faster than the container runtime.
func TestUnknownContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := false
		c, told := collector(t, defaults(), &known)
		x := exit.Exit{Time: now(), PID: 42, Code: 1, Main: true, Place: at}
		c.take(x)
		time.Sleep(patience / 2)
		c.settle(now())
		if len(*told) != 0 {
			t.Fatal("told without a name")
		}
		known = true
		c.settle(now())
		if len(*told) != 1 || !(*told)[0].Time.Equal(x.Time) {
			t.Fatalf("told %v", *told)
		}

		known = false
		c.take(x)
		time.Sleep(patience + tick)
		c.settle(now())
		if n := testutil.ToFloat64(c.metrics.unknown); n != 1 || len(c.waiting) != 0 {
			t.Errorf("%v unknown, %d waiting", n, len(c.waiting))
		}

		for range maxWaiting + 3 {
			c.take(x)
		}
		if n := c.full.Load(); n != 3 || len(c.waiting) != maxWaiting {
			t.Errorf("%d lost, %d waiting", n, len(c.waiting))
		}
		var gap *tapio.Gap
		c.put = func(o tapio.Observation) { gap = o.Gap }
		c.losses()
		if gap == nil || gap.Dropped != 3 || gap.Source != tapio.SourceEBPF || gap.Reason != "kernel collector: no room for 3 events" {
			t.Errorf("gap %+v", gap)
		}
		gap = nil
		c.losses()
		if gap != nil {
			t.Errorf("told twice: %+v", gap)
		}
	})
}

func TestQuantity(t *testing.T) {
	for n, want := range map[int64]string{0: "", -1: "", 1: "1", 1500: "1500", 2048: "2Ki", 256 << 20: "256Mi", 3 << 30: "3Gi", 1<<30 + 1<<20: "1025Mi"} {
		if got := quantity(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"defaults":  {func(*Config) {}, ""},
		"none":      {func(c *Config) { c.Probes = nil }, ""},
		"misspelt":  {func(c *Config) { c.Probes = []string{"oon"} }, `"oon" is no probe: there are oom, exit, tcp, dns, pressure`},
		"too often": {func(c *Config) { c.Interval = 1 }, "interval is 1ns: reading more often than once a second costs more than it tells"},
		"no queue":  {func(c *Config) { c.Queue = 0 }, "queue must be above 0"},
		"no root":   {func(c *Config) { c.CgroupRoot = "" }, "cgroup_root and proc_root must not be empty: /sys/fs/cgroup and /proc on the node itself"},
		"percent":   {func(c *Config) { c.PressureSome = 101 }, "pressure_some is a share in percent: above 0, at most 100"},
	} {
		c := defaults()
		tt.change(&c)
		got := ""
		if err := c.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
