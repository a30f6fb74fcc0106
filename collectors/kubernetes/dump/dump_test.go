package dump

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/yairfalse/tapio"
)

const (
	pods = `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[
 {"metadata":{"name":"web-1","namespace":"shop","creationTimestamp":"2026-01-02T10:00:00Z"},
  "spec":{"nodeName":"n1","containers":[{"name":"app","image":"web:1"}]},
  "status":{"phase":"Running","containerStatuses":[{"name":"app","restartCount":1,"state":{"running":{"startedAt":"2026-01-02T10:05:00Z"}},
   "lastState":{"terminated":{"exitCode":1,"reason":"Error","finishedAt":"2026-01-02T10:04:00Z","containerID":"c://1"}}}]}},
 {"metadata":{"name":"web-2","namespace":"shop","creationTimestamp":"2026-01-02T10:00:00Z"},"spec":{"containers":[{"name":"app"}]},"status":{"phase":"Pending"}}]}`
	events = `{"apiVersion":"v1","items":[
 {"apiVersion":"v1","kind":"Event","metadata":{"name":"e1","namespace":"shop"},"involvedObject":{"kind":"Pod","namespace":"shop","name":"web-1"},"reason":"BackOff","message":"back-off","type":"Warning","count":3,"firstTimestamp":"2026-01-02T10:04:10Z","lastTimestamp":"2026-01-02T10:06:00Z"},
 {"apiVersion":"events.k8s.io/v1","kind":"Event","metadata":{"name":"e1","namespace":"shop"},"regarding":{"kind":"Pod","namespace":"shop","name":"web-1"},"reason":"BackOff","note":"back-off","type":"Warning","deprecatedCount":3,"deprecatedFirstTimestamp":"2026-01-02T10:04:10Z","deprecatedLastTimestamp":"2026-01-02T10:06:00Z"},
 {"apiVersion":"v1","kind":"Event","metadata":{"name":"e0","namespace":"shop"},"involvedObject":{"kind":"Pod","namespace":"shop","name":"web-1"},"reason":"Pulled","type":"Normal","count":1,"firstTimestamp":"2026-01-02T10:01:00Z","lastTimestamp":"2026-01-02T10:01:00Z"}],
 "kind":"List","metadata":{"resourceVersion":""}}`
	namespace = `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}`
	node      = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nstatus:\n  conditions:\n  - {type: Ready, status: \"True\", lastHeartbeatTime: \"2026-01-02T10:07:00Z\"}\n"
	lease     = `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"n1","namespace":"kube-node-lease"},"spec":{"renewTime":"2026-01-02T10:08:00.000000Z"}}`
)

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, o Options) Result {
	t.Helper()
	r, err := Read(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var last time.Time
	for i, obs := range r.Observations {
		if err := obs.Validate(); err != nil {
			t.Errorf("observation %d: %v", i, err)
		}
		if obs.Time.Before(last) {
			t.Errorf("observation %d goes back in time", i)
		}
		last = obs.Time
	}
	return r
}

func stdin(t *testing.T, text string) Result {
	t.Helper()
	return read(t, Options{Paths: []string{"-"}, Stdin: strings.NewReader(text)})
}

// summary is what was read, one line each.
func summary(r Result) []string {
	var out []string
	for _, o := range r.Observations {
		if o.State != nil {
			out = append(out, "state "+o.State.Entity.String())
			continue
		}
		out = append(out, strings.TrimSpace(o.Event.Time.Format("15:04:05 ")+string(o.Event.Type)+" "+o.Event.Entity.String()+" "+o.Event.Reason))
	}
	return out
}

func expect(t *testing.T, r Result, lines ...string) {
	t.Helper()
	if d := cmp.Diff(lines, summary(r)); d != "" {
		t.Errorf("observations (-want +got):\n%s", d)
	}
}

func warned(t *testing.T, r Result, parts ...string) {
	t.Helper()
	if len(r.Warnings) != len(parts) {
		t.Fatalf("warnings %q, want %d", r.Warnings, len(parts))
	}
	for i, p := range parts {
		if !strings.Contains(r.Warnings[i], p) {
			t.Errorf("warning %q does not say %q", r.Warnings[i], p)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := write(t, map[string]string{
		"nodes.yaml":                   node,
		"shop/pods.json":               pods,
		"shop/events.json":             events,
		"shop/empty.json":              `{"apiVersion":"v1","items":[],"kind":"List"}`,
		"shop/notes.md":                "not a dump",
		"shop/roles.json":              `{"kind":"RoleList","apiVersion":"rbac.authorization.k8s.io/v1","items":[{"metadata":{"name":"r"}}]}`,
		"kube-node-lease/leases.json":  lease,
		"shop/web-1/logs.txt":          "==== START logs for container app of pod shop/web-1 ====\nstarted\n==== END logs for container app of pod shop/web-1 ====\n",
		"shop/web-1/logs-previous.txt": "==== START logs for container app of pod shop/web-1 ====\npanic: no config==== END logs for container app of pod shop/web-1 ====\n",
		"shop/web-2/logs.txt":          "==== START logs for container app of pod shop/web-2 ====\nRequest log error: container is waiting to start\n==== END logs for container app of pod shop/web-2 ====\n",
		"shop/web-2/logs-previous.txt": "==== START logs for container app of pod shop/web-2 ====\nunable to retrieve container logs for containerd://1==== END logs for container app of pod shop/web-2 ====\n",
	})
	r := read(t, Options{Paths: []string{dir}})
	expect(t, r,
		"state Lease/kube-node-lease/n1", "state Node/n1", "state Pod/shop/web-1", "state Pod/shop/web-2",
		"10:01:00 k8s.event Pod/shop/web-1 Pulled",
		"10:04:00 container.exit Pod/shop/web-1[app] Error",
		"10:04:00 container.log Pod/shop/web-1[app]",
		"10:06:00 k8s.event Pod/shop/web-1 BackOff",
		"10:08:00 container.log Pod/shop/web-1[app]",
	)
	warned(t, r)
	if want := time.Date(2026, 1, 2, 10, 8, 0, 0, time.UTC); !r.Now.Equal(want) {
		t.Errorf("now is %s, want %s", r.Now, want)
	}
	for _, o := range r.Observations {
		if e := o.Event; e != nil && e.Attrs[tapio.AttrPrevious] == "true" && e.Attrs[tapio.AttrLastError] != "panic: no config" {
			t.Errorf("the previous log says %v", e.Attrs)
		}
	}
}

func TestStreams(t *testing.T) {
	states := []string{"state Namespace/shop", "state Pod/shop/web-1", "state Pod/shop/web-2", "10:04:00 container.exit Pod/shop/web-1[app] Error"}
	log := "==== START logs for container app of pod shop/web-1 ====\nhello {\n==== END logs for container app of pod shop/web-1 ====\n"
	tests := map[string]struct {
		text string
		want []string
	}{
		"concatenated":          {namespace + pods, states},
		"with a byte order":     {"\xef\xbb\xbf" + namespace + "\n" + pods, states},
		"an array of lists":     {"[" + namespace + "," + pods + "]", states},
		"a list of lists":       {`{"kind":"List","apiVersion":"v1","items":[` + namespace + "," + pods + "]}", states},
		"kind after the items":  {`{"items":[{"metadata":{"name":"shop"}}],"apiVersion":"v1","kind":"NamespaceList"}`, states[:1]},
		"yaml documents":        {"---\n" + node + "---\n# nothing\n---\n" + "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n", []string{"state Namespace/shop", "state Node/n1"}},
		"a typed list in yaml":  {"apiVersion: v1\nkind: NamespaceList\nitems:\n- metadata: {name: shop}\n", states[:1]},
		"logs between the json": {pods + log + namespace, append(states[:4:4], "10:05:00 container.log Pod/shop/web-1[app]")},
		"the same object twice": {namespace + namespace, states[:1]},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { expect(t, stdin(t, test.text), test.want...) })
	}
}

func TestEndpointsCountOnlyWithoutSlices(t *testing.T) {
	const both = `{"kind":"List","apiVersion":"v1","items":[
 {"kind":"Endpoints","apiVersion":"v1","metadata":{"name":"web","namespace":"shop","creationTimestamp":"2026-01-02T10:00:00Z"}},
 {"kind":"Endpoints","apiVersion":"v1","metadata":{"name":"db","namespace":"shop"}},
 {"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"web-x","namespace":"shop","labels":{"kubernetes.io/service-name":"web"}}}]}`
	expect(t, stdin(t, both), "state EndpointSlice/shop/db", "state EndpointSlice/shop/web-x")
}

func TestRolloutOfADump(t *testing.T) {
	const dump = `{"kind":"List","apiVersion":"v1","items":[
 {"kind":"ReplicaSet","apiVersion":"apps/v1","metadata":{"name":"web-b","namespace":"shop","creationTimestamp":"2026-01-02T10:10:00Z","annotations":{"deployment.kubernetes.io/revision":"2"},"ownerReferences":[{"kind":"Deployment","name":"web","controller":true,"uid":""}]},"spec":{"template":{"spec":{"containers":[{"name":"app","image":"web:2"}]}}}},
 {"kind":"ReplicaSet","apiVersion":"apps/v1","metadata":{"name":"web-a","namespace":"shop","creationTimestamp":"2026-01-02T10:00:00Z","annotations":{"deployment.kubernetes.io/revision":"1"},"ownerReferences":[{"kind":"Deployment","name":"web","controller":true,"uid":""}]},"spec":{"template":{"spec":{"containers":[{"name":"app","image":"web:1"}]}}}},
 {"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"web","namespace":"shop","annotations":{"deployment.kubernetes.io/revision":"2"}}}]}`
	r := stdin(t, dump)
	expect(t, r, "state Deployment/shop/web", "state ReplicaSet/shop/web-a", "state ReplicaSet/shop/web-b", "10:10:00 workload.rollout Deployment/shop/web Updated")
	want := []tapio.Change{{Field: "containers[app].image", From: "web:1", To: "web:2"}}
	if d := cmp.Diff(want, r.Observations[3].Event.Changes); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
}

// Data of Secrets is not read, and what looks secret in a ConfigMap is hidden.
func TestSecretsStayOut(t *testing.T) {
	r := stdin(t, `{"kind":"List","apiVersion":"v1","items":[
 {"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c","namespace":"shop","creationTimestamp":"2026-01-02T10:00:00Z"},"data":{"password":"hunter2"}},
 {"kind":"Secret","apiVersion":"v1","metadata":{"name":"s","namespace":"shop"},"data":{"password":"aHVudGVyMg=="}}]}`)
	expect(t, r, "state ConfigMap/shop/c")
}

func TestDamage(t *testing.T) {
	cut := pods[:strings.Index(pods, `"web-2"`)]
	r := stdin(t, cut)
	expect(t, r, "state Pod/shop/web-1", "10:04:00 container.exit Pod/shop/web-1[app] Error")
	warned(t, r, fmt.Sprintf("standard input is damaged at byte %d (it ends too soon)", strings.Index(pods, "\n {\"metadata\":{\"name\":\"web-2\"")))

	r = stdin(t, namespace+pods[:40]+"garbage")
	expect(t, r, "state Namespace/shop")
	if len(r.Warnings) == 0 || !strings.Contains(r.Warnings[0], "standard input is damaged at byte") {
		t.Errorf("warnings %q", r.Warnings)
	}

	r = stdin(t, strings.Replace(pods, `"restartCount":1`, `"restartCount":"many"`, 1))
	expect(t, r, "state Pod/shop/web-2")
	warned(t, r, "the Pod at byte 61 is left out")

	r = stdin(t, node+"---\na: [\n")
	expect(t, r, "state Node/n1")
	warned(t, r, "damaged at byte")

	r = stdin(t, pods+"==== START logs for container app of pod shop/web-1 ====\nbye\n")
	expect(t, r, "state Pod/shop/web-1", "state Pod/shop/web-2", "10:04:00 container.exit Pod/shop/web-1[app] Error", "10:05:00 container.log Pod/shop/web-1[app]")
	warned(t, r, "ends too soon")

	dir := write(t, map[string]string{"a.json": namespace, "b.json": `{"name":"not kubernetes"}`, "c.yaml": "- just\n- words\n"})
	r = read(t, Options{Paths: []string{dir}})
	expect(t, r, "state Namespace/shop")
	warned(t, r, "b.json holds no Kubernetes objects", "c.yaml holds no Kubernetes objects", "no time at all")
}

func TestWhatIsNoDump(t *testing.T) {
	dir := write(t, map[string]string{"empty": "", "text": "hello\nworld\n", "other.json": `{"a":1}`, "cut.json": `{"kind":"Po`, "binary": "\x7fELF\x00\x01"})
	for name, want := range map[string]string{
		"empty":      "holds no Kubernetes objects",
		"text":       "holds no Kubernetes objects",
		"other.json": "holds no Kubernetes objects",
		"cut.json":   "it ends too soon",
		"binary":     "neither JSON nor YAML",
		"absent":     "no such file",
	} {
		_, err := Read(t.Context(), Options{Paths: []string{filepath.Join(dir, name)}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error is %v, want it to say %q", name, err, want)
		}
	}
	if _, err := Read(t.Context(), Options{Paths: []string{t.TempDir()}}); err == nil || !strings.Contains(err.Error(), "kubectl get") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Read(t.Context(), Options{}); err == nil {
		t.Error("no paths: no error")
	}
	if _, err := Read(t.Context(), Options{Paths: []string{"-"}}); err == nil {
		t.Error("no standard input: no error")
	}
}

func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ctx, Options{Paths: []string{"-"}, Stdin: strings.NewReader(pods)}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestProgress(t *testing.T) {
	var text strings.Builder
	for range 1200 {
		text.WriteString(namespace)
	}
	var calls []int
	read(t, Options{Paths: []string{"-"}, Stdin: strings.NewReader(text.String()), Progress: func(n int, what string) { calls = append(calls, n) }})
	if d := cmp.Diff([]int{1, 501, 1001}, calls); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
}

func TestLongLogIsReadFromItsEnd(t *testing.T) {
	var text strings.Builder
	text.WriteString("==== START logs for container app of pod shop/web-1 ====\n")
	for range 5000 {
		text.WriteString("a line of log\n")
	}
	text.WriteString(strings.Repeat("x", 1<<20) + "\nfatal: disk gone\n==== END logs for container app of pod shop/web-1 ====\n")
	dir := write(t, map[string]string{"pods.json": pods, "shop/web-1/logs.txt": text.String()})
	r := read(t, Options{Paths: []string{dir}})
	e := r.Observations[len(r.Observations)-1].Event
	if e.Type != tapio.ContainerLog || !strings.HasSuffix(e.Message, "fatal: disk gone") || e.Attrs[tapio.AttrLastError] != "fatal: disk gone" {
		t.Errorf("the log ends with %.60q, attributes %v", e.Message[max(0, len(e.Message)-60):], e.Attrs)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(namespace + pods))
	f.Add([]byte(events))
	f.Add([]byte(node + "---\n" + node))
	f.Add([]byte("[" + pods + "]"))
	f.Add([]byte(pods + "==== START logs for container app of pod shop/web-1 ====\nx\n==== END logs for container app of pod shop/web-1 ====\n" + namespace))
	f.Add([]byte("====\n"))
	f.Add([]byte(`{"items":[{"metadata":{}}],"kind":"PodList","items":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Read(t.Context(), Options{Paths: []string{"-"}, Stdin: strings.NewReader(string(data))})
		if err != nil {
			return
		}
		for _, o := range r.Observations {
			if err := o.Validate(); err != nil {
				t.Fatal(err)
			}
			if !o.Time.Equal(r.Now) {
				t.Fatalf("observed at %s, not at %s", o.Time, r.Now)
			}
		}
		if len(r.Warnings) > maxWarnings {
			t.Fatalf("%d warnings", len(r.Warnings))
		}
	})
}
