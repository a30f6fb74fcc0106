package facts

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/yairfalse/tapio"
)

// clusterCA is a ConfigMap that Kubernetes puts into every namespace and mounts
// into every pod: it says nothing about a workload.
const clusterCA = "kube-root-ca.crt"

// refersTo reports whether a volume names a ConfigMap, a Secret or a claim.
func refersTo(v *corev1.Volume) bool {
	switch {
	case v.ConfigMap != nil, v.Secret != nil, v.PersistentVolumeClaim != nil, v.Ephemeral != nil:
		return true
	case v.Projected != nil:
		for i := range v.Projected.Sources {
			s := &v.Projected.Sources[i]
			if s.Secret != nil || s.ConfigMap != nil && s.ConfigMap.Name != clusterCA {
				return true
			}
		}
	}
	return false
}

// references returns the ConfigMaps, Secrets, claims and the service account
// that a pod names, sorted, each once.
func references(p *corev1.Pod) []tapio.Entity {
	var out []tapio.Entity
	add := func(kind tapio.Kind, name string) {
		if name != "" && (kind != tapio.KindConfigMap || name != clusterCA) {
			out = append(out, tapio.Entity{Kind: kind, Namespace: p.Namespace, Name: name})
		}
	}
	add(tapio.KindServiceAccount, p.Spec.ServiceAccountName)
	for i := range p.Spec.ImagePullSecrets {
		add(tapio.KindSecret, p.Spec.ImagePullSecrets[i].Name)
	}
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		switch {
		case v.ConfigMap != nil:
			add(tapio.KindConfigMap, v.ConfigMap.Name)
		case v.Secret != nil:
			add(tapio.KindSecret, v.Secret.SecretName)
		case v.PersistentVolumeClaim != nil:
			add(tapio.KindPersistentVolumeClaim, v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil:
			add(tapio.KindPersistentVolumeClaim, p.Name+"-"+v.Name)
		case v.Projected != nil:
			for j := range v.Projected.Sources {
				s := &v.Projected.Sources[j]
				if s.ConfigMap != nil {
					add(tapio.KindConfigMap, s.ConfigMap.Name)
				}
				if s.Secret != nil {
					add(tapio.KindSecret, s.Secret.Name)
				}
			}
		}
	}
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			for j := range list[i].EnvFrom {
				e := &list[i].EnvFrom[j]
				if e.ConfigMapRef != nil {
					add(tapio.KindConfigMap, e.ConfigMapRef.Name)
				}
				if e.SecretRef != nil {
					add(tapio.KindSecret, e.SecretRef.Name)
				}
			}
			for j := range list[i].Env {
				from := list[i].Env[j].ValueFrom
				if from == nil {
					continue
				}
				if from.ConfigMapKeyRef != nil {
					add(tapio.KindConfigMap, from.ConfigMapKeyRef.Name)
				}
				if from.SecretKeyRef != nil {
					add(tapio.KindSecret, from.SecretKeyRef.Name)
				}
			}
		}
	}
	slices.SortFunc(out, tapio.Entity.Compare)
	return slices.Compact(out)
}
