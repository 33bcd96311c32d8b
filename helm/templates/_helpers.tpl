{{/* Names and labels. */}}
{{- define "llm-proxy.name" -}}
{{- regexReplaceAll "[-._]+$" (default .Chart.Name .Values.nameOverride | trunc 63) "" }}
{{- end }}

{{/* At most 40 characters, so that every suffix fits into 63. A Service's name has no dots and begins with a letter. What has
to be changed for that ends with a hash, so that two releases do not get one name. */}}
{{- define "llm-proxy.fullname" -}}
{{- $wanted := .Values.fullnameOverride }}
{{- if not $wanted }}
{{- $name := include "llm-proxy.name" . }}
{{- $wanted = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- end }}
{{- $fit := regexReplaceAll "^([0-9])" ($wanted | replace "." "-") "llm-$1" }}
{{- if or (ne $fit $wanted) (gt (len $fit) 40) }}
{{- $fit = printf "%s-%s" (regexReplaceAll "-+$" ($fit | trunc 31) "") (sha256sum $wanted | trunc 8) }}
{{- end }}
{{- $fit }}
{{- end }}

{{- define "llm-proxy.metadata" -}}
name: {{ printf "%s%s" (include "llm-proxy.fullname" .root) (.end | default "") | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels: {{- include "llm-proxy.labels" . | nindent 2 }}
{{- end }}

{{- define "llm-proxy.selectorLabels" -}}
app.kubernetes.io/name: {{ include "llm-proxy.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* What the pods of the Deployment have and those of Jobs and tests have not. */}}
{{- define "llm-proxy.serverLabels" -}}
{{ include "llm-proxy.selectorLabels" . }}
app.kubernetes.io/component: server
{{- end }}

{{/* The labels of an object: (dict "root" $ "more" its own "component" that of a pod). Those that are selected by win. */}}
{{- define "llm-proxy.labels" -}}
{{- $fixed := include "llm-proxy.selectorLabels" .root | fromYaml }}
{{- $_ := set $fixed "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") }}
{{- $_ := set $fixed "app.kubernetes.io/version" (.root.Chart.AppVersion | replace "+" "_") }}
{{- $_ := set $fixed "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- with .component }}{{ $_ := set $fixed "app.kubernetes.io/component" . }}{{ end }}
{{- toYaml (merge $fixed (.more | default dict) (.root.Values.commonLabels | default dict)) }}
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

{{/* What pods restart for: every secret as it is given; one of another Secret as it is now, where the cluster can be asked. */}}
{{- define "llm-proxy.secretsNow" -}}
{{ include "llm-proxy.secrets" . }}
{{- range include "llm-proxy.secrets" . | fromYamlArray }}
{{- if .from.existingSecret }}
{{- $data := (lookup "v1" "Secret" $.Release.Namespace .from.existingSecret).data | default dict }}
{{ get $data .from.existingSecretKey }}
{{- end }}
{{- end }}
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
      name: {{ $from.existingSecret | quote }}
      key: {{ $from.existingSecretKey | quote }}
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
HOST: {{ .Values.listenAddress | quote }}
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
    name: {{ .name | quote }}
    items:
      - key: {{ ternary .cert.existingConfigMapKey "ca.crt" (ne .cert.existingConfigMap "") | quote }}
        path: ca.crt
{{- end }}

{{- define "llm-proxy.rootCertMount" -}}
- name: database-ca
  mountPath: /etc/llm-proxy/database
  readOnly: true
{{- end }}
