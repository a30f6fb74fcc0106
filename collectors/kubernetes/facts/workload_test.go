package facts

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/google/go-cmp/cmp"

	"github.com/yairfalse/tapio"
)

const web = "Deployment/shop/web"

// shop returns the recorded Deployment, which was rolled out five times, and
// its ReplicaSets by revision. The fourth went back to the second's template.
func shop(t *testing.T) (*appsv1.Deployment, map[int64]*appsv1.ReplicaSet) {
	t.Helper()
	var d *appsv1.Deployment
	sets := make(map[int64]*appsv1.ReplicaSet)
	for _, o := range load(t, "deployment") {
		switch o := o.(type) {
		case *appsv1.Deployment:
			d = o
		case *appsv1.ReplicaSet:
			sets[revision(o)] = o
		}
	}
	return d, sets
}

func managed(o metav1.Object, who, when string) {
	a := o.GetAnnotations()
	if a == nil {
		a = make(map[string]string)
	}
	a[annotationManager], a[annotationManagedAt] = who, clock(when).Format("2006-01-02T15:04:05Z")
	o.SetAnnotations(a)
}

func TestRollout(t *testing.T) {
	d, sets := shop(t)
	at2 := edit(d, func(d *appsv1.Deployment) {
		d.Annotations[annotationRevision] = "2"
		managed(d, "kubectl-set", "12:39:00")
	})
	second := edit(sets[4], func(r *appsv1.ReplicaSet) { // as it was before it was used again
		r.Annotations[annotationRevision] = "2"
		delete(r.Annotations, annotationHistory)
	})
	const told2 = `12:39:00 workload.rollout ` + web + ` Updated from_revision=1 manager=kubectl-set revision=2; ` +
		`containers[web].env[DB_PASSWORD]: "" → "(hidden)"; containers[web].env[LOG_LEVEL]: "" → "debug"`
	tests := []struct {
		name     string
		old, new runtime.Object
		listed   bool
		related  *cluster
		want     []string
	}{
		{"the ReplicaSet is seen after the Deployment", nil, second, false, &cluster{edit(d, func(d *appsv1.Deployment) {
			d.Annotations[annotationRevision] = "1"
			managed(d, "kubectl-set", "12:39:00")
		}), []*appsv1.ReplicaSet{sets[1]}}, []string{told2}},
		{"the Deployment is seen after the ReplicaSet", edit(at2, func(d *appsv1.Deployment) { d.Annotations[annotationRevision] = "1" }), at2, false,
			&cluster{at2, []*appsv1.ReplicaSet{second, sets[1]}}, []string{told2}},
		{"the Deployment's ReplicaSet is not seen yet", edit(at2, func(d *appsv1.Deployment) { d.Annotations[annotationRevision] = "1" }), at2, false,
			&cluster{at2, []*appsv1.ReplicaSet{sets[1]}}, nil},
		{"in a listing", nil, at2, true, &cluster{at2, []*appsv1.ReplicaSet{sets[1], second}}, []string{told2}},
		{"in a listing of one revision", nil, sets[1], true, &cluster{at2, nil}, nil},
		{"in a listing whose older ReplicaSets are gone", nil, at2, true, &cluster{at2, []*appsv1.ReplicaSet{second}},
			[]string{"12:39:00 workload.rollout " + web + " Updated manager=kubectl-set revision=2"}},
		{"an old ReplicaSet is no rollout", nil, sets[1], false, &cluster{at2, []*appsv1.ReplicaSet{second}}, nil},
		{"the first", nil, sets[1], false, &cluster{edit(d, func(d *appsv1.Deployment) { managed(d, "helm", "12:38:47") }), nil},
			[]string{"12:38:47 workload.rollout " + web + " Created manager=helm revision=1"}},
		{"by somebody who took a field away", nil, sets[3], false, &cluster{at2, []*appsv1.ReplicaSet{sets[1], second}}, []string{
			`12:39:01 workload.rollout ` + web + ` Updated from_revision=2 revision=3; containers[web].resources.limits.cpu: "" → "200m"; containers[web].resources.limits.memory: "" → "64Mi"`}},
		{"back", second, sets[4], false, &cluster{at2, []*appsv1.ReplicaSet{sets[1], sets[3]}}, []string{
			`now workload.rollout ` + web + ` RolledBack from_revision=3 revision=4 rollback=true; containers[web].resources.limits.cpu: "200m" → ""; containers[web].resources.limits.memory: "64Mi" → ""`}},
		{"back, by whom", second, sets[4], false, &cluster{edit(d, func(d *appsv1.Deployment) { managed(d, "argocd", "12:44:50") }), []*appsv1.ReplicaSet{sets[1], sets[3]}}, []string{
			`12:44:50 workload.rollout ` + web + ` RolledBack from_revision=3 manager=argocd revision=4 rollback=true; containers[web].resources.limits.cpu: "200m" → ""; containers[web].resources.limits.memory: "64Mi" → ""`}},
		{"restarted", nil, d, true, &cluster{d, []*appsv1.ReplicaSet{sets[1], sets[3], sets[4], sets[5]}},
			[]string{"12:39:28 workload.rollout " + web + " Restarted from_revision=4 revision=5"}},
		{"without knowing others", nil, d, true, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var related Related
			if test.related != nil {
				related = test.related
			}
			want(t, told(t, test.old, test.new, test.listed, related), test.want...)
		})
	}

	id := func(obs []tapio.Observation) string {
		for _, o := range obs {
			if o.Event != nil && o.Event.Type == tapio.WorkloadRollout {
				return o.Event.ID
			}
		}
		t.Fatal("no rollout was told")
		return ""
	}
	all := &cluster{d, []*appsv1.ReplicaSet{sets[1], sets[3], sets[4], sets[5]}}
	if watched, listed := id(Between(nil, sets[5], at, false, all)), id(Between(nil, d, at.Add(1e9), true, all)); watched != listed {
		t.Errorf("a rollout has the ID %s watched and %s listed", watched, listed)
	}
}

