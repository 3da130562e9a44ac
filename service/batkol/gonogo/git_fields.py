"""Fields that Argo CD or Flux would put back after a flip: they put back the fields of an object that Git has.

They mark what they apply, and the API server records which fields they apply (`managedFields`). A field that only the
cluster has is left alone. One that Git has may be ignored by a rule of theirs, which the object does not show: then an
annotation says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from batkol.answers import UNREADABLE

FLAGS_OUTSIDE_GIT: Final = "batkol.dev/flags-outside-git"
"""Annotation of a VoiceAgent or a ConfigMap; "true": no GitOps controller puts its flags back."""

_MARKS: Final = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
}
"""Labels and annotations. Argo CD's `app.kubernetes.io/instance` is not among them: each chart sets it."""

_MANAGERS: Final = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
}
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def undoing(metadata: Mapping[str, Any], path: Sequence[str]) -> str | None:
    """Name the controller that would put back the field at `path`; None if none would."""
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    if annotations.get(FLAGS_OUTSIDE_GIT) == "true":
        return None
    entries = [each for each in metadata.get("managedFields") or () if each.get("manager") in _MANAGERS]
    marks = {**(metadata.get("labels") or {}), **annotations}
    names = [_MARKS[mark] for mark in _MARKS if mark in marks] + [_MANAGERS[each["manager"]] for each in entries]
    if not names:
        return None
    if entries:
        has = any(_holds(each.get("fieldsV1"), [f"f:{name}" for name in path]) for each in entries)
    else:
        # Without a record of its fields: what Argo CD applies as kubectl does says all of it, and else it may have any.
        applied = _read(annotations.get(_LAST_APPLIED, ""))
        has = applied is None or _holds(applied, path)
    return names[0] if has else None


def remedy(name: str, where: str, path: Sequence[str]) -> str:
    """Say what would happen, and what to do."""
    field = ".".join(path)
    return (
        f"{name} applies {where} from Git, `{field}` too, and would undo the flip. Remove `{field}` from Git, so that "
        f"only the cluster has it. Or have {name} ignore its differences, and annotate the object with "
        f"{FLAGS_OUTSIDE_GIT}=true (docs/kubernetes.md, Argo CD and Flux)."
    )


def _holds(fields: Any, path: Sequence[str]) -> bool:
    for name in path:
        if not isinstance(fields, Mapping) or name not in fields:
            return False
        fields = fields[name]
    return True


def _read(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except UNREADABLE:
        return None
