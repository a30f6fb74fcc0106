package narrate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yairfalse/tapio"
)

func TestNextAction(t *testing.T) {
	limit := []tapio.Change{{Field: "containers[app].resources.limits.memory", From: "256Mi", To: "32Mi"}}
	image := []tapio.Change{{Field: "containers[app].image", From: "web:1", To: "web:2"}}
	back := tapio.Action{Text: "Roll back checkout to revision 3", Command: "kubectl -n shop rollout undo deploy/checkout"}
	raise := tapio.Action{Text: "Raise the memory limit, for example to 64Mi", Command: "kubectl -n shop set resources deploy/checkout -c app --limits=memory=64Mi"}
	logs := tapio.Action{Text: "Read the log of the run that failed", Command: "kubectl -n shop logs checkout-7d9f8-x2x7k -c app --previous --tail=50"}
	rollout := func(cs []tapio.Change) *tapio.Trigger {
		return &tapio.Trigger{Evidence: "e1", Type: tapio.WorkloadRollout, Entity: checkout, Time: at(-40), Manager: "kubectl", Revision: "4", From: "3", Changes: cs}
	}
	for _, tc := range []struct {
		name string
		with func(*tapio.Story)
		want tapio.Action
	}{
		{"a rollout cut the limit", func(s *tapio.Story) { s.Trigger = rollout(limit) }, back},
		{"a rollout of which only the fact is known", func(s *tapio.Story) { s.Trigger = rollout(nil) }, back},
		{"a rollout of another container", func(s *tapio.Story) {
			s.Trigger = rollout([]tapio.Change{{Field: "containers[side].image", From: "a", To: "b"}})
		}, raise},
		{"no trigger", func(s *tapio.Story) { s.Trigger = nil }, raise},
		{"the first rollout", func(s *tapio.Story) { s.Trigger = rollout(limit); s.Trigger.Revision = "1" }, raise},
		{"its creation", func(s *tapio.Story) { s.Trigger = rollout(nil); s.Timeline[0].Data["reason"] = "Created" }, raise},
		{"a restart", func(s *tapio.Story) { s.Trigger = rollout(nil); s.Timeline[0].Data["reason"] = "Restarted" }, raise},
		{"a StatefulSet, whose generation is not its revision", func(s *tapio.Story) {
			s.Trigger = rollout(limit)
			s.Trigger.Entity.Kind = tapio.KindStatefulSet
		}, tapio.Action{Text: "Roll back checkout", Command: "kubectl -n shop rollout undo sts/checkout"}},
		{"what kubectl cannot roll back", func(s *tapio.Story) { s.Trigger = rollout(limit); s.Trigger.Entity.Kind = tapio.KindCronJob }, raise},
		{"GitOps", func(s *tapio.Story) { s.Trigger = rollout(limit); s.Trigger.Manager = "argocd-application-controller" },
			tapio.Action{Text: back.Text + ", and revert it at its source too: argocd-application-controller made the change and may make it again", Command: back.Command}},
		{"limit not known", func(s *tapio.Story) { s.Trigger = nil; delete(s.Facts, tapio.FactLimit) }, logs},
		{"unsafe container name", func(s *tapio.Story) { s.Trigger = nil; s.Facts[tapio.FactContainer] = "app; reboot" },
			tapio.Action{Text: "Read the events of one of its pods", Command: "kubectl -n shop describe pod checkout-7d9f8-x2x7k"}},
		{"option in place of a name", func(s *tapio.Story) {
			s.Trigger = nil
			s.Facts[tapio.FactContainer] = "--kubeconfig=/x"
			s.Facts[tapio.FactPodName] = "-x"
		},
			tapio.Action{Text: "Read what Kubernetes says about it", Command: "kubectl -n shop describe deploy/checkout"}},
		{"nothing safe", func(s *tapio.Story) {
			s.Trigger = rollout(limit)
			s.Trigger.Entity.Name = "$(reboot)"
			s.Subject.Name, s.Facts[tapio.FactContainer], s.Facts[tapio.FactPodName] = "$(reboot)", "`x`", "a b"
		}, tapio.Action{Text: "Read what Kubernetes says about it; its name is not safe to put into a command here"}},
		{"unsafe namespace of the trigger", func(s *tapio.Story) { s.Trigger = rollout(limit); s.Trigger.Entity.Namespace = "a|b" }, raise},
		{"image of a registry that is down", func(s *tapio.Story) {
			s.Template, s.Cause, s.Trigger = "image-registry-unreachable", tapio.CauseRegistryUnreachable, rollout(image)
		}, tapio.Action{Text: "See which pods wait for an image", Command: "kubectl get pods -A --field-selector=status.phase=Pending -o wide"}},
		{"image not found, image changed", func(s *tapio.Story) {
			s.Template, s.Cause, s.Trigger = "image-not-found", tapio.CauseImageNotFound, rollout(image)
		}, back},
		{"image not found, limit changed", func(s *tapio.Story) {
			s.Template, s.Cause, s.Trigger = "image-not-found", tapio.CauseImageNotFound, rollout(limit)
		}, tapio.Action{Text: "See the image and the registry's answer", Command: "kubectl -n shop describe pod checkout-7d9f8-x2x7k"}},
		{"node", func(s *tapio.Story) {
			s.Template, s.Cause, s.Subject, s.Trigger = "gone", tapio.CauseNodeNotReady, node, rollout(limit)
		}, tapio.Action{Text: "See what the node says", Command: "kubectl describe node node-7"}},
		{"scaled up, no room", func(s *tapio.Story) {
			s.Cause = tapio.CauseInsufficientCPU
			s.Trigger = &tapio.Trigger{Type: tapio.WorkloadScaled, Entity: checkout, Changes: []tapio.Change{{Field: "replicas", From: "3", To: "6"}}}
		}, tapio.Action{Text: "Scale back to 3 pods, or make room for 6", Command: "kubectl -n shop scale deploy/checkout --replicas=3"}},
		{"scaled down", func(s *tapio.Story) {
			s.Cause = tapio.CauseInsufficientCPU
			s.Trigger = &tapio.Trigger{Type: tapio.WorkloadScaled, Entity: checkout, Changes: []tapio.Change{{Field: "replicas", From: "6", To: "3"}}}
		}, raise},
		{"selector label removed", func(s *tapio.Story) {
			s.Cause, s.Facts[tapio.FactSelector] = tapio.CauseSelectorMismatch, "app=web,tier=back"
			s.Trigger = &tapio.Trigger{Type: tapio.ServiceChanged, Entity: service, Changes: []tapio.Change{{Field: "selector[tier]", From: "front", To: "back"}, {Field: "selector[new]", To: "x"}}}
		}, tapio.Action{Text: "Put the selector back to app=web,tier=front", Command: "kubectl -n shop set selector service/checkout app=web,tier=front"}},
		{"ports changed", func(s *tapio.Story) {
			s.Cause = tapio.CauseSelectorMismatch
			s.Trigger = &tapio.Trigger{Type: tapio.ServiceChanged, Entity: service, Changes: []tapio.Change{{Field: "ports[80].targetPort", From: "1", To: "2"}}}
		}, raise},
		{"resolved", func(s *tapio.Story) { s.Status = tapio.StatusResolved }, tapio.Action{Text: "Nothing to do now. Nothing visible fixed it, so it may come back"}},
		{"resolved, the image came", func(s *tapio.Story) {
			s.Status, s.Cause = tapio.StatusResolved, tapio.CausePullSlow
			s.Timeline = append(s.Timeline, tapio.StoryEvent{Type: tapio.ImagePulled, Timestamp: s.Timestamp})
		}, tapio.Action{Text: "Nothing to do now"}},
		{"absorbed", func(s *tapio.Story) { s.Status, s.AbsorbedInto = tapio.StatusAbsorbed, "abc" }, tapio.Action{Text: "Follow story abc, which explains this one"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := scenes()[0].story(t, library(t), false)
			tc.with(&s)
			if err := narrator(t).Tell(&s); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, s.NextAction); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
