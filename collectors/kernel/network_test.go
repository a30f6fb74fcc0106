package kernel

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bpf/dns"
	"github.com/yairfalse/tapio/bpf/tcp"
)

func TestConnections(t *testing.T) {
	base := tcp.Failure{
		Count: 7, Outcome: tcp.Failed, Error: unix.ECONNREFUSED, Port: 80, Place: at,
		Local: netip.MustParseAddr("10.244.1.5"), Remote: netip.MustParseAddrPort("10.96.0.7:80"),
	}
	for _, tt := range []struct {
		name    string
		change  func(*tcp.Failure)
		typ     tapio.EventType
		reason  string
		message string
	}{
		{"refused", func(*tcp.Failure) {}, tapio.ConnectionFailed, "refused", "connections to 10.96.0.7:80 were refused"},
		{"timed out", func(f *tcp.Failure) { f.Error, f.Wait = unix.ETIMEDOUT, 127*time.Second }, tapio.ConnectionFailed, "timed_out", "connections to 10.96.0.7:80 got no answer within 2m7s"},
		{"gave up", func(f *tcp.Failure) { f.Outcome, f.Error, f.Wait = tcp.GaveUp, 0, 3*time.Second }, tapio.ConnectionFailed, "timed_out", "connections to 10.96.0.7:80 got no answer within 3s"},
		{"no route", func(f *tcp.Failure) { f.Error = unix.EHOSTUNREACH }, tapio.ConnectionFailed, "no_route", "connections to 10.96.0.7:80: no route"},
		{"another error", func(f *tcp.Failure) { f.Error = unix.EACCES }, tapio.ConnectionFailed, "EACCES", "connections to 10.96.0.7:80 failed: permission denied"},
		{"reset", func(f *tcp.Failure) { f.Outcome, f.Error = tcp.Reset, 0 }, tapio.ConnectionReset, "reset", "connections to 10.96.0.7:80 were reset by it"},
		{"no first answer", func(f *tcp.Failure) { f.Outcome, f.Error = tcp.SYNRepeated, 0 }, tapio.Retransmissions, "syn", "connections to 10.96.0.7:80 got no first answer yet"},
		{"sent again", func(f *tcp.Failure) { f.Outcome, f.Error = tcp.Retransmitted, 0 }, tapio.Retransmissions, "data", "data to 10.96.0.7:80 had to be sent again"},
		{"sent again now and then", func(f *tcp.Failure) { f.Outcome, f.Error, f.Count = tcp.Retransmitted, 0, 2 }, "", "", ""},
		{"the node's own", func(f *tcp.Failure) { f.Place.Name = "kubelet.service" }, "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			known := true
			c, told := collector(t, defaults(), &known)
			f := base
			f.First = now()
			tt.change(&f)
			c.connections([]tcp.Failure{f})
			if tt.typ == "" {
				if len(*told) != 0 {
					t.Errorf("told %+v", *told)
				}
				return
			}
			if len(*told) != 1 {
				t.Fatalf("told %d events", len(*told))
			}
			e := (*told)[0]
			if e.Type != tt.typ || e.Reason != tt.reason || e.Message != tt.message || e.Count != 7 || e.Entity != pod ||
				e.Attrs[tapio.AttrPeer] != "10.96.0.7" || e.Attrs[tapio.AttrPort] != "80" || e.Attrs[tapio.AttrLocal] != "10.244.1.5" {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// TestFlood has more pairs fail than are told: the worst are, the rest is lost
// and counted.
func TestFlood(t *testing.T) {
	known := true
	c, told := collector(t, defaults(), &known)
	var all []tcp.Failure
	for i := range maxPairs + 10 {
		all = append(all, tcp.Failure{
			First: now(), Count: uint64(i + 1), Outcome: tcp.Failed, Error: unix.ECONNREFUSED, Port: uint16(i + 1), Place: at,
			Remote: netip.AddrPortFrom(netip.MustParseAddr("10.96.0.7"), uint16(i+1)),
		})
	}
	c.connections(all)
	if len(*told) != maxPairs || (*told)[0].Count != maxPairs+10 || c.full.Load() != 55 {
		t.Errorf("told %d, first of %d, %d lost", len(*told), (*told)[0].Count, c.full.Load())
	}
}

func TestQuestions(t *testing.T) {
	known := true
	c, told := collector(t, defaults(), &known)
	ask := func(name string, code int, client string) dns.Failure {
		return dns.Failure{Asked: now(), Client: netip.MustParseAddrPort(client), Server: netip.MustParseAddr("10.96.0.10"), Name: name, Code: code}
	}
	c.questions([]dns.Failure{
		ask("db.shop.svc.cluster.local", 0, "10.244.1.5:4711"), ask("db.shop.svc.cluster.local", 0, "10.244.1.5:4712"),
		ask("db.shop.svc.cluster.local", 2, "10.244.1.5:4713"), ask("db.shop.svc.cluster.local", 5, "10.244.1.6:4714"),
	})
	want := []struct {
		reason, local string
		count         int
	}{{"no_answer", "10.244.1.5", 2}, {"server_failure", "10.244.1.5", 1}, {"refused", "10.244.1.6", 1}}
	if len(*told) != len(want) {
		t.Fatalf("told %d events", len(*told))
	}
	for i, w := range want {
		e := (*told)[i]
		if e.Type != tapio.DNSFailed || e.Reason != w.reason || e.Count != w.count || e.Attrs[tapio.AttrLocal] != w.local ||
			e.Attrs[tapio.AttrPeer] != "10.96.0.10" || e.Attrs[tapio.AttrMissing] != "db.shop.svc.cluster.local" || e.Entity.Name != "n1" {
			t.Errorf("got %+v", e)
		}
	}
}
