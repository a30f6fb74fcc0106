//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

// installed is what the chart installs, in a namespace of its own: the engine
// in a pod, an agent on each node.
type installed struct {
	*place
}

const chartNamespace = "e2e-tapio"

// install builds the images, loads them into the nodes and applies what Helm
// renders of the chart.
func (b *bed) install(t *testing.T) *installed {
	t.Helper()
	i := &installed{b.place(t, chartNamespace, nil, map[string]string{
		"values.yaml": `image: {engine: "testbed.local/tapio:e2e", agent: "testbed.local/tapio-agent:e2e"}
cluster: e2e
slack: {local: true}
config: {engine: {quiet: ` + quiet.String() + `}}
persistence: {size: 100Mi, storageClass: e2e-tapio}
agent: {bufferDir: /var/lib/kubelet/tapio-agent, lockMemory: false}
engine: {nodeSelector: {kubernetes.io/hostname: node-1}}
`,
		// The test cluster makes no volumes by itself.
		"volume.yaml": `apiVersion: v1
kind: PersistentVolume
metadata: {name: e2e-tapio, labels: {tapio-e2e: "true"}}
spec:
  capacity: {storage: 100Mi}
  accessModes: [ReadWriteOnce]
  storageClassName: e2e-tapio
  hostPath: {path: /var/lib/kubelet/tapio-engine}
`,
	}, "")}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	i.env = append(i.env, "ROOT="+root, "OUT="+b.out, "TAPIO="+b.tapio, "CGO_ENABLED=0")
	t.Cleanup(func() {
		if text, err := b.script(context.Background(), i.dir, i.env, `kubectl delete pv e2e-tapio --ignore-not-found --wait=false
kubectl delete clusterrole,clusterrolebinding tapio --ignore-not-found`); err != nil {
			t.Logf("%v\n%s", err, text)
		}
	})
	i.run(t, `
mkdir -p "$OUT/images"
cp "$TAPIO" "$OUT/images/tapio"
go -C "$ROOT" build -o "$OUT/images/" ./cmd/tapio-agent
mkimages -o "$OUT/images.tar" -image testbed.local/tapio:e2e="$OUT/images/tapio" -image testbed.local/tapio-agent:e2e="$OUT/images/tapio-agent"
cluster load "$OUT/images.tar"
cluster exec node-1 rm -rf /var/lib/kubelet/tapio-engine # of an earlier run on this cluster
cluster exec node-1 install -d -m 0777 /var/lib/kubelet/tapio-engine
kubectl apply -f volume.yaml
go -C "$ROOT/deploy/e2e/chart" tool helm template tapio "$ROOT/deploy/helm/tapio" --namespace "$NS" --values "$PWD/values.yaml" >chart.yaml
kubectl apply -f chart.yaml
kubectl rollout status --timeout 120s statefulset/tapio && kubectl rollout status --timeout 60s daemonset/tapio-agent || {
  kubectl get pods -o wide
  kubectl get events --field-selector type=Warning
  for pod in $(kubectl get pods -o name); do kubectl logs "$pod" --tail 12; done
  false
}`)
	return i
}

