package bot

import (
	"fmt"
	"time"

	"github.com/yairfalse/tapio"
)

// t0 is when the incident of the test stories begins.
var t0 = time.Date(2026, 11, 2, 14, 2, 0, 0, time.UTC)

func at(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }

// checkoutOOM is the story of a rollout that cut a memory limit, in the words
// that narrate gives it.
func checkoutOOM() tapio.Story {
	deploy := tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: "checkout"}
	pod := tapio.Entity{Kind: tapio.KindPod, Namespace: "shop", Name: "checkout-7d9f8-x2x7k", Container: "app"}
	return tapio.Story{
		ID: "7h2k9m4q1xw3e8ra", Revision: 1, Cluster: "prod-eu", Status: tapio.StatusOpen, Severity: tapio.SeverityHigh, Template: "container-oom-limit",
		Title:  "checkout is crash-looping: container app out of memory at its 32Mi limit",
		Intent: "Roll out revision 4 of checkout",
		Summary: []tapio.Sentence{
			{Text: "Container app of checkout has been killed 12 times at its memory limit since 14:02 UTC.", Evidence: []string{"e4"}},
			{Text: "The process used all the memory that its limit of 32Mi allows, so the kernel killed it.", Evidence: []string{"e2"}},
			{Text: "It began 40 s after rollout 4 of checkout, made by kubectl-client-side-apply, which changed memory limit 256Mi → 32Mi.", Evidence: []string{"e1"}},
		},
		RootCause: "The process used all the memory that its limit of 32Mi allows, so the kernel killed it.",
		Impact:    "3 of 6 pods of checkout are down (worst: 4); Service shop/checkout has no ready endpoint.",
		Timestamp: t0, Opened: at(30), Updated: at(30), Duration: 30 * time.Second,
		Cause: tapio.CauseOOMLimit, CauseEntity: tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: "checkout", Container: "app"}, Standing: tapio.StandingCertain,
		Trigger: &tapio.Trigger{Evidence: "e1", Type: tapio.WorkloadRollout, Entity: deploy, Time: at(-40), Manager: "kubectl-client-side-apply", Revision: "4", From: "3"},
		Subject: deploy, Affected: []tapio.Entity{deploy}, AffectedPods: []string{"shop/checkout-7d9f8-b9wqz", "shop/checkout-7d9f8-x2x7k"},
		RelatedServices: []string{"shop/checkout"}, WorkloadType: "Deployment", BusinessService: "Payments",
		Scope: tapio.Scope{PodsDown: 3, PodsWanted: 6, WorstDown: 4, Workloads: 1, ServicesDown: 1, WorstSvcDown: 1},
		Owner: tapio.Owner{Team: "payments", Channel: "#payments", Service: "checkout", Runbook: "https://runbooks.example/oom"},
		Timeline: []tapio.StoryEvent{
			{ID: "e1", Timestamp: at(-40), Source: tapio.SourceKubernetes, Type: tapio.WorkloadRollout, Role: tapio.RoleTrigger, Entity: deploy, Decisive: true, Description: "rollout 4 of checkout began: memory limit 256Mi → 32Mi, by kubectl-client-side-apply"},
			{ID: "e2", Timestamp: at(0), Last: at(240), Count: 12, Source: tapio.SourceKubernetes, Type: tapio.ContainerExit, Role: tapio.RoleCause, Entity: pod, Decisive: true, Description: "checkout-7d9f8-x2x7k: container app was killed at its memory limit of 32Mi (OOMKilled, exit 137)"},
			{ID: "e3", Timestamp: at(5), Source: tapio.SourceKubernetes, Type: tapio.EndpointsRemoved, Role: tapio.RoleEffect, Entity: tapio.Entity{Kind: tapio.KindService, Namespace: "shop", Name: "checkout"}, Decisive: true, Description: "2 of 2 endpoints of Service shop/checkout are gone"},
			{ID: "e4", Timestamp: at(12), Last: at(300), Count: 9, Source: tapio.SourceKubernetes, Type: tapio.KubernetesEvent, Role: tapio.RoleSymptom, Entity: pod, Description: "checkout-7d9f8-x2x7k: container app: BackOff"},
		},
		Evidence: []tapio.Evidence{
			{ID: "e1", Time: at(-40), Source: tapio.SourceKubernetes, Type: tapio.WorkloadRollout, Entity: deploy, Text: "Updated: containers[app].resources.limits.memory: 256Mi → 32Mi"},
			{ID: "e2", Time: at(0), Source: tapio.SourceKubernetes, Type: tapio.ContainerExit, Entity: pod, Text: "OOMKilled: exit code 137"},
			{ID: "e4", Time: at(12), Source: tapio.SourceKubernetes, Type: tapio.KubernetesEvent, Entity: pod, Text: "BackOff: Back-off restarting failed container app in pod checkout-7d9f8-x2x7k_shop(0c6e)"},
		},
		News:             []tapio.News{{Kind: tapio.NewsOpened, Time: at(30), Text: "Container app of checkout has been killed 12 times at its memory limit since 14:02 UTC."}},
		NextAction:       tapio.Action{Text: "Roll back checkout to revision 3", Command: "kubectl -n shop rollout undo deploy/checkout"},
		RunbookLinks:     []string{"https://tapio.example/runbooks/oom"},
		SimilarIncidents: []string{"5s8d", "2k1p"},
	}
}

// grown is a later revision with this news.
func grown(s tapio.Story, seconds int, news ...tapio.News) tapio.Story {
	s.Revision++
	s.Updated = at(seconds)
	s.Duration = s.Updated.Sub(s.Timestamp)
	s.News = news
	return s
}

