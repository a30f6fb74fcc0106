package topology

import "github.com/yairfalse/tapio"

// Fit returns the state as its kind calls for it: a pod, a workload, a Service
// or a slice of endpoints always has the fields of its own, and what is none has
// none of them. A recording that was written by hand, or by another version, may
// hold anything, and whoever walks the graph need not ask.
func Fit(s *tapio.State) *tapio.State {
	k := s.Entity.Kind
	pod, service, slice, workload := k == tapio.KindPod, k == tapio.KindService, k == tapio.KindEndpointSlice, k.IsWorkload()
	if s.Deleted || pod == (s.Pod != nil) && service == (s.Service != nil) && slice == (s.Endpoints != nil) &&
		workload == (s.Workload != nil) && (s.Node == nil || k == tapio.KindNode) {
		return s // as nearly always
	}
	out := *s
	out.Pod = own(pod, s.Pod)
	out.Service = own(service, s.Service)
	out.Endpoints = own(slice, s.Endpoints)
	out.Workload = own(workload, s.Workload)
	if k != tapio.KindNode {
		out.Node = nil
	}
	return &out
}

// own returns p where it is wanted, made where it is missing.
func own[T any](wanted bool, p *T) *T {
	switch {
	case !wanted:
		return nil
	case p == nil:
		return new(T)
	}
	return p
}
