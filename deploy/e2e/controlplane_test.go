//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bot/slackfake"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// fault is one fault of the control plane. Scripts see $LEADER and $FOLLOWER,
// members of etcd as services of the test cluster, and $STATE.
type fault struct {
	name   string
	breaks string
	app    string // what an application asks for meanwhile; it may fail
	mend   string
	ended  string // parts that have ended meanwhile, and are started anew
	cause  tapio.Cause
	entity string // name of the component, or LEADER, FOLLOWER
	kind   tapio.Kind
	waits  bool       // the application waits for it, and is part of its story
	blip   string     // seconds after which it is over before it is told; empty: it has none
	burst  bool       // a client asks too much, meanwhile
	disarm bool       // an alarm of etcd is cleared in the end
	thread []string   // what the thread must say in the end
	sees   tapio.Kind // a kind of object that evidence must be about
	causes bool       // TestCauses plays it too
}

// lost are the parts that end by themselves when the API server or etcd is away:
// they can't renew their leases.
const lost = tapio.ComponentControllerManager + " " + tapio.ComponentScheduler

// revive starts parts anew, and no other: one whose leader changes often is told
// as unstable. Whether they have ended can't be told: the sandbox keeps a
// process's number.
func revive(parts string) string {
	return `
until kubectl get --raw /readyz >/dev/null 2>&1; do sleep 0.3; done
for part in ` + parts + `; do
  cluster service control-plane signal KILL $part
  cluster service control-plane start $part
done
`
}

// rolling restarts the members of etcd one after the other with another quota.
func rolling(quota int) string {
	return fmt.Sprintf(`
for member in etcd-1 etcd-2 etcd-3; do
  sed -i -E 's/(--quota-backend-bytes) [0-9]+/\1 %d/' "$STATE/control-plane/services/$member"
  cluster service control-plane signal KILL $member
  sleep 4 # so long that it is missed: a leader that changes without is unstable
  cluster service control-plane start $member
  sleep 2
done
`, quota)
}

const release = "kubectl rollout restart deploy web"

