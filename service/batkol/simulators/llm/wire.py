"""HTTP/1.1 as a server, by hand: the double has to see a client leave, and to cut, stall and tear what it sends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec

_LARGEST_HEAD: Final = 64 * 1024
_LARGEST_BODY: Final = 4 << 20
_MOST_DIGITS: Final = 18

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream; charset=utf-8"


class Request(NamedTuple):
    """A request as it came. Header names in lower case; the path without its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class WireError(Exception):
    """Bytes that are no request. The connection is closed after an answer with `status`."""

    def __init__(self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status


class DoubleConnection:
    """One client's connection. `number` counts the server's connections from 1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.number = number
        self._reader = reader
        self._writer = writer
        self._ahead = bytearray()  # read and not yet used

    async def request(self) -> Request | None:
        """Return the next request; None when the client has closed the connection. Raises `WireError`."""
        while (end := self._ahead.find(b"\r\n\r\n")) < 0:
            if len(self._ahead) > _LARGEST_HEAD:
                raise WireError("The head is too long.", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            if not await self._read():
                return None
        first, *lines = bytes(self._ahead[:end]).decode("latin-1").split("\r\n")
        parts = first.split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise WireError("This is no request of HTTP/1.1.")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isdecimal() or len(length) > _MOST_DIGITS:
            raise WireError("Send the body with a Content-Length.", HTTPStatus.LENGTH_REQUIRED)
        if int(length) > _LARGEST_BODY:
            raise WireError("The body is too long.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        whole = end + 4 + int(length)
        while len(self._ahead) < whole:
            if not await self._read():
                return None
        body = bytes(self._ahead[end + 4 : whole])
        del self._ahead[:whole]
        return Request(parts[0], parts[1].partition("?")[0], headers, body)

    async def left(self) -> None:
        """Return when the client has closed the connection, or it is broken. Cancelling it loses nothing."""
        while await self._read():
            pass

    async def _read(self) -> bool:
        try:
            piece = await self._reader.read(1 << 16)
        except ConnectionError:
            return False
        self._ahead += piece
        return bool(piece)

    async def write(self, piece: bytes) -> None:
        """Write, and wait while the client does not read. To a client that has left, nothing is written."""
        if self._writer.transport.is_closing():
            return
        try:
            self._writer.write(piece)
            await self._writer.drain()
        except ConnectionError:
            pass  # `left` tells the double that the client is gone

    async def answer(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """Write a whole answer in JSON."""
        content = msgspec.json.encode(body)
        head = _head(status, JSON, {**(headers or {}), "Content-Length": str(len(content))})
        await self.write(head + content)

    async def begin(self, headers: Mapping[str, str], kind: str = EVENTS) -> None:
        """Write the head of a body in chunks: a stream of events, or content of another type."""
        await self.write(_head(200, kind, {**headers, "Cache-Control": "no-cache", "Transfer-Encoding": "chunked"}))

    async def end(self) -> None:
        """End a body in chunks."""
        await self.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Cut the connection, as a network does."""
        self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


def chunk(content: bytes) -> bytes:
    """Return a part of a body in chunks."""
    return b"%x\r\n%s\r\n" % (len(content), content)


def _head(status: int, kind: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Type: {kind}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
