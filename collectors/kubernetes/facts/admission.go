package facts

import (
	"net/url"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/yairfalse/tapio"
)

func validatingWebhookState(c *admissionv1.ValidatingWebhookConfiguration) tapio.State {
	s := base(tapio.KindValidatingWebhook, c)
	s.Webhook = &tapio.WebhookState{}
	for i := range c.Webhooks {
		h := &c.Webhooks[i]
		s.Webhook.Hooks = append(s.Webhook.Hooks, webhook(h.Name, &h.ClientConfig, h.FailurePolicy))
	}
	return s
}

func mutatingWebhookState(c *admissionv1.MutatingWebhookConfiguration) tapio.State {
	s := base(tapio.KindMutatingWebhook, c)
	s.Webhook = &tapio.WebhookState{}
	for i := range c.Webhooks {
		h := &c.Webhooks[i]
		s.Webhook.Hooks = append(s.Webhook.Hooks, webhook(h.Name, &h.ClientConfig, h.FailurePolicy))
	}
	return s
}

func webhook(name string, c *admissionv1.WebhookClientConfig, policy *admissionv1.FailurePolicyType) tapio.Webhook {
	w := tapio.Webhook{Name: name, Policy: string(admissionv1.Fail)}
	if policy != nil {
		w.Policy = string(*policy)
	}
	if c.Service != nil {
		w.Service = reference(tapio.KindService, c.Service.Namespace, c.Service.Name)
	}
	if c.URL != nil {
		if u, err := url.Parse(*c.URL); err == nil {
			w.Host = u.Host
		}
	}
	return w
}

// stripWebhook keeps of a hook what is called and what its failure means. Its
// certificate goes.
func stripWebhook(c *admissionv1.WebhookClientConfig) { c.CABundle = nil }

func limitState(l *corev1.LimitRange) tapio.State {
	s := base(tapio.KindLimitRange, l)
	s.Limit = &tapio.LimitState{Limits: map[string]string{}}
	for i := range l.Spec.Limits {
		item := &l.Spec.Limits[i]
		for word, list := range map[string]corev1.ResourceList{"max": item.Max, "min": item.Min, "ratio": item.MaxLimitRequestRatio} {
			for name, q := range list {
				s.Limit.Limits[string(item.Type)+"."+word+"."+string(name)] = q.String()
			}
		}
	}
	return s
}

func limitEvents(t *teller, old, new *corev1.LimitRange) {
	edited(t, tapio.QuotaChanged, tapio.KindLimitRange, old, new, func(l *corev1.LimitRange) any { return l.Spec })
}
