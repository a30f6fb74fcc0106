//go:build !linux

package dns

func isCgroup2(string) bool { return false }
