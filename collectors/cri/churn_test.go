//go:build e2e

package cri_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/cri"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var churn = flag.Int("containers", 500, "how many containers TestChurn starts and ends")

// daemon is a containerd of the test's own, from the test cluster's
// executables.
type daemon struct {
	t       *testing.T
	dir     string
	bin     string
	socket  string
	cmd     *exec.Cmd
	conn    *grpc.ClientConn
	runtime runtimev1.RuntimeServiceClient
}

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("containerd needs root")
	}
	bin := os.Getenv("TESTBED_BIN")
	if bin == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		bin = filepath.Join(cache, "tapio", "testbed")
	}
	if _, err := os.Stat(filepath.Join(bin, "containerd")); err != nil {
		t.Fatalf("%v: run deploy/testbed/build.sh first", err)
	}
	dir, err := os.MkdirTemp("/var/tmp", "tapio-cri-")
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, dir: dir, bin: bin, socket: filepath.Join(dir, "containerd.sock")}
	config := fmt.Sprintf(`version = 3
root = "%[1]s/root"
state = "%[1]s/state"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "%[2]s"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "testbed.local/pause:3"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "%[3]s/runc"
`, dir, d.socket, bin)
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if d.conn, err = grpc.NewClient("unix://"+d.socket, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	d.runtime = runtimev1.NewRuntimeServiceClient(d.conn)
	t.Cleanup(d.remove)
	d.start()
	d.await()
	d.load()
	return d
}

func (d *daemon) start() {
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	d.cmd = exec.Command(filepath.Join(d.bin, "containerd"), "--config", filepath.Join(d.dir, "config.toml"))
	d.cmd.Env = append(os.Environ(), "PATH="+d.bin+":"+os.Getenv("PATH"))
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *daemon) await() {
	await(d.t, 30*time.Second, "containerd answers", func() bool {
		ctx, cancel := context.WithTimeout(d.t.Context(), time.Second)
		defer cancel()
		_, err := d.runtime.Version(ctx, &runtimev1.VersionRequest{})
		return err == nil
	})
}

func (d *daemon) load() {
	d.t.Helper()
	load := exec.Command(filepath.Join(d.bin, "ctr"), "--address", d.socket, "--namespace", "k8s.io", "images", "import", filepath.Join(d.bin, "images.tar"))
	if text, err := load.CombinedOutput(); err != nil {
		d.t.Fatalf("load images: %v\n%s", err, text)
	}
}

// remove ends every pod, containerd, and what it left.
func (d *daemon) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if pods, err := d.runtime.ListPodSandbox(ctx, &runtimev1.ListPodSandboxRequest{}); err == nil {
		for _, p := range pods.Items {
			d.runtime.StopPodSandbox(ctx, &runtimev1.StopPodSandboxRequest{PodSandboxId: p.Id})
			d.runtime.RemovePodSandbox(ctx, &runtimev1.RemovePodSandboxRequest{PodSandboxId: p.Id})
		}
	}
	d.conn.Close()
	d.cmd.Process.Signal(syscall.SIGTERM)
	d.cmd.Wait()
	if d.t.Failed() {
		if log, err := os.ReadFile(filepath.Join(d.dir, "log")); err == nil {
			d.t.Logf("containerd's log ends:\n%s", log[max(0, len(log)-3000):])
		}
	}
	if err := os.RemoveAll(d.dir); err != nil {
		d.t.Log(err)
	}
}

func (d *daemon) pod(name string) (string, *runtimev1.PodSandboxConfig) {
	d.t.Helper()
	config := &runtimev1.PodSandboxConfig{
		Metadata: &runtimev1.PodSandboxMetadata{Name: name, Namespace: "shop", Uid: "uid-" + name},
		Labels: map[string]string{
			"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "uid-" + name,
			"pod-template-hash": "7d9f",
		},
		Linux: &runtimev1.LinuxPodSandboxConfig{SecurityContext: &runtimev1.LinuxSandboxSecurityContext{
			NamespaceOptions: &runtimev1.NamespaceOption{Network: runtimev1.NamespaceMode_NODE},
		}},
	}
	answer, err := d.runtime.RunPodSandbox(d.t.Context(), &runtimev1.RunPodSandboxRequest{Config: config})
	if err != nil {
		d.t.Fatalf("run a pod: %v", err)
	}
	return answer.PodSandboxId, config
}

