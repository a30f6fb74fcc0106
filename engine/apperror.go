package engine

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/applog"
)

// What makes the errors in a log matter.
const (
	// lastWords is how many records from the end of a failed run may follow the
	// error that ended it: what a program says while it shuts down.
	lastWords = 20
	// stormCount is how often a log must say the same before that counts by
	// itself, where nothing shows that the container fails.
	stormCount = 3
	// stormFresh is how old the last of them may be then.
	stormFresh = 5 * time.Minute
	// stormShare is which share of the records since the first it must be: one
	// request in ten.
	stormShare = 10
	// youngRun is how young a run is whose whole log is of now, also where its
	// lines carry no time.
	youngRun = 20 * time.Minute
	// keptErrors is how many kinds of errors of one log are taken in.
	keptErrors = 2
)

// appErrors derives from the log or the last message of a container what it
// failed of. It returns nothing where the container is well and its log shows
// no error that recurs until now.
func (e *Engine) appErrors(ev *tapio.Event) []*tapio.Event {
	if ev.Type != tapio.ContainerLog && !(ev.Type == tapio.ContainerExit && ev.Reason == "Error") || ev.Message == "" || e.expected(ev) {
		return nil
	}
	if _, ignored := e.graph.Owner(e.graph.Workload(ev.Entity)); ignored {
		return nil
	}
	report := applog.Read(ev.Message)
	c := e.container(ev.Entity)
	failing := e.failed(ev, c)
	serves := applog.System{}
	if c != nil {
		serves = applog.Serves(c.Image)
	}
	var out []*tapio.Event
	for _, x := range report.Errors {
		if len(out) == keptErrors {
			break
		}
		if serves.Name != "" && (x.Class == applog.AuthFailed || x.Class == applog.NoDatabase || x.Class == applog.Reset || x.Class == applog.Exhausted) {
			continue // a server that refuses its clients is well
		}
		said := e.appError(ev, x)
		storm := e.recurs(ev, c, x, report, said)
		if storm {
			said.Attrs[tapio.AttrRecurring] = "true"
		}
		if !storm && !(failing && x.After <= lastWords && !x.Mended) {
			continue
		}
		said.SetID()
		out = append(out, said)
	}
	return out
}

// container returns the state of a container, or nil.
func (e *Engine) container(entity tapio.Entity) *tapio.ContainerState {
	s := e.graph.State(entity)
	if s == nil || s.Pod == nil {
		return nil
	}
	for i := range s.Pod.Containers {
		if c := &s.Pod.Containers[i]; c.Name == entity.Container {
			return c
		}
	}
	return nil
}

// failed reports whether the words are of a run that failed, or of a container
// that does not serve.
func (e *Engine) failed(ev *tapio.Event, c *tapio.ContainerState) bool {
	s := e.graph.State(ev.Entity)
	switch {
	case s == nil || s.Pod == nil:
		return false
	case ev.Type == tapio.ContainerExit, s.Pod.Phase == "Failed":
		return true
	case !s.Pod.Ready:
		return c == nil || !c.Ready || c.State != "running"
	case ev.Attrs[tapio.AttrPrevious] == "true":
		// It works again, unless it only does for now.
		return c != nil && c.Restarts > 1 && e.now.Sub(c.Since) < youngRun
	}
	return false
}

// explainsEnd reports whether the event holds the words of a container whose
// failure a story cites: the pod may have gone before its log came.
func (e *Engine) explainsEnd(ev *tapio.Event) bool {
	if ev.Type != tapio.ContainerLog && ev.Type != tapio.AppError {
		return false
	}
	failed := func(x *tapio.Event) bool { return x.Type == tapio.ContainerExit && x.Entity == ev.Entity }
	return slices.ContainsFunc(e.live, func(inc *incident) bool {
		for _, f := range inc.findings {
			if slices.ContainsFunc(f.Evidence, failed) {
				return true
			}
		}
		return false
	})
}

// standing are the classes of errors that last until somebody mends them,
// whoever the peer is.
var standing = []applog.Class{
	applog.AuthFailed, applog.Exhausted, applog.ReadOnly, applog.NameNotFound, applog.NameTimedOut, applog.Forbidden,
	applog.CertExpired, applog.DiskFull, applog.ReadOnlyFilesystem, applog.NoDatabase,
}