func resolvedOOM() tapio.Story {
	s := grown(checkoutOOM(), 600, tapio.News{Kind: tapio.NewsResolved, Time: at(600), Text: "It recovered 60 s after the rollback of checkout (rollout 5, memory limit 32Mi → 256Mi, by kubectl-rollout), having lasted 10 min; at worst 4 of 6 pods were down."})
	s.Revision = 4
	s.Status = tapio.StatusResolved
	s.Resolved = at(600)
	s.Title = "checkout was crash-looping: container app out of memory at its 32Mi limit"
	s.Resolution = s.News[0].Text
	s.Scope.PodsDown = 0
	s.Timeline = append(s.Timeline[:len(s.Timeline):len(s.Timeline)],
		tapio.StoryEvent{ID: "e5", Timestamp: at(540), Source: tapio.SourceKubernetes, Type: tapio.WorkloadRollout, Role: tapio.RoleChange, Entity: s.Subject, Description: "checkout was rolled back (rollout 5): memory limit 32Mi → 256Mi, by kubectl-rollout"},
		tapio.StoryEvent{ID: "e6", Timestamp: at(600), Source: tapio.SourceKubernetes, Type: tapio.WorkloadAvailable, Role: tapio.RoleRecovery, Entity: s.Subject, Description: "checkout has all its pods"})
	return s
}

// unknownCrash is a story whose cause was not found.
func unknownCrash() tapio.Story {
	s := checkoutOOM()
	s.ID, s.Template, s.Cause, s.Standing, s.Trigger = "c4v7n2y8p0a5t6jk", "k8s-pod-crashloop", tapio.CauseUnknown, tapio.StandingUnknown, nil
	s.Subject.Name, s.Severity = "invoices", tapio.SeverityMedium
	s.Title = "invoices is crash-looping"
	s.Summary = []tapio.Sentence{{Text: "Container worker of invoices has exited 4 times with code 1 since 14:02 UTC."}, {Text: "Why is not known."}}
	s.RootCause = "Why is not known."
	s.Impact = "1 of 3 pods of invoices is down."
	s.Scope = tapio.Scope{PodsDown: 1, PodsWanted: 3, WorstDown: 1, Workloads: 1}
	s.Timeline = s.Timeline[3:]
	s.Timeline[0].Decisive, s.Timeline[0].Role, s.Timeline[0].Description = true, tapio.RoleSymptom, "invoices-5b8d-q7w2e: container worker exited with code 1"
	s.Checked = []string{"no rollout in the 30 min before", "memory stayed below its limit", "no probe failed", "the node is healthy", "the log has no error line"}
	s.NextAction = tapio.Action{Text: "Read what the container last said", Command: "kubectl -n shop logs deploy/invoices -c worker --previous --tail=50"}
	s.Owner = tapio.Owner{}
	s.RunbookLinks, s.SimilarIncidents = nil, nil
	s.Gaps = []tapio.Gap{{Source: tapio.SourceKubernetes, Resource: "events", From: at(-60), To: at(20), Reason: "watch expired (410)"}}
	return s
}

// hostile is a text that tries everything at once.
const hostile = "<!channel> <!here|x> <@U0FIRST> <https://evil.example|click> &lt;!everyone&gt; @everyone #general ```\ncode``` `x` *b* _i_ ~s~ \u202etxt.exe\u202c \u200b\u2066\x00\x07\x1b[31m :fire: https://evil.example \U000e0041"

// hostileStory has hostile texts in every field that a cluster can write to.
func hostileStory(text string) tapio.Story {
	s := checkoutOOM()
	s.Title, s.Intent, s.RootCause, s.Impact, s.Resolution, s.Cluster = text, text, text, text, text, text
	s.Summary = []tapio.Sentence{{Text: text}, {Text: text}, {Text: text}, {Text: text}}
	s.Subject.Namespace, s.Subject.Name = text, text
	s.Owner = tapio.Owner{Team: text, Channel: text, Service: text, Runbook: "https://" + text}
	s.Checked = []string{text, text, text, text, text, text, text, text, text, text}
	s.NextAction = tapio.Action{Text: text, Command: text}
	s.RunbookLinks = []string{text, "javascript:alert(1)", "https://ok.example/" + text}
	s.SimilarIncidents = []string{text, text}
	for i := range s.Timeline {
		s.Timeline[i].Description = text
		s.Timeline[i].Decisive = true
	}
	for i := range s.Evidence {
		s.Evidence[i].Text = text
		s.Evidence[i].Source = tapio.Source(text)
	}
	s.News = nil
	for _, k := range []tapio.NewsKind{tapio.NewsCause, tapio.NewsLog, tapio.NewsGap, "odd", tapio.NewsAbsorbs} {
		s.News = append(s.News, tapio.News{Kind: k, Time: at(60), Was: text, Now: text, Text: text, Evidence: []string{"e1", "e2", "e4"}})
	}
	return s
}

// many is a number of small stories.
func many(n int) []tapio.Story {
	var out []tapio.Story
	for i := range n {
		s := checkoutOOM()
		s.ID = fmt.Sprintf("story%011d", i)
		s.Subject.Name = fmt.Sprintf("app-%02d", i)
		s.Title = fmt.Sprintf("app-%02d is crash-looping: container app out of memory at its 32Mi limit", i)
		s.Owner = tapio.Owner{}
		s.News = []tapio.News{{Kind: tapio.NewsOpened, Time: at(30), Text: "It began."}}
		out = append(out, s)
	}
	return out
}
