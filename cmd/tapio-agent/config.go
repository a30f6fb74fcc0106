package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"net"
	"os"

	"github.com/yairfalse/tapio/cmd/tapio/strict"
	"github.com/yairfalse/tapio/collectors/cri"
	"github.com/yairfalse/tapio/collectors/kernel"
	"sigs.k8s.io/yaml"
)

// reference is the shipped default file, comments included.
//
//go:embed default.yaml
var reference []byte

// config is everything that the file can say.
type config struct {
	Node    string        `json:"node"`
	Listen  string        `json:"listen"`
	Engine  engine        `json:"engine"`
	Buffer  buffer        `json:"buffer"`
	Kubelet kubelet       `json:"kubelet"`
	CRI     cri.Config    `json:"cri"`
	Kernel  kernel.Config `json:"kernel"`
}

type engine struct {
	Address    string `json:"address"`
	ServerName string `json:"server_name"`
	CAFile     string `json:"ca_file"`
	TokenFile  string `json:"token_file"`
}

type buffer struct {
	Dir       string `json:"dir"`
	Entries   int    `json:"entries"`
	Megabytes int    `json:"megabytes"`
}

type kubelet struct {
	HealthURL string `json:"health_url"`
}

// load reads the file over the defaults. An empty name returns the defaults.
func load(name string) (config, error) {
	var c config
	if err := yaml.UnmarshalStrict(reference, &c); err != nil {
		return c, fmt.Errorf("read default.yaml: %w", err)
	}
	if name == "" {
		return c, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return c, fmt.Errorf("read config: %w", err)
	}
	return parse(name, data, c)
}

// parse decodes a config file over the defaults. Every mistake in it is
// reported with its line and field.
func parse(name string, data []byte, c config) (config, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return c, nil
	}
	doc, err := strict.Parse(name, data)
	if err != nil {
		return c, err
	}
	if err := doc.Check(c); err != nil {
		return c, err
	}
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return c, fmt.Errorf("%s:%d: listen: %q is not an address such as 127.0.0.1:9464", name, doc.Line("listen"), c.Listen)
	}
	if c.Buffer.Entries < 1 || c.Buffer.Megabytes < 1 {
		return c, fmt.Errorf("%s:%d: buffer: entries and megabytes must be above 0", name, doc.Line("buffer"))
	}
	if err := c.CRI.Validate(); err != nil {
		return c, fmt.Errorf("%s:%d: cri: %w", name, doc.Line("cri"), err)
	}
	if err := c.Kernel.Validate(); err != nil {
		return c, fmt.Errorf("%s:%d: kernel: %w", name, doc.Line("kernel"), err)
	}
	return c, nil
}
