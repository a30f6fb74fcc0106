// Package relay brings what the agents of nodes saw to the engine: a sender
// (package sender) in each agent, one [Server] beside the engine, gRPC with TLS
// between them.
//
// # What an agent may count on
//
// What is in its buffer (package spool) reaches the engine in order and once.
// The server acknowledges what the engine's loop has taken; an agent keeps the
// rest and tells it when the line is up again, however often it is cut. A new
// run of the engine is told the last ten minutes again, because it knows
// nothing of them: event IDs are derived from facts, so the engine recognizes
// what it had.
//
// # What the engine may count on
//
// An agent proves by its service account's token who it is; the API server
// checks it (TokenReview, audience "tapio") and names the node that the token's
// pod runs on: an agent speaks for its own node only. Tokens are checked anew
// each time a line opens, and lines last half an hour at most. Only events and
// gaps of the senses of a node are taken, each at most 16 KiB; no state.
//
// Each node has a quota. A node beyond it is read more slowly, and nothing
// else: its own buffer fills, drops the oldest and tells a gap. The same
// happens to all of them while the engine is slow.
//
// # Heartbeats
//
// An agent says every five seconds that it lives and what it can't see. After
// 20 seconds of silence the server reports [tapio.NodeAgentLost], and
// [tapio.NodeAgentBack] once it is heard again. Together with what the API
// says of the node and with what the agent says of the kubelet, a reader can
// tell a node that is gone from a kubelet that is.
//
// Nothing is judged here.
package relay

import "time"

const (
	// Audience is what a token must be made for, so that a token that leaks from
	// here opens nothing else.
	Audience = "tapio"
	// silence is after how long without a word an agent counts as lost: three
	// beats may get lost before.
	silence = 20 * time.Second
	// lineAge is how long a line lasts at most, so that tokens are checked anew.
	lineAge = 30 * time.Minute
	// maxWord bounds a message: a batch and some.
	maxWord = 1 << 20
	// maxObservation bounds one observation as JSON: log lines and messages are
	// cut far below that by what reads them.
	maxObservation = 16 << 10
)
