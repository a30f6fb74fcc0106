package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

// TestWitness has a runtime say what the kubelet says, before it and after it:
// one line, told by both, with the runtime's time, and counted once each.
func TestWitness(t *testing.T) {
	e := libraryEngine(t)
	begin := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	pod := tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "web", Container: "app"}
	state := &tapio.State{Entity: pod.Object(), Pod: &tapio.PodState{Phase: "Running", Node: "n1", RestartPolicy: "Always"}}
	e.Observe(&tapio.Observation{Time: begin, State: state})

	says := func(at time.Duration, typ tapio.EventType, source tapio.Source, id string, seen time.Duration) *tapio.Observation {
		ev := &tapio.Event{
			Time: begin.Add(at), Seen: begin.Add(seen), Source: source, Type: typ, Severity: tapio.SeverityHigh, Entity: pod, Reason: "Error",
			Attrs: map[string]string{tapio.AttrExitCode: "1", tapio.AttrContainerID: "containerd://" + id, tapio.AttrNode: "n1"},
		}
		ev.SetID()
		return &tapio.Observation{Time: ev.Seen, Event: ev}
	}
	// The kernel knows the ID alone, without the runtime's name.
	saw := func(at time.Duration, typ tapio.EventType, id, main string) *tapio.Observation {
		o := says(at, typ, tapio.SourceEBPF, id, at)
		o.Event.Attrs[tapio.AttrContainerID], o.Event.Attrs[tapio.AttrMain], o.Event.Attrs[tapio.AttrPID] = id, main, main+id
		o.Event.SetID()
		return o
	}
	const ms = time.Millisecond
	var last tapio.Story
	for _, o := range []*tapio.Observation{
		says(10123*ms, tapio.CRIContainerFailed, tapio.SourceCRI, "aa", 10130*ms),
		says(10*time.Second, tapio.ContainerExit, tapio.SourceKubernetes, "aa", 11*time.Second),
		says(20*time.Second, tapio.ContainerExit, tapio.SourceKubernetes, "bb", 20900*ms),
		says(20456*ms, tapio.CRIContainerFailed, tapio.SourceCRI, "bb", 21*time.Second),
		says(20456*ms, tapio.CRIContainerFailed, tapio.SourceCRI, "bb", 22*time.Second), // once more
		saw(20450*ms, tapio.ProcessExit, "bb", "true"),
		saw(20440*ms, tapio.ProcessExit, "bb", ""), // a child of it
	} {
		stories, _ := e.Observe(o)
		for _, s := range stories {
			last = s
		}
	}
	for _, s := range e.Flush(begin.Add(40 * time.Second)) {
		last = s
	}
	i := slices.IndexFunc(last.Timeline, func(l tapio.StoryEvent) bool { return l.Type == tapio.ContainerExit })
	if i < 0 {
		t.Fatalf("no exit on the timeline: %+v", last.Timeline)
	}
	line := last.Timeline[i]
	if line.Count != 2 || !slices.Equal(line.Witnesses, []tapio.Source{tapio.SourceCRI, tapio.SourceEBPF}) {
		t.Errorf("the line stands for %d, seen also by %v; want 2, by runtime and kernel", line.Count, line.Witnesses)
	}
	if !line.Timestamp.Equal(begin.Add(10123*ms)) || !line.Last.Equal(begin.Add(20456*ms)) {
		t.Errorf("the line is of %s to %s; want the runtime's times", line.Timestamp, line.Last)
	}
	cited := map[string]int{}
	for _, x := range last.Evidence {
		cited[string(x.Source)+" "+string(x.Type)]++
	}
	if cited["k8s-api container.exit"] != 2 || cited["cri cri.container_failed"] != 2 || cited["ebpf ebpf.process_exit"] != 1 {
		t.Errorf("evidence: %v; want two of each, and one of the kernel", cited)
	}
	for _, l := range last.Timeline {
		if l.Type.IsRuntime() {
			t.Errorf("a line of its own: %+v", l)
		}
	}
}

// TestKillerOfOneEnd has the kernel see one of two ends: who sent that signal is
// evidence all the same.
func TestKillerOfOneEnd(t *testing.T) {
	e := libraryEngine(t)
	begin := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	pod := tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "web", Container: "app"}
	e.Observe(&tapio.Observation{Time: begin, State: &tapio.State{Entity: pod.Object(), Pod: &tapio.PodState{Phase: "Running", Node: "n1", RestartPolicy: "Always"}}})
	says := func(after time.Duration, source tapio.Source, typ tapio.EventType, attrs map[string]string) {
		at := begin.Add(after)
		attrs[tapio.AttrExitCode] = "137"
		ev := &tapio.Event{Time: at, Seen: at, Source: source, Type: typ, Severity: tapio.SeverityHigh, Entity: pod, Reason: "Error", Attrs: attrs}
		ev.SetID()
		e.Observe(&tapio.Observation{Time: at, Event: ev})
	}
	says(10*time.Second, tapio.SourceKubernetes, tapio.ContainerExit, map[string]string{tapio.AttrContainerID: "containerd://aa"})
	says(20*time.Second, tapio.SourceEBPF, tapio.ProcessExit, map[string]string{
		tapio.AttrContainerID: "bb", tapio.AttrMain: "true", tapio.AttrSignal: "9", tapio.AttrSender: tapio.SenderNode, tapio.AttrSenderCommand: "pkill", tapio.AttrSenderPID: "7",
	})
	says(20*time.Second, tapio.SourceKubernetes, tapio.ContainerExit, map[string]string{tapio.AttrContainerID: "containerd://bb"})
	stories := e.Flush(begin.Add(40 * time.Second))
	if len(stories) != 1 || stories[0].Cause != tapio.CauseKilledExternally {
		t.Fatalf("told %+v, want one story of a container that is killed", stories)
	}
	cites := func(x tapio.Evidence) bool { return x.Type == tapio.KilledBy }
	if !slices.ContainsFunc(stories[0].Evidence, cites) {
		t.Errorf("who sent the signal is not cited: %+v", stories[0].Evidence)
	}
}

