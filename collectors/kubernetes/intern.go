package kubernetes

import (
	"slices"
	"strings"
	"sync"
	"unique"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// internLimit bounds each table of an interner, in entries: several times the
// workloads of a large cluster. A table that is full is begun anew; what it
// shared stays with those that hold it.
const internLimit = 1 << 14

// interner lets cached pods share what they have in common. The pods of one
// workload have the same labels, images and resources, and each map of
// resources alone costs some 700 bytes.
type interner struct {
	mu        sync.Mutex
	labels    map[string]map[string]string
	resources map[string]corev1.ResourceList
}

func newInterner() *interner {
	return &interner{labels: make(map[string]map[string]string), resources: make(map[string]corev1.ResourceList)}
}

// pod makes p share. What is shared is never changed afterwards.
func (n *interner) pod(p *corev1.Pod) {
	text := func(s *string) { *s = unique.Make(*s).Value() }
	text(&p.Namespace)
	text(&p.Spec.NodeName)
	text(&p.Spec.ServiceAccountName)
	for i := range p.OwnerReferences {
		owner := &p.OwnerReferences[i]
		text(&owner.Kind)
		text(&owner.Name)
		owner.UID = types.UID(unique.Make(string(owner.UID)).Value())
	}
	// Decoding leaves room for more conditions than there are.
	p.Status.Conditions = append(make([]corev1.PodCondition, 0, len(p.Status.Conditions)), p.Status.Conditions...)
	for i := range p.Status.ContainerStatuses {
		text(&p.Status.ContainerStatuses[i].Name)
	}

	n.mu.Lock()
	defer n.mu.Unlock()
	p.Labels = share(n.labels, describe(p.Labels), p.Labels)
	for _, containers := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range containers {
			c := &containers[i]
			text(&c.Name)
			text(&c.Image)
			c.Resources.Limits = n.list(c.Resources.Limits)
			c.Resources.Requests = n.list(c.Resources.Requests)
		}
	}
}

func (n *interner) list(list corev1.ResourceList) corev1.ResourceList {
	plain := make(map[string]string, len(list))
	for name, quantity := range list {
		plain[string(name)] = quantity.String()
	}
	return share(n.resources, describe(plain), list)
}

// share returns the map that the table holds under the key, or m itself, which
// the table holds from then on.
func share[M ~map[K]V, K comparable, V any](table map[string]M, key string, m M) M {
	if len(m) == 0 {
		return nil
	}
	if shared, ok := table[key]; ok {
		return shared
	}
	if len(table) >= internLimit {
		clear(table)
	}
	table[key] = m
	return m
}

// describe writes a map as one string; maps that differ differ in it.
func describe(m map[string]string) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, k := range keys {
		b.WriteString(k)
		b.WriteByte(0)
		b.WriteString(m[k])
		b.WriteByte(0)
	}
	return b.String()
}
