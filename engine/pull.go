package engine

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// slowPull is how long an image may be on its way before that is told, if it
// makes no rollout miss its deadline: large ones take some minutes.
const slowPull = 5 * time.Minute

// pull is an image that a kubelet began to pull for a container and has not
// said the end of.
type pull struct {
	began *tapio.Event
	due   time.Time
	said  bool
}

// pulling matches the kubelet's word that it begins, or that it is done.
var pulling = regexp.MustCompile(`(?i)pull(?:ing|ed) image "([^"]+)"`)

// notePull follows what the kubelet says of an image: that it pulls it, and how
// that ends. It returns what follows from the end of a pull that took long.
func (e *Engine) notePull(ev *tapio.Event) []tapio.Story {
	if ev.Type == tapio.WorkloadStuck {
		for of, p := range e.pulls {
			if e.graph.Workload(of) == ev.Entity {
				p.due = e.now
			}
		}
		return nil
	}
	if ev.Type != tapio.KubernetesEvent || ev.Entity.Kind != tapio.KindPod || ev.Entity.Container == "" {
		return nil
	}
	p := e.pulls[ev.Entity]
	switch ev.Reason {
	case "Pulling":
		if p != nil && !ev.Time.After(p.began.Time) {
			return nil
		}
		p = &pull{began: ev, due: ev.Time.Add(slowPull)}
		if s := e.graph.State(e.graph.Workload(ev.Entity)); s != nil && s.Workload != nil && s.Workload.Stuck {
			p.due = e.now
		}
		e.pulls[ev.Entity] = p
	case "Pulled", "Failed", "BackOff", "Created", "Started", "Killing":
		if p == nil || ev.Time.Before(p.began.Time) {
			return nil
		}
		delete(e.pulls, ev.Entity)
		if p.said && ev.Reason == "Pulled" {
			done := *ev
			done.Type, done.Severity = tapio.ImagePulled, tapio.SeverityInfo
			done.Attrs = map[string]string{tapio.AttrImage: imageOf(p.began), tapio.AttrNode: e.pullsOn(ev), tapio.AttrPullTime: ev.Time.Sub(p.began.Time).String()}
			done.SetID()
			return e.observeEvent(&done)
		}
	}
	return nil
}

// checkPulls derives an event of each image that is on its way for too long.
func (e *Engine) checkPulls(now time.Time) []tapio.Story {
	var due []tapio.Entity
	for of, p := range e.pulls {
		if !p.said && !p.due.After(now) {
			due = append(due, of)
		}
	}
	slices.SortFunc(due, tapio.Entity.Compare)
	var out []tapio.Story
	for _, of := range due {
		p := e.pulls[of]
		if !e.awaitsImage(of) {
			continue // tidyPulls forgets it
		}
		p.said = true
		node := e.pullsOn(p.began)
		ev := &tapio.Event{
			Time: p.began.Time, Seen: e.now, Source: tapio.SourceKubernetes, Type: tapio.ImagePullSlow, Severity: tapio.SeverityMedium,
			Entity: of, Reason: "Pulling", Message: fmt.Sprintf("%s began to pull %s, and nothing was said of it since", cmp.Or(node, "its node"), imageOf(p.began)),
			Listed: p.began.Listed, Attrs: map[string]string{tapio.AttrUID: p.began.Attrs[tapio.AttrUID], tapio.AttrNode: node, tapio.AttrImage: imageOf(p.began)},
		}
		ev.SetID()
		out = append(out, e.observeEvent(ev)...)
	}
	return out
}

// tidyPulls forgets the pulls of pods that are gone, or need no image any more.
func (e *Engine) tidyPulls() {
	for of, p := range e.pulls {
		if !e.awaitsImage(of) && (e.graph.State(of) != nil || e.now.Sub(p.began.Seen) > time.Hour) {
			delete(e.pulls, of)
		}
	}
}

// awaitsImage reports whether the container is still to be made.
func (e *Engine) awaitsImage(of tapio.Entity) bool {
	s := e.graph.State(of)
	if s == nil || s.Pod == nil || s.Pod.Terminating || !e.graph.Exists(of) {
		return false
	}
	c := containerNamed(s.Pod, of.Container)
	return c != nil && c.State == "waiting" && (c.Reason == "ContainerCreating" || c.Reason == "PodInitializing" || c.Reason == "")
}

// pullsOn names the node of the kubelet that the event is of.
func (e *Engine) pullsOn(ev *tapio.Event) string {
	if s := e.graph.State(ev.Entity); s != nil && s.Pod != nil && s.Pod.Node != "" {
		return s.Pod.Node
	}
	return ev.Attrs[tapio.AttrNode]
}

// imageOf returns the image that a kubelet's event names.
func imageOf(ev *tapio.Event) string {
	if g := pulling.FindStringSubmatch(ev.Message); g != nil {
		return g[1]
	}
	return "of container " + ev.Entity.Container
}

// isImage reports whether a runtime's full name is the one that a pod gave,
// which may leave out the registry and the tag.
func isImage(full, given string) bool {
	if !strings.Contains(given[strings.LastIndex(given, "/")+1:], ":") {
		given += ":latest"
	}
	return full == given || strings.HasSuffix(full, "/"+given)
}
