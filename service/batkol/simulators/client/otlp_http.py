"""The OTLP/HTTP receiver of the collector: protobuf in a POST, plain or compressed, as the Collector's own takes it.

It is as strict: another path, method, content type or encoding is an error, and so is what is not protobuf.
https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # has no types
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PROTOBUF: Final = "application/x-protobuf"

_REQUESTS: Final[Mapping[str, Any]] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}
_UNPACK: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "identity": lambda body: body,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


class Post(NamedTuple):
    """A request as it came. Header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Take = Callable[[Any], Awaitable[tuple[HTTPStatus, bytes]]]
"""Serves the message of one export; returns status and body of the answer."""


class HttpReceiver:
    """A listener on a port of this machine."""

    def __init__(self, take: Take) -> None:
        self.posts: list[Post] = []
        self.port = 0
        self.instead: HTTPStatus | None = None
        """The status of every answer, if set; the receiver keeps no post then."""
        self._take = take
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen: on the port it had before, if it was stopped."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be gone; requests under way are cut off."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._connections):
                writer.transport.abort()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while (post := await _read(reader)) is not None:
                self.posts.append(post)
                status, body = await self._answer(post)
                head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {PROTOBUF}\r\n"
                writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is gone, or `stop` was called
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, post: Post) -> tuple[HTTPStatus, bytes]:
        if self.instead is not None:
            return self.instead, b""
        message = _REQUESTS.get(post.path)
        if message is None:
            return HTTPStatus.NOT_FOUND, b""
        if post.method != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED, b""
        unpack = _UNPACK.get(post.headers.get("content-encoding", "identity"))
        if unpack is None or post.headers.get("content-type") != PROTOBUF:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, b""
        try:
            request = message.FromString(unpack(post.body))
        except (DecodeError, OSError, EOFError, zlib.error):
            return HTTPStatus.BAD_REQUEST, b""
        return await self._take(request)


async def _read(reader: asyncio.StreamReader) -> Post | None:
    """Read a request; None at the end of the connection."""
    first = (await reader.readline()).decode("latin-1").split()
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Post(first[0], first[1], headers, body)
