package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot"
	"github.com/yairfalse/tapio/bot/slackfake"
	"github.com/yairfalse/tapio/cmd/tapio/config"
	"github.com/yairfalse/tapio/cmd/tapio/lifecycle"
	"github.com/yairfalse/tapio/store"
)

// speaker is what run needs to know of the bot.
type speaker struct {
	lacking func() string // why nothing can be said, in one line
	handler http.Handler  // of Slack's requests; nil where they come over Socket Mode
}

// silent is the speaker of a run without a token: stories are kept and served,
// and told nowhere. That was asked for, so nothing is lacking.
var silent = speaker{lacking: func() string { return "" }}

// extras is what the bot is told of the rest of Tapio.
type extras struct {
	causes  []bot.CauseName
	keep    func(ctx context.Context, story string) error // what was seen of an incident
	lacking func() []string
}

// causeNames are the causes that templates find, in the templates' words, for
// choosing the right one.
func causeNames(templates []tapio.Template) []bot.CauseName {
	var out []bot.CauseName
	seen := map[tapio.Cause]bool{tapio.CauseUnknown: true}
	for _, t := range templates {
		if !seen[t.Cause] {
			seen[t.Cause] = true
			out = append(out, bot.CauseName{Code: t.Cause, Name: t.Name})
		}
	}
	slices.SortFunc(out, func(x, y bot.CauseName) int { return strings.Compare(string(x.Code), string(y.Code)) })
	return out
}

// startSlack starts the bot, and the local workspace where that is wanted.
// Without a bot token it starts nothing and says so once.
func startSlack(parts *lifecycle.Parts, o runOptions, journal *store.Store, metrics prometheus.Registerer, x extras) (speaker, error) {
	c := o.config.Slack
	options := bot.Options{
		Journal: journal, Stories: journal, Ledger: journal,
		APIURL: c.APIURL, SocketMode: c.SocketMode, DefaultChannel: c.DefaultChannel,
		TellResolved: c.TellResolved,
		Allow:        bot.Allow{Ack: c.Allow.Ack, Mute: c.Allow.Mute},
		DigestEvery:  c.Digest.Every, DigestAt: c.Digest.At,
		Causes: x.causes, Keep: x.keep, Lacking: x.lacking,
		Log: o.log, Registerer: metrics,
	}
	for _, r := range o.config.OnCall.Rotations {
		start, err := r.Begin()
		if err != nil {
			return speaker{}, fmt.Errorf("on call: %w", err)
		}
		options.OnCall = append(options.OnCall, bot.Rotation{Team: r.Team, People: r.People, Start: start, Each: time.Duration(r.Each), Then: r.Then})
	}
	if call := o.config.OnCall.Call; len(options.OnCall) > 0 {
		options.Call = bot.Call{Severity: call.Severity, After: time.Duration(call.After), Every: time.Duration(call.Every), Rounds: call.Rounds}
	}
	if options.StormAfter = c.Storm.After; options.StormAfter == 0 {
		options.StormAfter = -1
	}
	options.StormFor = time.Duration(c.Storm.Within)
	for _, r := range c.Routes {
		options.Routes = append(options.Routes, bot.Route{Namespace: r.Namespace, Channel: r.Channel})
	}
	if o.localSlack {
		w, url, err := startWorkspace(parts, o.localListen, slackfake.Options{
			CreateChannels: true, Log: o.log, Hints: []string{"/tapio list", "/tapio help"},
		})
		if err != nil {
			return speaker{}, err
		}
		fmt.Fprintf(o.out, "Stories are told on %s\n", url)
		options.BotToken, options.AppToken, options.SigningSecret = w.BotToken(), w.AppToken(), w.SigningSecret()
		options.APIURL, options.SocketMode = url+"api/", true
		return startBot(parts, options)
	}

	token, err := config.Secret("Slack bot token", c.BotTokenEnv, c.BotTokenFile)
	if errors.Is(err, config.ErrNoSecret) {
		o.log.Warn("stories are kept and served, but not told in Slack", "why", err.Error(), "or", "tapio run --slack=local")
		return silent, nil
	}
	if err != nil {
		return speaker{}, err
	}
	options.BotToken = token
	if c.SocketMode {
		if options.AppToken, err = config.Secret("Slack app token", c.AppTokenEnv, c.AppTokenFile); err != nil && !errors.Is(err, config.ErrNoSecret) {
			return speaker{}, err
		}
		if err != nil {
			// Stories matter more than commands.
			options.SocketMode = false
			o.log.Warn("stories are told, but commands and buttons don't work", "why", err.Error())
		}
		return startBot(parts, options)
	}
	if options.SigningSecret, err = config.Secret("Slack signing secret", c.SigningSecretEnv, c.SigningSecretFile); err != nil {
		if !errors.Is(err, config.ErrNoSecret) {
			return speaker{}, err
		}
		o.log.Warn("stories are told, but commands and buttons don't work", "why", err.Error())
	}
	return startBot(parts, options)
}

func startBot(parts *lifecycle.Parts, options bot.Options) (speaker, error) {
	b, err := bot.New(options)
	if err != nil {
		return speaker{}, err
	}
	parts.Run("bot", b.Run)
	s := speaker{lacking: func() string {
		if err := b.Ready(); err != nil {
			return "slack: " + err.Error()
		}
		return ""
	}}
	if options.SigningSecret != "" && !options.SocketMode {
		s.handler = b.Handler()
	}
	return s, nil
}
