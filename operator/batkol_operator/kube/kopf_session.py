"""kopf's connection to the API server, with answers whose JSON kopf can read.

kopf reads the lines of a watch and the answer to a listing with Python's own reader. What that reader cannot read ends
the watch, and the whole operator with it, again after each restart.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import aiohttp
import kopf

from batkol_operator.kube.shallow_json import shallow


class KopfSessions:
    """Makes kopf's sessions: for equal credentials the same one, by which kopf knows that they were refused before."""

    def __init__(self) -> None:
        self._last: tuple[kopf.ConnectionInfo, kopf.AiohttpSession] | None = None

    def session(self, how: kopf.ConnectionInfo) -> kopf.AiohttpSession:
        """Return a session with these credentials. Call it on kopf's event loop; kopf closes it."""
        if self._last is None or self._last[0] != how:
            made = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=how.as_ssl_context()),
                headers=how.as_http_headers(),
                trust_env=False,  # HTTPS_PROXY is there for what is outside
                response_class=ShallowResponse,
            )
            kept = kopf.AiohttpSession(server=how.server, default_namespace=how.default_namespace, aiohttp_session=made)
            self._last = (how, kept)
        return self._last[1]


class ShallowResponse(aiohttp.ClientResponse):
    """An answer whose JSON is cut where it is too deep."""

    async def start(self, connection: Any) -> Self:
        """Read the headers; the body of a watch is then read line by line."""
        await super().start(connection)
        if "watch" in self.url.query:
            self.content = _ShallowLines(self.content)  # type: ignore[assignment]  # has what kopf and aiohttp call
        return self

    async def json(self, *, loads: Callable[[str], Any] = json.loads, **how: Any) -> Any:
        """Read the whole answer."""
        return await super().json(loads=lambda text: loads(shallow(text.encode()).decode()), **how)


class _ShallowLines:
    """The body of a watch, in whole lines."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        pending = b""
        async for chunk in self._content.iter_chunked(size):
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                yield shallow(line) + b"\n"
        if pending:
            yield shallow(pending)
