package narrate

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// View holds the variables that a template's words may use. Text from the
// cluster is one clean, bounded line in it; what is not known is empty or 0, so
// that {{if}}, {{with}} and {{or}} can tell.
type View struct {
	// Facts of the engine, one for each tapio.Fact… key.
	Workload    string // affected workload, bare pod, Service or node
	Ref         string // the workload as kubectl takes it: deploy/checkout
	Namespace   string
	PodName     string // one affected pod
	Container   string
	ExitCode    string
	Signal      string // SIGSEGV
	RuntimeSaw  bool   // the container runtime saw the ends of the containers too
	Reason      string // the source's own word
	Message     string // the source's own sentence
	LastError   string // error line of the log, or the termination message
	Failures    int    // how often it failed so far
	Image       string
	Registry    string
	Limit       string // the memory limit that was hit
	NodeName    string
	ServiceName string
	Selector    string // of the Service: app=web
	Object      string // ConfigMap, Secret or ResourceQuota at fault
	Key         string
	Resource    string
	Taint       string
	Said        string // the component's own words, without what repeats in them
	Detail      string
	Why         string // in what a failing probe differs from its container
	Condition   string // MemoryPressure, …
	Evicted     int
	Lost        int

	// What an application's own words name.
	Class         string // kind of the error: auth_failed
	Peer          string // host that is called, as the log names it
	PeerPort      string
	PeerNamespace string // of the Service that the peer is, or the story's
	User          string
	Database      string
	Path          string
	Missing       string // module, setting or file that is lacking
	Verb          string // that the API server refuses
	Account       string // service account
	AccountName   string // as the API server names it: shop:checkout
	Volume        string
	Claim         string
	Origin        string // where the credential or address comes from
	ThePeer       string // "Service mysql", "mysql:3306", "MySQL", or "a service that it calls"
	HowItFails    string // "refuses connections"
	WhatItLacks   string // "the module express is not in its image"
	Confirmed     bool   // the Service has no ready endpoint

	// The names of the seed design.
	FailureCount      int    // the same as Failures
	Duration          string // "6 min"
	AffectedPods      int
	EvictedCount      int    // the same as Evicted
	ResourceType      string // the same as Resource
	AvailableAmount   string // the amount left, where the node said so
	LostEndpoints     int    // the same as Lost
	FailedConnections int    // seen by eBPF
	BusinessService   string

	// Phrases.
	Since          string // "14:02 UTC"
	When           string // "since 14:02 UTC"; once resolved "from 14:02 to 14:12 UTC"
	Who            string // the workload, or "3 workloads"
	Failing        string // "crash-looping", or "failing" where nothing restarts it
	TheContainer   string // "container app", or "a container"
	TheObject      string // "ConfigMap app-config"
	ObjectKind     string // "ConfigMap"
	ImageName      string // the image without its registry and path: "app:1.2"
	Exit           string // "exit 137 (SIGKILL)"
	Changes        string // of the trigger: "memory limit 512Mi → 256Mi"
	LimitDoubled   string // twice the memory limit: "64Mi"
	NodeStatus     string // Ready of the node: "False" or "Unknown"
	Controller     string // Ref of a Deployment, StatefulSet or DaemonSet, otherwise empty
	ObjectResource string // kubectl's name of ObjectKind: "configmap"
	Revision       string // of the trigger
	FromRevision   string // of the trigger
	Manager        string // of the trigger
	Nearest        string // what a selector, port, address or image that leads nowhere most likely meant
	PodsDown       int
	PodsWanted     int
	WorkloadCount  int
	Cluster        string

	// Verbs that follow the story's state: present while it is open, past
	// once it is resolved.
	Over     bool   // it is resolved
	Is       string // is, was
	Are      string // are, were
	Has      string // has, had
	Cannot   string // cannot, could not
	HasBeen  string // has been, was
	HaveBeen string // have been, were
	HasDone  string // has, or nothing: "has failed", "failed"
	HaveDone string // have, or nothing
}

