package engine

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/yairfalse/tapio"
)

var update = flag.Bool("update", false, "rewrite the expected stories of the scenarios")

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(archive.Files) != 2 || archive.Files[0].Name != "script" || archive.Files[1].Name != "stories" {
				t.Fatalf("%s: want the sections script and stories", file)
			}
			lines := parseScript(t, archive.Files[0].Data)
			got := play(t, lines)
			if again := play(t, lines); got != again {
				t.Errorf("played twice, the stories differ:\n%s", cmp.Diff(got, again))
			}
			if *update {
				archive.Files[1].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

type scriptLine struct {
	at  time.Time
	obs *tapio.Observation // nil: time passes
}

// shipped is an engine with the shipped templates: compiling them takes longer
// than most scenarios.
var shipped = sync.OnceValues(func() (*Engine, error) {
	list, err := Library()
	if err != nil {
		return nil, err
	}
	return New(Options{Cluster: "test", Templates: list})
})

// newEngine returns an engine with the shipped templates.
func newEngine(t testing.TB) *Engine {
	t.Helper()
	e, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	return assemble(e.opts, e.templates)
}

// play feeds the lines to a fresh engine and prints its revisions.
func play(t *testing.T, lines []scriptLine) string {
	t.Helper()
	var b bytes.Buffer
	tell := func(at time.Time, stories []tapio.Story) {
		for _, s := range stories {
			if err := s.Validate(); err != nil {
				t.Errorf("at %s: %v", at, err)
			}
			fmt.Fprintf(&b, "%s %s r%d %s %s %s %s %s\n", at.Sub(start), s.Subject, s.Revision, s.Status, s.Cause, s.CauseEntity, s.Standing, s.Severity)
			if s.Trigger != nil && s.Revision == 1 {
				fmt.Fprintf(&b, "    trigger %s %s %v\n", s.Trigger.Type, s.Trigger.Entity, s.Trigger.Changes)
			}
			for _, c := range s.Checked {
				fmt.Fprintf(&b, "    checked: %s\n", c)
			}
			for _, n := range s.News {
				fmt.Fprintf(&b, "    news %s %s → %s\n", n.Kind, n.Was, n.Now)
			}
		}
	}
	e := newEngine(t)
	now := start
	for _, l := range lines {
		for ; now.Before(l.at); now = now.Add(time.Second) {
			tell(now, e.Tick(now))
		}
		if l.obs != nil {
			stories, wants := e.Observe(l.obs)
			tell(l.at, stories)
			for _, w := range wants {
				fmt.Fprintf(&b, "%s want %s %s previous=%v\n", l.at.Sub(start), w.Kind, w.Entity, w.Previous)
			}
		}
	}
	tell(now, e.Tick(now))
	return b.String()
}

func parseScript(t *testing.T, script []byte) []scriptLine {
	t.Helper()
	var out []scriptLine
	for i, line := range strings.Split(string(script), "\n") {
		words, err := split(line)
		if err == nil && len(words) == 0 {
			continue
		}
		var l scriptLine
		if err == nil {
			l, err = parseLine(words)
		}
		if err != nil {
			t.Fatalf("script line %d: %v", i+1, err)
		}
		if len(out) > 0 && l.at.Before(out[len(out)-1].at) {
			t.Fatalf("script line %d: time runs backwards", i+1)
		}
		out = append(out, l)
	}
	return out
}

// split cuts a line into words; a quoted part of a word may hold spaces.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	in, has, literal := false, false, false
	for _, r := range line {
		switch {
		case literal && r == 'n':
			word.WriteRune('\n')
			literal = false
		case literal:
			word.WriteRune(r)
			literal = false
		case r == '\\':
			literal = true
		case r == '"':
			in, has = !in, true
		case r == '#' && !in && !has:
			return words, nil
		case r == ' ' && !in:
			if has {
				words = append(words, word.String())
			}
			word.Reset()
			has = false
		default:
			word.WriteRune(r)
			has = true
		}
	}
	if in {
		return nil, fmt.Errorf("a quote is not closed")
	}
	if has {
		words = append(words, word.String())
	}
	return words, nil
}

