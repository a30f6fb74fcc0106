// Package wire holds the protocol between agents and the engine, generated
// from relay.proto. It has no behaviour of its own.
package wire

//go:generate ./generate