// TestWitnessAlone has a runtime speak alone: that makes no story.
func TestWitnessAlone(t *testing.T) {
	e := libraryEngine(t)
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	pod := tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "web", Container: "app"}
	for i := range 10 {
		at = at.Add(10 * time.Second)
		ev := &tapio.Event{
			Time: at, Seen: at, Source: tapio.SourceCRI, Type: tapio.CRIContainerFailed, Severity: tapio.SeverityHigh, Entity: pod, Reason: "Error",
			Attrs: map[string]string{tapio.AttrExitCode: "137", tapio.AttrContainerID: "containerd://" + string(rune('a'+i))},
		}
		ev.SetID()
		if stories, _ := e.Observe(&tapio.Observation{Time: at, Event: ev}); len(stories) > 0 {
			t.Fatalf("a story: %+v", stories[0])
		}
	}
	if stories := e.Flush(at); len(stories) > 0 {
		t.Fatalf("a story: %+v", stories[0])
	}
}

func libraryEngine(t *testing.T) *Engine {
	t.Helper()
	list, err := Library()
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{Cluster: "test", Templates: list})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestEndsOfOneSecond has a container end twice within the second to which the
// kubelet tells time, and the runtime seen the first end only: the line keeps
// its time.
func TestEndsOfOneSecond(t *testing.T) {
	e := libraryEngine(t)
	begin := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	pod := tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "web", Container: "app"}
	e.Observe(&tapio.Observation{Time: begin, State: &tapio.State{Entity: pod.Object(), Pod: &tapio.PodState{Phase: "Running", Node: "n1", RestartPolicy: "Always"}}})
	says := func(at, seen time.Duration, source tapio.Source, typ tapio.EventType, id string) {
		ev := &tapio.Event{
			Time: begin.Add(at), Seen: begin.Add(seen), Source: source, Type: typ, Severity: tapio.SeverityHigh, Entity: pod, Reason: "Error",
			Attrs: map[string]string{tapio.AttrExitCode: "1", tapio.AttrContainerID: "containerd://" + id},
		}
		ev.SetID()
		e.Observe(&tapio.Observation{Time: ev.Seen, Event: ev})
	}
	const ms = time.Millisecond
	says(10*time.Second, 11*time.Second, tapio.SourceKubernetes, tapio.ContainerExit, "aa")
	says(10123*ms, 11100*ms, tapio.SourceCRI, tapio.CRIContainerFailed, "aa")
	says(10*time.Second, 12*time.Second, tapio.SourceKubernetes, tapio.ContainerExit, "bb")
	says(20*time.Second, 21*time.Second, tapio.SourceKubernetes, tapio.ContainerExit, "cc")
	for _, s := range e.Flush(begin.Add(40 * time.Second)) {
		i := slices.IndexFunc(s.Timeline, func(l tapio.StoryEvent) bool { return l.Type == tapio.ContainerExit })
		if i < 0 || s.Timeline[i].Count != 3 {
			t.Fatalf("timeline: %+v; want a line for three exits", s.Timeline)
		}
		if at := s.Timeline[i].Timestamp; !at.Equal(begin.Add(10123 * ms)) {
			t.Errorf("the first end was at %s; want the runtime's time", at)
		}
		return
	}
	t.Fatal("no story")
}

// TestLateWords has the runtime speak of the first of five ends, and the kernel
// of the last, after the kubelet has told them all: both are evidence.
func TestLateWords(t *testing.T) {
	e := libraryEngine(t)
	begin := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	pod := tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "web", Container: "app"}
	e.Observe(&tapio.Observation{Time: begin, State: &tapio.State{Entity: pod.Object(), Pod: &tapio.PodState{Phase: "Running", Node: "n1", RestartPolicy: "Always"}}})
	seen := begin
	says := func(at time.Duration, source tapio.Source, typ tapio.EventType, id string) {
		seen = seen.Add(10 * time.Second)
		ev := &tapio.Event{
			Time: begin.Add(at), Seen: seen, Source: source, Type: typ, Severity: tapio.SeverityHigh, Entity: pod, Reason: "Error",
			Attrs: map[string]string{tapio.AttrExitCode: "1", tapio.AttrContainerID: "containerd://" + id, tapio.AttrMain: "true"},
		}
		ev.SetID()
		e.Observe(&tapio.Observation{Time: ev.Seen, Event: ev})
	}
	for i, id := range []string{"aa", "bb", "cc", "dd", "ee"} {
		says(time.Duration(10*(i+1))*time.Second, tapio.SourceKubernetes, tapio.ContainerExit, id)
	}
	const ms = time.Millisecond
	says(10123*ms, tapio.SourceCRI, tapio.CRIContainerFailed, "aa")
	says(50456*ms, tapio.SourceCRI, tapio.CRIContainerFailed, "ee")
	says(50450*ms, tapio.SourceEBPF, tapio.ProcessExit, "ee")
	for _, s := range e.Flush(seen.Add(time.Second)) {
		cited := map[string]bool{}
		for _, x := range s.Evidence {
			cited[string(x.Source)+" "+x.Time.Sub(begin).String()] = true
		}
		if !cited["cri 10.123s"] || !cited["ebpf 50.45s"] || cited["cri 50.456s"] {
			t.Errorf("evidence: %v; want the runtime's word of the first end only, and the kernel's of the last", cited)
		}
		return
	}
	t.Fatal("no story")
}
