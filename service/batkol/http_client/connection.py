"""One HTTP/1.1 connection of a client, for answers that come in many small parts: bytes to httptools and no further.

A part of an answer costs about a fifth of what it costs in httpx's own transport, which passes it through six layers
(ADR 0022). While no one waits for a part, parts gather in the kernel and come at once.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

import httptools
import httpx

_LARGEST_HEAD: Final = 64 * 1024
"""Bytes before the end of a final response's head, preliminary responses included."""


class HttpConnection(asyncio.Protocol):
    """Sends one request after another, each when the response before it has ended. Errors are httpx's."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.closed = False
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: httpx.TransportError | None = None
        self._body: list[bytes] = []
        self._head_length = 0
        self._has_head = False
        self._ended = True
        self._kept = False  # whether the server keeps the connection after this response

    @property
    def reusable(self) -> bool:
        """Whether the response has ended in such a way that another request can be sent."""
        return self._ended and self._kept and not self.closed

    async def ask(self, request: bytes) -> None:
        """Send a request; return when the head of the response is there. Raises `httpx.TransportError`.

        Cancelling it leaves a connection that is of no further use.
        """
        self._parser = httptools.HttpResponseParser(self)
        self._error, self._ended, self._kept, self._has_head, self._head_length = None, False, False, False, 0
        self.status, self.headers, self._body = 0, [], []
        if self._transport is not None and not self.closed:
            self._transport.write(request)
        while not self._has_head:
            await self._more()

    async def read(self) -> bytes:
        """Return what has come of the body, at least a byte; b"" at its end. Raises `httpx.TransportError`."""
        while not self._body:
            if self._ended:
                return b""
            await self._more()
        piece = b"".join(self._body)
        self._body.clear()
        return piece

    def rest(self) -> None:
        """Wait for nothing but the server's closing of the connection."""
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close the connection at once."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    async def _more(self) -> None:
        if self._error is not None:
            raise self._error
        if self.closed or self._transport is None:
            raise httpx.ReadError("the connection is closed")
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.resume_reading()
        try:
            await self._waiter
        finally:
            self._waiter = None
            if not self._transport.is_closing():
                self._transport.pause_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: httpx.TransportError) -> None:
        self._error = self._error or error
        self.abort()
        self._wake()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._ended:
            self._fail(httpx.RemoteProtocolError("the server sent what was not asked for"))
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._ended:
                self._fail(httpx.RemoteProtocolError("the server does not speak HTTP/1.1"))
                return
            self._kept = False  # it goes on after the end of its response
        if not self._has_head:
            self._head_length += len(data)
            if self._head_length > _LARGEST_HEAD:
                self._fail(httpx.RemoteProtocolError("the head of the response has no end"))
                return
        if self._has_head:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self._ended and self._error is None:
            if self._has_head and self._ends_with_connection():
                self._ended = True
            elif exc is not None:
                self._error = httpx.ReadError("the connection broke")
            else:
                self._error = httpx.RemoteProtocolError("the server closed the connection before the response's end")
        self._wake()

    def _ends_with_connection(self) -> bool:
        """Whether the body has neither a length nor chunks (RFC 9112, 6.3)."""
        return not any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in self.headers)

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._ended:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._parser is None or self._ended:
            return
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self._has_head = True

    def on_body(self, body: bytes) -> None:
        if not self._ended:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser is None:
            return
        if not self._has_head:  # a preliminary response (RFC 9110, 15.2)
            self.headers.clear()
            return
        if self._ended:
            self._kept = False
            return
        self._ended = True
        self._kept = self._parser.should_keep_alive()
