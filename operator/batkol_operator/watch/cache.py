"""The cache of the watched objects, per agent, and the event that wakes the agent's loop when one matters.

Handlers write it, loops read it: so a pass over an unchanged agent costs the API server nothing. Resource versions are
compared only to keep the answer to our own request when an older event comes after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from batkol_operator.kube.names import AGENT
from batkol_operator.watch.autoscaler_state import AUTOSCALERS, AutoscalerState, read_autoscaler
from batkol_operator.watch.object_state import (
    Body,
    ObjectState,
    PodState,
    Rollout,
    digest,
    read_object_state,
    read_pod,
    read_rollout,
)

AgentKey: TypeAlias = tuple[str, str]
"""Namespace and name."""

ObjectKey: TypeAlias = tuple[str, str, str]
"""API version, kind and name."""

POD: Final = ("v1", "Pod")
DEPLOYMENT: Final = ("apps/v1", "Deployment")


@dataclass(slots=True)
class AgentView:
    """The cached objects of one agent."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    objects: dict[ObjectKey, ObjectState] = field(default_factory=dict)
    pods: dict[str, PodState] = field(default_factory=dict)
    rollout: Rollout | None = None
    autoscalers: dict[ObjectKey, AutoscalerState] = field(default_factory=dict)
    wanted_digest: str = ""  # digest of the agent, without its status

    def forget(self, key: ObjectKey) -> bool:
        """Remove an object that is gone; return whether it was there."""
        self.autoscalers.pop(key, None)
        return self.objects.pop(key, None) is not None


class ObjectCache:
    """The cached objects of all agents. `watched`: the kinds that events come for, as (API version, kind)."""

    def __init__(self, watched: Collection[tuple[str, str]] = ()) -> None:
        self.watched = frozenset(watched)
        self._views: dict[AgentKey, AgentView] = {}

    def view(self, agent: AgentKey) -> AgentView:
        """Return one agent's view: live, not a copy."""
        return self._views.setdefault(agent, AgentView())

    def forget(self, agent: AgentKey) -> None:
        """Remove an agent whose loop has ended; its next loop starts from a new listing."""
        self._views.pop(agent, None)

    def wake(self, agent: AgentKey) -> None:
        """Have the agent's loop make a pass now."""
        self.view(agent).wake.set()

    def wake_namespace(self, namespace: str) -> None:
        """Have the loops of all agents of a namespace make a pass now."""
        for (of, _), view in self._views.items():
            if of == namespace:
                view.wake.set()

    def observe(self, body: Body, *, deleted: bool = False) -> None:
        """Take note of an event, and wake the loop of the object's agent if the event changes its view."""
        agent = _agent(body)
        if agent is None or (deleted and agent not in self._views):
            return
        view = self.view(agent)
        changed = _update_pod if _kind(body) == POD else _update_object
        if changed(view, body, deleted=deleted):
            view.wake.set()

    def observe_agent(self, body: Body, *, deleted: bool = False) -> None:
        """Take note of an event of an agent itself, and wake its loop unless only the status changed, which the
        operator writes.
        """
        metadata = body["metadata"]
        key = (str(metadata.get("namespace", "")), str(metadata["name"]))
        if deleted:
            return
        marks = [dict(metadata.get(part) or {}) for part in ("labels", "annotations")]
        wanted_digest = digest([metadata.get("uid"), metadata.get("generation"), *marks])
        view = self.view(key)
        if view.wanted_digest != wanted_digest:
            view.wanted_digest = wanted_digest
            view.wake.set()

    def record_answer(self, body: Body) -> None:
        """Take note of the answer to our own request: its event then wakes no loop. Of a kind that was installed after
        this process began there are no events: its objects are known by these answers alone.
        """
        agent = _agent(body)
        if agent is not None:
            _update_object(self.view(agent), body, deleted=False)

    def replace(self, agent: AgentKey, kind: tuple[str, str], bodies: Collection[Body]) -> None:
        """Replace all objects of one kind by a listing. A watch that was down does not report the objects deleted
        meanwhile.
        """
        view = self.view(agent)
        names = {str(body["metadata"]["name"]) for body in bodies}
        if kind == POD:
            for gone in view.pods.keys() - names:
                del view.pods[gone]
        for key in [key for key in view.objects if key[:2] == kind and key[2] not in names]:
            view.forget(key)
        if kind == DEPLOYMENT and not bodies:
            view.rollout = None
        for body in bodies:
            (_update_pod if kind == POD else _update_object)(view, body, deleted=False)


def _kind(body: Body) -> tuple[str, str]:
    return str(body.get("apiVersion")), str(body.get("kind"))


def _agent(body: Body) -> AgentKey | None:
    metadata = body["metadata"]
    name = (metadata.get("labels") or {}).get(AGENT)
    return (str(metadata.get("namespace", "")), str(name)) if name else None


def _update_pod(view: AgentView, body: Body, *, deleted: bool) -> bool:
    name = str(body["metadata"]["name"])
    pod = None if deleted else read_pod(body)
    before = view.pods.pop(name, None)
    if pod is not None:
        view.pods[name] = pod
    return pod != before


def _update_object(view: AgentView, body: Body, *, deleted: bool) -> bool:
    kind = _kind(body)
    key = (*kind, str(body["metadata"]["name"]))
    state, before = read_object_state(body), view.objects.get(key)
    if before is not None and _older(state, before):
        return False
    rollout, autoscaler = view.rollout, view.autoscalers.get(key)
    if kind == DEPLOYMENT:
        view.rollout = None if deleted else read_rollout(body)
    if deleted:
        return view.forget(key)
    if kind in AUTOSCALERS:
        view.autoscalers[key] = read_autoscaler(body)
    view.objects[key] = state
    changed = before is None or (before.uid, before.fields, before.deleting) != (
        state.uid,
        state.fields,
        state.deleting,
    )
    return changed or view.rollout != rollout or view.autoscalers.get(key) != autoscaler


def _older(state: ObjectState, before: ObjectState) -> bool:
    return state.version is not None and before.version is not None and state.version < before.version
