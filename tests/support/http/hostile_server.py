"""An HTTP server that does a client harm: it never answers, drips, floods, inflates, sends it round in circles.

    async with hostile_http("drip") as server:
        ask server.url; it must end in an error of ours, and `await server.check()` must find that little was taken

What it has written counts as taken once the sockets' buffers let go of it.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Final

from support.http.one_answer import Answer, answering, http

IN_SOCKETS: Final = 16 << 20
"""Bytes that are written and not yet read, at most."""
_FLOOD: Final = 600 << 20
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"


class HostileServer:
    """One server, which answers every request in one way."""

    def __init__(self, kind: str) -> None:
        self.url = ""
        self.asked: list[bytes] = []
        self.taken = 0
        self.came = asyncio.Event()
        self._head = _HEAD % kind.encode()

    async def check(self, *, largest: int = 8 << 20) -> None:
        """See that the client came, asked for no compression, took no more than `largest` bytes, and did not come again
        and again. On a busy machine its time may be over before it has asked for anything.
        """
        async with asyncio.timeout(30):
            await self.came.wait()
        assert self.taken < largest + IN_SOCKETS
        assert len(self.asked) <= 2, f"it was asked {len(self.asked)} times"
        assert all(b"accept-encoding: identity\r\n" in request.lower() for request in self.asked)

    def way(self, name: str) -> Answer:
        """Return the answer of that name."""
        answer: Answer = getattr(self, name.replace(" ", "_"))
        return answer

    async def _write(self, writer: asyncio.StreamWriter, piece: bytes) -> None:
        writer.write(piece)
        await writer.drain()
        self.taken += len(piece)

    async def no_answer(self, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def drip(self, writer: asyncio.StreamWriter) -> None:
        """Each read is quick, and the body has no end."""
        await self._write(writer, self._head + b"Content-Length: 100000\r\n\r\n")
        while True:
            await self._write(writer, b" ")
            await asyncio.sleep(0.01)

    async def dripping_head(self, writer: asyncio.StreamWriter) -> None:
        await self._write(writer, self._head)
        while True:
            await self._write(writer, b"X: y\r\n")
            await asyncio.sleep(0.01)

    async def preliminary_answers(self, writer: asyncio.StreamWriter) -> None:
        """Each is whole and allowed (RFC 9110, 15.2), and the final one never comes."""
        while True:
            await self._write(writer, b"HTTP/1.1 103 Early Hints\r\n\r\n")
            await asyncio.sleep(0.01)

    async def flood(self, writer: asyncio.StreamWriter) -> None:
        await self._flood(writer, self._head)

    async def flood_of_an_error(self, writer: asyncio.StreamWriter) -> None:
        await self._flood(writer, b"HTTP/1.1 500 Internal Server Error\r\n")

    async def flood_of_an_unknown_token(self, writer: asyncio.StreamWriter) -> None:
        await self._flood(writer, b"HTTP/1.1 401 Unauthorized\r\n")

    async def _flood(self, writer: asyncio.StreamWriter, head: bytes) -> None:
        await self._write(writer, head + b"Transfer-Encoding: chunked\r\n\r\n")
        while self.taken < _FLOOD:
            await self._write(writer, b"10000\r\n" + b" " * 0x10000 + b"\r\n")

    async def endless_head(self, writer: asyncio.StreamWriter) -> None:
        await self._write(writer, self._head)
        while self.taken < _FLOOD:
            await self._write(writer, b"X: %s\r\n" % (b"y" * 1000))

    async def bomb(self, writer: asyncio.StreamWriter) -> None:
        """A hundred megabytes in a hundred kilobytes."""
        squeezed = _squeezed()
        await self._write(
            writer, self._head + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(squeezed) + squeezed
        )

    async def redirects(self, writer: asyncio.StreamWriter) -> None:
        await self._write(
            writer, b"HTTP/1.1 302 Found\r\nLocation: %s/again\r\nContent-Length: 0\r\n\r\n" % self.url.encode()
        )

    async def cut_off(self, writer: asyncio.StreamWriter) -> None:
        await self._write(writer, self._head + b'Content-Length: 100\r\n\r\n{"me')

    async def no_line(self, writer: asyncio.StreamWriter) -> None:
        """One line without an end."""
        while self.taken < _FLOOD:
            await self._write(writer, b"HTTP/1.1" * 1000)

    async def no_http(self, writer: asyncio.StreamWriter) -> None:
        await self._write(writer, bytes(range(256)) * 4)


WAYS: Final = (
    "no answer", "drip", "dripping head", "preliminary answers", "flood", "flood of an error", "endless head", "bomb",
    "redirects", "cut off", "no http",
)  # fmt: skip

BODIES: Final = (
    b"", b"[]", b"null", b"<html>", b"\xff\xfe", b'{"metadata": NaN}', b'{"metadata": ' + b"1" * 5000 + b"}",
    b"[" * 200_000, b'{"a":' * 200_000, b'{"metadata": []}', b'{"metadata": {"resourceVersion": 7}}', b'{"items": 1}',
)  # fmt: skip
"""JSON that is none, or not what a client asked for."""


@cache
def _squeezed() -> bytes:
    return gzip.compress(bytes(100_000_000), 1)


@asynccontextmanager
async def hostile_http(way: str, kind: str = "application/json") -> AsyncIterator[HostileServer]:
    """Serve one of `WAYS` on a free port, as content of that type."""
    server = HostileServer(kind)
    if way == "bomb":
        _squeezed()  # takes a while, which is not the client's
    async with answering(server.way(way), came=server.came) as (url, asked):
        server.url, server.asked = url, asked
        yield server


@asynccontextmanager
async def answering_with(body: bytes, kind: str = "application/json") -> AsyncIterator[str]:
    """Serve a whole answer with this body; yields the URL."""
    async with answering(http("200 OK", body, f"Content-Type: {kind}")) as (url, _):
        yield url
