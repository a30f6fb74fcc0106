package tapio

import (
	"errors"
	"fmt"
	"time"
)

// Status is where a story is in its life. Only open, resolved and absorbed
// stories are saved and told; a suspected one is held back.
type Status string

// The statuses.
const (
	StatusSuspected Status = "suspected" // held back until its template's hold time is over
	StatusOpen      Status = "open"
	StatusResolved  Status = "resolved" // everything affected has been healthy for the quiet time
	StatusAbsorbed  Status = "absorbed" // another story explains this one: AbsorbedInto
)

// Standing says how well a cause is proven. It is never a number.
type Standing string

// The standings, best first.
const (
	StandingCertain  Standing = "certain"  // a component said so about this very object
	StandingLikely   Standing = "likely"   // right object, right order, known mechanism
	StandingPossible Standing = "possible" // right time only
	StandingUnknown  Standing = "unknown"  // nothing was proven; Story.Checked lists what was looked at
)

// Story is one incident, told as the seed design names its fields and more.
// The engine sets what is fact; narrate sets what is worded (Title, Intent,
// Summary, RootCause, Impact, Resolution, Recommendations, NextAction and every
// Description and Text). A saved revision never changes.
type Story struct {
	ID       string   `json:"id"` // deterministic: two engines name the same incident alike
	Revision int      `json:"revision"`
	Cluster  string   `json:"cluster,omitempty"`
	Status   Status   `json:"status"`
	Severity Severity `json:"severity"`
	Template string   `json:"template"` // ID of the template that explains it

	Title      string     `json:"title"`
	Intent     string     `json:"intent"`     // what was being attempted: "Roll out revision 4 of checkout"
	Summary    []Sentence `json:"summary"`    // two sentences: what and since when; why
	RootCause  string     `json:"root_cause"` // one sentence
	Impact     string     `json:"impact"`     // one sentence
	Resolution string     `json:"resolution"` // one sentence, once resolved

	Timestamp time.Time     `json:"timestamp"` // onset: the first symptom, event time
	Opened    time.Time     `json:"opened"`    // when it was first told
	Updated   time.Time     `json:"updated"`   // when this revision was made
	Resolved  time.Time     `json:"resolved,omitzero"`
	Duration  time.Duration `json:"duration"` // nanoseconds from onset to resolution, or to Updated while open

	Cause       Cause        `json:"cause"`
	CauseEntity Entity       `json:"cause_entity"`
	Standing    Standing     `json:"standing"`
	Confidence  *float64     `json:"confidence"` // calibrated share for the standing; null: not measured
	Trigger     *Trigger     `json:"trigger,omitempty"`
	Hypotheses  []Hypothesis `json:"hypotheses,omitempty"` // the chosen one first
	Checked     []string     `json:"checked,omitempty"`    // what was looked at and ruled out, where the cause is unknown

	Subject         Entity   `json:"subject"` // what hurts: the workload, Service or node the story is about
	Affected        []Entity `json:"affected"`
	AffectedPods    []string `json:"affected_pods"` // namespace/name, sorted
	RelatedServices []string `json:"related_services"`
	WorkloadType    string   `json:"workload_type"`
	BusinessService string   `json:"business_service"`
	CriticalPath    bool     `json:"critical_path,omitempty"` // the whole cluster depends on what is at fault
	Scope           Scope    `json:"scope"`
	Owner           Owner    `json:"owner"`             // of the cause
	Touches         []Touch  `json:"touches,omitempty"` // what else is hurt, of other owners

	Timeline []StoryEvent `json:"timeline"` // oldest first
	Evidence []Evidence   `json:"evidence"`
	Gaps     []Gap        `json:"gaps,omitempty"`
	News     []News       `json:"news,omitempty"` // what this revision changed, for a reader of the thread

	Facts           map[string]string `json:"facts,omitempty"` // variables for words, keys in Fact…
	Recommendations []string          `json:"recommendations"`
	NextAction      Action            `json:"next_action"`
	RunbookLinks    []string          `json:"runbook_links"`

	SimilarIncidents []string `json:"similar_incidents"` // IDs, newest first
	AbsorbedInto     string   `json:"absorbed_into,omitempty"`
	Absorbed         []string `json:"absorbed,omitempty"` // IDs of the stories this one absorbed
	Follows          string   `json:"follows,omitempty"`  // ID of the resolved story it takes up again
	Backlog          bool     `json:"backlog,omitempty"`  // was already failing when Tapio first looked
}

