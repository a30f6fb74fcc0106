package facts

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"

	"github.com/yairfalse/tapio"
)

func field(manager, subresource, when, fields string) metav1.ManagedFieldsEntry {
	t := clock(when)
	return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, Time: &t, FieldsV1: metav1.NewFieldsV1(fields)}
}

func TestStripKeepsWhoEdited(t *testing.T) {
	tests := []struct {
		name                     string
		fields                   []metav1.ManagedFieldsEntry
		manager, managed, scaler string
	}{
		{"nobody", nil, "", "", ""},
		{"only controllers", []metav1.ManagedFieldsEntry{field("kube-controller-manager", "", "12:00:00", `{}`), field("kubelet", "status", "12:00:00", `{}`)}, "", "", ""},
		{"the newest", []metav1.ManagedFieldsEntry{
			field("helm", "", "12:00:00", `{"f:spec":{"f:template":{}}}`),
			field("kubectl-set", "", "12:10:00", `{"f:spec":{"f:template":{}}}`),
			field("kube-controller-manager", "status", "12:20:00", `{"f:status":{"f:replicas":{}}}`),
		}, "kubectl-set", "12:10:00", ""},
		{"of the template rather than of a label", []metav1.ManagedFieldsEntry{
			field("labeler", "", "12:30:00", `{"f:metadata":{"f:labels":{}}}`),
			field("helm", "", "12:00:00", `{"f:spec":{"f:template":{}}}`),
		}, "helm", "12:00:00", ""},
		{"scaled by the autoscaler", []metav1.ManagedFieldsEntry{
			field("helm", "", "12:00:00", `{"f:spec":{"f:template":{}}}`),
			field("kube-controller-manager", "scale", "12:10:00", `{"f:spec":{"f:replicas":{}}}`),
		}, "helm", "12:00:00", "kube-controller-manager"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x", ManagedFields: test.fields}}
			for range 2 { // it is idempotent
				Strip(o)
			}
			when := ""
			if test.managed != "" {
				when = clock(test.managed).Format(time.RFC3339)
			}
			got := [3]string{o.Annotations[annotationManager], o.Annotations[annotationManagedAt], o.Annotations[annotationScaler]}
			if d := cmp.Diff([3]string{test.manager, when, test.scaler}, got); d != "" {
				t.Errorf("manager, time, scaler (-want +got):\n%s", d)
			}
			if o.ManagedFields != nil {
				t.Error("managed fields are kept")
			}
		})
	}
}

// What is secret, or only large, doesn't reach the cache.
func TestStripDropsSecrets(t *testing.T) {
	meta := metav1.ObjectMeta{Name: "x", Namespace: "shop", Annotations: map[string]string{annotationApplied: "hunter2", "tapio.dev/team": "a"}}
	for _, o := range []runtime.Object{
		&corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{"p": []byte("hunter2")}, StringData: map[string]string{"p": "hunter2"}},
		&corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"db.password": "hunter2"}, BinaryData: map[string][]byte{"p": []byte("hunter2")}},
		&corev1.Pod{ObjectMeta: meta, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Args: []string{"--password=hunter2", "--token", "hunter2"}, Env: []corev1.EnvVar{{Name: "DB_PASSWORD", Value: "hunter2"}, {Name: "DB", Value: "postgres://app:hunter2@db/shop"}},
			LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{HTTPHeaders: []corev1.HTTPHeader{{Name: "Authorization", Value: "hunter2"}}}}}}}}},
	} {
		Strip(o)
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "hunter2") || strings.Contains(string(data), "aHVudGVyMg") {
			t.Errorf("%T keeps a secret: %s", o, data)
		}
		if !strings.Contains(string(data), "tapio.dev/team") {
			t.Errorf("%T lost its team: %s", o, data)
		}
	}
}

func TestStripOfWhatIsNoObject(t *testing.T) {
	for _, o := range []any{nil, "text", (*corev1.Pod)(nil)} {
		if got, err := Strip(o); err != nil || got != o {
			t.Errorf("Strip(%v) = %v, %v", o, got, err)
		}
	}
	gone := cache.DeletedFinalStateUnknown{Key: "a/b", Obj: &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Data: map[string]string{"password": "v"}}}
	got, err := Strip(gone)
	if err != nil || got.(cache.DeletedFinalStateUnknown).Obj.(*corev1.ConfigMap).Data["password"] == "v" {
		t.Errorf("a deleted object of unknown state is not stripped: %v, %v", got, err)
	}
}

// Strip takes nothing away that Between tells.
func TestStripTakesNothingThatIsTold(t *testing.T) {
	for _, name := range []string{"crash", "deployment", "node", "event", "service"} {
		for i, o := range load(t, name) {
			again := o.DeepCopyObject()
			Strip(again)
			a, b := Between(nil, o, at, true, nil), Between(nil, again, at, true, nil)
			if d := cmp.Diff(a, b); d != "" {
				t.Errorf("%s %d (-once +twice):\n%s", name, i, d)
			}
		}
	}
}

func TestReferences(t *testing.T) {
	ref := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: corev1.PodSpec{
		ServiceAccountName: "web",
		ImagePullSecrets:   []corev1.LocalObjectReference{ref("pull")},
		Volumes: []corev1.Volume{
			{Name: "a", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: ref("files")}}},
			{Name: "b", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "tls"}}},
			{Name: "c", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
			{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
			{Name: "kube-api-access", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: ref(clusterCA)}},
				{Secret: &corev1.SecretProjection{LocalObjectReference: ref("projected")}},
			}}}},
			{Name: "e", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
		InitContainers: []corev1.Container{{Env: []corev1.EnvVar{{Name: "K", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: ref("db")}}}}}},
		Containers: []corev1.Container{{
			EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: ref("env")}}, {SecretRef: &corev1.SecretEnvSource{LocalObjectReference: ref("db")}}},
			Env:     []corev1.EnvVar{{Name: "C", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: ref("env")}}}, {Name: "N", Value: "1"}},
		}},
	}}
	var want []tapio.Entity
	for _, s := range []string{"ConfigMap/env", "ConfigMap/files", "PersistentVolumeClaim/data", "PersistentVolumeClaim/web-scratch", "Secret/db", "Secret/projected", "Secret/pull", "Secret/tls", "ServiceAccount/web"} {
		kind, name, _ := strings.Cut(s, "/")
		want = append(want, tapio.Entity{Kind: tapio.Kind(kind), Namespace: "shop", Name: name})
	}
	if d := cmp.Diff(want, references(p)); d != "" {
		t.Errorf("references (-want +got):\n%s", d)
	}
	Strip(p)
	if d := cmp.Diff(want, references(p)); d != "" {
		t.Errorf("references of the stripped pod (-want +got):\n%s", d)
	}
}
