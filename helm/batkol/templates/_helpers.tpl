{{- define "batkol.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- /* The release's name is in it once: `helm install batkol` makes `batkol-operator`, and `helm install x` `x-batkol-operator`. */ -}}
{{- define "batkol.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "batkol.name" . -}}
{{- $base := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- printf "%s-operator" ($base | trunc 41 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "batkol.selector" -}}
app.kubernetes.io/name: batkol-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "batkol.labels" -}}
{{ include "batkol.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: batkol
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* (list root labels): the chart's, where these do not say otherwise. */ -}}
{{- define "batkol.labelsWith" -}}
{{- toYaml (merge (dict) (default dict (index . 1)) (fromYaml (include "batkol.labels" (index . 0)))) -}}
{{- end -}}

{{- /* Of every object: (dict "root" . "name" … "namespace" … "annotations" dict "labels" dict). No namespace: a cluster's object. */ -}}
{{- define "batkol.metadata" -}}
name: {{ .name }}
{{- with .namespace }}
namespace: {{ . }}
{{- end }}
labels:
  {{- include "batkol.labelsWith" (list .root .labels) | nindent 2 }}
{{- with merge (dict) (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "batkol.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "batkol.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.create is false: name the account to use in serviceAccount.name" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "batkol.image" -}}
{{- $image := index . 0 -}}
{{- $root := index . 1 -}}
{{- $registry := default (dig "imageRegistry" "" (default dict $root.Values.global)) $root.Values.imageRegistry -}}
{{- $repository := ternary (printf "%s/%s" (trimSuffix "/" $registry) $image.repository) $image.repository (ne $registry "") -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default $root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "batkol.keySecret" -}}
{{- default (printf "%s-key" (include "batkol.fullname" .)) .Values.operatorKey.existingSecret -}}
{{- end -}}

{{- /* Of every pod of the chart. By default what the "restricted" level of the Pod Security Standards asks, and a read-only root. */ -}}
{{- define "batkol.podSecurity" -}}
{{- toYaml .Values.podSecurityContext -}}
{{- end -}}

{{- define "batkol.containerSecurity" -}}
{{- toYaml .Values.securityContext -}}
{{- end -}}

{{- /* (list mode kind root) → "true" where the object is wanted: Auto asks the cluster. */ -}}
{{- define "batkol.wanted" -}}
{{- $mode := index . 0 -}}
{{- $kind := index . 1 -}}
{{- $root := index . 2 -}}
{{- if or (eq $mode "Enabled") (and (eq $mode "Auto") ($root.Capabilities.APIVersions.Has $kind)) -}}true{{- end -}}
{{- end -}}

{{- /*
What the operator may do where its VoiceAgents are: what it does, and no more. A test holds it against what the operator makes,
and templates/admission-policy.yaml says to which objects of these kinds.
*/ -}}
{{- define "batkol.rules" -}}
- apiGroups: [batkol.dev]
  resources: [voiceagents]
  verbs: [list, watch, patch]
- apiGroups: [batkol.dev]
  resources: [voiceagents/status]
  verbs: [patch]
# Owner references that hold up deletion, where admission (OwnerReferencesPermissionEnforcement) asks for it.
- apiGroups: [batkol.dev]
  resources: [voiceagents/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
# No `get`, `list` or `watch`, and no `patch` or `delete` either: both answer with the Secret. An `update` answers with what was sent.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, update]
# The pods' annotations: calls in progress, for whom to take first at a scale-down.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
# To hand on: each agent's pods may get, list and watch one ConfigMap, and only who may do so can let others.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
# How many pods there are, before an autoscaler is to decide it.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get]
# The flags of `spec.flagsFrom`, where the OpenFeature Operator is.
- apiGroups: [core.openfeature.dev]
  resources: [featureflags]
  verbs: [get, list, watch]
{{- range $group, $resources := fromYaml (include "batkol.children" .) }}
- apiGroups: [{{ $group | quote }}]
  resources: [{{ join ", " $resources }}]
  verbs: [list, watch, create, patch, delete]
{{- end }}
{{- end -}}

{{- define "batkol.children" -}}
"": [configmaps, serviceaccounts, services]
apps: [deployments]
autoscaling: [horizontalpodautoscalers]
gateway.networking.k8s.io: [httproutes]
keda.sh: [scaledobjects]
monitoring.coreos.com: [podmonitors]
networking.k8s.io: [ingresses, networkpolicies]
policy: [poddisruptionbudgets]
rbac.authorization.k8s.io: [rolebindings, roles]
{{- end -}}

{{- /* A list or a watch has no name to be restricted by. */ -}}
{{- define "batkol.peeringRules" -}}
{{- if ne (index . 1).Values.peeringName "none" -}}
- apiGroups: [kopf.dev]
  resources: [{{ index . 0 }}]
  verbs: [list, watch]
- apiGroups: [kopf.dev]
  resources: [{{ index . 0 }}]
  resourceNames: [{{ (index . 1).Values.peeringName }}]
  verbs: [get, patch]
{{- end -}}
{{- end -}}
