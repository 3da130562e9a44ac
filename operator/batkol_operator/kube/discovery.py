"""Discovery of the optional kinds of this cluster: at the start, and again later, for an operator may be installed
after ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from batkol_operator.kube.client import Cluster

EVERY_S: Final = 600.0


class OptionalKinds:
    """The optional kinds, as "group/Kind", of one cluster. All reconcilers share one."""

    def __init__(self, cluster: Cluster, optional: Collection[str]) -> None:
        self._cluster = cluster
        self._optional = frozenset(optional)
        self._present: frozenset[str] = frozenset()
        self._due = 0.0
        self._asking = asyncio.Lock()

    async def present(self) -> frozenset[str]:
        """Return those it has. Raises `UnreachableError`; then the next one asks again."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._due:
            async with self._asking:
                if loop.time() >= self._due:  # nobody has, while we waited
                    self._present = await self._cluster.serves(self._optional)
                    self._due = loop.time() + EVERY_S
        return self._present

    async def absent(self) -> frozenset[str]:
        """Return those it has not."""
        return self._optional - await self.present()
