package bot

import (
	"bytes"
	"io"
	"net/http"

	"github.com/slack-go/slack"
)

// maxRequest bounds the body of a request from Slack, bytes.
const maxRequest = 1 << 20

// Handler serves the request URLs of the Slack app: slash commands at
// /slack/commands and interactions at /slack/actions. It refuses what isn't
// signed with the signing secret or is more than five minutes old. It works
// while Run does.
func (b *Bot) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /slack/commands", b.signed(func(w http.ResponseWriter, r *http.Request) {
		c, err := slack.SlashCommandParse(r)
		if err != nil {
			http.Error(w, "not a slash command", http.StatusBadRequest)
			return
		}
		if r.PostForm.Get("ssl_check") == "1" {
			return
		}
		if !b.command(r.Context(), &c) {
			http.Error(w, "Tapio is busy. Try again in a moment.", http.StatusServiceUnavailable)
		}
	}))
	mux.Handle("POST /slack/actions", b.signed(func(w http.ResponseWriter, r *http.Request) {
		cb, err := slack.InteractionCallbackParse(r)
		if err != nil {
			http.Error(w, "not an interaction", http.StatusBadRequest)
			return
		}
		if !b.interact(r.Context(), &cb) {
			http.Error(w, "Tapio is busy. Try again in a moment.", http.StatusServiceUnavailable)
		}
	}))
	return mux
}

// signed checks Slack's signature over the raw body. slack-go compares it in
// constant time and refuses timestamps beyond five minutes.
func (b *Bot) signed(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.opts.SigningSecret == "" {
			http.Error(w, "no signing secret is set, so no request can be checked", http.StatusForbidden)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			http.Error(w, "request is too large", http.StatusRequestEntityTooLarge)
			return
		}
		verifier, err := slack.NewSecretsVerifier(r.Header, b.opts.SigningSecret)
		if err == nil {
			if _, err = verifier.Write(body); err == nil {
				err = verifier.Ensure()
			}
		}
		if err != nil {
			b.log.Warn("request is not from slack", "path", r.URL.Path, "error", err)
			http.Error(w, "signature does not fit; check the signing secret and the clock", http.StatusUnauthorized)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next(w, r)
	})
}
