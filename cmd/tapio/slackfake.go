package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio/bot/slackfake"
	"github.com/yairfalse/tapio/cmd/tapio/lifecycle"
)

// Tokens of the stand-in workspace where it runs as a process of its own, so
// that a tapio run can be told them.
const (
	localBotToken      = "xoxb-local"
	localAppToken      = "xapp-local"
	localSigningSecret = "local"
)

// newSlackfake serves the stand-in workspace alone, for tests that kill and
// restart a tapio run beside it.
func newSlackfake(t terminal, logger loggers) *cobra.Command {
	var (
		listen   string
		channels []string
	)
	cmd := &cobra.Command{
		Use:    "slackfake",
		Short:  "Serve the local workspace alone, for tests of tapio run",
		Hidden: true,
		Long: `Serve the local workspace alone: the page at /, Slack's Web API at /api/. The
bot token is xoxb-local, the app token xapp-local, the signing secret local.`,
		Example: "  tapio slackfake --listen 127.0.0.1:8090 --channel incidents --channel shop",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			log, err := logger()
			if err != nil {
				return err
			}
			o := slackfake.Options{
				BotToken: localBotToken, AppToken: localAppToken, SigningSecret: localSigningSecret,
				CreateChannels: true, Log: log,
			}
			for _, name := range channels {
				o.Channels = append(o.Channels, slackfake.Channel{Name: strings.TrimPrefix(name, "#")})
			}
			parts := lifecycle.New()
			defer func() { err = errors.Join(err, parts.Stop(stopTimeout)) }()
			_, url, err := startWorkspace(parts, listen, o)
			if err != nil {
				return err
			}
			fmt.Fprintln(t.out, url)
			return wait(cmd.Context(), parts)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8090", "loopback address to listen on")
	cmd.Flags().StringSliceVar(&channels, "channel", nil, "channel that exists from the start; may be repeated")
	return cmd
}

// startWorkspace serves a stand-in workspace and returns it with its URL.
func startWorkspace(parts *lifecycle.Parts, listen string, o slackfake.Options) (*slackfake.Workspace, string, error) {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, "", fmt.Errorf("local workspace: %q is not an address such as 127.0.0.1:8090", listen)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, "", fmt.Errorf("local workspace: %s is not on loopback; everybody on the network could read and post there", listen)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, "", fmt.Errorf("local workspace: %w; name another address", err)
	}
	w := slackfake.New(o)
	parts.Add("local workspace", func(context.Context) error { w.Close(); return nil })
	serve(parts, "local workspace page", l, w.Handler())
	return w, "http://" + l.Addr().String() + "/", nil
}

// serve answers HTTP requests on the listener until it is stopped.
func serve(parts *lifecycle.Parts, name string, l net.Listener, h http.Handler) {
	server := &http.Server{
		Handler: h,
		// A client that sends its headers by the letter must not hold a
		// connection for ever. There is no write timeout: the page streams.
		ReadHeaderTimeout: 10 * time.Second,
	}
	parts.Run(name, func(context.Context) error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %s: %w", l.Addr(), err)
		}
		return nil
	})
	parts.Add(name, func(ctx context.Context) error {
		// Requests under way have a moment to end; the page's stream doesn't
		// end by itself.
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			return server.Close()
		}
		return nil
	})
}
