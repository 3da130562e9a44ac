"""The HTTP clients by which a pod asks the others: one for each address, whose connections are kept while it is used.

Pods come and go with every rollout, and their addresses with them: an address that is not asked any more is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from typing import Final

import httpx

from batkol.answers import no_cookies
from batkol.fleet.endpoint import Endpoint
from batkol.http_client.transport import HttpTransport

UNUSED_S: Final = 300.0
"""Seconds after which an address that is not asked is forgotten."""
_CONNECTIONS: Final = 64
"""To one pod; each reader that catches up has one for a moment."""
_KEPT_S: Final = 30.0
"""Seconds for which an idle connection is kept; a pod keeps its end for 75."""


class _Kept:
    """The client of one address, the requests that it has under way, and the loop's time of its newest use."""

    __slots__ = ("client", "used_at", "users")

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.users = 0
        self.used_at = 0.0


class PodClients:
    """The clients by address. `wait_s`: seconds for each wait of a request."""

    def __init__(self, *, wait_s: float, unused_s: float = UNUSED_S) -> None:
        self._wait_s = wait_s
        self._unused_s = unused_s
        self._kept: dict[Endpoint, _Kept] = {}

    @property
    def addresses(self) -> frozenset[Endpoint]:
        """The addresses to which connections may be open."""
        return frozenset(self._kept)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._close(tuple(self._kept))

    async def keep_only(self, addresses: Collection[Endpoint]) -> None:
        """Close the connections to all other addresses."""
        await self._close(self._kept.keys() - set(addresses))

    @asynccontextmanager
    async def lent(self, at: Endpoint) -> AsyncIterator[httpx.AsyncClient]:
        """Lend the client of an address for one request. With a new address those are forgotten that are not used."""
        if at not in self._kept:
            await self._close(self._unused())
        if (kept := self._kept.get(at)) is None:
            kept = self._kept[at] = _Kept(self._made(at))
        kept.users += 1
        try:
            yield kept.client
        finally:
            kept.users -= 1
            kept.used_at = asyncio.get_running_loop().time()

    def _unused(self) -> list[Endpoint]:
        before = asyncio.get_running_loop().time() - self._unused_s
        return [at for at, kept in self._kept.items() if not kept.users and kept.used_at <= before]

    async def _close(self, addresses: Iterable[Endpoint]) -> None:
        for kept in [self._kept.pop(at) for at in addresses]:  # out of reach first: closing one waits
            await kept.client.aclose()

    def _made(self, at: Endpoint) -> httpx.AsyncClient:
        url = httpx.URL(f"http://{at}")
        return httpx.AsyncClient(
            base_url=url,
            transport=HttpTransport(url, most=_CONNECTIONS, kept_s=_KEPT_S),
            timeout=httpx.Timeout(self._wait_s),
            follow_redirects=False,
            trust_env=False,
            cookies=no_cookies(),
        )
