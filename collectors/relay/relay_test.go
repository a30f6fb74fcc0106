package relay_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

func TestTells(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.start()
	a := w.agent("node-1", goodToken, t.TempDir(), 0)
	const n = 2000
	for i := range n {
		a.spool.Put(event("node-1", i))
	}
	await(t, 20*time.Second, "all", func() bool { own, _, _ := e.events(); return len(own) >= n })
	own, gaps, others := e.events()
	inOrderOnce(t, own, n)
	if len(gaps)+len(others) != 0 {
		t.Errorf("beside them: %v %v", gaps, others)
	}
	await(t, 5*time.Second, "receipts for all", func() bool { waiting, _ := a.spool.Waiting(); return waiting == 0 })
}

// TestLinkCut cuts the link again and again while the agent tells.
func TestLinkCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.start()
	a := w.agent("node-1", goodToken, t.TempDir(), 0)
	const n = 3000
	for i := range n {
		a.spool.Put(event("node-1", i))
		if i%500 == 250 {
			w.link.set(true)
			time.Sleep(50 * time.Millisecond)
			w.link.set(false)
		}
		if i%100 == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	await(t, 30*time.Second, "all", func() bool { own, _, _ := e.events(); return len(own) >= n })
	own, gaps, others := e.events()
	inOrderOnce(t, own, n)
	if len(gaps)+len(others) != 0 {
		t.Errorf("beside them: %v %v", gaps, others)
	}
}

// TestClockStepped sets the node's clock back an hour and forth again: order and
// number are the buffer's, whatever the clock says.
func TestClockStepped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.start()
	a := w.agent("node-1", goodToken, t.TempDir(), 0)
	const n = 900
	for i := range n {
		o := event("node-1", i)
		if i/300 == 1 {
			o.Time = o.Time.Add(-time.Hour)
			o.Event.Time, o.Event.Seen = o.Time, o.Time
		}
		a.spool.Put(o)
		if i%300 == 150 { // what waits is replayed from the buffer
			w.link.set(true)
			time.Sleep(50 * time.Millisecond)
			w.link.set(false)
		}
	}
	await(t, 30*time.Second, "all", func() bool { own, _, _ := e.events(); return len(own) >= n })
	own, gaps, others := e.events()
	inOrderOnce(t, own, n)
	if len(gaps)+len(others) != 0 {
		t.Errorf("beside them: %v %v", gaps, others)
	}
}

// TestEngineKilled ends one run of the engine and starts another: that one is
// told again what is recent, once, in order, and the rest.
func TestEngineKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.start()
	a := w.agent("node-1", goodToken, t.TempDir(), 0)
	for i := range 500 {
		a.spool.Put(event("node-1", i))
	}
	await(t, 20*time.Second, "half", func() bool { own, _, _ := one.events(); return len(own) >= 500 })
	one.stop()
	for i := range 500 {
		a.spool.Put(event("node-1", 500+i))
	}
	two := w.start()
	await(t, 30*time.Second, "all", func() bool { own, _, _ := two.events(); return len(own) >= 1000 })
	own, gaps, _ := two.events()
	inOrderOnce(t, own, 1000)
	if len(gaps) != 0 {
		t.Errorf("gaps: %v", gaps)
	}
}

// TestAgentKilled ends an agent while the engine is away: the next one tells
// what was left, and what it finds again is not told twice.
func TestAgentKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	w.link.set(true)
	a := w.agent("node-1", goodToken, dir, 0)
	for i := range 100 {
		a.spool.Put(event("node-1", i))
	}
	await(t, 5*time.Second, "all in the buffer", func() bool { list, _ := a.spool.After(0, 1000, 1<<20); return len(list) == 100 })
	a.stop()
	e := w.start()
	w.link.set(false)
	b := w.agent("node-1", goodToken, dir, 0)
	for i := range 150 { // 100 of them for the second time
		b.spool.Put(event("node-1", i))
	}
	await(t, 20*time.Second, "all", func() bool { own, _, _ := e.events(); return len(own) >= 150 })
	time.Sleep(100 * time.Millisecond)
	own, _, _ := e.events()
	inOrderOnce(t, own, 150)
}

// TestFullBuffer tells more than fits while the link is cut.
func TestFullBuffer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.start()
	w.link.set(true)
	a := w.agent("node-1", goodToken, t.TempDir(), 100)
	for i := range 250 {
		a.spool.Put(event("node-1", i))
	}
	await(t, 5*time.Second, "drops", func() bool { _, dropped := a.spool.Waiting(); return dropped == 150 })
	w.link.set(false)
	await(t, 20*time.Second, "the rest and a gap", func() bool { own, gaps, _ := e.events(); return len(own) >= 99 && len(gaps) > 0 })
	own, gaps, _ := e.events()
	dropped := 0
	for _, g := range gaps {
		dropped += g.Dropped
		if g.Source != tapio.SourceCRI || g.Reason == "" || g.From.After(g.To) || !strings.Contains(g.Resource, "node-1") {
			t.Errorf("gap %+v", g)
		}
	}
	if dropped+len(own) != 250 || !slices.IsSorted(own) || own[len(own)-1] != 249 {
		t.Errorf("%d arrived, %d told as dropped, want 250 in all; the last is %d", len(own), dropped, own[len(own)-1])
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ node, token, want string }{
		"wrong token":     {"node-1", "nonsense", "audience"},
		"other account":   {"node-1", "shop:default@node-1", "relay.agents"},
		"of another node": {"node-1", "tapio:tapio-agent@node-2", "does not speak for node-1"},
		"no token":        {"node-1", "", "no token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			e := w.start()
			a := w.agent(tt.node, tt.token, t.TempDir(), 0)
			a.spool.Put(event("node-1", 0))
			await(t, 10*time.Second, "a refusal that says "+tt.want, func() bool { return strings.Contains(a.sender.Problem(), tt.want) })
			if own, _, _ := e.events(); len(own) != 0 {
				t.Errorf("%d events were taken", len(own))
			}
		})
	}
}

