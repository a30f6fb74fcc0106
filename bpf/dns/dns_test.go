package dns

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
	"os/exec"

	"github.com/yairfalse/tapio/bpf/probetest"
)

// TestQuestions asks a name server of loopback that answers by what is asked.
func TestQuestions(t *testing.T) {
	probetest.Root(t)
	root, err := Root("/sys/fs/cgroup")
	if err != nil {
		probetest.Unable(t, err)
	}
	p, err := Open(root)
	probetest.Must(t, p, err)
	serve(t)

	answers := map[string]dnsmessage.RCode{
		"broken.shop.svc.cluster.local.":  dnsmessage.RCodeServerFailure,
		"refused.shop.svc.cluster.local.": dnsmessage.RCodeRefused,
		"absent.shop.svc.cluster.local.":  dnsmessage.RCodeNameError,
		"well.shop.svc.cluster.local.":    dnsmessage.RCodeSuccess,
	}
	for name, code := range answers {
		if got := ask(t, name); got != code {
			t.Fatalf("%s: answer %v, want %v", name, got, code)
		}
	}
	send(t, "silent.shop.svc.cluster.local.")

	got := map[string]int{}
	for range 600 {
		all, err := p.Take()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if f.Server == netip.MustParseAddr("127.0.0.1") && f.Client.Addr() == f.Server && strings.HasSuffix(f.Name, ".shop.svc.cluster.local") {
				name, _, _ := strings.Cut(f.Name, ".")
				got[name] = f.Code
				if d := time.Since(f.Asked); d < 0 || d > 40*time.Second {
					t.Errorf("%s was asked %v ago", name, d)
				}
			}
		}
		if _, ok := got["silent"]; ok {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if len(got) != 3 || got["broken"] != 2 || got["refused"] != 5 {
		t.Errorf("got %v, want broken 2, refused 5 and silent 0", got)
	}
}

// serve answers on port 53 of loopback, in a network of its own.
func serve(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		probetest.Unable(t, err)
	}
	if err := exec.Command("ip", "link", "set", "lo", "up").Run(); err != nil {
		probetest.Unable(t, err)
	}
	conn, err := net.ListenPacket("udp4", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			var m dnsmessage.Message
			if err != nil || m.Unpack(buf[:n]) != nil {
				continue
			}
			m.Response = true
			switch name := m.Questions[0].Name.String(); {
			case strings.HasPrefix(name, "broken"):
				m.RCode = dnsmessage.RCodeServerFailure
			case strings.HasPrefix(name, "refused"):
				m.RCode = dnsmessage.RCodeRefused
			case strings.HasPrefix(name, "absent"):
				m.RCode = dnsmessage.RCodeNameError
			case strings.HasPrefix(name, "silent"):
				continue
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from) // the asker notices
			}
		}
	}()
}

func send(t *testing.T, name string) net.Conn {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 4711, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	out, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp4", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // it was read to its end
	if _, err := c.Write(out); err != nil {
		t.Fatal(err)
	}
	return c
}

func ask(t *testing.T, name string) dnsmessage.RCode {
	t.Helper()
	c := send(t, name)
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 512)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	var m dnsmessage.Message
	if err := m.Unpack(buf[:n]); err != nil {
		t.Fatal(err)
	}
	return m.RCode
}

func TestRoot(t *testing.T) {
	if root, err := Root(t.TempDir()); !errors.Is(err, ErrNoCgroup2) {
		t.Errorf("a plain folder: %q, %v", root, err)
	}
}

func FuzzName(f *testing.F) {
	f.Add([]byte("\x03www\x07example\x03com\x00\x00\x01"))
	f.Add([]byte("\x3fabc"))
	f.Add([]byte("\xc0\x0c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := name(b); len(n) > len(b) || strings.ContainsAny(n, "\x00 \n") {
			t.Errorf("%q became %q", b, n)
		}
	})
}
