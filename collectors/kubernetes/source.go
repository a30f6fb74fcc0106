package kubernetes

import (
	"context"
	"fmt"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/kubernetes/facts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// listingPatience is how long a kind may take to be listed while others can be:
// several times what the largest of them takes in a healthy cluster.
const listingPatience = 2 * time.Minute

// source is the informer of one kind in one namespace, or in all of them.
type source struct {
	scopedKind
	informer cache.SharedIndexInformer
	handler  cache.ResourceEventHandlerRegistration
	contact  *contact
}

// sources makes an informer for all that may be read.
func (c *Collector) sources() ([]*source, error) {
	c.mu.Lock()
	scoped := c.scoped
	c.mu.Unlock()
	sources := make([]*source, 0, len(scoped))
	for _, k := range scoped {
		requests, err := c.requests(k)
		if err != nil {
			return nil, err
		}
		s, err := c.source(k, requests)
		if err != nil {
			return nil, fmt.Errorf("informer for %s: %w", k.resource, err)
		}
		sources = append(sources, s)
		c.caches[k.resource] = append(c.caches[k.resource], s.informer.GetIndexer())
	}
	return sources, nil
}

// requests returns how the kind is listed and watched.
func (c *Collector) requests(k scopedKind) (*cache.ListWatch, error) {
	if k.metadata {
		client := c.metadata.Resource(k.group.WithResource(k.resource)).Namespace(k.namespace)
		return &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				return client.List(ctx, options)
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				return client.Watch(ctx, options)
			},
		}, nil
	}
	if _, untyped := k.object.(*unstructured.Unstructured); untyped {
		client := c.dynamic.Resource(k.group.WithResource(k.resource)).Namespace(k.namespace)
		return &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				return client.List(ctx, options)
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				return client.Watch(ctx, options)
			},
		}, nil
	}
	client, err := c.client(k.group, k.apiPath())
	if err != nil {
		return nil, err
	}
	return cache.NewListWatchFromClient(client, k.resource, k.namespace, fields.Everything()), nil
}

func (c *Collector) source(k scopedKind, requests *cache.ListWatch) (*source, error) {
	s := &source{scopedKind: k, contact: &contact{resource: k.resource, bound: c.bound}}
	log := c.log.With("resource", k.resource)
	c.metrics.watch(k, s.contact.up)
	errors := c.metrics.watchErrors.WithLabelValues(k.resource)
	o := &observer{
		contact: s.contact,
		gap: func(gap *tapio.Gap) {
			c.gaps.Do(func() { log.Warn("changes may be missing", "from", gap.From, "to", gap.To, "reason", gap.Reason) })
			c.queue.put(tapio.Observation{Gap: gap})
		},
		failed: func(cause string, long bool) {
			errors.Inc()
			log.Debug("watch lost", "cause", cause)
			if long {
				c.outages.Do(func() { log.Warn("no contact with the API server, retrying", "host", c.host, "cause", cause) })
			}
		},
	}
	indexers := cache.Indexers{}
	if k.resource == "replicasets" {
		indexers[byOwner] = ownerIndex
	}
	s.informer = cache.NewSharedIndexInformer(o.observe(requests), k.object, 0, indexers)
	if err := s.informer.SetTransform(c.transform); err != nil {
		return nil, err
	}
	// The observer has told it already.
	if err := s.informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {}); err != nil {
		return nil, err
	}
	var err error
	s.handler, err = s.informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(new any, listed bool) { c.tell(nil, object(new), listed) },
		UpdateFunc: func(old, new any) {
			c.tell(object(old), object(new), false)
		},
		DeleteFunc: func(old any) {
			if gone, ok := old.(cache.DeletedFinalStateUnknown); ok { // found to be gone by a listing
				old = gone.Obj
			}
			c.tell(object(old), nil, false)
		},
	})
	return s, err
}

// transform strips an object before it is cached, and lets pods share what they
// have in common. An object that it can't
// strip is not cached, rather than ending the process.
func (c *Collector) transform(o any) (stripped any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("strip %T: %v", o, r)
			c.metrics.unreadable.WithLabelValues("strip").Inc()
			c.log.Error("an object can't be read", "error", err)
		}
	}()
	stripped, err = facts.Strip(o)
	if pod, ok := stripped.(*corev1.Pod); ok && err == nil {
		c.shared.pod(pod)
	}
	return stripped, err
}

// tell reports what changed from old to new. One object that facts can't read
// costs its own observations, not the process.
func (c *Collector) tell(old, new runtime.Object, listed bool) {
	if old == nil && new == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			c.metrics.unreadable.WithLabelValues("convert").Inc()
			c.log.Error("an object can't be read", "type", fmt.Sprintf("%T", new), "panic", r)
		}
	}()
	observations := facts.Between(old, new, now(), listed, c.caches)
	if pod, ok := new.(*corev1.Pod); ok {
		for i := range observations {
			if s := observations[i].State; s != nil && s.Pod != nil {
				s.Pod.Spec = c.shared.spec(pod, s.Pod.Spec)
			}
		}
	}
	if listed {
		c.queue.putWaiting(observations...)
	} else {
		c.queue.put(observations...)
	}
}

// await waits until all of the sources are listed and reported. It returns
// those that it gave up on: what is not listed while the API server lists
// others. Pods are never given up on.
func (c *Collector) await(ctx context.Context, sources []*source) (late []*source) {
	for {
		limited, cancel := context.WithTimeout(ctx, listingPatience)
		late = nil
		anyUp, pods := false, false
		for _, s := range sources {
			select {
			case <-s.handler.HasSyncedChecker().Done():
			case <-limited.Done():
				if !cache.IsDone(s.handler.HasSyncedChecker()) {
					late = append(late, s)
					pods = pods || s.phase == phasePods
				}
			}
			anyUp = anyUp || s.contact.up()
		}
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if len(late) == 0 || anyUp && !pods {
			return late
		}
	}
}