func parseLine(words []string) (scriptLine, error) {
	if len(words) < 2 {
		return scriptLine{}, fmt.Errorf("want a time and what is observed")
	}
	offset, err := time.ParseDuration(words[0])
	if err != nil {
		return scriptLine{}, err
	}
	l := scriptLine{at: start.Add(offset)}
	if words[1] == "tick" {
		return l, nil
	}
	if len(words) < 3 {
		return l, fmt.Errorf("%s of what?", words[1])
	}
	l.obs = &tapio.Observation{Time: l.at}
	opts := options{}
	rest := words[3:]
	for _, w := range rest {
		k, v, ok := strings.Cut(w, "=")
		if !ok {
			k, v = "message", w
		}
		opts[k] = v
	}
	switch words[1] {
	case "event":
		if len(words) < 4 {
			return l, fmt.Errorf("event of what?")
		}
		delete(opts, "message")
		for _, w := range words[4:] {
			if k, v, ok := strings.Cut(w, "="); ok && k == "message" {
				opts["message"] = v
			}
		}
		entity, err := parseEntity(words[3])
		if err != nil {
			return l, err
		}
		l.obs.Event = event(l.at, tapio.EventType(words[2]), entity, opts)
	case "delete":
		entity, err := parseEntity(words[2])
		if err != nil {
			return l, err
		}
		l.obs.State = &tapio.State{Entity: entity, Deleted: true}
	case "gap":
		from, err := time.ParseDuration(opts["from"])
		if err != nil {
			return l, err
		}
		l.obs.Gap = &tapio.Gap{Source: tapio.SourceKubernetes, Resource: words[2], From: start.Add(from), To: l.at, Reason: opts["message"]}
	default:
		l.obs.State, err = state(l.at, words[1], words[2], opts)
	}
	return l, err
}

type options map[string]string

func (o options) get(key, otherwise string) string {
	if v, ok := o[key]; ok {
		return v
	}
	return otherwise
}

func (o options) int(key string, otherwise int32) int32 {
	if v, ok := o[key]; ok {
		n, _ := strconv.Atoi(v)
		return int32(n)
	}
	return otherwise
}

func parseEntity(s string) (tapio.Entity, error) {
	s, container, _ := strings.Cut(strings.TrimSuffix(s, "]"), "[")
	parts := strings.Split(s, "/")
	switch len(parts) {
	case 2:
		return tapio.Entity{Kind: tapio.Kind(parts[0]), Name: parts[1], Container: container}, nil
	case 3:
		return tapio.Entity{Kind: tapio.Kind(parts[0]), Namespace: parts[1], Name: parts[2], Container: container}, nil
	}
	return tapio.Entity{}, fmt.Errorf("%q is not Kind/namespace/name", s)
}

func event(at time.Time, typ tapio.EventType, entity tapio.Entity, o options) *tapio.Event {
	ev := &tapio.Event{
		Time: at, Seen: at, Source: tapio.Source(o.get("source", string(tapio.SourceKubernetes))), Type: typ, Severity: tapio.SeverityMedium, Entity: entity,
		Reason: o["reason"], Message: o["message"], Count: int(o.int("count", 0)), Listed: o["listed"] == "true",
		Attrs: map[string]string{},
	}
	if entity.Kind == tapio.KindComponent {
		ev.Source, ev.Attrs[tapio.AttrComponent] = tapio.SourceControlPlane, entity.Name
	}
	if ago, err := time.ParseDuration(o["ago"]); err == nil {
		ev.Time = at.Add(-ago)
	}
	if c, ok := o["change"]; ok {
		field, values, _ := strings.Cut(c, ":")
		from, to, _ := strings.Cut(values, ":")
		ev.Changes = []tapio.Change{{Field: field, From: from, To: to}}
	}
	for k, v := range o {
		switch k {
		case "reason", "message", "count", "listed", "change", "ago", "source":
		default:
			ev.Attrs[k] = v
		}
	}
	if typ == tapio.ContainerExit && ev.Attrs[tapio.AttrContainerID] == "" {
		ev.Attrs[tapio.AttrContainerID] = entity.String() + at.String()
	}
	ev.SetID()
	return ev
}

var kinds = map[string]tapio.Kind{
	"deployment": tapio.KindDeployment, "replicaset": tapio.KindReplicaSet, "statefulset": tapio.KindStatefulSet,
	"daemonset": tapio.KindDaemonSet, "job": tapio.KindJob, "cronjob": tapio.KindCronJob,
}

func labels(s string) map[string]string {
	out := map[string]string{}
	for pair := range strings.SplitSeq(s, ",") {
		if k, v, ok := strings.Cut(pair, "="); ok {
			out[k] = v
		}
	}
	return out
}

