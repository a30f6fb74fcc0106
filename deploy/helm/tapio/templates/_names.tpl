{{- define "tapio.name" -}}
{{- if contains "tapio" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-tapio{{ end }}
{{- end }}

{{- define "tapio.labels" -}}
app.kubernetes.io/name: tapio
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "tapio.selector" -}}
app.kubernetes.io/name: tapio
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tapio.relay" -}}{{ include "tapio.name" . }}-relay.{{ .Release.Namespace }}.svc{{- end }}

{{- define "tapio.tls" -}}{{ .Values.relay.tls.existingSecret | default (printf "%s-relay" (include "tapio.name" .)) }}{{- end }}

{{- /* What the engine reads as tapio.yaml: what the chart decides, over what the user says. */ -}}
{{- define "tapio.config" -}}
{{- $fixed := dict "listen" "0.0.0.0:8080" "store" (dict "dir" "/var/lib/tapio/data") -}}
{{- if .Values.cluster }}{{ $_ := set $fixed "cluster" .Values.cluster }}{{ end -}}
{{- if .Values.agent.enabled -}}
{{- $agents := list (printf "%s/%s-agent" .Release.Namespace (include "tapio.name" .)) -}}
{{- $_ := set $fixed "relay" (dict "listen" (printf "0.0.0.0:%v" .Values.relay.port) "cert_file" "/etc/tapio/relay/tls.crt" "key_file" "/etc/tapio/relay/tls.key" "agents" $agents "quota" .Values.relay.quota) -}}
{{- end -}}
{{- mergeOverwrite (deepCopy .Values.config) $fixed | toYaml -}}
{{- end }}

{{- define "tapio.agentConfig" -}}
{{- $fixed := dict "engine" (dict "address" (printf "%s:%v" (include "tapio.relay" .) .Values.relay.port)) -}}
{{- if .Values.agent.kernel }}{{ $_ := set $fixed "kernel" (dict "cgroup_root" "/host/sys/fs/cgroup") }}{{ else }}{{ $_ := set $fixed "kernel" (dict "probes" (list)) }}{{ end -}}
{{- mergeOverwrite (deepCopy .Values.agent.config) $fixed | toYaml -}}
{{- end }}
