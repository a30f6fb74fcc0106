package kubernetes

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// realisticPod is a pod as an API server sends it: two containers with probes,
// environment and mounts, status, managed fields; some 8 KiB of protobuf.
func realisticPod(i int) *corev1.Pod {
	workload, started := i/20, metav1.NewTime(time.Date(2026, 3, 1, 12, 0, i%3600, 0, time.UTC))
	hash := fmt.Sprintf("%010x", workload*7919)
	name := fmt.Sprintf("service-%d-%s-%05d", workload, hash, i)
	yes := true
	container := func(name string) corev1.Container {
		c := corev1.Container{
			Name: name, Image: fmt.Sprintf("registry.example.com/team-%d/service-%d/%s:v1.%d.0", workload%20, workload, name, workload%7),
			Args:            []string{"--config=/etc/service/config.yaml", "--log-level=info", "--listen=:8080"},
			Ports:           []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
			ImagePullPolicy: corev1.PullIfNotPresent, TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: corev1.TerminationMessageReadFile,
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
			},
			VolumeMounts: []corev1.VolumeMount{
				{Name: "config", MountPath: "/etc/service"}, {Name: "data", MountPath: "/var/lib/service"},
				{Name: "kube-api-access-x2v4k", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true},
			},
		}
		probe := &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromString("http"), Scheme: "HTTP"}},
			PeriodSeconds: 10, TimeoutSeconds: 1, SuccessThreshold: 1, FailureThreshold: 3,
		}
		c.LivenessProbe, c.ReadinessProbe = probe, probe
		for e := range 20 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_NUMBER_%d", e), Value: fmt.Sprintf("value-%d-of-service-%d", e, workload)})
		}
		c.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: fmt.Sprintf("service-%d", workload)}}}}
		return c
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, GenerateName: fmt.Sprintf("service-%d-%s-", workload, hash), Namespace: fmt.Sprintf("team-%d", workload%20),
			UID: types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i)), ResourceVersion: fmt.Sprint(1000000 + i), CreationTimestamp: started,
			Labels: map[string]string{
				"app.kubernetes.io/name": fmt.Sprintf("service-%d", workload), "app.kubernetes.io/instance": fmt.Sprintf("service-%d", workload),
				"app.kubernetes.io/managed-by": "Helm", "team": fmt.Sprintf("team-%d", workload%20), "pod-template-hash": hash,
			},
			Annotations: map[string]string{
				"checksum/config": fmt.Sprintf("%064x", workload), "prometheus.io/scrape": "true", "prometheus.io/port": "8080",
				"tapio.dev/team": fmt.Sprintf("team-%d", workload%20),
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: fmt.Sprintf("service-%d-%s", workload, hash),
				UID: types.UID(fmt.Sprintf("00000000-0000-4000-9000-%012d", workload)), Controller: &yes, BlockOwnerDeletion: &yes,
			}},
			ManagedFields: []metav1.ManagedFieldsEntry{
				{Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &started, FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: make([]byte, 2500)}},
				{Manager: "kubelet", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &started, FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: make([]byte, 1200)}, Subresource: "status"},
			},
		},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{container("app"), container("proxy")}, InitContainers: []corev1.Container{container("migrate")},
			NodeName: fmt.Sprintf("node-%d", i%300), ServiceAccountName: "default", RestartPolicy: corev1.RestartPolicyAlways,
			SchedulerName: "default-scheduler", DNSPolicy: corev1.DNSClusterFirst,
			Tolerations: []corev1.Toleration{
				{Key: "node.kubernetes.io/not-ready", Operator: "Exists", Effect: "NoExecute"},
				{Key: "node.kubernetes.io/unreachable", Operator: "Exists", Effect: "NoExecute"},
			},
			Volumes: []corev1.Volume{
				{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: fmt.Sprintf("service-%d", workload)}}}},
				{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "kube-api-access-x2v4k", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
					{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
					{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}}},
				}}}},
			},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, HostIP: "10.0.0.1", PodIP: fmt.Sprintf("10.244.%d.%d", i/250%250, i%250), StartTime: &started, QOSClass: corev1.PodQOSBurstable},
	}
	for _, condition := range []corev1.PodConditionType{"PodReadyToStartContainers", corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: condition, Status: corev1.ConditionTrue, LastTransitionTime: started})
	}
	for _, c := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: c.Image + fmt.Sprintf("@sha256:%064x", workload), ContainerID: fmt.Sprintf("containerd://%064x", i),
			Ready: true, Started: &yes, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
		})
	}
	return pod
}

// sent encodes and decodes a pod, as the wire does: no two share a string.
func sent(tb testing.TB, pod *corev1.Pod) *corev1.Pod {
	raw, err := pod.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	decoded := new(corev1.Pod)
	if err := decoded.Unmarshal(raw); err != nil {
		tb.Fatal(err)
	}
	return decoded
}

// BenchmarkHeap fills the collector's own informer for pods and reports what
// stays on the heap, in bytes for 1,000 pods: its cache alone, after the
// observations have gone.
func BenchmarkHeap(b *testing.B) {
	for _, pods := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("pods=%d", pods), func(b *testing.B) {
			for b.Loop() {
				before := heap()
				c, stop := filled(b, pods)
				after := heap()
				b.ReportMetric(float64(after-before)/float64(pods)*1000, "heap-B/1000-pods")
				if got := len(c.caches["pods"][0].ListKeys()); got != pods {
					b.Fatalf("%d pods cached, want %d", got, pods)
				}
				stop()
			}
		})
	}
}

func heap() int64 {
	for range 3 { // pools keep what they hold over one collection
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// filled runs the informer for pods against a list of them, until all were
// reported.
func filled(b *testing.B, pods int) (*Collector, func()) {
	c, err := New(Options{Config: &rest.Config{Host: "127.0.0.1:1"}})
	if err != nil {
		b.Fatal(err)
	}
	list := &cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (apiruntime.Object, error) {
			list := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
			for i := range pods {
				list.Items = append(list.Items, *sent(b, realisticPod(i)))
			}
			return list, nil
		},
		WatchFuncWithContext: func(_ context.Context, options metav1.ListOptions) (watch.Interface, error) {
			if options.SendInitialEvents != nil {
				return nil, fmt.Errorf("streamed listings are not served here")
			}
			return watch.NewFake(), nil
		},
	}
	var pod kind
	for _, k := range kinds() {
		if k.resource == "pods" {
			pod = k
		}
	}
	s, err := c.source(scopedKind{pod, ""}, list)
	if err != nil {
		b.Fatal(err)
	}
	c.caches["pods"] = []cache.Indexer{s.informer.GetIndexer()}
	ctx, cancel := context.WithCancel(context.Background())
	out := make(chan tapio.Observation)
	ended := make(chan struct{}, 2)
	go func() { s.informer.RunWithContext(ctx); ended <- struct{}{} }()
	go func() { c.queue.run(ctx, out); ended <- struct{}{} }()
	for range pods {
		<-out
	}
	return c, func() { cancel(); <-ended; <-ended }
}
