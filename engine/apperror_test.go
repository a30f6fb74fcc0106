package engine

import (
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

// TestWordsMeetSpecs gives the engine a pod that fails, what it was asked to be
// and what it says, and asks for the cause, the object at fault and where the
// credential or address comes from.
func TestWordsMeetSpecs(t *testing.T) {
	object := func(kind tapio.Kind, name string) tapio.Entity {
		return tapio.Entity{Kind: kind, Namespace: "shop", Name: name}
	}
	var (
		web     = object(tapio.KindDeployment, "web")
		inWeb   = tapio.Entity{Kind: tapio.KindDeployment, Namespace: "shop", Name: "web", Container: "app"}
		mysql   = object(tapio.KindService, "mysql")
		orders  = object(tapio.KindPersistentVolumeClaim, "orders")
		secret  = object(tapio.KindSecret, "mysql-login")
		config  = object(tapio.KindConfigMap, "web-config")
		user    = int64(1000)
		claimed = tapio.PodSpec{
			RunAsUser: &user,
			Volumes:   []tapio.Volume{{Name: "data", Source: orders}, {Name: "tmp", Source: tapio.Entity{Kind: "EmptyDir"}}},
			Containers: []tapio.ContainerSpec{{Name: "app", Mounts: []tapio.Mount{
				{Volume: "data", Path: "/data"}, {Volume: "tmp", Path: "/data/tmp"},
			}}},
		}
		env = func(vars ...tapio.EnvVar) tapio.PodSpec {
			return tapio.PodSpec{Containers: []tapio.ContainerSpec{{Name: "app", Env: vars}}}
		}
	)
	readOnly := claimed
	readOnly.Containers = []tapio.ContainerSpec{{Name: "app", Mounts: []tapio.Mount{{Volume: "data", Path: "/data", ReadOnly: true}}}}
	tests := []struct {
		name   string
		log    string
		spec   tapio.PodSpec
		cause  tapio.Cause
		entity tapio.Entity
		fact   string // its key
		want   string
	}{
		{
			"password from a Secret", "Access denied for user 'app'@'10.0.0.3' (using password: YES)",
			env(tapio.EnvVar{Name: "DB_HOST", Value: "mysql"}, tapio.EnvVar{Name: "DB_PASSWORD", From: secret, Key: "password"}, tapio.EnvVar{Name: "REDIS_PASSWORD", From: object(tapio.KindSecret, "redis"), Key: "password"}),
			tapio.CauseAuthFailed, web, tapio.FactOrigin, "Secret mysql-login, key password (variable DB_PASSWORD)",
		},
		{
			"peer that the settings name", "Access denied for user 'app'@'10.0.0.3' (using password: YES)",
			env(tapio.EnvVar{Name: "MYSQL_HOST", Value: "mysql"}), tapio.CauseAuthFailed, web, tapio.FactObject, "shop/mysql",
		},
		{
			"literal password", "FATAL: password authentication failed for user \"app\"",
			env(tapio.EnvVar{Name: "PGPASSWORD", Value: "(hidden)"}), tapio.CauseAuthFailed, web, tapio.FactOrigin, "variable PGPASSWORD",
		},
		{
			"password beside the address of a Service of that name", "pq: password authentication failed for user \"shop\"",
			env(tapio.EnvVar{Name: "MYSQL_URL", Value: "http://mysql"}, tapio.EnvVar{Name: "DATABASE_URL", Value: "postgres://shop@mysql:5432/orders"}, tapio.EnvVar{Name: "PGPASSWORD", Value: "(hidden)"}),
			tapio.CauseAuthFailed, web, tapio.FactOrigin, "variable PGPASSWORD",
		},
		{
			"URL with the kind of peer", "Access denied for user 'app'@'10.0.0.3' (using password: YES)",
			env(tapio.EnvVar{Name: "API_URL", Value: "http://api"}, tapio.EnvVar{Name: "DB_URL", Value: "mysql://(hidden)@mysql:3306/shop"}), tapio.CauseAuthFailed, web, tapio.FactOrigin, "variable DB_URL",
		},
		{
			"all of a Secret", "WRONGPASS invalid username-password pair",
			tapio.PodSpec{Containers: []tapio.ContainerSpec{{Name: "app", EnvFrom: []tapio.Entity{object(tapio.KindSecret, "web-env")}}}}, tapio.CauseAuthFailed, web, tapio.FactOrigin, "Secret web-env",
		},
		{
			"address of a variable", "dial tcp: lookup mysqll on 10.96.0.10:53: no such host",
			env(tapio.EnvVar{Name: "DB_URL", Value: "mysql://(hidden)@mysqll:3306/shop"}), tapio.CauseWrongAddress, web, tapio.FactNamespace, "shop",
		},
		{
			"address of a ConfigMap", "connect ECONNREFUSED mysql:3307",
			env(tapio.EnvVar{Name: "DB_ADDR", From: config, Key: "addr"}), tapio.CauseUnreachable, mysql, tapio.FactOrigin, "ConfigMap web-config, key addr (variable DB_ADDR)",
		},
		{
			"address that is a Service's", "dial tcp 10.96.0.12:3307: connect: connection refused",
			env(), tapio.CauseUnreachable, mysql, tapio.FactPort, "3307",
		},
		{
			"address that is a pod's", "dial tcp 10.244.0.7:3306: connect: no route to host",
			env(), tapio.CauseUnreachable, mysql, tapio.FactClass, "no_route",
		},
		{"denied on a claim", "open /data/orders.db: permission denied", claimed, tapio.CauseVolumePermission, inWeb, tapio.FactDetail, "it runs as user 1000, with no fsGroup"},
		{"denied elsewhere", "open /etc/shadow: permission denied", claimed, tapio.CauseAppError, inWeb, tapio.FactClass, "permission_denied"},
		{"full claim", "write /data/wal: no space left on device", claimed, tapio.CauseVolumeFull, orders, tapio.FactClaim, "orders"},
		{"full, path unsaid", "ERROR: could not extend file: No space left on device", claimed, tapio.CauseVolumeFull, orders, tapio.FactClaim, "orders"},
		{"full folder of the node", "write /data/tmp/x: no space left on device", claimed, tapio.CauseAppError, inWeb, tapio.FactVolume, "tmp"},
		{"claim turned read-only", "open /data/orders.db: read-only file system", claimed, tapio.CauseVolumeReadOnly, orders, tapio.FactPath, "/data/orders.db"},
		{"claim mounted read-only", "open /data/orders.db: read-only file system", readOnly, tapio.CauseReadOnlyRoot, inWeb, tapio.FactVolume, "data"},
		{"missing module", "Error: Cannot find module 'express'", env(), tapio.CauseAppError, inWeb, tapio.FactMissing, "express"},
		{"expired certificate", "Get \"https://mysql/x\": tls: failed to verify certificate: x509: certificate has expired or is not yet valid", env(), tapio.CauseCertExpired, mysql, tapio.FactClass, "cert_expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t)
			observe := func(s *tapio.State) { e.Observe(&tapio.Observation{Time: start, State: s}) }
			rs, pod, db := object(tapio.KindReplicaSet, "web-1"), object(tapio.KindPod, "web-1-a"), object(tapio.KindPod, "mysql-0")
			down := tapio.ReplicaStatus{Desired: 1, Current: 1, Updated: 1}
			labels := map[string]string{"app": "mysql"}
			observe(&tapio.State{Entity: config, Config: &tapio.ConfigState{Values: map[string]string{"addr": "mysql:3307"}}})
			observe(&tapio.State{Entity: web, Workload: &tapio.WorkloadState{Replicas: down}})
			observe(&tapio.State{Entity: rs, Owner: web, Workload: &tapio.WorkloadState{Replicas: down}})
			observe(&tapio.State{Entity: mysql, Service: &tapio.ServiceState{IP: "10.96.0.12", Selector: labels}})
			observe(&tapio.State{Entity: db, Labels: labels, Pod: &tapio.PodState{Phase: "Running", Ready: true, IP: "10.244.0.7"}})
			observe(&tapio.State{Entity: pod, Owner: rs, Created: start.Add(-time.Hour), Pod: &tapio.PodState{
				Phase: "Running", RestartPolicy: "Always", Spec: &tt.spec,
				Containers: []tapio.ContainerState{{Name: "app", State: "waiting", Reason: "CrashLoopBackOff", Restarts: 5}},
			}})
			pod.Container = "app"
			for _, ev := range []*tapio.Event{
				{Type: tapio.ContainerExit, Reason: "Error", Attrs: map[string]string{tapio.AttrExitCode: "1", tapio.AttrRestarts: "5", tapio.AttrContainerID: "c1"}},
				{Type: tapio.ContainerLog, Message: tt.log, Attrs: map[string]string{tapio.AttrPrevious: "true"}},
			} {
				ev.Time, ev.Seen, ev.Entity, ev.Listed = start, start, pod, true
				ev.SetID()
				e.Observe(&tapio.Observation{Time: start, Event: ev})
			}
			stories := e.Flush(start.Add(time.Second))
			if len(stories) != 1 {
				t.Fatalf("%d stories, want 1: %+v", len(stories), stories)
			}
			s := stories[0]
			if s.Cause != tt.cause || s.CauseEntity != tt.entity {
				t.Errorf("%s at %s, want %s at %s", s.Cause, s.CauseEntity, tt.cause, tt.entity)
			}
			if got := s.Facts[tt.fact]; got != tt.want {
				t.Errorf("%s is %q, want %q", tt.fact, got, tt.want)
			}
		})
	}
}
