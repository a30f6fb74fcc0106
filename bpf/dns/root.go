package dns

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ErrNoCgroup2 says that no cgroup of version 2 is mounted.
var ErrNoCgroup2 = errors.New("no cgroup of version 2 is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup/unified")

// Root returns where the root of the cgroups of version 2 is mounted. On hosts
// of version 1 it is often beside the others, and holds all processes.
func Root() (string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find the cgroups: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	return root(f)
}

// root reads a mountinfo: the fields are described in proc(5).
func root(mountinfo io.Reader) (string, error) {
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		if ok && strings.HasPrefix(after, "cgroup2 ") && len(fields) > 4 && fields[3] == "/" {
			return fields[4], nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("find the cgroups: %w", err)
	}
	return "", ErrNoCgroup2
}
