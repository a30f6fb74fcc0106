package kubernetes

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// byOwner is the index of ReplicaSets by the UID of their controller.
const byOwner = "owner"

func ownerIndex(object any) ([]string, error) {
	m, ok := object.(metav1.Object)
	if !ok {
		return nil, nil
	}
	if owner := metav1.GetControllerOf(m); owner != nil {
		return []string{string(owner.UID)}, nil
	}
	return nil, nil
}

// caches answers what facts has to know of other objects, from the informers'
// own caches. It is filled before the informers start and only read afterwards.
// What it returns belongs to the caches and is not to be changed.
type caches map[string][]cache.Indexer // by resource; one for each namespace watched

// ReplicaSets returns the ReplicaSets that an owner controls. Objects of a live
// cluster always have a UID, so the name is not needed.
func (c caches) ReplicaSets(_ string, owner types.UID, _ string) []*appsv1.ReplicaSet {
	var sets []*appsv1.ReplicaSet
	for _, indexer := range c["replicasets"] {
		found, err := indexer.ByIndex(byOwner, string(owner))
		if err != nil {
			continue // the index exists: newSource adds it
		}
		for _, object := range found {
			if set, ok := object.(*appsv1.ReplicaSet); ok {
				sets = append(sets, set)
			}
		}
	}
	return sets
}

// Deployment returns a Deployment, or nil where none of the name is known.
func (c caches) Deployment(namespace, name string) *appsv1.Deployment {
	deployment, _ := c.get("deployments", namespace, name).(*appsv1.Deployment)
	return deployment
}

// get returns an object of a resource, or nil.
func (c caches) get(resource, namespace, name string) any {
	key := cache.NewObjectName(namespace, name).String()
	for _, indexer := range c[resource] {
		if object, ok, err := indexer.GetByKey(key); err == nil && ok {
			return object
		}
	}
	return nil
}
