package library

import "github.com/yairfalse/tapio"

// Test is one test of the templates in its file: a small cluster, what happens
// in it, and the story that must be told of it. `tapio templates test` runs it.
type Test struct {
	Name      string         `json:"name"`
	Cluster   Cluster        `json:"cluster,omitzero"`
	Observe   []Step         `json:"observe,omitempty"`
	Dump      string         `json:"dump,omitempty"`      // instead of observe: what tapio tell reads; a path from the file on
	Recording string         `json:"recording,omitempty"` // instead of observe: what tapio replay reads; a path from the file on
	Until     tapio.Duration `json:"until,omitempty"`
	Expect    Expect         `json:"expect"`

	Line int `json:"-"` // where it stands in its file
}

// Cluster is the small cluster of a test: one workload with its pods on one
// node and a Service before them, all well. What is left out has its default.
type Cluster struct {
	Workload    string            `json:"workload,omitempty"`
	Replicas    int32             `json:"replicas,omitempty"`
	Container   string            `json:"container,omitempty"`
	Image       string            `json:"image,omitempty"`
	Service     string            `json:"service,omitempty"`
	Node        string            `json:"node,omitempty"`
	MemoryLimit string            `json:"memory_limit,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Step is one fact and when it is observed.
type Step struct {
	At       tapio.Duration    `json:"at"`
	On       string            `json:"on,omitempty"`
	Type     tapio.EventType   `json:"type"`
	Reason   string            `json:"reason,omitempty"`
	Message  string            `json:"message,omitempty"`
	Severity tapio.Severity    `json:"severity,omitempty"`
	Count    int               `json:"count,omitempty"`
	ExitCode int               `json:"exit_code,omitempty"`
	Attrs    map[string]string `json:"attrs,omitempty"`
	Changes  []tapio.Change    `json:"changes,omitempty"`
	Ready    bool              `json:"ready,omitempty"`
}

// Expect is the story that must be told first. Empty fields are not compared.
type Expect struct {
	None      bool           `json:"none,omitempty"`
	Template  string         `json:"template,omitempty"`
	Cause     tapio.Cause    `json:"cause,omitempty"`
	Entity    string         `json:"entity,omitempty"`
	Standing  tapio.Standing `json:"standing,omitempty"`
	Severity  tapio.Severity `json:"severity,omitempty"`
	Title     string         `json:"title,omitempty"`
	RootCause string         `json:"root_cause,omitempty"`
	Action    string         `json:"action,omitempty"`
}
