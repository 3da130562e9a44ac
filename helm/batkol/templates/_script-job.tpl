{{- /*
A Job of Helm's that runs a script of files/ in the operator's image:
(dict "root" . "name" … "component" … "hook" annotations "script" … "arguments" list "seconds" int).
*/ -}}
{{- define "batkol.scriptJob" -}}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "batkol.metadata" (dict "root" .root "name" .name "namespace" .root.Release.Namespace "annotations" .hook) | nindent 2 }}
spec:
  backoffLimit: 3
  activeDeadlineSeconds: {{ .seconds }}
  template:
    metadata:
      labels:
        {{- include "batkol.labelsWith" (list .root (dict "app.kubernetes.io/name" (printf "batkol-%s" .component) "app.kubernetes.io/component" .component)) | nindent 8 }}
    spec:
      restartPolicy: Never
      serviceAccountName: {{ .name }}
      automountServiceAccountToken: true
      enableServiceLinks: false
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "batkol.podSecurity" .root | nindent 8 }}
      containers:
        - name: {{ .component }}
          image: {{ include "batkol.image" (list .root.Values.image .root) | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          command: [python, -c]
          args:
            - {{ .root.Files.Get (printf "files/%s" .script) | quote }}
            {{- range .arguments }}
            - {{ . | quote }}
            {{- end }}
          resources:
            requests: {cpu: 50m, memory: 64Mi}
            limits: {memory: 128Mi}
          securityContext:
            {{- include "batkol.containerSecurity" .root | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: tmp
          emptyDir:
            sizeLimit: 16Mi
{{- end -}}