func TestRolloutOfWorkloadsWithoutReplicaSets(t *testing.T) {
	template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "a:1"}}}}
	changed := *template.DeepCopy()
	changed.Spec.Containers[0].Image = "a:2"
	restartedTemplate := *template.DeepCopy()
	restartedTemplate.Annotations = map[string]string{annotationRestarted: "2026-11-23T12:41:00Z"}
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "db", Generation: 1, CreationTimestamp: clock("12:30:00"), Annotations: map[string]string{annotationManager: "helm", annotationManagedAt: "2026-11-23T12:30:00Z"}}
	next := *meta.DeepCopy()
	next.Generation = 2
	next.Annotations[annotationManagedAt] = "2026-11-23T12:41:00Z"

	s := &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Template: template}}
	want(t, told(t, nil, s, false, nil), "12:30:00 workload.rollout StatefulSet/shop/db Created manager=helm revision=1")
	want(t, told(t, nil, s, true, nil))
	want(t, told(t, s, &appsv1.StatefulSet{ObjectMeta: next, Spec: appsv1.StatefulSetSpec{Template: changed}}, false, nil),
		`12:41:00 workload.rollout StatefulSet/shop/db Updated from_revision=1 manager=helm revision=2; containers[app].image: "a:1" → "a:2"`)

	d := &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Template: template}}
	want(t, told(t, d, &appsv1.DaemonSet{ObjectMeta: next, Spec: appsv1.DaemonSetSpec{Template: restartedTemplate}}, false, nil),
		"12:41:00 workload.rollout DaemonSet/shop/db Restarted from_revision=1 manager=helm revision=2")

	c := &batchv1.CronJob{ObjectMeta: meta, Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}}}}
	want(t, told(t, nil, c, false, nil))
	want(t, told(t, c, &batchv1.CronJob{ObjectMeta: next, Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: changed}}}}, false, nil),
		`12:41:00 workload.rollout CronJob/shop/db Updated from_revision=1 manager=helm revision=2; containers[app].image: "a:1" → "a:2"`)
}

