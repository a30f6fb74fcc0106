package applog

import (
	"regexp"
	"strings"
)

// Address is whom a setting names.
type Address struct {
	Host, Port, Database string
	System               string // kind of peer, by scheme or port; empty where nothing tells
}

// bare matches a setting that is a host, with or without its port.
var bare = regexp.MustCompile(`^([A-Za-z0-9_](?:[\w.-]*\w)?)(?::(\d{1,5}))?$`)

// Addresses returns whom the value of a setting, or the text of a configuration
// file, names: URLs anywhere in it, or all of it where it is a host.
func Addresses(value string) []Address {
	var out []Address
	for _, m := range inURL.FindAllStringSubmatch(value, 32) {
		a := Address{Host: hostOf(m[inURL.SubexpIndex("host")]), Port: m[inURL.SubexpIndex("port")], Database: m[inURL.SubexpIndex("database")]}
		if a.Host != "" {
			a.System = systemAt(m[0], a.Port)
			out = append(out, a)
		}
	}
	if m := bare.FindStringSubmatch(strings.TrimSpace(value)); m != nil && len(out) == 0 {
		if a := (Address{Host: hostOf(m[1]), Port: m[2]}); a.Host != "" {
			a.System = systemAt(m[1], m[2])
			out = append(out, a)
		}
	}
	return out
}

func systemAt(text, port string) string {
	for _, s := range Systems {
		if port == s.Port || s.words.MatchString(text) {
			return s.Name
		}
	}
	return ""
}

// Names reports whether a text, such as the name of a variable, names the
// system.
func Names(text, system string) bool {
	for _, s := range Systems {
		if s.Name == system {
			return s.words.MatchString(text)
		}
	}
	return false
}
