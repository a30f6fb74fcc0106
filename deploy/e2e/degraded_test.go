//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// TestDegraded gives tapio less than it needs, or worse than it expects: each
// time it says what it lacks, and loses no story.
func TestDegraded(t *testing.T) {
	b := shared
	b.cleared(t)
	for name, test := range map[string]func(*testing.T){
		"rbac": b.narrowRights, "unreachable": b.unreachable, "token": b.wrongToken,
		"dump": b.halfDump, "hostile": b.hostileText, "local": b.localSlack,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// crashLoop breaks a workload in a namespace of its own, with the log line.
func (b *bed) crashLoop(t *testing.T, name, log string, annotations map[string]string) *place {
	t.Helper()
	release, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{
		map[string]any{"name": "app", "command": []string{"sh", "-c", `printf '%b\n' "$0" >&2; exit 1`, log}},
	}}}}})
	if err != nil {
		t.Fatal(err)
	}
	p := b.place(t, name, annotations, map[string]string{"web.yaml": readFile(t, "testdata/web.yaml"), "release.json": string(release)}, "")
	p.run(t, "kubectl apply -f web.yaml")
	p.awaitRollouts(t)
	p.run(t, "kubectl patch deployment web --patch-file release.json")
	return p
}

// awaitRoot waits for the only root message of a channel.
func awaitRoot(t *testing.T, w *workspace, live *instance, channel string) (root slackfake.Message, story tapio.Story) {
	t.Helper()
	eventually(t, 90*time.Second, "a root message in #"+channel, func() (bool, string) {
		roots := w.Messages(channel)
		if len(roots) == 0 {
			return false, live.printed()
		}
		root = roots[0]
		var ok bool
		story, ok = live.story(told(root))
		return ok, "no story for " + root.Text
	})
	return root, story
}

// narrowRights: a service account that may read pods and little else.
func (b *bed) narrowRights(t *testing.T) {
	const name = "e2e-narrow"
	w := newWorkspace(t, name)
	p := b.place(t, name+"-account", nil, nil, "")
	t.Cleanup(func() {
		if text, err := b.script(context.Background(), "", nil, "kubectl delete --ignore-not-found clusterrolebinding/e2e-narrow clusterrole/e2e-narrow"); err != nil {
			t.Logf("delete the role: %v\n%s", err, text)
		}
	})
	p.run(t, `
kubectl delete --ignore-not-found clusterrolebinding/e2e-narrow clusterrole/e2e-narrow
kubectl create serviceaccount narrow
kubectl create clusterrole e2e-narrow --verb list,watch --resource pods,namespaces,replicasets.apps,deployments.apps
kubectl create clusterrolebinding e2e-narrow --clusterrole e2e-narrow --serviceaccount "$NS:narrow"
cp kubeconfig narrow
export KUBECONFIG=narrow TOKEN=$(kubectl create token narrow --duration 1h)
kubectl config set-credentials narrow --token "$TOKEN"
kubectl config set-context --current --user narrow`)
	live := b.newInstance(t, w, runOptions{name: "narrow", kubeconfig: filepath.Join(p.dir, "narrow")})
	live.startReady()
	for _, lacking := range []string{"nodes", "pods/log", "events"} {
		if log := live.printed(); !strings.Contains(log, lacking) {
			errorf(t, "its log doesn't say that it may not read %s:\n%s", lacking, log)
		}
	}
	b.crashLoop(t, name, "FATAL: no database", nil)
	_, story := awaitRoot(t, w, live, name)
	if story.Cause != tapio.CauseAppError {
		errorf(t, "told cause %s, want %s", story.Cause, tapio.CauseAppError)
	}
}

// unreachable: nobody answers at the API server's address.
func (b *bed) unreachable(t *testing.T) {
	w := newWorkspace(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "kubeconfig")
	address := freeAddress(t)
	text, err := b.script(t.Context(), dir, nil, fmt.Sprintf(`
cp "$KUBECONFIG" %[1]s
export KUBECONFIG=%[1]s
kubectl config set-cluster "$(kubectl config view -o jsonpath='{.contexts[0].context.cluster}')" --server https://%[2]s`, config, address))
	if err != nil {
		fatalf(t, "%v\n%s", err, text)
	}
	live := b.newInstance(t, w, runOptions{name: "unreachable", kubeconfig: config})
	live.start()
	select {
	case <-live.exited:
	case <-time.After(30 * time.Second):
		fatalf(t, "still running; %s", live.printed())
	}
	wantError(t, live.cmd.ProcessState.ExitCode(), live.printed(), address)

	cmd := exec.CommandContext(t.Context(), b.tapio, "tell", "--kubeconfig", config)
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	wantError(t, cmd.ProcessState.ExitCode(), string(out), address)
}

// wantError wants exit code 1, an error that names what is wrong, and no trace
// of a crash.
func wantError(t *testing.T, code int, printed, names string) {
	t.Helper()
	if code != 1 || !strings.Contains(printed, names) || strings.Contains(printed, "goroutine ") {
		errorf(t, "exit code %d, want 1 and an error that names %q:\n%s", code, names, printed)
	}
}

