// Package cgroup reads the names that kubelet, container runtimes and systemd
// give to cgroups: which container of which pod is this? It knows containerd,
// CRI-O, cri-dockerd and what runs inside them, both drivers (cgroupfs,
// systemd) and both versions, which use the same names. It opens no file.
package cgroup

import (
	"slices"
	"strings"
)

// Container is what the names around a container's cgroup tell.
type Container struct {
	ID     string // 64 hexadecimal digits
	PodUID string // as the API has it; the hash of its manifest for a static pod; empty where no pod is around
}

const idLength = 64

// Parse reads the name of a cgroup and that of the one above it. It reports
// false where the cgroup is no container's.
func Parse(name, parent string) (Container, bool) {
	id, ok := containerID(name)
	if !ok {
		return Container{}, false
	}
	uid, _ := podUID(parent)
	return Container{ID: id, PodUID: uid}, true
}

// ParsePath reads a path such as /proc/PID/cgroup has: the innermost container
// counts, for one that makes cgroups of its own, and for nodes that are
// containers themselves.
func ParsePath(path string) (Container, bool) {
	parts := strings.Split(path, "/")
	for i, name := range slices.Backward(parts) {
		parent := ""
		if i > 0 {
			parent = parts[i-1]
		}
		if c, ok := Parse(name, parent); ok {
			return c, true
		}
	}
	return Container{}, false
}

// IsPod reports whether the name is that of a pod's cgroup.
func IsPod(name string) bool {
	_, ok := podUID(name)
	return ok
}

// containerID reads the cgroup name of a container: the ID alone (containerd
// with cgroupfs), with the runtime before it ("crio-"), as a scope of systemd
// ("cri-containerd-….scope"), or behind slice and runtime ("x.slice:cri-
// containerd:…", where only the runtime's own settings ask for systemd).
// CRI-O's monitor of a container ("crio-conmon-…") is none.
func containerID(name string) (string, bool) {
	name = strings.TrimSuffix(name, ".scope")
	if len(name) < idLength {
		return "", false
	}
	before, id := name[:len(name)-idLength], name[len(name)-idLength:]
	if !isHex(id) || strings.HasSuffix(before, "conmon-") {
		return "", false
	}
	if before != "" && !strings.HasSuffix(before, "-") && !strings.HasSuffix(before, ":") {
		return "", false
	}
	return id, true
}

// podUID reads the cgroup name of a pod: "pod" and its UID, or a slice whose
// last part that is, with underscores in place of dashes.
func podUID(name string) (string, bool) {
	if slice, ok := strings.CutSuffix(name, ".slice"); ok {
		at := strings.LastIndex(slice, "-pod")
		if at < 0 {
			return "", false
		}
		name = strings.ReplaceAll(slice[at+1:], "_", "-")
	}
	uid, ok := strings.CutPrefix(name, "pod")
	if !ok || !isUID(uid) {
		return "", false
	}
	return uid, true
}

// isUID accepts what the API and the kubelet make: 32 hexadecimal digits, with
// dashes after the 8th, 12th, 16th and 20th or without any.
func isUID(s string) bool {
	switch len(s) {
	case 32:
		return isHex(s)
	case 36:
		for _, i := range []int{8, 13, 18, 23} {
			if s[i] != '-' {
				return false
			}
		}
		return isHex(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:])
	}
	return false
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
