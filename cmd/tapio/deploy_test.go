package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// TestRBACOnlyReads keeps the promise of the README: nothing is written in the
// cluster, and no Secret is read.
func TestRBACOnlyReads(t *testing.T) {
	data, err := os.ReadFile("../../deploy/kubernetes/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rules := 0
	for _, doc := range strings.Split(string(data), "\n---\n") {
		if !strings.Contains(doc, "kind: ClusterRole\n") || strings.Contains(doc, "roleRef") {
			continue
		}
		var role rbacv1.ClusterRole
		if err := yaml.UnmarshalStrict([]byte(doc), &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			rules++
			for _, verb := range rule.Verbs {
				if !slices.Contains([]string{"get", "list", "watch"}, verb) {
					t.Errorf("%v may %s", rule.Resources, verb)
				}
			}
			if slices.Contains(rule.Resources, "secrets") || slices.Contains(rule.Resources, "*") {
				t.Errorf("reads %v", rule.Resources)
			}
		}
	}
	if rules < 5 {
		t.Errorf("found %d rules", rules)
	}
}

// TestSlackManifest parses it, and checks that Socket Mode is as the default
// config has it.
func TestSlackManifest(t *testing.T) {
	data, err := os.ReadFile("../../deploy/slack/manifest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		OAuth struct {
			Scopes struct {
				Bot []string `json:"bot"`
			} `json:"scopes"`
		} `json:"oauth_config"`
		Settings struct {
			SocketMode bool `json:"socket_mode_enabled"`
		} `json:"settings"`
	}
	if err := yaml.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	if !manifest.Settings.SocketMode || !slices.Contains(manifest.OAuth.Scopes.Bot, "chat:write") || !slices.Contains(manifest.OAuth.Scopes.Bot, "commands") {
		t.Errorf("got %+v", manifest)
	}
}