// stories asks the engine, by way of the API server, for all it tells.
func (i *installed) stories(t *testing.T) []tapio.Story {
	t.Helper()
	text, err := i.script(t.Context(), i.dir, i.env, `kubectl get --raw "/api/v1/namespaces/$NS/services/tapio:8080/proxy/api/v1/stories?limit=200"`)
	if err != nil {
		t.Logf("ask for stories: %v\n%s", err, text)
		return nil
	}
	var answer struct {
		Stories []tapio.Story `json:"stories"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Logf("%v in %.300s", err, text)
	}
	return answer.Stories
}

// awaitStory waits for a story that is the one meant, and fine. Where none
// comes, it says what the one meant lacks, and of the others their titles.
func (i *installed) awaitStory(t *testing.T, limit time.Duration, what string, meant, fine func(*tapio.Story) bool) tapio.Story {
	t.Helper()
	var found tapio.Story
	eventually(t, limit, what, func() (bool, string) {
		var it, others []string
		for _, s := range i.stories(t) {
			title := fmt.Sprintf("%s %s of %s: %s", s.Status, s.Cause, s.CauseEntity, s.Title)
			if !meant(&s) {
				others = append(others, title)
				continue
			}
			if fine(&s) {
				found = s
				return true, ""
			}
			it = append(it, title)
			for _, l := range s.Timeline {
				it = append(it, fmt.Sprintf("  %s %v %s", l.Timestamp.Format("15:04:05.000"), l.Witnesses, l.Description))
			}
			for _, x := range s.Evidence {
				it = append(it, fmt.Sprintf("  evidence %s %s of %s: %.60s", x.Source, x.Type, x.Time.Format("15:04:05.000"), x.Text))
			}
		}
		return false, fmt.Sprintf("told of it:\n%s\nand of others:\n%s", strings.Join(it, "\n"), strings.Join(others, "\n"))
	})
	return found
}

// sayAgents says, of a test that failed, on which nodes the pods of its place
// were and what the agents there logged.
func (i *installed) sayAgents(t *testing.T, p *place) {
	text, err := i.script(context.Background(), i.dir, append(slices.Clone(i.env), "PLACE="+p.name), `
kubectl get pods -n "$PLACE" -o wide --no-headers
for node in $(kubectl get pods -n "$PLACE" -o jsonpath='{.items[*].spec.nodeName}' | tr ' ' '\n' | sort -u); do
  agent=$(kubectl get pods -l app.kubernetes.io/component=agent --field-selector spec.nodeName="$node" -o name)
  kubectl get "$agent" --no-headers
  kubectl logs "$agent" --tail 8
done`)
	if err != nil {
		text = fmt.Sprintf("%v\n%s", err, text)
	}
	noteFailure(t, "its pods and their agents:\n%s", text)
	t.Logf("its pods and their agents:\n%s", text)
}

// seenBy reports whether evidence of the type, by the source, stands in the
// story.
func seenBy(s *tapio.Story, source tapio.Source, typ tapio.EventType) bool {
	return slices.ContainsFunc(s.Evidence, func(e tapio.Evidence) bool { return e.Source == source && e.Type == typ })
}

// exitSeenBy reports whether the end of a container stands on the timeline to
// the millisecond, the first or the last of several, with all these witnesses
// beside it.
func exitSeenBy(s *tapio.Story, witnesses ...tapio.Source) bool {
	return slices.ContainsFunc(s.Timeline, func(l tapio.StoryEvent) bool {
		unseen := func(w tapio.Source) bool { return !slices.Contains(l.Witnesses, w) }
		return l.Type == tapio.ContainerExit && l.Timestamp.Nanosecond()+l.Last.Nanosecond() != 0 && !slices.ContainsFunc(witnesses, unseen)
	})
}

// TestChart installs what the chart renders and breaks things: the stories name
// the cause and cite what the agents saw of it. Then the agents go, and what
// the API alone shows is told as before.
func TestChart(t *testing.T) {
	b := shared
	if len(b.nodes) == 0 {
		t.Skip("images are loaded into nodes of our own only")
	}
	b.cleared(t)
	i := b.install(t)
	dir := filepath.Join(b.out, "chart-stories")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	keep := func(t *testing.T, name string, s tapio.Story) {
		data, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".json"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", s.Title)
		for _, l := range s.Timeline {
			t.Logf("  %s %s", l.Timestamp.Format("15:04:05.000"), l.Description)
		}
	}
	// broken plays what a scenario breaks, and waits for a story with its cause
	// that is fine.
	broken := func(t *testing.T, s scenario, what string, fine func(*tapio.Story) bool) tapio.Story {
		t.Helper()
		node := b.nodes[s.Node]
		p := b.set(t, strings.NewReplacer(".", "-", "_", "-").Replace("e2e-chart-"+s.name), &s, node)
		if mend := s.files["mend"] + s.files["repair"]; s.Node != "" || s.Access {
			t.Cleanup(func() { // others need what was broken
				if text, err := b.script(context.Background(), p.dir, p.env, mend); err != nil {
					errorf(t, "%v\n%s", err, text)
				}
			})
		}
		defer func() {
			if t.Failed() {
				i.sayAgents(t, p)
			}
		}()
		p.run(t, s.files["fault"]+s.files["break"])
		want := s.want(p.name, node)
		story := i.awaitStory(t, 4*time.Minute, fmt.Sprintf("%s, %s", want, what), want.is, fine)
		keep(t, s.name, story)
		return story
	}
	saw := func(source tapio.Source, typ tapio.EventType) func(*tapio.Story) bool {
		return func(s *tapio.Story) bool { return seenBy(s, source, typ) }
	}
	anything := func(*tapio.Story) bool { return true }
	failed := saw(tapio.SourceCRI, tapio.CRIContainerFailed)
	calls := func(s *tapio.Story) bool {
		return seenBy(s, tapio.SourceEBPF, tapio.ConnectionFailed) || seenBy(s, tapio.SourceEBPF, tapio.AppError)
	}
	cases := []struct {
		name, file string
		what       string
		fine       func(*tapio.Story) bool
		also       tapio.Cause // what is right as well, with an agent's evidence
	}{
		{name: "exit", file: "causes/container.app_error", what: "that kubelet, runtime and kernel saw, at the runtime's time", fine: func(s *tapio.Story) bool {
			return failed(s) && seenBy(s, tapio.SourceEBPF, tapio.ProcessExit) && exitSeenBy(s, tapio.SourceCRI)
		}},
		{name: "oom", file: "causes/container.oom_limit", what: "that kubelet, runtime and kernel saw", fine: func(s *tapio.Story) bool {
			return seenBy(s, tapio.SourceCRI, tapio.CRIResourceLimitHit) && seenBy(s, tapio.SourceEBPF, tapio.OOMKill)
		}},
		{name: "oom-child", file: "agent/oom-child", what: "that the kernel alone saw", fine: saw(tapio.SourceEBPF, tapio.OOMOfChild)},
		{name: "oom-node", file: "agent/oom-node", what: "that the kernel saw", fine: saw(tapio.SourceEBPF, tapio.OOMOfNode)},
		{name: "segfault", file: "causes/container.crash_signal", what: "that runtime and kernel saw", fine: func(s *tapio.Story) bool {
			return failed(s) && seenBy(s, tapio.SourceEBPF, tapio.ProcessExit)
		}},
		{name: "killed", file: "agent/killed", what: "whose killer the kernel saw", fine: saw(tapio.SourceEBPF, tapio.KilledBy)},
		{name: "liveness", file: "causes/container.liveness_failed", what: "that the runtime saw", fine: failed},
		{name: "refused", file: "causes/dependency.unreachable", what: "of which the kernel saw refused calls", fine: calls, also: tapio.CausePortMismatch},
		{name: "dropped", file: "causes/network.policy_denied", what: "of which the kernel saw calls without an answer", fine: calls},
		{name: "cut", file: "agent/cut", what: "that runtime and kernel saw while nobody could be told", fine: func(s *tapio.Story) bool {
			return exitSeenBy(s, tapio.SourceCRI, tapio.SourceEBPF)
		}},
		{name: "image", file: "causes/image.not_found", what: "", fine: anything},
		{name: "image-slow", file: "causes/image.pull_slow", what: "and kubelet and runtime that it came", fine: func(s *tapio.Story) bool {
			return seenBy(s, tapio.SourceKubernetes, tapio.ImagePulled) && seenBy(s, tapio.SourceCRI, tapio.CRIImagePulled)
		}},
	}
	t.Run("agents", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				s := readScenario(t, "testdata/"+c.file+".txtar")
				if c.also != "" {
					s.Alternatives = append(s.Alternatives, c.also)
				}
				broken(t, s, c.what, c.fine)
			})
		}
		t.Run("kubelet", func(t *testing.T) {
			t.Parallel()
			node := b.nodes["stop"]
			i.run(t, "cluster service "+node+" signal KILL kubelet")
			defer i.run(t, "cluster service "+node+" start kubelet")
			keep(t, "kubelet", i.awaitStory(t, 150*time.Second, "a kubelet that is down on a node that lives", func(s *tapio.Story) bool {
				return s.Cause == tapio.CauseNodeKubeletDown && s.Subject.Name == node
			}, saw(tapio.SourceAgent, tapio.NodeKubeletDown)))
		})
		t.Run("runtime", func(t *testing.T) { // it and power need the same node
			broken(t, readScenario(t, "testdata/causes/node.runtime_down.txtar"), "", anything)
		})
		t.Run("power", func(t *testing.T) {
			node := b.nodes["power"]
			eventually(t, time.Minute, node+" is ready", func() (bool, string) {
				text, err := i.script(t.Context(), i.dir, i.env, "kubectl wait --for condition=Ready --timeout 5s node "+node)
				return err == nil, text
			})
			broken(t, readScenario(t, "testdata/agent/power.txtar"), "whose silence its agent and its peers tell of", func(s *tapio.Story) bool {
				return seenBy(s, tapio.SourceAgent, tapio.NodeAgentLost) && seenBy(s, tapio.SourceEBPF, tapio.NodeUnanswering)
			})
		})
	})
	t.Run("dns", func(t *testing.T) { // nobody can look up names meanwhile
		broken(t, readScenario(t, "testdata/causes/dns.failing.txtar"), "", anything)
	})
	for _, s := range i.stories(t) {
		if strings.HasPrefix(s.Subject.Namespace, "e2e-tapio") {
			errorf(t, "a story about tapio itself: %s", s.Title)
		}
	}
	t.Logf("%s", i.run(t, `kubectl get --raw "/api/v1/namespaces/$NS/services/tapio:8080/proxy/metrics" | grep -E '^tapio_relay_(delay|observations|repeated|refused)'
kubectl logs statefulset/tapio --tail 40
for pod in $(kubectl get pods -l app.kubernetes.io/component=agent -o name); do kubectl logs "$pod" --tail 12 || true; done
for node in node-1 node-3; do
  cluster exec "$node" sh -c 'for p in $(pidof tapio-agent); do grep -E "VmRSS|VmHWM" /proc/$p/status; read -r up idle < /proc/uptime; set -- $(cat /proc/$p/stat); up=${up%.*}; echo "CPU: $(( (${14} + ${15}) * 10 )) ms in $(( up - ${22} / 100 )) s"; done' || true
done`))

	t.Run("without", func(t *testing.T) {
		i.run(t, "kubectl delete daemonset tapio-agent --wait --timeout 60s")
		s := readScenario(t, "testdata/causes/container.app_error.txtar")
		s.name = "without"
		story := broken(t, s, "the same without agents", anything)
		if failed(&story) {
			t.Error("an agent that is gone is cited")
		}
	})
}
