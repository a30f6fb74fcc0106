package facts

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/yairfalse/tapio"
)

func apiService(status, reason, message string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": "v1beta1.metrics.k8s.io", "uid": "u1"},
		"spec":     map[string]any{"service": map[string]any{"namespace": "kube-system", "name": "metrics-server"}},
		"status": map[string]any{"conditions": []any{map[string]any{
			"type": "Available", "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-01-02T10:00:00Z",
		}}},
	}}
}

// TestAPIService tells a part of the API that is found unavailable, goes away
// and comes back, once each.
func TestAPIService(t *testing.T) {
	up, down := apiService("True", "Passed", ""), apiService("False", "FailedDiscoveryCheck", "connection refused")
	at := time.Date(2026, 1, 2, 10, 5, 0, 0, time.UTC)
	tests := []struct {
		name     string
		old, new *unstructured.Unstructured
		listed   bool
		want     tapio.EventType
	}{
		{"found well", nil, up, true, ""},
		{"found unavailable", nil, down, true, tapio.APIServiceUnavailable},
		{"goes away", up, down, false, tapio.APIServiceUnavailable},
		{"still away", down, down, false, ""},
		{"comes back", down, up, false, tapio.APIServiceAvailable},
	}
	for _, tt := range tests {
		var got tapio.EventType
		var list []tapio.Observation
		if tt.old == nil {
			list = Between(nil, tt.new, at, tt.listed, nil)
		} else {
			list = Between(tt.old, tt.new, at, tt.listed, nil)
		}
		for _, o := range list {
			if o.Event != nil {
				got = o.Event.Type
				if want := time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC); !o.Event.Time.Equal(want) {
					t.Errorf("%s: at %s, want the condition's %s", tt.name, o.Event.Time, want)
				}
			}
			if o.State != nil && o.State.APIService.Service.Name != "metrics-server" {
				t.Errorf("%s: state %+v", tt.name, o.State.APIService)
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
