module batkol.dev/tools/kube-router

go 1.25.0

require (
	github.com/cloudnativelabs/kube-router/v2 v2.1.0
	k8s.io/client-go v0.29.2
)
