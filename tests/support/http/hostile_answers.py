"""What a server sends that means harm, or has lost its mind: floods, drips, what inflates, and JSON that is a trap."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from functools import cache
from typing import Final

from support.http.plain import CHUNKED, chunk

MEBI: Final = 1 << 20
_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Written:
    """Counts what was written, for what must not be read to its end."""

    def __init__(self) -> None:
        self.bytes = 0

    def count(self, piece: bytes) -> bytes:
        self.bytes += len(piece)
        return piece


async def flood(written: Written, head: bytes = CHUNKED, piece: bytes = b"a" * 65_536) -> AsyncIterator[bytes]:
    """Send without end, and without the end of a line."""
    yield head
    yield chunk(b'{"items": "')
    while True:
        yield written.count(chunk(piece))


async def drip(head: bytes = CHUNKED, piece: bytes = b" ", every_s: float = 0.02) -> AsyncIterator[bytes]:
    """Send a byte at a time, for ever."""
    yield head
    while True:
        yield chunk(piece)
        await asyncio.sleep(every_s)


async def drip_head() -> AsyncIterator[bytes]:
    """Never come to the end of the head."""
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X: y\r\n"
        await asyncio.sleep(0.02)


@cache
def bomb() -> bytes:
    """64 MiB in 64 kB."""
    return gzip.compress(b" " * (64 * MEBI), 6)


async def inflated() -> AsyncIterator[bytes]:
    """Send the bomb."""
    small = bomb()
    yield _OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(small) + small


async def document(raw: bytes, code: int = 200, headers: bytes = b"") -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 %d Whatever\r\n%sContent-Length: %d\r\n\r\n" % (code, headers, len(raw)) + raw


async def line(raw: bytes) -> AsyncIterator[bytes]:
    """One line of a watch, which stays open."""
    yield CHUNKED
    yield chunk(raw + b"\n")
    await asyncio.Event().wait()


def listed(**metadata: object) -> bytes:
    return json.dumps({"metadata": {"resourceVersion": "7", **metadata}, "items": []}).encode()
