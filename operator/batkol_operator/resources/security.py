"""The pods' rights on their node: the *restricted* Pod Security Standard, and a read-only root file system.

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from batkol_operator.kube.names import Manifest


def pod_security() -> Manifest:
    """Return the pod's security context; the image sets the user, OpenShift sets another."""
    return {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def container_security() -> Manifest:
    """Return the container's security context."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
    }
