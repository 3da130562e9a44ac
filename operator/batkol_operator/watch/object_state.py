"""The state kept of each watched object: only what a decision needs, for there may be thousands of objects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from batkol_operator.kube.names import DELETION_COST, FIELD_MANAGER, KIND, LIVE_REVISION

Body: TypeAlias = Mapping[str, Any]

START_FAILURES: Final = frozenset(
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
"""The kubelet's reasons for a container that waits until a person changes something."""

CRASH_LOOP_RESTARTS: Final = 3
"""Restarts from which on a container that ended and is not ready counts as one that cannot start."""

_CREATING: Final = frozenset({"ContainerCreating", "PodInitializing"})

_PREFIX: Final = "batkol: "
"""Beginning of the sentence with which the service gives up; no other line of a container's log is repeated."""

_LONGEST_SENTENCE: Final = 400
"""Characters of that sentence."""


@dataclass(frozen=True, slots=True)
class ObjectState:
    """An owned object's state."""

    uid: str
    owner: str  # uid of the agent that is its controller
    version: int | None  # resourceVersion, where it is a number as in every real API server
    fields: str  # digest of the fields that the operator applied; see `owned_fields`
    deleting: bool


@dataclass(frozen=True, slots=True)
class Rollout:
    """A Deployment's state."""

    current: bool  # the Deployment's controller has observed the newest generation
    wanted: int
    replicas: int
    updated: int
    ready: int
    available: bool | None  # the condition; None: not sentence yet
    stuck: str  # why the rollout does not progress; empty while it does


@dataclass(frozen=True, slots=True)
class PodState:
    """A pod's state."""

    name: str
    uid: str
    ip: str
    ready: bool
    terminating: bool
    start_failure: str  # why a container does not start: a sentence, or empty
    creating_since: datetime | None  # since then a container is being created; None: none is
    deletion_cost: str  # the annotation's value
    live_revision: str  # the annotation's value


def read_object_state(body: Body) -> ObjectState:
    """Read an object of any kind."""
    metadata = body["metadata"]
    version = str(metadata.get("resourceVersion", ""))
    references = metadata.get("ownerReferences") or ()
    owners = [str(each.get("uid", "")) for each in references if each.get("controller") and each.get("kind") == KIND]
    return ObjectState(
        uid=str(metadata.get("uid", "")),
        owner=owners[0] if owners else "",
        version=int(version) if version.isdigit() else None,
        fields=owned_fields(body),
        deleting="deletionTimestamp" in metadata,
    )


def owned_fields(body: Body) -> str:
    """Digest the names of the fields that the API server records as applied by the operator.

    A client that changes or removes a field that the operator applied removes it from that set (Kubernetes,
    "Server-Side Apply", field management), whatever the object's kind, defaults and status. So an equal
    digest means that all applied fields are unchanged.
    """
    mine = [
        entry.get("fieldsV1") or {}
        for entry in body["metadata"].get("managedFields") or ()
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource")
    ]
    return digest(mine)


def digest(value: Any) -> str:
    """Digest any JSON value."""
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
    """Read a pod; None for a pod that ended for good, such as an evicted one."""
    metadata, status = body["metadata"], body.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return None
    first = status.get("initContainerStatuses") or ()
    containers = [*first, *(status.get("containerStatuses") or ())]
    # While an init container runs, the others wait for it: a migration may take long.
    sidecars = _sidecars(body)
    creating = any(_waiting(container).get("reason") in _CREATING for container in containers) and not any(
        "running" in (container.get("state") or {}) for container in first if container.get("name") not in sidecars
    )
    annotations = metadata.get("annotations") or {}
    return PodState(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        ip=str(status.get("podIP", "")),
        ready=any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ()),
        terminating="deletionTimestamp" in metadata,
        start_failure=next(filter(None, map(_start_failure, containers)), ""),
        creating_since=_time(status.get("startTime")) if creating else None,
        deletion_cost=str(annotations.get(DELETION_COST, "")),
        live_revision=str(annotations.get(LIVE_REVISION, "")),
    )


def _sidecars(body: Body) -> set[str]:
    """Return the names of the init containers that run as long as the pod: nothing waits for their end."""
    containers = (body.get("spec") or {}).get("initContainers") or ()
    return {str(each.get("name")) for each in containers if each.get("restartPolicy") == "Always"}


def _waiting(container: Body) -> Body:
    return (container.get("state") or {}).get("waiting") or {}


def _start_failure(container: Body) -> str:
    name, waiting = container.get("name"), _waiting(container)
    ended = (container.get("lastState") or {}).get("terminated")
    sentence = _final_sentence(ended or {})
    if waiting.get("reason") in START_FAILURES:
        message = sentence or str(waiting.get("message", "")).strip().rstrip(".")
        return f"container {name}: {waiting['reason']}{': ' + message if message else ''}"
    if ended and not container.get("ready") and int(container.get("restartCount", 0)) >= CRASH_LOOP_RESTARTS:
        # Between two crashes a container runs for a while: that is not a recovery.
        sentence = sentence or f"the container ends again and again, last with exit code {ended.get('exitCode')}"
        return f"container {name}: CrashLoopBackOff: {sentence}"
    return ""


def _final_sentence(ended: Body) -> str:
    """Return the sentence with which the service ended; empty if the kubelet did not keep it."""
    lines = str(ended.get("message") or "").splitlines()
    sentence = [line.removeprefix(_PREFIX) for line in lines if line.startswith(_PREFIX)]
    return sentence[-1][:_LONGEST_SENTENCE].strip().rstrip(".") if sentence else ""


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
