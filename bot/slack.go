package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/slack-go/slack"
)

// metadataType marks the messages of this bot, for finding them again.
const metadataType = "tapio_post"

// verdict is what an answer of Slack's means for a call.
type verdict string

const (
	callDone     verdict = "done"
	callLimited  verdict = "limited"  // nothing was done: again after a while
	callUnknown  verdict = "unknown"  // it may have been done: look before doing it again
	callRoute    verdict = "route"    // the channel refuses us
	callGone     verdict = "gone"     // the message can't be edited or answered any more
	callBlocks   verdict = "blocks"   // the layout was refused: send plain text
	callToken    verdict = "token"    // the token was refused: nothing can be said
	callRefused  verdict = "refused"  // for a reason that we don't know
	callCanceled verdict = "canceled" // we are stopping
)

// judge sorts an error of the Web API. after is how long to wait when the
// rate is limited, and name is Slack's own word for the error.
func judge(err error) (v verdict, name string, after time.Duration) {
	if err == nil {
		return callDone, "", 0
	}
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		return callLimited, "ratelimited", min(max(limited.RetryAfter, time.Second), maxRetryAfter)
	}
	if status, ok := errors.AsType[slack.StatusCodeError](err); ok {
		if status.Code == http.StatusTooManyRequests {
			return callLimited, "ratelimited", defaultRetryAfter
		}
		return callUnknown, fmt.Sprintf("http_%d", status.Code), 0
	}
	if refused, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		v = verdictOf(refused.Err)
		if v == callLimited {
			after = defaultRetryAfter
		}
		return v, refused.Err, after
	}
	if errors.Is(err, context.Canceled) {
		return callCanceled, "canceled", 0
	}
	return callUnknown, "no_answer", 0 // timeout, connection cut, an answer that isn't one
}

// verdictOf sorts Slack's error names
// (docs.slack.dev/reference/methods/chat.postMessage and chat.update).
func verdictOf(name string) verdict {
	switch name {
	case "ratelimited", "rate_limited", "message_limit_exceeded":
		return callLimited
	case "fatal_error", "internal_error", "service_unavailable", "request_timeout", "team_added_to_org":
		return callUnknown
	case "not_in_channel", "channel_not_found", "is_archived", "is_inactive", "posting_to_channel_denied", "no_permission",
		"user_not_found", "cannot_dm_bot", "user_disabled", "messages_tab_disabled":
		return callRoute
	case "message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "cannot_reply_to_message":
		return callGone
	case "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "invalid_attachments",
		"too_many_attachments", "attachment_payload_limit_exceeded":
		return callBlocks
	case "token_revoked", "account_inactive", "invalid_auth", "token_expired", "not_authed", "missing_scope",
		"not_allowed_token_type", "org_login_required", "access_denied", "team_access_not_granted", "ekm_access_denied":
		return callToken
	}
	if strings.HasPrefix(name, "restricted_action") {
		return callRoute
	}
	return callRefused
}

// api speaks with Slack's Web API. Its methods are safe for concurrent use.
type api struct {
	client   *slack.Client
	log      *slog.Logger
	channels directory
}

// sent is where a message ended up.
type sent struct {
	channel string // ID
	ts      string
	thread  string // ts of the thread that it is in, "" where it stands for itself
}

// options turns a message into what slack-go wants. A plain message has no
// blocks; the empty ones that are sent instead take away those that were there.
func (m *message) options(plain bool) []slack.MsgOption {
	out := []slack.MsgOption{
		slack.MsgOptionText(m.Text, false),
		slack.MsgOptionDisableLinkUnfurl(),
		slack.MsgOptionDisableMediaUnfurl(),
	}
	if plain {
		return append(out, slack.MsgOptionBlocks(), slack.MsgOptionAttachments([]slack.Attachment{}...), slack.MsgOptionParse(false))
	}
	return append(out, slack.MsgOptionBlocks(m.Blocks...), slack.MsgOptionAttachments(m.attachments()...))
}

// post makes a new message, in a thread if thread is set. No retry of any kind
// happens here: only the caller knows whether a second one would double it.
func (a *api) post(ctx context.Context, channel, thread string, broadcast, plain bool, m *message, meta map[string]any) (sent, error) {
	opts := append(m.options(plain), slack.MsgOptionMetadata(slack.SlackMetadata{EventType: metadataType, EventPayload: meta}))
	if thread != "" {
		opts = append(opts, slack.MsgOptionTS(thread))
		if broadcast {
			opts = append(opts, slack.MsgOptionBroadcast())
		}
	}
	ch, ts, made, err := a.client.PostMessageWithResponseContext(ctx, channel, opts...)
	if err != nil {
		return sent{}, err
	}
	if ts == "" {
		return sent{}, errors.New("slack answered without a ts")
	}
	return sent{channel: ch, ts: ts, thread: made.ThreadTimestamp}, nil
}

