package narrate

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/yairfalse/tapio"
)

func TestStandingIsWorded(t *testing.T) {
	for _, tc := range []struct {
		standing tapio.Standing
		checked  []string
		want     string
	}{
		{tapio.StandingCertain, nil, "The process used all the memory that its limit of 32Mi allows, so the kernel killed it."},
		{tapio.StandingLikely, nil, "Most likely the process used all the memory that its limit of 32Mi allows, so the kernel killed it."},
		{tapio.StandingPossible, nil, "Possibly the process used all the memory that its limit of 32Mi allows, so the kernel killed it."},
		{tapio.StandingUnknown, nil, "The cause is not proven."},
		{tapio.StandingUnknown, []string{"a", "b"}, "The cause is not proven. Checked and not found: a; b."},
		{tapio.StandingUnknown, []string{"a", "b", "c", "d", "e", "f", "g"}, "The cause is not proven. Checked and not found: a; b; c; d; e; and 2 more."},
	} {
		s := scenes()[0].story(t, library(t), false)
		s.Standing, s.Checked = tc.standing, tc.checked
		if err := narrator(t).Tell(&s); err != nil {
			t.Fatal(err)
		}
		if s.RootCause != tc.want || s.Summary[1].Text != tc.want {
			t.Errorf("%s: got %q, want %q", tc.standing, s.RootCause, tc.want)
		}
	}
}

func TestSentencesRestOnEvidence(t *testing.T) {
	for _, sc := range scenes() {
		s := sc.story(t, library(t), false)
		if err := narrator(t).Tell(&s); err != nil {
			t.Fatal(err)
		}
		for i, sentence := range s.Summary {
			if len(sentence.Evidence) == 0 && i < 2 {
				t.Errorf("%s: nothing is cited for %q", sc.template, sentence.Text)
			}
			for _, id := range sentence.Evidence {
				if !slices.ContainsFunc(s.Evidence, func(e tapio.Evidence) bool { return e.ID == id }) {
					t.Errorf("%s: sentence %q cites %s, which is no evidence", sc.template, sentence.Text, id)
				}
			}
			if len(sentence.Evidence) > maxCited {
				t.Errorf("%s: %d pieces are cited for %q", sc.template, len(sentence.Evidence), sentence.Text)
			}
		}
	}
}

