"""The identity of the pods: a ServiceAccount that may read one ConfigMap, and nothing else."""

from __future__ import annotations

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.objects import child

_RBAC = "rbac.authorization.k8s.io"


def identity(agent: VoiceAgent) -> tuple[Manifest, ...]:
    """Return ServiceAccount, Role and RoleBinding, in the order to apply them."""
    return _service_account(agent), _role(agent), _role_binding(agent)


def _service_account(agent: VoiceAgent) -> Manifest:
    """No token for whoever merely runs under it; the Deployment asks for its own, for its one watch."""
    account = child(agent, "v1", "ServiceAccount")
    if annotations := agent.spec.pod.service_account_annotations:
        account["metadata"]["annotations"] = dict(sorted(annotations.items()))
    return {**account, "automountServiceAccountToken": False}


def _role(agent: VoiceAgent) -> Manifest:
    """Kubernetes allows list and watch by resourceNames where the request has `fieldSelector=metadata.name=…`."""
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [names.live_name(agent.metadata.name)],
        "verbs": ["get", "list", "watch"],
    }
    return {**child(agent, f"{_RBAC}/v1", "Role"), "rules": [rule]}


def _role_binding(agent: VoiceAgent) -> Manifest:
    about = agent.metadata
    binding = child(
        agent, f"{_RBAC}/v1", "RoleBinding", roleRef={"apiGroup": _RBAC, "kind": "Role", "name": about.name}
    )
    return {**binding, "subjects": [{"kind": "ServiceAccount", "name": about.name, "namespace": about.namespace}]}
