package kubernetes

import (
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"unique"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/yairfalse/tapio"
)

// internLimit bounds each table of an interner, in entries: several times the
// workloads of a large cluster. A table that is full is begun anew; what it
// shared stays with those that hold it.
const internLimit = 1 << 14

// specLimit bounds the tables of specs, which are some 10 KB each.
const specLimit = internLimit / 2

// interner lets cached pods share what they have in common. The pods of one
// workload have the same labels and the same spec but for the node, and with
// environment, probes and mounts a spec is most of a pod.
type interner struct {
	mu        sync.Mutex
	labels    map[string]map[string]string
	resources map[string]corev1.ResourceList
	specs     map[[sha256.Size]byte]*corev1.PodSpec
	// told holds what is told of a spec by the first of its containers: specs
	// that share it are one. As a key it also keeps that address from being
	// used again.
	told map[*corev1.Container]*tapio.PodSpec
}

func newInterner() *interner {
	return &interner{
		labels:    make(map[string]map[string]string),
		resources: make(map[string]corev1.ResourceList),
		specs:     make(map[[sha256.Size]byte]*corev1.PodSpec),
		told:      make(map[*corev1.Container]*tapio.PodSpec),
	}
}

// spec returns what is told of the pod's spec: for all pods that share it the
// same.
func (n *interner) spec(p *corev1.Pod, told *tapio.PodSpec) *tapio.PodSpec {
	if len(p.Spec.Containers) == 0 {
		return told
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	key := &p.Spec.Containers[0]
	if shared, ok := n.told[key]; ok {
		return shared
	}
	if len(n.told) >= specLimit {
		clear(n.told)
	}
	n.told[key] = told
	return told
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
	node := p.Spec.NodeName
	p.Spec.NodeName = ""
	n.podSpec(&p.Spec)
	p.Spec.NodeName = node
}

// podSpec makes a spec without its node share.
func (n *interner) podSpec(s *corev1.PodSpec) {
	data, err := s.Marshal()
	if err != nil { // what was decoded can be encoded
		return
	}
	key := sha256.Sum256(data)
	if shared, ok := n.specs[key]; ok {
		*s = *shared
		return
	}
	for _, containers := range [][]corev1.Container{s.InitContainers, s.Containers} {
		for i := range containers {
			c := &containers[i]
			c.Name, c.Image = unique.Make(c.Name).Value(), unique.Make(c.Image).Value()
			c.Resources.Limits = n.list(c.Resources.Limits)
			c.Resources.Requests = n.list(c.Resources.Requests)
		}
	}
	if len(n.specs) >= specLimit {
		clear(n.specs)
	}
	own := *s
	n.specs[key] = &own
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
