package pressure

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/yairfalse/tapio/bpf/probetest"
)

const (
	uid  = "0f8ad1a2-7c1b-4b8e-9d7e-52e1c9a0b001"
	id   = "4f1c0de5aa00bb11cc22dd33ee44ff5500112233445566778899aabbccddeeff"
	mib  = 1 << 20
	psi  = "some avg10=12.50 avg60=3.00 avg300=0.10 total=350840\nfull avg10=4.25 avg60=1.00 avg300=0.00 total=160705\n"
	slim = "kubepods-burstable-pod0f8ad1a2_7c1b_4b8e_9d7e_52e1c9a0b001.slice/cri-containerd-" + id + ".scope"
)

// write makes a folder of files.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRecorded reads files as kernels of both versions write them.
func TestRecorded(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  Memory
	}{
		{"version 2", map[string]string{
			"cgroup.controllers":                          "cpuset cpu io memory pids\n",
			"kubepods.slice/memory.current":               "1\n",
			"kubepods.slice/" + slim + "/memory.current":  "66060288\n",
			"kubepods.slice/" + slim + "/memory.max":      "67108864\n",
			"kubepods.slice/" + slim + "/memory.events":   "low 0\nhigh 0\nmax 1407\noom 3\noom_kill 2\noom_group_kill 0\n",
			"kubepods.slice/" + slim + "/memory.stat":     "anon 62914560\nfile 2097152\ninactive_file 1048576\nslab_reclaimable 0\n",
			"kubepods.slice/" + slim + "/memory.pressure": psi,
		}, Memory{Usage: 63 * mib, WorkSet: 62 * mib, Limit: 64 * mib, LimitHits: 1407, OOMKills: 2, Stall: Stall{12.5, 4.25}, HasStall: true}},
		{"version 2 without a limit and without PSI", map[string]string{
			"cgroup.controllers":     "memory\n",
			slim + "/memory.current": "1048576\n",
			slim + "/memory.max":     "max\n",
			slim + "/memory.events":  "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n",
			slim + "/memory.stat":    "anon 0\ninactive_file 2097152\n",
		}, Memory{Usage: mib}},
		{"version 1", map[string]string{
			"memory/memory.usage_in_bytes":                                              "1\n",
			"memory/kubepods/burstable/pod" + uid + "/" + id + "/memory.usage_in_bytes": "66060288\n",
			"memory/kubepods/burstable/pod" + uid + "/" + id + "/memory.limit_in_bytes": "67108864\n",
			"memory/kubepods/burstable/pod" + uid + "/" + id + "/memory.failcnt":        "99\n",
			"memory/kubepods/burstable/pod" + uid + "/" + id + "/memory.oom_control":    "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
			"memory/kubepods/burstable/pod" + uid + "/" + id + "/memory.stat":           "cache 0\ninactive_file 1\ntotal_inactive_file 1048576\n",
		}, Memory{Usage: 63 * mib, WorkSet: 62 * mib, Limit: 64 * mib, LimitHits: 99, OOMKills: 4}},
		{"version 1 without a limit, before Linux 4.13", map[string]string{
			"memory/memory.usage_in_bytes":                                    "1\n",
			"memory/kubepods/pod" + uid + "/" + id + "/memory.usage_in_bytes": "1048576\n",
			"memory/kubepods/pod" + uid + "/" + id + "/memory.limit_in_bytes": "9223372036854771712\n",
			"memory/kubepods/pod" + uid + "/" + id + "/memory.failcnt":        "0\n",
			"memory/kubepods/pod" + uid + "/" + id + "/memory.oom_control":    "oom_kill_disable 0\nunder_oom 0\n",
			"memory/kubepods/pod" + uid + "/" + id + "/memory.stat":           "total_inactive_file 0\n",
		}, Memory{Usage: mib, WorkSet: mib}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root, proc := t.TempDir(), t.TempDir()
			write(t, root, tt.files)
			write(t, proc, map[string]string{"pressure/memory": psi})
			r, err := New(proc, root)
			if err != nil {
				t.Fatal(err)
			}
			list, left, err := r.Containers()
			if err != nil || left != 0 || len(list) != 1 {
				t.Fatalf("%v, %d left out, %v", list, left, err)
			}
			if list[0].ID != id || list[0].PodUID != uid {
				t.Errorf("container %+v", list[0].Container)
			}
			if d := cmp.Diff(tt.want, list[0].Memory); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if s, err := r.Node(); err != nil || s != (Stall{12.5, 4.25}) {
				t.Errorf("node: %v, %v", s, err)
			}
		})
	}
}

func TestNoController(t *testing.T) {
	if _, err := New("/proc", t.TempDir()); err == nil {
		t.Error("an empty folder is no cgroup root")
	}
}

// TestReal has a container at its limit under the real kernel.
func TestReal(t *testing.T) {
	probetest.Root(t)
	_, container := probetest.Pod(t)
	container.Limit(t, 16*mib)
	if err := container.Shell(true, probetest.Eat).Run(); err == nil {
		t.Fatal("it was not killed")
	}
	r, err := New("/proc", "/sys/fs/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := r.Containers()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.ID == probetest.ContainerID() {
			if c.PodUID != probetest.PodUID() || c.Memory.Limit != 16*mib || c.Memory.LimitHits == 0 || c.Memory.OOMKills != 1 {
				t.Errorf("got %+v", c)
			}
			return
		}
	}
	t.Errorf("not among %d containers", len(list))
}

func FuzzParse(f *testing.F) {
	f.Add(psi)
	f.Add("max 12\noom_kill 1\n")
	f.Add("some avg10=NaN\n")
	f.Fuzz(func(t *testing.T, text string) {
		if s := parseStall(text); !(s.Some >= 0 && s.Some <= 100 && s.Full >= 0 && s.Full <= 100) {
			t.Errorf("%+v", s)
		}
		for name, n := range parseTable(text) {
			if n < 0 {
				t.Errorf("%s is %d", name, n)
			}
		}
	})
}
