package engine

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"

	"github.com/yairfalse/tapio"
)

const (
	// tinyLimit is a memory limit, in bytes, below which the first process of a
	// container can't even be set up: the runtime's own needs some 6 MiB.
	tinyLimit = 6 << 20
	// oomSlack is how far apart an exit and the kernel's record of the kill may
	// be: the record comes by way of a log reader and is dated to the second.
	oomSlack = 30 * time.Second
	// keptKills bounds the exits and records that are remembered for each other.
	keptKills = 256
)

// kills remembers the exits 137 that nobody explains, and the kernel's records
// of out-of-memory kills, until one meets the other.
type kills struct{ exits, records []*tapio.Event }

// infer returns the facts that follow from an event together with what else
// is known: no single object shows them.
func (e *Engine) infer(ev *tapio.Event) []*tapio.Event {
	var out []*tapio.Event
	add := func(from *tapio.Event, typ tapio.EventType, reason, message string, attrs map[string]string) {
		d := &tapio.Event{
			Time: from.Time, Seen: from.Seen, Source: from.Source, Type: typ, Severity: tapio.SeverityHigh, Entity: from.Entity,
			Reason: reason, Message: message, Listed: from.Listed, Attrs: attrs,
		}
		for _, k := range []string{tapio.AttrUID, tapio.AttrNode, tapio.AttrTerminating} {
			if v := from.Attrs[k]; v != "" {
				d.Attrs[k] = v
			}
		}
		d.SetID()
		out = append(out, d)
	}
	if image, answer := refusedImage(ev); image != "" {
		near, inUse := e.nearImage(ev.Entity, image)
		official := strings.HasPrefix(repository(image), "docker.io/library/")
		if near != "" || official && !inUse {
			add(ev, tapio.ImageNearMatch, answer, "", map[string]string{tapio.AttrImage: image, tapio.AttrNearest: near})
		}
	}
	if killedStart(ev) {
		if limit := e.smallestLimit(ev); limit != "" {
			add(ev, tapio.LimitTiny, ev.Reason, ev.Message, map[string]string{tapio.AttrMemoryLimit: limit})
		}
	}
	for _, pair := range e.control.kills.meet(ev) {
		add(pair[0], tapio.OOMRecord, pair[1].Reason, pair[1].Message, map[string]string{})
	}
	return out
}

// meet takes in an exit or a record and returns the pairs, exit first, that it
// makes with what came before.
func (k *kills) meet(ev *tapio.Event) (pairs [][2]*tapio.Event) {
	isExit := ev.Type == tapio.ContainerExit && ev.Int(tapio.AttrExitCode) == 137 && ev.Reason != "OOMKilled" && ev.Attrs[tapio.AttrTerminating] == ""
	isRecord := ev.Type == tapio.KubernetesEvent && ev.Entity.Kind == tapio.KindNode && (ev.Reason == "OOMKilling" || ev.Reason == "SystemOOM")
	near := func(exit, record *tapio.Event) bool {
		d := exit.Time.Sub(record.Time)
		return exit.Attrs[tapio.AttrNode] == record.Entity.Name && d >= -oomSlack && d <= oomSlack
	}
	keep := func(list []*tapio.Event) []*tapio.Event {
		if list = append(list, ev); len(list) > keptKills {
			list = list[1:]
		}
		return list
	}
	switch {
	case isExit:
		for _, r := range k.records {
			if near(ev, r) {
				pairs = append(pairs, [2]*tapio.Event{ev, r})
				break
			}
		}
		k.exits = keep(k.exits)
	case isRecord:
		for _, x := range k.exits {
			if near(x, ev) {
				pairs = append(pairs, [2]*tapio.Event{x, ev})
			}
		}
		k.records = keep(k.records)
	}
	return pairs
}

var (
	killed  = regexp.MustCompile(`(?i)signal: killed|exit status 2\b|read init-p|broken pipe|cannot allocate memory|unexpected EOF`)
	pullOf  = regexp.MustCompile(`(?:image|reference) "([^"]+)"`)
	refused = regexp.MustCompile(`(?i)pull access denied|failed to authorize|unauthorized|authentication required|authorization failed|access denied|40[13] (?:unauthorized|forbidden)|status[^:]*: 40[13]`)
	absent  = regexp.MustCompile(`(?i): not found|manifest unknown|name unknown|repository does not exist`)
)

// killedStart reports whether the event says that the first process of a pod or
// container was killed before it ran.
func killedStart(ev *tapio.Event) bool {
	switch ev.Reason {
	case "FailedCreatePodSandBox", "StartError", "RunContainerError", "CreateContainerError", "ContainerCannotRun", "Failed":
		return killed.MatchString(ev.Message) && !strings.Contains(ev.Message, "pull")
	}
	return false
}

