package tcp

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yairfalse/tapio/bpf/probetest"
)

// take waits until a failure that is looked for was added up.
func take(t *testing.T, p *Probe, is func(Failure) bool) Failure {
	t.Helper()
	for range 1200 {
		all, err := p.Take()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if is(f) {
				return f
			}
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("nothing was told within 30 seconds")
	panic("unreachable")
}

func TestFailures(t *testing.T) {
	probetest.Root(t)
	p, err := Open()
	probetest.Must(t, p, err)

	t.Run("refused, by a container", func(t *testing.T) {
		_, container := probetest.Pod(t)
		port := closedPort(t)
		cmd := container.Shell(false, fmt.Sprintf("for i in 1 2 3; do bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d' 2>/dev/null; done; true", port))
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		f := take(t, p, func(f Failure) bool { return f.Port == port })
		if f.Outcome != Failed || f.Error != unix.ECONNREFUSED || f.Count != 3 || f.Server || f.Remote.Addr() != netip.MustParseAddr("127.0.0.1") || f.Remote.Port() != port {
			t.Errorf("got %+v", f)
		}
		if !strings.Contains(f.Place.Name, probetest.ContainerID()) || f.Place.Cgroup != container.Inode(t) {
			t.Errorf("place %+v", f.Place)
		}
	})
	t.Run("refused, IPv6", func(t *testing.T) {
		port := closedPort(t)
		if c, err := net.Dial("tcp6", fmt.Sprintf("[::1]:%d", port)); err == nil {
			t.Fatal(c.Close())
		} else if strings.Contains(err.Error(), "cannot assign") {
			t.Skip("this machine has no IPv6 loopback")
		}
		f := take(t, p, func(f Failure) bool { return f.Port == port })
		if f.Outcome != Failed || f.Error != unix.ECONNREFUSED || f.Remote.Addr() != netip.MustParseAddr("::1") {
			t.Errorf("got %+v", f)
		}
	})
	t.Run("reset by the peer", func(t *testing.T) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:errcheck // a test's
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // a test's
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err == nil {
			t.Error("it was not reset")
		}
		port := uint16(l.Addr().(*net.TCPAddr).Port)
		if f := take(t, p, func(f Failure) bool { return f.Port == port }); f.Outcome != Reset || f.Server || f.Count != 1 {
			t.Errorf("got %+v", f)
		}
	})
	t.Run("packets dropped", func(t *testing.T) {
		network(t)
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:errcheck // a test's
		port := uint16(l.Addr().(*net.TCPAddr).Port)
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // a test's
		run(t, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", fmt.Sprint(port), "-j", "DROP")

		if _, err := c.Write([]byte("lost")); err != nil {
			t.Fatal(err)
		}
		if f := take(t, p, func(f Failure) bool { return f.Port == port && f.Outcome == Retransmitted }); f.Server {
			t.Errorf("got %+v", f)
		}
		began := time.Now()
		if _, err := net.DialTimeout("tcp4", l.Addr().String(), 1500*time.Millisecond); err == nil {
			t.Fatal("connected")
		}
		waited := time.Since(began)
		var repeated, gaveUp Failure
		take(t, p, func(f Failure) bool {
			switch {
			case f.Port == port && f.Outcome == SYNRepeated:
				repeated = f
			case f.Port == port && f.Outcome == GaveUp:
				gaveUp = f
			}
			return repeated.Count > 0 && gaveUp.Count > 0
		})
		if gaveUp.Wait < time.Second || gaveUp.Wait > waited || gaveUp.Error != 0 {
			t.Errorf("got %+v", gaveUp)
		}
	})
	t.Run("refused by a firewall", func(t *testing.T) {
		network(t)
		// The first packet gets no answer, the second one does: an answer that comes
		// while connect is still sending reaches the caller by another way.
		rule := []string{"-A", "INPUT", "-p", "tcp", "--dport", "7"}
		run(t, "iptables", append(rule, "-m", "statistic", "--mode", "nth", "--every", "2", "--packet", "0", "-j", "DROP")...)
		run(t, "iptables", append(rule, "-j", "REJECT", "--reject-with", "icmp-host-unreachable")...)
		if _, err := net.DialTimeout("tcp4", "127.0.0.1:7", 5*time.Second); err == nil {
			t.Fatal("connected")
		}
		f := take(t, p, func(f Failure) bool { return f.Port == 7 && f.Outcome != SYNRepeated })
		if f.Outcome != Failed || f.Error != unix.EHOSTUNREACH {
			t.Errorf("got %+v", f)
		}
	})
	t.Run("what goes well is not told", func(t *testing.T) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:errcheck // a test's
		for range 10 {
			c, err := net.Dial("tcp4", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		all, err := p.Take()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if f.Port == uint16(l.Addr().(*net.TCPAddr).Port) {
				t.Errorf("told: %+v", f)
			}
		}
	})
	if n := p.Lost(); n != 0 {
		t.Errorf("%d lost", n)
	}
}

// closedPort returns a port that nobody listens on.
func closedPort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it was free
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// network moves the test into a network of its own, with loopback only. Its
// thread is thrown away with it.
func network(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("iptables"); err != nil {
		probetest.Unable(t, err)
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		probetest.Unable(t, err)
	}
	run(t, "ip", "link", "set", "lo", "up")
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
}