// Sentence is a sentence and the IDs of the evidence it rests on.
type Sentence struct {
	Text     string   `json:"text"`
	Evidence []string `json:"evidence,omitempty"`
}

// Action is something to do next.
type Action struct {
	Text    string `json:"text"`              // "Roll back to revision 3"
	Command string `json:"command,omitempty"` // can be pasted into a shell
}

// Trigger is the change that preceded the onset.
type Trigger struct {
	Evidence string    `json:"evidence"` // event ID
	Type     EventType `json:"type"`
	Entity   Entity    `json:"entity"`
	Time     time.Time `json:"time"`
	Manager  string    `json:"manager,omitempty"` // field manager that made it
	Revision string    `json:"revision,omitempty"`
	From     string    `json:"from_revision,omitempty"`
	Changes  []Change  `json:"changes,omitempty"`
}

// Hypothesis is a candidate cause with what speaks for and against it.
type Hypothesis struct {
	Template string   `json:"template"`
	Cause    Cause    `json:"cause"`
	Entity   Entity   `json:"entity"`
	Standing Standing `json:"standing"`
	For      []string `json:"for"`               // evidence IDs
	Against  []string `json:"against,omitempty"` // sentences
	Chosen   bool     `json:"chosen,omitempty"`
}

// Scope counts who is hurt.
type Scope struct {
	PodsDown     int `json:"pods_down"`      // not ready now
	PodsWanted   int `json:"pods_wanted"`    // of the affected workloads
	WorstDown    int `json:"worst_down"`     // most at one time
	Workloads    int `json:"workloads"`      // affected
	ServicesDown int `json:"services_down"`  // Services without a ready endpoint now
	WorstSvcDown int `json:"worst_svc_down"` // most at one time
}

// Owner is whom the story is told to. Empty fields were not annotated.
type Owner struct {
	Team    string `json:"team,omitempty"`
	Channel string `json:"channel,omitempty"` // "#shop" or a channel ID, as annotated
	Service string `json:"service,omitempty"`
	Runbook string `json:"runbook,omitempty"`
}

// Touch is what the story hurts of somebody who doesn't own its cause.
type Touch struct {
	Owner     Owner    `json:"owner"`
	Namespace string   `json:"namespace"`
	Affected  []Entity `json:"affected"` // sorted
}

// Role says what part a timeline entry plays in the story.
type Role string

// The roles.
const (
	RoleTrigger  Role = "trigger"
	RoleCause    Role = "cause"
	RoleSymptom  Role = "symptom"
	RoleEffect   Role = "effect"
	RoleChange   Role = "change" // a change after the onset, such as a rollback
	RoleRecovery Role = "recovery"
)

// StoryEvent is one line of a story's timeline.
type StoryEvent struct {
	ID          string         `json:"id"` // evidence ID
	Timestamp   time.Time      `json:"timestamp"`
	Last        time.Time      `json:"last,omitzero"` // of the last one, where Count > 1
	Count       int            `json:"count,omitempty"`
	Source      Source         `json:"source"`
	Witnesses   []Source       `json:"witnesses,omitempty"` // other sources that saw the same, sorted
	Type        EventType      `json:"type"`
	Role        Role           `json:"role"`
	Entity      Entity         `json:"entity"`
	Description string         `json:"description"`
	Severity    Severity       `json:"severity"`
	Decisive    bool           `json:"decisive,omitempty"` // one of the three lines of the root message
	Data        map[string]any `json:"data,omitempty"`     // reason, message and attributes, all strings; changes as []Change
}

// Evidence is one fact that the story's sentences rest on, as it was seen.
type Evidence struct {
	ID     string    `json:"id"`
	Time   time.Time `json:"time"`
	Source Source    `json:"source"`
	Type   EventType `json:"type"`
	Entity Entity    `json:"entity"`
	Text   string    `json:"text"` // the raw words of the source, bounded to 2,000 bytes
}

// NewsKind says what sort of change a revision tells.
type NewsKind string

