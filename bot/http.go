package bot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
)

// maxRequest bounds the body of a request from Slack, bytes: a view may have
// 250 KB, and a form makes it up to three times as long.
const maxRequest = 1 << 20

// Handler serves the request URLs of the Slack app: slash commands at
// /slack/commands, interactions (buttons, modals, shortcuts) at /slack/actions
// and events at /slack/events. It refuses what isn't signed with the signing
// secret, what is more than five minutes old, what it has taken before, and
// what is too large. It works while Run does.
func (b *Bot) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /slack/commands", b.signed(func(r *http.Request, body []byte) (any, error) {
		c, err := readCommand(body)
		if err != nil || c == nil {
			return nil, err
		}
		return accept(b.command(r.Context(), c))
	}))
	mux.Handle("POST /slack/actions", b.signed(func(r *http.Request, body []byte) (any, error) {
		cb, err := readInteraction(body)
		if err != nil {
			return nil, err
		}
		return accept(b.interact(r.Context(), cb))
	}))
	mux.Handle("POST /slack/events", b.signed(func(r *http.Request, body []byte) (any, error) {
		e, err := readEvent(body)
		if err != nil {
			return nil, err
		}
		if v, ok := e.Data.(*slackevents.EventsAPIURLVerificationEvent); ok {
			return map[string]string{"challenge": v.Challenge}, nil
		}
		return accept(b.event(r.Context(), e))
	}))
	return mux
}

// errBusy says that there was no room for a request.
var errBusy = errors.New("too much comes in at once; try again in a moment")

func accept(d due) (any, error) {
	r := d()
	if !r.taken {
		return nil, errBusy
	}
	return r.payload, nil
}

// readCommand reads the body of a slash command; nil where Slack only checks
// the certificate.
func readCommand(body []byte) (*slack.SlashCommand, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("not a slash command: %w", err)
	}
	if form.Get("ssl_check") == "1" {
		return nil, nil
	}
	if form.Get("command") == "" {
		return nil, errors.New("not a slash command: it names none")
	}
	c, err := slack.SlashCommandParse(&http.Request{Method: http.MethodPost, PostForm: form, Form: form})
	if err != nil {
		return nil, fmt.Errorf("not a slash command: %w", err)
	}
	return &c, nil
}

// readInteraction reads the body of an interaction: JSON in a form.
func readInteraction(body []byte) (*slack.InteractionCallback, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("not an interaction: %w", err)
	}
	payload := form.Get("payload")
	if payload == "" {
		return nil, errors.New("not an interaction: it has no payload")
	}
	cb := new(slack.InteractionCallback)
	if err := json.Unmarshal([]byte(payload), cb); err != nil {
		return nil, fmt.Errorf("not an interaction: %w", err)
	}
	return cb, nil
}

// readEvent reads the body of an event. Events are known by their signature,
// so the token that Slack no longer recommends isn't looked at.
func readEvent(body []byte) (*slackevents.EventsAPIEvent, error) {
	e, err := slackevents.ParseEvent(body, slackevents.OptionNoVerifyToken())
	if err != nil {
		return nil, fmt.Errorf("not an event: %w", err)
	}
	return &e, nil
}

// signed checks Slack's signature over the raw body. slack-go compares it in
// constant time and refuses timestamps beyond five minutes; the signature of
// what was taken is remembered for longer than that, so nothing is taken twice.
func (b *Bot) signed(take func(r *http.Request, body []byte) (any, error)) http.Handler {
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
		// Hexadecimal digits may be written in two ways and mean the same.
		key := "request " + strings.ToLower(r.Header.Get("X-Slack-Signature"))
		if !b.seen.first(key) {
			b.log.Warn("request came a second time and was refused", "path", r.URL.Path)
			http.Error(w, "this request was taken already", http.StatusConflict)
			return
		}
		answer, err := take(r, body)
		switch {
		case errors.Is(err, errBusy):
			b.seen.forget(key)
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
		case answer != nil:
			var out bytes.Buffer
			if err := json.NewEncoder(&out).Encode(answer); err != nil {
				b.log.Error("answer can't be written", "path", r.URL.Path, "error", err)
				http.Error(w, "internal error", http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(out.Bytes()) // the only error is that the reader went away
		}
	})
}
