package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot"
	"github.com/yairfalse/tapio/bot/slackfake"
	"github.com/yairfalse/tapio/cmd/tapio/api"
	"github.com/yairfalse/tapio/cmd/tapio/blackbox"
	"github.com/yairfalse/tapio/cmd/tapio/config"
	"github.com/yairfalse/tapio/cmd/tapio/lifecycle"
	"github.com/yairfalse/tapio/cmd/tapio/loop"
	"github.com/yairfalse/tapio/collectors/kubernetes/dump"
)

// secretLog is what a careless container prints before it dies. Nothing of
// secrets may leave.
const secretLog = `connecting to postgres://app:pg-Passw0rd-7@db.shop:5432/orders
using password=hunter2-and-more
{"level":"debug","api_key":"json-key-1f8e6b0c77"}
POST /v1 Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjaGVja291dCJ9.c2lnbmF0dXJlLW9mLXRva2Vu
aws AKIAIOSFODNN7EXAMPLE
slack xoxb-123456789012-abcdefABCDEFabcdef
-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ
-----END PRIVATE KEY-----
FATAL: login failed with token=final-line-token-99 at startup
`

var secrets = []string{
	"pg-Passw0rd-7", "hunter2-and-more", "json-key-1f8e6b0c77", "eyJzdWIiOiJjaGVja291dCJ9", "AKIAIOSFODNN7EXAMPLE",
	"abcdefABCDEFabcdef", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ", "final-line-token-99",
}

