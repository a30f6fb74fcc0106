package bot

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
)

// maxEnvelope bounds what is read from a socket, bytes. Slack's envelopes stay
// far below.
const maxEnvelope = 1 << 20

// listen keeps one socket open until ctx ends. slack-go reconnects by itself;
// it gives up only where the token is refused, which is tried again later.
func (b *Bot) listen(ctx context.Context, number int) {
	log := b.log.With("socket", number+1)
	wait := probeEvery
	for ctx.Err() == nil {
		client := slack.New(b.opts.BotToken,
			slack.OptionAppLevelToken(b.opts.AppToken), slack.OptionAPIURL(b.opts.APIURL),
			slack.OptionHTTPClient(b.opts.HTTPClient), slack.OptionLog(slackLog{log}))
		sock := socketmode.New(client, socketmode.OptionReadLimit(maxEnvelope), socketmode.OptionLog(slackLog{log}), socketmode.OptionDialer(b.dialer()))
		ended := make(chan error, 1) // one result
		runCtx, cancel := context.WithCancel(ctx)
		go func() { ended <- sock.RunContext(runCtx) }()
		err := b.hear(ctx, sock, ended, log)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if v, reason, _ := judge(err); v == callToken {
			log.Error("commands and buttons don't work", "error", appTokenError(reason))
		} else {
			log.Error("socket ended", "error", err)
		}
		sleep(ctx, wait)
		wait = min(2*wait, 10*probeEvery)
	}
}

// maxFrame is above the 20 KB that Slack takes as an acknowledgement: Slack
// doesn't put together frames that were split.
const maxFrame = 32 << 10

// dialer opens sockets the way the HTTP client opens connections.
func (b *Bot) dialer() *websocket.Dialer {
	d := &websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: callTimeout, WriteBufferSize: maxFrame}
	if t, ok := b.opts.HTTPClient.Transport.(*http.Transport); ok {
		d.Proxy, d.NetDialContext, d.TLSClientConfig = t.Proxy, t.DialContext, t.TLSClientConfig
	}
	return d
}

// hear takes in what comes over a socket, one envelope after the other, so that
// clicks keep their order.
func (b *Bot) hear(ctx context.Context, sock *socketmode.Client, ended <-chan error, log *slog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return err
		case e := <-sock.Events:
			b.envelope(ctx, sock, e, log)
		}
	}
}

// envelope takes what came over a socket in, and acknowledges it beside the
// next one, so that none waits for another.
func (b *Bot) envelope(ctx context.Context, sock *socketmode.Client, e socketmode.Event, log *slog.Logger) {
	answered := taken(nil)
	switch data := e.Data.(type) {
	case slack.SlashCommand:
		answered = b.command(ctx, &data)
	case slack.InteractionCallback:
		answered = b.interact(ctx, &data)
	case slackevents.EventsAPIEvent:
		answered = b.event(ctx, &data)
	case *slack.ConnectionErrorEvent:
		log.Warn("socket can't be opened", "attempt", data.Attempt, "wait", data.Backoff, "error", data.ErrorObj)
	case *socketmode.ErrorBadMessage:
		log.Warn("envelope can't be read", "error", data.Cause)
	case *socketmode.ConnectedEvent:
		log.Info("socket is open")
	}
	if e.Request == nil || e.Request.EnvelopeID == "" {
		return
	}
	b.others.Go(func() {
		r := answered()
		if !r.taken {
			return // Slack tells the person, or sends it again
		}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := sock.AckCtx(ctx, e.Request.EnvelopeID, r.payload); err != nil {
			log.Warn("envelope can't be acknowledged", "error", err)
		}
	})
}

// slackLog passes on what slack-go logs, which is little outside of debugging.
type slackLog struct{ log *slog.Logger }

// Output takes one line of slack-go's.
func (l slackLog) Output(_ int, line string) error {
	l.log.Debug("slack-go", "line", strings.TrimSpace(line))
	return nil
}
