package facts

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/yairfalse/tapio"
)

// annotationService names the business service that an object is part of.
const annotationService = "tapio.dev/service"

// podContext returns the background of an event of a pod, or of one of its
// containers where that is given.
func (t *teller) podContext(p *corev1.Pod, c *corev1.Container) *tapio.KubernetesContext {
	k := &tapio.KubernetesContext{
		BusinessService: p.Annotations[annotationService],
		HealthStatus:    "failing",
	}
	if podCondition(p, corev1.PodReady).Status == corev1.ConditionTrue {
		k.HealthStatus = "degraded" // it works, but something of it failed
	}
	for _, e := range references(p) {
		if e.Kind != tapio.KindServiceAccount {
			k.DependsOn = append(k.DependsOn, string(e.Kind)+"/"+e.Name)
		}
	}
	if c != nil {
		k.ResourceRequests, k.ResourceLimits = given(c.Resources.Requests), given(c.Resources.Limits)
	} else {
		k.ResourceRequests = given(podRequests(p))
	}
	own := owner(p)
	if own.IsZero() {
		return k
	}
	k.WorkloadType = string(own.Kind)
	k.OwnerChain = []string{string(own.Kind) + "/" + own.Name}
	if own.Kind != tapio.KindReplicaSet {
		return k
	}
	// The controller of Deployments names a ReplicaSet after the Deployment and
	// the hash of its template, and puts that hash on the pods.
	name, ok := strings.CutSuffix(own.Name, "-"+p.Labels["pod-template-hash"])
	if !ok || name == own.Name || name == "" {
		return k
	}
	k.WorkloadType = string(tapio.KindDeployment)
	k.OwnerChain = []string{k.WorkloadType + "/" + name, k.OwnerChain[0]}
	if d := t.deployment(p.Namespace, name); d != nil {
		k.DeploymentStrategy = string(d.Spec.Strategy.Type)
		replicas := deploymentReplicas(d)
		k.ReplicaStatus = &replicas
		if k.BusinessService == "" {
			k.BusinessService = d.Annotations[annotationService]
		}
	}
	return k
}

func (t *teller) deployment(namespace, name string) *appsv1.Deployment {
	if t.related == nil {
		return nil
	}
	return t.related.Deployment(namespace, name)
}

// given returns the CPU and memory of a list, or nil where it names neither.
func given(list corev1.ResourceList) *tapio.Resources {
	r := amounts(list)
	if r == (tapio.Resources{}) {
		return nil
	}
	return &r
}

// podRequests returns the CPU and memory that the scheduler must find for a
// pod: the sum of its containers and sidecars, or its largest init container
// where that asks for more.
func podRequests(p *corev1.Pod) corev1.ResourceList {
	out := make(corev1.ResourceList, 2)
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		var sum, largest resource.Quantity
		for i := range p.Spec.Containers {
			sum.Add(p.Spec.Containers[i].Resources.Requests[name])
		}
		for i := range p.Spec.InitContainers {
			c := &p.Spec.InitContainers[i]
			q := c.Resources.Requests[name]
			if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
				sum.Add(q)
			} else if q.Cmp(largest) > 0 {
				largest = q
			}
		}
		if largest.Cmp(sum) > 0 {
			sum = largest
		}
		if !sum.IsZero() {
			out[name] = sum
		}
	}
	return out
}

// workloadContext returns the background of an event of a workload.
func workloadContext(s *tapio.State) *tapio.KubernetesContext {
	replicas := s.Workload.Replicas
	k := &tapio.KubernetesContext{
		WorkloadType:       string(s.Entity.Kind),
		OwnerChain:         []string{string(s.Entity.Kind) + "/" + s.Entity.Name},
		BusinessService:    s.Annotations[annotationService],
		DeploymentStrategy: s.Workload.Strategy,
		ReplicaStatus:      &replicas,
		HealthStatus:       "healthy",
	}
	if !s.Owner.IsZero() {
		k.OwnerChain = append([]string{string(s.Owner.Kind) + "/" + s.Owner.Name}, k.OwnerChain...)
	}
	switch {
	case s.Entity.Kind == tapio.KindJob, s.Entity.Kind == tapio.KindCronJob:
		if s.Workload.Failed {
			k.HealthStatus = "failing"
		}
	case replicas.Desired > 0 && replicas.Available == 0:
		k.HealthStatus = "failing"
	case replicas.Available < replicas.Desired:
		k.HealthStatus = "degraded"
	}
	return k
}
