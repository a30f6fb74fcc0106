package facts

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/yairfalse/tapio"
)

// decoded reads an object as kubectl prints it.
func decoded[T runtime.Object](t *testing.T, o T, text string) T {
	t.Helper()
	if err := json.Unmarshal([]byte(text), o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestPodSpec(t *testing.T) {
	pod := decoded(t, new(corev1.Pod), `{
"metadata": {"name": "web", "namespace": "shop"},
"spec": {
  "hostNetwork": true, "dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.0.0.9"], "searches": ["x"]},
  "nodeSelector": {"disk": "ssd"}, "securityContext": {"runAsUser": 1000, "fsGroup": 2000},
  "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}, {"operator": "Exists"}],
  "volumes": [
    {"name": "settings", "configMap": {"name": "web", "optional": true}}, {"name": "tmp", "emptyDir": {}},
    {"name": "kube-api-access-x2v4k", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    {"name": "host", "hostPath": {"path": "/var/log"}}, {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
  "initContainers": [{"name": "mesh", "restartPolicy": "Always", "ports": [{"containerPort": 15001}]}, {"name": "migrate"}],
  "containers": [{
    "name": "app", "command": ["/app"], "args": ["--db=mysql://root:hunter2@db:3306/x", "--api-key", "hunter2"],
    "ports": [{"name": "http", "containerPort": 8080}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}],
    "livenessProbe": {"httpGet": {"path": "/live", "port": 8080, "scheme": "HTTPS", "httpHeaders": [{"name": "Authorization", "value": "hunter2"}]}, "initialDelaySeconds": 3},
    "readinessProbe": {"tcpSocket": {"port": "http"}, "timeoutSeconds": 4, "periodSeconds": 2, "failureThreshold": 5},
    "startupProbe": {"exec": {"command": ["check", "--token=hunter2"]}},
    "env": [
      {"name": "DB_HOST", "value": "db"}, {"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "level"}}},
      {"name": "PASS", "valueFrom": {"secretKeyRef": {"name": "db", "key": "pass"}}}, {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
    "envFrom": [{"configMapRef": {"name": "all"}}, {"secretRef": {"name": "more"}}],
    "volumeMounts": [{"name": "settings", "mountPath": "/etc/web", "readOnly": true}, {"name": "kube-api-access-x2v4k", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
    "securityContext": {"runAsUser": 7, "runAsNonRoot": true, "readOnlyRootFilesystem": true}
  }]}}`)
	id := func(n int64) *int64 { return &n }
	cm := func(name string) tapio.Entity { return tapio.Entity{Kind: tapio.KindConfigMap, Name: name} }
	secret := func(name string) tapio.Entity { return tapio.Entity{Kind: tapio.KindSecret, Name: name} }
	wanted := &tapio.PodSpec{
		HostNetwork: true, DNSPolicy: "None", Nameservers: []string{"10.0.0.9"}, RunAsUser: id(1000), FSGroup: id(2000),
		Volumes: []tapio.Volume{
			{Name: "settings", Source: cm("web"), Optional: true}, {Name: "tmp", Source: tapio.Entity{Kind: "EmptyDir"}},
			{Name: "host", Source: tapio.Entity{Kind: "HostPath"}, Path: "/var/log"},
			{Name: "data", Source: tapio.Entity{Kind: tapio.KindPersistentVolumeClaim, Name: "data"}},
		},
		Containers: []tapio.ContainerSpec{
			{Name: "mesh", Init: true, Sidecar: true, Ports: []tapio.ContainerPort{{Port: 15001, Protocol: "TCP"}}},
			{Name: "migrate", Init: true},
			{
				Name: "app", Command: []string{"/app"}, Args: []string{"--db=mysql://(hidden)@db:3306/x", "--api-key", "(hidden)"},
				Ports: []tapio.ContainerPort{{Name: "http", Port: 8080, Protocol: "TCP"}, {Name: "dns", Port: 53, Protocol: "UDP"}},
				Probes: []tapio.Probe{
					{Kind: "liveness", Type: "http", Port: "8080", Path: "/live", Scheme: "HTTPS", Delay: 3, Period: 10, Timeout: 1, Failures: 3},
					{Kind: "readiness", Type: "tcp", Port: "http", Period: 2, Timeout: 4, Failures: 5},
					{Kind: "startup", Type: "exec", Period: 10, Timeout: 1, Failures: 3},
				},
				Env: []tapio.EnvVar{
					{Name: "DB_HOST", Value: "db"}, {Name: "DB_PASSWORD", Value: "(hidden)"}, {Name: "LEVEL", From: cm("web"), Key: "level"},
					{Name: "PASS", From: secret("db"), Key: "pass"}, {Name: "IP", Key: "status.podIP"},
				},
				EnvFrom: []tapio.Entity{cm("all"), secret("more")},
				Mounts:  []tapio.Mount{{Volume: "settings", Path: "/etc/web", ReadOnly: true}}, RunAsUser: id(7), RunAsNonRoot: true, ReadOnlyRootFS: true,
			},
		},
	}
	if d := cmp.Diff(wanted, podSpec(&pod.Spec)); d != "" {
		t.Errorf("as it came (-want +got):\n%s", d)
	}
	Strip(pod)
	if d := cmp.Diff(wanted, podSpec(&pod.Spec)); d != "" {
		t.Errorf("stripped (-want +got):\n%s", d)
	}
	if data, _ := json.Marshal(pod); strings.Contains(string(data), "hunter2") {
		t.Errorf("the stripped pod keeps a secret: %s", data)
	}
}

func TestPolicyState(t *testing.T) {
	p := decoded(t, new(networkingv1.NetworkPolicy), `{
"metadata": {"name": "db", "namespace": "shop"},
"spec": {"podSelector": {"matchLabels": {"app": "db"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]},
  "policyTypes": ["Ingress"],
  "ingress": [{"from": [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": 5432}, {"port": 8000, "endPort": 8010, "protocol": "UDP"}]}]}}`)
	wanted := &tapio.PolicyState{
		Pods:    tapio.LabelSelector{Labels: map[string]string{"app": "db"}, Expressions: []tapio.Requirement{{Key: "tier", Operator: "In", Values: []string{"a", "b"}}}},
		Ingress: true,
		From: []tapio.PolicyRule{{
			Peers: []tapio.PolicyPeer{{Pods: &tapio.LabelSelector{}}, {CIDR: "10.0.0.0/8", Except: []string{"10.1.0.0/16"}}},
			Ports: []tapio.PolicyPort{{Protocol: "TCP", Port: "5432"}, {Protocol: "UDP", Port: "8000", End: 8010}},
		}},
	}
	Strip(p)
	got := Between(nil, p, at, true, nil)
	if len(got) != 1 {
		t.Fatalf("%d observations of a listed policy, want its state", len(got))
	}
	if d := cmp.Diff(wanted, got[0].State.Policy); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	again := p.DeepCopy()
	again.Spec.PodSelector.MatchLabels["app"] = "dbs"
	want(t, told(t, p, again, false, nil), `now policy.changed NetworkPolicy/shop/db Updated; podSelector[matchLabels].app: "db" → "dbs"`)
}

func TestRouteStates(t *testing.T) {
	service := tapio.Entity{Kind: tapio.KindService, Namespace: "shop", Name: "web"}
	ingress := decoded(t, new(networkingv1.Ingress), `{
"metadata": {"name": "front", "namespace": "shop"},
"spec": {"ingressClassName": "nginx", "defaultBackend": {"service": {"name": "web", "port": {"name": "http"}}},
  "rules": [{"host": "shop.test", "http": {"paths": [{"path": "/cart", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}, {"host": "bare.test"}]}}`)
	route := new(unstructured.Unstructured)
	if err := route.UnmarshalJSON([]byte(`{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
"metadata": {"name": "front", "namespace": "shop"},
"spec": {"hostnames": ["shop.test"], "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/cart"}}],
  "backendRefs": [{"name": "web", "port": 80}, {"name": "bucket", "kind": "Bucket"}, {"name": "web", "namespace": "other", "port": 81}]}]}}`)); err != nil {
		t.Fatal(err)
	}
	other := service
	other.Namespace = "other"
	for name, x := range map[string]struct {
		object runtime.Object
		want   tapio.RouteState
	}{
		"Ingress": {ingress, tapio.RouteState{Class: "nginx", Backends: []tapio.RouteBackend{
			{Service: service, Port: "http"}, {Host: "shop.test", Path: "/cart", Service: service, Port: "80"},
		}}},
		"HTTPRoute": {route, tapio.RouteState{Backends: []tapio.RouteBackend{
			{Host: "shop.test", Path: "/cart", Service: service, Port: "80"}, {Host: "shop.test", Path: "/cart", Service: other, Port: "81"},
		}}},
	} {
		Strip(x.object)
		got := Between(nil, x.object, at, true, nil)
		if len(got) != 1 {
			t.Fatalf("%s: %d observations, want its state", name, len(got))
		}
		if d := cmp.Diff(&x.want, got[0].State.Route); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestServicePorts(t *testing.T) {
	s := decoded(t, new(corev1.Service), `{"metadata": {"name": "web", "namespace": "shop"},
"spec": {"clusterIP": "10.96.0.7", "ports": [{"name": "http", "port": 80, "targetPort": "web"}, {"port": 53, "protocol": "UDP"}]}}`)
	Strip(s)
	got := Between(nil, s, at, true, nil)[0].State.Service
	wanted := &tapio.ServiceState{IP: "10.96.0.7", Ports: []tapio.ServicePort{
		{Name: "http", Port: 80, Target: "web", Protocol: "TCP"}, {Port: 53, Target: "53", Protocol: "UDP"},
	}}
	if d := cmp.Diff(wanted, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestConfigValuesAreBounded(t *testing.T) {
	c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Data: map[string]string{"long": strings.Repeat("x", 10000), "token": "hunter2", "url": "http://api:80"}}
	for i := range 100 {
		c.Data["z"+number(int32(i))] = "x"
	}
	Strip(c)
	values := Between(nil, c, at, true, nil)[0].State.Config.Values
	if len(values) != maxKeys || len(values["long"]) > maxConfigValue || values["token"] != "(hidden)" || values["url"] != "http://api:80" {
		t.Errorf("%d values, %d bytes of the long one, token %q, url %q", len(values), len(values["long"]), values["token"], values["url"])
	}
}
