package dump

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
)

// podJSON is a pod as kubectl prints it, some 11 kB of it.
const podJSON = `        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "annotations": {
                    "checksum/config": "0f343b0931126a20f133d67c2b018a3b5f6d9b8c1a2b3c4d5e6f708192a3b4c5",
                    "prometheus.io/port": "9090",
                    "prometheus.io/scrape": "true"
                },
                "creationTimestamp": "2026-01-02T10:00:00Z",
                "generateName": "web-%[2]d-7d9f8c6b5-",
                "generation": 1,
                "labels": {
                    "app.kubernetes.io/instance": "web-%[2]d",
                    "app.kubernetes.io/name": "web",
                    "app.kubernetes.io/part-of": "shop",
                    "pod-template-hash": "7d9f8c6b5"
                },
                "name": "web-%[2]d-7d9f8c6b5-%[1]d",
                "namespace": "team-%[3]d",
                "ownerReferences": [
                    {
                        "apiVersion": "apps/v1",
                        "blockOwnerDeletion": true,
                        "controller": true,
                        "kind": "ReplicaSet",
                        "name": "web-%[2]d-7d9f8c6b5",
                        "uid": "d8f8e8b2-0000-4000-8000-%012[2]d"
                    }
                ],
                "resourceVersion": "%[1]d",
                "uid": "6b2365c0-0000-4000-8000-%012[1]d"
            },
            "spec": {
                "automountServiceAccountToken": true,
                "containers": [
                    {
                        "args": [
                            "--listen=:8080",
                            "--log-level=info",
                            "--config=/etc/web/config.yaml"
                        ],
                        "env": [
                            {
                                "name": "POD_NAME",
                                "valueFrom": {
                                    "fieldRef": {
                                        "apiVersion": "v1",
                                        "fieldPath": "metadata.name"
                                    }
                                }
                            },
                            {
                                "name": "DB_PASSWORD",
                                "valueFrom": {
                                    "secretKeyRef": {
                                        "key": "password",
                                        "name": "db"
                                    }
                                }
                            },
                            {
                                "name": "CACHE_URL",
                                "value": "redis://cache.team-%[3]d.svc.cluster.local:6379/0"
                            }
                        ],
                        "envFrom": [
                            {
                                "configMapRef": {
                                    "name": "web"
                                }
                            }
                        ],
                        "image": "registry.example/shop/web:1.%[2]d.0",
                        "imagePullPolicy": "IfNotPresent",
                        "livenessProbe": {
                            "failureThreshold": 3,
                            "httpGet": {
                                "path": "/healthz",
                                "port": "http",
                                "scheme": "HTTP"
                            },
                            "initialDelaySeconds": 10,
                            "periodSeconds": 10,
                            "successThreshold": 1,
                            "timeoutSeconds": 1
                        },
                        "name": "app",
                        "ports": [
                            {
                                "containerPort": 8080,
                                "name": "http",
                                "protocol": "TCP"
                            }
                        ],
                        "readinessProbe": {
                            "failureThreshold": 3,
                            "httpGet": {
                                "path": "/ready",
                                "port": "http",
                                "scheme": "HTTP"
                            },
                            "periodSeconds": 5,
                            "successThreshold": 1,
                            "timeoutSeconds": 1
                        },
                        "resources": {
                            "limits": {
                                "cpu": "500m",
                                "memory": "512Mi"
                            },
                            "requests": {
                                "cpu": "100m",
                                "memory": "256Mi"
                            }
                        },
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "readOnlyRootFilesystem": true,
                            "runAsNonRoot": true
                        },
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File",
                        "volumeMounts": [
                            {
                                "mountPath": "/etc/web",
                                "name": "config"
                            },
                            {
                                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                                "name": "kube-api-access",
                                "readOnly": true
                            }
                        ]
                    }
                ],
                "dnsPolicy": "ClusterFirst",
                "enableServiceLinks": true,
                "nodeName": "node-%[3]d",
                "preemptionPolicy": "PreemptLowerPriority",
                "priority": 0,
                "restartPolicy": "Always",
                "schedulerName": "default-scheduler",
                "securityContext": {},
                "serviceAccount": "web",
                "serviceAccountName": "web",
                "terminationGracePeriodSeconds": 30,
                "tolerations": [
                    {
                        "effect": "NoExecute",
                        "key": "node.kubernetes.io/not-ready",
                        "operator": "Exists",
                        "tolerationSeconds": 300
                    },
                    {
                        "effect": "NoExecute",
                        "key": "node.kubernetes.io/unreachable",
                        "operator": "Exists",
                        "tolerationSeconds": 300
                    }
                ],
                "volumes": [
                    {
                        "configMap": {
                            "defaultMode": 420,
                            "name": "web"
                        },
                        "name": "config"
                    },
                    {
                        "name": "kube-api-access",
                        "projected": {
                            "defaultMode": 420,
                            "sources": [
                                {
                                    "serviceAccountToken": {
                                        "expirationSeconds": 3607,
                                        "path": "token"
                                    }
                                },
                                {
                                    "configMap": {
                                        "items": [
                                            {
                                                "key": "ca.crt",
                                                "path": "ca.crt"
                                            }
                                        ],
                                        "name": "kube-root-ca.crt"
                                    }
                                }
                            ]
                        }
                    }
                ]
            },
            "status": {
                "conditions": [
                    {
                        "lastProbeTime": null,
                        "lastTransitionTime": "2026-01-02T10:00:05Z",
                        "status": "True",
                        "type": "Initialized"
                    },
                    {
                        "lastProbeTime": null,
                        "lastTransitionTime": "2026-01-02T10:00:09Z",
                        "status": "True",
                        "type": "Ready"
                    },
                    {
                        "lastProbeTime": null,
                        "lastTransitionTime": "2026-01-02T10:00:05Z",
                        "status": "True",
                        "type": "PodScheduled"
                    }
                ],
                "containerStatuses": [
                    {
                        "containerID": "containerd://6c8c169b8ec13687ca459d84e85dad97a97f9724f5210872ca%012[1]d",
                        "image": "registry.example/shop/web:1.%[2]d.0",
                        "imageID": "registry.example/shop/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                        "lastState": {
                            "terminated": {
                                "containerID": "containerd://48b25ccb113a98f28713c877f11fbe52536aee3acd9ec8e889%012[1]d",
                                "exitCode": 137,
                                "finishedAt": "2026-01-02T10:30:00Z",
                                "reason": "OOMKilled",
                                "startedAt": "2026-01-02T10:00:06Z"
                            }
                        },
                        "name": "app",
                        "ready": true,
                        "restartCount": 1,
                        "started": true,
                        "state": {
                            "running": {
                                "startedAt": "2026-01-02T10:30:01Z"
                            }
                        }
                    }
                ],
                "hostIP": "10.1.0.1",
                "phase": "Running",
                "podIP": "10.2.0.1",
                "podIPs": [
                    {
                        "ip": "10.2.0.1"
                    }
                ],
                "qosClass": "Burstable",
                "startTime": "2026-01-02T10:00:05Z"
            }
        }`

// BenchmarkRead reads a dump of 10,000 pods, 108 MB. The aim is less than
// five seconds.
func BenchmarkRead(b *testing.B) {
	const n = 10_000
	var text bytes.Buffer
	text.WriteString("{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n")
	for i := range n {
		if i > 0 {
			text.WriteString(",\n")
		}
		fmt.Fprintf(&text, podJSON, i, i/10, i/100)
	}
	text.WriteString("\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n")
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		r, err := Read(b.Context(), Options{Paths: []string{"-"}, Stdin: bytes.NewReader(text.Bytes())})
		if err != nil {
			b.Fatal(err)
		}
		if len(r.Observations) != 2*n {
			b.Fatalf("%d observations, want %d", len(r.Observations), 2*n)
		}
		runtime.KeepAlive(r)
	}
}
