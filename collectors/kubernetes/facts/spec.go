package facts

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/kubernetes/redact"
)

// Bounds of what is told of one container: several times what people write by
// hand, far below what a generator may.
const (
	maxEnv      = 200
	maxEnvValue = 512 // bytes: a connection string fits
	maxWords    = 64  // of command and arguments each
	maxPorts    = 64
	maxMounts   = 64
	maxVolumes  = 100
)

// podSpec tells what a pod was asked to be. It is made of what Strip left.
func podSpec(s *corev1.PodSpec) *tapio.PodSpec {
	out := &tapio.PodSpec{
		HostNetwork: s.HostNetwork,
		DNSPolicy:   string(s.DNSPolicy),
		Volumes:     volumes(s.Volumes),
	}
	if s.DNSConfig != nil {
		out.Nameservers = s.DNSConfig.Nameservers
	}
	if c := s.SecurityContext; c != nil {
		out.RunAsUser, out.FSGroup = c.RunAsUser, c.FSGroup
	}
	for i := range s.InitContainers {
		c := containerSpec(&s.InitContainers[i])
		c.Init = true
		c.Sidecar = isSidecar(&s.InitContainers[i])
		out.Containers = append(out.Containers, c)
	}
	for i := range s.Containers {
		out.Containers = append(out.Containers, containerSpec(&s.Containers[i]))
	}
	return out
}

func isSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func containerSpec(c *corev1.Container) tapio.ContainerSpec {
	out := tapio.ContainerSpec{Name: c.Name, Command: hidden(c.Command), Args: hidden(c.Args)}
	for i := range head(c.Ports, maxPorts) {
		p := &c.Ports[i]
		out.Ports = append(out.Ports, tapio.ContainerPort{Name: p.Name, Port: p.ContainerPort, Protocol: protocol(p.Protocol), HostPort: p.HostPort})
	}
	for kind, p := range map[string]*corev1.Probe{
		tapio.ProbeLiveness: c.LivenessProbe, tapio.ProbeReadiness: c.ReadinessProbe, tapio.ProbeStartup: c.StartupProbe,
	} {
		if p != nil {
			out.Probes = append(out.Probes, probe(kind, p))
		}
	}
	slices.SortFunc(out.Probes, func(a, b tapio.Probe) int { return strings.Compare(a.Kind, b.Kind) })
	for i := range head(c.Env, maxEnv) {
		out.Env = append(out.Env, variable(&c.Env[i]))
	}
	for i := range head(c.EnvFrom, maxEnv) {
		e := &c.EnvFrom[i]
		switch {
		case e.ConfigMapRef != nil:
			out.EnvFrom = append(out.EnvFrom, tapio.Entity{Kind: tapio.KindConfigMap, Name: e.ConfigMapRef.Name})
		case e.SecretRef != nil:
			out.EnvFrom = append(out.EnvFrom, tapio.Entity{Kind: tapio.KindSecret, Name: e.SecretRef.Name})
		}
	}
	for i := range head(c.VolumeMounts, maxMounts) {
		m := &c.VolumeMounts[i]
		if m.MountPath == tokenPath {
			continue
		}
		out.Mounts = append(out.Mounts, tapio.Mount{Volume: m.Name, Path: m.MountPath, SubPath: m.SubPath, ReadOnly: m.ReadOnly})
	}
	if s := c.SecurityContext; s != nil {
		out.RunAsUser = s.RunAsUser
		out.RunAsNonRoot = orDefault(s.RunAsNonRoot, false)
		out.ReadOnlyRootFS = orDefault(s.ReadOnlyRootFilesystem, false)
	}
	return out
}

func head[T any](list []T, n int) []T { return list[:min(len(list), n)] }

func protocol(p corev1.Protocol) string {
	if p == "" {
		return string(corev1.ProtocolTCP)
	}
	return string(p)
}

func probe(kind string, p *corev1.Probe) tapio.Probe {
	out := tapio.Probe{
		Kind: kind, Type: "exec", Delay: p.InitialDelaySeconds,
		Period: cmpOr(p.PeriodSeconds, 10), Timeout: cmpOr(p.TimeoutSeconds, 1), Failures: cmpOr(p.FailureThreshold, 3),
	}
	switch {
	case p.HTTPGet != nil:
		h := p.HTTPGet
		out.Type, out.Port, out.Path, out.Host = "http", h.Port.String(), h.Path, h.Host
		out.Scheme = cmpOr(string(h.Scheme), string(corev1.URISchemeHTTP))
	case p.TCPSocket != nil:
		out.Type, out.Port, out.Host = "tcp", p.TCPSocket.Port.String(), p.TCPSocket.Host
	case p.GRPC != nil:
		out.Type, out.Port = "grpc", strconv.Itoa(int(p.GRPC.Port))
	}
	return out
}