func newView(s *tapio.Story) *View {
	fact := func(key string) string { return quote(s.Facts[key]) }
	number := func(key string) int {
		n, _ := strconv.Atoi(s.Facts[key])
		return max(n, 0)
	}
	v := &View{
		Workload:        or(fact(tapio.FactWorkload), inline(s.Subject.Name)),
		Namespace:       or(fact(tapio.FactNamespace), inline(s.Subject.Namespace)),
		PodName:         fact(tapio.FactPodName),
		Container:       or(fact(tapio.FactContainer), inline(s.CauseEntity.Container)),
		ExitCode:        fact(tapio.FactExitCode),
		Signal:          fact(tapio.FactSignal),
		Reason:          fact(tapio.FactReason),
		Message:         fact(tapio.FactMessage),
		LastError:       fact(tapio.FactLastError),
		Failures:        number(tapio.FactFailures),
		Image:           or(fact(tapio.FactImage), nameIf(s.CauseEntity, tapio.KindImage)),
		Registry:        or(fact(tapio.FactRegistry), nameIf(s.CauseEntity, tapio.KindRegistry)),
		Limit:           size(fact(tapio.FactLimit)),
		NodeName:        or(fact(tapio.FactNodeName), nameIf(s.CauseEntity, tapio.KindNode), nameIf(s.Subject, tapio.KindNode)),
		ServiceName:     or(fact(tapio.FactServiceName), nameIf(s.CauseEntity, tapio.KindService), nameIf(s.Subject, tapio.KindService)),
		Selector:        fact(tapio.FactSelector),
		Object:          or(fact(tapio.FactObject), nameIf(s.CauseEntity, tapio.KindConfigMap, tapio.KindSecret, tapio.KindResourceQuota)),
		Key:             fact(tapio.FactKey),
		Resource:        fact(tapio.FactResource),
		Taint:           fact(tapio.FactTaint),
		Said:            fact(tapio.FactSaid),
		Detail:          fact(tapio.FactDetail),
		Why:             fact(tapio.FactWhy),
		Condition:       fact(tapio.FactCondition),
		Evicted:         number(tapio.FactEvicted),
		Lost:            number(tapio.FactLost),
		BusinessService: inline(s.BusinessService),
		AffectedPods:    len(s.AffectedPods),
		PodsDown:        s.Scope.PodsDown,
		PodsWanted:      s.Scope.PodsWanted,
		WorkloadCount:   s.Scope.Workloads,
		Cluster:         inline(s.Cluster),
		Over:            s.Status == tapio.StatusResolved,
	}
	v.Ref = or(fact(tapio.FactRef), ref(s.Subject))
	if v.PodName == "" && len(s.AffectedPods) > 0 {
		v.PodName = inline(s.AffectedPods[0])
	}
	if _, name, ok := strings.Cut(v.PodName, "/"); ok {
		v.PodName = name
	}
	if v.Failures == 0 {
		v.Failures = exits(s)
	}
	v.FailureCount, v.EvictedCount, v.LostEndpoints, v.ResourceType = v.Failures, v.Evicted, v.Lost, v.Resource
	v.FailedConnections = countOf(s, tapio.ConnectionFailed)
	if m := available.FindStringSubmatch(dataOfType(s, tapio.PodEvicted, "message")); m != nil {
		v.AvailableAmount = m[1]
	}
	for _, typ := range []tapio.EventType{
		tapio.ServiceSelectsNone, tapio.ServicePortMismatch, tapio.ServiceProtocolMismatch, tapio.ImageNearMatch,
		tapio.AddressMismatch, tapio.NameserverMismatch, tapio.RouteBroken,
	} {
		v.Nearest = or(v.Nearest, inline(dataOfType(s, typ, tapio.AttrNearest)))
	}
	v.RuntimeSaw = slices.ContainsFunc(s.Evidence, func(e tapio.Evidence) bool { return e.Type == tapio.CRIContainerFailed })
	v.NodeStatus = dataOfType(s, tapio.NodeNotReady, tapio.AttrStatus)
	v.phrases(s)
	v.dependency(s)
	v.verbs(s)
	if t := s.Trigger; t != nil {
		v.Revision, v.FromRevision, v.Manager = revision(t.Entity, t.Revision), revision(t.Entity, t.From), actor(t.Manager)
		v.Changes = changes(t.Changes)
	}
	return v
}