// container runs a command to its end and returns the container's ID and last
// status.
func (d *daemon) container(pod string, config *runtimev1.PodSandboxConfig, attempt int, memory int64, command ...string) (string, *runtimev1.ContainerStatus, error) {
	ctx := d.t.Context()
	c := &runtimev1.ContainerConfig{
		Metadata: &runtimev1.ContainerMetadata{Name: "app", Attempt: uint32(attempt)},
		Image:    &runtimev1.ImageSpec{Image: "testbed.local/busybox:1"}, Command: command,
		Labels: map[string]string{"io.kubernetes.container.name": "app"},
		Linux: &runtimev1.LinuxContainerConfig{
			Resources:       &runtimev1.LinuxContainerResources{MemoryLimitInBytes: memory},
			SecurityContext: &runtimev1.LinuxContainerSecurityContext{NamespaceOptions: &runtimev1.NamespaceOption{Network: runtimev1.NamespaceMode_NODE}},
		},
	}
	for k, v := range config.Labels {
		if strings.HasPrefix(k, "io.kubernetes.") {
			c.Labels[k] = v
		}
	}
	created, err := d.runtime.CreateContainer(ctx, &runtimev1.CreateContainerRequest{PodSandboxId: pod, Config: c, SandboxConfig: config})
	if err != nil {
		return "", nil, fmt.Errorf("create: %w", err)
	}
	if _, err := d.runtime.StartContainer(ctx, &runtimev1.StartContainerRequest{ContainerId: created.ContainerId}); err != nil {
		return created.ContainerId, nil, fmt.Errorf("start: %w", err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		answer, err := d.runtime.ContainerStatus(ctx, &runtimev1.ContainerStatusRequest{ContainerId: created.ContainerId})
		if err != nil {
			return created.ContainerId, nil, err
		}
		if answer.Status.State == runtimev1.ContainerState_CONTAINER_EXITED {
			return created.ContainerId, answer.Status, nil
		}
	}
	return created.ContainerId, nil, fmt.Errorf("container %s does not end", created.ContainerId)
}

// told collects what a collector tells.
type told struct {
	mu   sync.Mutex
	list []tapio.Observation
}

func (l *told) put(o tapio.Observation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, o)
}

// of returns the events of a type, by container or sandbox ID.
func (l *told) of(types ...tapio.EventType) map[string][]*tapio.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string][]*tapio.Event{}
	for _, o := range l.list {
		for _, typ := range types {
			if o.Event != nil && o.Event.Type == typ {
				id := strings.TrimPrefix(o.Event.Attrs[tapio.AttrContainerID], "containerd://")
				if id == "" {
					id = o.Event.Entity.Name
				}
				out[id] = append(out[id], o.Event)
			}
		}
	}
	return out
}

func (d *daemon) watch(change func(*cri.Config)) *told {
	d.t.Helper()
	config := cri.Config{
		RuntimeEndpoint: d.socket, PollInterval: tapio.Duration(cri.DefaultPollInterval), BufferSize: cri.DefaultBufferSize,
		EnableEvents: true, EnableMetrics: true, MaxContainers: cri.DefaultMaxContainers,
	}
	if change != nil {
		change(&config)
	}
	c, err := cri.New(cri.Options{Config: config, Node: "node-1", Log: slog.New(slog.NewTextHandler(d.t.Output(), nil))})
	if err != nil {
		d.t.Fatal(err)
	}
	l := &told{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, l.put) }()
	d.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			d.t.Error(err)
		}
	})
	await(d.t, 10*time.Second, "the runtime is seen", func() bool { return c.Lacking() == "" })
	return l
}

