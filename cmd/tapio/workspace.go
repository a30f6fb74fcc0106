package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/yairfalse/tapio/bot/slackfake"
	"github.com/yairfalse/tapio/cmd/tapio/lifecycle"
)

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