var faults = []fault{
	{
		name: "etcd-leader", cause: tapio.CauseEtcdDown, entity: "LEADER", blip: "0.5",
		breaks: "cluster service control-plane signal KILL $LEADER",
		mend:   "cluster service control-plane start $LEADER",
		app:    release,
	},
	{
		name: "etcd-quorum", cause: tapio.CauseEtcdNoLeader, entity: tapio.ComponentEtcd, blip: "0.5",
		breaks: "for m in $LEADER $FOLLOWER; do cluster service control-plane signal KILL $m; done",
		mend:   "for m in $LEADER $FOLLOWER; do cluster service control-plane start $m; done", ended: lost,
		app: release,
	},
	{
		name: "etcd-slow", cause: tapio.CauseEtcdSlow, entity: "FOLLOWER",
		breaks: `touch $STATE/slow
setsid cluster exec control-plane bash -c "while [[ -e $STATE/slow ]]; do kill -STOP \$(<$STATE/control-plane/pid/$FOLLOWER); sleep 0.8; kill -CONT \$(<$STATE/control-plane/pid/$FOLLOWER); sleep 0.04; done" >/dev/null 2>&1 </dev/null &`,
		mend: "rm $STATE/slow; sleep 1; cluster service control-plane signal CONT $FOLLOWER",
		app:  release,
	},
	{
		name: "etcd-space", cause: tapio.CauseEtcdNoSpace, entity: tapio.ComponentEtcd, disarm: true,
		breaks: rolling(1<<20) + `
head -c 700000 /dev/zero | tr '\0' x >big
for n in 1 2 3 4; do kubectl create configmap full-$RANDOM --from-file=big || true; done`,
		mend: rolling(8 << 30),
		app:  release,
	},
	{
		name: "apiserver", cause: tapio.CauseAPIServerDown, entity: tapio.ComponentAPIServer, blip: "1",
		breaks: "cluster service control-plane signal KILL kube-apiserver",
		mend:   "cluster service control-plane start kube-apiserver", ended: lost,
		app:    "sleep 12; for node in node-1 node-2; do cluster exec $node pkill -KILL -f 'sleep 86400' || true; done; false",
		thread: []string{"without the API server", "container"},
	},
	{
		name: "apiserver-overload", cause: tapio.CauseAPIServerOverloaded, entity: tapio.ComponentAPIServer, burst: true,
		breaks: `
kubectl create serviceaccount busy
kubectl apply -f - <<END
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: $NS}
spec: {type: Limited, limited: {nominalConcurrencyShares: 0, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: {type: Reject}}}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: $NS}
spec:
  priorityLevelConfiguration: {name: $NS}
  matchingPrecedence: 100
  rules:
  - subjects: [{kind: ServiceAccount, serviceAccount: {name: busy, namespace: $NS}}]
    resourceRules: [{verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"], clusterScope: true}]
END
sleep 1; kubectl create token busy >token`,
		mend: "kubectl delete flowschema/$NS prioritylevelconfiguration/$NS serviceaccount/busy",
		app:  release,
	},
	{
		name: "scheduler", cause: tapio.CauseSchedulerDown, entity: tapio.ComponentScheduler, waits: true, blip: "6",
		breaks: "cluster service control-plane signal STOP kube-scheduler",
		mend:   "cluster service control-plane signal CONT kube-scheduler; sleep 2", ended: tapio.ComponentScheduler,
		app: release,
	},
	{
		name: "controller-manager", cause: tapio.CauseControllerManagerDown, entity: tapio.ComponentControllerManager, waits: true, blip: "6",
		breaks: "cluster service control-plane signal STOP kube-controller-manager",
		mend:   "cluster service control-plane signal CONT kube-controller-manager; sleep 2", ended: tapio.ComponentControllerManager,
		// The autoscaler stays as it is, too.
		app: `kubectl set env deploy web RELEASE=2
kubectl apply -f - <<END
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, minReplicas: 2, maxReplicas: 3}
END`,
		sees: tapio.KindHPA,
	},
	{
		name: "webhook", causes: true, cause: tapio.CauseWebhookDown, entity: "e2e-cp-webhook", kind: tapio.KindValidatingWebhook,
		breaks: `
kubectl apply -f - <<END
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: e2e-cp-webhook}
webhooks:
- name: policy.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "$NS"}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  clientConfig: {service: {name: policy, namespace: "$NS", path: /admit}}
END
for n in {1..30}; do ! kubectl create configmap try-$n; sleep 0.8; done`,
		mend: "kubectl delete validatingwebhookconfiguration e2e-cp-webhook",
	},
	{
		name: "apiservice", causes: true, cause: tapio.CauseAPIServiceUnavailable, entity: "v1.cp.example.com", kind: tapio.KindAPIService,
		breaks: `
kubectl apply -f - <<END
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.cp.example.com}
spec:
  group: cp.example.com
  version: v1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {namespace: "$NS", name: api}
END`,
		mend: "kubectl delete apiservice v1.cp.example.com",
		app:  release,
	},
}

// TestControlPlane breaks the control plane under a Tapio with short
// thresholds: one story of what is at fault, with the application that waits
// for it, resolved when it heals; the same in a quiet cluster, and as a blip, of
// which nothing may be told. -short plays each fault once, as part of make e2e.
func TestControlPlane(t *testing.T) {
	b := shared
	if !b.faults {
		t.Skip("not asked for: -faults")
	}
	if len(b.etcd) < 3 {
		fatalf(t, "etcd has %d members; it needs a test cluster of its own, with three", len(b.etcd))
	}
	b.cleared(t)
	var channels []string
	for _, f := range faults {
		channels = append(channels, "e2e-cp-"+f.name)
	}
	w := newWorkspace(t, channels...)
	served := func(component string) string {
		return strings.TrimSpace(readFile(t, filepath.Join(filepath.Dir(b.kubeconfig), component+"-address")))
	}
	live := b.newInstance(t, w, runOptions{name: "controlplane", record: true, control: []string{
		"health_interval: 2s", "poll_interval: 5s", "metrics_interval: 5s", "leader_election_timeout: 20s",
		"scheduler_endpoint: https://" + served(tapio.ComponentScheduler), "controller_manager_endpoint: https://" + served(tapio.ComponentControllerManager),
	}})
	live.startReady()
	time.Sleep(5 * time.Second)
	// Blips first: the faults make leaders change, of which many are told.
	t.Run("blip", func(t *testing.T) {
		for i := range faults {
			if f := &faults[i]; f.blip != "" && !testing.Short() {
				t.Run(f.name, func(t *testing.T) { b.playBlip(t, f, b.healthy(t, f), live) })
			}
		}
	})
	t.Run("fault", func(t *testing.T) {
		for i := range faults {
			f := &faults[i]
			if f.causes && testing.Short() {
				continue
			}
			t.Run(f.name, func(t *testing.T) {
				p := b.healthy(t, f)
				if !testing.Short() {
					t.Run("quiet", func(t *testing.T) { b.playFault(t, f, p, w, live, false) })
				}
				t.Run("hurt", func(t *testing.T) { b.playFault(t, f, p, w, live, true) })
				p.run(t, "kubectl delete -f web.yaml")
			})
		}
	})
	costs(t, live)
	t.Run("replay", func(t *testing.T) { b.replayEqualsLive(t, live) })
}

