package dump

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMissingKindsAreSaid(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"shop/pods.json":     `{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a","namespace":"shop"}}]}`,
		"shop/services.json": `{"kind":"List","apiVersion":"v1","items":[]}`, // asked for: there are none
		"events.json":        `{"kind":"EventList","apiVersion":"v1","items":[]}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	missing := strings.Join(read(t, Options{Paths: []string{dir}}).Missing, "; ")
	for _, kind := range []string{"nodes", "endpointslices or endpoints", "leases", "logs"} {
		if !strings.Contains(missing, kind) {
			t.Errorf("%q does not name %s", missing, kind)
		}
	}
	for _, kind := range []string{"pods (", "services", "events"} {
		if strings.Contains(missing, kind) {
			t.Errorf("%q names %s, which the dump holds or was asked for", missing, kind)
		}
	}
}
