"""Brings one agent's objects to what the plan says, with as few requests as that takes.

Nothing is sent for an object that was applied just so and still stands as it was applied: the watch tells when it no
longer does (`observed.owned_fields`). A tuning change is therefore one request, a look at an agent that is as it
should be none. Secrets, which the operator may not read and no watch shows, are replaced every resync.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from batkol_operator.errors import RefusedError
from batkol_operator.kube import names
from batkol_operator.kube.client import Cluster, OwnedKinds, qualified
from batkol_operator.kube.names import Manifest
from batkol_operator.status.judge import AgentProblem
from batkol_operator.tracing import PassTrace
from batkol_operator.watch.cache import POD, AgentKey, ChildKey, ObjectCache
from batkol_operator.watch.object_state import owned_fields

UNREADABLE: Final = frozenset({("v1", "Secret")})
"""Kinds that the operator's role lets it write and not read: they are replaced, not patched."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan asks for. As JSON: a third of the memory that it takes as objects, for every agent there is."""

    objects: Mapping[ChildKey, bytes]

    @classmethod
    def of(cls, objects: Collection[Manifest]) -> Wanted:
        """Take the objects of a plan, in its order."""
        return cls({key_of(each): json.dumps(each).encode() for each in objects})


@dataclass(frozen=True, slots=True)
class _Applied:
    digest: bytes
    ours: str
    at: float


class Children:
    """One agent's objects."""

    def __init__(
        self, agent: AgentKey, cluster: Cluster, seen: ObjectCache, kinds: OwnedKinds, resync_s: float
    ) -> None:
        self._agent = agent
        self._cluster = cluster
        self._seen = seen
        self._kinds = kinds
        self._resync_s = resync_s
        self._applied: dict[ChildKey, _Applied] = {}

    def invalidate(self) -> None:
        """Take nothing for granted: apply everything in the next pass."""
        self._applied.clear()

    async def apply(self, wanted: Wanted, trace: PassTrace, now: float) -> AgentProblem | None:
        """Apply what does not stand. One that is refused keeps none of the others back; the first is returned."""
        problem = None
        for key, body in wanted.objects.items():
            hashed = hashlib.blake2b(body, digest_size=16).digest()
            if self._stands(key, hashed, now):
                continue
            self._applied.pop(key, None)
            try:
                with trace.step("apply", kind=key[1], name=key[2]):
                    live = await self._send(json.loads(body))
            except RefusedError as error:
                problem = problem or AgentProblem(error.reason, str(error))
                continue
            self._seen.note(live)
            self._applied[key] = _Applied(hashed, owned_fields(live), now)
        return problem

    async def _send(self, body: Manifest) -> Manifest:
        if (body["apiVersion"], body["kind"]) in UNREADABLE:
            return await self._cluster.replace(body)
        if body["kind"] == "Deployment" and "replicas" not in body["spec"]:
            await self._cluster.hand_over_replicas(self._agent[0], body["metadata"]["name"])
        return await self._cluster.apply(body)

    def _stands(self, key: ChildKey, hashed: bytes, now: float) -> bool:
        applied = self._applied.get(key)
        if applied is None or applied.digest != hashed:
            return False
        if key[:2] not in self._seen.watched:
            return now - applied.at < self._resync_s
        child = self._seen.of(self._agent).children.get(key)
        return child is not None and child.ours == applied.ours

    async def prune(self, wanted: Wanted, uid: str, trace: PassTrace) -> None:
        """Delete what is labelled ours and owned by this very agent, and no longer wanted."""
        ours = {(version, kind) for version, kind, _ in self._kinds}
        children = self._seen.of(self._agent).children
        for key, child in list(children.items()):
            if key in wanted.objects or key[:2] not in ours or child.owner != uid or child.deleting:
                continue
            with trace.step("prune", kind=key[1], name=key[2]):
                await self._cluster.delete(key[0], key[1], self._agent[0], key[2])
            children.pop(key, None)
            self._applied.pop(key, None)

    async def look(self, absent: Collection[str], trace: PassTrace) -> None:
        """List everything that is the agent's, pods too, and believe only that. `absent`: kinds that the cluster
        has not.
        """
        for version, kind, _ in self._kinds:
            if (version, kind) not in UNREADABLE and qualified(version, kind) not in absent:
                await self._list((version, kind), trace)
        await self.look_at_pods(trace)
        self.invalidate()

    async def look_at_pods(self, trace: PassTrace) -> None:
        """List the agent's pods, and believe only that."""
        await self._list(POD, trace)

    async def _list(self, kind: tuple[str, str], trace: PassTrace) -> None:
        namespace, name = self._agent
        with trace.step("list", kind=kind[1]):
            found = await self._cluster.labelled(
                *kind, namespace, {names.MANAGED_BY: names.FIELD_MANAGER, names.AGENT: name}
            )
        self._seen.replace(self._agent, kind, found)


def key_of(body: Mapping[str, Any]) -> ChildKey:
    """Name an object within its agent."""
    return str(body["apiVersion"]), str(body["kind"]), str(body["metadata"]["name"])
