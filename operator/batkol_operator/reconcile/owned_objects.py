"""The objects of one agent: applied and pruned to match its plan, with as few requests as possible.

No request is made for an object whose last apply was the same and whose applied fields are unchanged since: the watch
shows a change of them (`object_state.owned_fields`). So a tuning change takes one request, and a pass over an unchanged
agent none. What another client changes is set back, in turns (`contests`). Secrets, which the operator may not read and
no watch shows, are replaced every resync.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from batkol_operator.errors import ContestedError, FieldConflict, RefusedError
from batkol_operator.kube import names
from batkol_operator.kube.client import Cluster, OwnedKinds, qualified
from batkol_operator.kube.names import Manifest
from batkol_operator.reconcile.contests import Contests
from batkol_operator.status.facts import AgentProblem
from batkol_operator.tracing import PassTrace
from batkol_operator.watch.cache import POD, AgentKey, ObjectCache, ObjectKey
from batkol_operator.watch.object_state import owned_fields

UNREADABLE: Final = frozenset({("v1", "Secret")})
"""Kinds that the operator's role allows to write, but not to read: they are replaced, not patched."""


@dataclass(frozen=True, slots=True)
class WantedObjects:
    """The objects of a plan, as JSON: that takes a third of the memory of Python objects, for every agent."""

    objects: Mapping[ObjectKey, bytes]

    @classmethod
    def of(cls, objects: Collection[Manifest]) -> WantedObjects:
        """Encode the objects of a plan, in its order."""
        return cls({key_of(each): json.dumps(each).encode() for each in objects})


@dataclass(frozen=True, slots=True)
class _Applied:
    digest: bytes
    fields: str
    at: float


class OwnedObjects:
    """The objects of one agent in the cluster."""

    def __init__(
        self,
        agent: AgentKey,
        cluster: Cluster,
        cache: ObjectCache,
        kinds: OwnedKinds,
        resync_s: float,
        *,
        on_contest: Callable[[str], object] = lambda _kind: None,
    ) -> None:
        self._agent = agent
        self._cluster = cluster
        self._cache = cache
        self._kinds = kinds
        self._resync_s = resync_s
        self._on_contest = on_contest
        self._applied: dict[ObjectKey, _Applied] = {}
        self.contests = Contests()
        self._left = False

    def invalidate(self) -> None:
        """Have the next pass apply every object."""
        self._applied.clear()

    def pause(self) -> None:
        """Leave the objects to others: what they change until the next pass applies everything is no contest."""
        self.invalidate()
        self.contests = Contests()
        self._left = True

    async def apply(self, wanted: WantedObjects, trace: PassTrace, now: float) -> AgentProblem | None:
        """Apply the objects that are not current. A refusal does not stop the others; return the first."""
        problem = None
        self.contests.retain(wanted.objects)
        for key, body in wanted.objects.items():
            hashed = hashlib.blake2b(body, digest_size=16).digest()
            if self._is_current(key, hashed, now):
                self.contests.settle(key)
                continue
            state = self._cache.view(self._agent).objects.get(key)
            if self.contests.waits(key, hashed, now, None if state is None else state.fields):
                continue
            try:
                with trace.step("apply", kind=key[1], name=key[2]):
                    await self._apply(key, hashed, json.loads(body), now)
            except RefusedError as error:
                problem = problem or AgentProblem(error.reason, str(error))
        self._left = False
        return problem

    async def _apply(self, key: ObjectKey, hashed: bytes, body: Manifest, now: float) -> None:
        """Apply one object, and take note of what others had changed in it."""
        before, known = self._applied.pop(key, None), self._cache.view(self._agent).objects
        ours = before is not None and before.digest == hashed  # what we applied last
        lost, deleted = ours and key[:2] in self._cache.watched, key not in known
        try:
            live, conflicts = await self._send(body)
        except RefusedError:
            if before is not None:
                self._applied[key] = before  # nothing has changed: what others did is still to be set back
            raise
        # A field that is new in the plan was another's by right: an autoscaler's, if it had `replicas` until now.
        if lost or (conflicts and not self._left and (ours or before is None)):
            self.contests.set_back(key, hashed, conflicts, now, deleted=lost and deleted, fields=owned_fields(live))
            self._on_contest(key[1])
        else:
            self.contests.renew(key, hashed, owned_fields(live))
        if key[:2] not in UNREADABLE:
            self._cache.record_answer(live)
        self._applied[key] = _Applied(hashed, owned_fields(live), now)

    async def _send(self, body: Manifest) -> tuple[Manifest, tuple[FieldConflict, ...]]:
        """Apply an object, by force if it has to be; return it and the conflicts that made it so."""
        if (body["apiVersion"], body["kind"]) in UNREADABLE:
            return await self._cluster.replace(body), ()
        if body["kind"] == "Deployment" and "replicas" not in body["spec"]:
            await self._cluster.hand_over_replicas(self._agent[0], body["metadata"]["name"])
        try:
            return await self._cluster.apply(body), ()
        except ContestedError as error:
            return await self._cluster.apply(body, force=True), error.conflicts

    def _is_current(self, key: ObjectKey, hashed: bytes, now: float) -> bool:
        applied = self._applied.get(key)
        if applied is None or applied.digest != hashed:
            return False
        if key[:2] not in self._cache.watched:
            return now - applied.at < self._resync_s
        state = self._cache.view(self._agent).objects.get(key)
        return state is not None and state.fields == applied.fields

    async def prune(
        self, wanted: WantedObjects, uid: str, trace: PassTrace, among: Collection[tuple[str, str]] | None = None
    ) -> None:
        """Delete objects, `among` these kinds or all, that have our label and this agent as their owner, and are no
        longer wanted.
        """
        kinds = {(version, kind) for version, kind, _ in self._kinds} if among is None else set(among)
        view = self._cache.view(self._agent)
        for key, state in list(view.objects.items()):
            if key in wanted.objects or key[:2] not in kinds or state.owner != uid or state.deleting:
                continue
            with trace.step("prune", kind=key[1], name=key[2]):
                await self._cluster.delete(key[0], key[1], self._agent[0], key[2])
            view.forget(key)
            self._applied.pop(key, None)

    async def list_all(self, absent: Collection[str], trace: PassTrace) -> None:
        """List all objects of the agent, pods too, and replace the cache's contents. `absent`: kinds that the cluster
        lacks.
        """
        for version, kind, _ in self._kinds:
            if (version, kind) not in UNREADABLE and qualified(version, kind) not in absent:
                await self._list((version, kind), trace)
        await self.list_pods(trace)
        self.invalidate()

    async def list_pods(self, trace: PassTrace) -> None:
        """List the agent's pods, and replace the cache's contents."""
        await self._list(POD, trace)

    async def _list(self, kind: tuple[str, str], trace: PassTrace) -> None:
        namespace, name = self._agent
        with trace.step("list", kind=kind[1]):
            found = await self._cluster.list_labelled(
                *kind, namespace, {names.MANAGED_BY: names.FIELD_MANAGER, names.AGENT: name}
            )
        self._cache.replace(self._agent, kind, found)


def key_of(body: Mapping[str, Any]) -> ObjectKey:
    """Return an object's key within its agent."""
    return str(body["apiVersion"]), str(body["kind"]), str(body["metadata"]["name"])
