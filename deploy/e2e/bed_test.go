//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// busybox is the image of the healthy workloads, as the test cluster has it.
const busybox = "testbed.local/busybox:1"

// script runs a bash script in dir and returns what it printed.
func (b *bed) script(ctx context.Context, dir string, env []string, text string) (string, error) {
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", text)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+b.path, "KUBECONFIG="+b.kubeconfig, "TESTBED_NAME="+b.cluster, "TESTBED_STATE=", "TESTBED_NODE_MEMORY_MB=", "TESTBED_NODE_DISK_MB=", "TESTBED_NODE_PODS=", "TESTBED_ETCD_MEMBERS=", "TESTBED_ETCD_QUOTA=")
	cmd.Env = append(cmd.Env, env...)
	// The sandboxes outlive the script that started them: don't wait for what
	// they inherited.
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.CombinedOutput()
	if err == exec.ErrWaitDelay {
		err = nil
	}
	return string(out), err
}

// place is a namespace of the cluster with a folder of files for its scripts.
type place struct {
	*bed
	name string
	dir  string
	env  []string
}

// place makes a namespace that is told to the channel of its own name, and
// deletes it when the test ends. files are put beside the scripts; in those
// that end in .yaml $NODE, $NS and the image are replaced.
func (b *bed) place(t *testing.T, name string, annotations map[string]string, files map[string]string, node string) *place {
	t.Helper()
	p := &place{bed: b, name: name, dir: t.TempDir()}
	config := filepath.Join(p.dir, "kubeconfig")
	p.env = []string{"KUBECONFIG=" + config, "NODE=" + node, "NS=" + name, "STATE=" + filepath.Dir(b.kubeconfig)}
	data, err := os.ReadFile(b.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, text := range files {
		if strings.HasSuffix(file, ".yaml") {
			text = strings.NewReplacer("$NODE", node, "$NS", name, busybox, b.image).Replace(text)
		}
		if err := os.WriteFile(filepath.Join(p.dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var notes strings.Builder
	for k, v := range annotations {
		fmt.Fprintf(&notes, "    %s: %q\n", k, v)
	}
	manifest := fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: %s\n  labels: {tapio-e2e: \"true\"}\n  annotations:\n    tapio.dev/channel: %q\n%s", name, "#"+name, notes.String())
	if err := os.WriteFile(filepath.Join(p.dir, "namespace.yaml"), []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if text, err := b.script(ctx, "", nil, "kubectl delete namespace --ignore-not-found --wait=false "+name); err != nil {
			t.Logf("delete namespace %s: %v\n%s", name, err, text)
		}
	})
	p.run(t, `
kubectl apply -f namespace.yaml
kubectl config set-context --current --namespace "$NS"
for try in {1..120}; do kubectl get serviceaccount/default configmap/kube-root-ca.crt >/dev/null 2>&1 && exit; sleep 0.5; done
echo "the namespace has no service account: does the controller manager run?"; false`)
	return p
}

// run runs a script in the namespace; kubectl's default namespace is its.
func (p *place) run(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	text, err := p.script(ctx, p.dir, p.env, script)
	if err != nil {
		fatalf(t, "in namespace %s: %v\n%s\n--- printed:\n%s", p.name, err, strings.TrimSpace(script), text)
	}
	return text
}

// awaitRollouts waits until every workload of the namespace is up to date and
// available.
func (p *place) awaitRollouts(t *testing.T) {
	t.Helper()
	p.run(t, `for workload in $(kubectl get deployments,statefulsets,daemonsets -o name); do
  kubectl rollout status --timeout 150s "$workload"
done`)
}

// cleared waits until the namespaces of earlier tests are gone, so that their
// end is no news to the next one. What a failed test left is deleted by force,
// so that it does not fail the next ones too.
func (b *bed) cleared(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	text, err := b.script(ctx, "", nil, `
kubectl delete namespace -l tapio-e2e --wait=false
kubectl wait namespace -l tapio-e2e --for delete --timeout 120s && exit
echo "left after 120 s, and now forced:"
kubectl get nodes
kubectl get pods -A -o wide
for namespace in $(kubectl get namespace -l tapio-e2e -o jsonpath='{.items[*].metadata.name}'); do
  kubectl delete pods --all --force --grace-period 0 -n "$namespace" --wait=false
done
kubectl wait namespace -l tapio-e2e --for delete --timeout 60s`)
	if strings.Contains(text, "now forced") {
		t.Log(text)
	}
	if err != nil {
		fatalf(t, "wait for the end of earlier namespaces: %v\n%s", err, text)
	}
}

// eventually polls until done says so, and fails with what it says instead.
func eventually(t *testing.T, limit time.Duration, what string, done func() (bool, string)) {
	t.Helper()
	end := time.Now().Add(limit)
	for {
		ok, state := done()
		if ok {
			return
		}
		if time.Now().After(end) {
			fatalf(t, "%s: not within %s; %s", what, limit, state)
		}
		select {
		case <-t.Context().Done():
			fatalf(t, "%s: the test ends; %s", what, state)
		case <-time.After(250 * time.Millisecond):
		}
	}
}
