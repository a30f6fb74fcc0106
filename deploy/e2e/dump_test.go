//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio/cmd/tapio/cases"
	"sigs.k8s.io/yaml"
)

// dumpScript writes what `kubectl cluster-info dump` writes, and lists of what
// that leaves out.
const dumpScript = `
rm -rf dump
kubectl cluster-info dump --namespaces "$NS,default,kube-system" -o json --output-directory dump >/dev/null
kubectl get --ignore-not-found persistentvolumes,storageclasses,validatingwebhookconfigurations,mutatingwebhookconfigurations,apiservices,namespaces -o json >dump/cluster.json
kubectl get leases -n kube-node-lease -o json >dump/leases.json
kubectl get leases -n kube-system -o json >dump/kube-system/leases.json
kubectl get endpointslices,endpoints -n kube-system -o json >dump/kube-system/lists.json 2>/dev/null
kubectl get statefulsets,jobs,cronjobs,endpointslices,persistentvolumeclaims,resourcequotas,limitranges,configmaps,serviceaccounts,networkpolicies,ingresses,horizontalpodautoscalers,poddisruptionbudgets -o json >"dump/$NS/lists.json"
kubectl get pods -o go-template='{{range .items}}{{$pod := .metadata.name}}{{range .status.initContainerStatuses}}{{if .restartCount}}{{$pod}} {{.name}}{{"\n"}}{{end}}{{end}}{{range .status.containerStatuses}}{{if .restartCount}}{{$pod}} {{.name}}{{"\n"}}{{end}}{{end}}{{end}}' | while read -r pod container; do
  if text=$(kubectl logs --previous --tail 100 -c "$container" "$pod" 2>/dev/null); then
    { echo "==== START logs for container $container of pod $NS/$pod ===="; echo "$text"; echo "==== END logs for container $container of pod $NS/$pod ===="; } >>"dump/$NS/$pod/logs-previous.txt"
  fi
done`

// dump takes a snapshot of a case and makes it a case of its own. What is of
// other cases is left out.
func (c *corpus) dump(t *testing.T, p *place, x *sample) string {
	p.run(t, dumpScript)
	folder := filepath.Join(c.corpus, "dumps", x.name)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(p.dir, "dump")
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(from, path)
		if strings.HasSuffix(name, ".json") {
			if data, err = c.slim(data, p.name); err != nil || data == nil {
				return err
			}
		} else if strings.HasPrefix(name, "kube-system"+string(filepath.Separator)) || len(data) == 0 {
			return nil
		}
		to := filepath.Join(folder, cases.DumpFolder, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(x.expect)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, cases.ExpectFile), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return folder
}

// slim leaves out of a list what nobody reads and what belongs to other cases,
// and returns nil where nothing is left.
func (c *corpus) slim(data []byte, namespace string) ([]byte, error) {
	var list map[string]any
	if err := json.Unmarshal(data, &list); err != nil || list["items"] == nil {
		return nil, nil // half an answer of kubectl
	}
	var items []any
	for _, item := range list["items"].([]any) {
		o, ok := item.(map[string]any)
		if !ok || c.foreign(o, namespace) {
			continue
		}
		meta, _ := o["metadata"].(map[string]any)
		delete(meta, "managedFields")
		if notes, ok := meta["annotations"].(map[string]any); ok {
			delete(notes, "kubectl.kubernetes.io/last-applied-configuration")
		}
		if status, ok := o["status"].(map[string]any); ok {
			delete(status, "images")
		}
		items = append(items, o)
	}
	if len(items) == 0 {
		items = []any{}
	}
	list["items"] = items
	return json.Marshal(list)
}

// foreign reports whether an object belongs to another case, or is an old
// event of the cluster.
func (c *corpus) foreign(o map[string]any, namespace string) bool {
	meta, _ := o["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	ns, _ := meta["namespace"].(string)
	if kind, _ := o["kind"].(string); kind == "APIService" && !strings.Contains(name, "example.com") {
		return true // the cluster's own, all alike
	}
	if ns == "" && name != namespace && ofCase(name) {
		return true
	}
	if last, _ := o["lastTimestamp"].(string); ns != namespace && last != "" {
		at, err := time.Parse(time.RFC3339, last)
		return err == nil && time.Since(at) > 10*time.Minute
	}
	return false
}

// ofCase reports whether a name is that of a case's namespace.
func ofCase(name string) bool {
	for _, v := range variants {
		if strings.HasPrefix(name, v.prefix+"-") {
			return true
		}
	}
	return strings.HasPrefix(name, "well-")
}
