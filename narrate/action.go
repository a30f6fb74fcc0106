package narrate

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yairfalse/tapio"
)

// token matches what may stand in a command: it means the same to every shell
// without quotes and can't be taken for an option. Kubernetes names, image
// references and label selectors fit; anything else is left out of commands.
var token = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@=+,-]{0,511}$`)

// nextAction says what to do next, with a command that can be pasted.
func (t *teller) nextAction() tapio.Action {
	s, v := t.story, t.view
	switch s.Status {
	case tapio.StatusResolved:
		come := func(e tapio.StoryEvent) bool { return e.Type == tapio.ImagePulled || e.Type == tapio.CRIImagePulled }
		if lastChange(s) == nil && !(s.Cause == tapio.CausePullSlow && slices.ContainsFunc(s.Timeline, come)) {
			return tapio.Action{Text: "Nothing to do now. Nothing visible fixed it, so it may come back"}
		}
		return tapio.Action{Text: "Nothing to do now"}
	case tapio.StatusAbsorbed:
		return tapio.Action{Text: "Follow story " + inline(s.AbsorbedInto) + ", which explains this one"}
	}
	if a, ok := undo(s); ok {
		return a
	}
	if a, ok := t.templateAction(); ok {
		return a
	}
	return look(s, v)
}

// templateAction words the template's own action. Its command is used only if
// every name in it is known and safe to paste.
func (t *teller) templateAction() (tapio.Action, bool) {
	if t.words.action == nil {
		return tapio.Action{}, false
	}
	for _, name := range t.words.action.uses {
		if empty(t.view, name) {
			return tapio.Action{}, false
		}
	}
	text := t.run(t.words.action, maxLine)
	if text == "" {
		return tapio.Action{}, false
	}
	if t.words.command == nil {
		return tapio.Action{Text: text}, true
	}
	safe, ok := t.commandView()
	if !ok {
		return tapio.Action{}, false
	}
	command, err := t.words.command.execute(safe)
	if err != nil {
		t.errs = append(t.errs, fmt.Errorf("template %q: %s: %w", t.words.id, t.words.command.name, err))
		return tapio.Action{}, false
	}
	return tapio.Action{Text: text, Command: oneLine(command)}, true
}

// commandView returns the View for commands: variables that are not safe to
// paste are empty in it. It reports false where one that the command can't do
// without is empty.
func (t *teller) commandView() (*View, bool) {
	safe := *t.view
	fields := reflect.ValueOf(&safe).Elem()
	for i := range fields.NumField() {
		if f := fields.Field(i); f.Kind() == reflect.String && !token.MatchString(f.String()) {
			f.SetString("")
		}
	}
	for _, name := range t.words.command.uses {
		if empty(&safe, name) {
			return nil, false
		}
	}
	return &safe, true
}

func empty(v *View, name string) bool {
	f := reflect.ValueOf(v).Elem().FieldByName(name)
	return !f.IsValid() || f.Kind() == reflect.String && f.Len() == 0
}

// undo returns the action that takes the trigger back, where the cause lies in
// what it changed.
func undo(s *tapio.Story) (tapio.Action, bool) {
	t := s.Trigger
	if t == nil || !token.MatchString(t.Entity.Name) || !token.MatchString(t.Entity.Namespace) {
		return tapio.Action{}, false
	}
	switch t.Type {
	case tapio.WorkloadRollout:
		return undoRollout(s)
	case tapio.WorkloadScaled:
		return undoScale(s)
	case tapio.ServiceChanged:
		return undoSelector(s)
	}
	return tapio.Action{}, false
}

func undoRollout(s *tapio.Story) (tapio.Action, bool) {
	t := s.Trigger
	switch t.Entity.Kind {
	case tapio.KindDeployment, tapio.KindStatefulSet, tapio.KindDaemonSet:
	default:
		return tapio.Action{}, false // kubectl can't roll back anything else
	}
	switch reasonOf(s, t.Evidence) {
	case "Created", "Restarted":
		return tapio.Action{}, false // there is nothing else to go back to
	}
	if t.Revision == "1" || !liesIn(s.Cause, s.CauseEntity.Container, t.Changes) {
		return tapio.Action{}, false
	}
	object := ref(t.Entity)
	later := rolloutSince(s)
	if later != nil && data(later, tapio.AttrRollback) == "true" {
		return tapio.Action{
			Text:    "A rollback is under way; see whether it completes",
			Command: fmt.Sprintf("kubectl -n %s rollout status %s", t.Entity.Namespace, object),
		}, true
	}
	text := "Roll back " + inline(t.Entity.Name)
	command := fmt.Sprintf("kubectl -n %s rollout undo %s", t.Entity.Namespace, object)
	from, err := strconv.Atoi(revision(t.Entity, t.From))
	if err == nil && from > 0 {
		text += fmt.Sprintf(" to revision %d", from)
		if later != nil { // the last revision is not the one that worked
			command += fmt.Sprintf(" --to-revision=%d", from)
		}
	}
	if tool := reconciler(t.Manager); tool != "" {
		text += fmt.Sprintf(", and revert it at its source too: %s made the change and may make it again", tool)
	}
	return tapio.Action{Text: text, Command: command}, true
}

// rolloutSince returns the newest rollout of the trigger's workload after the
// trigger, or nil.
func rolloutSince(s *tapio.Story) *tapio.StoryEvent {
	for i := len(s.Timeline) - 1; i >= 0; i-- {
		e := &s.Timeline[i]
		if e.Type == tapio.WorkloadRollout && e.Entity == s.Trigger.Entity && e.Timestamp.After(s.Trigger.Time) && e.ID != s.Trigger.Evidence {
			return e
		}
	}
	return nil
}

// reconciler returns the name of the tool that made a change and keeps making
// it, judged by its field manager, or "".
func reconciler(manager string) string {
	m := strings.ToLower(manager)
	for _, name := range []string{"argocd", "argo-cd", "flux", "kustomize-controller", "helm-controller", "rancher", "fleet", "config-sync", "configsync"} {
		if strings.Contains(m, name) {
			return inline(manager)
		}
	}
	return ""
}

// liesIn reports whether a cause can come from what a rollout changed. A
// rollout of which only the fact is known counts for every cause that a pod
// template can have.
func liesIn(cause tapio.Cause, container string, cs []tapio.Change) bool {
	code := string(cause)
	var fields *regexp.Regexp
	switch {
	case strings.HasPrefix(code, "container."):
		return len(cs) == 0 || slices.ContainsFunc(cs, func(c tapio.Change) bool {
			m := containerField.FindStringSubmatch(c.Field)
			return m == nil || container == "" || m[1] == container
		})
	case strings.HasPrefix(code, "config."):
		fields = configFields
	case cause == tapio.CauseImageNotFound, cause == tapio.CauseImageUnauthorized:
		fields = imageFields
	case strings.HasPrefix(code, "sched."):
		fields = schedulingFields
	case cause == tapio.CauseQuota, cause == tapio.CauseLimitRange:
		fields = resourceFields
	case strings.HasPrefix(code, "storage."):
		fields = volumeFields
	case cause == tapio.CausePodSecurity, cause == tapio.CauseServiceAccountMissing:
		fields = identityFields
	case cause == tapio.CauseSelectorMismatch:
		fields = labelFields
	case cause == tapio.CauseRolloutStuck, cause == tapio.CauseNoReadyEndpoints, cause == tapio.CauseUnknown:
		return true
	default:
		return false
	}
	return len(cs) == 0 || slices.ContainsFunc(cs, func(c tapio.Change) bool { return fields.MatchString(c.Field) })
}

// Fields of a pod template that can bring about a family of causes.
var (
	configFields     = regexp.MustCompile(`(?i)env|volume`)
	imageFields      = regexp.MustCompile(`(?i)image|serviceAccount`)
	schedulingFields = regexp.MustCompile(`(?i)resources|nodeSelector|nodeName|affinity|tolerations|topologySpread|volume`)
	resourceFields   = regexp.MustCompile(`(?i)resources|containers\[[^\]]*\]$`)
	volumeFields     = regexp.MustCompile(`(?i)volume`)
	identityFields   = regexp.MustCompile(`(?i)securityContext|serviceAccount|host|capabilit|volume`)
	labelFields      = regexp.MustCompile(`(?i)label`)
)

func undoScale(s *tapio.Story) (tapio.Action, bool) {
	t := s.Trigger
	if !strings.HasPrefix(string(s.Cause), "sched.insufficient") && s.Cause != tapio.CauseQuota || len(t.Changes) == 0 {
		return tapio.Action{}, false
	}
	from, err1 := strconv.Atoi(t.Changes[0].From)
	to, err2 := strconv.Atoi(t.Changes[0].To)
	if err1 != nil || err2 != nil || from <= 0 || from >= to {
		return tapio.Action{}, false
	}
	return tapio.Action{
		Text:    fmt.Sprintf("Scale back to %s, or make room for %d", count(from, "pod"), to),
		Command: fmt.Sprintf("kubectl -n %s scale %s --replicas=%d", t.Entity.Namespace, ref(t.Entity), from),
	}, true
}

func undoSelector(s *tapio.Story) (tapio.Action, bool) {
	t := s.Trigger
	if s.Cause != tapio.CauseSelectorMismatch || t.Entity.Kind != tapio.KindService {
		return tapio.Action{}, false
	}
	before := selectorBefore(s.Facts[tapio.FactSelector], t.Changes)
	if !token.MatchString(before) {
		return tapio.Action{}, false
	}
	return tapio.Action{
		Text:    "Put the selector back to " + before,
		Command: fmt.Sprintf("kubectl -n %s set selector service/%s %s", t.Entity.Namespace, t.Entity.Name, before),
	}, true
}

// selectorBefore takes the edits of a selector ("app=web,tier=front") back. It
// returns "" where none of the changes is one.
func selectorBefore(now string, cs []tapio.Change) string {
	labels := map[string]string{}
	for _, pair := range strings.Split(now, ",") {
		if k, v, ok := strings.Cut(pair, "="); ok {
			labels[k] = v
		}
	}
	edited := false
	for _, c := range cs {
		m := selectorField.FindStringSubmatch(c.Field)
		if m == nil {
			continue
		}
		edited = true
		delete(labels, m[1])
		if c.From != "" {
			labels[m[1]] = c.From
		}
	}
	if !edited {
		return ""
	}
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, k+"="+labels[k])
	}
	return strings.Join(pairs, ",")
}

// selectorField matches one label of a Service's selector.
var selectorField = regexp.MustCompile(`^selector\[([^\]]+)\]$`)

// look is the action where nothing better is known: read what Kubernetes says
// about the object that hurts.
func look(s *tapio.Story, v *View) tapio.Action {
	in := func(ns, rest string) string { return fmt.Sprintf("kubectl -n %s %s", ns, rest) }
	safe := func(words ...string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !token.MatchString(w) })
	}
	sub := s.Subject
	switch {
	case sub.Kind == tapio.KindNode && safe(sub.Name):
		return tapio.Action{Text: "See what the node says", Command: "kubectl describe node " + sub.Name}
	case sub.Kind == tapio.KindService && safe(sub.Namespace, sub.Name):
		return tapio.Action{Text: "See what is behind the Service", Command: in(sub.Namespace, "get endpointslices -l kubernetes.io/service-name="+sub.Name)}
	case v.Failures > 0 && safe(v.Namespace, v.PodName, v.Container):
		return tapio.Action{Text: "Read the log of the run that failed", Command: in(v.Namespace, "logs "+v.PodName+" -c "+v.Container+" --previous --tail=50")}
	case safe(v.Namespace, v.PodName):
		return tapio.Action{Text: "Read the events of one of its pods", Command: in(v.Namespace, "describe pod "+v.PodName)}
	case safe(sub.Namespace, sub.Name, sub.Kind.Kubectl()):
		return tapio.Action{Text: "Read what Kubernetes says about it", Command: in(sub.Namespace, "describe "+ref(sub))}
	}
	return tapio.Action{Text: "Read what Kubernetes says about it; its name is not safe to put into a command here"}
}
