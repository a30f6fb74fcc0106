package controlplane

import (
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestLeaders(t *testing.T) {
	tests := []struct {
		name string
		down bool // the leader goes away, before another is elected
		want int  // symptoms after the fourth election
	}{
		{"leaders that lose touch with the others", false, 1},
		{"leaders that go away: told of the members", true, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			now := time.Date(2026, 11, 2, 14, 0, 0, 0, time.UTC)
			e := &etcd{names: map[uint64]string{}, monitor: newMonitor(tapio.ComponentEtcd, tapio.EtcdHealthy, 3)}
			for id := range uint64(3) {
				e.members = append(e.members, &member{id: id + 1, endpoint: "http://etcd"})
			}
			var facts, found int
			for round := range 5 {
				now = now.Add(90 * time.Second)
				leader := uint64(round%3 + 1)
				var up []*member
				for _, m := range e.members {
					m.status = nil
					if test.down && m.id == e.leader {
						m.away = now
						continue
					}
					m.status = &clientv3.StatusResponse{Leader: leader, RaftTerm: uint64(round), Header: &etcdserverpb.ResponseHeader{MemberId: m.id}}
					up = append(up, m)
				}
				told, symptoms := e.leaders(now, up)
				facts, found = facts+len(told), len(symptoms)
			}
			if facts != 4 || found != test.want {
				t.Errorf("%d elections and %d symptoms in the end; want 4 and %d", facts, found, test.want)
			}
		})
	}
}

func TestReturningMember(t *testing.T) {
	now := time.Date(2026, 11, 2, 14, 0, 0, 0, time.UTC)
	e := &etcd{c: &Collector{config: Config{EtcdLatencyThreshold: tapio.Duration(100 * time.Millisecond)}}, names: map[uint64]string{}}
	status := &clientv3.StatusResponse{Leader: 1}
	fast, slow := &member{id: 1, status: status}, &member{id: 2, status: status, took: time.Second, away: now.Add(-catchUp / 2)}
	if got := e.latency(now, []*member{fast, slow}, true); len(got) != 0 {
		t.Errorf("a member that came back half a minute ago is called slow: %+v", got)
	}
	if got := e.latency(now.Add(catchUp), []*member{slow}, true); len(got) != 0 {
		t.Errorf("a lone member that reads fast is called slow: %+v", got)
	}
	if got := e.latency(now.Add(catchUp), []*member{fast, slow}, true); len(got) != 1 || got[0].reason != "MemberSlow" {
		t.Errorf("got %+v; want one slow member", got)
	}
}
