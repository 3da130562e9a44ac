"""A transport for httpx to one server, over connections that are kept; see `http_client.connection`.

It has no proxies, no HTTP/2, and one origin: for what else there is, httpx has its own.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.request import getproxies, proxy_bypass

import httpx

from batkol.http_client.connection import HttpConnection

_BREAKS: Final = (b"\r", b"\n", b"\0")


class HttpTransport(httpx.AsyncBaseTransport):
    """At most `most` responses come at once; an idle connection is kept for `kept_s` seconds."""

    def __init__(self, url: httpx.URL, *, most: int, kept_s: float) -> None:
        self._host = url.raw_host.decode("ascii")
        self._port = url.port or (443 if url.scheme == "https" else 80)
        # Reading the certificates takes time; the same ones as httpx's own.
        self._tls: ssl.SSLContext | None = httpx.create_ssl_context() if url.scheme == "https" else None
        self._kept_s = kept_s
        self._room = asyncio.Semaphore(most)
        self._idle: deque[tuple[HttpConnection, float]] = deque()
        self._used: set[HttpConnection] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx, and `send`."""
        limits: dict[str, float | None] = request.extensions.get("timeout", {})
        content = head_of(request) + b"\r\n" + await request.aread()
        return await self.send(content, httpx.Timeout(None, connect=limits.get("connect"), pool=limits.get("pool")))

    async def send(self, request: bytes, limits: httpx.Timeout) -> httpx.Response:
        """Send a request as it stands. Limits are those of connecting and of waiting for room; the asker has others."""
        await self._take_room(limits.pool)
        connection: HttpConnection | None = None
        try:
            connection = self._kept() or await self._connect(limits.connect)
            self._used.add(connection)
            await connection.ask(request)
        except BaseException:
            self.release(connection)
            raise
        return httpx.Response(connection.status, headers=connection.headers, stream=_Body(connection, self))

    async def aclose(self) -> None:
        """Close all connections."""
        for connection in (*self._used, *(idle for idle, _ in self._idle)):
            connection.abort()
        self._idle.clear()

    def release(self, connection: HttpConnection | None) -> None:
        """Take a connection back: keep it if its response has ended, and close it otherwise."""
        self._room.release()
        if connection is None:
            return
        self._used.discard(connection)
        if connection.reusable:
            connection.rest()
            self._idle.append((connection, asyncio.get_running_loop().time()))
        else:
            connection.abort()

    async def _take_room(self, within_s: float | None) -> None:
        if not self._room.locked():
            await self._room.acquire()  # at once
            return
        try:
            async with asyncio.timeout(within_s):
                await self._room.acquire()
        except TimeoutError as error:
            raise httpx.PoolTimeout("all connections are in use") from error

    def _kept(self) -> HttpConnection | None:
        """Return the connection that was used last; close those that were idle for long."""
        oldest = asyncio.get_running_loop().time() - self._kept_s
        while self._idle and (self._idle[0][0].closed or self._idle[0][1] < oldest):
            self._idle.popleft()[0].abort()
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    async def _connect(self, within_s: float | None) -> HttpConnection:
        loop = asyncio.get_running_loop()
        tls: dict[str, Any] = {"ssl": self._tls, "server_hostname": self._host} if self._tls else {}
        try:
            async with asyncio.timeout(within_s):
                _, connection = await loop.create_connection(HttpConnection, self._host, self._port, **tls)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(f"no connection ({type(error).__name__})") from error
        return connection


class _Body(httpx.AsyncByteStream):
    def __init__(self, connection: HttpConnection, transport: HttpTransport) -> None:
        self._connection: HttpConnection | None = connection
        self._transport = transport

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._connection is not None and (piece := await self._connection.read()):
            yield piece

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._transport.release(connection)


def head_of(request: httpx.Request) -> bytes:
    """Return the request line and the headers, without the empty line after them."""
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    for name, value in request.headers.raw:
        if any(each in name or each in value for each in _BREAKS):
            raise httpx.LocalProtocolError("a header has a line break in it")
        lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join([*lines, b""])


def has_proxy(url: httpx.URL) -> bool:
    """Whether the environment (HTTPS_PROXY, ALL_PROXY, NO_PROXY) has a proxy for the URL, by httpx's own rules."""
    proxies = getproxies()
    return bool(proxies.get(url.scheme) or proxies.get("all")) and not proxy_bypass(url.host)