func state(at time.Time, what, name string, o options) (*tapio.State, error) {
	ns, short, ok := strings.Cut(name, "/")
	if !ok {
		ns, short = "", name
	}
	s := &tapio.State{Entity: tapio.Entity{Namespace: ns, Name: short}, Created: at, Labels: labels(o["labels"]), UID: o["uid"]}
	if age, err := time.ParseDuration(o["age"]); err == nil {
		s.Created = at.Add(-age)
	}
	for _, k := range []string{"channel", "team", "service", "runbook", "ignore"} {
		if v, ok := o[k]; ok {
			if s.Annotations == nil {
				s.Annotations = map[string]string{}
			}
			s.Annotations["tapio.dev/"+k] = v
		}
	}
	if owner, ok := o["owner"]; ok {
		kind, n, _ := strings.Cut(owner, "/")
		s.Owner = tapio.Entity{Kind: tapio.Kind(kind), Namespace: ns, Name: n}
	}
	if clusterState(s, what, o) {
		return s, nil
	}
	switch what {
	case "namespace":
		s.Entity.Kind, s.Terminating = tapio.KindNamespace, o["terminating"] == "true"
	case "node":
		s.Entity.Kind = tapio.KindNode
		s.Node = &tapio.NodeState{Ready: o.get("ready", "True"), Reason: o["reason"]}
		room(at, s.Node, o)
		if p := o["problems"]; p != "" {
			s.Node.Problems = strings.Split(p, ",")
		}
		if p := o["pressures"]; p != "" {
			s.Node.Pressures = strings.Split(p, ",")
		}
	case "pod":
		s.Entity.Kind = tapio.KindPod
		s.Pod = podState(at, o)
		if refs := o["refs"]; refs != "" {
			kind, n, _ := strings.Cut(refs, "/")
			s.Pod.References = []tapio.Entity{{Kind: tapio.Kind(kind), Namespace: ns, Name: n}}
		}
		asks(s.Pod, ns, o)
	case "lease":
		s.Entity.Kind = tapio.KindLease
		s.Lease = &tapio.LeaseState{Holder: o["holder"], Renewed: at}
	case "service":
		s.Entity.Kind = tapio.KindService
		s.Service = &tapio.ServiceState{Type: "ClusterIP", Selector: labels(o["selector"])}
	case "ingress":
		s.Entity.Kind, s.Route = tapio.KindIngress, &tapio.RouteState{}
	case "policy":
		s.Entity.Kind, s.Policy = tapio.KindNetworkPolicy, &tapio.PolicyState{}
	case "endpoints":
		s.Entity.Kind = tapio.KindEndpointSlice
		s.Endpoints = &tapio.EndpointsState{Service: short}
		for k, v := range o {
			s.Endpoints.Backends = append(s.Endpoints.Backends, tapio.Endpoint{Pod: k, Ready: v == "ready"})
		}
	default:
		kind, ok := kinds[what]
		if !ok {
			return nil, fmt.Errorf("%q is nothing that can be observed", what)
		}
		s.Entity.Kind = kind
		n := o.int("desired", 1)
		s.Workload = &tapio.WorkloadState{
			Replicas: tapio.ReplicaStatus{
				Desired: n, Current: o.int("current", n), Ready: o.int("ready", n),
				Updated: o.int("updated", n), Available: o.int("available", o.int("ready", n)),
			},
			Stuck: o["stuck"] == "true", Failed: o["failed"] == "true", Complete: o["complete"] == "true",
			TemplateLabels: labels(o["labels"]),
			Generation:     int64(o.int("generation", 0)), Observed: int64(o.int("observed", 0)),
		}
		if last, err := time.ParseDuration(o["last"]); err == nil {
			s.Workload.LastSchedule = at.Add(-last)
		}
	}
	return s, specs(s, o)
}

func podState(at time.Time, o options) *tapio.PodState {
	p := &tapio.PodState{
		Phase: o.get("phase", "Running"), Node: o["node"], Ready: o.get("ready", "true") == "true", ReadySince: at,
		Scheduled: o["node"] != "", Considered: o.get("considered", "true") == "true", Scheduler: o["scheduler"], Terminating: o["terminating"] == "true", RestartPolicy: o.get("restart", "Always"), TemplateHash: o["hash"],
	}
	name, st, _ := strings.Cut(o.get("container", "app:running"), ":")
	st, reason, _ := strings.Cut(st, ":")
	p.Containers = []tapio.ContainerState{{Name: name, State: st, Reason: reason, Since: at, Ready: p.Ready, Restarts: o.int("restarts", 0), Image: o["image"]}}
	return p
}
