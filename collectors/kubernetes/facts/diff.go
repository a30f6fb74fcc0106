package facts

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/kubernetes/redact"
)

// Bounds of what is told of one edit. More changes than that are no longer
// read by anybody.
const (
	maxChanges = 40
	maxValue   = 300 // bytes of one value
)

// difference returns the fields in which two API values differ, by field name
// in order. Lists whose items have a name are compared item by item, other
// lists as a whole. Secret-looking values are hidden.
func difference(old, new any) []tapio.Change {
	d := differ{}
	d.walk("", generic(old), generic(new))
	slices.SortFunc(d.out, func(a, b tapio.Change) int { return strings.Compare(a.Field, b.Field) })
	if len(d.out) > maxChanges {
		d.out = d.out[:maxChanges]
	}
	for i := range d.out {
		d.out[i].Field = bound(d.out[i].Field, maxValue)
	}
	return d.out
}

// generic returns v as JSON decodes it, without its type.
func generic(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	if json.Unmarshal(data, &out) != nil {
		return nil
	}
	return out
}

type differ struct{ out []tapio.Change }

func (d *differ) walk(field string, old, new any) {
	oldMap, okOld := old.(map[string]any)
	newMap, okNew := new.(map[string]any)
	if (okOld || okNew) && (okOld || old == nil) && (okNew || new == nil) {
		if env, ok := envField(field); ok {
			d.env(env, oldMap, newMap)
			return
		}
		for k, v := range oldMap {
			d.walk(join(field, k), v, newMap[k])
		}
		for k, v := range newMap {
			if _, both := oldMap[k]; !both {
				d.walk(join(field, k), nil, v)
			}
		}
		return
	}
	if oldNamed, newNamed, ok := byName(old, new); ok {
		for k, v := range oldNamed {
			d.walk(item(field, k), v, newNamed[k])
		}
		for k, v := range newNamed {
			if _, both := oldNamed[k]; !both {
				d.walk(item(field, k), nil, v)
			}
		}
		return
	}
	d.add(field, text(old), text(new))
}

// env compares one variable of a container's environment: its value is told
// only where neither name nor value look secret.
func (d *differ) env(field string, old, new map[string]any) {
	name := field[strings.LastIndexByte(field, '[')+1 : len(field)-1]
	value := func(m map[string]any) string {
		if m == nil {
			return ""
		}
		if from, ok := m["valueFrom"]; ok {
			return "from " + text(from)
		}
		return text(m["value"])
	}
	from, to := value(old), value(new)
	if from == to && (old == nil) == (new == nil) {
		return
	}
	hide := func(m map[string]any, v string) string {
		if m == nil || m["valueFrom"] != nil || v == "" {
			return v
		}
		return redact.Value(name, v)
	}
	d.out = append(d.out, tapio.Change{Field: field, From: bound(hide(old, from), maxValue), To: bound(hide(new, to), maxValue)})
}

func (d *differ) add(field, from, to string) {
	if from == to {
		return
	}
	d.out = append(d.out, tapio.Change{
		Field: field,
		From:  bound(redact.Text(from), maxValue),
		To:    bound(redact.Text(to), maxValue),
	})
}

// envField reports whether field is one variable, such as containers[app].env[X].
func envField(field string) (string, bool) {
	i := strings.LastIndexByte(field, '[')
	return field, i > 0 && strings.HasSuffix(field, "]") && strings.HasSuffix(field[:i], ".env")
}

// join names a field of a field. Keys that hold dots or slashes, such as those
// of labels, stand in brackets.
func join(field, key string) string {
	switch {
	case field == "labels" || field == "annotations" || field == "taints" || strings.HasSuffix(field, "elector") || strings.HasSuffix(field, ".matchLabels"):
		return field + "[" + key + "]"
	case field == "":
		return key
	}
	return field + "." + key
}

// item names an item of a list.
func item(list, name string) string {
	if name == "" {
		return list
	}
	return list + "[" + name + "]"
}

// byName returns the items of two lists by their name, or by what else tells
// them apart. It reports false where they can't be told apart.
func byName(old, new any) (oldItems, newItems map[string]any, ok bool) {
	oldList, okOld := old.([]any)
	newList, okNew := new.([]any)
	if !okOld && old != nil || !okNew && new != nil || len(oldList)+len(newList) == 0 {
		return nil, nil, false
	}
	for _, key := range []string{"name", "containerPort", "port", "mountPath", "type"} {
		o, okOld := keyed(oldList, key)
		n, okNew := keyed(newList, key)
		if !okOld || !okNew {
			continue
		}
		if len(o) == 1 && len(n) == 1 && key != "name" && !sameKeys(o, n) { // the one port became another one
			return map[string]any{"": oldList[0]}, map[string]any{"": newList[0]}, true
		}
		return o, n, true
	}
	return nil, nil, false
}

func sameKeys(a, b map[string]any) bool {
	for k := range a {
		if _, ok := b[k]; !ok {
			return false
		}
	}
	return len(a) == len(b)
}

// keyed returns the items of a list by the text of one of their fields.
func keyed(list []any, key string) (map[string]any, bool) {
	out := make(map[string]any, len(list))
	for _, item := range list {
		m, _ := item.(map[string]any)
		name := text(m[key])
		if _, twice := out[name]; twice || name == "" {
			return nil, false
		}
		out[name] = m
	}
	return out, true
}

// text writes a value as a reader would: lists of words with spaces, the rest
// as JSON.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		words := make([]string, len(v))
		for i, item := range v {
			word, ok := item.(string)
			if !ok {
				return compact(v)
			}
			words[i] = word
		}
		return strings.Join(words, " ")
	}
	return compact(v)
}

func compact(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}