// buffer is a log that many goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// secretDump is a folder as `kubectl cluster-info dump` writes it, of a
// container that crashes after it printed secrets.
func secretDump(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Now().UTC().Truncate(time.Second)
	stamp := func(ago time.Duration) string { return at.Add(-ago).Format(time.RFC3339) }
	owner := func(kind, name string) []any {
		return []any{map[string]any{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": name + "-uid", "controller": true}}
	}
	meta := func(name string, more map[string]any) map[string]any {
		m := map[string]any{"name": name, "namespace": "shop", "uid": name + "-uid", "creationTimestamp": stamp(10 * time.Minute), "labels": map[string]any{"app": "checkout"}}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	pod := map[string]any{
		"containers": []any{map[string]any{"name": "app", "image": "shop/checkout:1"}}, "nodeName": "n1", "restartPolicy": "Always",
	}
	template := map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": "checkout"}}, "spec": pod}
	selector := map[string]any{"matchLabels": map[string]any{"app": "checkout"}}
	ended := func(ago time.Duration) map[string]any {
		return map[string]any{"terminated": map[string]any{"exitCode": 1, "reason": "Error", "startedAt": stamp(ago + time.Second), "finishedAt": stamp(ago), "containerID": "containerd://c" + fmt.Sprint(ago)}}
	}
	list := func(name, version, kind string, items ...map[string]any) {
		for _, i := range items {
			i["apiVersion"], i["kind"] = version, kind
		}
		b, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Join("shop", name+".json"), b)
	}
	list("deployments", "apps/v1", "Deployment", map[string]any{"metadata": meta("checkout", nil), "spec": map[string]any{"replicas": 1, "selector": selector, "template": template}, "status": map[string]any{"replicas": 1, "unavailableReplicas": 1}})
	list("replicasets", "apps/v1", "ReplicaSet", map[string]any{"metadata": meta("checkout-1", map[string]any{"ownerReferences": owner("Deployment", "checkout")}), "spec": map[string]any{"replicas": 1, "selector": selector, "template": template}, "status": map[string]any{"replicas": 1}})
	list("pods", "v1", "Pod", map[string]any{
		"metadata": meta("checkout-1-a", map[string]any{"ownerReferences": owner("ReplicaSet", "checkout-1")}), "spec": pod,
		"status": map[string]any{
			"phase": "Running", "startTime": stamp(9 * time.Minute),
			"conditions": []any{map[string]any{"type": "Ready", "status": "False", "lastTransitionTime": stamp(8 * time.Minute)}, map[string]any{"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(9 * time.Minute)}},
			"containerStatuses": []any{map[string]any{
				"name": "app", "image": "shop/checkout:1", "imageID": "", "ready": false, "restartCount": 6, "started": false, "containerID": "containerd://now",
				"state": map[string]any{"waiting": map[string]any{"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}}, "lastState": ended(time.Minute),
			}},
		},
	})
	write("shop/checkout-1-a/logs-previous.txt", []byte("==== START logs for container app of pod shop/checkout-1-a ====\n"+secretLog+"==== END logs for container app of pod shop/checkout-1-a ====\n"))
	return folder
}

// TestSecretsStay follows a container that prints secrets from its log to every
// place where words come out: messages and their threads, the answers to
// commands, the stories API, the recording that is exported, and Tapio's own log.
func TestSecretsStay(t *testing.T) {
	seen := &buffer{}
	log := slog.New(slog.NewTextHandler(seen, &slog.HandlerOptions{Level: slog.LevelDebug}))
	result, err := dump.Read(t.Context(), dump.Options{Paths: []string{secretDump(t)}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	parts := lifecycle.New()
	defer func() {
		if err := parts.Stop(stopTimeout); err != nil {
			t.Error(err)
		}
	}()
	workspace, url, err := startWorkspace(parts, "127.0.0.1:0", slackfake.Options{CreateChannels: true})
	if err != nil {
		t.Fatal(err)
	}
	journal := openStore(t)
	templates, err := loadTemplates(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Default()
	if err != nil {
		t.Fatal(err)
	}
	head := header(c, "test")
	keeper := &blackbox.Keeper{Box: blackbox.New(blackbox.Options{}), Folder: filepath.Join(t.TempDir(), "kept"), Header: head}
	speaker, err := bot.New(bot.Options{
		Journal: journal, Stories: journal, Ledger: journal, BotToken: workspace.BotToken(), AppToken: workspace.AppToken(), APIURL: url + "api/",
		SocketMode: true, DefaultChannel: "#incidents", Causes: causeNames(templates), Keep: keeping(journal, keeper), Log: log, BundleFor: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	parts.Run("bot", speaker.Run)
	engine, narrator, err := newJudge(head, templates)
	if err != nil {
		t.Fatal(err)
	}
	l, err := loop.New(loop.Options{Engine: engine, Narrator: narrator, Save: saver(journal, log), Memory: keeper.Box, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	// In life the log is an answer, which comes after what it is asked for.
	isLog := func(o tapio.Observation) bool { return o.Event != nil && o.Event.Type == tapio.ContainerLog }
	slices.SortStableFunc(result.Observations, func(x, y tapio.Observation) int {
		switch {
		case isLog(x) == isLog(y):
			return 0
		case isLog(y):
			return -1
		}
		return 1
	})
	for i := range result.Observations {
		if err := l.Observe(t.Context(), &result.Observations[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, after := range []time.Duration{time.Minute, 2 * time.Minute} {
		if err := l.Tick(t.Context(), result.Now.Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	stories, err := journal.Stories(t.Context(), tapio.Query{})
	if err != nil || len(stories) != 1 {
		t.Fatalf("%d stories, %v", len(stories), err)
	}
	s := stories[0]

	out := map[string]string{} // place → all that came out there
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for len(workspace.Messages("incidents")) == 0 || workspace.Sockets() == 0 {
		select {
		case <-ctx.Done():
			t.Fatalf("nothing was told; the log: %s", seen)
		case <-time.After(20 * time.Millisecond):
		}
	}
	for _, command := range []string{"story checkout", "story " + s.ID, "why checkout", "list", "similar checkout", "note checkout a word", "digest", "ack checkout"} {
		m, err := workspace.Command(ctx, "you", "incidents", "/tapio "+command)
		if err != nil {
			t.Fatalf("/tapio %s: %v", command, err)
		}
		out["/tapio "+command] = m.Text + string(m.Blocks) + string(m.Attachments)
	}
	time.Sleep(1500 * time.Millisecond) // replies follow at Slack's pace
	for _, m := range workspace.Messages("incidents") {
		out["messages"] += m.Text + string(m.Blocks) + string(m.Attachments)
		for _, r := range workspace.Replies("incidents", m.TS) {
			out["replies"] += r.Text + string(r.Blocks)
		}
	}
	for _, call := range workspace.Calls("") {
		out["calls of Slack"] += fmt.Sprint(call.Args)
	}
	h, err := api.Handler(api.Options{
		Stories: journal, Metrics: http.NotFoundHandler(), Ready: func() []string { return nil }, Log: log, Now: time.Now,
		Kept: api.Kept{Ledger: journal, Recording: keeper.Write},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	defer srv.Close()
	for _, path := range []string{"", "/" + s.ID, "/" + s.ID + "/revisions"} {
		resp, err := http.Get(srv.URL + "/api/v1/stories" + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %v", path, resp.StatusCode, err)
		}
		out["the stories API"] += string(b)
	}
	f := tapio.Feedback{Story: s.ID, Time: time.Now(), By: "@you", User: "U1", Told: s.Cause, Standing: s.Standing, Good: true}
	if err := journal.Write(ctx, f.Record()); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "case")
	if err := export(ctx, exportOptions{server: srv.URL, folder: folder, cause: "container.app_error", out: io.Discard}, s.ID); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if z, err := gzip.NewReader(bytes.NewReader(b)); err == nil {
			if b, err = io.ReadAll(z); err != nil {
				return err
			}
		}
		out["the exported case"] += string(b)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	out["tapio's log"] = seen.String()

	// Something must be there to be looked at: the line that the log ends with.
	for _, place := range []string{"messages", "calls of Slack", "/tapio story checkout", "the stories API", "the exported case"} {
		if !strings.Contains(out[place], "login failed with token=") {
			t.Errorf("%s lack the last line of the log, so nothing was tested: %.2000s", place, out[place])
		}
	}
	for place, text := range out {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				at := strings.Index(text, secret)
				t.Errorf("%s show the secret %s: …%s…", place, secret, text[max(at-80, 0):min(at+len(secret)+40, len(text))])
			}
		}
	}
}
