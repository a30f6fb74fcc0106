package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/yairfalse/tapio/cmd/tapio/config"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// The cluster of the benchmark: 10,000 pods, of which 1 % crash.
const (
	benchWorkloads = 2000
	benchPods      = 5 // of each workload
	benchNodes     = 200
	benchBroken    = 100 // every one of so many workloads crashes
)

// BenchmarkTell measures `tapio tell` on a dump of 10,000 pods, from the file
// to the words.
func BenchmarkTell(b *testing.B) {
	file := filepath.Join(b.TempDir(), "dump.json")
	size := writeCluster(b, file)
	c, err := config.Default()
	if err != nil {
		b.Fatal(err)
	}
	o := tellOptions{config: c, sources: []string{file}, log: slog.New(slog.DiscardHandler), err: io.Discard}
	b.SetBytes(size)
	for b.Loop() {
		stories, saw, err := tell(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		if saw.all < benchWorkloads*(benchPods+2) || len(stories) != benchWorkloads/benchBroken {
			b.Fatalf("%d stories of %s", len(stories), saw)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/tell")
}

// writeCluster writes a list as kubectl does and returns its size in bytes.
func writeCluster(tb testing.TB, file string) int64 {
	f, err := os.Create(file)
	if err != nil {
		tb.Fatal(err)
	}
	w := bufio.NewWriter(f)
	fmt.Fprint(w, `{"apiVersion":"v1","kind":"List","items":[`)
	first := true
	add := func(o any) {
		if !first {
			fmt.Fprint(w, ",")
		}
		first = false
		data, err := json.MarshalIndent(o, "        ", "    ") // as kubectl indents
		if err != nil {
			tb.Fatal(err)
		}
		w.Write(data)
	}
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for i := range benchNodes {
		add(benchNode(i, now))
	}
	for i := range benchWorkloads {
		deployment, replicaSet := benchWorkload(i, now)
		add(deployment)
		add(replicaSet)
		for j := range benchPods {
			add(benchPod(i, j, now))
		}
	}
	fmt.Fprint(w, "]}")
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
	return info.Size()
}

func benchMeta(kind, name string, now time.Time) (metav1.TypeMeta, metav1.ObjectMeta) {
	version := "v1"
	if kind == "Deployment" || kind == "ReplicaSet" {
		version = "apps/v1"
	}
	return metav1.TypeMeta{Kind: kind, APIVersion: version}, metav1.ObjectMeta{
		Name: name, Namespace: "shop", UID: types.UID(kind + "-" + name), CreationTimestamp: metav1.NewTime(now.Add(-24 * time.Hour)), ResourceVersion: "1",
	}
}

func benchNode(i int, now time.Time) *corev1.Node {
	n := &corev1.Node{}
	n.TypeMeta, n.ObjectMeta = benchMeta("Node", fmt.Sprintf("node-%d", i), now)
	n.Namespace = ""
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: metav1.NewTime(now), LastTransitionTime: metav1.NewTime(now.Add(-24 * time.Hour))}}
	for j := range 50 {
		n.Status.Images = append(n.Status.Images, corev1.ContainerImage{Names: []string{fmt.Sprintf("registry.example.com/app-%d@sha256:%064d", j, j)}, SizeBytes: 1 << 28})
	}
	return n
}

func benchWorkload(i int, now time.Time) (*appsv1.Deployment, *appsv1.ReplicaSet) {
	name := fmt.Sprintf("app-%d", i)
	pod := benchPod(i, 0, now)
	replicas := int32(benchPods)
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
	d := &appsv1.Deployment{}
	d.TypeMeta, d.ObjectMeta = benchMeta("Deployment", name, now)
	d.Spec = appsv1.DeploymentSpec{Replicas: &replicas, Selector: selector, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec}}
	ready := replicas
	if i%benchBroken == 0 {
		ready = 0
	}
	d.Status = appsv1.DeploymentStatus{Replicas: replicas, ReadyReplicas: ready, UpdatedReplicas: replicas, AvailableReplicas: ready, UnavailableReplicas: replicas - ready}
	rs := &appsv1.ReplicaSet{}
	rs.TypeMeta, rs.ObjectMeta = benchMeta("ReplicaSet", name+"-5f6d", now)
	rs.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: name, UID: d.UID, Controller: new(true)}}
	rs.Annotations = map[string]string{"deployment.kubernetes.io/revision": "3"}
	rs.Spec = appsv1.ReplicaSetSpec{Replicas: &replicas, Selector: selector, Template: d.Spec.Template}
	rs.Status = appsv1.ReplicaSetStatus{Replicas: replicas, ReadyReplicas: ready}
	return d, rs
}

// benchPod is about as large as a pod of a real service, some 5 KB.
func benchPod(i, j int, now time.Time) *corev1.Pod {
	name := fmt.Sprintf("app-%d", i)
	p := &corev1.Pod{}
	p.TypeMeta, p.ObjectMeta = benchMeta("Pod", fmt.Sprintf("%s-5f6d-%d", name, j), now)
	p.Labels = map[string]string{"app": name, "pod-template-hash": "5f6d", "team": "shop", "version": "4.2.0"}
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: name + "-5f6d", UID: types.UID("ReplicaSet-" + name + "-5f6d"), Controller: new(true)}}
	memory := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi"), corev1.ResourceCPU: resource.MustParse("100m")}
	c := corev1.Container{
		Name: "app", Image: "registry.example.com/" + name + ":4.2.0", Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
		Resources:      corev1.ResourceRequirements{Limits: memory, Requests: memory},
		VolumeMounts:   []corev1.VolumeMount{{Name: "token", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz"}}},
	}
	for k := range 20 {
		c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", k), Value: "a value of some length"})
	}
	p.Spec = corev1.PodSpec{NodeName: fmt.Sprintf("node-%d", (i*benchPods+j)%benchNodes), RestartPolicy: corev1.RestartPolicyAlways, Containers: []corev1.Container{c}}
	started := metav1.NewTime(now.Add(-24 * time.Hour))
	ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: started}
	status := corev1.ContainerStatus{
		Name: "app", Image: c.Image, ImageID: fmt.Sprintf("sha256:%064d", i), ContainerID: fmt.Sprintf("containerd://%d-%d", i, j),
		Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
	}
	if i%benchBroken == 0 {
		ready.Status, ready.Reason, ready.LastTransitionTime = corev1.ConditionFalse, "ContainersNotReady", metav1.NewTime(now.Add(-time.Minute))
		status.Ready, status.RestartCount = false, 4
		status.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 1m20s restarting failed container"}}
		status.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: 137, Reason: "OOMKilled", ContainerID: status.ContainerID,
			StartedAt: metav1.NewTime(now.Add(-90 * time.Second)), FinishedAt: metav1.NewTime(now.Add(-time.Minute)),
		}
	}
	p.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: "10.0.0.1", PodIP: "10.1.0.1", StartTime: &started,
		Conditions:        []corev1.PodCondition{ready, {Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: started}},
		ContainerStatuses: []corev1.ContainerStatus{status},
	}
	return p
}
