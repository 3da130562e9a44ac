"""The cache of the watched objects, per agent, and the event that wakes the agent's loop when one matters.

The handlers feed it, the loops read it: so a look at an agent costs the API server nothing. The order of resource
versions is used only to let an answer to our own request stand against an older event that comes after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from batkol_operator.kube.names import AGENT
from batkol_operator.watch.object_state import (
    Body,
    Child,
    PodState,
    Rollout,
    digest,
    read_child,
    read_pod,
    read_rollout,
)

AgentKey: TypeAlias = tuple[str, str]
"""Namespace and name."""

ChildKey: TypeAlias = tuple[str, str, str]
"""API version, kind and name."""

POD: Final = ("v1", "Pod")
DEPLOYMENT: Final = ("apps/v1", "Deployment")


@dataclass(slots=True)
class Sight:
    """What is known of one agent's objects."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    children: dict[ChildKey, Child] = field(default_factory=dict)
    pods: dict[str, PodState] = field(default_factory=dict)
    rollout: Rollout | None = None
    asked_for: str = ""  # digest of the agent, without its status


class ObjectCache:
    """What is known of all agents' objects. `watched`: the kinds, as (API version, kind), that events come for."""

    def __init__(self, watched: Collection[tuple[str, str]] = ()) -> None:
        self.watched = frozenset(watched)
        self._sights: dict[AgentKey, Sight] = {}

    def of(self, agent: AgentKey) -> Sight:
        """Return what is known of one agent's objects: live, not a copy."""
        return self._sights.setdefault(agent, Sight())

    def forget(self, agent: AgentKey) -> None:
        """Let go of an agent whose loop has ended: what comes next starts from a new listing."""
        self._sights.pop(agent, None)

    def wake(self, agent: AgentKey) -> None:
        """Have the agent's loop look again."""
        self.of(agent).wake.set()

    def observe(self, body: Body, *, deleted: bool = False) -> None:
        """Take in an event, and wake the agent whose object it is if it changes anything."""
        agent = _agent(body)
        if agent is None or (deleted and agent not in self._sights):
            return
        sight = self.of(agent)
        changed = _pod if _kind(body) == POD else _child
        if changed(sight, body, deleted=deleted):
            sight.wake.set()

    def observe_agent(self, body: Body, *, deleted: bool = False) -> None:
        """Take in an event of an agent itself, and wake its loop if its owner has changed it. Our own writes of the
        status do not.
        """
        metadata = body["metadata"]
        key = (str(metadata.get("namespace", "")), str(metadata["name"]))
        if deleted:
            return
        marks = [dict(metadata.get(part) or {}) for part in ("labels", "annotations")]
        asked_for = digest([metadata.get("uid"), metadata.get("generation"), *marks])
        sight = self.of(key)
        if sight.asked_for != asked_for:
            sight.asked_for = asked_for
            sight.wake.set()

    def note(self, body: Body) -> None:
        """Take in the answer to a request of our own: its event will then be no news."""
        agent = _agent(body)
        if agent is not None and _kind(body) in self.watched:
            _child(self.of(agent), body, deleted=False)

    def replace(self, agent: AgentKey, kind: tuple[str, str], bodies: Collection[Body]) -> None:
        """Take in a whole listing of one kind: what is not in it is gone. Watches do not tell what went while they
        were down.
        """
        sight = self.of(agent)
        names = {str(body["metadata"]["name"]) for body in bodies}
        if kind == POD:
            for gone in sight.pods.keys() - names:
                del sight.pods[gone]
        for key in [key for key in sight.children if key[:2] == kind and key[2] not in names]:
            del sight.children[key]
        if kind == DEPLOYMENT and not bodies:
            sight.rollout = None
        for body in bodies:
            (_pod if kind == POD else _child)(sight, body, deleted=False)


def _kind(body: Body) -> tuple[str, str]:
    return str(body.get("apiVersion")), str(body.get("kind"))


def _agent(body: Body) -> AgentKey | None:
    metadata = body["metadata"]
    name = (metadata.get("labels") or {}).get(AGENT)
    return (str(metadata.get("namespace", "")), str(name)) if name else None


def _pod(sight: Sight, body: Body, *, deleted: bool) -> bool:
    name = str(body["metadata"]["name"])
    pod = None if deleted else read_pod(body)
    before = sight.pods.pop(name, None)
    if pod is not None:
        sight.pods[name] = pod
    return pod != before


def _child(sight: Sight, body: Body, *, deleted: bool) -> bool:
    kind = _kind(body)
    key = (*kind, str(body["metadata"]["name"]))
    child, before = read_child(body), sight.children.get(key)
    if before is not None and _older(child, before):
        return False
    rollout = sight.rollout
    if kind == DEPLOYMENT:
        sight.rollout = None if deleted else read_rollout(body)
    if deleted:
        return sight.children.pop(key, None) is not None
    sight.children[key] = child
    changed = before is None or (before.uid, before.ours, before.deleting) != (child.uid, child.ours, child.deleting)
    return changed or sight.rollout != rollout


def _older(child: Child, before: Child) -> bool:
    return child.version is not None and before.version is not None and child.version < before.version
