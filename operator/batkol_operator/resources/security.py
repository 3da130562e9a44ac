"""The pods' rights on their node: the *restricted* Pod Security Standard, and a read-only root file system.

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from batkol_operator.kube.names import Manifest


def pod_security(fs_group: int | None = None) -> Manifest:
    """Return the pod's security context; the image sets the user, OpenShift sets another.

    No group by default: an emptyDir is writable for every user, a mounted Secret readable, and OpenShift refuses a
    group outside the namespace's range.
    """
    context: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if fs_group is not None:
        context |= {"fsGroup": fs_group, "fsGroupChangePolicy": "OnRootMismatch"}
    return context


def container_security() -> Manifest:
    """Return the container's security context."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
    }
