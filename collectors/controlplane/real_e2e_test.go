//go:build e2e

// The tests of this file start a real etcd of three members, and a real API
// server on it, as processes on loopback addresses: the executables are those
// of the test cluster (deploy/testbed/build.sh). They need no root.

package controlplane

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/yairfalse/tapio"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"k8s.io/client-go/rest"
)

// executable returns the path of one of the test cluster's.
func executable(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("TESTBED_BIN")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(cache, "tapio", "testbed")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: build the test cluster's executables with deploy/testbed/build.sh", err)
	}
	return path
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// process is a program that can be killed and started again.
type process struct {
	t    *testing.T
	path string
	args []string
	cmd  *exec.Cmd
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.path, p.args...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) signal(s syscall.Signal) {
	p.cmd.Process.Signal(s) // an error means that it has ended
	if s == syscall.SIGKILL {
		p.cmd.Wait()
	}
}

// members is a real etcd.
type members struct {
	endpoints []string
	processes []*process
}

func startEtcd(t *testing.T, n int, quota int) *members {
	t.Helper()
	m := &members{}
	var peers, cluster []string
	for i := range n {
		m.endpoints = append(m.endpoints, fmt.Sprintf("http://127.0.0.1:%d", freePort(t)))
		peers = append(peers, fmt.Sprintf("http://127.0.0.1:%d", freePort(t)))
		cluster = append(cluster, fmt.Sprintf("etcd-%d=%s", i+1, peers[i]))
	}
	for i := range n {
		p := &process{t: t, path: executable(t, "etcd"), args: []string{
			"--name", fmt.Sprintf("etcd-%d", i+1), "--data-dir", t.TempDir(), "--unsafe-no-fsync", "--log-level", "panic",
			"--listen-client-urls", m.endpoints[i], "--advertise-client-urls", m.endpoints[i],
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i], "--initial-cluster", strings.Join(cluster, ","),
			"--quota-backend-bytes", fmt.Sprint(quota),
		}}
		p.start()
		t.Cleanup(func() { p.signal(syscall.SIGKILL) })
		m.processes = append(m.processes, p)
	}
	return m
}

func (m *members) client(t *testing.T, endpoints ...string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// roles returns the index of the leader and of a follower.
func (m *members) roles(t *testing.T) (leader, follower int) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		leader, follower = -1, -1
		for i, e := range m.endpoints {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			status, err := m.client(t, e).Status(ctx, e)
			cancel()
			switch {
			case err != nil || status.Leader == 0:
			case status.Leader == status.Header.MemberId:
				leader = i
			default:
				follower = i
			}
		}
		if leader >= 0 && (follower >= 0 || len(m.endpoints) == 1) {
			return leader, follower
		}
	}
	t.Fatal("etcd has no leader")
	return 0, 0
}

// fill writes until the quota is reached: from then on etcd takes no writes.
func (m *members) fill(t *testing.T) {
	t.Helper()
	client := m.client(t, m.endpoints...)
	value := strings.Repeat("x", 200<<10)
	for i := 0; ; i++ {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := client.Put(ctx, fmt.Sprintf("fill/%d", i), value)
		cancel()
		if err != nil {
			t.Logf("full after %d writes: %v", i, err)
			break
		}
		if i > 500 {
			t.Fatal("never full")
		}
	}
}

// free deletes what fill wrote, gives back the space and disarms the alarm.
func (m *members) free(t *testing.T) {
	t.Helper()
	client := m.client(t, m.endpoints...)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	gone, err := client.Delete(ctx, "fill/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(ctx, gone.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	for _, e := range m.endpoints {
		if _, err := client.Defragment(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		t.Fatal(err)
	}
}

// witness runs a collector and keeps what it says.
type witness struct {
	mu   sync.Mutex
	seen []tapio.Observation
	*Collector
	registry *prometheus.Registry
}

// fast are intervals for a test that does not want to wait.
var fast = Config{HealthInterval: tapio.Duration(time.Second), PollInterval: tapio.Duration(2 * time.Second), MetricsInterval: tapio.Duration(5 * time.Second)}

func watch(t *testing.T, c, intervals Config, api *rest.Config) *witness {
	t.Helper()
	second := tapio.Duration(time.Second)
	c.HealthInterval, c.PollInterval, c.MetricsInterval = intervals.HealthInterval, intervals.PollInterval, intervals.MetricsInterval
	c.EtcdTimeout, c.EtcdLatencyThreshold, c.APIServerLatencyThreshold = 2*second, second/10, second
	c.LeaderElectionTimeout, c.FailureThreshold, c.CertificateWarning = 10*second, 3, tapio.Duration(time.Hour)
	w := &witness{registry: prometheus.NewRegistry()}
	var err error
	if w.Collector, err = New(Options{Config: c, API: api, Registerer: w.registry}); err != nil {
		t.Fatal(err)
	}
	out := make(chan tapio.Observation, 100)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, out) }()
	go func() {
		for o := range out {
			w.mu.Lock()
			w.seen = append(w.seen, o)
			w.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		close(out)
	})
	return w
}

