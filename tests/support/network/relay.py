"""A stretch of network between two programs, and what networks do: cut, swallow, delay, refuse.

    async with relaying(port) as relay:
        connect to 127.0.0.1:relay.port
        relay.swallow()

TCP never loses a piece from the middle, so nothing is dropped here: what is swallowed waits, and comes all at once
after `release`. Who must find out that the other side is gone finds out by itself, or not at all.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

_AT_ONCE: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, no time: closing sends RST
_CHUNK: Final = 64 * 1024
_QUEUED: Final = 1000  # chunks on their way; a delay of seconds holds that many


class Relay:
    """One port that stands for another one. Everything here takes effect at once and never waits."""

    def __init__(self, to_port: int, host: str = "127.0.0.1") -> None:
        self._to = host, to_port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = _flowing()
        self._delay_s = 0.0
        self._refusing = False
        self.port = 0
        self.connections = 0
        """Connections taken so far."""

    async def start(self) -> int:
        """Listen on a free port and return it."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def stop(self) -> None:
        """Reset what is open and close the port."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def cut(self) -> None:
        """Reset every connection, on both sides: a peer that crashed, a firewall that forgot."""
        for writer in tuple(self._open):
            _reset(writer)

    def swallow(self) -> None:
        """Forward nothing more in either direction; sockets stay open, and new ones are taken: a dead network."""
        self._flowing.clear()

    def forget(self) -> None:
        """Swallow all on the connections there are, for ever; later ones work: a firewall that lost its table."""
        self._flowing.clear()
        self._flowing = _flowing()

    def release(self) -> None:
        """Forward again, beginning with all that waits."""
        self._flowing.set()

    def delay(self, seconds: float) -> None:
        """Forward everything that comes from now on so much later, each way."""
        self._delay_s = seconds

    def lead(self, to_port: int) -> None:
        """Lead new connections to another port; open ones stay where they are: a name that means another server now."""
        self._to = self._to[0], to_port

    def refuse(self) -> None:
        """Reset new connections as soon as they are there; open ones go on."""
        self._refusing = True

    def accept(self) -> None:
        """Take new connections again."""
        self._refusing = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._refusing:
            _reset(writer)
            return
        self._open.add(writer)
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            flowing = self._flowing
            far_reader, far_writer = await asyncio.open_connection(*self._to)
            self._open.add(far_writer)
            try:
                async with asyncio.TaskGroup() as tasks:
                    for source, sink in ((reader, far_writer), (far_reader, writer)):
                        queue: _Queue = asyncio.Queue(_QUEUED)
                        tasks.create_task(self._take(source, queue))
                        tasks.create_task(self._give(queue, sink, flowing))
            finally:
                self._forget(far_writer)
        self._forget(writer)

    def _forget(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        _reset(writer)

    async def _take(self, source: asyncio.StreamReader, queue: _Queue) -> None:
        """Read until the end, or until the connection is gone; the end travels the same way as the rest."""
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while chunk := await source.read(_CHUNK):
                await queue.put((loop.time() + self._delay_s, chunk))
        await queue.put((loop.time() + self._delay_s, b""))

    async def _give(self, queue: _Queue, sink: asyncio.StreamWriter, flowing: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError, RuntimeError):
            while True:
                due, chunk = await queue.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await flowing.wait()
                if not chunk:
                    sink.write_eof()
                    return
                sink.write(chunk)
                await sink.drain()


_Queue = asyncio.Queue[tuple[float, bytes]]


def _flowing() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def _reset(writer: asyncio.StreamWriter) -> None:
    held = writer.get_extra_info("socket")
    if held is not None:
        with suppress(OSError):
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()


@asynccontextmanager
async def relaying(to_port: int) -> AsyncIterator[Relay]:
    """Run a relay to that port of this machine."""
    relay = Relay(to_port)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()