// recurs reports whether the log says the error again and again up to its end,
// of a container that says of itself that it is well.
func (e *Engine) recurs(ev *tapio.Event, c *tapio.ContainerState, x applog.Error, r applog.Report, said *tapio.Event) bool {
	if c != nil && (c.State != "running" || ev.Time.Before(c.Since)) {
		return false // of a run that ended: that it ended is what counts
	}
	switch {
	case inVain(x.Class):
		if said.Attrs[tapio.AttrPeerService] == "" {
			return false // somebody somewhere, who may be none of ours
		}
	case !slices.Contains(standing, x.Class):
		return false
	}
	if x.Count < stormCount || x.Mended || ev.Type != tapio.ContainerLog || ev.Attrs[tapio.AttrPrevious] == "true" ||
		x.After > max(lastWords, r.Records/4) || x.Count*stormShare < r.Records-x.After {
		return false
	}
	if !x.Last.IsZero() {
		return ev.Time.Sub(x.Last)+ahead(r, ev) < stormFresh
	}
	return c != nil && c.State == "running" && ev.Time.Sub(c.Since) < youngRun || said.Attrs[tapio.AttrConfirmed] == "true"
}

// ahead is how far a log's times are ahead of its reading: a program in a zone
// east of UTC that doesn't say so. Zones lie quarters of an hour apart.
func ahead(r applog.Report, ev *tapio.Event) time.Duration {
	const quarter = 15 * time.Minute
	if d := r.Newest.Sub(ev.Time); d > time.Minute {
		return d.Truncate(quarter) + quarter
	}
	return 0
}

// storming reports whether the incident rests on errors that recur until now
// in the log of containers that are otherwise well.
func (e *Engine) storming(inc *incident) bool {
	for _, ev := range inc.chosen.Evidence {
		if ev.Attrs[tapio.AttrRecurring] != "true" || e.now.Sub(ev.Seen) >= stormFresh || !e.graph.Exists(ev.Entity) {
			continue
		}
		if c := e.container(ev.Entity); c == nil || !c.Since.After(ev.Seen) { // what it said before it was started anew is past
			return true
		}
	}
	return false
}

// appError makes an event of an error in the words of ev.
func (e *Engine) appError(ev *tapio.Event, x applog.Error) *tapio.Event {
	said := &tapio.Event{
		Time: ev.Time, Seen: ev.Seen, Source: ev.Source, Type: tapio.AppError, Severity: tapio.SeverityMedium,
		Entity: ev.Entity, Reason: string(x.Class), Message: x.Line, Count: x.Count, Listed: ev.Listed,
		Attrs: map[string]string{},
	}
	if !x.Last.IsZero() && x.Last.Before(ev.Time) && ev.Time.Sub(x.Last) < stormFresh {
		said.Time = x.Last
	}
	put := func(attr, value string) {
		if value != "" {
			said.Attrs[attr] = value
		}
	}
	put(tapio.AttrUID, ev.Attrs[tapio.AttrUID])
	put(tapio.AttrPeer, x.Host)
	put(tapio.AttrPort, x.Port)
	put(tapio.AttrSystem, x.System)
	put(tapio.AttrUser, x.User)
	put(tapio.AttrDatabase, x.Database)
	put(tapio.AttrPath, x.Path)
	put(tapio.AttrMissing, x.Name)
	put(tapio.AttrVerb, x.Verb)
	put(tapio.AttrResource, x.Resource)
	put(tapio.AttrAccount, x.Account)
	e.putPlace(ev.Entity, x, put)
	svc, ok := e.peer(ev.Entity, x)
	if x.Class.OfPeer() {
		put(tapio.AttrOrigin, e.origin(ev.Entity, x, svc))
	}
	if ok {
		if inVain(x.Class) {
			put(tapio.AttrPeerService, svc.Namespace+"/"+svc.Name)
		}
		put(tapio.AttrKind, string(tapio.KindService))
		put(tapio.AttrObject, svc.Namespace+"/"+svc.Name)
		if x.Host == "" {
			put(tapio.AttrPeer, svc.Name)
		}
		if !e.graph.Health(svc).Healthy {
			put(tapio.AttrConfirmed, "true")
		}
	} else if x.Host != "" {
		put(tapio.AttrKind, string(tapio.KindHost))
		put(tapio.AttrObject, x.Host)
	}
	return said
}

