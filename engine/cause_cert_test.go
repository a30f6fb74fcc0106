package engine

import (
	"testing"

	"github.com/yairfalse/tapio"
)

// TestExpiredCertificates names the holder of a certificate that has expired,
// and leaves a server that is only away to its own cause.
func TestExpiredCertificates(t *testing.T) {
	const expired = `tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-01-01T12:00:00Z is after 2025-12-31T00:00:00Z`
	api := tapio.Entity{Kind: tapio.KindAPIService, Name: "v1beta1.metrics.k8s.io"}
	tests := []struct {
		name, message string
		typ           tapio.EventType
		reason        string
		cause         tapio.Cause
		entity        tapio.Entity
	}{
		{"registry", `failed to resolve reference "registry.test/app:1": failed to do request: Head "https://registry.test/v2/": ` + expired, tapio.ContainerWaiting, "ErrImagePull", tapio.CauseCertExpired, tapio.Entity{Kind: tapio.KindRegistry, Name: "registry.test"}},
		{"part of the API", `failing or missing response from https://10.96.0.9:443/apis: ` + expired, tapio.APIServiceUnavailable, "FailedDiscoveryCheck", tapio.CauseCertExpired, api},
		{"part of the API that is away", `failing or missing response from https://10.96.0.9:443/apis: dial tcp 10.96.0.9:443: connect: connection refused`, tapio.APIServiceUnavailable, "FailedDiscoveryCheck", tapio.CauseAPIServiceUnavailable, api},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t)
			about := api
			if tt.typ == tapio.APIServiceUnavailable {
				e.Observe(&tapio.Observation{Time: start, State: &tapio.State{Entity: api, APIService: &tapio.APIServiceState{}}})
			} else {
				about = brokenPod(e, "web", "registry.test/app:1")
				about.Container = "app"
			}
			ev := &tapio.Event{Time: start, Seen: start, Type: tt.typ, Entity: about, Reason: tt.reason, Message: tt.message, Attrs: map[string]string{tapio.AttrImage: "registry.test/app:1"}}
			ev.SetID()
			e.Observe(&tapio.Observation{Time: start, Event: ev})
			if stories := e.Flush(start); len(stories) != 1 || stories[0].Cause != tt.cause || stories[0].CauseEntity != tt.entity {
				t.Errorf("%+v, want one story of %s at %s", stories, tt.cause, tt.entity)
			}
		})
	}
}