// TestExpired has an expired certificate, and renews it while both run.
func TestExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.certificate(time.Now().Add(-time.Hour))
	e := w.start()
	a := w.agent("node-1", goodToken, t.TempDir(), 0)
	a.spool.Put(event("node-1", 0))
	await(t, 10*time.Second, "a problem that names the certificate", func() bool { return strings.Contains(a.sender.Problem(), "certificate has expired") })
	w.certificate(time.Now().Add(time.Hour))
	await(t, 40*time.Second, "the event after the renewal", func() bool { own, _, _ := e.events(); return len(own) == 1 })
}

// TestFlood has one agent tell far beyond its quota: another one's events
// arrive at once, and the flood arrives slowly or is told as a gap.
func TestFlood(t *testing.T) {
	w := newWorld(t)
	w.quota = 100
	e := w.start()
	flood := w.agent("node-1", goodToken, t.TempDir(), 2000)
	const n = 20_000
	for i := range n {
		flood.spool.Put(event("node-1", i))
		if i%1000 == 0 {
			time.Sleep(20 * time.Millisecond)
		}
	}
	await(t, 10*time.Second, "the flood begins", func() bool { own, _, _ := e.events(); return len(own) > 500 })
	calm := w.agent("node-2", "tapio:tapio-agent@node-2", t.TempDir(), 0)
	began := time.Now()
	o := event("node-2", -1)
	calm.spool.Put(o)
	await(t, 5*time.Second, "the other node's event", func() bool { own, _, _ := e.events(); return slices.Contains(own, -1) })
	t.Logf("the other node's event arrived after %s", time.Since(began).Round(time.Millisecond))
	time.Sleep(time.Second)
	own, _, _ := e.events()
	if len(own) > 1000+100*15 {
		t.Errorf("%d events of the flood arrived: that is no quota of 100 a second", len(own))
	}
	if _, dropped := flood.spool.Waiting(); dropped == 0 {
		t.Error("nothing was dropped")
	}
}

// TestForged has an agent tell what it may not.
func TestForged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.start()
	a := w.agent("node-1", goodToken, t.TempDir(), 0)
	state := tapio.Observation{Time: time.Now().UTC().Round(0), State: &tapio.State{Entity: tapio.Entity{Kind: tapio.KindNode, Name: "node-2"}, Deleted: true}}
	a.spool.Put(state)
	other := event("node-1", 1)
	other.Event.Source = tapio.SourceKubernetes
	a.spool.Put(other)
	long := event("node-1", 2)
	long.Event.Message = strings.Repeat("x", 20_000)
	a.spool.Put(long)
	future := event("node-1", 0)
	future.Event.Time = time.Now().UTC().Add(time.Hour).Round(0)
	a.spool.Put(future)
	await(t, 10*time.Second, "the one that is fine", func() bool { own, _, _ := e.events(); return len(own) > 0 })
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.told) != 1 || e.told[0].Event.Int("n") != 0 {
		t.Fatalf("told: %+v", e.told)
	}
	if at := e.told[0].Event.Time; time.Until(at) > time.Second {
		t.Errorf("an event of the future, %s", at)
	}
}

// TestSilence ends an agent: the engine is told when its last word was, and
// that it is back.
func TestSilence(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	w := newWorld(t)
	e := w.start()
	dir := t.TempDir()
	a := w.agent("node-1", goodToken, dir, 0)
	a.spool.Put(event("node-1", 0))
	await(t, 10*time.Second, "the agent", func() bool { own, _, _ := e.events(); return len(own) == 1 })
	a.stop()
	ended := time.Now()
	await(t, 30*time.Second, "its loss", func() bool { _, _, others := e.events(); return slices.Contains(others, tapio.NodeAgentLost) })
	e.mu.Lock()
	lost := e.told[len(e.told)-1].Event
	e.mu.Unlock()
	if d := lost.Time.Sub(ended).Abs(); d > 6*time.Second || lost.Entity.Name != "node-1" {
		t.Errorf("lost %s at %s, its last word was about %s", lost.Entity, lost.Time, ended)
	}
	w.agent("node-1", goodToken, dir, 0)
	await(t, 10*time.Second, "its return", func() bool { _, _, others := e.events(); return slices.Contains(others, tapio.NodeAgentBack) })
}
