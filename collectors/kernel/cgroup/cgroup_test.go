package cgroup

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// TestPaths reads cgroup paths as nodes of several makes have them: see the
// file for what each is.
func TestPaths(t *testing.T) {
	f, err := os.Open("testdata/paths.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		n++
		fields := strings.Fields(line)
		if len(fields) != 3 {
			t.Fatalf("a line has path, container and pod: %q", line)
		}
		want := Container{ID: strings.Trim(fields[1], "-"), PodUID: strings.TrimPrefix(fields[2], "-")}
		got, ok := ParsePath(fields[0])
		if ok != (want.ID != "") {
			t.Errorf("%s: is a container: %t", fields[0], ok)
		}
		if len(got.ID) > 8 {
			got.ID = got.ID[:8]
		}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", fields[0], got, want)
		}
	}
	if n < 15 {
		t.Errorf("%d paths were read", n)
	}
}

func TestIsPod(t *testing.T) {
	for name, want := range map[string]bool{
		"pod0f8ad1a2-7c1b-4b8e-9d7e-52e1c9a0b001":                           true,
		"kubepods-besteffort-pod0f8ad1a2_7c1b_4b8e_9d7e_52e1c9a0b001.slice": true,
		"podinfo":                    false,
		"kubepods-burstable.slice":   false,
		"pod0f8ad1a2-7c1b-4b8e-9d7e": false,
		"":                           false,
		"machine.slice":              false,
		"kubepods-pod0123456789abcdef0123456789abcdef.slice": true,
	} {
		if got := IsPod(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	f.Add("/kubepods/burstable/pod0f8ad1a2-7c1b-4b8e-9d7e-52e1c9a0b001/4f1c0de5aa00bb11cc22dd33ee44ff5500112233445566778899aabbccddeeff")
	f.Add("/kubepods.slice/kubepods-pod0f8ad1a2_7c1b_4b8e_9d7e_52e1c9a0b001.slice/crio-4f1c0de5aa00bb11cc22dd33ee44ff5500112233445566778899aabbccddeeff.scope/container")
	f.Add("")
	f.Fuzz(func(t *testing.T, path string) {
		c, ok := ParsePath(path)
		switch {
		case !ok && c != Container{}:
			t.Errorf("%q: no container, yet %+v", path, c)
		case ok && (len(c.ID) != 64 || !strings.Contains(path, c.ID)):
			t.Errorf("%q: container %q", path, c.ID)
		case c.PodUID != "" && len(c.PodUID) != 32 && len(c.PodUID) != 36:
			t.Errorf("%q: pod %q", path, c.PodUID)
		}
	})
}