// cmpOr returns v, or what the API server fills in where it is not set.
func cmpOr[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func variable(e *corev1.EnvVar) tapio.EnvVar {
	out := tapio.EnvVar{Name: e.Name, Value: bound(redact.Value(e.Name, e.Value), maxEnvValue)}
	from := e.ValueFrom
	switch {
	case from == nil:
	case from.ConfigMapKeyRef != nil:
		out.From = tapio.Entity{Kind: tapio.KindConfigMap, Name: from.ConfigMapKeyRef.Name}
		out.Key = from.ConfigMapKeyRef.Key
	case from.SecretKeyRef != nil:
		out.From = tapio.Entity{Kind: tapio.KindSecret, Name: from.SecretKeyRef.Name}
		out.Key = from.SecretKeyRef.Key
	case from.FieldRef != nil:
		out.Key = from.FieldRef.FieldPath
	}
	return out
}

// hidden bounds the words of a command line and hides those that look secret,
// also where the word before says what they are: --password hunter2.
func hidden(words []string) []string {
	if len(words) == 0 {
		return nil
	}
	words = head(words, maxWords)
	out := make([]string, len(words))
	for i, w := range words {
		w = redact.Text(w)
		if i > 0 && strings.HasPrefix(words[i-1], "-") && !strings.Contains(words[i-1], "=") && !strings.HasPrefix(w, "-") {
			w = redact.Value(words[i-1], w)
		}
		out[i] = bound(w, maxMessage)
	}
	return out
}

// tokenPath is where the service account's token is mounted: in every pod,
// from a volume with a random name.
const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount"

// isToken reports whether a volume is the service account's token and what
// comes with it.
func isToken(v *corev1.Volume) bool {
	return v.Projected != nil && strings.HasPrefix(v.Name, "kube-api-access-")
}

func volumes(list []corev1.Volume) []tapio.Volume {
	var out []tapio.Volume
	for i := range head(list, maxVolumes) {
		v := &list[i]
		if isToken(v) {
			continue
		}
		t := tapio.Volume{Name: v.Name}
		switch {
		case v.ConfigMap != nil:
			t.Source = tapio.Entity{Kind: tapio.KindConfigMap, Name: v.ConfigMap.Name}
			t.Optional = orDefault(v.ConfigMap.Optional, false)
		case v.Secret != nil:
			t.Source = tapio.Entity{Kind: tapio.KindSecret, Name: v.Secret.SecretName}
			t.Optional = orDefault(v.Secret.Optional, false)
		case v.PersistentVolumeClaim != nil:
			t.Source = tapio.Entity{Kind: tapio.KindPersistentVolumeClaim, Name: v.PersistentVolumeClaim.ClaimName}
		case v.HostPath != nil:
			t.Source.Kind, t.Path = "HostPath", v.HostPath.Path
		case v.EmptyDir != nil:
			t.Source.Kind = "EmptyDir"
		case v.CSI != nil:
			t.Source = tapio.Entity{Kind: "CSI", Name: v.CSI.Driver}
		case v.Projected != nil:
			t.Source.Kind = "Projected"
		case v.DownwardAPI != nil:
			t.Source.Kind = "DownwardAPI"
		case v.NFS != nil:
			t.Source, t.Path = tapio.Entity{Kind: "NFS", Name: v.NFS.Server}, v.NFS.Path
		case v.Ephemeral != nil:
			t.Source.Kind = "Ephemeral"
		default:
			t.Source.Kind = "Other"
		}
		out = append(out, t)
	}
	return out
}

// Bounds of what is told of one ConfigMap.
const (
	maxKeys        = 64
	maxConfigValue = 4 << 10 // bytes: most files of settings fit
)

// configValues bounds the values of a ConfigMap and hides what looks secret in
// them.
func configValues(data map[string]string) map[string]string {
	if len(data) == 0 {
		return nil
	}
	out := make(map[string]string, min(len(data), maxKeys))
	for _, k := range slices.Sorted(maps.Keys(data)) {
		if len(out) == maxKeys {
			break
		}
		out[k] = bound(redact.Value(k, data[k]), maxConfigValue)
	}
	return out
}

// configValuesState is of a ConfigMap that was read with its data: in a dump,
// or as the answer to a want.
func configValuesState(c *corev1.ConfigMap) tapio.State {
	s := base(tapio.KindConfigMap, c)
	if c.Name != clusterCA {
		s.Config = &tapio.ConfigState{Values: configValues(c.Data)}
	}
	return s
}
