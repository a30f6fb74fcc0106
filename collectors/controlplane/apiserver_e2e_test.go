//go:build e2e

package controlplane

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// startAPIServer starts an API server on etcd that knows two users by their
// tokens: admin and busy.
func startAPIServer(t *testing.T, etcd *members) (*process, *rest.Config) {
	t.Helper()
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens.csv")
	if err := os.WriteFile(tokens, []byte("admin-token,admin,1,system:masters\nbusy-token,busy,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	port, key := freePort(t), serviceAccountKey(t)
	p := &process{t: t, path: executable(t, "kube-apiserver"), args: []string{
		"--etcd-servers", strings.Join(etcd.endpoints, ","), "--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(port),
		"--cert-dir", dir, "--token-auth-file", tokens, "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.96.0.0/16",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", key, "--service-account-signing-key-file", key,
	}}
	p.start()
	t.Cleanup(func() { p.signal(syscall.SIGKILL) })
	config := &rest.Config{Host: fmt.Sprintf("https://127.0.0.1:%d", port), BearerToken: "admin-token", TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(500 * time.Millisecond) {
		if _, err = client.RESTClient().Get().AbsPath("/readyz").DoRaw(t.Context()); err == nil {
			return p, config
		}
		if time.Now().After(end) {
			t.Fatalf("the API server is not ready: %v", err)
		}
	}
}

// renew renews a lease, or makes it.
func renew(t *testing.T, client *kubernetes.Clientset, name string) {
	holder, now := "n1_0a", metav1.NowMicro()
	leases := client.CoordinationV1().Leases("kube-system")
	l, err := leases.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		l = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &now}}
		_, err = leases.Create(t.Context(), l, metav1.CreateOptions{})
	} else {
		l.Spec.RenewTime = &now
		_, err = leases.Update(t.Context(), l, metav1.UpdateOptions{})
	}
	if err != nil && t.Context().Err() == nil {
		t.Logf("renew %s: %v", name, err)
	}
}

// TestRealAPIServer breaks a real API server in every way.
func TestRealAPIServer(t *testing.T) {
	etcd := startEtcd(t, 1, 64<<20)
	server, config := startAPIServer(t, etcd)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	renewed := []string{tapio.ComponentScheduler, tapio.ComponentControllerManager}
	go func() {
		for t.Context().Err() == nil {
			mu.Lock()
			names := renewed
			mu.Unlock()
			for _, n := range names {
				renew(t, client, n)
			}
			time.Sleep(time.Second)
		}
	}()
	time.Sleep(3 * time.Second)
	w := watch(t, Config{MonitorAPIServer: true, MonitorScheduler: true, MonitorController: true}, fast, config)
	w.await(t, 0, tapio.APIServerHealthy, "")
	w.await(t, 0, tapio.SchedulerHealthy, "")
	w.await(t, 0, tapio.ControllerHealthy, "")

	mark := w.mark()
	mu.Lock()
	renewed = []string{tapio.ComponentControllerManager}
	mu.Unlock()
	w.await(t, mark, tapio.SchedulerUnhealthy, leaseExpired)
	mu.Lock()
	renewed = []string{tapio.ComponentScheduler, tapio.ComponentControllerManager}
	mu.Unlock()
	w.await(t, mark, tapio.SchedulerHealthy, "")

	mark = w.mark()
	reject(t, client)
	busy := rest.CopyConfig(config)
	busy.BearerToken = "busy-token"
	http1, err := rest.HTTPClientFor(busy)
	if err != nil {
		t.Fatal(err)
	}
	answers := burst(t, http1, config.Host+"/api/v1/namespaces/default/pods")
	t.Logf("the burst was answered with %v", answers)
	if answers[http.StatusTooManyRequests] == 0 {
		t.Error("nobody was refused")
	}
	w.await(t, mark, tapio.APIServerOverload, rejecting)
	w.await(t, mark, tapio.APIServerHealthy, "")

	mark = w.mark()
	etcd.processes[0].signal(syscall.SIGKILL)
	if ev := w.await(t, mark, tapio.APIServerUnhealthy, notReady); !strings.Contains(ev.Message, "etcd") {
		t.Errorf("it says %q, want that etcd fails", ev.Message)
	}
	etcd.processes[0].start()
	w.await(t, mark, tapio.APIServerHealthy, "")

	mark = w.mark()
	server.signal(syscall.SIGSTOP) // hangs for less than the threshold
	time.Sleep(2 * time.Second)
	server.signal(syscall.SIGCONT)
	time.Sleep(6 * time.Second)
	w.nothing(t, mark)

	mark = w.mark()
	server.signal(syscall.SIGKILL)
	w.await(t, mark, tapio.APIServerUnhealthy, unreachable)
	server.start()
	w.await(t, mark, tapio.APIServerHealthy, "")
	for _, ev := range w.since(mark) {
		if ev.Type == tapio.SchedulerUnhealthy || ev.Type == tapio.ControllerUnhealthy {
			t.Errorf("blamed for what nobody could see: %s: %s", ev.Type, ev.Message)
		}
	}
}