// smallestLimit returns the memory limit of the event's container, or the
// smallest of its pod, where that is too small for any container.
func (e *Engine) smallestLimit(ev *tapio.Event) string {
	s := e.graph.State(ev.Entity)
	if s == nil || s.Pod == nil {
		return ""
	}
	for _, c := range s.Pod.Containers {
		if ev.Entity.Container != "" && ev.Entity.Container != c.Name {
			continue
		}
		if n, ok := memory(c.Limits.Memory); ok && n > 0 && n < tinyLimit {
			return c.Limits.Memory
		}
	}
	return ""
}

// memory reads a Kubernetes quantity of memory, in bytes.
func memory(quantity string) (bytes float64, ok bool) {
	units := map[string]float64{
		"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "m": 1e-3,
		"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
	}
	number := strings.TrimRight(quantity, "kKMGTim")
	unit, known := units[quantity[len(number):]]
	n, err := strconv.ParseFloat(number, 64)
	return n * unit, err == nil && known
}

// refusedImage returns the image that a registry refused or did not find, and
// which of the two it said.
func refusedImage(ev *tapio.Event) (image, answer string) {
	switch {
	case ev.Type == tapio.ContainerWaiting && (ev.Reason == "ErrImagePull" || ev.Reason == "ImagePullBackOff"):
	case ev.Type == tapio.KubernetesEvent && ev.Entity.Kind == tapio.KindPod && ev.Reason == "Failed":
	default:
		return "", ""
	}
	switch {
	case refused.MatchString(ev.Message):
		answer = "Refused"
	case absent.MatchString(ev.Message):
		answer = "NotFound"
	default:
		return "", ""
	}
	if m := pullOf.FindStringSubmatch(ev.Message); m != nil {
		return m[1], answer
	}
	return ev.Attrs[tapio.AttrImage], answer
}

// nearImage returns an image whose repository differs from that of the given
// one as by a slip of the pen, or nothing: the one that the pod's own workload
// used before, one that a container runs from now, or a well-known official
// one. inUse says that others run from the very repository: its name is right.
func (e *Engine) nearImage(pod tapio.Entity, image string) (near string, inUse bool) {
	wanted := repository(image)
	for _, ev := range slices.Backward(e.recent[e.graph.Workload(pod)]) {
		for _, c := range ev.Changes {
			if strings.HasSuffix(c.Field, ".image") && repository(c.To) == wanted && slip(wanted, repository(c.From)) {
				return c.From, false
			}
		}
	}
	for _, used := range e.graph.Images() {
		switch r := repository(used); {
		case r == wanted:
			return "", true
		case near == "" && slip(wanted, r):
			near = used
		}
	}
	if near == "" {
		for _, name := range official {
			if slip(wanted, repository(name)) {
				return name, false
			}
		}
	}
	return near, false
}

// official are images that Docker publishes itself and that are used most.
// Nobody needs a login for these, so a registry that refuses one of their
// namespace has no such image.
var official = []string{
	"alpine", "busybox", "caddy", "cassandra", "consul", "couchdb", "debian", "eclipse-mosquitto", "elasticsearch", "fedora",
	"golang", "grafana", "haproxy", "httpd", "influxdb", "jenkins", "kibana", "logstash", "mariadb", "memcached", "mongo", "mysql", "nats", "neo4j",
	"nginx", "node", "openjdk", "php", "postgres", "python", "rabbitmq", "redis", "registry", "rockylinux", "ruby", "rust", "solr", "telegraf",
	"tomcat", "traefik", "ubuntu", "vault", "wordpress", "zookeeper",
}

// repository returns an image's registry host and path, as the container
// runtime completes them, without tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	host, path, ok := strings.Cut(image, "/")
	switch {
	case !ok:
		return "docker.io/library/" + image
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		return "docker.io/" + image
	case (host == "docker.io" || host == "index.docker.io") && !strings.Contains(path, "/"):
		return "docker.io/library/" + path
	}
	return image
}

// slip reports whether two repositories of one registry differ as a misspelt
// name does from the right one: by a letter or two in one part of the path,
// which is long enough for that to be no other name, and not by a number.
func slip(a, b string) bool {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	if a == b || len(as) != len(bs) || as[0] != bs[0] {
		return false
	}
	differs := -1
	for i := range as {
		if as[i] != bs[i] {
			if differs >= 0 {
				return false
			}
			differs = i
		}
	}
	x, y := as[differs], bs[differs]
	if letters(x) == letters(y) || min(len(x), len(y)) < 4 {
		return false
	}
	switch levenshtein.ComputeDistance(x, y) {
	case 1:
		return min(len(x), len(y)) >= 5
	case 2:
		return swapped(x, y) || min(len(x), len(y)) >= 9
	}
	return false
}

// letters returns a name without its digits and separators.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return -1
		}
		return r
	}, s)
}

// swapped reports whether two neighbouring letters changed places.
func swapped(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