// mark returns how much was said so far.
func (w *witness) mark() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

// since lists the events since a mark.
func (w *witness) since(mark int) []*tapio.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []*tapio.Event
	for _, o := range w.seen[mark:] {
		if o.Event != nil {
			out = append(out, o.Event)
		}
	}
	return out
}

// problems lists what stands against a component now.
func (w *witness) problems(component string) []tapio.ComponentProblem {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range slices.Backward(w.seen) {
		if o.State != nil && o.State.Entity.Name == component {
			return o.State.Component.Problems
		}
	}
	return nil
}

// await waits for an event since the mark.
func (w *witness) await(t *testing.T, mark int, typ tapio.EventType, reason string) *tapio.Event {
	t.Helper()
	began := time.Now()
	for time.Since(began) < time.Minute {
		for _, ev := range w.since(mark) {
			if ev.Type == typ && ev.Reason == reason {
				t.Logf("%s %s %s after %.1f s: %s", typ, reason, ev.Attrs[tapio.AttrObject], time.Since(began).Seconds(), ev.Message)
				return ev
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("no %s %s within a minute, but %s", typ, reason, w.text(mark))
	return nil
}

func (w *witness) text(mark int) string {
	var out []string
	for _, ev := range w.since(mark) {
		out = append(out, fmt.Sprintf("%s %s %s (%s)", ev.Type, ev.Reason, ev.Attrs[tapio.AttrObject], ev.Message))
	}
	return strings.Join(out, "; ")
}

// nothing wants no trouble since the mark.
func (w *witness) nothing(t *testing.T, mark int) {
	t.Helper()
	for _, ev := range w.since(mark) {
		if ev.Severity != tapio.SeverityInfo {
			t.Errorf("told of a blip: %s %s: %s", ev.Type, ev.Reason, ev.Message)
		}
	}
}

// TestRealEtcd breaks a real etcd of three members in every way.
func TestRealEtcd(t *testing.T) {
	m := startEtcd(t, 3, 16<<20)
	leader, _ := m.roles(t)
	w := watch(t, Config{MonitorEtcd: true, EtcdEndpoints: m.endpoints}, fast, nil)
	w.await(t, 0, tapio.EtcdHealthy, "")

	mark := w.mark()
	m.processes[leader].signal(syscall.SIGKILL)
	ev := w.await(t, mark, tapio.EtcdUnhealthy, "MemberDown")
	if want := fmt.Sprintf("etcd-%d", leader+1); ev.Attrs[tapio.AttrObject] != want {
		t.Errorf("member %s is down, want %s", ev.Attrs[tapio.AttrObject], want)
	}
	w.await(t, mark, tapio.EtcdLeaderChanged, "Elected")
	m.processes[leader].start()
	w.await(t, mark, tapio.EtcdHealthy, "")

	mark = w.mark()
	_, follower := m.roles(t)
	m.processes[follower].signal(syscall.SIGKILL)
	time.Sleep(500 * time.Millisecond)
	m.processes[follower].start()
	time.Sleep(6 * time.Second)
	w.nothing(t, mark)

	mark = w.mark()
	leader, follower = m.roles(t)
	m.processes[leader].signal(syscall.SIGKILL)
	m.processes[follower].signal(syscall.SIGKILL)
	w.await(t, mark, tapio.EtcdUnhealthy, "NoLeader")
	m.processes[leader].start()
	m.processes[follower].start()
	w.await(t, mark, tapio.EtcdHealthy, "")

	time.Sleep(catchUp) // members that were away may be slow until then
	mark = w.mark()
	_, follower = m.roles(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			m.processes[follower].signal(syscall.SIGSTOP)
			time.Sleep(800 * time.Millisecond)
			m.processes[follower].signal(syscall.SIGCONT)
			select {
			case <-stop:
				return
			case <-time.After(40 * time.Millisecond):
			}
		}
	}()
	ev = w.await(t, mark, tapio.EtcdHighLatency, "MemberSlow")
	if want := fmt.Sprintf("etcd-%d", follower+1); ev.Attrs[tapio.AttrObject] != want {
		t.Errorf("member %s is slow, want %s", ev.Attrs[tapio.AttrObject], want)
	}
	close(stop)
	<-stopped
	w.await(t, mark, tapio.EtcdHealthy, "")

	mark = w.mark()
	m.fill(t)
	w.await(t, mark, tapio.EtcdStorageFull, "NoSpace")
	m.free(t)
	w.await(t, mark, tapio.EtcdCompaction, "Compacted")
	w.await(t, mark, tapio.EtcdHealthy, "")
}

// cost counts the requests so far, by whom they went to.
func (w *witness) cost(t *testing.T) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "tapio_controlplane_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			t.Logf("%v %.0f", m.GetLabel(), m.GetCounter().GetValue())
			for _, l := range m.GetLabel() {
				if l.GetName() == "target" {
					out[l.GetValue()] += m.GetCounter().GetValue()
				}
			}
		}
	}
	return out
}

// serviceAccountKey writes the key that an API server can't do without.
func serviceAccountKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sa.key")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
