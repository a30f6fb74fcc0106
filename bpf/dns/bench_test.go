package dns

import (
	"net"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/yairfalse/tapio/bpf/probetest"
)

// BenchmarkPackets sends b.N packets over loopback that are no DNS, the price
// that all packets pay.
func BenchmarkPackets(b *testing.B) {
	probetest.Root(b)
	root, err := Root("/sys/fs/cgroup")
	if err != nil {
		probetest.Unable(b, err)
	}
	p, err := Open(root)
	probetest.Must(b, p, err)
	l, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test's
	c, err := net.Dial("udp4", l.LocalAddr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test's
	probetest.Cost(b, map[string]*ebpf.Program{"egress": p.objects.Ask, "ingress": p.objects.Answer}, func() {
		buf := make([]byte, 64)
		for range b.N {
			if _, err := c.Write(buf); err != nil {
				b.Fatal(err)
			}
			if _, _, err := l.ReadFrom(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}