func (v *View) phrases(s *tapio.Story) {
	v.Exit = exit(v.ExitCode)
	if v.Signal == "" && v.Exit != "" {
		n, _ := strconv.Atoi(v.ExitCode)
		v.Signal = signalName(n - 128)
	}
	v.Duration = span(s.Duration)
	v.Who = v.Workload
	if s.Scope.Workloads > 1 {
		v.Who = count(s.Scope.Workloads, "workload")
	}
	v.Failing = "failing"
	if v.Failures > 1 && s.Subject.Kind != tapio.KindJob && s.Subject.Kind != tapio.KindCronJob {
		v.Failing = "crash-looping"
	}
	v.TheContainer = "a container"
	if v.Container != "" {
		v.TheContainer = "container " + v.Container
		if ofInit(s, v.Container) {
			v.TheContainer = "init container " + v.Container
		}
	}
	switch k := s.CauseEntity.Kind; k {
	case tapio.KindConfigMap, tapio.KindSecret, tapio.KindResourceQuota:
		v.ObjectKind, v.ObjectResource = string(k), k.Kubectl()
		v.TheObject = strings.TrimSpace(string(k) + " " + v.Object)
	default:
		v.ObjectKind = quote(s.Facts[tapio.FactKind])
		v.ObjectResource = strings.ToLower(v.ObjectKind)
		v.TheObject = or(strings.TrimSpace(v.ObjectKind+" "+v.Object), "a ConfigMap or Secret")
	}
	v.ImageName = v.Image[strings.LastIndex(v.Image, "/")+1:]
	if name, digest, ok := strings.Cut(v.ImageName, "@"); ok {
		v.ImageName = name + "@" + clip(digest, 20)
	}
	v.LimitDoubled = doubled(v.Limit)
	switch s.Subject.Kind {
	case tapio.KindDeployment, tapio.KindStatefulSet, tapio.KindDaemonSet:
		v.Controller = ref(s.Subject)
	}
}

func (v *View) verbs(s *tapio.Story) {
	v.Since = clock(s.Timestamp, s.Updated)
	if v.Over {
		v.Is, v.Are, v.Has, v.Cannot, v.HasBeen, v.HaveBeen = "was", "were", "had", "could not", "was", "were"
		v.When = stretch(s.Timestamp, ended(s), s.Updated)
		return
	}
	v.Is, v.Are, v.Has, v.Cannot, v.HasBeen, v.HaveBeen = "is", "are", "has", "cannot", "has been", "have been"
	v.HasDone, v.HaveDone = "has", "have"
	v.When = "since " + v.Since
}

// stretch words a stretch of time that is over.
func stretch(from, to, ref time.Time) string {
	a, b := clockOnly(from, ref), clockOnly(to, ref)
	if a == b {
		return "at " + a + " UTC"
	}
	return "from " + a + " to " + b + " UTC"
}

// ended returns when a resolved story's trouble was over: onset and duration,
// or the resolution where no duration was measured.
func ended(s *tapio.Story) time.Time {
	if s.Duration > 0 {
		return s.Timestamp.Add(s.Duration)
	}
	return s.Resolved
}

// ref names an object as kubectl takes it: deploy/checkout.
func ref(e tapio.Entity) string {
	if e.IsZero() {
		return ""
	}
	return inline(e.Kind.Kubectl() + "/" + e.Name)
}

// available matches the amount left in the kubelet's message of an eviction.
var available = regexp.MustCompile(`available: ([0-9.]+[A-Za-z]{0,2})`)

// revision returns a rollout's number as people know it. Only Deployments have
// one: of other workloads collectors report the generation.
func revision(e tapio.Entity, number string) string {
	if e.Kind != tapio.KindDeployment {
		return ""
	}
	return inline(number)
}

func nameIf(e tapio.Entity, kinds ...tapio.Kind) string {
	for _, k := range kinds {
		if e.Kind == k {
			return inline(e.Name)
		}
	}
	return ""
}

func or(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// exits counts the failed ends of containers in the timeline.
func exits(s *tapio.Story) int {
	n := 0
	for i := range s.Timeline {
		e := &s.Timeline[i]
		if e.Type == tapio.ContainerExit && data(e, tapio.AttrExitCode) != "0" && (e.Role == tapio.RoleSymptom || e.Role == tapio.RoleCause) {
			n += max(e.Count, 1)
		}
	}
	return n
}

func countOf(s *tapio.Story, typ tapio.EventType) int {
	n := 0
	for i := range s.Timeline {
		if s.Timeline[i].Type == typ {
			n += max(s.Timeline[i].Count, 1)
		}
	}
	return n
}

// dataOfType returns an attribute of the last timeline entry of a type.
func dataOfType(s *tapio.Story, typ tapio.EventType, key string) string {
	for i := len(s.Timeline) - 1; i >= 0; i-- {
		if s.Timeline[i].Type == typ {
			return data(&s.Timeline[i], key)
		}
	}
	return ""
}

// ofInit reports whether the story's container is an init container: until it
// is done, the pod's own containers wait.
func ofInit(s *tapio.Story, container string) bool {
	for i := range s.Timeline {
		e := &s.Timeline[i]
		if e.Entity.Container != "" && inline(e.Entity.Container) == container && data(e, tapio.AttrInit) == "true" {
			return true
		}
	}
	return false
}
