package narrate

import "github.com/yairfalse/tapio"

// crossScenes are stories of what specs say and the cluster does not have.
func crossScenes() []scene {
	cross := func(template string, typ tapio.EventType, subject, cause tapio.Entity, reason, message string, pairs ...string) scene {
		f := facts(pairs...)
		f[tapio.FactDetail] = message
		return scene{
			template: template, subject: subject, cause: cause, standing: tapio.StandingLikely, facts: f,
			events: []tapio.StoryEvent{ev(0, typ, subject, append([]string{"reason", reason, "message", message}, pairs...)...)},
			scope:  some, pods: podNames[:1],
		}
	}
	possible := cross("config-wrong-address-possible", tapio.AddressMismatch, checkout, checkout, "NoSuchPort",
		"variable DB_ADDR of container app names mysql:3307, and Service mysql has no port 3307, only 3306", tapio.AttrNearest, "mysql:3306")
	possible.standing = tapio.StandingPossible
	policy := entity("NetworkPolicy", "deny-all")
	ingress := entity("Ingress", "front")
	dns := tapio.Entity{Kind: tapio.KindService, Namespace: "kube-system", Name: "kube-dns"}
	starved := cross("container-cpu-starved", tapio.CPUStarved, checkout, in(checkout, "app"), "ProbeTimeout",
		"its liveness probe times out, and container app may use 10m of a CPU", tapio.FactContainer, "app")
	return []scene{
		cross("config-wrong-address", tapio.AddressMismatch, checkout, checkout, "NoSuchService",
			"variable CART_ADDR of container app names cartservce:7070, and there is no Service cartservce in namespace shop", tapio.AttrNearest, "cartservice"),
		possible,
		cross("config-wrong-dns", tapio.NameserverMismatch, checkout, checkout, "OtherNameserver",
			"its pods ask nameserver 203.0.113.53 (dnsPolicy None), and the cluster's is 10.96.0.10", tapio.AttrNearest, "10.96.0.10"),
		cross("network-policy-denied", tapio.PolicyDenies, checkout, policy, "Ingress",
			"NetworkPolicy deny-all selects the pods of Service mysql and allows nothing from the pods of checkout", tapio.FactKind, "NetworkPolicy", tapio.FactObject, "deny-all"),
		cross("route-misrouted", tapio.RouteBroken, service, ingress, "NoSuchService",
			"path /cart leads to Service carts, which does not exist", tapio.FactKind, "Ingress", tapio.FactObject, "front", tapio.AttrNearest, "cart"),
		cross("workload-scaled-to-zero", tapio.ScaledToZero, checkout, checkout, "Called",
			"Deployment web is told to call Service checkout, and no pod stands behind it"),
		cross("dns-failing", tapio.DNSDown, dns, dns, "NoEndpoint",
			"Service kube-dns of the cluster's DNS has no ready endpoint: its workload is scaled to 0", tapio.FactServiceName, "kube-dns"),
		cross("node-proxy-down", tapio.ProxyDown, node, node, "NotReady",
			"pod kube-proxy-x2x7k of node node-7 is not ready", tapio.FactNodeName, "node-7"),
		starved,
	}
}
