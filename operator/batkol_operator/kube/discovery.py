"""Discovery of the optional kinds of this cluster, at the start and every minute: KEDA and others may be installed
after this operator. A kind that is needed and absent may be looked for sooner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from batkol_operator.kube.client import Cluster

INTERVAL_S: Final = 60.0


class OptionalKinds:
    """The optional kinds, as "group/Kind", of one cluster. All reconcilers share one."""

    def __init__(self, cluster: Cluster, optional: Collection[str]) -> None:
        self._cluster = cluster
        self._optional = frozenset(optional)
        self._present: frozenset[str] = frozenset()
        self._asked_at = 0.0
        self._due = 0.0
        self._lock = asyncio.Lock()

    async def present(self) -> frozenset[str]:
        """Return the kinds that the cluster has. Raises `UnreachableError`; the next call then asks again."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._due:
            async with self._lock:
                if loop.time() >= self._due:  # another task may have asked while this one waited
                    self._present = await self._cluster.served_kinds(self._optional)
                    self._asked_at = loop.time()
                    self._due = loop.time() + INTERVAL_S
        return self._present

    def expect(self, kind: str, within_s: float = 0.0) -> None:
        """Have an absent kind looked for again, at the earliest `within_s` after the look before."""
        if kind not in self._present:
            self._due = min(self._due, self._asked_at + within_s)

    async def absent(self) -> frozenset[str]:
        """Return the kinds that the cluster lacks."""
        return self._optional - await self.present()
