//go:build e2e

package kubernetes

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/yairfalse/tapio"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

func anyState(*tapio.State) bool { return true }
func anyEvent(*tapio.Event) bool { return true }

func TestFirstListingIsTopologyAndChangesAreNews(t *testing.T) {
	w := newWorkspace(t)
	w.pod(t, "before", "sleep 1000")
	w.running(t, "before")
	got := collect(t, w.ns, Options{Config: clusterConfig(t)}, nil)
	if missing := got.Missing(); len(missing) != 0 {
		t.Errorf("missing for an administrator: %v", missing)
	}
	before := got.find(isState(tapio.KindPod, "before", anyState))
	if len(before) != 1 || !before[0].State.Listed || before[0].State.Pod == nil || before[0].State.Pod.Phase != "Running" {
		t.Errorf("the pod that was there: %v, want one listed state", describeAll(before))
	}
	news := got.find(func(o *tapio.Observation) bool { return o.Event != nil && !o.Event.Listed || o.Gap != nil })
	if len(news) != 0 {
		t.Errorf("news in the first listing: %v", describeAll(news))
	}
	// Every namespace has this one; only its metadata was asked for.
	if ca := got.find(isState(tapio.KindConfigMap, "kube-root-ca.crt", anyState)); len(ca) != 1 || !ca[0].State.Listed {
		t.Errorf("the ConfigMap that was there: %v, want one listed state", describeAll(ca))
	}
	got.mu.Lock()
	first := func(kind tapio.Kind) int {
		return slices.IndexFunc(got.all, func(o tapio.Observation) bool { return o.State != nil && o.State.Entity.Kind == kind })
	}
	node, pod := first(tapio.KindNode), first(tapio.KindPod)
	got.mu.Unlock()
	if node < 0 || pod < node {
		t.Errorf("the first pod came at %d, the first node at %d; want nodes first", pod, node)
	}

	w.pod(t, "after", "echo 'panic: no database'; sleep 1; exit 3")
	exit := got.await("exit of the container", isEvent(tapio.ContainerExit, "after", anyEvent))
	if exit.Event.Int(tapio.AttrExitCode) != 3 || exit.Event.Listed || exit.Event.Entity.Container != "app" {
		t.Errorf("exit: %+v", exit.Event)
	}
	got.await("BackOff event", isEvent(tapio.KubernetesEvent, "after", func(e *tapio.Event) bool { return e.Reason == "BackOff" }))
	created := got.find(isState(tapio.KindPod, "after", anyState))
	if len(created) == 0 || created[0].State.Listed {
		t.Errorf("the new pod: %v, want states that are not listed", describeAll(created))
	}
	if err := w.CoreV1().Pods(w.ns).Delete(t.Context(), "after", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	gone := got.await("end of the pod", isState(tapio.KindPod, "after", func(s *tapio.State) bool { return s.Deleted }))
	if gone.State.UID != created[0].State.UID {
		t.Errorf("deleted UID %q, want %q", gone.State.UID, created[0].State.UID)
	}
}

// coreEvent makes an Event object of the namespace itself.
func (w *workspace) coreEvent(t *testing.T, name string, count int32) *corev1.Event {
	t.Helper()
	at := metav1.NewTime(time.Now())
	e, err := w.CoreV1().Events(w.ns).Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: name},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: w.ns, Name: name, APIVersion: "v1"},
		Reason:         "Unhealthy", Message: "Readiness probe failed", Type: corev1.EventTypeWarning,
		Count: count, FirstTimestamp: at, LastTimestamp: at,
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (w *workspace) recount(t *testing.T, e *corev1.Event, count int32) *corev1.Event {
	t.Helper()
	e.Count, e.LastTimestamp = count, metav1.NewTime(e.LastTimestamp.Add(time.Second))
	e, err := w.CoreV1().Events(w.ns).Update(t.Context(), e, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (c *collected) counts(name string) (counts []int) {
	for _, o := range c.find(isEvent(tapio.KubernetesEvent, name, anyEvent)) {
		counts = append(counts, o.Event.Count)
	}
	return counts
}

func TestEveryCountOfAnEventIsReported(t *testing.T) {
	w := newWorkspace(t)
	got := collect(t, w.ns, Options{Config: clusterConfig(t)}, nil)
	e := w.coreEvent(t, "web", 1)
	for _, count := range []int32{2, 3, 7} {
		e = w.recount(t, e, count)
	}
	got.await("last count", isEvent(tapio.KubernetesEvent, "web", func(e *tapio.Event) bool { return e.Count == 7 }))
	if diff := cmp.Diff([]int{1, 2, 3, 7}, got.counts("web")); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// The other API of events is served from the same objects.
func TestEventsOfTheNewerAPIAreSeen(t *testing.T) {
	w := newWorkspace(t)
	got := collect(t, w.ns, Options{Config: clusterConfig(t)}, nil)
	_, err := w.EventsV1().Events(w.ns).Create(t.Context(), &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "newer"}, EventTime: metav1.NowMicro(),
		ReportingController: "example.com/controller", ReportingInstance: "controller-0", Action: "Scheduling",
		Reason: "FailedScheduling", Regarding: corev1.ObjectReference{Kind: "Pod", Namespace: w.ns, Name: "newer"},
		Note: "0/1 nodes are available", Type: corev1.EventTypeWarning,
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := got.await("event", isEvent(tapio.KubernetesEvent, "newer", anyEvent))
	if o.Event.Message != "0/1 nodes are available" || o.Event.Attrs[tapio.AttrComponent] != "example.com/controller" {
		t.Errorf("got %+v", o.Event)
	}
}

// A watch that is resumed replays what happened meanwhile, each change of it.
func TestShortOutageLosesNothing(t *testing.T) {
	w, h := newWorkspace(t), newHop(t)
	got := collect(t, w.ns, Options{Config: h.config}, nil)
	e := w.coreEvent(t, "web", 1)
	got.await("first count", isEvent(tapio.KubernetesEvent, "web", anyEvent))
	h.down.Store(true)
	h.cut()
	for _, count := range []int32{2, 3, 4} {
		e = w.recount(t, e, count)
	}
	h.down.Store(false)
	got.await("last count", isEvent(tapio.KubernetesEvent, "web", func(e *tapio.Event) bool { return e.Count == 4 }))
	if diff := cmp.Diff([]int{1, 2, 3, 4}, got.counts("web")); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if gaps := got.find(func(o *tapio.Observation) bool { return o.Gap != nil }); len(gaps) != 0 {
		t.Errorf("gaps: %v", describeAll(gaps))
	}
}

// After an outage that client-go doesn't resume but lists anew, what was deleted,
// made and changed meanwhile is found, and there is a gap.
func TestListingAnew(t *testing.T) {
	w, h := newWorkspace(t), newHop(t)
	services, ctx := w.CoreV1().Services(w.ns), t.Context()
	service := func(name string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}},
		}}
	}
	for _, name := range []string{"deleted", "changed", "replaced", "same"} {
		if _, err := services.Create(ctx, service(name), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	got := collect(t, w.ns, Options{Config: h.config}, func(c *Collector) { c.bound = time.Second })

	h.down.Store(true)
	h.cut()
	for _, name := range []string{"deleted", "replaced"} {
		if err := services.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"made", "replaced"} {
		if _, err := services.Create(ctx, service(name), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := services.Patch(ctx, "changed", types.MergePatchType, []byte(`{"spec":{"selector":{"app":"wbe"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // longer than the bound
	h.down.Store(false)

	got.await("end of the Service deleted", isState(tapio.KindService, "deleted", func(s *tapio.State) bool { return s.Deleted }))
	got.await("Service made", isState(tapio.KindService, "made", func(s *tapio.State) bool { return !s.Listed }))
	changed := got.await("change", isEvent(tapio.ServiceChanged, "changed", anyEvent))
	if len(changed.Event.Changes) == 0 || !strings.Contains(changed.Event.Changes[0].To, "wbe") {
		t.Errorf("change: %+v", changed.Event.Changes)
	}
	got.await("new Service replaced", isState(tapio.KindService, "replaced", func(s *tapio.State) bool { return !s.Listed && !s.Deleted }))
	replaced := got.find(isState(tapio.KindService, "replaced", func(s *tapio.State) bool { return !s.Listed }))
	if len(replaced) != 2 || !replaced[0].State.Deleted || replaced[0].State.UID == replaced[1].State.UID {
		t.Errorf("the Service replaced under its name: %v, want the end of one and the start of another", describeAll(replaced))
	}
	if same := got.find(isState(tapio.KindService, "same", func(s *tapio.State) bool { return !s.Listed })); len(same) != 0 {
		t.Errorf("the Service that nobody touched was reported again: %v", describeAll(same))
	}
	gap := got.await("gap", func(o *tapio.Observation) bool { return o.Gap != nil && o.Gap.Resource == "services" })
	if !strings.Contains(gap.Gap.Reason, "listed anew") || gap.Gap.To.Sub(gap.Gap.From) < 2*time.Second {
		t.Errorf("gap: %v", describeAll([]tapio.Observation{gap}))
	}
}

// The API server itself answers 410 to a watch that asks for what is long gone.
func TestExpiredWatch(t *testing.T) {
	w, h := newWorkspace(t), newHop(t)
	got := collect(t, w.ns, Options{Config: h.config}, func(c *Collector) { c.bound = 0 })
	time.Sleep(5 * time.Second) // client-go lists anew where a watch ended within a second, and on a busy machine they begin late
	h.expired.Store(true)
	h.cut()
	gap := got.await("gap", func(o *tapio.Observation) bool {
		return o.Gap != nil && o.Gap.Resource == "pods" && strings.Contains(o.Gap.Reason, "410")
	})
	if gap.Gap.Reason != "watch expired (410); listed anew, changes in between may be missing" {
		t.Errorf("gap: %v", describeAll([]tapio.Observation{gap}))
	}
	h.expired.Store(false)
	w.coreEvent(t, "web", 1)
	got.await("event after it", isEvent(tapio.KubernetesEvent, "web", anyEvent))
}

func TestLogOfACrash(t *testing.T) {
	w := newWorkspace(t)
	got := collect(t, w.ns, Options{Config: clusterConfig(t)}, nil)
	w.pod(t, "crash", "seq 1 300; echo 'ERROR: connect to db:5432: connection refused'; [ -e /data/again ] && sleep 1000; touch /data/again; sleep 1; exit 1")
	got.await("restart", isState(tapio.KindPod, "crash", func(s *tapio.State) bool {
		return s.Pod != nil && len(s.Pod.Containers) == 1 && s.Pod.Containers[0].Restarts == 1 && s.Pod.Containers[0].State == "running"
	}))
	w.eventually(t, "log of the run that ended, as the kubelet has it", func() bool { // some time after its end on a busy node
		text, err := w.CoreV1().Pods(w.ns).GetLogs("crash", &corev1.PodLogOptions{Container: "app", Previous: true}).DoRaw(t.Context())
		return err == nil && strings.Contains(string(text), "connection refused")
	})
	for _, previous := range []bool{true, false} {
		want := tapio.Want{Kind: tapio.WantLog, Previous: previous, Entity: tapio.Entity{Kind: tapio.KindPod, Namespace: w.ns, Name: "crash", Container: "app"}}
		got.Answer(t.Context(), want)
		got.Answer(t.Context(), want) // too soon
	}
	previous := got.await("log of the previous run", isEvent(tapio.ContainerLog, "crash", func(e *tapio.Event) bool { return e.Attrs[tapio.AttrPrevious] == "true" }))
	current := got.await("log of the present run", isEvent(tapio.ContainerLog, "crash", func(e *tapio.Event) bool { return e.Attrs[tapio.AttrPrevious] == "" }))
	for _, e := range []*tapio.Event{previous.Event, current.Event} {
		lines := strings.Split(e.Message, "\n")
		if len(lines) != logLines || lines[0] != "102" || !strings.Contains(e.Attrs[tapio.AttrLastError], "connection refused") || e.Attrs[tapio.AttrUID] == "" {
			t.Errorf("log of %d lines from %q, last error %q", len(lines), lines[0], e.Attrs[tapio.AttrLastError])
		}
	}
	got.Answer(t.Context(), tapio.Want{Kind: tapio.WantLog, Entity: tapio.Entity{Kind: tapio.KindPod, Namespace: w.ns, Name: "nobody", Container: "app"}})
	w.eventually(t, "count of the failed want", func() bool { return counted(got.metrics, "failed") == 1 })
	if counted(got.metrics, "answered") != 2 || counted(got.metrics, "repeated") != 2 {
		t.Errorf("%v answered, %v repeated; want 2 and 2", counted(got.metrics, "answered"), counted(got.metrics, "repeated"))
	}
}

// account makes a service account with a role in the workspace and returns how
// to reach the API server as it.
func (w *workspace) account(t *testing.T, name string, rules ...rbacv1.PolicyRule) *rest.Config {
	t.Helper()
	ctx := t.Context()
	m := metav1.ObjectMeta{Name: name}
	if _, err := w.CoreV1().ServiceAccounts(w.ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: m}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.RbacV1().Roles(w.ns).Create(ctx, &rbacv1.Role{ObjectMeta: m, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.RbacV1().RoleBindings(w.ns).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: m, RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: w.ns}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := w.CoreV1().ServiceAccounts(w.ns).CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(clusterConfig(t))
	config.BearerToken = token.Status.Token
	return config
}

func TestLimitedAccountIsDegradedNotFatal(t *testing.T) {
	w := newWorkspace(t)
	read := []string{"get", "list", "watch"}
	config := w.account(t, "limited",
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: read},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list"}},
		rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"replicasets", "deployments"}, Verbs: read},
	)
	w.pod(t, "web", "sleep 1000")
	got := collect(t, w.ns, Options{Config: config, Namespaces: []string{w.ns}}, nil)
	got.await("pod", isState(tapio.KindPod, "web", anyState))
	missing := got.Missing()
	for _, want := range []string{
		"pods/log in namespace " + w.ns + ": get — crash stories lack the last log lines",
		"nodes: list, watch — node failures are not seen",
		"services in namespace " + w.ns + ": watch — ",
	} {
		if !slices.ContainsFunc(missing, func(m string) bool { return strings.HasPrefix(m, want) }) {
			t.Errorf("missing doesn't say %q", want)
		}
	}
	if len(missing) != len(kinds())-3+1 {
		t.Errorf("%d missing:\n%s", len(missing), strings.Join(missing, "\n"))
	}
	got.Answer(t.Context(), tapio.Want{Kind: tapio.WantLog, Entity: tapio.Entity{Kind: tapio.KindPod, Namespace: w.ns, Name: "web", Container: "app"}})
	if counted(got.metrics, "denied") != 1 {
		t.Error("a want was not denied")
	}
}

func TestCheckSaysWhatToDo(t *testing.T) {
	w := newWorkspace(t)
	check := func(config *rest.Config, namespaces ...string) error {
		c, err := New(Options{Config: config, Namespaces: namespaces})
		if err != nil {
			t.Fatal(err)
		}
		return c.Check(t.Context())
	}
	noPods := w.account(t, "no-pods", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}})
	err := check(noPods, w.ns)
	if !errors.Is(err, ErrPodsUnreadable) || !strings.Contains(err.Error(), "lack list and watch on pods") || !strings.Contains(err.Error(), w.ns) {
		t.Errorf("without pods: %v", err)
	}
	stranger := rest.AnonymousClientConfig(clusterConfig(t))
	stranger.BearerToken = "not-a-token"
	if err := check(stranger); err == nil || !strings.Contains(err.Error(), "refuses the credentials") {
		t.Errorf("with a wrong token: %v", err)
	}
	distrust := clusterConfig(t)
	distrust.CAData, distrust.CAFile = nil, ""
	if err := check(distrust); err == nil || !strings.Contains(err.Error(), "certificate-authority") {
		t.Errorf("without the CA: %v", err)
	}
	nowhere := &rest.Config{Host: "https://no-such-cluster.invalid"}
	if err := check(nowhere); err == nil || !strings.Contains(err.Error(), "can't be resolved") {
		t.Errorf("with a wrong name: %v", err)
	}
}
