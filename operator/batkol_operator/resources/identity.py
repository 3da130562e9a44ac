"""The identity of the pods: a ServiceAccount that may read one ConfigMap and nothing else."""

from __future__ import annotations

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.objects import owned_object

_RBAC = "rbac.authorization.k8s.io"


def identity(agent: VoiceAgent) -> tuple[Manifest, ...]:
    """Return ServiceAccount, Role and RoleBinding, in the order to apply them.

    The agent's own account and its right stay beside an existing one that the pods use: the pods of before have it
    until their last call has ended, and follow the live configuration with it.
    """
    return _service_account(agent), _role(agent), _role_binding(agent)


def account_name(agent: VoiceAgent) -> str:
    """Return the name of the pods' ServiceAccount."""
    return agent.spec.pod.service_account_name or agent.metadata.name


def _service_account(agent: VoiceAgent) -> Manifest:
    """Build the account without a mounted token; the Deployment mounts one, for the watch of its pods."""
    account = owned_object(agent, "v1", "ServiceAccount")
    if annotations := agent.spec.pod.service_account_annotations:
        account["metadata"]["annotations"] = dict(sorted(annotations.items()))
    return {**account, "automountServiceAccountToken": False}


def _role(agent: VoiceAgent) -> Manifest:
    """Kubernetes allows list and watch by resourceNames if the request has `fieldSelector=metadata.name=…`."""
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [names.live_name(agent.metadata.name)],
        "verbs": ["get", "list", "watch"],
    }
    return {**owned_object(agent, f"{_RBAC}/v1", "Role"), "rules": [rule]}


def _role_binding(agent: VoiceAgent) -> Manifest:
    about = agent.metadata
    binding = owned_object(
        agent, f"{_RBAC}/v1", "RoleBinding", roleRef={"apiGroup": _RBAC, "kind": "Role", "name": about.name}
    )
    accounts = dict.fromkeys((about.name, account_name(agent)))
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": about.namespace} for name in accounts]
    return {**binding, "subjects": subjects}
