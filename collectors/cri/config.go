package cri

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// Config is what a user may say of the runtime, in the words of the seed
// design.
type Config struct {
	RuntimeEndpoint string         `json:"runtime_endpoint"` // socket of the runtime; "" looks for one
	PollInterval    tapio.Duration `json:"poll_interval"`
	BufferSize      int            `json:"buffer_size"`   // events of the runtime that wait to be read
	EnableEvents    bool           `json:"enable_events"` // the runtime's stream beside polling
	EnableMetrics   bool           `json:"enable_metrics"`
	MaxContainers   int            `json:"max_containers"`

	IncludeNamespaces []string          `json:"include_namespaces"`
	ExcludeNamespaces []string          `json:"exclude_namespaces"`
	IncludeLabels     map[string]string `json:"include_labels"`
}

// Defaults of Config.
const (
	DefaultPollInterval  = 5 * time.Second
	DefaultBufferSize    = 1000
	DefaultMaxContainers = 10_000
)

// Validate says what can't be meant.
func (c *Config) Validate() error {
	switch {
	case time.Duration(c.PollInterval) < time.Second:
		return fmt.Errorf("poll_interval is %s: polling more often than once a second costs the runtime more than it tells", time.Duration(c.PollInterval))
	case c.BufferSize < 1:
		return errors.New("buffer_size must be above 0")
	case c.MaxContainers < 1:
		return errors.New("max_containers must be above 0")
	}
	for _, n := range c.IncludeNamespaces {
		if slices.Contains(c.ExcludeNamespaces, n) {
			return fmt.Errorf("namespace %q is both included and excluded", n)
		}
	}
	return nil
}

// wanted reports whether pods of the namespace with these labels are told.
func (c *Config) wanted(namespace string, labels map[string]string) bool {
	if len(c.IncludeNamespaces) > 0 && !slices.Contains(c.IncludeNamespaces, namespace) {
		return false
	}
	if slices.Contains(c.ExcludeNamespaces, namespace) {
		return false
	}
	for k, v := range c.IncludeLabels {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// sockets is where runtimes listen.
var sockets = []string{"/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/k3s/containerd/containerd.sock", "/var/run/cri-dockerd.sock"}

// endpoint is the socket to dial: the one given, or the first that is there,
// below root, which is where the node's files are seen from here.
func endpoint(given, root string) (string, error) {
	if given != "" {
		return strings.TrimPrefix(given, "unix://"), nil
	}
	for _, s := range sockets {
		if info, err := os.Stat(root + s); err == nil && info.Mode()&os.ModeSocket != 0 {
			return root + s, nil
		}
	}
	return "", fmt.Errorf("no container runtime listens at %s: name its socket with cri.runtime_endpoint", strings.Join(sockets, ", "))
}