// wrongToken: Slack refuses the token. Nothing is said, nothing is lost: with
// the right one the story is told.
func (b *bed) wrongToken(t *testing.T) {
	const name = "e2e-token"
	w := newWorkspace(t, name)
	live := b.newInstance(t, w, runOptions{name: "token", token: "xoxb-wrong"})
	live.start()
	eventually(t, time.Minute, "/readyz says that Slack refuses the token", func() (bool, string) {
		status, body := live.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "slack") && strings.Contains(body, "invalid_auth"), fmt.Sprintf("%d %s; %s", status, body, live.printed())
	})
	b.crashLoop(t, name, "FATAL: no database", nil)
	var kept string
	eventually(t, 90*time.Second, "the story is in the journal", func() (bool, string) {
		for _, s := range live.stories() {
			if s.Subject.Namespace == name {
				kept = s.ID
			}
		}
		return kept != "", live.printed()
	})
	if roots := w.Messages(name); len(roots) > 0 {
		errorf(t, "told with a wrong token:\n%s", texts(roots))
	}
	live.stop()
	live.env = append(live.env, "SLACK_BOT_TOKEN="+w.BotToken())
	live.startReady()
	if _, story := awaitRoot(t, w, live, name); story.ID != kept {
		errorf(t, "told story %s, want %s", story.ID, kept)
	}
}

// halfDump: a dump that ends in the middle, as one does when the disk is full.
func (b *bed) halfDump(t *testing.T) {
	dir := t.TempDir()
	text, err := b.script(t.Context(), dir, nil, `
kubectl get pods,nodes,events,deployments,replicasets -A -o json >whole.json
head -c "$(($(stat -c %s whole.json) / 2))" whole.json >half.json`)
	if err != nil {
		fatalf(t, "%v\n%s", err, text)
	}
	for _, dump := range []string{"half.json", "whole.json"} {
		cmd := exec.CommandContext(t.Context(), b.tapio, "tell", dump)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			t.Fatal(err)
		}
		// 2 means that there are stories. Half a dump gives no all-clear.
		code, well := cmd.ProcessState.ExitCode(), 0
		if dump == "half.json" {
			well = 1
		}
		damaged := strings.Contains(string(out), dump+" is damaged")
		if code != well && code != 2 || damaged != (dump == "half.json") || strings.Contains(string(out), "goroutine ") {
			errorf(t, "tell %s: exit code %d:\n%s", dump, code, out)
		}
	}
}

// hostileText: annotations and log lines that would ping, link, hide or break
// out, from a real pod.
func (b *bed) hostileText(t *testing.T) {
	const name = "e2e-hostile"
	w := newWorkspace(t, name)
	live := b.newInstance(t, w, runOptions{name: "hostile"})
	live.startReady()
	const mention = "<!channel> <@U012AB3CD> <!subteam^S012AB3CD> <https://evil.test|status page>"
	b.crashLoop(t, name, "FATAL: ```"+mention+"``` *bold* \u200b\u202epassword=hunter2 "+strings.Repeat("x", 50_000), map[string]string{
		"tapio.dev/team":    mention,
		"tapio.dev/service": "```" + mention,
		"tapio.dev/runbook": "javascript:alert(1)",
	})
	root, story := awaitRoot(t, w, live, name)
	// The log line arrives after the story was opened.
	eventually(t, time.Minute, "the log line is part of the thread", func() (bool, string) {
		said := strings.Builder{}
		for _, m := range append(w.Messages(name), w.Replies(name, root.TS)...) {
			said.WriteString(words(t, m.Blocks))
		}
		return strings.Contains(said.String(), "FATAL"), said.String()
	})
	for _, m := range append(w.Messages(name), w.Replies(name, root.TS)...) {
		sent := m.Text + string(m.Blocks) + string(m.Attachments)
		// JSON may write < as \u003c.
		sent = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(sent)
		for _, bad := range []string{"<!channel", "<@U012AB3CD", "<!subteam", "<https://evil.test", "hunter2", "javascript:", "\u202e", "\u200b"} {
			if strings.Contains(sent, bad) {
				errorf(t, "a message holds %q:\n%s", bad, sent)
			}
		}
	}
	if pings := w.Pings(); len(pings) > 0 {
		errorf(t, "somebody was pinged: %+v", pings)
	}
	if story.Cause != tapio.CauseAppError {
		errorf(t, "told cause %s, want %s", story.Cause, tapio.CauseAppError)
	}
}

// localSlack: no Slack at all, only the page on this machine.
func (b *bed) localSlack(t *testing.T) {
	page, api := freeAddress(t), freeAddress(t)
	log, err := os.Create(filepath.Join(b.out, "local.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.CommandContext(t.Context(), b.tapio, "run", "--slack=local", "--local-listen", page, "--listen", api, "--kubeconfig", b.kubeconfig)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	for url, want := range map[string]string{"http://" + page + "/": "<html", "http://" + api + "/readyz": "ok"} {
		eventually(t, 30*time.Second, url+" answers", func() (bool, string) {
			status, body := (&instance{api: url}).get("")
			return status == http.StatusOK && strings.Contains(body, want), fmt.Sprintf("%d %.300s", status, body)
		})
	}
}