// healthy is the namespace of a fault, with a workload that runs.
func (b *bed) healthy(t *testing.T, f *fault) *place {
	t.Helper()
	p := b.place(t, "e2e-cp-"+f.name, nil, map[string]string{"web.yaml": readFile(t, "testdata/web.yaml")}, "")
	p.run(t, "kubectl apply -f web.yaml")
	p.awaitRollouts(t)
	return p
}

// roles names the members of etcd by what they do now.
func (b *bed) roles(t *testing.T, p *place) (leader, follower string) {
	t.Helper()
	eventually(t, 30*time.Second, "etcd has a leader", func() (bool, string) {
		leader, follower = "", ""
		for i, endpoint := range b.etcd {
			client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
			if err != nil {
				return false, err.Error()
			}
			defer client.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			status, err := client.Status(ctx, endpoint)
			if err != nil {
				return false, err.Error()
			}
			if name := fmt.Sprintf("etcd-%d", i+1); status.Leader == status.Header.MemberId {
				leader = name
			} else {
				follower = name
			}
		}
		return leader != "" && follower != "", "no leader"
	})
	p.env = append(p.env, "LEADER="+leader, "FOLLOWER="+follower)
	return leader, follower
}

// disarm clears the alarms of etcd.
func (b *bed) disarm(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, "the alarms are cleared", func() (bool, string) {
		client, err := clientv3.New(clientv3.Config{Endpoints: b.etcd, Logger: zap.NewNop()})
		if err != nil {
			return false, err.Error()
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err = client.AlarmDisarm(ctx, &clientv3.AlarmMember{})
		return err == nil, fmt.Sprint(err)
	})
}

// fresh lists the stories that were not told before.
func fresh(live *instance, before []tapio.Story) []tapio.Story {
	return slices.DeleteFunc(live.stories(), func(s tapio.Story) bool {
		return slices.ContainsFunc(before, func(o tapio.Story) bool {
			return o.ID == s.ID && (o.Status != tapio.StatusResolved || s.Resolved.Equal(o.Resolved))
		})
	})
}

// lines lists stories for a failure's text.
func lines(stories []tapio.Story) string {
	var out strings.Builder
	for _, s := range stories {
		fmt.Fprintf(&out, "\n  %s %s of %s, %s: %s; affected %v", s.Status, s.Cause, s.CauseEntity, s.Severity, s.Title, s.Affected)
	}
	return out.String()
}

