package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/cri"
)

func TestDefaults(t *testing.T) {
	c, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := parse("default.yaml", reference, c); err != nil || again.Engine != c.Engine {
		t.Errorf("the reference does not pass its own checks: %v", err)
	}
	if time.Duration(c.CRI.PollInterval) != cri.DefaultPollInterval || c.CRI.BufferSize != cri.DefaultBufferSize || c.CRI.MaxContainers != cri.DefaultMaxContainers {
		t.Errorf("default.yaml says %+v, the collector's defaults are others", c.CRI)
	}
}

func TestMistakes(t *testing.T) {
	c, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"cri: {poll_intervall: 5s}":                               "agent.yaml:1: unknown field",
		"listen: nine":                                            "agent.yaml:1: listen: \"nine\" is not an address",
		"node: a\ncri:\n  poll_interval: 1ms":                     "agent.yaml:2: cri: poll_interval is 1ms",
		"cri: {include_namespaces: [a], exclude_namespaces: [a]}": "namespace \"a\" is both included and excluded",
		"buffer: {entries: 0}":                                    "entries and megabytes must be above 0",
		"kernel: {probes: [oops]}":                                "\"oops\" is no probe",
	} {
		if _, err := parse("agent.yaml", []byte(text), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestHelp(t *testing.T) {
	cmd := newCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--help"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Examples:", "--config agent.yaml", "NODE_NAME"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// TestRun starts an agent with neither runtime nor engine nor kubelet: it says
// what it lacks, and stops when it is told to.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	c.Node, c.Listen, c.Buffer.Dir = "node-1", address, filepath.Join(dir, "buffer")
	c.Engine.Address, c.Engine.CAFile = "127.0.0.1:1", filepath.Join(dir, "ca.crt")
	c.CRI.RuntimeEndpoint, c.Kubelet.HealthURL = filepath.Join(dir, "none.sock"), "http://127.0.0.1:1/healthz"
	c.Kernel.Probes = nil
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, options{config: c, log: slog.New(slog.NewTextHandler(t.Output(), nil))}) }()
	get := func(path string) string {
		answer, err := http.Get("http://" + address + path)
		if err != nil {
			return err.Error()
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%d %s", answer.StatusCode, text)
	}
	wants := []string{"503 ", "the container runtime does not answer", "the kubelet does not answer", "read the relay's CA"}
	var ready string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		ready = get("/readyz")
		missing := false
		for _, want := range wants {
			missing = missing || !strings.Contains(ready, want)
		}
		if !missing {
			break
		}
	}
	for _, want := range wants {
		if !strings.Contains(ready, want) {
			t.Errorf("no %q in /readyz:\n%s", want, ready)
		}
	}
	if metrics := get("/metrics"); !strings.Contains(metrics, "tapio_relay_connected 0") || !strings.Contains(metrics, "tapio_cri_stream_broken_total") {
		t.Errorf("metrics:\n%.500s", metrics)
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not stop")
	}
}

// TestKubelet has a kubelet that answers, falls silent and answers again.
func TestKubelet(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	server := &http.Server{Handler: http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { fmt.Fprintln(out, "ok") })}
	go server.Serve(l)
	k := newKubeletWatch("node-1", "http://"+address+"/healthz", slog.New(slog.NewTextHandler(t.Output(), nil)))
	k.every = 20 * time.Millisecond
	told := make(chan tapio.Observation, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.run(ctx, func(o tapio.Observation) { told <- o }) }()
	next := func() *tapio.Event {
		t.Helper()
		select {
		case o := <-told:
			return o.Event
		case <-time.After(10 * time.Second):
			t.Fatal("nothing is told")
			return nil
		}
	}
	time.Sleep(200 * time.Millisecond)
	server.Close()
	closed := time.Now()
	if e := next(); e.Type != tapio.NodeKubeletDown || e.Entity.Name != "node-1" || closed.Sub(e.Time).Abs() > time.Second {
		t.Errorf("told %+v", e)
	}
	if k.lacking() == "" {
		t.Error("nothing is said to be lacking")
	}
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	again := &http.Server{Handler: server.Handler}
	go again.Serve(l)
	defer again.Close()
	if e := next(); e.Type != tapio.NodeKubeletUp {
		t.Errorf("told %+v", e)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(told) != 0 {
		t.Errorf("%d more", len(told))
	}
}
