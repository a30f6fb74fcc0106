package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio/bot"
	"github.com/yairfalse/tapio/bot/slackfake"
	"github.com/yairfalse/tapio/cmd/tapio/lifecycle"
	"github.com/yairfalse/tapio/cmd/tapio/loop"
	"github.com/yairfalse/tapio/cmd/tapio/recording"
	"github.com/yairfalse/tapio/store"
)

// demoRecording is a rollout that cuts a memory limit, and what follows until
// it is rolled back.
//
//go:embed demo.jsonl.gz
var demoRecording []byte

// maxSpeed keeps the thread readable and Slack's pace, one post a second, in
// step with the incident.
const maxSpeed = 100

type demoOptions struct {
	speed  float64
	once   bool
	listen string
	open   bool // a browser, if there is one
	log    *slog.Logger
	out    io.Writer
}

func newDemo(t terminal, logger loggers) *cobra.Command {
	var (
		noOpen bool
		o      = demoOptions{out: t.out}
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play a recorded incident into a local workspace page",
		Long: `Play a recorded incident through the real engine and the real bot into a page of
this machine that looks like a chat workspace. It needs no cluster and no Slack.
The page stays up until Ctrl-C.`,
		Example: "  tapio demo\n  tapio demo --speed 1 --listen 127.0.0.1:8090",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.speed < 1 || o.speed > maxSpeed {
				return fmt.Errorf("--speed %g: choose from 1 to %d", o.speed, maxSpeed)
			}
			o.open = !noOpen && width(t.out) > 0
			// What parts log is of no use beside the progress line, unless it
			// was asked for or something is wrong.
			if !cmd.Flags().Changed("log-level") {
				if err := cmd.Flags().Set("log-level", "error"); err != nil {
					return err
				}
			}
			var err error
			if o.log, err = logger(); err != nil {
				return err
			}
			return demo(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.Float64Var(&o.speed, "speed", 10, "how many times faster than it happened")
	f.BoolVar(&o.once, "once", false, "end after the last message")
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "loopback address of the page; port 0 takes a free one")
	f.BoolVar(&noOpen, "no-open", false, "don't open a browser")
	return cmd
}

// demo plays the recording.
func demo(ctx context.Context, o demoOptions) (err error) {
	parts := lifecycle.New()
	defer func() { err = errors.Join(err, parts.Stop(stopTimeout)) }()

	film, err := readFilm(demoRecording)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	clock := newClock(film.first(), film.last(), o.speed, time.Now())
	film.shift(clock.offset)

	workspace, url, err := startWorkspace(parts, o.listen, slackfake.Options{
		Team: "Demo", CreateChannels: true, Now: clock.now, Log: o.log,
		Hints: []string{"/tapio story checkout", "/tapio list", "/tapio help"},
		// The recorded namespace says that its stories are told to #shop.
		Channels: []slackfake.Channel{{Name: "shop", Topic: "Shop: checkout and catalog"}, {Name: "incidents", Topic: "Stories that belong to no other channel"}},
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "%s\n", url)
	if o.open {
		openBrowser(ctx, url)
	}

	journal, err := store.Open(store.Options{InMemory: true, Log: o.log})
	if err != nil {
		return err
	}
	parts.Add("store", func(context.Context) error { return journal.Close() })

	templates, err := loadTemplates(nil, nil)
	if err != nil {
		return err
	}
	b, err := bot.New(bot.Options{
		Journal: journal, Stories: journal, Ledger: journal,
		BotToken: workspace.BotToken(), AppToken: workspace.AppToken(), SigningSecret: workspace.SigningSecret(),
		APIURL: url + "api/", SocketMode: true, DefaultChannel: "#incidents",
		Causes:    causeNames(templates),
		BundleFor: faster(bundleFor, o.speed), EditEvery: faster(editEvery, o.speed),
		Log: o.log,
	})
	if err != nil {
		return err
	}
	parts.Run("bot", b.Run)

	engine, narrator, err := newJudge(film.header, templates)
	if err != nil {
		return err
	}
	loop, err := loop.New(loop.Options{Engine: engine, Narrator: narrator, Save: saver(journal, o.log), Log: o.log})
	if err != nil {
		return err
	}

	line := newStatusLine(o.out)
	show := func(at time.Time) {
		done := film.done(at)
		text := fmt.Sprintf("A recorded incident at %g× — %s", o.speed, at.UTC().Format("15:04:05 UTC"))
		workspace.SetStatus(text, done)
		line.show(fmt.Sprintf("%s, %3.0f %%", text, 100*done))
	}
	if err := film.play(ctx, clock, loop, show, parts.Failed()); err != nil || ctx.Err() != nil {
		return err
	}
	if err := settled(ctx, b, parts.Failed()); err != nil || ctx.Err() != nil {
		return err
	}
	workspace.SetStatus("The incident is over. Try the buttons, /tapio list or /tapio story checkout.", -1)
	line.end("The incident is over.")
	if o.once {
		return nil
	}
	fmt.Fprintf(o.out, "The page stays up at %s until Ctrl-C.\n", url)
	return wait(ctx, parts)
}

// The bot's own waits, which the demo shortens as it shortens the incident.
const (
	bundleFor = 20 * time.Second
	editEvery = 30 * time.Second
)

func faster(d time.Duration, speed float64) time.Duration {
	return max(time.Duration(float64(d)/speed), time.Second)
}

// film is a recording in memory.
type film struct {
	header recording.Header
	steps  []recording.Step
}

func readFilm(data []byte) (*film, error) {
	r, err := recording.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	f := &film{}
	f.header, _ = r.Header()
	for {
		step, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		f.steps = append(f.steps, step)
	}
	if len(f.steps) == 0 {
		return nil, recording.ErrEmpty
	}
	return f, nil
}

func (f *film) first() time.Time { return f.steps[0].Time }
func (f *film) last() time.Time  { return f.steps[len(f.steps)-1].Time }

func (f *film) shift(d time.Duration) {
	for i := range f.steps {
		recording.Shift(&f.steps[i], d)
	}
}

// done is how far the film is at a time of its own, 0 to 1.
func (f *film) done(at time.Time) float64 {
	whole := f.last().Sub(f.first())
	if whole <= 0 {
		return 1
	}
	return min(max(float64(at.Sub(f.first()))/float64(whole), 0), 1)
}

// play feeds the loop each step when its time has come, and calls show about
// once a second. It returns early where ctx ends or a part fails.
func (f *film) play(ctx context.Context, c *clock, l *loop.Loop, show func(time.Time), failed <-chan error) error {
	var shown time.Time
	for i := range f.steps {
		step := &f.steps[i]
		for {
			now := time.Now()
			if now.Sub(shown) >= time.Second {
				shown = now
				show(c.at(now))
			}
			wait := c.until(step.Time, now)
			if wait <= 0 {
				break
			}
			select {
			case <-time.After(min(wait, time.Second)):
			case err := <-failed:
				return err
			case <-ctx.Done():
				return nil
			}
		}
		var err error
		if step.Observation != nil {
			err = l.Observe(ctx, step.Observation)
		} else {
			err = l.Tick(ctx, step.Time)
		}
		if err != nil {
			return err
		}
	}
	show(f.last())
	return nil
}

// settled waits until the bot has said everything: nothing pending for longer
// than it takes it to read the journal.
func settled(ctx context.Context, b *bot.Bot, failed <-chan error) error {
	const enough = 3 * time.Second
	quiet := time.Now()
	for time.Since(quiet) < enough {
		if b.Pending() > 0 {
			quiet = time.Now()
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// clock shows the time of the incident: it runs faster than the wall clock
// until the end of the film, where the two meet, and together with it from
// then on. So messages carry the times at which they would have been posted,
// and what a person does afterwards happens now.
type clock struct {
	offset time.Duration // from the recorded times to those that are shown
	start  time.Time     // on the wall
	end    time.Time     // on the wall
	speed  float64
}

func newClock(first, last time.Time, speed float64, start time.Time) *clock {
	end := start.Add(time.Duration(float64(last.Sub(first)) / speed))
	return &clock{offset: end.Sub(last), start: start, end: end, speed: speed}
}

func (c *clock) now() time.Time { return c.at(time.Now()) }

// at is what the clock shows at a time of the wall clock.
func (c *clock) at(wall time.Time) time.Time {
	if !wall.Before(c.end) {
		return wall
	}
	return c.end.Add(-time.Duration(float64(c.end.Sub(wall)) * c.speed))
}

// until is how long, on the wall, until the clock shows t.
func (c *clock) until(t, wall time.Time) time.Duration {
	return time.Duration(float64(t.Sub(c.at(wall))) / c.speed)
}

// openBrowser opens the page where there is a desktop to open it on. It is a
// courtesy: where it fails, the address is on the screen.
func openBrowser(ctx context.Context, url string) {
	name, args := "", []string{url}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", url}
	default:
		if cmp.Or(os.Getenv("DISPLAY"), os.Getenv("WAYLAND_DISPLAY")) == "" {
			return
		}
		name = "xdg-open"
	}
	if path, err := exec.LookPath(name); err == nil {
		cmd := exec.CommandContext(ctx, path, args...)
		if cmd.Start() == nil {
			go func() { _ = cmd.Wait() }()
		}
	}
}
