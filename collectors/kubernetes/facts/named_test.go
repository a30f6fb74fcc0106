package facts

import "testing"

func TestContainerIn(t *testing.T) {
	for message, want := range map[string]string{
		"Container server failed liveness probe, will be restarted":                 "server",
		"Stopping container app":                                                    "app",
		"Created container: app-2":                                                  "app-2",
		"Started container app":                                                     "app",
		"Back-off restarting failed container app in pod web-1_shop(8a9b)":          "app",
		`Error: failed to start container "app": context deadline exceeded`:         "app",
		"Liveness probe failed: HTTP probe failed with statuscode: 500":             "",
		"Container image \"registry.example.com/app:1\" already present on machine": "",
		"Containers were ready":                                                     "",
	} {
		if got := containerIn(message); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}