// edit replaces a message. Its metadata stays.
func (a *api) edit(ctx context.Context, channel, ts string, plain bool, m *message) error {
	_, edited, _, err := a.client.UpdateMessageContext(ctx, channel, ts, m.options(plain)...)
	if err == nil && edited == "" {
		return errors.New("slack answered without a ts")
	}
	return err
}

// find looks for the message that carries the nonce: among the root messages
// of a channel, or among the replies of a thread.
func (a *api) find(ctx context.Context, channel, thread, nonce string, since time.Time) (sent, bool, error) {
	oldest := fmt.Sprintf("%d.000000", since.Add(-searchBack).Unix())
	cursor := ""
	for range searchPages {
		var msgs []slack.Message
		if thread == "" {
			page, err := a.client.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{
				ChannelID: channel, Cursor: cursor, Oldest: oldest, Limit: 200, IncludeAllMetadata: true,
			})
			if err != nil {
				return sent{}, false, fmt.Errorf("search history: %w", err)
			}
			msgs, cursor = page.Messages, page.ResponseMetaData.NextCursor
		} else {
			page, _, next, err := a.client.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{
				ChannelID: channel, Timestamp: thread, Cursor: cursor, Oldest: oldest, Limit: 200, IncludeAllMetadata: true,
			})
			if err != nil {
				return sent{}, false, fmt.Errorf("search thread: %w", err)
			}
			msgs, cursor = page, next
		}
		for i := range msgs {
			meta := msgs[i].Metadata
			if meta.EventType == metadataType && meta.EventPayload["nonce"] == nonce {
				return sent{channel: channel, ts: msgs[i].Timestamp, thread: msgs[i].ThreadTimestamp}, true, nil
			}
		}
		if cursor == "" {
			break
		}
	}
	return sent{}, false, nil
}

// openDirect returns the conversation with a person.
func (a *api) openDirect(ctx context.Context, user string) (string, error) {
	c, _, _, err := a.client.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{user}})
	if err != nil {
		return "", err
	}
	return c.ID, nil
}

// errRefused says that a channel takes no message of ours.
var errRefused = errors.New("the channel refuses us")

// takes finds out whether a channel, as "#name" or ID, takes messages, and joins
// it for that. It returns its ID, or an error where it doesn't or nobody knows.
func (a *api) takes(ctx context.Context, name string) (string, error) {
	id := name
	if bare, ok := strings.CutPrefix(name, "#"); ok {
		var err error
		if id, err = a.channelID(ctx, bare); err != nil {
			return "", err
		}
	}
	if id == "" {
		return "", errRefused
	}
	c, err := a.client.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: id})
	switch {
	case err != nil:
		return "", err
	case c.IsArchived:
		return "", errRefused
	case !c.IsMember:
		return id, a.join(ctx, id)
	}
	return id, nil
}

// join makes the bot a member of a public channel.
func (a *api) join(ctx context.Context, channel string) error {
	_, _, _, err := a.client.JoinConversationContext(ctx, channel)
	return err
}

// permalink returns the address of a message; "" where it has none.
func (a *api) permalink(ctx context.Context, channel, ts string) string {
	if channel == "" || ts == "" {
		return ""
	}
	address, err := a.client.GetPermalinkContext(ctx, &slack.PermalinkParameters{Channel: channel, Ts: ts})
	if err != nil {
		a.log.Debug("no permalink", "channel", channel, "ts", ts, "error", err)
		return ""
	}
	return address
}

// respond answers an interaction or a command through its response URL.
func (a *api) respond(ctx context.Context, address string, inChannel bool, m *message) error {
	kind := slack.ResponseTypeEphemeral
	if inChannel {
		kind = slack.ResponseTypeInChannel
	}
	opts := append(m.options(false), slack.MsgOptionResponseURL(address, kind))
	_, _, _, err := a.client.SendMessageContext(ctx, "", opts...)
	return err
}

// tokenError explains a refused token without showing it.
func tokenError(kind, where, reason string) error {
	hint := "copy it again"
	switch reason {
	case "missing_scope":
		hint = "add the missing scope there and install the app again"
	case "not_allowed_token_type":
		hint = "it seems to be a token of the other kind"
	case "token_revoked", "account_inactive":
		hint = "install the app again and copy the new one"
	}
	return fmt.Errorf("slack refuses the %s (%s): you find it at https://api.slack.com/apps under %s; %s", kind, reason, where, hint)
}

func botTokenError(reason string) error {
	return tokenError("bot token, which begins with xoxb-", "OAuth & Permissions → Bot User OAuth Token", reason)
}

func appTokenError(reason string) error {
	return tokenError("app token, which begins with xapp-", "Basic Information → App-Level Tokens (scope connections:write)", reason)
}
