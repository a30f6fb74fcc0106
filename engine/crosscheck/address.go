package crosscheck

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/topology"
)

// Address is a host, and where it is said a port and a scheme, that a
// container is told to call.
type Address struct {
	Host   string
	Port   int    // 0 where none is said
	Scheme string // in lower case, or empty
	Text   string // as it stands there
	Origin string // "variable DB_HOST of container app"
	Name   string // of the variable or key
}

var (
	// url matches scheme, host and port of URLs, also where schemes are nested
	// as in jdbc:mysql://db:3306/shop.
	url = regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*)://(?:[^\s/@"']*@)?([a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)(?::(\d{1,5}))?`)
	// hostPort matches host:port, where the host begins with a letter.
	hostPort = regexp.MustCompile(`(?i)(?:^|[\s,;="'(@/])([a-z](?:[a-z0-9.-]*[a-z0-9])?):(\d{2,5})\b`)
	// host matches a name of DNS that is a whole value.
	hostName = regexp.MustCompile(`(?i)^[a-z](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.?$`)
	// hostVariable matches names of settings whose whole value is a host.
	hostVariable = regexp.MustCompile(`(?i)(?:^|[_.-])(?:host|hostname|addr|address|server|endpoint|url|uri|broker|brokers|service|svc)$`)
)

// addressesIn returns the addresses that a value names, at most eight.
func addressesIn(name, value, origin string) []Address {
	const most = 8
	var out []Address
	add := func(scheme, host, port, text string) {
		n, _ := strconv.Atoi(port)
		a := Address{Host: strings.ToLower(strings.TrimSuffix(host, ".")), Port: n, Scheme: strings.ToLower(scheme), Text: text, Origin: origin, Name: name}
		if len(out) < most && !slices.ContainsFunc(out, func(o Address) bool { return o.Host == a.Host && (o.Port == a.Port || a.Port == 0) }) {
			out = append(out, a)
		}
	}
	for _, m := range url.FindAllStringSubmatch(value, most) {
		add(m[1], m[2], m[3], strings.TrimSpace(m[2]+colon(m[3])))
	}
	for _, m := range hostPort.FindAllStringSubmatch(value, most) {
		add("", m[1], m[2], m[1]+":"+m[2])
	}
	if hostVariable.MatchString(name) && hostName.MatchString(value) {
		add("", value, "", value)
	}
	return out
}

func colon(port string) string {
	if port == "" {
		return ""
	}
	return ":" + port
}

// addresses returns what the containers of a spec are told to call: in their
// environment, their arguments and the ConfigMaps that they take their settings
// from, as far as those are known.
func addresses(g *topology.Graph, namespace string, spec *tapio.PodSpec) []Address {
	const most = 200
	known := func(e tapio.Entity) map[string]string {
		if s := g.State(tapio.Entity{Kind: tapio.KindConfigMap, Namespace: namespace, Name: e.Name}); s != nil && s.Config != nil && e.Kind == tapio.KindConfigMap {
			return s.Config.Values
		}
		return nil
	}
	var out []Address
	add := func(name, value, origin string) {
		if len(out) < most {
			out = append(out, addressesIn(name, value, origin)...)
		}
	}
	for i := range spec.Containers {
		c := &spec.Containers[i]
		first := len(out)
		ports := map[string]string{}
		for _, e := range c.Env {
			value, origin := e.Value, "variable "+e.Name+" of container "+c.Name
			if e.From.Kind == tapio.KindConfigMap {
				value, origin = known(e.From)[e.Key], "key "+e.Key+" of ConfigMap "+e.From.Name
			}
			add(e.Name, value, origin)
			if base, ok := strings.CutSuffix(strings.ToUpper(e.Name), "_PORT"); ok {
				ports[base] = value
			}
		}
		for j := first; j < len(out); j++ { // DB_HOST and DB_PORT belong together
			a := &out[j]
			if base, ok := strings.CutSuffix(strings.ToUpper(a.Name), "_HOST"); ok && a.Port == 0 {
				a.Port, _ = strconv.Atoi(ports[base])
			}
		}
		for _, words := range [][]string{c.Command, c.Args} {
			for j, w := range words {
				name := ""
				if j > 0 && strings.HasPrefix(words[j-1], "-") {
					name = strings.TrimLeft(words[j-1], "-")
				}
				if flag, value, ok := strings.Cut(w, "="); ok && strings.HasPrefix(flag, "-") {
					name, w = strings.TrimLeft(flag, "-"), value
				}
				add(name, w, "an argument of container "+c.Name)
			}
		}
		for _, from := range c.EnvFrom {
			whole(known(from), from.Name, add)
		}
	}
	for _, v := range spec.Volumes {
		whole(known(v.Source), v.Source.Name, add)
	}
	return out
}

// whole adds the addresses in all of a ConfigMap's values.
func whole(values map[string]string, configMap string, add func(name, value, origin string)) {
	for _, k := range sortedKeys(values) {
		add(k, values[k], "key "+k+" of ConfigMap "+configMap)
	}
}

func sortedKeys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// inside returns the Service and namespace that a host means if it is a name in
// the cluster: a short name, one with a namespace that exists, or a full one.
func inside(g *topology.Graph, host, namespace string) (name, ns string, ok bool) {
	parts := strings.Split(host, ".")
	if at := slices.Index(parts, "svc"); at >= 2 {
		return parts[at-2], parts[at-1], true
	}
	switch {
	case len(parts) == 1 && host != "localhost":
		return host, namespace, true
	case len(parts) == 2 && g.HasNamespace(parts[1]):
		return parts[0], parts[1], true
	}
	return "", "", false
}
