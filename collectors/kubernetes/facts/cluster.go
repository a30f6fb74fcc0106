package facts

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/yairfalse/tapio"
)

func namespaceState(n *corev1.Namespace) tapio.State { return base(tapio.KindNamespace, n) }
