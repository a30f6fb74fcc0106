package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/yairfalse/tapio"
)

// final plays the lines and returns what is told in the end: of each story that
// no other one explains its subject, status, cause, object, standing and whom it
// hurts.
func final(t *testing.T, lines []scriptLine) []string {
	t.Helper()
	return tellings(finalStories(t, lines))
}

func tellings(stories map[string]tapio.Story) []string {
	var out []string
	for _, s := range stories {
		if s.Status != tapio.StatusAbsorbed {
			out = append(out, fmt.Sprintf("%s %s %s %s %s hurts %v %v", s.Subject, s.Status, s.Cause, s.CauseEntity, s.Standing, s.Affected, s.AffectedPods))
		}
	}
	slices.Sort(out)
	return out
}

func finalStories(t *testing.T, lines []scriptLine) map[string]tapio.Story {
	t.Helper()
	e := newEngine(t)
	last := map[string]tapio.Story{}
	keep := func(stories []tapio.Story) {
		for _, s := range stories {
			if err := s.Validate(); err != nil {
				t.Error(err)
			}
			last[s.ID] = s
		}
	}
	now := start
	for _, l := range lines {
		for ; now.Before(l.at); now = now.Add(time.Second) {
			keep(e.Tick(now))
		}
		if l.obs != nil {
			stories, _ := e.Observe(l.obs)
			keep(stories)
		}
	}
	keep(e.Tick(now))
	return last
}

// TestWatchesOvertake lets the watches overtake each other within ten seconds:
// what comes by one watch keeps its order, and what comes by different ones
// arrives in any, each event with its own time. The stories end the same.
func TestWatchesOvertake(t *testing.T) {
	const window = 10 * time.Second
	for name, lines := range scripts(t) {
		want := final(t, lines)
		for seed := range uint64(10) {
			rng := rand.New(rand.NewPCG(seed, 2))
			shuffled := slices.Clone(lines)
			for from := 0; from < len(lines); {
				to := from
				for to < len(lines) && lines[to].at.Sub(lines[from].at) < window {
					to++
				}
				overtake(rng, shuffled[from:to])
				from = to
			}
			if diff := cmp.Diff(want, final(t, shuffled)); diff != "" {
				t.Errorf("%s, seed %d: the order within %s changes the stories:\n%s", name, seed, window, diff)
				break
			}
		}
	}
}

// overtake interleaves the lines of the watches anew. The times at which
// something arrives stay; what arrives then is another.
func overtake(rng *rand.Rand, lines []scriptLine) {
	var places []int
	streams := map[string][]*tapio.Observation{}
	for i, l := range lines {
		if l.obs == nil {
			continue
		}
		places = append(places, i)
		streams[watch(l.obs)] = append(streams[watch(l.obs)], l.obs)
	}
	names := slices.Sorted(maps.Keys(streams))
	for _, i := range places {
		name := names[rng.IntN(len(names))]
		o := *streams[name][0]
		o.Time = lines[i].at
		lines[i].obs = &o
		if streams[name] = streams[name][1:]; len(streams[name]) == 0 {
			names = slices.DeleteFunc(names, func(n string) bool { return n == name })
		}
	}
}

// watch names the watch that an observation comes by: that of its kind. The
// objects that Kubernetes calls Events have their own, and so have answers.
func watch(o *tapio.Observation) string {
	switch {
	case o.Gap != nil:
		return "gap"
	case o.State != nil:
		return string(o.State.Entity.Kind)
	case o.Event.Type == tapio.KubernetesEvent:
		return string(o.Event.Type)
	case strings.HasPrefix(string(o.Event.Type), "endpoints."):
		return string(tapio.KindEndpointSlice)
	}
	return string(o.Event.Entity.Kind)
}

// TestDuplicates observes every state twice and every event up to three times:
// at once, and later again as a listing finds it. Nothing else is told.
func TestDuplicates(t *testing.T) {
	for name, lines := range scripts(t) {
		want := play(t, lines)
		rng := rand.New(rand.NewPCG(1, 4))
		var doubled []scriptLine
		var later []*tapio.Event
		for _, l := range lines {
			doubled = append(doubled, l)
			if l.obs == nil {
				continue
			}
			again := *l.obs
			switch {
			case l.obs.State != nil:
				s := *l.obs.State
				again.State = &s
			case l.obs.Event != nil:
				ev := *l.obs.Event
				ev.Seen = ev.Seen.Add(time.Second)
				again.Event = &ev
				later = append(later, &ev)
			default:
				continue // a gap that is reported twice is two gaps
			}
			doubled = append(doubled, scriptLine{at: l.at, obs: &again})
			if len(later) > 0 && rng.IntN(3) == 0 {
				ev := *later[rng.IntN(len(later))]
				ev.Listed, ev.Seen = true, l.at
				doubled = append(doubled, scriptLine{at: l.at, obs: &tapio.Observation{Time: l.at, Event: &ev}})
			}
		}
		if diff := cmp.Diff(want, play(t, doubled)); diff != "" {
			t.Errorf("%s: duplicates change what is told:\n%s", name, diff)
		}
	}
}

