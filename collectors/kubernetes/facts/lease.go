package facts

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/yairfalse/tapio"
)

// leaseGrain is how exactly the renewal of a lease is kept. Components renew
// every 2 to 10 s; a state for each of these would tell nothing new.
const leaseGrain = 10 * time.Second

func leaseState(l *coordinationv1.Lease) tapio.State {
	s := base(tapio.KindLease, l)
	s.Lease = &tapio.LeaseState{Holder: bound(orDefault(l.Spec.HolderIdentity, ""), maxMessage)}
	if l.Spec.RenewTime != nil {
		s.Lease.Renewed = utc(l.Spec.RenewTime.Time)
	}
	return s
}

func stripLease(l *coordinationv1.Lease) {
	spec := coordinationv1.LeaseSpec{HolderIdentity: l.Spec.HolderIdentity}
	if r := l.Spec.RenewTime; r != nil {
		spec.RenewTime = &metav1.MicroTime{Time: r.Truncate(leaseGrain)}
	}
	l.Spec = spec
}