func TestTriggerSentence(t *testing.T) {
	scaled := []tapio.Change{{Field: "replicas", From: "3", To: "6"}}
	for _, tc := range []struct {
		name    string
		trigger *tapio.Trigger
		reason  string
		want    string
	}{
		{"none", nil, "", ""},
		{"rollout", &tapio.Trigger{Type: tapio.WorkloadRollout, Entity: checkout, Time: at(-40), Manager: "helm", Revision: "4", Changes: []tapio.Change{{Field: "containers[app].image", From: "a:1", To: "a:2"}}}, "",
			"It began 40 s after rollout 4 of checkout, made by helm, which changed image a:1 → a:2."},
		{"nobody known", &tapio.Trigger{Type: tapio.WorkloadScaled, Entity: checkout, Time: at(-90), Changes: scaled}, "",
			"It began 2 min after the scaling of checkout, which changed replicas 3 → 6."},
		{"nothing known", &tapio.Trigger{Type: tapio.WorkloadRollout, Entity: checkout, Time: noon}, "", "It began right after a rollout of checkout."},
		{"seen late", &tapio.Trigger{Type: tapio.WorkloadRollout, Entity: checkout, Time: at(2), Revision: "4"}, "", "It began 2 s before Tapio saw rollout 4 of checkout."},
		{"created", &tapio.Trigger{Type: tapio.WorkloadRollout, Entity: checkout, Time: at(-5), Revision: "1"}, "Created", "It began 5 s after the creation of checkout."},
		{"restarted", &tapio.Trigger{Type: tapio.WorkloadRollout, Entity: checkout, Time: at(-5), Revision: "4"}, "Restarted", "It began 5 s after a restart of checkout."},
		{"deleted", &tapio.Trigger{Type: tapio.ConfigChanged, Entity: entity(tapio.KindConfigMap, "app"), Time: at(-5)}, "Deleted", "It began 5 s after the deletion of ConfigMap shop/app."},
		{"cordoned", &tapio.Trigger{Type: tapio.NodeCordoned, Entity: node, Time: at(-5)}, "", "It began 5 s after the cordoning of node node-7."},
		{"quota", &tapio.Trigger{Type: tapio.QuotaChanged, Entity: entity(tapio.KindResourceQuota, "q"), Time: at(-5)}, "", "It began 5 s after an edit of ResourceQuota shop/q."},
	} {
		s := &tapio.Story{Subject: checkout, Timestamp: noon, Trigger: tc.trigger}
		if tc.trigger != nil {
			tc.trigger.Evidence = "e1"
			s.Timeline = []tapio.StoryEvent{{ID: "e1", Data: map[string]any{"reason": tc.reason}}}
		}
		if got := triggerSentence(s); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestImpact(t *testing.T) {
	for _, tc := range []struct {
		name     string
		scope    tapio.Scope
		subject  tapio.Entity
		services []string
		over     bool
		want     string
	}{
		{"some, was worse", tapio.Scope{PodsDown: 3, PodsWanted: 6, WorstDown: 4, Workloads: 1, ServicesDown: 1}, checkout, web, false, "3 of 6 pods of checkout are down (worst: 4); Service shop/checkout has no ready endpoint."},
		{"one", tapio.Scope{PodsDown: 1, PodsWanted: 3, WorstDown: 1}, checkout, nil, false, "1 of 3 pods of checkout is down."},
		{"the only one", tapio.Scope{PodsDown: 1, PodsWanted: 1, WorstDown: 1}, checkout, nil, false, "The only pod of checkout is down."},
		{"both", tapio.Scope{PodsDown: 2, PodsWanted: 2, WorstDown: 2}, checkout, nil, false, "Both pods of checkout are down."},
		{"all of three workloads", tapio.Scope{PodsDown: 9, PodsWanted: 9, WorstDown: 9, Workloads: 3}, checkout, nil, false, "All 9 pods of 3 workloads are down."},
		{"none", tapio.Scope{PodsWanted: 3}, checkout, nil, false, "No pod of checkout is down."},
		{"none any more", tapio.Scope{PodsWanted: 3, WorstDown: 2}, checkout, nil, false, "No pod of checkout is down now (worst: 2 of 3)."},
		{"more down than wanted", tapio.Scope{PodsDown: 4, PodsWanted: 3, WorstDown: 4}, checkout, nil, false, "All 4 pods of checkout are down."},
		{"bare pod", tapio.Scope{PodsDown: 1, PodsWanted: 1, WorstDown: 1}, pod1, nil, false, "The only pod is down."},
		{"node", tapio.Scope{PodsDown: 12, PodsWanted: 14, WorstDown: 12, Workloads: 4}, node, nil, false, "12 of 14 pods on node node-7 are down."},
		{"service without pods", tapio.Scope{ServicesDown: 1}, service, web, false, "Service shop/checkout has no ready endpoint."},
		{"two services", tapio.Scope{PodsDown: 1, PodsWanted: 3, WorstDown: 1, ServicesDown: 2}, checkout, []string{"shop/a", "shop/b"}, false, "1 of 3 pods of checkout is down; Services shop/a and shop/b have no ready endpoint."},
		{"one of two services", tapio.Scope{PodsDown: 1, PodsWanted: 3, WorstDown: 1, ServicesDown: 1}, checkout, []string{"shop/a", "shop/b"}, false, "1 of 3 pods of checkout is down; 1 Service has no ready endpoint."},
		{"over", tapio.Scope{PodsWanted: 6, WorstDown: 4, WorstSvcDown: 1}, checkout, web, true, "At worst 4 of 6 pods of checkout were down; Service shop/checkout had no ready endpoint."},
		{"over, nothing was down", tapio.Scope{PodsWanted: 6}, checkout, nil, true, "No pod of checkout was down."},
	} {
		s := &tapio.Story{Subject: tc.subject, Scope: tc.scope, RelatedServices: tc.services, Status: tapio.StatusOpen}
		if tc.over {
			s.Status = tapio.StatusResolved
		}
		if got := impact(s, newView(s)); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestResolution(t *testing.T) {
	edit := ev(590, tapio.ConfigChanged, entity(tapio.KindConfigMap, "app"), "reason", "Updated", "manager", "kubectl-edit")
	late := ev(900, tapio.WorkloadRollout, checkout, "revision", "7")
	for _, tc := range []struct {
		name   string
		events []tapio.StoryEvent
		want   string
	}{
		{"nothing seen", nil, "It recovered without a change that Tapio could see. It lasted 10 min; at worst 4 of 6 pods were down."},
		{"an edit", []tapio.StoryEvent{as(tapio.RoleChange, edit)}, "It recovered 10 s after an edit of ConfigMap shop/app (by kubectl edit). It lasted 10 min; at worst 4 of 6 pods were down."},
		{"a change that came too late", []tapio.StoryEvent{as(tapio.RoleChange, late)}, "It recovered without a change that Tapio could see. It lasted 10 min; at worst 4 of 6 pods were down."},
		{"rollback", back("containers[app].image", "a:2", "a:1"), "It recovered 60 s after the rollback of checkout (rollout 5, by kubectl rollout). It lasted 10 min; at worst 4 of 6 pods were down."},
		{"node uncordoned", []tapio.StoryEvent{as(tapio.RoleChange, ev(580, tapio.NodeUncordoned, node))}, "It recovered 20 s after this: node node-7 was uncordoned. It lasted 10 min; at worst 4 of 6 pods were down."},
	} {
		s := &tapio.Story{
			Status: tapio.StatusResolved, Subject: checkout, Timestamp: noon, Updated: at(660), Resolved: at(600), Duration: 10 * time.Minute,
			Timeline: tc.events, Scope: tapio.Scope{PodsWanted: 6, WorstDown: 4},
		}
		if got := resolution(s, newView(s)); got != tc.want {
			t.Errorf("%s:\n got %q\nwant %q", tc.name, got, tc.want)
		}
	}
}

func TestNews(t *testing.T) {
	for _, tc := range []struct {
		news tapio.News
		want string
	}{
		{tapio.News{Kind: tapio.NewsOpened}, "Container app of checkout has been killed 12 times at its memory limit since 14:02 UTC."},
		{tapio.News{Kind: tapio.NewsCause, Was: "unknown", Now: "container.oom_limit"}, "Cause found: The process used all the memory that its limit of 32Mi allows, so the kernel killed it."},
		{tapio.News{Kind: tapio.NewsCause, Was: "container.app_error", Now: "container.oom_limit"}, "The cause is another one than told before (Application error): The process used all the memory that its limit of 32Mi allows, so the kernel killed it."},
		{tapio.News{Kind: tapio.NewsTrigger}, "It began 40 s after rollout 4 of checkout, made by kubectl apply, which changed memory limit 256Mi → 32Mi."},
		{tapio.News{Kind: tapio.NewsScope, Was: "1 of 6 pods down", Now: "3 of 6 pods down"}, "It grew: 1 of 6 pods down → 3 of 6 pods down."},
		{tapio.News{Kind: tapio.NewsSeverity, Was: "high", Now: "critical"}, "It got worse: SEV2 → SEV1."},
		{tapio.News{Kind: tapio.NewsChange, Evidence: []string{"e1"}}, "Rollout 4 of checkout began: memory limit 256Mi → 32Mi, by kubectl apply."},
		{tapio.News{Kind: tapio.NewsChange, Evidence: []string{"gone"}, Now: "workload.scaled"}, "Something was changed: workload.scaled."},
		{tapio.News{Kind: tapio.NewsLog, Now: "panic: x"}, "The log of container app says “panic: x”."},
		{tapio.News{Kind: tapio.NewsReopened, Was: "14:05"}, "It fails again, after it was resolved at 14:05 UTC: Container app of checkout has been killed 12 times at its memory limit since 14:02 UTC."},
		{tapio.News{Kind: tapio.NewsAbsorbed, Now: "abc"}, "This is part of story abc, which explains it and goes on in its place."},
		{tapio.News{Kind: tapio.NewsAbsorbs, Was: "abc"}, "This explains story abc too."},
		{tapio.News{Kind: tapio.NewsAbsorbs, Was: "abc", Now: "cart is failing"}, "This explains story abc too: cart is failing."},
		{tapio.News{Kind: tapio.NewsGap, Time: at(180), Was: "14:02", Now: "queue full"}, "Between 14:02 and 14:05 UTC Tapio could not see pods (queue full): something may be missing."},
		{tapio.News{Kind: tapio.NewsGap, Time: at(999), Was: "14:02", Now: "queue full"}, "Tapio could not see everything since 14:02 UTC (queue full): something may be missing."},
		{tapio.News{Kind: tapio.NewsResolved}, "It recovered."},
		{tapio.News{Kind: "other", Was: "a", Now: "b"}, "New: a → b."},
	} {
		s := scenes()[0].story(t, library(t), false)
		s.Gaps = []tapio.Gap{{Source: tapio.SourceKubernetes, Resource: "pods", From: noon, To: at(180), Reason: "queue full"}}
		s.News = []tapio.News{tc.news}
		if err := narrator(t).Tell(&s); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tc.want, s.News[0].Text); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.news.Kind, d)
		}
	}
}
