package narrate

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/yairfalse/tapio"
)

// maxChanges is how many changed fields a sentence names before it counts.
const maxChanges = 3

// maxValue is how much of a changed value a sentence shows, in characters.
const maxValue = 60

// containerField matches a field of one container in a pod template.
var containerField = regexp.MustCompile(`^(?:.*\.)?(?:init|ephemeral)?[cC]ontainers\[([^\]]*)\](?:\.(.*))?$`)

// indexed matches one element of a list or map: env[LOG_LEVEL].
var indexed = regexp.MustCompile(`^(\w+)\[([^\]]*)\](.*)$`)

// secretName matches names of variables whose values are not to be shown.
var secretName = regexp.MustCompile(`(?i)pass|secret|token|credential|private|api_?key|access_?key|auth|dsn`)

// changes words what was edited: "memory limit 512Mi → 256Mi, image web:1 →
// web:2". The container is named where more than one was edited.
func changes(cs []tapio.Change) string {
	several := containersOf(cs)
	var words []string
	for _, c := range cs {
		words = append(words, change(c, len(several) > 1))
	}
	return list(words, maxChanges)
}

// actor words the field manager that made a change, as the API server recorded
// it: "kubectl-client-side-apply" is what people type as "kubectl apply".
func actor(manager string) string {
	manager = inline(manager)
	if verb, ok := strings.CutPrefix(manager, "kubectl-"); ok {
		return "kubectl " + strings.TrimPrefix(verb, "client-side-")
	}
	return manager
}

// containersOf returns the set of containers that the changes touch.
func containersOf(cs []tapio.Change) map[string]bool {
	set := map[string]bool{}
	for _, c := range cs {
		if m := containerField.FindStringSubmatch(c.Field); m != nil {
			set[m[1]] = true
		}
	}
	return set
}

func change(c tapio.Change, nameContainer bool) string {
	field, container := c.Field, ""
	if m := containerField.FindStringSubmatch(field); m != nil {
		container, field = m[1], m[2]
		if field == "" {
			return "container " + inline(container)
		}
	}
	field = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(field, "spec."), "template."), "spec.")
	name, kind := fieldName(field)
	if nameContainer && container != "" {
		name += " of " + inline(container)
	}
	from, to := c.From, c.To
	switch kind {
	case memoryField:
		from, to = size(from), size(to)
	case imageField:
		from, to = shortImages(from, to)
	case variableField:
		from, to = variable(from), variable(to)
	case hiddenField:
		return name
	}
	from, to = clipRaw(from, maxValue), clipRaw(to, maxValue)
	switch {
	case from == "" && to == "":
		return name
	case from == "":
		return name + " (new: " + to + ")"
	case to == "":
		return name + " (removed, was " + from + ")"
	}
	return name + " " + from + " → " + to
}

type fieldKind int

const (
	plainField fieldKind = iota
	memoryField
	imageField
	variableField
	hiddenField // its value may be a secret or is too long to read
)

// fieldName words the path of a field.
func fieldName(field string) (string, fieldKind) {
	switch field {
	case "resources.limits.memory":
		return "memory limit", memoryField
	case "resources.requests.memory":
		return "memory request", memoryField
	case "resources.limits.cpu":
		return "CPU limit", plainField
	case "resources.requests.cpu":
		return "CPU request", plainField
	case "image":
		return "image", imageField
	case "args":
		return "arguments", plainField
	case "serviceAccountName":
		return "service account", plainField
	case "selector":
		return "selector", plainField
	}
	if m := indexed.FindStringSubmatch(field); m != nil {
		key := inline(m[2])
		switch m[1] {
		case "env":
			if secretName.MatchString(m[2]) {
				return "variable " + key, hiddenField
			}
			return "variable " + key, variableField
		case "envFrom":
			return "variables from " + key, plainField
		case "volumes":
			return "volume " + key, plainField
		case "volumeMounts":
			return "mount " + key, plainField
		case "ports":
			return "port " + key, plainField
		case "annotations":
			return "annotation " + key, plainField
		case "nodeSelector":
			return "node selector " + key, plainField
		case "labels":
			return "label " + key, plainField
		case "selector":
			return "selector " + key, plainField
		}
	}
	if rest, ok := strings.CutPrefix(field, "hard."); ok {
		return "limit of " + inline(rest), plainField
	}
	for prefix, name := range map[string]string{
		"livenessProbe": "liveness probe", "readinessProbe": "readiness probe", "startupProbe": "startup probe",
		"resources.limits": "limit of", "resources.requests": "request of",
	} {
		if rest, ok := strings.CutPrefix(field, prefix); ok && (rest == "" || rest[0] == '.') {
			return strings.TrimSpace(name + " " + inline(strings.TrimPrefix(rest, "."))), plainField
		}
	}
	return inline(field), plainField
}

// variableSource matches the JSON of a variable's valueFrom.
var variableSource = regexp.MustCompile(`^from \{"(configMap|secret)KeyRef":(\{[^}]*\})\}`)

// variable words the value of an environment variable, or where it comes from.
func variable(value string) string {
	m := variableSource.FindStringSubmatch(value)
	if m == nil {
		return value
	}
	var from struct{ Key, Name string }
	if json.Unmarshal([]byte(m[2]), &from) != nil {
		return value
	}
	kind := map[string]string{"configMap": "ConfigMap", "secret": "Secret"}[m[1]]
	return "key " + from.Key + " of " + kind + " " + from.Name
}

// shortImages leaves out the registry and path that two images share.
func shortImages(a, b string) (string, string) {
	i, j := strings.LastIndex(a, "/"), strings.LastIndex(b, "/")
	if a == "" || b == "" || a[:i+1] != b[:j+1] {
		return a, b
	}
	return a[i+1:], b[j+1:]
}

// changesIn returns the changes that a timeline entry carries, whether fresh
// from the engine or read back from JSON.
func changesIn(e *tapio.StoryEvent) []tapio.Change {
	switch v := e.Data["changes"].(type) {
	case []tapio.Change:
		return v
	case []any:
		raw, err := json.Marshal(v)
		if err != nil {
			return nil
		}
		var cs []tapio.Change
		if json.Unmarshal(raw, &cs) != nil {
			return nil // not changes after all: the line does without them
		}
		return cs
	}
	return nil
}
