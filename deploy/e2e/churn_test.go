//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestChurn keeps a healthy cluster busy for a while: nothing may be told.
func TestChurn(t *testing.T) {
	b := shared
	b.cleared(t)
	archive, err := txtar.ParseFile("testdata/churn.txtar")
	if err != nil {
		t.Fatal(err)
	}
	const name = "e2e-churn"
	w := newWorkspace(t, name)
	live := b.newInstance(t, w, runOptions{name: "churn", record: true})
	live.startReady()

	files := map[string]string{}
	var steps []txtar.File
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, ".yaml") {
			files[f.Name] = string(f.Data)
			continue
		}
		steps = append(steps, f)
	}
	node := b.nodes["taint"]
	p := b.place(t, name, nil, files, node)
	p.run(t, "kubectl apply -f healthy.yaml")
	p.awaitRollouts(t)
	rounds := 0
	for end := time.Now().Add(b.churn); time.Now().Before(end); rounds++ {
		for _, step := range steps {
			if strings.HasPrefix(step.Name, "node ") && node == "" {
				if rounds == 0 {
					t.Logf("left out: %s: needs node access", step.Name)
				}
				continue
			}
			began := time.Now()
			p.run(t, string(step.Data))
			t.Logf("round %d: %s, %.0f s", rounds+1, step.Name, time.Since(began).Seconds())
		}
	}
	// What was held back until now would be told after its hold time.
	time.Sleep(quiet)
	for _, s := range live.stories() {
		errorf(t, "told of a healthy cluster: %s: %s of %s (%s)", s.Title, s.Cause, s.CauseEntity, s.Status)
	}
	for _, channel := range []string{name, "incidents"} {
		if roots := w.Messages(channel); len(roots) > 0 {
			errorf(t, "messages in #%s:\n%s", channel, texts(roots))
		}
	}
	t.Logf("%d rounds in %s", rounds, b.churn)
}