// The kinds of news.
const (
	NewsOpened   NewsKind = "opened"
	NewsCause    NewsKind = "cause"    // the cause was found or corrected
	NewsTrigger  NewsKind = "trigger"  // the change behind it was found
	NewsScope    NewsKind = "scope"    // it grew: more workloads, or twice the pods
	NewsSeverity NewsKind = "severity" // it got worse
	NewsChange   NewsKind = "change"   // somebody changed something since: rollout, rollback, scale
	NewsLog      NewsKind = "log"      // the error line of the log came in
	NewsResolved NewsKind = "resolved"
	NewsReopened NewsKind = "reopened"
	NewsAbsorbed NewsKind = "absorbed" // this story is part of another: AbsorbedInto
	NewsAbsorbs  NewsKind = "absorbs"  // another story is part of this one
	NewsGap      NewsKind = "gap"      // something may have been missed
	// NewsMeanwhile tells what was found once the API server could be reached
	// again: Was is the time without it, Now what happened.
	NewsMeanwhile NewsKind = "meanwhile"
)

// News is one change worth a reply in the thread. Was and Now are facts set by
// the engine; Text is the worded sentence set by narrate.
type News struct {
	Kind     NewsKind  `json:"kind"`
	Time     time.Time `json:"time"`
	Was      string    `json:"was,omitempty"`
	Now      string    `json:"now,omitempty"`
	Text     string    `json:"text"`
	Evidence []string  `json:"evidence,omitempty"`
}

// Revision is a saved story and its place in the journal.
type Revision struct {
	Seq   uint64 `json:"seq"` // counts up by at least one; never used again
	Story Story  `json:"story"`
}

// Query selects stories. Zero fields select everything.
type Query struct {
	Status    Status
	Pod       string // name or namespace/name of an affected pod
	Workload  string // name or namespace/name of an affected workload
	Namespace string
	Cause     Cause
	Since     time.Time // updated at or after
	Limit     int       // 0 means the reader's own limit
}

// Keys of Story.Facts, the variables that templates' words may use. narrate
// offers each in camel case: exit_code as {{.ExitCode}}.
const (
	FactWorkload    = "workload"     // name of the affected workload, or of the bare pod
	FactRef         = "ref"          // the same as kubectl takes it: deploy/checkout
	FactNamespace   = "namespace"    //
	FactPodName     = "pod_name"     // one affected pod
	FactContainer   = "container"    //
	FactExitCode    = "exit_code"    //
	FactSignal      = "signal"       // name such as SIGSEGV
	FactReason      = "reason"       // the source's own word
	FactMessage     = "message"      // the source's own sentence, one line
	FactLastError   = "last_error"   // line of the log or termination message
	FactFailures    = "failures"     // how often it failed so far
	FactImage       = "image"        //
	FactRegistry    = "registry"     // registry host
	FactLimit       = "limit"        // the memory limit that was hit
	FactNodeName    = "node_name"    //
	FactServiceName = "service_name" //
	FactSelector    = "selector"     // of the service, "app=web"
	FactObject      = "object"       // name of the ConfigMap, Secret or ResourceQuota at fault
	FactKind        = "kind"         // kind of that object
	FactKey         = "key"          // the missing key
	FactResource    = "resource"     // cpu, memory, pods, …
	FactTaint       = "taint"        //
	FactSaid        = "said"         // the component's own words, without what repeats in them
	FactDetail      = "detail"       // whatever else the template's pattern captured
	FactCondition   = "condition"    // MemoryPressure, …
	FactEvicted     = "evicted"      // how many pods were evicted
	FactLost        = "lost"         // how many endpoints were lost
)

// Validate reports a story that no reader could use.
func (s *Story) Validate() error {
	switch {
	case s.ID == "":
		return errors.New("story has no id")
	case s.Revision < 1:
		return fmt.Errorf("story %s has revision %d, want 1 or more", s.ID, s.Revision)
	case s.Subject.IsZero():
		return fmt.Errorf("story %s has no subject", s.ID)
	case s.Cause == "":
		return fmt.Errorf("story %s has no cause, not even %q", s.ID, CauseUnknown)
	case s.Status == StatusAbsorbed && s.AbsorbedInto == "":
		return fmt.Errorf("story %s is absorbed by nothing", s.ID)
	}
	return nil
}

// SeverityName returns the name that on-call people use: "SEV2".
func (s *Story) SeverityName() string { return fmt.Sprintf("SEV%d", s.Severity.Level()) }
