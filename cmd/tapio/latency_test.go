package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot"
	"github.com/yairfalse/tapio/bot/slackfake"
	"github.com/yairfalse/tapio/cmd/tapio/config"
	"github.com/yairfalse/tapio/cmd/tapio/lifecycle"
	"github.com/yairfalse/tapio/cmd/tapio/loop"
	"github.com/yairfalse/tapio/store"
)

// BenchmarkSignalToPost measures how long it takes from the decisive signal to
// the message in Slack, beyond the hold of the template: through the engine's
// clock, the words, the store on disk, the bot and its HTTP call. Each incident
// is another workload, many are under way at a time, and their posts go to ten
// channels. Run it with -benchtime 100x for a p99.
func BenchmarkSignalToPost(b *testing.B) {
	parts := lifecycle.New()
	defer func() {
		if err := parts.Stop(stopTimeout); err != nil {
			b.Error(err)
		}
	}()
	log := slog.New(slog.NewTextHandler(b.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	workspace, url, err := startWorkspace(parts, "127.0.0.1:0", slackfake.Options{CreateChannels: true})
	if err != nil {
		b.Fatal(err)
	}
	journal, err := store.Open(store.Options{Dir: b.TempDir(), Log: log})
	if err != nil {
		b.Fatal(err)
	}
	parts.Add("store", func(context.Context) error { return journal.Close() })
	bot, err := bot.New(bot.Options{
		Journal: journal, Stories: journal, Ledger: journal, BotToken: workspace.BotToken(), AppToken: workspace.AppToken(),
		APIURL: url + "api/", SocketMode: true, DefaultChannel: "#incidents", Log: log,
	})
	if err != nil {
		b.Fatal(err)
	}
	parts.Run("bot", bot.Run)
	c, err := config.Default()
	if err != nil {
		b.Fatal(err)
	}
	templates, err := loadTemplates(nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	engine, narrator, err := newJudge(header(c, "bench"), templates)
	if err != nil {
		b.Fatal(err)
	}
	l, err := loop.New(loop.Options{Engine: engine, Narrator: narrator, Save: saver(journal, log), Log: log})
	if err != nil {
		b.Fatal(err)
	}
	in := make(chan tapio.Observation, 64)
	parts.Run("engine", func(ctx context.Context) error { return l.Run(ctx, in) })

	hold := holdOf(b, templates, tapio.CauseOOMLimit)
	took := make([]time.Duration, b.N)
	var posted sync.WaitGroup
	b.ResetTimer()
	for i := range b.N {
		time.Sleep(spacing)
		posted.Go(func() {
			name, channel := fmt.Sprintf("w%d", i), fmt.Sprintf("#c%d", i%channels)
			begin := time.Now()
			for _, o := range oomKilled(name, channel, begin.UTC()) {
				in <- o
			}
			for !slices.ContainsFunc(workspace.Messages(channel), func(m slackfake.Message) bool { return strings.Contains(m.Text, name+" ") }) {
				if time.Since(begin) > time.Minute {
					b.Errorf("%s was not told", name)
					return
				}
				time.Sleep(time.Millisecond)
			}
			took[i] = time.Since(begin) - hold
		})
	}
	posted.Wait()
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds(), "p50-s")
	b.ReportMetric(took[len(took)*99/100].Seconds(), "p99-s")
}

// channels keeps the posts in each below Slack's pace of one a second.
const channels = 10

// spacing is the time between two incidents: four a second, at most what Slack
// takes in posts of a workspace, and at another moment of the second each.
const spacing = 270 * time.Millisecond

// holdOf is the hold of the template for a cause.
func holdOf(b *testing.B, templates []tapio.Template, cause tapio.Cause) time.Duration {
	for _, t := range templates {
		if t.Cause == cause {
			return time.Duration(t.Hold)
		}
	}
	b.Fatalf("no template for %s", cause)
	return 0
}

// oomKilled is a deployment of one pod, told to the channel, that was killed
// at its memory limit twice, the last time at the time given.
func oomKilled(name, channel string, at time.Time) []tapio.Observation {
	workload := tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: name}
	replicaSet := tapio.Entity{Kind: tapio.KindReplicaSet, Namespace: "shop", Name: name + "-1"}
	pod := tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: name + "-1-a"}
	state := func(s tapio.State) tapio.Observation { return tapio.Observation{Time: time.Now().UTC(), State: &s} }
	out := []tapio.Observation{
		state(tapio.State{
			Entity: workload, UID: name, Annotations: map[string]string{"tapio.dev/channel": channel},
			Workload: &tapio.WorkloadState{Replicas: tapio.ReplicaStatus{Desired: 1, Current: 1}},
		}),
		state(tapio.State{Entity: replicaSet, UID: name + "-rs", Owner: workload, Workload: &tapio.WorkloadState{}}),
		state(tapio.State{
			Entity: pod, UID: name + "-pod", Owner: replicaSet,
			Pod: &tapio.PodState{
				Phase: "Running", Node: "node-1", ReadySince: at, Scheduled: true, RestartPolicy: "Always",
				Containers: []tapio.ContainerState{{Name: "app", Restarts: 2, State: "waiting", Reason: "CrashLoopBackOff"}},
			},
		}),
	}
	container := pod
	container.Container = "app"
	for i, t := range []time.Time{at.Add(-20 * time.Second), at} {
		e := &tapio.Event{
			Time: t, Seen: t, Source: tapio.SourceKubernetes, Type: tapio.ContainerExit, Severity: tapio.SeverityHigh,
			Entity: container, Reason: "OOMKilled",
			Attrs: map[string]string{
				tapio.AttrExitCode: "137", tapio.AttrContainerID: fmt.Sprintf("containerd://%s-%d", name, i),
				tapio.AttrRestarts: fmt.Sprint(i), tapio.AttrMemoryLimit: "64Mi",
				tapio.AttrStartedAt: t.Add(-15 * time.Second).Format(time.RFC3339),
			},
		}
		e.SetID()
		out = append(out, tapio.Observation{Time: time.Now().UTC(), Event: e})
	}
	return out
}

// TestOOMKilledIsTold keeps the benchmark honest: its incident is judged as
// what it is.
func TestOOMKilledIsTold(t *testing.T) {
	c, err := config.Default()
	if err != nil {
		t.Fatal(err)
	}
	templates, err := loadTemplates(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	engine, narrator, err := newJudge(header(c, "test"), templates)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC()
	for _, o := range oomKilled("w", "#c", at) {
		engine.Observe(&o)
	}
	stories := engine.Tick(at.Add(10 * time.Second))
	if len(stories) != 1 || stories[0].Cause != tapio.CauseOOMLimit {
		t.Fatalf("got %d stories: %+v", len(stories), stories)
	}
	if err := narrator.Tell(&stories[0]); err != nil || !strings.Contains(stories[0].Title, "out of memory") {
		t.Errorf("%q, %v", stories[0].Title, err)
	}
}
