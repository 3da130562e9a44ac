"""The state kept of each watched object: only what a decision needs, for there may be thousands of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from batkol_operator.kube.names import DELETION_COST, FIELD_MANAGER, KIND, LIVE_REVISION

Body: TypeAlias = Mapping[str, Any]

NOT_STARTING: Final = frozenset(
    {
        "CreateContainerConfigError",  # a secret or a key of it is missing
        "CreateContainerError",
        "RunContainerError",
        "CrashLoopBackOff",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
    }
)
"""Reasons of the kubelet for a container that waits, and will wait until somebody changes something."""

RESTARTS: Final = 3
"""From so many on, a container that ended and is not ready counts as one that cannot start."""

_COMING: Final = frozenset({"ContainerCreating", "PodInitializing"})

_OURS: Final = "batkol: "
"""How the service begins the sentence that it gives up with; what else is in a container's log is not repeated."""

_LONGEST: Final = 400
"""Characters of it."""


@dataclass(frozen=True, slots=True)
class Child:
    """An object of ours."""

    uid: str
    owner: str  # uid of the agent that is its controller
    version: int | None  # resourceVersion, where it is a number as in every real API server
    ours: str  # digest of the fields that are ours; see `owned_fields`
    deleting: bool


@dataclass(frozen=True, slots=True)
class Rollout:
    """A Deployment's state."""

    current: bool  # its controller has seen its newest generation
    wanted: int
    replicas: int
    updated: int
    ready: int
    available: bool | None  # the condition; None: not said yet
    stuck: str  # why it does not progress; empty while it does


@dataclass(frozen=True, slots=True)
class PodState:
    """A pod's state."""

    name: str
    uid: str
    ip: str
    ready: bool
    terminating: bool
    trouble: str  # why its container does not start: a sentence, or empty
    coming_since: datetime | None  # its container is being created since then
    cost: str  # annotation, as it stands
    revision: str  # annotation, as it stands


def read_child(body: Body) -> Child:
    """Read an object of any kind."""
    metadata = body["metadata"]
    version = str(metadata.get("resourceVersion", ""))
    references = metadata.get("ownerReferences") or ()
    owners = [str(each.get("uid", "")) for each in references if each.get("controller") and each.get("kind") == KIND]
    return Child(
        uid=str(metadata.get("uid", "")),
        owner=owners[0] if owners else "",
        version=int(version) if version.isdigit() else None,
        ours=owned_fields(body),
        deleting="deletionTimestamp" in metadata,
    )


def owned_fields(body: Body) -> str:
    """Digest which fields of an object the API server keeps as applied by us.

    Whoever else changes or removes a field that we applied takes it out of that set (Kubernetes, "Server-Side Apply",
    field management), whatever the object's kind, its defaults and its status. So an equal digest says: all that we
    applied stands.
    """
    mine = [
        entry.get("fieldsV1") or {}
        for entry in body["metadata"].get("managedFields") or ()
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource")
    ]
    return digest(mine)


def digest(value: Any) -> str:
    """Digest anything that JSON can write."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=16).hexdigest()


def read_rollout(body: Body) -> Rollout:
    """Read a Deployment."""
    status = body.get("status") or {}
    conditions: dict[str, Body] = {str(c.get("type")): c for c in status.get("conditions") or ()}
    available, progressing = conditions.get("Available"), conditions.get("Progressing") or {}
    failed = conditions.get("ReplicaFailure") or {}
    stuck = ""
    if failed.get("status") == "True":
        stuck = str(failed.get("message", ""))
    elif progressing.get("status") == "False":
        stuck = str(progressing.get("message", ""))
    return Rollout(
        current=int(status.get("observedGeneration", 0)) >= int(body["metadata"].get("generation", 0)),
        wanted=int((body.get("spec") or {}).get("replicas", 1)),
        replicas=int(status.get("replicas", 0)),
        updated=int(status.get("updatedReplicas", 0)),
        ready=int(status.get("readyReplicas", 0)),
        available=None if available is None else available.get("status") == "True",
        stuck=stuck,
    )


def read_pod(body: Body) -> PodState | None:
    """Read a pod; None for one that has ended for good, as an evicted one."""
    metadata, status = body["metadata"], body.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return None
    first = status.get("initContainerStatuses") or ()
    containers = [*first, *(status.get("containerStatuses") or ())]
    # While an init container runs, the others only wait for it: a migration may take its time.
    coming = any(_waiting(container).get("reason") in _COMING for container in containers) and not any(
        "running" in (container.get("state") or {}) for container in first
    )
    annotations = metadata.get("annotations") or {}
    return PodState(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        ip=str(status.get("podIP", "")),
        ready=any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ()),
        terminating="deletionTimestamp" in metadata,
        trouble=next(filter(None, map(_trouble, containers)), ""),
        coming_since=_time(status.get("startTime")) if coming else None,
        cost=str(annotations.get(DELETION_COST, "")),
        revision=str(annotations.get(LIVE_REVISION, "")),
    )


def _waiting(container: Body) -> Body:
    return (container.get("state") or {}).get("waiting") or {}


def _trouble(container: Body) -> str:
    name, waiting = container.get("name"), _waiting(container)
    ended = (container.get("lastState") or {}).get("terminated")
    said = _last_words(ended or {})
    if waiting.get("reason") in NOT_STARTING:
        message = said or str(waiting.get("message", "")).strip().rstrip(".")
        return f"container {name}: {waiting['reason']}{': ' + message if message else ''}"
    if ended and not container.get("ready") and int(container.get("restartCount", 0)) >= RESTARTS:
        # Between two crashes a container runs for a while: that is no recovery.
        said = said or f"it ends again and again, last with exit code {ended.get('exitCode')}"
        return f"container {name}: CrashLoopBackOff: {said}"
    return ""


def _last_words(ended: Body) -> str:
    """Return the sentence that the service ended with; empty where the kubelet has not kept it."""
    lines = str(ended.get("message") or "").splitlines()
    said = [line.removeprefix(_OURS) for line in lines if line.startswith(_OURS)]
    return said[-1][:_LONGEST].strip().rstrip(".") if said else ""


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
