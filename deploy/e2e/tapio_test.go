//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
)

// quiet is the engine's quiet time in these tests: how long everything must
// be healthy before a story is resolved. A minute, the default, tests no more.
const quiet = 15 * time.Second

// workspace is the stand-in for Slack, in the tests' own process, so that it
// outlives any tapio.
type workspace struct {
	*slackfake.Workspace
	url string
}

func newWorkspace(t *testing.T, channels ...string) *workspace {
	t.Helper()
	o := slackfake.Options{
		Team: "e2e", BotToken: "xoxb-local", AppToken: "xapp-local",
		Channels: []slackfake.Channel{{Name: "incidents"}},
		Log:      slog.New(slog.DiscardHandler),
	}
	for _, c := range channels {
		o.Channels = append(o.Channels, slackfake.Channel{Name: c})
	}
	w := &workspace{Workspace: slackfake.New(o)}
	server := httptest.NewServer(w.Handler())
	w.url = server.URL
	t.Cleanup(server.Close)
	return w
}

// instance is one `tapio run`, which can be killed and started again on the
// same data.
type instance struct {
	t      *testing.T
	tapio  string
	args   []string
	env    []string
	api    string // base URL of its HTTP API
	log    string // file of what it printed
	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
}

// runOptions say how a tapio is run.
type runOptions struct {
	name       string // of its log and recording
	kubeconfig string // the bed's where empty
	token      string // xoxb-local where empty
	record     bool
	control    []string // more settings of control_plane
}

// newInstance writes the config of a tapio that tells into w, and does not
// start it.
func (b *bed) newInstance(t *testing.T, w *workspace, o runOptions) *instance {
	t.Helper()
	dir := t.TempDir()
	address := freeAddress(t)
	config := fmt.Sprintf(`cluster: e2e
listen: %s
store: {dir: %s}
engine: {quiet: %s}
slack: {api_url: %s/api/, default_channel: "#incidents"}
control_plane: {%s}
`, address, filepath.Join(dir, "data"), quiet, w.url, strings.Join(append(o.control, fmt.Sprintf("etcd_endpoints: [%s]", strings.Join(b.etcd, ", "))), ", "))
	file := filepath.Join(dir, "tapio.yaml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if o.kubeconfig == "" {
		o.kubeconfig = b.kubeconfig
	}
	if o.token == "" {
		o.token = w.BotToken()
	}
	i := &instance{
		t: t, tapio: b.tapio, api: "http://" + address,
		log:  filepath.Join(b.out, o.name+".log"),
		args: []string{"run", "--config", file, "--kubeconfig", o.kubeconfig},
		env:  append(os.Environ(), "SLACK_BOT_TOKEN="+o.token, "SLACK_APP_TOKEN="+w.AppToken()),
	}
	if o.record {
		i.args = append(i.args, "--record", filepath.Join(b.out, o.name+".jsonl"))
	}
	for _, stale := range []string{i.log, filepath.Join(b.out, o.name+".jsonl")} {
		if err := os.Remove(stale); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	t.Cleanup(i.kill)
	return i
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts it and does not wait until it is ready.
func (i *instance) start() {
	i.t.Helper()
	log, err := os.OpenFile(i.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		i.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(i.tapio, i.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = i.env, log, log
	// Whatever ends the tests ends it too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cmd, i.exited = cmd, exited
}

// startReady starts it and waits until it says that it is ready.
func (i *instance) startReady() {
	i.t.Helper()
	i.start()
	i.awaitReady()
}

func (i *instance) awaitReady() {
	i.t.Helper()
	eventually(i.t, time.Minute, "tapio becomes ready", func() (bool, string) {
		status, body := i.get("/readyz")
		select {
		case <-i.exited:
			i.t.Fatalf("tapio ended:\n%s", i.printed())
		default:
		}
		return status == http.StatusOK, fmt.Sprintf("/readyz answers %d %s; %s", status, body, i.printed())
	})
}

// kill ends it as kill -9 does.
func (i *instance) kill() { i.signal(syscall.SIGKILL) }

// stop ends it as Kubernetes does, and waits.
func (i *instance) stop() {
	i.t.Helper()
	i.signal(syscall.SIGTERM)
	if code := i.cmd.ProcessState.ExitCode(); code != 0 {
		i.t.Errorf("tapio ended with %d after SIGTERM:\n%s", code, i.printed())
	}
}

func (i *instance) signal(s syscall.Signal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.cmd == nil {
		return
	}
	i.cmd.Process.Signal(s) // an error means that it has ended
	select {
	case <-i.exited:
	case <-time.After(30 * time.Second):
		i.cmd.Process.Kill()
		i.t.Errorf("tapio did not end within 30 s of %s", s)
		<-i.exited
	}
}

// printed returns the end of its log.
func (i *instance) printed() string {
	data, err := os.ReadFile(i.log)
	if err != nil {
		return err.Error()
	}
	return "its log ends: " + string(data[max(0, len(data)-8000):])
}

// get asks its HTTP API; status 0 means that nobody answered.
func (i *instance) get(path string) (status int, body string) {
	client := http.Client{Timeout: 20 * time.Second}
	resp, err := client.Get(i.api + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(data)
}

// stories asks for all its stories.
func (i *instance) stories() []tapio.Story {
	i.t.Helper()
	all, err := i.list("")
	if err != nil {
		i.t.Fatal(err)
	}
	return all
}

// list asks for the stories that a query selects.
func (i *instance) list(query string) ([]tapio.Story, error) {
	var answer struct {
		Stories []tapio.Story `json:"stories"`
	}
	status, body := i.get("/api/v1/stories?limit=1000&" + query)
	if err := json.Unmarshal([]byte(body), &answer); status != http.StatusOK || err != nil {
		return nil, fmt.Errorf("GET /api/v1/stories answers %d %.300s, %v", status, body, err)
	}
	return answer.Stories, nil
}

// story asks for one story.
func (i *instance) story(id string) (s tapio.Story, ok bool) {
	status, body := i.get("/api/v1/stories/" + id)
	err := json.Unmarshal([]byte(body), &s)
	return s, status == http.StatusOK && err == nil
}

// told returns the story that a message of the bot's is about.
func told(m slackfake.Message) string {
	var meta struct {
		Payload struct {
			ID string `json:"id"`
		} `json:"event_payload"`
	}
	if err := json.Unmarshal(m.Metadata, &meta); err != nil {
		return ""
	}
	return meta.Payload.ID
}

// at returns when a message was posted.
func at(m slackfake.Message) time.Time {
	seconds, micros, _ := strings.Cut(m.TS, ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	us, err2 := strconv.ParseInt(micros, 10, 64)
	if err != nil || err2 != nil {
		return time.Time{}
	}
	return time.Unix(s, us*1000).UTC()
}

// saysResolved returns the reply of a thread that tells the resolution.
func (w *workspace) saysResolved(channel string, root slackfake.Message) (slackfake.Message, bool) {
	replies := w.Replies(channel, root.TS)
	for n := len(replies) - 1; n >= 0; n-- {
		if strings.Contains(strings.ToLower(replies[n].Text), "resolved") {
			return replies[n], true
		}
	}
	return slackfake.Message{}, false
}