// loud are facts of the infrastructure that have nothing to do with the
// scenarios: another node with its own pods, another namespace, another
// registry. Each is a script in the language of the scenarios.
var loud = map[string]string{
	"a node is gone": `
0s node loud-node ready=True
0s deployment loud/a labels=app=loud-a
0s replicaset loud/a-1 owner=Deployment/a labels=app=loud-a
0s pod loud/a-1-x owner=ReplicaSet/a-1 node=loud-node ready=true labels=app=loud-a
0s service loud/a selector=app=loud-a
0s endpoints loud/a a-1-x=ready
1s node loud-node ready=Unknown reason=NodeStatusUnknown
1s event node.notready Node/loud-node reason=NodeStatusUnknown status=Unknown message="Kubelet stopped posting node status."
2s pod loud/a-1-x owner=ReplicaSet/a-1 node=loud-node ready=false labels=app=loud-a
2s deployment loud/a ready=0 labels=app=loud-a
2s event pod.notready Pod/loud/a-1-x
2s endpoints loud/a a-1-x=down
2s event endpoints.removed Service/loud/a ready_before=1 ready_after=0
`,
	"a node under pressure evicts": `
0s node loud-node ready=True
0s deployment loud/b labels=app=loud-b
0s replicaset loud/b-1 owner=Deployment/b labels=app=loud-b
0s pod loud/b-1-x owner=ReplicaSet/b-1 node=loud-node ready=true labels=app=loud-b
1s node loud-node ready=True pressures=MemoryPressure
1s event node.pressure Node/loud-node reason=MemoryPressure
2s pod loud/b-1-x owner=ReplicaSet/b-1 node=loud-node ready=false phase=Failed labels=app=loud-b
2s deployment loud/b ready=0 labels=app=loud-b
2s event pod.evicted Pod/loud/b-1-x node=loud-node resource=memory message="The node was low on resource: memory."
`,
	"a registry can't be reached": `
0s node loud-node ready=True
0s deployment loud/c ready=0 labels=app=loud-c
0s replicaset loud/c-1 owner=Deployment/c ready=0 labels=app=loud-c
0s pod loud/c-1-x owner=ReplicaSet/c-1 node=loud-node ready=false phase=Pending labels=app=loud-c container=app:waiting
1s event container.waiting Pod/loud/c-1-x[app] reason=ErrImagePull image=loud.example.com/c:1 message="failed to pull and unpack image loud.example.com/c:1: dial tcp: lookup loud.example.com: no such host"
2s event container.waiting Pod/loud/c-1-x[app] reason=ImagePullBackOff image=loud.example.com/c:1 message="Back-off pulling image: dial tcp: lookup loud.example.com: no such host"
`,
	"a quota refuses": `
0s deployment loud/d ready=0 current=0 updated=0 labels=app=loud-d
0s replicaset loud/d-1 owner=Deployment/d ready=0 current=0 labels=app=loud-d
1s event workload.replica_failure ReplicaSet/loud/d-1 reason=FailedCreate message="pods d-1-x is forbidden: exceeded quota: tiny, requested: pods=1, used: pods=3, limited: pods=3"
2s event workload.replica_failure ReplicaSet/loud/d-1 reason=FailedCreate message="pods d-1-y is forbidden: exceeded quota: tiny, requested: pods=1, used: pods=3, limited: pods=3"
`,
	"a node is rebooted": `
0s node loud-node ready=True
1s event k8s.event Node/loud-node reason=Rebooted message="Node loud-node has been rebooted, boot id: 1"
1s node loud-node ready=False reason=KubeletNotReady
1s event node.notready Node/loud-node reason=KubeletNotReady status=False message="container runtime is down"
`,
}

