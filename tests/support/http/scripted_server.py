"""An HTTP server that answers each request by the next part of a script, byte for byte, and keeps what it was asked.

async with scripted(refused(503), feed(event(1), END)) as server:
    the first request to server.url gets the 503, every later one the feed
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from batkol.events.events import Event, encode
from support.http.plain import LAST_CHUNK, Request, chunk, read_request

Part = Callable[[asyncio.StreamWriter], Coroutine[Any, Any, None]]

END: Final = LAST_CHUNK
"""The proper end of a feed. Without it, and without `CUT`, the feed stays open."""
CUT: Final = b""
"""The connection is closed here, in the middle of the answer."""
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LISTENING: Final = chunk(b": listening\nretry: 1\n\n")


@dataclass
class ScriptedServer:
    """The requests so far, in order."""

    parts: list[Part]
    url: str = ""
    asked: list[Request] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            self.asked.append(await read_request(reader))
            part = self.parts[min(len(self.asked), len(self.parts)) - 1]
            await _unless_left(reader, part(writer))
            await writer.drain()
        writer.close()

    @property
    def cursors(self) -> list[str | None]:
        """`Last-Event-ID` of each request."""
        return [request.headers.get("last-event-id") for request in self.asked]


async def _unless_left(reader: asyncio.StreamReader, answering: Coroutine[Any, Any, None]) -> None:
    """Answer to the end, or until the client has closed its side."""
    tasks = [asyncio.create_task(answering), asyncio.create_task(reader.read(1))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def message(event: Event, cursor: str) -> bytes:
    """Return an event as the feed sends it."""
    return raw(str(event.__struct_config__.tag), encode(event), cursor)


def raw(kind: str, data: bytes, cursor: str = "") -> bytes:
    """Return a message of the feed, as a chunk."""
    return chunk(b"id: %s\nevent: %s\ndata: %s\n\n" % (cursor.encode(), kind.encode(), data))


def feed(*pieces: bytes, head: bytes = HEAD + LISTENING) -> Part:
    """Send a feed in these pieces, each in a write of its own; it stays open unless `END` or `CUT` is the last."""

    async def part(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for piece in pieces:
            if piece == CUT:
                return  # the connection is closed; a reset could overtake what was written before it
            writer.write(piece)
            await writer.drain()
        if not pieces or pieces[-1] != END:
            await asyncio.Event().wait()

    return part


def answered(body: Any, status: int = 200, *headers: str) -> Part:
    """Answer with JSON, or with bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(content)}", *headers]

    async def part(writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join([*head, "Connection: close", "", ""]).encode() + content)

    return part


def refused(status: int, detail: str = "", *headers: str) -> Part:
    """Refuse as the service does, or with no word."""
    return answered({"detail": detail} if detail else b"", status, *headers)


@asynccontextmanager
async def scripted(*parts: Part, port: int = 0) -> AsyncIterator[ScriptedServer]:
    """Serve; the last part answers every further request."""
    server = ScriptedServer(list(parts))

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(server.serve(reader, writer))
        server.tasks.add(task)
        task.add_done_callback(server.tasks.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", port)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for task in tuple(server.tasks):
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)
        await listener.wait_closed()
