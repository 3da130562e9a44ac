"""Environment variables of a container, as Kubernetes writes them."""

from __future__ import annotations

from typing import Any

from batkol_operator.kube.names import Manifest
from batkol_operator.model.secret_key import SecretKey


def plain(name: str, value: str | float | bool) -> Manifest:
    """Escape a value: `$(NAME)` is Kubernetes' own syntax, `$$(` keeps the text as written."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {"name": name, "value": text.replace("$(", "$$(")}


def secret(name: str, ref: SecretKey) -> Manifest:
    """Refer to one key of a Secret."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": ref.name, "key": ref.key}}}


def downward(name: str, path: str) -> Manifest:
    """Refer to a field of the pod itself."""
    field: dict[str, Any] = {"apiVersion": "v1", "fieldPath": path}
    return {"name": name, "valueFrom": {"fieldRef": field}}


def named(prefix: str, name: str) -> str:
    """Return the name of the variable with a secret of the part with that name."""
    return f"{prefix}_{name.upper().replace('-', '_')}"
