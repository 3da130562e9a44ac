"""An HTTP client that may break every rule: bytes by hand, in pieces, and what comes back until the server hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class RawHttp:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Write each, and let a server on the same loop read it before the next one."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            for _ in range(3):
                await asyncio.sleep(0)

    async def flood(self, piece: bytes, most: int) -> int:
        """Write it again and again until the server has hung up; returns the bytes written, `most` at most."""
        sent = 0
        try:
            while sent < most and not self._reader.at_eof():
                await self.send(piece)
                sent += len(piece)
        except ConnectionError:
            pass
        return sent

    async def interim(self) -> bytes:
        """Read an answer of the 100 kind."""
        async with asyncio.timeout(10):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> Answer:
        """Read one answer with a Content-Length, or without a body."""
        async with asyncio.timeout(10):
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            pairs = [line.split(": ", 1) for line in lines]
            headers = {name.lower(): value for name, value in pairs}
            assert len(headers) == len(pairs), f"a header is there twice: {lines}"
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(first.split(" ")[1]), headers, body)

    async def rest(self) -> bytes:
        """Read until the server hangs up, in whatever way."""
        got = b""
        try:
            async with asyncio.timeout(10):
                while data := await self._reader.read(1 << 16):
                    got += data
        except ConnectionError:
            pass
        return got

    def finish(self) -> None:
        """Say that nothing more comes, if the server still listens, and go on reading."""
        with suppress(OSError):
            self._writer.write_eof()

    def vanish(self) -> None:
        self._writer.transport.abort()

    def pause_reading(self) -> None:
        """Take nothing any more: the buffers fill up to the server."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport can


@asynccontextmanager
async def speaking(port: int) -> AsyncIterator[RawHttp]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    raw = RawHttp(reader, writer)
    try:
        yield raw
    finally:
        raw.vanish()


def get(path: str = "/", *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def post(body: bytes, path: str = "/", *headers: str) -> bytes:
    return head(path, f"Content-Length: {len(body)}", *headers) + body


def head(path: str = "/", *headers: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()