func await(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, limit)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestChurn starts and ends hundreds of containers and checks each start and exit
// against the runtime's own word. Half are removed as soon as they have ended.
func TestChurn(t *testing.T) {
	d := newDaemon(t)
	streamed := d.watch(nil)
	polled := d.watch(func(c *cri.Config) { c.EnableEvents, c.PollInterval = false, tapio.Duration(time.Second) })

	const pods = 5
	n := *churn
	type end struct {
		status  *runtimev1.ContainerStatus
		removed bool
	}
	var mu sync.Mutex
	ends := map[string]end{}
	var running sync.WaitGroup
	began := time.Now()
	for p := range pods {
		id, config := d.pod(fmt.Sprintf("web-7d9f-%d", p))
		running.Go(func() {
			for i := range n / pods {
				container, status, err := d.container(id, config, i, 0, "sh", "-c", fmt.Sprintf("exit %d", i%3))
				if err != nil {
					t.Errorf("container %d of pod %d: %v", i, p, err)
					return
				}
				removed := i%2 == 0
				if removed {
					if _, err := d.runtime.RemoveContainer(t.Context(), &runtimev1.RemoveContainerRequest{ContainerId: container}); err != nil {
						t.Errorf("remove: %v", err)
					}
				}
				mu.Lock()
				ends[container] = end{status, removed}
				mu.Unlock()
			}
		})
	}
	running.Wait()
	took := time.Since(began)

	exits := func(l *told) map[string][]*tapio.Event {
		return l.of(tapio.CRIContainerStopped, tapio.CRIContainerFailed)
	}
	for end := time.Now().Add(15 * time.Second); len(exits(streamed)) < len(ends) && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(2 * time.Second) // for what would be too much
	for name, l := range map[string]*told{"stream": streamed, "poll": polled} {
		starts, exits, removals := l.of(tapio.CRIContainerStarted), exits(l), l.of(tapio.CRIContainerRemoved)
		missed, blind := 0, 0
		for id, want := range ends {
			if len(starts[id]) == 0 && name == "poll" && want.removed {
				missed++ // came and went between two polls
				continue
			}
			if len(starts[id]) != 1 || len(exits[id]) != 1 {
				t.Errorf("%s: container %.12s: %d starts, %d exits told, want one each", name, id, len(starts[id]), len(exits[id]))
				continue
			}
			if e := exits[id][0]; e.Reason != "EndUnseen" && (e.Int(tapio.AttrExitCode) != int(want.status.ExitCode) || e.Time.UnixNano() != want.status.FinishedAt) {
				t.Errorf("%s: container %.12s ended with %s at %s, want %d at %d", name, id, e.Attrs[tapio.AttrExitCode], e.Time, want.status.ExitCode, want.status.FinishedAt)
			} else if e.Reason == "EndUnseen" {
				if blind++; !want.removed {
					t.Errorf("%s: the exit code of %.12s was not seen, which is still there", name, id)
				}
				continue
			}
			if s := starts[id][0]; s.Time.UnixNano() != want.status.StartedAt {
				t.Errorf("%s: container %.12s started at %s, want %d", name, id, s.Time, want.status.StartedAt)
			}
			if got := len(removals[id]); want.removed && got != 1 || !want.removed && got != 0 {
				t.Errorf("%s: container %.12s: %d removals", name, id, got)
			}
		}
		for id := range exits {
			if _, ok := ends[id]; !ok {
				t.Errorf("%s: an exit of %.12s, which nobody made", name, id)
			}
		}
		t.Logf("%s: %d starts, %d exits, %d removals of %d containers in %s; %d exit codes not seen, %d came and went between two polls", name, len(starts), len(exits), len(removals), len(ends), took.Round(time.Second), blind, missed)
	}
}

// TestStuckShim stops the process between the runtime and one container: the
// runtime can't say what that uses, and the ends of others are told in time all
// the same, of a runtime that is well.
func TestStuckShim(t *testing.T) {
	d := newDaemon(t)
	l := d.watch(func(c *cri.Config) { c.PollInterval = tapio.Duration(time.Second) })
	stuck, config := d.pod("stuck")
	running := make(chan error, 1)
	go func() {
		_, _, err := d.container(stuck, config, 0, 0, "sleep", "45")
		running <- err
	}()
	await(t, 10*time.Second, "a container runs", func() bool { return len(l.of(tapio.CRIContainerStarted)) == 1 })
	shim := exec.Command("pkill", "-STOP", "-f", "containerd-shim-runc-v2.* -id "+stuck)
	if text, err := shim.CombinedOutput(); err != nil {
		t.Fatalf("stop the shim: %v\n%s", err, text)
	}
	goOn := func() { exec.Command("pkill", "-CONT", "-f", "containerd-shim-runc-v2.* -id "+stuck).Run() }
	defer goOn()
	pod, config := d.pod("web-7d9f-x")
	for i := range 4 {
		id, status, err := d.container(pod, config, i, 0, "sh", "-c", "exit 3")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.runtime.RemoveContainer(t.Context(), &runtimev1.RemoveContainerRequest{ContainerId: id}); err != nil {
			t.Fatal(err)
		}
		await(t, 8*time.Second, "its end", func() bool { return len(l.of(tapio.CRIContainerFailed, tapio.CRIContainerStopped)[id]) == 1 })
		e := l.of(tapio.CRIContainerFailed, tapio.CRIContainerStopped)[id][0]
		t.Logf("told %s after it (%s)", e.Seen.Sub(time.Unix(0, status.FinishedAt)).Round(time.Millisecond), e.Reason)
		time.Sleep(2 * time.Second)
	}
	if down := l.of(tapio.NodeRuntimeDown); len(down) > 0 {
		t.Errorf("a runtime that is well is told to be down: %v", down)
	}
	goOn()
	if err := <-running; err != nil {
		t.Error(err)
	}
}

