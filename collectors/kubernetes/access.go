package kubernetes

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// checkTimeout bounds [Collector.Check]: a person waits for it.
	checkTimeout = 10 * time.Second
	// reviewsAtOnce is how many access reviews are asked for at the same time:
	// the 41 of a cluster-wide start take six round trips.
	reviewsAtOnce = 8
)

// ErrPodsUnreadable is returned by [Collector.Check] and [Collector.Run] where
// the credentials may not list and watch pods. All else is optional.
var ErrPodsUnreadable = errors.New("pods can't be read")

// Check asks the API server, within 10 seconds, whether it answers and what the
// collector may read there. It returns an error that says what to look at where
// the server doesn't answer or pods can't be read. What else can't be read is
// left out, and [Collector.Missing] says so. Run calls Check itself unless it
// has succeeded before.
func (c *Collector) Check(ctx context.Context) error {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := c.core.Get().AbsPath("/version").Do(ctx).Error(); err != nil && !apierrors.IsForbidden(err) {
		return c.explain(parent, err)
	}
	kinds := kinds()
	served, err := c.served(ctx, kinds)
	if err != nil {
		return c.explain(parent, err)
	}

	type question struct {
		kind      *kind
		namespace string
		resource  string
		sub       string
		verb      string
		denied    bool
	}
	var asked []*question
	for i := range kinds {
		k := &kinds[i]
		if !served[k.group][k.resource] {
			continue
		}
		for _, namespace := range c.scopes(k) {
			for _, verb := range []string{"list", "watch"} {
				asked = append(asked, &question{kind: k, namespace: namespace, resource: k.resource, verb: verb})
			}
		}
	}
	for _, namespace := range c.namespaces {
		asked = append(asked, &question{namespace: namespace, resource: "pods", sub: "log", verb: "get"})
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(reviewsAtOnce)
	for _, q := range asked {
		group.Go(func() error {
			attributes := &authorizationv1.ResourceAttributes{
				Namespace: q.namespace, Verb: q.verb, Resource: q.resource, Subresource: q.sub, Version: "v1",
			}
			if q.kind != nil {
				attributes.Group, attributes.Version = q.kind.group.Group, q.kind.group.Version
			}
			allowed, err := c.allowed(groupCtx, attributes)
			q.denied = !allowed
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return c.explain(parent, fmt.Errorf("ask what may be read: %w", err))
	}

	var missing []string
	var scoped []scopedKind
	denied := func(k *kind, namespace string) (verbs []string) {
		for _, q := range asked {
			if q.kind == k && q.namespace == namespace && q.denied {
				verbs = append(verbs, q.verb)
			}
		}
		return verbs
	}
	for i := range kinds {
		k := &kinds[i]
		if !served[k.group][k.resource] {
			missing = append(missing, fmt.Sprintf("%s: this cluster doesn't serve %s — %s", k.resource, k.group, k.lacks))
			continue
		}
		for _, namespace := range c.scopes(k) {
			verbs := denied(k, namespace)
			switch {
			case len(verbs) == 0:
				scoped = append(scoped, scopedKind{*k, namespace})
			case k.resource == "pods":
				return fmt.Errorf("%w%s: the credentials lack %s on pods at %s; bind them to a role that may get, list and watch pods",
					ErrPodsUnreadable, in(namespace), strings.Join(verbs, " and "), c.host)
			default:
				missing = append(missing, fmt.Sprintf("%s%s: %s — %s", k.resource, in(namespace), strings.Join(verbs, ", "), k.lacks))
			}
		}
	}
	logs := make(map[string]bool)
	for _, namespace := range c.namespaces {
		logs[namespace] = len(denied(nil, namespace)) == 0
		if !logs[namespace] {
			missing = append(missing, fmt.Sprintf("pods/log%s: get — crash stories lack the last log lines", in(namespace)))
		}
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.scoped, c.logs, c.missing, c.checked = scoped, logs, missing, true
	return nil
}

// in names a namespace within a message, or nothing for all of them.
func in(namespace string) string {
	if namespace == metav1.NamespaceAll {
		return ""
	}
	return " in namespace " + namespace
}

// scopes returns the namespaces that the kind is watched in, one watch each;
// the empty one stands for the whole cluster.
func (c *Collector) scopes(k *kind) []string {
	if k.resource == "leases" {
		return []string{leaseNamespace}
	}
	if k.namespaced {
		return c.namespaces
	}
	return []string{metav1.NamespaceAll}
}

func (c *Collector) allowed(ctx context.Context, attributes *authorizationv1.ResourceAttributes) (bool, error) {
	review, err := c.reviews.Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}

// served asks which resources the API server has, for each group version of
// the kinds. A group that the credentials may not look at counts as served.
func (c *Collector) served(ctx context.Context, kinds []kind) (map[schema.GroupVersion]map[string]bool, error) {
	served := make(map[schema.GroupVersion]map[string]bool)
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(reviewsAtOnce)
	for _, k := range kinds {
		if served[k.group] != nil {
			continue
		}
		resources := make(map[string]bool)
		served[k.group] = resources
		group.Go(func() error {
			list := new(metav1.APIResourceList)
			err := c.core.Get().AbsPath(k.apiPath(), k.group.String()).Do(ctx).Into(list)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case apierrors.IsNotFound(err):
				return nil
			case apierrors.IsForbidden(err):
				for _, other := range kinds {
					resources[other.resource] = true
				}
				return nil
			case err != nil:
				return fmt.Errorf("ask for the resources of %s: %w", k.group, err)
			}
			for _, r := range list.APIResources {
				resources[r.Name] = true
			}
			return nil
		})
	}
	return served, group.Wait()
}

// explain turns a failed first contact into an error that says what to look at.
func (c *Collector) explain(parent context.Context, err error) error {
	if parent.Err() != nil {
		return parent.Err()
	}
	var (
		hint      string
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case apierrors.IsUnauthorized(err):
		hint = "the API server refuses the credentials: check the user of the kubeconfig context, or the service account's token"
	case apierrors.IsForbidden(err):
		hint = "the credentials may not ask what they may read: they need to create selfsubjectaccessreviews, as every authenticated user normally may"
	case errors.As(err, &dns):
		hint = "the name can't be resolved: check the server address in the kubeconfig and this machine's DNS"
	case errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid):
		hint = "the certificate is not the one expected: check certificate-authority and server in the kubeconfig"
	case errors.Is(err, context.DeadlineExceeded):
		hint = fmt.Sprintf("no answer within %s: check the server address, the route or VPN to it, and any proxy or NetworkPolicy in between", checkTimeout)
	case strings.Contains(err.Error(), "connection refused"):
		hint = "nothing listens there: check that the cluster runs and that the kubeconfig context is the right one"
	default:
		hint = "check that the cluster runs and that the kubeconfig context is the right one"
	}
	return fmt.Errorf("reach the Kubernetes API at %s: %w (%s)", c.host, err, hint)
}
