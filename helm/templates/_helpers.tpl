{{/* Names and labels. */}}
{{- define "llm-proxy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* 40 characters, so that every suffix fits into 63. */}}
{{- define "llm-proxy.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "llm-proxy.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "llm-proxy.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "llm-proxy.selectorLabels" -}}
app.kubernetes.io/name: {{ include "llm-proxy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What the pods of the Deployment have and those of Jobs and tests have not. */}}
{{- define "llm-proxy.serverLabels" -}}
{{ include "llm-proxy.selectorLabels" . }}
app.kubernetes.io/component: server
{{- end }}

{{- define "llm-proxy.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "llm-proxy.labels" -}}
{{ include "llm-proxy.selectorLabels" . }}
{{ include "llm-proxy.commonLabels" . }}
{{- end }}

{{- define "llm-proxy.image" -}}
{{- $image := .Values.image }}
{{- $name := printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) }}
{{- if $image.digest }}{{ printf "%s@%s" $name $image.digest }}{{ else }}{{ $name }}{{ end }}
{{- end }}

{{- define "llm-proxy.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "llm-proxy.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "llm-proxy.isSqlite" -}}
{{- if eq .Values.database.type "sqlite" }}true{{ end }}
{{- end }}

{{- define "llm-proxy.replicas" -}}
{{- if ne (toString .Values.replicaCount) "auto" }}{{ int .Values.replicaCount }}
{{- else if include "llm-proxy.isSqlite" . }}1
{{- else }}3{{ end }}
{{- end }}

{{/* Whether there are several pods, at least at times. */}}
{{- define "llm-proxy.isSeveral" -}}
{{- if or .Values.autoscaling.enabled (gt (int (include "llm-proxy.replicas" .)) 1) }}true{{ end }}
{{- end }}

{{/* A number as it is written by people: YAML's numbers reach templates as floats, 3.3554432e+07. */}}
{{- define "llm-proxy.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ toString . }}{{ end }}
{{- end }}

{{/* Every secret: its variable, where it comes from, its key in our Secret, whether it can be made. */}}
{{- define "llm-proxy.secrets" -}}
- {env: ADMIN_KEY, key: admin-key, from: {{ toJson .Values.adminKey }}, generate: {{ .Values.generateKeys }}}
- {env: ENCRYPTION_KEY, key: encryption-key, from: {{ toJson .Values.encryptionKey }}, generate: {{ .Values.generateKeys }}}
- {env: ENCRYPTION_KEY_OLD, key: encryption-key-old, from: {{ toJson .Values.encryptionKeyOld }}}
{{- if not (include "llm-proxy.isSqlite" .) }}
- {env: DB_URL, key: db-url, from: {{ toJson .Values.database.url }}}
{{- end }}
- {env: REDIS_URL, key: redis-url, from: {{ toJson .Values.redis.url }}}
{{- if .Values.langfuse.enabled }}
- {env: LANGFUSE_PUBLIC_KEY, key: langfuse-public-key, from: {{ toJson .Values.langfuse.publicKey }}}
- {env: LANGFUSE_SECRET_KEY, key: langfuse-secret-key, from: {{ toJson .Values.langfuse.secretKey }}}
{{- end }}
- {env: OTEL_EXPORTER_OTLP_HEADERS, key: otel-headers, from: {{ toJson .Values.otel.headers }}}
{{- end }}

{{/* One of those as a variable of a container, nothing where it is not set: (dict "root" $ "secret" .) */}}
{{- define "llm-proxy.secretEnv" -}}
{{- $from := .secret.from }}
{{- $name := include "llm-proxy.fullname" .root }}
{{- if or $from.existingSecret $from.value .secret.generate }}
- name: {{ .secret.env }}
  valueFrom:
    secretKeyRef:
      {{- if $from.existingSecret }}
      name: {{ $from.existingSecret }}
      key: {{ $from.existingSecretKey }}
      {{- else }}
      name: {{ if $from.value }}{{ $name }}{{ else }}{{ $name }}-generated{{ end }}
      key: {{ .secret.key }}
      {{- end }}
{{- end }}
{{- end }}

{{/* Seconds between the deletion of a pod and its kill. */}}
{{- define "llm-proxy.gracePeriod" -}}
{{- $s := .Values.shutdown }}
{{- add (int $s.preStopSeconds) (ceil $s.delaySeconds | int) (ceil $s.drainSeconds | int) (int $s.marginSeconds) }}
{{- end }}

{{/* The variables that are no secrets. */}}
{{- define "llm-proxy.config" -}}
PORT: {{ include "llm-proxy.text" .Values.containerPort | quote }}
SHUTDOWN_DELAY_SECS: {{ include "llm-proxy.text" .Values.shutdown.delaySeconds | quote }}
SHUTDOWN_DRAIN_SECS: {{ include "llm-proxy.text" .Values.shutdown.drainSeconds | quote }}
DATA_DIR: /var/lib/llm-proxy
SNAPSHOT_PATH: /var/lib/llm-proxy/snapshot.json
{{- if include "llm-proxy.rootCertSource" . }}
DB_SSL_ROOT_CERT: /etc/llm-proxy/database/ca.crt
{{- end }}
{{- if .Values.langfuse.enabled }}
LANGFUSE_ENABLED: "true"
{{- end }}
{{- with .Values.otel.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ include "llm-proxy.text" $value | quote }}
{{- end }}
{{- end }}

{{/* Name of the ConfigMap with PostgreSQL's authorities; empty without. */}}
{{- define "llm-proxy.rootCertSource" -}}
{{- $cert := .Values.database.rootCert }}
{{- if include "llm-proxy.isSqlite" . }}
{{- else if $cert.existingConfigMap }}{{ $cert.existingConfigMap }}
{{- else if $cert.value }}{{ include "llm-proxy.fullname" . }}-database-ca{{ end }}
{{- end }}

{{- define "llm-proxy.rootCertVolume" -}}
- name: database-ca
  configMap:
    name: {{ .name }}
    items:
      - key: {{ if .cert.existingConfigMap }}{{ .cert.existingConfigMapKey }}{{ else }}ca.crt{{ end }}
        path: ca.crt
{{- end }}

{{- define "llm-proxy.rootCertMount" -}}
- name: database-ca
  mountPath: /etc/llm-proxy/database
  readOnly: true
{{- end }}
