//go:build e2e

package e2e

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/yairfalse/tapio"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"
)

// variant is one of the ways in which a scenario is recorded for the corpus.
type variant struct {
	suffix string // of the case's name
	prefix string // of the namespace
	name   string // of the workload, which is "web" in the scenario
	kind   int    // 0 is a Deployment, 1 the first of the scenario's kinds …
	noise  noise
}

// noise is what else happens in the namespace. Its workloads are healthy
// first.
type noise struct {
	apply string // manifest
	after string // script that runs right after the break
	also  string // the Deployment that is not ready from then on, or ""
}

// The noises. A failure beside the one that is looked for begins after it. Old
// events are left by a start that took two tries.
var (
	quietNeighbour = noise{}
	failingOne     = noise{
		apply: neighbour("reports", "replicas: 2", `[sh, -c, "touch /tmp/ready; sleep 86400"]`) + `        readinessProbe: {exec: {command: [cat, /tmp/ready]}, periodSeconds: 2, failureThreshold: 2}
`,
		after: `sleep 3
kubectl exec "$(kubectl get pods -l app=reports -o name | head -1)" -- rm /tmp/ready`,
		also: "reports",
	}
	rollingOne = noise{
		apply: neighbour("ledger", "replicas: 1", `[sh, -c, "[ -e /scratch/tried ] || { touch /scratch/tried; echo ERROR: not yet; exit 1; }; sleep 6; touch /tmp/ready; sleep 86400"]`) + `        readinessProbe: {exec: {command: [cat, /tmp/ready]}, periodSeconds: 2}
        volumeMounts: [{name: scratch, mountPath: /scratch}]
      volumes: [{name: scratch, emptyDir: {}}]
`,
		after: "kubectl rollout restart deploy ledger",
	}
)

var variants = []variant{
	{suffix: "plain", prefix: "shop", name: "web", noise: quietNeighbour},
	{suffix: "beside-a-failure", prefix: "pay", name: "orders", kind: 1, noise: failingOne},
	{suffix: "amid-a-rollout", prefix: "search", name: "gateway", kind: 2, noise: rollingOne},
}

// neighbour is the manifest of a workload that is not the one that breaks.
func neighbour(name, replicas, command string) string {
	return strings.NewReplacer("NAME", name, "REPLICAS", replicas, "COMMAND", command).Replace(`apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  REPLICAS
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: app
        image: testbed.local/busybox:1
        command: COMMAND
        resources: {requests: {cpu: 5m, memory: 8Mi}}
`)
}

var (
	webName = regexp.MustCompile(`\bweb\b`)
	// The workload that breaks, in a manifest and in a script.
	webManifest = regexp.MustCompile(`(?m)^kind: Deployment\nmetadata: \{name: web\}\nspec:\n`)
	webCommand  = regexp.MustCompile(`\bdeploy([ /])web\b`)
)

// vary returns the scenario as the variant has it.
func (s scenario) vary(v variant) scenario {
	kind := tapio.KindDeployment
	if v.kind > 0 && v.kind <= len(s.Kinds) {
		kind = s.Kinds[v.kind-1]
	}
	s.files = maps.Clone(s.files)
	if kind == tapio.KindJob {
		s.asJob()
	}
	for name, text := range s.files {
		if kind != tapio.KindDeployment && kind != tapio.KindJob {
			head := "kind: " + string(kind) + "\nmetadata: {name: web}\nspec:\n"
			if kind == tapio.KindStatefulSet {
				head += "  serviceName: web\n"
			}
			text = webManifest.ReplaceAllLiteralString(text, head)
			text = webCommand.ReplaceAllString(text, strings.ToLower(string(kind))+"${1}web")
		}
		s.files[name] = webName.ReplaceAllLiteralString(text, v.name)
	}
	if kind == tapio.KindDaemonSet {
		// One pod is enough, and the other nodes are for those who break them.
		s.files["healthy.yaml"] = strings.Replace(s.files["healthy.yaml"], "      terminationGracePeriodSeconds: 1\n",
			"      terminationGracePeriodSeconds: 1\n      nodeSelector: {kubernetes.io/hostname: node-1}\n", 1)
	}
	s.Entity = renamed(s.Entity, kind, v.name)
	s.EntityAlternatives = slices.Clone(s.EntityAlternatives)
	for i, e := range s.EntityAlternatives {
		s.EntityAlternatives[i] = renamed(e, kind, v.name)
	}
	return s
}

// asJob makes a Job of what a release makes of the healthy workload: a Job
// can't be patched, so it is new and fails from the start.
func (s *scenario) asJob() {
	var workload appsv1.Deployment
	healthy, err := yaml.YAMLToJSON([]byte(s.files["healthy.yaml"]))
	if err != nil {
		panic(err)
	}
	release, err := yaml.YAMLToJSON([]byte(s.files["release.yaml"]))
	if err != nil {
		panic(err)
	}
	patched, err := strategicpatch.StrategicMergePatch(healthy, release, workload)
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(patched, &workload); err != nil {
		panic(err)
	}
	template := workload.Spec.Template
	template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	tries := int32(1) // a Job that may try more often is not failing yet
	job, err := yaml.Marshal(batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       batchv1.JobSpec{BackoffLimit: &tries, Template: template},
	})
	if err != nil {
		panic(err)
	}
	s.files["job.yaml"] = string(job)
	s.files["healthy.yaml"] = neighbour("front", "replicas: 1", `[sleep, "86400"]`)
	s.files["break"] = strings.Replace(s.files["break"], "kubectl patch deploy web --patch-file release.yaml", "kubectl apply -f job.yaml", 1)
	s.files["mend"] = ""
}

func renamed(e tapio.Entity, kind tapio.Kind, name string) tapio.Entity {
	if e.Kind == tapio.KindDeployment && e.Name == "web" {
		e.Kind = kind
	}
	e.Name = webName.ReplaceAllLiteralString(e.Name, name)
	return e
}