func TestDeploymentEvents(t *testing.T) {
	d, _ := shop(t)
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 3, UpdatedReplicas: 3, ReadyReplicas: 3, AvailableReplicas: 3}
	set := func(how func(*appsv1.Deployment)) *appsv1.Deployment { return edit(d, how) }
	failure := func(message string) *appsv1.Deployment {
		return set(func(d *appsv1.Deployment) {
			d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: message, LastTransitionTime: clock("12:41:00")}}
		})
	}
	stuck := set(func(d *appsv1.Deployment) {
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", LastTransitionTime: clock("12:42:00")}}
	})
	less := set(func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 2 })
	two := int32(2)
	tests := []struct {
		name     string
		old, new *appsv1.Deployment
		listed   bool
		want     []string
	}{
		{"scaled", d, set(func(d *appsv1.Deployment) {
			d.Spec.Replicas, d.Generation = &two, d.Generation+1
			d.Annotations[annotationScaler] = "kubectl"
		}), false, []string{`now workload.scaled ` + web + ` manager=kubectl; replicas: "3" → "2"`}},
		{"available", less, d, false, []string{"now workload.available " + web}},
		{"one is no longer available", d, less, false, nil},
		{"available, but not observed yet", less, set(func(d *appsv1.Deployment) { d.Generation++ }), false, nil},
		{"available, but an old pod is left", less, set(func(d *appsv1.Deployment) { d.Status.Replicas = 4 }), false, nil},
		{"stuck", d, stuck, false, []string{"12:42:00 workload.stuck " + web + " ProgressDeadlineExceeded"}},
		{"stuck in a listing", nil, stuck, true, []string{"12:42:00 workload.stuck " + web + " ProgressDeadlineExceeded"}},
		{"still stuck", stuck, stuck, false, nil},
		{"replica failure", d, failure(`pods "web-x" is forbidden: exceeded quota: q, used: pods=1`), false,
			[]string{"12:41:00 workload.replica_failure " + web + " FailedCreate"}},
		{"the same of another pod", failure(`pods "web-x" is forbidden: exceeded quota: q, used: pods=1`), failure(`pods "web-y" is forbidden: exceeded quota: q, used: pods=2`), false, nil},
		{"another failure", failure(`pods "web-x" is forbidden: exceeded quota: q`), failure(`pods "web-x" is forbidden: violates PodSecurity`), false,
			[]string{"now workload.replica_failure " + web + " FailedCreate"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.old == nil {
				want(t, told(t, nil, test.new, test.listed, nil), test.want...)
			} else {
				want(t, told(t, test.old, test.new, test.listed, nil), test.want...)
			}
		})
	}
	e := Between(d, stuck, at, false, nil)
	k := e[len(e)-1].Event.Kubernetes
	if k == nil || k.HealthStatus != "healthy" || k.ReplicaStatus.Desired != 3 {
		// The recorded edit keeps the counts: only the condition changed.
		t.Errorf("context is %+v", k)
	}
}

func TestReplicaSetEvents(t *testing.T) {
	_, sets := shop(t)
	owned := sets[5]
	zero := int32(0)
	want(t, told(t, owned, edit(owned, func(r *appsv1.ReplicaSet) { r.Spec.Replicas = &zero }), false, nil)) // a rollout does that
	alone := edit(owned, func(r *appsv1.ReplicaSet) { r.OwnerReferences = nil })
	want(t, told(t, alone, edit(alone, func(r *appsv1.ReplicaSet) { r.Spec.Replicas = &zero }), false, nil),
		`now workload.scaled ReplicaSet/shop/`+owned.Name+`; replicas: "3" → "0"`)
	refused := edit(owned, func(r *appsv1.ReplicaSet) {
		r.Status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "no", LastTransitionTime: clock("12:41:00")}}
	})
	want(t, told(t, owned, refused, false, nil), "12:41:00 workload.replica_failure ReplicaSet/shop/"+owned.Name+" FailedCreate")
	s := Between(nil, refused, at, true, nil)[0].State
	if s.Workload.ReplicaFailure != "no" || s.Workload.Revision != "5" || s.Owner.Name != "web" {
		t.Errorf("state is %+v", s)
	}
}

func TestJobEvents(t *testing.T) {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "report", CreationTimestamp: clock("12:30:00")}}
	with := func(kind batchv1.JobConditionType, reason string) *batchv1.Job {
		return edit(j, func(j *batchv1.Job) {
			j.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: clock("12:41:00")}}
		})
	}
	failed, done := with(batchv1.JobFailed, "BackoffLimitExceeded"), with(batchv1.JobComplete, "CompletionsReached")
	want(t, told(t, j, failed, false, nil), "12:41:00 job.failed Job/shop/report BackoffLimitExceeded")
	want(t, told(t, nil, failed, true, nil), "12:41:00 job.failed Job/shop/report BackoffLimitExceeded")
	want(t, told(t, failed, failed, false, nil))
	want(t, told(t, j, done, false, nil), "12:41:00 job.complete Job/shop/report CompletionsReached")
	want(t, told(t, nil, done, true, nil))
	s := Between(nil, failed, at, true, nil)[0].State
	if d := cmp.Diff(&tapio.WorkloadState{Replicas: tapio.ReplicaStatus{Desired: 1}, Failed: true, FailedReason: "BackoffLimitExceeded", BackoffLimit: 6}, s.Workload); d != "" {
		t.Errorf("state (-want +got):\n%s", d)
	}
}

func TestDeploymentState(t *testing.T) {
	d, _ := shop(t)
	s := Between(nil, d, at, true, nil)[0].State
	wanted := &tapio.WorkloadState{
		Replicas:   tapio.ReplicaStatus{Desired: 3, Current: 3, Updated: 3},
		Generation: d.Generation, Observed: d.Generation, Revision: "5", Strategy: "RollingUpdate",
		TemplateLabels: map[string]string{"app": "web"},
		Spec:           s.Workload.Spec, // TestPodSpec
	}
	if s.Workload.Spec.Container("web") == nil {
		t.Error("the template's spec is not told")
	}
	if d := cmp.Diff(wanted, s.Workload); d != "" {
		t.Errorf("state (-want +got):\n%s", d)
	}
}
