package engine

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/applog"
)

// setting is one thing that a container is told: a variable, or what a
// ConfigMap holds that it takes in. Its value is empty where it is not known,
// as of every Secret.
type setting struct {
	variable string
	value    string
	from     tapio.Entity // ConfigMap or Secret, or zero
	key      string
}

// String says where the setting stands, in words that follow "comes from".
func (s setting) String() string {
	if s.from.IsZero() {
		return "variable " + s.variable
	}
	out := string(s.from.Kind) + " " + s.from.Name
	if s.key != "" {
		out += ", key " + s.key
	}
	if s.variable != "" {
		out += " (variable " + s.variable + ")"
	}
	return out
}

// settings lists what a container is told: its variables first, then the
// ConfigMaps and Secrets that it takes in whole, as variables or as files.
func (e *Engine) settings(container tapio.Entity) []setting {
	pod, spec := e.graph.Spec(container)
	if spec == nil {
		return nil
	}
	var out []setting
	for _, v := range spec.Env {
		s := setting{variable: v.Name, value: v.Value, key: v.Key}
		if v.From.Kind == tapio.KindConfigMap || v.From.Kind == tapio.KindSecret {
			s.from = v.From
			if s.value == "" {
				s.value = e.configured(v.From)[v.Key]
			}
		}
		out = append(out, s)
	}
	whole := slices.Clone(spec.EnvFrom)
	for _, m := range spec.Mounts {
		for _, v := range pod.Volumes {
			if v.Name == m.Volume && (v.Source.Kind == tapio.KindConfigMap || v.Source.Kind == tapio.KindSecret) {
				whole = append(whole, v.Source)
			}
		}
	}
	for _, from := range whole {
		values := e.configured(from)
		if len(values) == 0 {
			out = append(out, setting{from: from})
		}
		for _, k := range slices.Sorted(maps.Keys(values)) {
			out = append(out, setting{from: from, key: k, value: values[k]})
		}
	}
	return out
}

// configured returns the values of a ConfigMap, where they are known.
func (e *Engine) configured(from tapio.Entity) map[string]string {
	if s := e.graph.State(from); s != nil && s.Config != nil {
		return s.Config.Values
	}
	return nil
}

var (
	credential = regexp.MustCompile(`(?i)pass|pwd|secret|token|credential|auth`)
	connection = regexp.MustCompile(`(?i)url|uri|dsn|conn`)
	account    = regexp.MustCompile(`(?i)user|login|account`)
)

// origin says where the credential or the address that failed comes from, and
// never what it is. It returns "" where nothing tells.
func (e *Engine) origin(container tapio.Entity, x applog.Error, svc tapio.Entity) string {
	all := e.settings(container)
	if x.Class == applog.AuthFailed {
		return credentialOf(all, x, svc)
	}
	if x.Host == "" {
		return ""
	}
	for _, s := range all {
		for _, a := range applog.Addresses(s.value) {
			if strings.EqualFold(a.Host, x.Host) || a.Host == svc.Name && svc.Name != "" {
				return s.String()
			}
		}
	}
	return ""
}

// credentialOf picks the setting that most likely holds the credential: what
// is named like one, for that kind of peer, from a Secret.
func credentialOf(all []setting, x applog.Error, svc tapio.Entity) string {
	best, rank := "", 0
	for _, s := range all {
		name := s.variable + " " + s.from.Name + " " + s.key
		r := 0
		switch {
		case credential.MatchString(s.variable + s.key):
			r = 8
		case connection.MatchString(s.variable + s.key):
			r = 4
		case account.MatchString(s.variable + s.key):
			r = 2
		case s.from.Kind == tapio.KindSecret && s.key == "":
			r = 1
		default:
			continue
		}
		if s.from.Kind == tapio.KindSecret {
			r += 3
		}
		leads, elsewhere := leadsTo(s.value, x.System)
		if leads || x.System != "" && applog.Names(name, x.System) || !elsewhere && svc.Name != "" && strings.Contains(strings.ToLower(name), svc.Name) {
			r += 6
		} else if other := otherSystem(name, x.System); other {
			continue // the credential of somebody else
		}
		if r > rank {
			best, rank = s.String(), r
		}
	}
	return best
}

// leadsTo reports whether a setting's value has an address of that kind of
// peer, or only URLs of others.
func leadsTo(value, system string) (leads, elsewhere bool) {
	if system == "" || value == "" {
		return false, false
	}
	leads = slices.ContainsFunc(applog.Addresses(value), func(a applog.Address) bool { return a.System == system })
	return leads, !leads && strings.Contains(value, "://")
}

// otherSystem reports whether a name names a kind of peer, and another one.
func otherSystem(name, system string) bool {
	return system != "" && slices.ContainsFunc(applog.Systems, func(s applog.System) bool {
		return s.Name != system && applog.Names(name, s.Name)
	})
}

// configuredPeer returns the Service that the container is told to call for
// the kind of system, where its settings name exactly one.
func (e *Engine) configuredPeer(container tapio.Entity, system string) (tapio.Entity, bool) {
	var found []tapio.Entity
	for _, s := range e.settings(container) {
		for _, a := range applog.Addresses(s.value) {
			if a.System != system && !applog.Names(s.variable, system) {
				continue
			}
			if svc, ok := e.graph.Resolve(strings.ToLower(a.Host), container.Namespace); ok && !slices.Contains(found, svc) {
				found = append(found, svc)
			}
		}
	}
	if system == "" || len(found) != 1 {
		return tapio.Entity{}, false
	}
	return found[0], true
}

// place is where a path of a container lies.
type place struct {
	mount  tapio.Mount
	volume tapio.Volume
}

// placeOf returns the volume that a path of a container lies on, or, where the
// path is not known, the only claim that it mounts.
func (e *Engine) placeOf(container tapio.Entity, path string) (place, bool) {
	pod, spec := e.graph.Spec(container)
	if spec == nil {
		return place{}, false
	}
	var best place
	found, claims := false, 0
	for _, m := range spec.Mounts {
		at := slices.IndexFunc(pod.Volumes, func(v tapio.Volume) bool { return v.Name == m.Volume })
		if at < 0 {
			continue
		}
		p := place{m, pod.Volumes[at]}
		if path == "" {
			if p.volume.Source.Kind == tapio.KindPersistentVolumeClaim {
				best, claims = p, claims+1
			}
			continue
		}
		root := strings.TrimSuffix(m.Path, "/")
		if (path == root || strings.HasPrefix(path, root+"/")) && (!found || len(m.Path) > len(best.mount.Path)) {
			best, found = p, true
		}
	}
	return best, found || claims == 1
}
