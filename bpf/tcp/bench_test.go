package tcp

import (
	"net"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/yairfalse/tapio/bpf/probetest"
)

// BenchmarkConnections makes and ends b.N connections over loopback, and has as
// many refused.
func BenchmarkConnections(b *testing.B) {
	probetest.Root(b)
	p, err := Open()
	probetest.Must(b, p, err)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test's
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close() // the other side is done
		}
	}()
	probetest.Cost(b, map[string]*ebpf.Program{"inet_sock_set_state": p.objects.InetSockSetState}, func() {
		for range b.N {
			c, err := net.Dial("tcp4", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			// Reset at the end: thousands in TIME_WAIT would use up the ports.
			if err := c.(*net.TCPConn).SetLinger(0); err != nil {
				b.Fatal(err)
			}
			_ = c.Close() // as above
			if c, err := net.Dial("tcp4", "127.0.0.1:1"); err == nil {
				b.Fatal(c.Close())
			}
		}
	})
}
