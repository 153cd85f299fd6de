{{- define "holdfast.name" -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{- end }}

{{- define "holdfast.selector" -}}
app.kubernetes.io/name: holdfast
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "holdfast.labels" -}}
{{ include "holdfast.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "holdfast.image" -}}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{- end }}

{{/* Mistakes that the schema cannot say. */}}
{{- define "holdfast.check" -}}
{{- if not .Values.redis.address }}{{ fail "redis.address: say where Redis is" }}{{ end }}
{{- $file := hasPrefix "sqlite:" .Values.ledger.address }}
{{- if and $file (gt (int .Values.replicas) 1) }}{{ fail "replicas: more than one pod needs a ledger of its own: ledger.address cql:..." }}{{ end }}
{{- if and (not $file) (not .Values.keysSecret) }}{{ fail "keysSecret: with a CQL ledger all pods share one file of keys" }}{{ end }}
{{- end }}

{{/* Settings of every container that runs the program. */}}
{{- define "holdfast.environment" -}}
- { name: HOLDFAST_MODE, value: {{ .Values.mode | quote }} }
- { name: HOLDFAST_REDIS, value: {{ .Values.redis.address | quote }} }
- { name: HOLDFAST_LEDGER, value: {{ .Values.ledger.address | quote }} }
{{- range $name, $value := .Values.settings }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- end }}

{{- define "holdfast.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "holdfast.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end }}
