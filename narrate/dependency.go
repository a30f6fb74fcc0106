package narrate

import (
	"net/netip"
	"strings"

	"github.com/yairfalse/tapio"
)

// dependency fills in what an application's own words name.
func (v *View) dependency(s *tapio.Story) {
	fact := func(key string) string { return quote(s.Facts[key]) }
	v.Class, v.Peer, v.PeerPort = fact(tapio.FactClass), fact(tapio.FactPeer), fact(tapio.FactPort)
	v.User, v.Database, v.Path, v.Missing = fact(tapio.FactUser), fact(tapio.FactDatabase), fact(tapio.FactPath), fact(tapio.FactMissing)
	v.Verb, v.Volume, v.Claim, v.Origin = fact(tapio.FactVerb), fact(tapio.FactVolume), fact(tapio.FactClaim), fact(tapio.FactOrigin)
	v.Confirmed = s.Facts[tapio.FactConfirmed] == "true"
	v.PeerNamespace = v.Namespace
	v.HowItFails = failings[v.Class]
	v.WhatItLacks = lack(v)

	ns, account, ok := strings.Cut(fact(tapio.FactAccount), "/")
	if ok {
		v.Account, v.AccountName = account, ns+":"+account
	}
	if s.Facts[tapio.FactKind] == string(tapio.KindService) {
		ns, name, ok := strings.Cut(fact(tapio.FactObject), "/")
		if ok {
			v.ThePeer, v.PeerNamespace = "Service "+name, ns
			if ns != v.Namespace {
				v.ThePeer += " in namespace " + ns
			}
			return
		}
	}
	system := fact(tapio.FactSystem)
	_, err := netip.ParseAddr(v.Peer)
	switch {
	case v.Peer == "localhost", strings.HasPrefix(v.Peer, "127."):
		v.ThePeer = strings.TrimSpace(system + " in its own pod")
	case v.Peer != "" && err == nil && system != "":
		v.ThePeer = system + " at " + v.Peer
	case v.Peer != "":
		v.ThePeer = v.Peer
	default:
		v.ThePeer = or(system, "a service that it calls")
	}
}

// failings words how a peer fails those who call it.
var failings = map[string]string{
	"refused":     "refuses connections",
	"no_route":    "is at an address that no route leads to",
	"timed_out":   "does not answer in time",
	"reset":       "drops the connections",
	"unavailable": "says that nobody serves there",
	"protocol":    "speaks another protocol than its caller",
	"tls":         "shows a certificate that its caller does not trust",
}

// lack words what ended a program that says so itself.
func lack(v *View) string {
	name := func(before, after string) string {
		if v.Missing == "" {
			return ""
		}
		return before + " " + v.Missing + " " + after
	}
	switch v.Class {
	case "missing_module":
		return or(name("the module or program", "is not in its image"), "a module is not in its image")
	case "missing_file":
		if v.Path != "" {
			return "the file " + v.Path + " does not exist"
		}
		return "a file that it reads does not exist"
	case "missing_setting":
		return or(name("the setting", "is not set"), "a setting that it needs is not set")
	case "invalid_setting":
		return or(name("it cannot make sense of the setting", "that it was given"), "it cannot read its configuration")
	case "database_missing":
		if v.Database != "" {
			return "the database " + v.Database + " does not exist"
		}
		return or(name("the table", "does not exist in its database"), "what it looks for is not in its database")
	case "out_of_memory":
		return "its runtime used up its own heap, which is smaller than the container's memory limit"
	case "stack_overflow":
		return "it called itself without end until its stack was full"
	case "panic":
		return "nothing in it caught the error"
	case "permission_denied":
		if v.Path != "" {
			return "it has no right to " + v.Path
		}
		return "it has no right to a file that it needs"
	case "disk_full":
		return "no space is left where it writes"
	case "cert_expired":
		return "a certificate has expired"
	case "name_timed_out":
		return "the DNS server did not answer"
	}
	return ""
}
