package placement

import (
	"regexp"
	"strconv"
	"strings"
)

// said is what the scheduler's message says of one obstacle.
type said struct {
	nodes int
	what  string // resource, taint, claim
}

// phrases are the scheduler's words for its filters. They drift between
// versions: each matches what did not change.
var phrases = []struct {
	obstacle Obstacle
	words    *regexp.Regexp // group 1: how many nodes; group 2: what
}{
	{CPU, regexp.MustCompile(`(\d+) Insufficient (cpu)\b`)},
	{Memory, regexp.MustCompile(`(\d+) Insufficient (memory)\b`)},
	{PodCount, regexp.MustCompile(`(\d+) (?:Too many pods|Insufficient pods)`)},
	{Taint, regexp.MustCompile(`(\d+) node\(s\) had (?:untolerated )?taint(?:\(s\))?(?: \{([^}]*)\})?`)},
	{Cordoned, regexp.MustCompile(`(\d+) node\(s\) were unschedulable`)},
	{NodeAffinity, regexp.MustCompile(`(\d+) node\(s\) didn't (?:match|satisfy) (?:Pod's node affinity|node affinity|node selector|plugin\(s\) \[NodeAffinity\])`)},
	{PodAffinity, regexp.MustCompile(`(\d+) node\(s\) didn't (?:match|satisfy) (?:existing pods |pod |pods )?(?:anti-)?affinity`)},
	{Spread, regexp.MustCompile(`(\d+) node\(s\) didn't (?:match|satisfy) pod topology spread`)},
	{HostPort, regexp.MustCompile(`(\d+) node\(s\) didn't have free ports`)},
	{VolumeZone, regexp.MustCompile(`(\d+) node\(s\) (?:had volume node affinity conflict|didn't match PersistentVolume's node affinity|had no available volume zone)`)},
	{NoVolume, regexp.MustCompile(`(\d+) node\(s\) (?:didn't find available persistent volumes to bind|did not have enough free storage)`)},
	{Unbound, regexp.MustCompile(`()(?:unbound (?:immediate )?PersistentVolumeClaims)`)},
	{ClaimLost, regexp.MustCompile(`()persistentvolumeclaim "([^"]+)" bound to non-existent persistentvolume`)},
	{ClaimMissing, regexp.MustCompile(`()persistentvolumeclaim "([^"]+)" not found`)},
	{Gated, regexp.MustCompile(`()(?:non-empty scheduling gates|waiting for scheduling gates)`)},
}

var extended = regexp.MustCompile(`(\d+) Insufficient ([\w./-]+)`)

// parse reads what the scheduler says of each obstacle. What it adds about
// preemption repeats the same nodes and is left out.
func parse(message string) map[Obstacle]said {
	message, _, _ = strings.Cut(message, "preemption:")
	out := map[Obstacle]said{}
	for _, p := range phrases {
		for _, m := range p.words.FindAllStringSubmatch(message, -1) {
			s := out[p.obstacle]
			n, _ := strconv.Atoi(m[1])
			s.nodes += n
			if len(m) > 2 && s.what == "" {
				s.what = taintName(m[2])
			}
			out[p.obstacle] = s
		}
	}
	for _, m := range extended.FindAllStringSubmatch(message, -1) {
		what := strings.TrimRight(m[2], ".")
		if what == "cpu" || what == "memory" || what == "pods" {
			continue
		}
		s := out[Resource]
		n, _ := strconv.Atoi(m[1])
		s.nodes += n
		s.what = what
		out[Resource] = s
	}
	return out
}

// taintName writes "key: value" as "key=value", and "key: " as "key".
func taintName(s string) string {
	key, value, ok := strings.Cut(s, ": ")
	switch {
	case !ok:
		return strings.TrimSuffix(strings.TrimSpace(s), ":")
	case value == "":
		return key
	}
	return key + "=" + value
}
