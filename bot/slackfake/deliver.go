package slackfake

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// ErrNoApp is returned when the app neither has a socket open nor a request URL.
var ErrNoApp = errors.New("the app is not connected: start the bot, or set its request URL")

// ErrTimeout is returned when the app did not acknowledge in time.
var ErrTimeout = errors.New("operation_timeout: the app did not acknowledge within 3 seconds")

// ackWithin is how long the app has to acknowledge, scaled by Options.WaitScale.
const ackWithin = 3 * time.Second

// envelopeMethod names deliveries in faults.
const envelopeMethod = "envelope"

// retryWaits are the waits before the first, second and third retry of an
// envelope, scaled by Options.WaitScale.
func retryWaits() []time.Duration { return []time.Duration{0, time.Minute, 5 * time.Minute} }

// delivery is something that Slack tells the app.
type delivery struct {
	kind    string         // "slash_commands", "interactive" or "events_api"
	payload map[string]any // as in Socket Mode
	url     string         // request URL; "" for Socket Mode
	form    url.Values     // body for the request URL
	json    []byte         // the same of an event, which is no form
}

// deliver hands a delivery to the app and returns what its ack carried.
func (w *Workspace) deliver(ctx context.Context, d delivery) (json.RawMessage, error) {
	if d.url != "" {
		return w.post(ctx, d)
	}
	body, err := w.attempt(ctx, d, 0)
	for i, wait := range retryWaits() {
		if err == nil || errors.Is(err, ErrNoApp) || !sleep(ctx, w.scaled(wait)) {
			return body, err
		}
		body, err = w.attempt(ctx, d, i+1)
	}
	return body, err
}

// attempt sends one envelope and waits for its ack.
func (w *Workspace) attempt(ctx context.Context, d delivery, retry int) (json.RawMessage, error) {
	fault := w.takeFault(envelopeMethod, "")
	if fault != nil && fault.Delay > 0 && !sleep(ctx, fault.Delay) {
		return nil, ctx.Err()
	}
	if fault != nil && fault.Kind == OutOfOrder {
		w.overtaken(ctx)
	}
	copies := 1
	if fault != nil && fault.Kind == DuplicateEnvelope {
		copies = 2
	}
	ack := make(chan json.RawMessage, copies)
	for range copies {
		id, err := w.sendEnvelope(d, retry, ack)
		if err != nil {
			return nil, err
		}
		defer w.forgetAck(id)
	}
	ctx, cancel := context.WithTimeout(ctx, w.scaled(ackWithin))
	defer cancel()
	if fault != nil && fault.Kind == LostAck {
		<-ctx.Done()
		return nil, ErrTimeout
	}
	select {
	case body := <-ack:
		return body, nil
	case <-ctx.Done():
		return nil, ErrTimeout
	}
}

func (w *Workspace) sendEnvelope(d delivery, retry int, ack chan json.RawMessage) (id string, err error) {
	id = rand.Text()
	env := map[string]any{
		"type": d.kind, "envelope_id": id, "payload": d.payload,
		"accepts_response_payload": d.kind != "events_api",
	}
	if retry > 0 {
		env["retry_attempt"] = retry
		env["retry_reason"] = "timeout"
	}
	w.mu.Lock()
	s := w.pick()
	if s == nil {
		w.mu.Unlock()
		return "", ErrNoApp
	}
	w.acks[id] = ack
	stalled := s.stalled
	passed := w.overtakers
	w.overtakers = nil
	w.mu.Unlock()
	if !stalled {
		if err := s.send(env); err != nil {
			s.stop()
		}
	}
	for _, p := range passed {
		close(p)
	}
	return id, nil
}

func (w *Workspace) forgetAck(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.acks, id)
}

// post sends a signed request to the request URL of the app.
func (w *Workspace) post(ctx context.Context, d delivery) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, w.scaled(ackWithin))
	defer cancel()
	body, kind := []byte(d.form.Encode()), "application/x-www-form-urlencoded"
	if d.json != nil {
		body, kind = d.json, "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("request URL: %w", err)
	}
	ts := fmt.Sprint(w.opts.Now().Unix())
	req.Header.Set("Content-Type", kind)
	req.Header.Set("X-Slack-Request-Timestamp", ts)
	req.Header.Set("X-Slack-Signature", Sign(w.opts.SigningSecret, ts, body))
	resp, err := w.opts.Client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ErrTimeout
		}
		return nil, fmt.Errorf("request URL: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("request URL: read answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("request URL: dispatch_failed: the app answered %s", resp.Status)
	}
	if len(bytes.TrimSpace(answer)) > 0 && !json.Valid(answer) {
		return json.Marshal(map[string]string{"text": string(answer)})
	}
	return answer, nil
}

// Sign returns Slack's signature of a request (docs.slack.dev/authentication/verifying-requests-from-slack).
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "v0:%s:%s", timestamp, body)
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}
