package facts

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/yairfalse/tapio"
)

func TestTemplateChanges(t *testing.T) {
	const before = `
metadata:
  labels: {app: web, pod-template-hash: abc}
  annotations: {checksum/config: "1", kubectl.kubernetes.io/restartedAt: x}
spec:
  serviceAccountName: web
  nodeSelector: {disk: ssd}
  volumes: [{name: conf, configMap: {name: conf-1}}]
  containers:
  - name: app
    image: web:1
    args: [--port=80, --token=abc]
    env: [{name: LEVEL, value: info}, {name: URL, value: "http://a"}, {name: KEY, valueFrom: {secretKeyRef: {name: s, key: k}}}]
    resources: {limits: {memory: 256Mi}, requests: {cpu: 100m}}
    readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 5}
    ports: [{containerPort: 80}]
  - {name: old, image: side:1}
`
	const after = `
metadata:
  labels: {app: web, pod-template-hash: def, tier: front}
  annotations: {checksum/config: "2", kubectl.kubernetes.io/restartedAt: y}
spec:
  serviceAccountName: other
  nodeSelector: {disk: hdd}
  tolerations: [{key: gpu, operator: Exists}]
  volumes: [{name: conf, configMap: {name: conf-2}}]
  containers:
  - name: app
    image: web:2
    command: [/bin/web]
    args: [--port=81, --token=def]
    env: [{name: URL, value: "http://u:p@b"}, {name: KEY, valueFrom: {secretKeyRef: {name: s2, key: k}}}, {name: API_TOKEN, value: v}]
    envFrom: [{configMapRef: {name: env}}]
    resources: {limits: {memory: 128Mi}}
    readinessProbe: {httpGet: {path: /ready, port: 80}, periodSeconds: 5}
    ports: [{containerPort: 81}]
`
	var a, b corev1.PodTemplateSpec
	for text, into := range map[string]*corev1.PodTemplateSpec{before: &a, after: &b} {
		if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	want := []tapio.Change{
		{Field: "annotations[checksum/config]", From: "1", To: "2"},
		{Field: "containers[app].args", From: "--port=80 --token=(hidden)", To: "--port=81 --token=(hidden)"},
		{Field: "containers[app].command", To: "/bin/web"},
		{Field: "containers[app].envFrom", To: `[{"configMapRef":{"name":"env"}}]`},
		{Field: "containers[app].env[API_TOKEN]", To: "(hidden)"},
		{Field: "containers[app].env[KEY]", From: `from {"secretKeyRef":{"key":"k","name":"s"}}`, To: `from {"secretKeyRef":{"key":"k","name":"s2"}}`},
		{Field: "containers[app].env[LEVEL]", From: "info"},
		{Field: "containers[app].env[URL]", From: "http://a", To: "http://(hidden)@b"},
		{Field: "containers[app].image", From: "web:1", To: "web:2"},
		{Field: "containers[app].ports.containerPort", From: "80", To: "81"},
		{Field: "containers[app].readinessProbe.httpGet.path", From: "/", To: "/ready"},
		{Field: "containers[app].resources.limits.memory", From: "256Mi", To: "128Mi"},
		{Field: "containers[app].resources.requests.cpu", From: "100m"},
		{Field: "containers[old].image", From: "side:1"},
		{Field: "containers[old].name", From: "old"},
		{Field: "labels[tier]", To: "front"},
		{Field: "nodeSelector[disk]", From: "ssd", To: "hdd"},
		{Field: "serviceAccountName", From: "web", To: "other"},
		{Field: "tolerations", To: `[{"key":"gpu","operator":"Exists"}]`},
		{Field: "volumes[conf].configMap.name", From: "conf-1", To: "conf-2"},
	}
	if d := cmp.Diff(want, templateChanges(&a, &b)); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
	if got := templateChanges(&a, &a); len(got) != 0 {
		t.Errorf("changes between equal templates: %v", got)
	}
}

func TestDifferenceIsBounded(t *testing.T) {
	old, new := map[string]any{}, map[string]any{}
	for i := range 3 * maxChanges {
		new[strings.Repeat("k", 20*i+1)] = strings.Repeat("é", 1000)
	}
	got := difference(old, new)
	if len(got) != maxChanges {
		t.Errorf("%d changes, want %d", len(got), maxChanges)
	}
	for _, c := range got {
		if len(c.To) > maxValue || len(c.Field) > maxValue {
			t.Errorf("change of %d and %d bytes", len(c.Field), len(c.To))
		}
	}
}
