package dns

import (
	"errors"
	"path/filepath"
)

// ErrNoCgroup2 says that no cgroup of version 2 is mounted.
var ErrNoCgroup2 = errors.New("kernel probe dns: no cgroup of version 2 below cgroup_root; on hosts of version 1 mount one: mount -t cgroup2 none /sys/fs/cgroup/unified")

// Root returns the root of the cgroups of version 2 below the folder where
// cgroups are mounted, such as /sys/fs/cgroup: that folder itself, or, on
// hosts of version 1, the folder unified, which systemd mounts and which holds
// all processes.
func Root(cgroups string) (string, error) {
	for _, path := range []string{cgroups, filepath.Join(cgroups, "unified")} {
		if isCgroup2(path) {
			return path, nil
		}
	}
	return "", ErrNoCgroup2
}