// TestTypes makes the things happen that containers can go through.
func TestTypes(t *testing.T) {
	d := newDaemon(t)
	l := d.watch(func(c *cri.Config) { c.PollInterval = tapio.Duration(time.Second) })
	pod, config := d.pod("web-7d9f-x")
	await(t, 5*time.Second, "the sandbox", func() bool { return len(l.of(tapio.CRISandboxCreated)) == 1 })

	fine, _, err := d.container(pod, config, 0, 0, "true")
	if err != nil {
		t.Fatal(err)
	}
	killed, status, err := d.container(pod, config, 1, 16<<20, "sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1")
	if err != nil || status.Reason != "OOMKilled" {
		t.Fatalf("the runtime says %v, %v; want OOMKilled", status, err)
	}
	broken, _, err := d.container(pod, config, 2, 0, "/no/such/program")
	if err == nil {
		t.Fatal("a program that isn't there was started")
	}
	parent := make(chan error, 1)
	var outlived string
	go func() {
		// The child is killed for memory, the shell outlives it by some seconds.
		id, _, err := d.container(pod, config, 3, 16<<20, "sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1; sleep 8; exit 0")
		outlived = id
		parent <- err
	}()
	await(t, 15*time.Second, "exits and the limit", func() bool {
		return len(l.of(tapio.CRIContainerStopped)[fine]) == 1 && len(l.of(tapio.CRIContainerFailed)[killed]) == 1 &&
			len(l.of(tapio.CRIResourceLimitHit)[killed]) == 1 && len(l.of(tapio.CRIContainerFailed)[broken]) == 1
	})
	hit := l.of(tapio.CRIResourceLimitHit)[killed][0]
	if hit.Attrs[tapio.AttrMemoryLimit] != "16Mi" || hit.Attrs[tapio.AttrExitCode] != "137" || hit.Attrs[tapio.AttrSignal] != "9" || hit.Attrs[tapio.AttrResource] != "memory" {
		t.Errorf("limit hit: %v", hit.Attrs)
	}
	if hit.Entity != (tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "web-7d9f-x", Container: "app"}) || hit.Kubernetes == nil || fmt.Sprint(hit.Kubernetes.OwnerChain) != "[Deployment/web ReplicaSet/web-7d9f]" {
		t.Errorf("it is of %s, owned by %+v", hit.Entity, hit.Kubernetes)
	}
	if e := l.of(tapio.CRIContainerFailed)[broken][0]; e.Int(tapio.AttrExitCode) != 128 || !strings.Contains(e.Message, "no such file") {
		t.Errorf("a start that failed: %+v", e)
	}
	if err := <-parent; err != nil {
		t.Fatal(err)
	}
	await(t, 5*time.Second, "the end of the shell that outlived its child", func() bool { return len(l.of(tapio.CRIContainerStopped)[outlived]) == 1 })
	t.Logf("a child killed for memory: %d limits told, %s", len(l.of(tapio.CRIResourceLimitHit)[outlived]), l.of(tapio.CRIContainerStopped)[outlived][0].Reason)

	// An image that comes, and the pod that goes.
	remove := exec.Command(filepath.Join(d.bin, "ctr"), "--address", d.socket, "--namespace", "k8s.io", "images", "rm", "testbed.local/app:1")
	if text, err := remove.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	time.Sleep(2500 * time.Millisecond)
	d.load()
	await(t, 10*time.Second, "the image", func() bool { return len(l.of(tapio.CRIImagePulled)["testbed.local/app:1"]) == 1 })
	if _, err := d.runtime.StopPodSandbox(t.Context(), &runtimev1.StopPodSandboxRequest{PodSandboxId: pod}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.runtime.RemovePodSandbox(t.Context(), &runtimev1.RemovePodSandboxRequest{PodSandboxId: pod}); err != nil {
		t.Fatal(err)
	}
	await(t, 5*time.Second, "the removal of all", func() bool {
		return len(l.of(tapio.CRISandboxRemoved)) == 1 && len(l.of(tapio.CRIContainerRemoved)) == 4
	})
}