// inVain reports whether errors of the class are of calls that did not get
// through: then trouble of who is called explains them.
func inVain(c applog.Class) bool {
	switch c {
	case applog.Refused, applog.NoRoute, applog.Unavailable, applog.TimedOut, applog.Reset, applog.Protocol, applog.TLS:
		return true
	}
	return false
}

// putPlace names the volume that a path is on, and the rights that the
// container has there.
func (e *Engine) putPlace(container tapio.Entity, x applog.Error, put func(attr, value string)) {
	switch x.Class {
	case applog.PermissionDenied, applog.ReadOnlyFilesystem, applog.DiskFull:
	default:
		return
	}
	p, ok := e.placeOf(container, x.Path)
	if !ok {
		return
	}
	put(tapio.AttrVolume, p.volume.Name)
	if p.volume.Source.Kind == tapio.KindPersistentVolumeClaim {
		put(tapio.AttrClaim, p.volume.Source.Name)
	}
	if p.mount.ReadOnly {
		put(tapio.AttrReadOnlyMount, "true")
	}
	pod, spec := e.graph.Spec(container)
	user, group := "the user of its image", "no fsGroup"
	switch {
	case spec.RunAsUser != nil:
		user = "user " + strconv.FormatInt(*spec.RunAsUser, 10)
	case pod.RunAsUser != nil:
		user = "user " + strconv.FormatInt(*pod.RunAsUser, 10)
	}
	if pod.FSGroup != nil {
		group = "fsGroup " + strconv.FormatInt(*pod.FSGroup, 10)
	}
	put(tapio.AttrDetail, "it runs as "+user+", with "+group)
}

// peer names the Service that an error is about: the one that the host name or
// address means for the pod, or, where the log names none, the only one in its
// namespace that looks like the kind of system.
func (e *Engine) peer(pod tapio.Entity, x applog.Error) (tapio.Entity, bool) {
	host := strings.ToLower(x.Host)
	switch {
	case host == "localhost", strings.HasPrefix(host, "127."), host == "::1":
		return tapio.Entity{}, false
	case applog.IsAddress(host):
		return e.graph.At(host)
	case host != "":
		return e.graph.Resolve(host, pod.Namespace)
	case !x.Class.OfPeer() && x.Class != applog.NoDatabase:
		return tapio.Entity{}, false
	}
	if svc, ok := e.configuredPeer(pod, x.System); ok {
		return svc, true
	}
	return e.onlySystem(pod, x.System)
}

// onlySystem returns the only Service of a namespace whose pods run, or whose
// name names, the kind of system.
func (e *Engine) onlySystem(pod tapio.Entity, name string) (tapio.Entity, bool) {
	if name == "" {
		return tapio.Entity{}, false
	}
	own := e.graph.Workload(pod)
	var found []tapio.Entity
	for _, svc := range e.graph.Services(pod.Namespace) {
		for i, p := range e.graph.Selected(svc) {
			if i > 0 || e.graph.Workload(p.Entity) == own {
				break
			}
			for _, c := range p.Pod.Containers {
				if applog.Serves(c.Image).Name == name {
					found = append(found, svc)
					break
				}
			}
		}
	}
	if len(found) == 0 {
		for _, svc := range e.graph.Services(pod.Namespace) {
			if strings.Contains(strings.ToLower(svc.Name), strings.ToLower(name)) {
				found = append(found, svc)
			}
		}
	}
	found = withoutTwins(found)
	if len(found) != 1 {
		return tapio.Entity{}, false
	}
	return found[0], true
}

// withoutTwins drops the headless and the read Services that stand beside one
// of the plain name: mysql-headless and mysql-read beside mysql.
func withoutTwins(list []tapio.Entity) []tapio.Entity {
	var out []tapio.Entity
	for _, s := range list {
		twin := false
		for _, o := range list {
			twin = twin || s != o && strings.HasPrefix(s.Name, o.Name+"-")
		}
		if !twin {
			out = append(out, s)
		}
	}
	return out
}
