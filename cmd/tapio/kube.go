package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/yairfalse/tapio/cmd/tapio/config"
	"github.com/yairfalse/tapio/collectors/controlplane"
	"github.com/yairfalse/tapio/collectors/kubernetes"
	"github.com/yairfalse/tapio/collectors/relay"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// cluster says which cluster is meant.
type cluster struct{ kubeconfig, context string }

func (c *cluster) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.kubeconfig, "kubeconfig", "", "kubeconfig file; without it KUBECONFIG, ~/.kube/config, or the pod's own service account")
	cmd.Flags().StringVar(&c.context, "context", "", "context of the kubeconfig; without it the current one")
}

// config returns how to reach the cluster. It does not contact it.
func (c *cluster) config() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: c.context})
	config, err := loader.ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New("no cluster to talk to: there is no kubeconfig and this is no pod; name one with --kubeconfig FILE, or see `tapio demo`")
	case err != nil:
		return nil, fmt.Errorf("read kubeconfig: %w; check --kubeconfig and --context", err)
	}
	return config, nil
}

// name returns the name of the cluster in the kubeconfig, for stories where
// the config gives none. It is empty inside a pod.
func (c *cluster) name() string {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.kubeconfig
	raw, err := rules.Load()
	if err != nil {
		return ""
	}
	context := c.context
	if context == "" {
		context = raw.CurrentContext
	}
	if x := raw.Contexts[context]; x != nil {
		return x.Cluster
	}
	return ""
}

// newCollector makes the collector and asks the cluster once whether it
// answers, so that a wrong address is an error of the start and not of the
// night.
func newCollector(ctx context.Context, c cluster, log *slog.Logger, metrics prometheus.Registerer) (*kubernetes.Collector, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	collector, err := kubernetes.New(kubernetes.Options{Config: config, Log: log, Registerer: metrics})
	if err != nil {
		return nil, err
	}
	if err := collector.Check(ctx); err != nil {
		return nil, err
	}
	return collector, nil
}

// newRelay makes the end of the relay that agents of nodes reach, or nil where
// the config has none.
func newRelay(o runOptions, metrics prometheus.Registerer) (*relay.Server, error) {
	r := o.config.Relay
	if r.Listen == "" {
		return nil, nil
	}
	config, err := o.cluster.config()
	if err != nil {
		return nil, err
	}
	reviews, err := authenticationclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for token reviews: %w", err)
	}
	return relay.NewServer(relay.ServerOptions{
		Listen: r.Listen, CertFile: r.CertFile, KeyFile: r.KeyFile, Reviews: reviews.TokenReviews(),
		Agents: r.Agents, Quota: r.Quota, Log: o.log, Registerer: metrics,
	})
}

// newControlPlane makes the collector of the control plane. It contacts nobody
// yet.
func newControlPlane(settings controlplane.Config, c cluster, watching *kubernetes.Collector, log *slog.Logger, metrics prometheus.Registerer) (*controlplane.Collector, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	config.UserAgent = "tapio"
	return controlplane.New(controlplane.Options{Config: settings, API: config, Watches: watching.Watches, Log: log, Registerer: metrics})
}

// clusterName is the one of the config, else of the kubeconfig.
func clusterName(config config.Config, c cluster) string {
	if config.Cluster != "" {
		return config.Cluster
	}
	return c.name()
}
