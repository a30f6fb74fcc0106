// Package chart renders the chart with Helm itself and checks what comes out. It
// is a module of its own, so that Tapio needs no Helm.
package chart

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// rendered is what the chart makes.
type rendered struct {
	engine   *appsv1.StatefulSet
	agent    *appsv1.DaemonSet
	configs  map[string]string // by ConfigMap: its only file
	roles    []rbacv1.ClusterRole
	bindings []rbacv1.ClusterRoleBinding
	accounts map[string]corev1.ServiceAccount
	services map[string]corev1.Service
	secrets  map[string]corev1.Secret
	kinds    []string
}

// helm runs Helm: that of the environment's HELM, or as this module pins it.
func helm(args ...string) (string, error) {
	cmd := exec.Command("go", append([]string{"tool", "helm"}, args...)...)
	if own := os.Getenv("HELM"); own != "" {
		cmd = exec.Command(own, args...)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func render(t *testing.T, values ...string) *rendered {
	t.Helper()
	args := []string{"template", "tapio", "../../helm/tapio", "--namespace", "watch"}
	for _, v := range values {
		args = append(args, "--set", v)
	}
	text, err := helm(args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	r := &rendered{configs: map[string]string{}, accounts: map[string]corev1.ServiceAccount{}, services: map[string]corev1.Service{}, secrets: map[string]corev1.Secret{}}
	for _, doc := range strings.Split(text, "\n---\n") {
		var head struct {
			Kind string `json:"kind"`
		}
		if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		into := func(v any) {
			t.Helper()
			if err := yaml.UnmarshalStrict([]byte(doc), v); err != nil {
				t.Fatalf("%v in\n%s", err, doc)
			}
		}
		switch head.Kind {
		case "":
			continue
		case "StatefulSet":
			r.engine = new(appsv1.StatefulSet)
			into(r.engine)
		case "DaemonSet":
			r.agent = new(appsv1.DaemonSet)
			into(r.agent)
		case "ConfigMap":
			var c corev1.ConfigMap
			into(&c)
			for _, text := range c.Data {
				r.configs[c.Name] = text
			}
		case "ClusterRole":
			var c rbacv1.ClusterRole
			into(&c)
			r.roles = append(r.roles, c)
		case "ClusterRoleBinding":
			var c rbacv1.ClusterRoleBinding
			into(&c)
			r.bindings = append(r.bindings, c)
		case "ServiceAccount":
			var a corev1.ServiceAccount
			into(&a)
			r.accounts[a.Name] = a
		case "Service":
			var s corev1.Service
			into(&s)
			r.services[s.Name] = s
		case "Secret":
			var s corev1.Secret
			into(&s)
			r.secrets[s.Name] = s
		default:
			t.Errorf("a %s, which nothing here checks", head.Kind)
		}
		r.kinds = append(r.kinds, head.Kind)
	}
	return r
}

func TestLint(t *testing.T) {
	if text, err := helm("lint", "--strict", "../../helm/tapio", "--set", "slack.local=true"); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestReadsOnly keeps the promise: get, list and watch, and questions about
// tokens; no Secret; the agent's account may nothing at all.
func TestReadsOnly(t *testing.T) {
	r := render(t, "slack.existingSecret=slack")
	if len(r.roles) != 1 || len(r.bindings) != 1 || len(r.bindings[0].Subjects) != 1 || r.bindings[0].Subjects[0].Name != "tapio" {
		t.Fatalf("%d roles, bindings %+v; want one role, of the engine", len(r.roles), r.bindings)
	}
	for _, rule := range r.roles[0].Rules {
		if slices.Equal(rule.Resources, []string{"tokenreviews"}) {
			continue
		}
		for _, verb := range rule.Verbs {
			if !slices.Contains([]string{"get", "list", "watch"}, verb) {
				t.Errorf("%v may %s", rule.Resources, verb)
			}
		}
		if slices.Contains(rule.Resources, "secrets") || slices.Contains(rule.Resources, "*") {
			t.Errorf("reads %v", rule.Resources)
		}
	}
	if a := r.accounts["tapio-agent"]; a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken {
		t.Error("the agent gets a token for the API server")
	}
}

// TestSameRights compares the chart's rights with those of the plain manifest.
func TestSameRights(t *testing.T) {
	data, err := os.ReadFile("../../kubernetes/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rights := func(rules []rbacv1.PolicyRule) (out []string) {
		for _, rule := range rules {
			for _, resource := range rule.Resources {
				out = append(out, strings.Join(rule.APIGroups, ",")+"/"+resource+" "+strings.Join(rule.Verbs, ","))
			}
		}
		slices.Sort(out)
		return out
	}
	var plain rbacv1.ClusterRole
	for _, doc := range strings.Split(string(data), "\n---\n") {
		if strings.Contains(doc, "kind: ClusterRole\n") {
			if err := yaml.UnmarshalStrict([]byte(doc), &plain); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	want := rights(plain.Rules)
	got := rights(render(t, "slack.local=true", "agent.enabled=false").roles[0].Rules)
	if !slices.Equal(got, want) {
		t.Errorf("without agents the chart may\n%s\nthe manifest\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestAgentIsNarrow holds what the agent gets of a node.
func TestAgentIsNarrow(t *testing.T) {
	r := render(t, "slack.existingSecret=slack")
	pod := r.agent.Spec.Template.Spec
	c := pod.Containers[0]
	s := c.SecurityContext
	if s.Privileged == nil || *s.Privileged || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
		t.Errorf("security context %+v", s)
	}
	if len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" {
		t.Errorf("capabilities %+v", s.Capabilities)
	}
	data, err := os.ReadFile("../../helm/tapio/templates/agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, capability := range s.Capabilities.Add {
		// Each stands on a line of its own with its reason behind it.
		if !strings.Contains(string(data), "- "+string(capability)+" # ") {
			t.Errorf("capability %s has no reason beside it", capability)
		}
		if capability == "SYS_ADMIN" {
			t.Error("SYS_ADMIN is everything")
		}
	}
	for _, m := range c.VolumeMounts {
		if !m.ReadOnly && m.Name != "buffer" {
			t.Errorf("the agent may write to %s", m.MountPath)
		}
	}
	for _, v := range pod.Volumes {
		if v.Secret != nil && (len(v.Secret.Items) != 1 || v.Secret.Items[0].Key != "ca.crt") {
			t.Errorf("the agent sees more of Secret %s than the CA", v.Secret.SecretName)
		}
		if v.Projected != nil {
			if token := v.Projected.Sources[0].ServiceAccountToken; token.Audience != "tapio" {
				t.Errorf("the token is for %q", token.Audience)
			}
		}
	}
}

// TestEngineAndAgentMeet follows the address, the names and the files from one
// to the other.
func TestEngineAndAgentMeet(t *testing.T) {
	for _, values := range [][]string{
		{"slack.existingSecret=slack"},
		{"slack.existingSecret=slack", "fullnameOverride=ignored", "relay.port=9443"},
		{"slack.existingSecret=slack", "relay.tls.existingSecret=own"},
	} {
		r := render(t, values...)
		var engine struct {
			Relay struct {
				Listen string   `json:"listen"`
				Agents []string `json:"agents"`
			} `json:"relay"`
		}
		var agent struct {
			Engine struct {
				Address string `json:"address"`
			} `json:"engine"`
		}
		if err := yaml.Unmarshal([]byte(r.configs["tapio"]), &engine); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal([]byte(r.configs["tapio-agent"]), &agent); err != nil {
			t.Fatal(err)
		}
		host, port, _ := strings.Cut(agent.Engine.Address, ":")
		service := r.services["tapio-relay"]
		if host != "tapio-relay.watch.svc" || service.Name == "" || !strings.HasSuffix(engine.Relay.Listen, ":"+port) {
			t.Errorf("%v: the agent dials %s, the engine listens at %s behind Service %q", values, agent.Engine.Address, engine.Relay.Listen, service.Name)
		}
		for k, v := range service.Spec.Selector {
			if r.engine.Spec.Template.Labels[k] != v {
				t.Errorf("%v: Service selects %s=%s, the engine has %v", values, k, v, r.engine.Spec.Template.Labels)
			}
		}
		if len(engine.Relay.Agents) != 1 || engine.Relay.Agents[0] != "watch/"+r.agent.Spec.Template.Spec.ServiceAccountName {
			t.Errorf("%v: the engine takes %v, the agent is %s", values, engine.Relay.Agents, r.agent.Spec.Template.Spec.ServiceAccountName)
		}
		own := slices.Contains(values, "relay.tls.existingSecret=own")
		if _, made := r.secrets["tapio-relay"]; made == own {
			t.Errorf("%v: a certificate is made: %t", values, made)
		}
		if r.engine.Spec.Template.Spec.SecurityContext.RunAsNonRoot == nil || len(r.engine.Spec.VolumeClaimTemplates) != 1 {
			t.Errorf("%v: the engine runs as root or keeps nothing", values)
		}
	}
}

// TestUserSettings puts a user's settings into the files, under what the chart
// decides.
func TestUserSettings(t *testing.T) {
	r := render(t, "slack.existingSecret=slack", "cluster=prod", "config.engine.quiet=2m", "config.listen=127.0.0.1:1", "agent.config.cri.poll_interval=9s")
	for _, want := range []string{"cluster: prod", "quiet: 2m", "listen: 0.0.0.0:8080"} {
		if !strings.Contains(r.configs["tapio"], want) {
			t.Errorf("no %q in\n%s", want, r.configs["tapio"])
		}
	}
	if !strings.Contains(r.configs["tapio-agent"], "poll_interval: 9s") {
		t.Errorf("the agent's settings:\n%s", r.configs["tapio-agent"])
	}
}

// TestWithoutKernel needs no capability.
func TestWithoutKernel(t *testing.T) {
	r := render(t, "slack.existingSecret=slack", "agent.kernel=false")
	if add := r.agent.Spec.Template.Spec.Containers[0].SecurityContext.Capabilities.Add; len(add) != 0 {
		t.Errorf("capabilities %v", add)
	}
	if !strings.Contains(r.configs["tapio-agent"], "probes: []") {
		t.Errorf("the agent's settings:\n%s", r.configs["tapio-agent"])
	}
}

func TestWithoutAgents(t *testing.T) {
	r := render(t, "slack.existingSecret=slack", "agent.enabled=false", "persistence.enabled=false")
	if r.agent != nil || len(r.secrets) != 0 || strings.Contains(r.configs["tapio"], "relay") || len(r.services) != 1 {
		t.Errorf("something of the agent is left: %v", r.kinds)
	}
}

func TestSaysWhatIsMissing(t *testing.T) {
	text, err := helm("template", "tapio", "../../helm/tapio")
	if err == nil || !strings.Contains(text, "slack.existingSecret") {
		t.Errorf("got %v\n%s", err, text)
	}
}
