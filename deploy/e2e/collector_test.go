//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"testing"
)

// TestCollector runs the Kubernetes collector's tests that need a real API
// server: what a watch does can't be imitated.
func TestCollector(t *testing.T) {
	b := shared
	b.cleared(t)
	cmd := exec.CommandContext(t.Context(), "go", "test", "-tags", "e2e", "-count", "1", "-timeout", "10m", "./collectors/kubernetes")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "KUBECONFIG="+b.kubeconfig)
	out, err := cmd.CombinedOutput()
	if err != nil {
		fatalf(t, "%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
