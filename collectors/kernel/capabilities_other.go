//go:build !linux

package kernel

// dropCapabilities does nothing: without Linux there are none, and no probe.
func dropCapabilities() error { return nil }