func (b *bed) playFault(t *testing.T, f *fault, p *place, w *workspace, live *instance, hurt bool) {
	leader, follower := b.roles(t, p)
	entity := tapio.Entity{Kind: f.kind, Name: strings.NewReplacer("LEADER", leader, "FOLLOWER", follower).Replace(f.entity)}
	if entity.Kind == "" {
		entity.Kind = tapio.KindComponent
	}
	before := live.stories()
	mended := false
	mend := func() {
		if mended {
			return
		}
		mended = true
		p.run(t, f.mend)
		if f.ended != "" {
			p.run(t, revive(f.ended))
		}
		if f.disarm {
			b.disarm(t)
			p.run(t, revive(lost))
		}
	}
	defer mend() // the next fault needs a cluster
	began := time.Now()
	var burst sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer burst.Wait()
	defer stop()
	p.run(t, f.breaks)
	if f.burst {
		burst.Go(func() { b.burst(ctx, t, p) })
	}
	if hurt && f.app != "" {
		p.run(t, "("+f.app+"\n) || true")
	}

	var story tapio.Story
	var root slackfake.Message
	find := func() bool {
		for _, root = range w.Messages("incidents") {
			s, ok := live.story(told(root))
			if ok && s.Cause == f.cause && s.CauseEntity == entity && !slices.ContainsFunc(before, func(o tapio.Story) bool {
				return o.ID == s.ID && s.Status == tapio.StatusResolved && s.Resolved.Equal(o.Resolved)
			}) {
				story = s
				return true
			}
		}
		return false
	}
	eventually(t, 100*time.Second, fmt.Sprintf("a story with cause %s of %s in #incidents", f.cause, entity), func() (bool, string) {
		return find(), "told:" + lines(fresh(live, before)) + "\n" + live.printed()
	})
	t.Logf("told %.0f s after it began: %s (%s, %s)", time.Since(began).Seconds(), story.Title, story.Severity, story.Standing)
	if entity.Kind == tapio.KindComponent && (story.WorkloadType != tapio.WorkloadControlPlane || story.BusinessService != tapio.ServiceKubernetesCluster || !story.CriticalPath) {
		errorf(t, "story of %s for %q, critical path %t", story.WorkloadType, story.BusinessService, story.CriticalPath)
	}
	web := tapio.Entity{Kind: tapio.KindDeployment, Namespace: p.name, Name: "web"}
	if hurt && f.waits {
		eventually(t, 90*time.Second, "what waits is part of the story", func() (bool, string) {
			now, _ := live.story(story.ID)
			return slices.Contains(now.Affected, web), lines(fresh(live, before))
		})
	}
	if hurt && f.sees != "" {
		eventually(t, 30*time.Second, "evidence about a "+string(f.sees), func() (bool, string) {
			all := fresh(live, before)
			return slices.ContainsFunc(all, func(s tapio.Story) bool {
				return slices.ContainsFunc(s.Evidence, func(e tapio.Evidence) bool { return e.Entity.Kind == f.sees })
			}), lines(all)
		})
	}
	stop()
	burst.Wait()
	mend()
	p.awaitRollouts(t)
	healed := time.Now()
	eventually(t, quiet+90*time.Second, "the thread says that it is resolved", func() (bool, string) {
		now, ok := live.story(story.ID)
		_, said := w.saysResolved("incidents", root)
		return ok && said && now.Status == tapio.StatusResolved, fmt.Sprintf("story %s is %s; affected %v; the thread:\n%s", story.ID, now.Status, now.Affected, texts(w.Replies("incidents", root.TS)))
	})
	t.Logf("resolved %.0f s after it was mended", time.Since(healed).Seconds())
	thread := texts(w.Replies("incidents", root.TS))
	if hurt {
		for _, want := range f.thread {
			if !strings.Contains(thread, want) {
				errorf(t, "the thread doesn't say %q:\n%s", want, thread)
			}
		}
	}
	for _, s := range fresh(live, before) {
		if s.ID != story.ID && s.Status != tapio.StatusAbsorbed {
			errorf(t, "told as well:%s", lines([]tapio.Story{s}))
		}
	}
}

// playBlip breaks and mends before the thresholds: nothing may be told.
func (b *bed) playBlip(t *testing.T, f *fault, p *place, live *instance) {
	b.roles(t, p)
	before := live.stories()
	// Who lived through it needs no revival, which would be no blip.
	p.run(t, f.breaks+"\nsleep "+f.blip+"\n"+f.mend)
	time.Sleep(quiet + 10*time.Second)
	if told := fresh(live, before); len(told) > 0 {
		errorf(t, "told of a blip:%s", lines(told))
	}
}

// burst asks the API server too much, as a service account whose priority level
// takes one request at a time: ten at once, ten times a second, for a minute at
// most.
func (b *bed) burst(ctx context.Context, t *testing.T, p *place) {
	config, err := clientcmd.BuildConfigFromFlags("", b.kubeconfig)
	if err != nil {
		t.Error(err)
		return
	}
	config = rest.AnonymousClientConfig(config)
	config.BearerToken = strings.TrimSpace(readFile(t, p.dir+"/token"))
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Error(err)
		return
	}
	var mu sync.Mutex
	answers := map[int]int{}
	var asked sync.WaitGroup
	for range 10 {
		asked.Go(func() {
			for range 600 {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/api/v1/namespaces/"+p.name+"/pods", nil)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := client.Do(req)
				if ctx.Err() != nil {
					return
				}
				if err == nil {
					resp.Body.Close()
					mu.Lock()
					answers[resp.StatusCode]++
					mu.Unlock()
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	asked.Wait()
	t.Logf("the burst was answered with %v", answers)
}

// costs logs how many requests the collector sent, by their kind.
func costs(t *testing.T, live *instance) {
	_, body := live.get("/metrics")
	for line := range strings.SplitSeq(body, "\n") {
		if strings.HasPrefix(line, "tapio_controlplane_requests_total") {
			t.Log(line)
		}
	}
	if printed := readFile(t, live.log); strings.Contains(printed, "metrics of kube-") {
		t.Error("the metrics of scheduler or controller manager were not read: see " + live.log)
	}
}