// TestRealNoWrites fills an etcd that only the API server can reach: that
// nothing is written any more is seen by its leases.
func TestRealNoWrites(t *testing.T) {
	etcd := startEtcd(t, 1, 16<<20)
	_, config := startAPIServer(t, etcd)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for t.Context().Err() == nil {
			renew(t, client, tapio.ComponentScheduler)
			time.Sleep(time.Second)
		}
	}()
	w := watch(t, Config{MonitorEtcd: true, MonitorAPIServer: true, MonitorScheduler: true}, fast, config)
	w.await(t, 0, tapio.SchedulerHealthy, "")
	time.Sleep(15 * time.Second) // the API server's own lease is renewed every ten seconds
	mark := w.mark()
	w.nothing(t, 0)
	etcd.fill(t)
	w.await(t, mark, tapio.EtcdUnhealthy, "NoWrites")
	etcd.free(t)
	for end := time.Now().Add(time.Minute); len(w.problems(tapio.ComponentEtcd)) > 0; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still: %v", w.problems(tapio.ComponentEtcd))
		}
	}
}

// TestRealCost counts what a minute with the default intervals asks of the API
// server and of three members of etcd; the README names the numbers.
func TestRealCost(t *testing.T) {
	etcd := startEtcd(t, 3, 64<<20)
	_, config := startAPIServer(t, etcd)
	w := watch(t, Config{MonitorEtcd: true, EtcdEndpoints: etcd.endpoints, MonitorAPIServer: true, MonitorScheduler: true, MonitorController: true}, Config{
		HealthInterval: tapio.Duration(10 * time.Second), PollInterval: tapio.Duration(30 * time.Second), MetricsInterval: tapio.Duration(time.Minute),
	}, config)
	time.Sleep(2 * time.Second)
	before := w.cost(t)
	time.Sleep(time.Minute)
	after := w.cost(t)
	api, members := after["api-server"]-before["api-server"], after["etcd"]-before["etcd"]
	t.Logf("a minute: %.0f requests to the API server, %.0f to etcd", api, members)
	if api > 14 || members > 45 {
		t.Error("more than the README says")
	}
}

// burst asks the same for 15 seconds, ten at once: a priority level without
// room still takes one request at a time.
func burst(t *testing.T, client *http.Client, url string) map[int]int {
	t.Helper()
	var mu sync.Mutex
	answers := map[int]int{}
	var asked sync.WaitGroup
	for range 10 {
		asked.Go(func() {
			for range 150 {
				if resp, err := client.Get(url); err == nil {
					resp.Body.Close()
					mu.Lock()
					answers[resp.StatusCode]++
					mu.Unlock()
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	asked.Wait()
	return answers
}

// reject gives the user busy a priority level without room.
func reject(t *testing.T, client *kubernetes.Clientset) {
	t.Helper()
	for path, body := range map[string]string{
		"prioritylevelconfigurations": `{"apiVersion":"flowcontrol.apiserver.k8s.io/v1","kind":"PriorityLevelConfiguration","metadata":{"name":"tight"},"spec":{"type":"Limited","limited":{"nominalConcurrencyShares":0,"lendablePercent":0,"borrowingLimitPercent":0,"limitResponse":{"type":"Reject"}}}}`,
		"flowschemas":                 `{"apiVersion":"flowcontrol.apiserver.k8s.io/v1","kind":"FlowSchema","metadata":{"name":"tight"},"spec":{"priorityLevelConfiguration":{"name":"tight"},"matchingPrecedence":100,"rules":[{"subjects":[{"kind":"User","user":{"name":"busy"}}],"resourceRules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"],"namespaces":["*"],"clusterScope":true}]}]}}`,
	} {
		if err := client.RESTClient().Post().AbsPath("/apis/flowcontrol.apiserver.k8s.io/v1/" + path).Body([]byte(body)).Do(t.Context()).Error(); err != nil {
			t.Fatal(err)
		}
	}
}
