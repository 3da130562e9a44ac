"""HTTP/1.1 of the voice double, one connection: requests one after the other, answers in chunks, every fault possible.

No framework: a double must be able to stop within a chunk, and to see the moment at which the client leaves.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

import msgspec

LONGEST_BODY: Final = 1_000_000
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class ClientGoneError(Exception):
    """The client closed the connection."""


class ProtocolError(Exception):
    """The request is no HTTP/1.1 that can be answered further. `status` is the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class HttpRequest(NamedTuple):
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self) -> HttpRequest:
        """Return the next request. Raises `ClientGoneError` and `ProtocolError`."""
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, _, rest = head[0].partition(" ")
            pairs = (line.partition(":") for line in head[1:] if line)
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            body = await self._reader.readexactly(_length(headers)) if method == "POST" else b""
        except asyncio.LimitOverrunError:
            raise ProtocolError(400, "The head of the request is too long.") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ClientGoneError from None
        return HttpRequest(method, rest.partition(" ")[0], headers, body)

    async def gone(self) -> None:
        """Return when the client closes the connection, or sends more before it has its answer."""
        try:
            await self._reader.read(1)
        except ConnectionError:
            return

    async def answer(self, status: int, body: Any) -> None:
        """Send a whole answer as JSON."""
        content = msgspec.json.encode(body)
        head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: application/json\r\n"
        await self.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)

    async def begin(self, kind: str) -> None:
        """Send the head of an answer in chunks."""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
        await self.write(head.encode())

    async def chunk(self, content: bytes) -> None:
        """Send one chunk. An empty one ends the answer."""
        await self.write(b"%x\r\n%s\r\n" % (len(content), content))

    async def write(self, content: bytes) -> None:
        """Send bytes. Raises `ClientGoneError`."""
        try:
            self._writer.write(content)
            await self._writer.drain()
        except ConnectionError:
            raise ClientGoneError from None

    def abort(self) -> None:
        """Break the connection at once."""
        self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection after what was written."""
        self._writer.close()


def _length(headers: dict[str, str]) -> int:
    length = headers.get("content-length")
    if length is None:
        raise ProtocolError(411, "The request has no Content-Length.")
    if not length.isdecimal() or len(length) > 9 or int(length) > LONGEST_BODY:
        raise ProtocolError(413, f"The body is longer than {LONGEST_BODY} bytes.")
    return int(length)
