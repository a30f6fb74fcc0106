package narrate

import "github.com/yairfalse/tapio"

// said is what container app logged, as the engine hands it over.
func said(class, line string, pairs ...string) tapio.StoryEvent {
	return repeated(6, 200, ev(1, tapio.AppError, in(pod1, "app"), append([]string{"reason", class, "message", line}, pairs...)...))
}

// wordScenes are the stories that an application's own words tell.
func wordScenes() []scene {
	crash := repeated(5, 200, as(tapio.RoleSymptom, ev(0, tapio.ContainerExit, in(pod1, "app"), "reason", "Error", tapio.AttrExitCode, "1")))
	base := func(class, line string, pairs ...string) map[string]string {
		return facts(append([]string{tapio.FactContainer, "app", tapio.FactPodName, pod1.Name, tapio.FactClass, class, tapio.FactMessage, line}, pairs...)...)
	}
	mysql := entity(tapio.KindService, "mysql")
	service := []string{tapio.FactKind, "Service", tapio.FactObject, "shop/mysql", tapio.FactPeer, "mysql", tapio.FactPort, "3306", tapio.FactSystem, "MySQL"}
	const (
		refused  = "dial tcp 10.96.0.12:3306: connect: connection refused"
		denied   = "Error 1045 (28000): Access denied for user 'app'@'10.2.0.7' (using password: YES)"
		full     = "Error 1040 (HY000): Too many connections"
		readonly = "The MySQL server is running with the --read-only option so it cannot execute this statement"
		noHost   = "dial tcp: lookup mysql-primary on 10.96.0.10:53: no such host"
		rbac     = `configmaps is forbidden: User "system:serviceaccount:shop:checkout" cannot list resource "configmaps" in API group "" in the namespace "shop"`
		inUse    = "listen tcp :8080: bind: address already in use"
		erofs    = "open /var/cache/checkout/index: read-only file system"
		eacces   = "open /data/orders.db: permission denied"
		enospc   = "write /data/wal/000017.log: no space left on device"
		expired  = "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"
	)
	return []scene{{
		template: "dependency-unreachable", subject: checkout, cause: mysql, standing: tapio.StandingLikely,
		facts:  base("refused", refused, append([]string{tapio.FactOrigin, "ConfigMap checkout-config, key DB_HOST"}, service...)...),
		events: []tapio.StoryEvent{crash, said("refused", refused), gone}, scope: down, pods: podNames, services: []string{"shop/checkout", "shop/mysql"},
	}, {
		template: "dependency-auth-failed", subject: checkout,
		facts:  base("auth_failed", denied, append([]string{tapio.FactUser, "app", tapio.FactOrigin, "Secret mysql-login, key password"}, service...)...),
		events: []tapio.StoryEvent{crash, said("auth_failed", denied), gone}, scope: down, pods: podNames, services: []string{"shop/checkout", "shop/mysql"},
	}, {
		template: "dependency-exhausted", subject: checkout, cause: mysql, standing: tapio.StandingLikely,
		facts:  base("exhausted", full, service...),
		events: []tapio.StoryEvent{said("exhausted", full)}, scope: some, pods: podNames[:1],
	}, {
		template: "dependency-readonly", subject: checkout, cause: mysql,
		facts:  base("read_only_database", readonly, service...),
		events: []tapio.StoryEvent{said("read_only_database", readonly)}, scope: some, pods: podNames[:1],
	}, {
		template: "dependency-name-not-found", subject: checkout, cause: tapio.Entity{Kind: tapio.KindHost, Name: "mysql-primary"}, standing: tapio.StandingLikely,
		facts:  base("name_not_found", noHost, tapio.FactKind, "Host", tapio.FactObject, "mysql-primary", tapio.FactPeer, "mysql-primary", tapio.FactOrigin, "variable DB_HOST"),
		events: []tapio.StoryEvent{crash, said("name_not_found", noHost)}, scope: some, pods: podNames[:1],
	}, {
		template: "config-rbac-denied", subject: checkout, cause: entity(tapio.KindServiceAccount, "checkout"),
		facts:  base("rbac_forbidden", rbac, tapio.FactVerb, "list", tapio.FactResource, "configmaps", tapio.FactAccount, "shop/checkout"),
		events: []tapio.StoryEvent{crash, said("rbac_forbidden", rbac)}, scope: some, pods: podNames[:1],
	}, {
		template: "container-port-conflict", subject: checkout, cause: in(checkout, "app"),
		facts:  base("address_in_use", inUse, tapio.FactPort, "8080"),
		events: []tapio.StoryEvent{crash, said("address_in_use", inUse)}, scope: some, pods: podNames[:1],
	}, {
		template: "container-readonly-filesystem", subject: checkout, cause: in(checkout, "app"), standing: tapio.StandingLikely,
		facts:  base("read_only_filesystem", erofs, tapio.FactPath, "/var/cache/checkout/index"),
		events: []tapio.StoryEvent{crash, said("read_only_filesystem", erofs)}, scope: some, pods: podNames[:1],
	}, {
		template: "storage-permission-denied", subject: checkout, cause: in(checkout, "app"), standing: tapio.StandingLikely,
		facts:  base("permission_denied", eacces, tapio.FactPath, "/data/orders.db", tapio.FactVolume, "data", tapio.FactClaim, "orders", tapio.FactDetail, "it runs as user 1000, with no fsGroup"),
		events: []tapio.StoryEvent{crash, said("permission_denied", eacces)}, scope: some, pods: podNames[:1],
	}, {
		template: "storage-volume-full", subject: checkout, cause: entity(tapio.KindPersistentVolumeClaim, "orders"), standing: tapio.StandingLikely,
		facts:  base("disk_full", enospc, tapio.FactPath, "/data/wal/000017.log", tapio.FactVolume, "data", tapio.FactClaim, "orders"),
		events: []tapio.StoryEvent{crash, said("disk_full", enospc)}, scope: some, pods: podNames[:1],
	}, {
		template: "storage-readonly", subject: checkout, cause: entity(tapio.KindPersistentVolumeClaim, "orders"), standing: tapio.StandingLikely,
		facts:  base("read_only_filesystem", "open /data/orders.db: read-only file system", tapio.FactPath, "/data/orders.db", tapio.FactVolume, "data", tapio.FactClaim, "orders"),
		events: []tapio.StoryEvent{crash, said("read_only_filesystem", "open /data/orders.db: read-only file system")}, scope: some, pods: podNames[:1],
	}, {
		template: "cert-expired-said", subject: checkout, cause: mysql,
		facts:  base("cert_expired", expired, service...),
		events: []tapio.StoryEvent{crash, said("cert_expired", expired)}, scope: some, pods: podNames[:1],
	}}
}