// TestUnrelatedInfrastructure lets each loud fact happen in each scenario: in its
// beginning, on its way or just before its first failure. What is told of the
// scenario's own objects stays the same, and no loud story touches them.
func TestUnrelatedInfrastructure(t *testing.T) {
	mine := func(e tapio.Entity) bool { return e.Namespace != "loud" && !strings.HasPrefix(e.Name, "loud") }
	told := map[string]bool{}
	all := scripts(t)
	for i, name := range slices.Sorted(maps.Keys(all)) {
		lines := all[name]
		end := lines[len(lines)-1].at.Add(3 * time.Minute)
		lines = append(lines, scriptLine{at: end})
		want := final(t, lines)
		times := []time.Duration{0, end.Sub(start) / 3, max(0, firstEvent(lines)-3*time.Second)}
		for j, fact := range slices.Sorted(maps.Keys(loud)) {
			// Each scenario meets each fact, and each fact comes at each time.
			at := times[(i+j)%len(times)]
			mixed := mix(lines, parseScript(t, []byte(loud[fact])), at)
			stories := finalStories(t, mixed)
			for id, s := range stories {
				if mine(s.Subject) {
					continue
				}
				told[fact] = true
				delete(stories, id)
				if i := slices.IndexFunc(s.Affected, mine); i >= 0 {
					t.Errorf("%s, %s at %s: the story of %s claims %s", name, fact, at, s.Subject, s.Affected[i])
				}
			}
			if diff := cmp.Diff(want, tellings(stories)); diff != "" {
				t.Errorf("%s, %s at %s: an unrelated fact changes the stories:\n%s", name, fact, at, diff)
			}
		}
	}
	for fact := range loud {
		if !told[fact] {
			t.Errorf("%s: no story tells of it, so it is not loud", fact)
		}
	}
}

// firstEvent is when the first event of the lines is observed.
func firstEvent(lines []scriptLine) time.Duration {
	for _, l := range lines {
		if l.obs != nil && l.obs.Event != nil {
			return l.at.Sub(start)
		}
	}
	return 0
}

// mix lets the noise happen beside the lines, from the given time on.
func mix(lines, noise []scriptLine, at time.Duration) []scriptLine {
	out := slices.Clone(lines)
	for _, l := range noise {
		l.at = l.at.Add(at)
		o := *l.obs
		o.Time = l.at
		if o.Event != nil {
			ev := *o.Event
			ev.Time, ev.Seen = ev.Time.Add(at), ev.Seen.Add(at)
			ev.SetID()
			o.Event = &ev
		}
		if o.State != nil {
			s := *o.State
			s.Created = s.Created.Add(at)
			o.State = &s
		}
		l.obs = &o
		out = append(out, l)
	}
	slices.SortStableFunc(out, func(a, b scriptLine) int { return a.at.Compare(b.at) })
	return out
}

// TestNoPanic feeds the engine what no cluster reports: scenarios with lines
// left out, swapped between times, about each other's objects, with broken
// numbers. It must tell valid stories or none.
func TestNoPanic(t *testing.T) {
	for name, lines := range scripts(t) {
		var entities []tapio.Entity
		for _, l := range lines {
			if l.obs != nil && l.obs.State != nil {
				entities = append(entities, l.obs.State.Entity)
			}
		}
		for seed := range uint64(10) {
			rng := rand.New(rand.NewPCG(seed, 5))
			e := newEngine(t)
			now := start
			for _, l := range lines {
				if l.obs == nil || rng.IntN(6) == 0 {
					now = now.Add(time.Duration(rng.IntN(90)) * time.Second)
					e.Tick(now)
					continue
				}
				e.Observe(distort(rng, l.obs, entities, now))
			}
			for _, s := range e.Flush(now.Add(time.Minute)) {
				if err := s.Validate(); err != nil {
					t.Errorf("%s, seed %d: %v", name, seed, err)
				}
			}
		}
	}
}

// distort returns the observation with something in it that can't be.
func distort(rng *rand.Rand, o *tapio.Observation, entities []tapio.Entity, now time.Time) *tapio.Observation {
	out := *o
	out.Time = now
	other := entities[rng.IntN(len(entities))]
	switch {
	case o.Event != nil:
		ev := *o.Event
		ev.Attrs = maps.Clone(ev.Attrs)
		switch rng.IntN(6) {
		case 0:
			ev.Entity = other
		case 1:
			ev.Entity.Container = "none"
		case 2:
			ev.Time = now.Add(time.Duration(rng.IntN(7200)-3600) * time.Second)
		case 3:
			ev.Count = -rng.IntN(1 << 30)
		case 4:
			ev.Attrs, ev.Message, ev.Reason = nil, "", ""
		case 5:
			for k := range ev.Attrs {
				ev.Attrs[k] = strings.Repeat("9", 40)
			}
		}
		ev.SetID()
		out.Event = &ev
	case o.State != nil:
		s := *o.State
		switch rng.IntN(5) {
		case 0:
			s.Owner = other
		case 1:
			s.Owner = s.Entity
		case 2:
			s = tapio.State{Entity: s.Entity, Deleted: true}
		case 3:
			s = tapio.State{Entity: s.Entity} // of no kind's own fields
		case 4:
			s.Entity.Kind = other.Kind
		}
		out.State = &s
	}
	return &out
}
